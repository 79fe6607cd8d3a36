//! Checks of the webhook endpoints that a plugin declares for the settings of an account.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderName;
use ipnet::IpNet;

use crate::records::{Authentication, SecretHeader, SignatureEncoding, SignedPart, WebhookEndpoint, WebhookHmac};
use crate::settings::{Form, SecretUse};
use crate::text;

/// Maximum length of an endpoint's name in bytes.
const MAX_ENDPOINT_NAME_BYTES: usize = 64;
/// Maximum number of signed parts, because each is hashed for every request before its sender is known.
const MAX_PARTS: usize = 20;
/// Maximum tolerance of a signed time, in seconds.
const MAX_TOLERANCE_SECONDS: u32 = 3600;

/// A webhook endpoint of an account, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedEndpoint {
    /// The endpoint as the plugin declares it.
    pub declared: WebhookEndpoint,
    /// The networks that the vendor sends from; empty for any.
    pub networks: Vec<IpNet>,
}

impl CheckedEndpoint {
    /// Returns the header that holds a secret, if the endpoint has one. It is removed before the plugin or a store sees
    /// a request.
    pub fn secret_header(&self) -> Option<&str> {
        match &self.declared.authentication {
            Authentication::SecretHeader(secret) => Some(&secret.header),
            _ => None,
        }
    }
}

/// Checks that each endpoint has a valid, unique name, an authentication that the host can verify, and valid networks.
///
/// # Errors
/// Returns a message for the author of the plugin. It names the endpoint.
pub fn check_endpoints(endpoints: Vec<WebhookEndpoint>, form: &Form) -> Result<Vec<CheckedEndpoint>, String> {
    let mut names = BTreeSet::new();
    let mut checked = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let name = endpoint.name.clone();
        let is_valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > MAX_ENDPOINT_NAME_BYTES || !name.bytes().all(is_valid) {
            return Err(format!(
                "{:?} is not a valid name of a webhook endpoint; use 1 to {MAX_ENDPOINT_NAME_BYTES} of a-z, 0-9 and \"-\"",
                text::abridge(name)
            ));
        }
        if names.contains(&name) {
            return Err(format!("duplicate webhook endpoint {name:?}; give each endpoint its own name"));
        }
        checked
            .push(check_endpoint(endpoint, form).map_err(|fault| format!("the webhook endpoint {name:?}: {fault}"))?);
        names.insert(name);
    }
    Ok(checked)
}

fn check_endpoint(mut declared: WebhookEndpoint, form: &Form) -> Result<CheckedEndpoint, String> {
    check_authentication(&declared.authentication, form)?;
    if let Some(header) = &declared.delivery_id_header {
        header_name(header)?;
        if let Authentication::SecretHeader(secret) = &declared.authentication
            && secret.header.eq_ignore_ascii_case(header)
        {
            return Err(format!("the header {header:?} holds the secret, so it cannot identify a delivery"));
        }
    }
    let range = |range: &String| {
        range.parse::<IpNet>().map_err(|_| {
            let range = text::abridge(range.clone());
            format!("{range:?} is not a range of IP addresses such as \"192.0.2.0/24\"")
        })
    };
    let networks = declared.networks.iter().map(range).collect::<Result<_, _>>()?;
    declared.title = text::message(declared.title);
    Ok(CheckedEndpoint { declared, networks })
}

/// Checks that the host can verify the declared authentication. The check runs when an account is set up, so that no
/// webhook fails because of it.
fn check_authentication(authentication: &Authentication, form: &Form) -> Result<(), String> {
    match authentication {
        Authentication::AddressOnly => Ok(()),
        Authentication::SecretHeader(SecretHeader { secret, header, prefix }) => {
            header_name(header)?;
            prefix
                .parse::<http::HeaderValue>()
                .map_err(|_| format!("the prefix {prefix:?} cannot be sent in a header"))?;
            secret_field(secret, form)
        }
        Authentication::HmacSha256(hmac) => check_hmac(hmac, form),
        Authentication::StandardWebhooks(secret) => secret_field(secret, form),
        Authentication::Other(other) => Err(format!(
            "this host does not know the authentication {:?}; use a host of a later version",
            text::abridge(other.name.clone())
        )),
    }
}

fn check_hmac(hmac: &WebhookHmac, form: &Form) -> Result<(), String> {
    let WebhookHmac { secret, header, encoding: _, prefix: _, parts, timestamp_header, tolerance_seconds } = hmac;
    header_name(header)?;
    if parts.len() > MAX_PARTS {
        return Err(format!("it has {} signed parts; at most {MAX_PARTS} are allowed", parts.len()));
    }
    for part in parts {
        if let SignedPart::Header(signed) = part {
            header_name(signed)?;
            if signed.eq_ignore_ascii_case(header) {
                return Err(format!("the header {header:?} holds the signature, so it cannot be signed"));
            }
        }
    }
    if !parts.contains(&SignedPart::Body) {
        return Err(
            "`body` is not among the signed parts; sign it, because an unsigned body can be replaced".to_owned()
        );
    }
    if let Some(time) = timestamp_header {
        let is_time = |part: &SignedPart| matches!(part, SignedPart::Header(name) if name.eq_ignore_ascii_case(time));
        if !parts.iter().any(is_time) {
            return Err(format!(
                "the timestamp header {time:?} is not among the signed parts, so that it can be replaced"
            ));
        }
        if !(1..=MAX_TOLERANCE_SECONDS).contains(tolerance_seconds) {
            return Err(format!("tolerance-seconds is {tolerance_seconds}; use 1 to {MAX_TOLERANCE_SECONDS}"));
        }
    }
    secret_field(secret, form)
}

fn header_name(header: &str) -> Result<(), String> {
    let invalid = |_| format!("{:?} is not a header name", text::abridge(header.to_owned()));
    header.parse::<HeaderName>().map(drop).map_err(invalid)
}

/// Checks that a setting is a secret, and that its form declares that it authenticates webhooks.
fn secret_field(name: &str, form: &Form) -> Result<(), String> {
    match form.field(name) {
        Some(field) if field.kind == "secret" => {
            match SecretUse::of(field).any(|declared| declared == SecretUse::Webhook) {
                true => Ok(()),
                false => Err(format!(
                    "its requests are verified with the secret {name:?}; add \"webhook\" to the uses of that field"
                )),
            }
        }
        _ => Err(format!(
            "its requests are verified with {:?}, which is not a secret field of the form",
            text::abridge(name.to_owned())
        )),
    }
}

impl SignatureEncoding {
    /// Decodes a signature. Returns `None` unless it is spelled canonically: hex digits in one case, or base64 without
    /// stray bits, with padding unless it is base64 for URLs. If several spellings of one signature were accepted, a
    /// changed request could pass for a new one.
    pub fn decode(self, written: &str) -> Option<[u8; 32]> {
        let bytes = match self {
            Self::Hex => {
                let has = |case: fn(&u8) -> bool| written.as_bytes().iter().any(case);
                if has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) {
                    return None;
                }
                hex::decode(written).ok()?
            }
            Self::Base64 => STANDARD.decode(written).ok()?,
            Self::Base64url => match written.ends_with('=') {
                true => URL_SAFE.decode(written).ok()?,
                false => URL_SAFE_NO_PAD.decode(written).ok()?,
            },
        };
        bytes.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Field, Message, NamedJson, WebhookMode};
    use crate::settings::testing::field;

    fn form() -> Form {
        let token = Field { uses: vec!["bearer".to_owned()], ..field("token", "secret") };
        Form(vec![field("signing-secret", "secret"), field("name", "text"), token])
    }

    fn endpoint(authentication: Authentication) -> WebhookEndpoint {
        WebhookEndpoint {
            name: "done".to_owned(),
            title: Message { key: "done".to_owned(), parameters: Vec::new(), text: "Done".to_owned() },
            mode: WebhookMode::Delivery,
            authentication,
            delivery_id_header: None,
            networks: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn hmac(change: impl FnOnce(&mut WebhookHmac)) -> WebhookEndpoint {
        let mut hmac = WebhookHmac {
            secret: "signing-secret".to_owned(),
            header: "X-Signature".to_owned(),
            encoding: SignatureEncoding::Hex,
            prefix: String::new(),
            parts: vec![SignedPart::Header("X-Time".to_owned()), SignedPart::Text(".".to_owned()), SignedPart::Body],
            timestamp_header: Some("x-time".to_owned()),
            tolerance_seconds: 300,
        };
        change(&mut hmac);
        endpoint(Authentication::HmacSha256(hmac))
    }

    fn secret_header(secret: &str, header: &str, prefix: &str) -> WebhookEndpoint {
        let (secret, header, prefix) = (secret.to_owned(), header.to_owned(), prefix.to_owned());
        endpoint(Authentication::SecretHeader(SecretHeader { secret, header, prefix }))
    }

    fn open(change: impl FnOnce(&mut WebhookEndpoint)) -> WebhookEndpoint {
        let mut endpoint = endpoint(Authentication::AddressOnly);
        change(&mut endpoint);
        endpoint
    }

    #[track_caller]
    fn refused(endpoint: WebhookEndpoint, named: &str) {
        let fault = check_endpoints(vec![endpoint], &form()).unwrap_err();
        assert!(fault.contains(named), "{named}: {fault}");
    }

    #[test]
    fn valid_endpoints_are_accepted_with_their_networks() {
        let networks = ["20.71.11.206/32", "2001:db8::/32"];
        let mut bearer = secret_header("signing-secret", "Authorization", "Bearer ");
        bearer.name = "bearer".to_owned();
        let standard = WebhookEndpoint {
            name: "standard".to_owned(),
            ..endpoint(Authentication::StandardWebhooks("signing-secret".to_owned()))
        };
        let narrow = open(|endpoint| {
            endpoint.name = "a".repeat(64);
            endpoint.networks = networks.map(str::to_owned).to_vec();
        });
        let checked = check_endpoints(vec![hmac(|_| ()), bearer, standard, narrow], &form()).unwrap();
        assert_eq!(checked[3].networks, networks.map(|network| network.parse::<IpNet>().unwrap()));
        let hidden: Vec<_> = checked.iter().map(CheckedEndpoint::secret_header).collect();
        assert_eq!(hidden, [None, Some("Authorization"), None, None]);
    }

    #[test]
    fn an_endpoint_is_named_by_1_to_64_lower_case_letters_digits_and_hyphens() {
        for name in ["", "Done", "done done", "done_1", "dön", &"a".repeat(65)] {
            refused(open(|endpoint| endpoint.name = name.to_owned()), "not a valid name");
        }
        let twice = vec![open(|_| ()), open(|_| ())];
        assert!(check_endpoints(twice, &form()).unwrap_err().contains("duplicate"));
    }

    #[test]
    fn an_endpoint_whose_requests_cannot_be_verified_is_refused() {
        for secret in ["name", "none", ""] {
            refused(hmac(|hmac| hmac.secret = secret.to_owned()), "not a secret field");
            refused(secret_header(secret, "x-key", ""), "not a secret field");
            refused(endpoint(Authentication::StandardWebhooks(secret.to_owned())), "not a secret field");
        }
        let token = || "token".to_owned();
        for endpoint in [
            hmac(|hmac| hmac.secret = token()),
            secret_header("token", "x-key", ""),
            endpoint(Authentication::StandardWebhooks(token())),
        ] {
            refused(endpoint, "add \"webhook\" to the uses");
        }
        refused(hmac(|hmac| hmac.header = "X Signature".to_owned()), "not a header name");
        refused(secret_header("signing-secret", "", ""), "not a header name");
        refused(secret_header("signing-secret", "x-key", "a\nb"), "cannot be sent");
        let other = NamedJson { name: "ed25519".to_owned(), json: "{}".to_owned() };
        refused(endpoint(Authentication::Other(other)), "does not know the authentication \"ed25519\"");
    }

    #[test]
    fn a_signature_covers_the_body_and_the_time() {
        let header = |name: &str| SignedPart::Header(name.to_owned());
        refused(hmac(|hmac| hmac.parts = vec![header("x-time"), SignedPart::Url]), "`body`");
        refused(hmac(|hmac| hmac.parts = vec![SignedPart::Body]), "timestamp header \"x-time\"");
        refused(hmac(|hmac| hmac.parts.push(header("a:b"))), "not a header name");
        refused(hmac(|hmac| hmac.parts.resize(21, SignedPart::Body)), "at most 20");
        refused(hmac(|hmac| hmac.parts.push(header("x-signature"))), "holds the signature");
        for tolerance_seconds in [0, 3601] {
            refused(hmac(|hmac| hmac.tolerance_seconds = tolerance_seconds), "tolerance-seconds");
        }
        for tolerance_seconds in [1, 3600] {
            let endpoint = hmac(|hmac| hmac.tolerance_seconds = tolerance_seconds);
            assert!(check_endpoints(vec![endpoint], &form()).is_ok(), "{tolerance_seconds}");
        }
    }

    #[test]
    fn a_delivery_is_not_identified_by_a_header_that_holds_a_secret() {
        refused(open(|endpoint| endpoint.delivery_id_header = Some("a:b".to_owned())), "not a header name");
        let mut endpoint = secret_header("signing-secret", "x-key", "");
        endpoint.delivery_id_header = Some("X-Key".to_owned());
        refused(endpoint, "holds the secret");
    }

    #[test]
    fn networks_are_ranges_of_ip_addresses() {
        for range in ["", "192.0.2.1", "192.0.2.0/33", "vendor.example", "192.0.2.0-192.0.2.9"] {
            refused(open(|endpoint| endpoint.networks = vec![range.to_owned()]), "not a range");
        }
    }

    #[test]
    fn a_signature_has_one_spelling_in_each_encoding() {
        use SignatureEncoding::{Base64, Base64url, Hex};
        let bytes = [0xfb; 32];
        let (lower, upper) = ("fb".repeat(32), "FB".repeat(32));
        let standard = STANDARD.encode(bytes);
        let (padded, bare) = (URL_SAFE.encode(bytes), URL_SAFE_NO_PAD.encode(bytes));
        let accepted = [(Hex, &lower), (Hex, &upper), (Base64, &standard), (Base64url, &padded), (Base64url, &bare)];
        for (encoding, written) in accepted {
            assert_eq!(encoding.decode(written), Some(bytes), "{encoding:?} {written}");
        }
        let mixed = format!("fB{}", "fb".repeat(31));
        let stray = format!("{}t", &bare[..bare.len() - 1]);
        let refused = [
            (Hex, &mixed),
            (Hex, &standard),
            (Base64, &padded),
            (Base64, &bare),
            (Base64url, &standard),
            (Base64url, &stray),
            (Base64url, &lower),
        ];
        for (encoding, written) in refused {
            assert_eq!(encoding.decode(written), None, "{encoding:?} {written}");
        }
    }
}
