//! Fuzz targets for everything that reads untrusted bytes.
//!
//! Each function accepts any bytes and panics if a promise is broken: if the reader panics, reads one input in two
//! ways, or accepts what it must reject. `fuzz_targets/` makes a libFuzzer program of each; `tests/corpus.rs` replays
//! `corpus/` in every test run. `just fuzz TARGET` fuzzes one.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::types::{Authentication, SecretHeader, SignatureEncoding, SignedPart, WebhookHmac};
use cartwright::webhook::{IncomingRequest, Verifier};
use cartwright::{AccountSecret, CartLine, ProductLink, Secret, Secrets, Visitor};
use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::types::{self as plugin_types, Context, Currency, Rounding, Setting, SettingValue, Shop};
use cartwright_service::links_table::{self, TableFor};
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue, Method};
use sha2::Sha256;

/// A fuzz target: its name, which is also the name of its corpus folder, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("api_body", api_body),
    ("canonical_json", canonical_json),
    ("decode_expivi", decode_expivi),
    ("decode_twikit", decode_twikit),
    ("links_csv", links_csv),
    ("thumbnail", thumbnail),
    ("webhook", webhook),
];

/// Reads a body as each record that a shopper or an integrator sends: reading and writing it again yields the same.
pub fn api_body(data: &[u8]) {
    fn round<T: serde::de::DeserializeOwned + serde::Serialize>(data: &[u8]) {
        let Ok(read) = serde_json::from_slice::<T>(data) else { return };
        let written = serde_json::to_value(&read).expect("what was read can be written");
        let again: T = serde_json::from_value(written.clone()).expect("what was written can be read");
        assert_eq!(serde_json::to_value(&again).expect("what was read can be written"), written);
    }
    round::<CartLine>(data);
    round::<Vec<CartLine>>(data);
    round::<ProductLink>(data);
    round::<Visitor>(data);
}

/// Canonicalizes JSON for hashing: canonicalizing it again changes nothing.
pub fn canonical_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(Some(canonical)) = cartwright::fuzzing::canonical_json(text) else { return };
    let again = std::str::from_utf8(&canonical).expect("a canonical form is text");
    let again = cartwright::fuzzing::canonical_json(again).expect("a canonical form is JSON with one meaning");
    assert_eq!(again.as_deref(), Some(&canonical[..]), "it is its own canonical form");
}

/// Decodes a saved configuration with Expivi's plugin.
pub fn decode_expivi(data: &[u8]) {
    let (context, product_link) = (context(&[]), product_link("1001"));
    let decode = || cartwright_expivi::decode(&context, &product_link, data);
    check_decoded(decode().ok(), decode().ok());
}

/// Decodes a saved configuration with Twikit's plugin.
pub fn decode_twikit(data: &[u8]) {
    let keys = Setting { name: "product-keys".to_owned(), value: SettingValue::Texts(vec!["jewel".to_owned()]) };
    let (context, product_link) = (context(&[keys]), product_link("jewel"));
    let decode = || cartwright_twikit::decode::decode(&context, &product_link, data);
    check_decoded(decode().ok(), decode().ok());
}

/// Checks that a decoder is deterministic, and that no text in its result contains a NUL, which a database cannot
/// store.
fn check_decoded(first: Option<DecodeResult>, second: Option<DecodeResult>) {
    let Some(decoded) = first else { return };
    assert_eq!(format!("{decoded:?}"), format!("{:?}", second.expect("it was decoded before")));
    for item in &decoded.items {
        let names = [&item.id, &item.parent, &item.sku, &item.saved_id].into_iter().flatten();
        let articles =
            item.articles.iter().flat_map(|article| [Some(&article.sku), article.price_sku.as_ref()]).flatten();
        let attributes = item.attributes.iter().flat_map(|attribute| [&attribute.id, &attribute.value]);
        for text in names.chain(articles).chain(attributes).chain([&item.vendor_product]) {
            assert!(!text.contains('\0'), "{text:?} holds a NUL");
        }
    }
}

/// Reads a table of product links: writing and reading it again yields the same.
pub fn links_csv(data: &[u8]) {
    let Ok(links) = links_table::read(data) else { return };
    let table = links_table::write(&links, TableFor::Program).expect("links can be written");
    let again = links_table::read(&table).expect("its own table can be read");
    let json = |links: &[ProductLink]| serde_json::to_value(links).expect("links can be written");
    assert_eq!(json(&again), json(&links));
}

/// Extracts a picture from a configuration and decodes it.
pub fn thumbnail(data: &[u8]) {
    cartwright::fuzzing::thumbnail(data);
}

/// Verifies a webhook. The first line is a header's value and the rest is the body; a signed body is accepted, and one
/// with another last byte is rejected.
pub fn webhook(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, body) = (&data[..split], data.get(split + 1..).unwrap_or_default());
    let secret = AccountSecret { value: Secret::new("made-up-secret"), authorized_hosts: BTreeSet::new() };
    let secrets = Secrets::from([("secret".to_owned(), secret)]);
    let signed = WebhookHmac {
        secret: "secret".to_owned(),
        header: "x-signature".to_owned(),
        encoding: SignatureEncoding::Base64,
        prefix: String::new(),
        parts: vec![SignedPart::Body],
        timestamp_header: None,
        tolerance_seconds: 300,
    };
    let timed = WebhookHmac {
        encoding: SignatureEncoding::Hex,
        parts: vec![SignedPart::Header("x-time".to_owned()), SignedPart::Url, SignedPart::Method, SignedPart::Body],
        timestamp_header: Some("x-time".to_owned()),
        ..signed.clone()
    };
    let url_safe = WebhookHmac { encoding: SignatureEncoding::Base64url, ..signed.clone() };
    let header = SecretHeader { secret: "secret".to_owned(), header: "x-signature".to_owned(), prefix: String::new() };
    let hmac = Authentication::HmacSha256(signed);
    let ways = [
        hmac.clone(),
        Authentication::HmacSha256(timed),
        Authentication::HmacSha256(url_safe),
        Authentication::StandardWebhooks("secret".to_owned()),
    ];
    let admitted = |authentication: &Authentication, names: &[&'static str], value: &[u8], body: &[u8]| {
        let Ok(value) = HeaderValue::from_bytes(value) else { return None };
        let headers: HeaderMap =
            names.iter().map(|name| (http::HeaderName::from_static(name), value.clone())).collect();
        let incoming = IncomingRequest {
            method: Method::POST,
            url: Secret::new("https://shop.example/webhooks/t0ken"),
            headers,
            query: String::from_utf8_lossy(head).into_owned(),
            body: body.to_vec().into(),
            from: None,
            at: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let (networks, vendor_networks) = (&[], &[]);
        let verifier =
            Verifier { authentication, secrets: &secrets, networks, vendor_networks, max_body_bytes: 1 << 20 };
        Some(verifier.admit(&incoming).is_ok())
    };
    let names = ["x-signature", "x-time", "webhook-id", "webhook-timestamp", "webhook-signature"];
    for way in &ways {
        assert_ne!(admitted(way, &names, head, body), Some(true), "a guessed signature was accepted");
    }
    let is_secret = head == b"made-up-secret";
    let header = admitted(&Authentication::SecretHeader(header), &names[..1], head, body);
    assert!(header.is_none_or(|admitted| admitted == is_secret), "only the secret itself is accepted");
    if head.len() + body.len() > 32 << 10 {
        return;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(b"made-up-secret").expect("any key will do");
    mac.update(body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(admitted(&hmac, &names[..1], signature.as_bytes(), body), Some(true));
    if let Some((last, rest)) = body.split_last() {
        let changed = [rest, &[last ^ 1]].concat();
        assert_eq!(admitted(&hmac, &names[..1], signature.as_bytes(), &changed), Some(false));
    }
    let request = cartwright_plugin::exports::webhooks::WebhookRequest {
        id: "1".to_owned(),
        received_at: "2026-03-01T09:30:00Z".to_owned(),
        method: "POST".to_owned(),
        headers: Vec::new(),
        query: String::new(),
        body: body.to_vec(),
        extra: Vec::new(),
    };
    for endpoint in cartwright_twikit::webhooks::endpoints() {
        let received = cartwright_twikit::webhooks::receive(&context(&[]), &endpoint.name, &request, &|_| Ok(None));
        assert!(received.is_ok(), "a known endpoint answers every body");
    }
}

fn context(settings: &[Setting]) -> Context {
    Context {
        shop: Shop {
            id: "shop".into(),
            currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "account".into(),
        visitor: Some(plugin_types::Visitor {
            currency: Currency { code: "EUR".into(), scale: 2 },
            country: None,
            region: None,
            customer_groups: Vec::new(),
        }),
        locale: "en".into(),
        now: "2026-03-01T09:30:00Z".into(),
        settings: settings.to_vec(),
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

fn product_link(vendor_product: &str) -> plugin_types::ProductLink {
    plugin_types::ProductLink {
        shop_product: "product".into(),
        vendor_product: vendor_product.into(),
        additional_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: Vec::new(),
        extra: Vec::new(),
    }
}
