//! A flipped bit anywhere in the signed data or in the signature is detected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::types::Authentication;
use cartwright::webhook::IncomingRequest;
use hmac::{Hmac, Mac};
use http::HeaderValue;
use proptest::prelude::*;
use sha2::Sha256;

use crate::{NOW, admit, post, shopify, timed};

fn sign(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Returns a signed request, with the relevant headers.
fn signed(
    scheme: usize,
    secret: &[u8; 24],
    id: &str,
    body: &[u8],
) -> (Authentication, String, IncomingRequest, Vec<&'static str>) {
    let time = NOW.to_string();
    let key = hex::encode(secret);
    match scheme {
        0 => {
            let signature = STANDARD.encode(sign(key.as_bytes(), &[body]));
            let headers = vec!["x-shopify-hmac-sha256"];
            let incoming = post(&[("x-shopify-hmac-sha256", &signature)], body);
            (Authentication::HmacSha256(shopify()), key, incoming, headers)
        }
        1 => {
            let signature = hex::encode(sign(key.as_bytes(), &[time.as_bytes(), b".", body]));
            let incoming = post(&[("x-signature", &format!("sha256={signature}")), ("x-time", &time)], body);
            (Authentication::HmacSha256(timed()), key, incoming, vec!["x-signature", "x-time"])
        }
        _ => {
            let signature = STANDARD.encode(sign(secret, &[id.as_bytes(), b".", time.as_bytes(), b".", body]));
            let headers = vec!["webhook-id", "webhook-timestamp", "webhook-signature"];
            let all =
                [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &format!("v1,{signature}"))];
            let authentication = Authentication::StandardWebhooks("signing-secret".to_owned());
            (authentication, format!("whsec_{}", STANDARD.encode(secret)), post(&all, body), headers)
        }
    }
}

/// Returns the request with one bit flipped, or `None` if HTTP has no header with that value.
fn flipped(incoming: &IncomingRequest, headers: &[&'static str], bit: usize) -> Option<IncomingRequest> {
    let mut changed = incoming.clone();
    let mut bit = bit;
    for header in headers {
        let mut value = incoming.headers[*header].as_bytes().to_vec();
        if bit < value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            changed.headers.insert(*header, HeaderValue::from_bytes(&value).ok()?);
            return Some(changed);
        }
        bit -= value.len() * 8;
    }
    let mut body = incoming.body.to_vec();
    body[bit / 8] ^= 1 << (bit % 8);
    changed.body = body.into();
    Some(changed)
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_is_refused(
        scheme in 0..3_usize,
        secret in any::<[u8; 24]>(),
        id in "[!-~]{1,40}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
    ) {
        let (authentication, secret, incoming, headers) = signed(scheme, &secret, &id, &body);
        prop_assert_eq!(admit(&authentication, &secret, &incoming), Ok(()));
        let bits = headers.iter().map(|header| incoming.headers[*header].len()).sum::<usize>() + body.len();
        if let Some(changed) = flipped(&incoming, &headers, place.index(bits * 8)) {
            prop_assert!(admit(&authentication, &secret, &changed).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_of_the_secret_is_refused(scheme in 0..3_usize, secret in any::<[u8; 24]>(), bit in 0..192_usize) {
        let (authentication, _, incoming, _) = signed(scheme, &secret, "id", b"{}");
        let mut other = secret;
        other[bit / 8] ^= 1 << (bit % 8);
        let (_, other, _, _) = signed(scheme, &other, "id", b"{}");
        prop_assert!(admit(&authentication, &other, &incoming).is_err());
    }
}
