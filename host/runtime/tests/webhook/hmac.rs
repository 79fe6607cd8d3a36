//! HMAC-SHA-256 over parts of the request.

use cartwright::Secrets;
use cartwright::types::{Authentication, SignatureEncoding, SignedPart, WebhookHmac};
use cartwright::webhook::{HeaderFault, IncomingRequest, Refusal, Verifier};
use hmac::{Hmac, Mac};
use http::{HeaderValue, Method};
use sha2::Sha256;

use crate::{NOW, admit, headers, post, shopify, timed, unix_time};

type Head<'a> = &'a [(&'a str, &'a [u8])];

const SECRET: &str = "test_secret_key";
const BODY: &[u8] = br#"{"foo": "bar"}"#;
const SIGNATURE: &str = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=";

fn sample() -> IncomingRequest {
    post(&[("x-shopify-hmac-sha256", SIGNATURE)], BODY)
}

fn verify(incoming: &IncomingRequest) -> Result<(), Refusal> {
    admit(&Authentication::HmacSha256(shopify()), SECRET, incoming)
}

fn hex_of(secret: &str, message: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    hex::encode(mac.chain_update(message).finalize().into_bytes())
}

/// Returns a request that is signed at this time, as [`timed`] declares.
fn signed(time: &str) -> IncomingRequest {
    let message = [time.as_bytes(), b".", BODY].concat();
    post(&[("x-signature", &format!("sha256={}", hex_of(SECRET, &message))), ("x-time", time)], BODY)
}

fn admit_timed(incoming: &IncomingRequest) -> Result<(), Refusal> {
    admit(&Authentication::HmacSha256(timed()), SECRET, incoming)
}

#[test]
fn shopifys_sample_is_accepted() {
    assert_eq!(verify(&sample()), Ok(()));
}

#[test]
fn the_test_cases_of_rfc_4231_are_accepted() {
    let plain = WebhookHmac { encoding: SignatureEncoding::Hex, ..shopify() };
    let counted: String = (1..=25_u8).map(char::from).collect();
    let cases: [(&str, &[u8], &str); 3] = [
        (&"\u{b}".repeat(20), b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ("Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (&counted, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    ];
    for (key, data, signature) in cases {
        let authentication = Authentication::HmacSha256(plain.clone());
        let upper = signature.to_uppercase();
        for written in [signature, &upper] {
            let incoming = post(&[("x-shopify-hmac-sha256", written)], data);
            assert_eq!(admit(&authentication, key, &incoming), Ok(()), "{written}");
        }
    }
}

#[test]
fn a_body_that_changed_by_one_byte_is_refused() {
    let bodies: [&[u8]; 5] =
        [br#"{"foo": "baz"}"#, br#"{"foo":"bar"}"#, br#"{"foo": "bar"} "#, br#"{"foo": "bar""#, b""];
    for body in bodies {
        let refusal = verify(&IncomingRequest { body: body.to_vec().into(), ..sample() }).expect_err("another body");
        assert!(matches!(refusal, Refusal::WrongSignature { .. }), "{refusal}");
    }
}

#[test]
fn a_signature_of_another_secret_is_refused() {
    let authentication = Authentication::HmacSha256(shopify());
    for secret in ["test_secret_kez", "test_secret_key ", "Test_secret_key", "x"] {
        let refusal = admit(&authentication, secret, &sample()).expect_err("another secret");
        assert!(matches!(refusal, Refusal::WrongSignature { .. }), "{refusal}");
    }
}

#[test]
fn without_a_secret_every_request_is_refused_and_the_refusal_names_the_secret() {
    let authentication = Authentication::HmacSha256(shopify());
    let missing = Refusal::NoSecret("signing-secret".to_owned());
    let none = Secrets::new();
    let verifier = Verifier {
        authentication: &authentication,
        secrets: &none,
        networks: &[],
        vendor_networks: &[],
        max_body_bytes: 1000,
    };
    assert_eq!(verifier.admit(&sample()), Err(missing.clone()));
    // An empty key would let any sender sign.
    let forged = post(&[("x-signature", &hex_of("", BODY))], BODY);
    let plain = WebhookHmac { header: "x-signature".to_owned(), encoding: SignatureEncoding::Hex, ..shopify() };
    assert_eq!(admit(&Authentication::HmacSha256(plain), "", &forged), Err(missing.clone()));
    assert!(missing.to_string().contains("\"signing-secret\""), "{missing}");
}

#[test]
fn a_header_that_is_not_as_it_must_be_is_refused() {
    let name = "x-shopify-hmac-sha256";
    let without_padding = SIGNATURE.trim_end_matches('=');
    let (in_hex, twice) = (hex_of(SECRET, BODY), format!("{SIGNATURE}{SIGNATURE}"));
    let cases: [(Head<'_>, HeaderFault); 9] = [
        (&[], HeaderFault::Missing),
        (&[(name, b"")], HeaderFault::Missing),
        (&[(name, SIGNATURE.as_bytes()), (name, SIGNATURE.as_bytes())], HeaderFault::Repeated),
        (&[(name, b"\xff\xfe")], HeaderFault::NotText),
        (&[(name, without_padding.as_bytes())], HeaderFault::Encoding),
        (&[(name, &SIGNATURE.as_bytes()[..40])], HeaderFault::Encoding),
        (&[(name, b"B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7h=")], HeaderFault::Encoding),
        (&[(name, in_hex.as_bytes())], HeaderFault::Encoding),
        (&[(name, twice.as_bytes())], HeaderFault::Encoding),
    ];
    for (all, fault) in cases {
        let header = "X-Shopify-Hmac-Sha256".to_owned();
        let refusal = Refusal::Header { header, fault };
        assert_eq!(verify(&IncomingRequest { headers: headers(all), ..sample() }), Err(refusal), "{all:?}");
    }
}

#[test]
fn a_declared_prefix_is_required() {
    let with = WebhookHmac { parts: vec![SignedPart::Body], timestamp_header: None, ..timed() };
    let with = Authentication::HmacSha256(with);
    let signature = hex_of(SECRET, BODY);
    let right = post(&[("x-signature", &format!("sha256={signature}"))], BODY);
    assert_eq!(admit(&with, SECRET, &right), Ok(()));
    for wrong in [signature.clone(), format!("sha1={signature}"), format!("SHA256={signature}")] {
        let refusal = admit(&with, SECRET, &post(&[("x-signature", &wrong)], BODY)).expect_err("another prefix");
        assert!(matches!(refusal, Refusal::Header { fault: HeaderFault::Prefix, .. }), "{refusal}");
    }
}

#[test]
fn the_parts_are_signed_one_after_the_other() {
    let text = |text: &str| SignedPart::Text(text.to_owned());
    let parts = vec![
        SignedPart::Method,
        text("\n"),
        SignedPart::Url,
        text("\n"),
        SignedPart::Header("X-Id".to_owned()),
        text("."),
        SignedPart::Body,
    ];
    let hmac = WebhookHmac { header: "x-signature".to_owned(), encoding: SignatureEncoding::Hex, parts, ..shopify() };
    let authentication = Authentication::HmacSha256(hmac);
    let url = "https://shop.example/webhooks/t0ken?a=b";
    let message = [&b"POST\n"[..], url.as_bytes(), b"\n7.", BODY].concat();
    let signature = hex_of(SECRET, &message);
    let signed = post(&[("x-signature", &signature), ("x-id", "7")], BODY);
    assert_eq!(admit(&authentication, SECRET, &signed), Ok(()));
    // The URL is the one that the vendor was given, whatever a proxy made of it.
    let elsewhere = cartwright::Secret::new("http://10.0.0.1/webhooks/t0ken?a=b");
    let mut other_id = signed.clone();
    other_id.headers.insert("x-id", HeaderValue::from_static("8"));
    let changed = [
        IncomingRequest { method: Method::PUT, ..signed.clone() },
        IncomingRequest { url: elsewhere, ..signed.clone() },
        IncomingRequest { body: b"{}".to_vec().into(), ..signed.clone() },
        other_id,
    ];
    for incoming in changed {
        let refusal = admit(&authentication, SECRET, &incoming).expect_err("another part");
        assert!(matches!(refusal, Refusal::WrongSignature { .. }), "{refusal}");
    }
    let mut twice = signed.clone();
    twice.headers.append("x-id", HeaderValue::from_static("7"));
    let mut without = signed;
    without.headers.remove("x-id");
    for (incoming, fault) in [(twice, HeaderFault::Repeated), (without, HeaderFault::Missing)] {
        let refusal = Refusal::Header { header: "X-Id".to_owned(), fault };
        assert_eq!(admit(&authentication, SECRET, &incoming), Err(refusal));
    }
}

#[test]
fn the_tolerance_of_a_signed_time_is_the_declared_one() {
    let authentication = Authentication::HmacSha256(WebhookHmac { tolerance_seconds: 10, ..timed() });
    assert_eq!(admit(&authentication, SECRET, &signed(&(NOW - 10).to_string())), Ok(()));
    let late = signed(&(NOW - 11).to_string());
    assert_eq!(admit(&authentication, SECRET, &late), Err(Refusal::TimestampTooOld(11)));
}

#[test]
fn a_signed_time_may_be_five_minutes_off() {
    for time in [NOW - 300, NOW - 1, NOW, NOW + 1, NOW + 300] {
        assert_eq!(admit_timed(&signed(&time.to_string())), Ok(()), "{time}");
    }
    assert_eq!(admit_timed(&signed(&(NOW - 301).to_string())), Err(Refusal::TimestampTooOld(301)));
    assert_eq!(admit_timed(&signed(&(NOW + 301).to_string())), Err(Refusal::TimestampInFuture(301)));
    assert_eq!(admit_timed(&signed("0")), Err(Refusal::TimestampTooOld(NOW)));
    assert_eq!(admit_timed(&signed(&u64::MAX.to_string())), Err(Refusal::TimestampInFuture(u64::MAX - NOW)));
}

#[test]
fn the_same_request_sent_again_later_is_refused() {
    let first = signed(&NOW.to_string());
    assert_eq!(admit_timed(&first), Ok(()));
    assert_eq!(admit_timed(&IncomingRequest { at: unix_time(NOW + 301), ..first }), Err(Refusal::TimestampTooOld(301)));
}

#[test]
fn a_time_that_was_not_signed_is_refused() {
    let mut moved = signed(&(NOW - 1000).to_string());
    moved.headers.insert("x-time", HeaderValue::from(NOW));
    let refusal = admit_timed(&moved).expect_err("another time");
    assert!(matches!(refusal, Refusal::WrongSignature { .. }), "{refusal}");
    // Signed over the body alone, as if there were no time.
    let without = post(&[("x-signature", &format!("sha256={}", hex_of(SECRET, BODY))), ("x-time", "1614265330")], BODY);
    let refusal = admit_timed(&without).expect_err("no time");
    assert!(matches!(refusal, Refusal::WrongSignature { .. }), "{refusal}");
}

#[test]
fn a_time_that_is_none_is_refused() {
    let times =
        ["-1", "+1614265330", "1614265330.5", "2021-02-25T15:02:10Z", " 1614265330", "0x1", "99999999999999999999"];
    for time in times {
        let fault = Refusal::Header { header: "x-time".to_owned(), fault: HeaderFault::Time };
        assert_eq!(admit_timed(&signed(time)), Err(fault), "{time}");
    }
    let mut missing = signed("1614265330");
    missing.headers.remove("x-time");
    let fault = Refusal::Header { header: "x-time".to_owned(), fault: HeaderFault::Missing };
    assert_eq!(admit_timed(&missing), Err(fault));
}
