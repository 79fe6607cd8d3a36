//! The authentication schemes of vendors: a secret in a header, HMAC-SHA-256 over parts of the request, and Standard
//! Webhooks (<https://www.standardwebhooks.com>).

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cartwright_contract::records::{Authentication, SecretHeader, SignatureEncoding, SignedPart, WebhookHmac};
use cartwright_contract::settings::{Secret, Secrets};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::webhook::refusal::{HeaderFault, Refusal};
use crate::webhook::request::IncomingRequest;

/// Maximum difference between the time of a Standard Webhook and the host's clock, in either direction.
pub const TIME_WINDOW: Duration = Duration::from_secs(300);

/// The headers of Standard Webhooks: id, time and signatures.
pub(crate) const WEBHOOK_ID: &str = "webhook-id";
pub(crate) const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
pub(crate) const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// Vendors show secrets with and without padding; both decode to the same key.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Verifies a request by the declared scheme.
pub(crate) fn verify(
    authentication: &Authentication,
    secrets: &Secrets,
    incoming: &IncomingRequest,
) -> Result<(), Refusal> {
    match authentication {
        Authentication::AddressOnly => Ok(()),
        Authentication::SecretHeader(header) => {
            verify_secret_header(header, secret(secrets, &header.secret)?, incoming)
        }
        Authentication::HmacSha256(hmac) => verify_hmac(hmac, secret(secrets, &hmac.secret)?, incoming),
        Authentication::StandardWebhooks(name) => verify_standard(name, secret(secrets, name)?, incoming),
        Authentication::Other(other) => {
            Err(Refusal::InvalidEndpoint(format!("this host does not know the authentication {:?}", other.name)))
        }
    }
}

fn verify_secret_header(declared: &SecretHeader, secret: &Secret, incoming: &IncomingRequest) -> Result<(), Refusal> {
    let value = text(incoming, &declared.header)?;
    let prefix = || Refusal::Header { header: declared.header.clone(), fault: HeaderFault::Prefix };
    let found = value.strip_prefix(&declared.prefix).ok_or_else(prefix)?;
    // The digests have one length, so that the comparison reveals neither the length nor the content of the secret.
    let (found, expected): ([u8; 32], [u8; 32]) =
        (Sha256::digest(found).into(), Sha256::digest(secret.expose()).into());
    let is_it: bool = found.ct_eq(&expected).into();
    let wrong = || Refusal::WrongSecret { header: declared.header.clone(), secret: declared.secret.clone() };
    is_it.then_some(()).ok_or_else(wrong)
}

fn verify_hmac(hmac: &WebhookHmac, secret: &Secret, incoming: &IncomingRequest) -> Result<(), Refusal> {
    let header = |fault| Refusal::Header { header: hmac.header.clone(), fault };
    let value = text(incoming, &hmac.header)?;
    let encoded = value.strip_prefix(&hmac.prefix).ok_or_else(|| header(HeaderFault::Prefix))?;
    let signature = hmac.encoding.decode(encoded).ok_or_else(|| header(HeaderFault::Encoding))?;
    let time = hmac.timestamp_header.as_ref().map(|header| time(incoming, header)).transpose()?;
    let mut mac = hmac_key(secret.expose(), &hmac.secret)?;
    for part in &hmac.parts {
        match part {
            SignedPart::Text(text) => mac.update(text.as_bytes()),
            SignedPart::Header(header) => mac.update(value_of(incoming, header)?),
            SignedPart::Url => mac.update(incoming.url.expose()),
            SignedPart::Method => mac.update(incoming.method.as_str().as_bytes()),
            SignedPart::Body => mac.update(&incoming.body),
        }
    }
    let wrong = |_| Refusal::WrongSignature { header: hmac.header.clone(), secret: hmac.secret.clone() };
    mac.verify_slice(&signature).map_err(wrong)?;
    time.map_or(Ok(()), |time| time.check(incoming, u64::from(hmac.tolerance_seconds)))
}

fn verify_standard(name: &str, secret: &Secret, incoming: &IncomingRequest) -> Result<(), Refusal> {
    let secret = standard_secret(secret).ok_or_else(|| Refusal::InvalidSecret(name.to_owned()))?;
    let id = text(incoming, WEBHOOK_ID)?;
    let time = time(incoming, WEBHOOK_TIMESTAMP)?;
    let signatures = text(incoming, WEBHOOK_SIGNATURE)?;
    let mac =
        standard_mac(&secret, id, time.text, &incoming.body).ok_or_else(|| Refusal::InvalidSecret(name.to_owned()))?;
    // There are several signatures while a secret is rotated. Versions other than v1 are other algorithms, for which
    // the host has no key.
    let mut signatures = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let matches_mac = |written| {
        SignatureEncoding::Base64.decode(written).is_some_and(|signature| mac.clone().verify_slice(&signature).is_ok())
    };
    if !signatures.any(matches_mac) {
        return Err(Refusal::WrongSignature { header: WEBHOOK_SIGNATURE.to_owned(), secret: name.to_owned() });
    }
    time.check(incoming, TIME_WINDOW.as_secs())
}

/// The error of an invalid signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret must be \"whsec_\" and base64; generate a new one")]
pub struct SigningError;

/// Signs a body as Standard Webhooks at a time in Unix seconds. Returns the value of the header `webhook-signature`,
/// with one signature per secret.
///
/// # Errors
/// Returns an error if a secret is not a signing secret.
pub fn sign_standard(secrets: &[Secret], id: &str, seconds: u64, body: &[u8]) -> Result<String, SigningError> {
    let signatures = secrets.iter().map(|secret| {
        let mac = standard_secret(secret).and_then(|secret| standard_mac(&secret, id, &seconds.to_string(), body));
        let signature = mac.ok_or(SigningError)?.finalize().into_bytes();
        Ok(format!("v1,{}", STANDARD.encode(signature)))
    });
    Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// Generates a signing secret: "whsec_" and 32 random bytes in base64.
///
/// # Errors
/// Returns an error if the system returns no random numbers.
pub fn new_standard_secret() -> Result<Secret, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(Secret::new(format!("whsec_{}", STANDARD.encode(*bytes))))
}

fn standard_mac(secret: &[u8], id: &str, time: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC accepts a key of any length.
    let mut mac = Hmac::new_from_slice(secret).ok()?;
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

fn secret<'a>(secrets: &'a Secrets, name: &str) -> Result<&'a Secret, Refusal> {
    // An empty key would let any sender sign.
    let set = secrets.get(name).map(|secret| &secret.value).filter(|value| !value.expose().is_empty());
    set.ok_or_else(|| Refusal::NoSecret(name.to_owned()))
}

/// Decodes a secret: "whsec_" and base64. The prefix is optional; it only helps people to recognize the secret.
fn standard_secret(secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.expose().trim_ascii();
    let bytes = SECRET_BASE64.decode(text.strip_prefix(b"whsec_").unwrap_or(text)).ok()?;
    (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
}

fn hmac_key(secret: &[u8], name: &str) -> Result<Hmac<Sha256>, Refusal> {
    // HMAC accepts a key of any length.
    Hmac::new_from_slice(secret).map_err(|_| Refusal::InvalidSecret(name.to_owned()))
}

/// Returns the only value of a header.
fn value_of<'a>(incoming: &'a IncomingRequest, header: &str) -> Result<&'a [u8], Refusal> {
    let fault = |fault| Refusal::Header { header: header.to_owned(), fault };
    let mut values = incoming.headers.get_all(header).iter();
    let value = values.next().ok_or_else(|| fault(HeaderFault::Missing))?;
    if values.next().is_some() {
        return Err(fault(HeaderFault::Repeated));
    }
    Ok(value.as_bytes())
}

/// Returns the only value of a header, which is a text and not empty.
fn text<'a>(incoming: &'a IncomingRequest, header: &str) -> Result<&'a str, Refusal> {
    let fault = |fault| Refusal::Header { header: header.to_owned(), fault };
    let value = std::str::from_utf8(value_of(incoming, header)?).map_err(|_| fault(HeaderFault::NotText))?;
    if value.is_empty() { Err(fault(HeaderFault::Missing)) } else { Ok(value) }
}

/// A signed time.
struct Time<'a> {
    /// The text that was signed.
    text: &'a str,
    /// Unix seconds.
    seconds: u64,
}

fn time<'a>(incoming: &'a IncomingRequest, header: &str) -> Result<Time<'a>, Refusal> {
    let text = text(incoming, header)?;
    // Parsing alone would accept "+5".
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    let fault = || Refusal::Header { header: header.to_owned(), fault: HeaderFault::Time };
    Ok(Time { text, seconds: seconds.ok_or_else(fault)? })
}

impl Time<'_> {
    /// Checks that the time differs from the host's clock by at most `tolerance` seconds. This comes after the
    /// signature, so that a merchant who reads "late" knows that the vendor sent the request.
    fn check(&self, incoming: &IncomingRequest, tolerance: u64) -> Result<(), Refusal> {
        let now = incoming.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.saturating_sub(self.seconds) > tolerance {
            return Err(Refusal::TimestampTooOld(now - self.seconds));
        }
        if self.seconds.saturating_sub(now) > tolerance {
            return Err(Refusal::TimestampInFuture(self.seconds - now));
        }
        Ok(())
    }
}
