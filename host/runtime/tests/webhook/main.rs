//! Verification of webhooks, the refusal of all others, and the resolution of webhook URLs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod address;
mod bits;
mod hmac;
mod secret_header;
mod standard;
mod verifier;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::types::{Authentication, SignatureEncoding, SignedPart, WebhookHmac};
use cartwright::webhook::{IncomingRequest, Refusal, Verifier};
use cartwright::{AccountSecret, Secret, Secrets};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const NOW: u64 = 1_614_265_330;

fn unix_time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn headers(all: &[(&str, &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&str, &[u8])| {
        let name: HeaderName = name.parse().expect("a header name");
        (name, HeaderValue::from_bytes(value).expect("a header's value"))
    };
    all.iter().map(pair).collect()
}

fn post(all: &[(&str, &str)], body: &[u8]) -> IncomingRequest {
    let all: Vec<(&str, &[u8])> = all.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    IncomingRequest {
        method: Method::POST,
        url: Secret::new("https://shop.example/webhooks/t0ken?a=b"),
        headers: headers(&all),
        query: String::new(),
        body: body.to_vec().into(),
        from: None,
        at: unix_time(NOW),
    }
}

fn secrets(value: &str) -> Secrets {
    let secret = AccountSecret { value: Secret::new(value), authorized_hosts: BTreeSet::new() };
    Secrets::from([("signing-secret".to_owned(), secret)])
}

/// Returns an endpoint like Shopify's.
fn shopify() -> WebhookHmac {
    WebhookHmac {
        secret: "signing-secret".to_owned(),
        header: "X-Shopify-Hmac-Sha256".to_owned(),
        encoding: SignatureEncoding::Base64,
        prefix: String::new(),
        parts: vec![SignedPart::Body],
        timestamp_header: None,
        tolerance_seconds: 300,
    }
}

/// Returns an endpoint whose signature is `sha256=` and hex, over a time, a dot and the body.
fn timed() -> WebhookHmac {
    WebhookHmac {
        header: "x-signature".to_owned(),
        encoding: SignatureEncoding::Hex,
        prefix: "sha256=".to_owned(),
        parts: vec![SignedPart::Header("X-Time".to_owned()), SignedPart::Text(".".to_owned()), SignedPart::Body],
        timestamp_header: Some("x-time".to_owned()),
        ..shopify()
    }
}

fn admit(authentication: &Authentication, secret: &str, incoming: &IncomingRequest) -> Result<(), Refusal> {
    let secrets = secrets(secret);
    let verifier =
        Verifier { authentication, secrets: &secrets, networks: &[], vendor_networks: &[], max_body_bytes: 1 << 20 };
    verifier.admit(incoming)
}
