//! Standard Webhooks.

use cartwright::Secret;
use cartwright::types::Authentication;
use cartwright::webhook::{HeaderFault, IncomingRequest, Refusal, SigningError, new_standard_secret, sign_standard};
use http::HeaderValue;

use crate::{NOW, admit, post, unix_time};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn sample() -> IncomingRequest {
    let time = NOW.to_string();
    post(&[("webhook-id", ID), ("webhook-timestamp", &time), ("webhook-signature", SIGNATURE)], BODY)
}

fn with(header: &'static str, value: &str) -> IncomingRequest {
    let mut incoming = sample();
    incoming.headers.insert(header, HeaderValue::from_str(value).expect("a header's value"));
    incoming
}

fn verify(incoming: &IncomingRequest) -> Result<(), Refusal> {
    admit_with(SECRET, incoming)
}

fn admit_with(secret: &str, incoming: &IncomingRequest) -> Result<(), Refusal> {
    admit(&Authentication::StandardWebhooks("signing-secret".to_owned()), secret, incoming)
}

fn is_wrong(answer: &Result<(), Refusal>) -> bool {
    matches!(answer, Err(Refusal::WrongSignature { .. }))
}

#[test]
fn what_the_host_signs_is_the_documented_sample() {
    let signed = |secrets: &[Secret]| sign_standard(secrets, ID, NOW, BODY);
    assert_eq!(signed(&[Secret::new(SECRET)]).as_deref(), Ok(SIGNATURE));
    let new = new_standard_secret().expect("random numbers");
    let both = signed(&[new.clone(), Secret::new(SECRET)]).expect("signatures");
    let [first, second] = both.split(' ').collect::<Vec<_>>()[..] else { panic!("{both}") };
    assert_eq!(second, SIGNATURE);
    let secret = std::str::from_utf8(new.expose()).expect("text");
    assert_eq!(admit_with(secret, &with("webhook-signature", first)), Ok(()));
    assert_ne!(new, new_standard_secret().expect("random numbers"));
    assert_eq!(signed(&[Secret::new("whsec_")]), Err(SigningError));
}

#[test]
fn the_documented_sample_is_accepted() {
    assert_eq!(verify(&sample()), Ok(()));
    assert_eq!(admit_with("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &sample()), Ok(()));
    assert_eq!(admit_with(&format!(" {SECRET}\n"), &sample()), Ok(()));
}

#[test]
fn one_good_signature_among_several_is_enough() {
    let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for several in
        [format!("{other} {SIGNATURE}"), format!("{SIGNATURE} {other}"), format!("v1a,abc  {SIGNATURE} v2,x")]
    {
        assert_eq!(verify(&with("webhook-signature", &several)), Ok(()), "{several}");
    }
    assert!(is_wrong(&verify(&with("webhook-signature", &format!("{other} {other}")))));
}

#[test]
fn only_version_one_counts() {
    let bare = SIGNATURE.trim_start_matches("v1,");
    for signature in ["v1a,", "v2,", "V1,", "v1", "v1, ", "", "v1=", "v11,"].map(|version| format!("{version}{bare}")) {
        assert!(is_wrong(&verify(&with("webhook-signature", &signature))), "{signature}");
    }
}

#[test]
fn a_signature_that_was_cut_short_is_refused() {
    for length in 1..SIGNATURE.len() {
        assert!(is_wrong(&verify(&with("webhook-signature", &SIGNATURE[..length]))), "{length}");
    }
}

#[test]
fn a_request_that_was_changed_after_signing_is_refused() {
    assert!(is_wrong(&verify(&with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJel"))));
    assert!(is_wrong(&verify(&with("webhook-timestamp", "1614265331"))));
    for body in [&b""[..], br#"{"test": 2432232315}"#, br#"{"test":2432232314}"#, b"{\"test\": 2432232314}\n"] {
        assert!(is_wrong(&verify(&IncomingRequest { body: body.to_vec().into(), ..sample() })));
    }
    // Text must not be moved across the dot between id and time.
    let mut moved = with("webhook-id", &format!("{ID}.{NOW}"));
    moved.headers.insert("webhook-timestamp", HeaderValue::from_static("1614265330"));
    assert!(is_wrong(&verify(&moved)));
}

#[test]
fn a_request_that_is_more_than_five_minutes_off_is_refused() {
    for second in [NOW - 300, NOW + 300] {
        assert_eq!(verify(&IncomingRequest { at: unix_time(second), ..sample() }), Ok(()));
    }
    assert_eq!(verify(&IncomingRequest { at: unix_time(NOW + 301), ..sample() }), Err(Refusal::TimestampTooOld(301)));
    assert_eq!(verify(&IncomingRequest { at: unix_time(NOW - 301), ..sample() }), Err(Refusal::TimestampInFuture(301)));
}

#[test]
fn a_missing_or_repeated_header_is_refused() {
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let fault = |fault| Err(Refusal::Header { header: header.to_owned(), fault });
        let (mut missing, mut replayed, mut strange) = (sample(), sample(), sample());
        missing.headers.remove(header);
        assert_eq!(verify(&missing), fault(HeaderFault::Missing));
        let value = replayed.headers[header].clone();
        replayed.headers.append(header, value);
        assert_eq!(verify(&replayed), fault(HeaderFault::Repeated));
        strange.headers.insert(header, HeaderValue::from_bytes(b"\xe9\xff").expect("a header's value"));
        assert_eq!(verify(&strange), fault(HeaderFault::NotText));
    }
}

#[test]
fn another_secret_is_refused_and_one_that_is_none_is_named() {
    assert!(is_wrong(&admit_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", &sample())));
    for none in ["whsec_", "whsec_not base64!", "whsec_é", "   "] {
        assert_eq!(admit_with(none, &sample()), Err(Refusal::InvalidSecret("signing-secret".to_owned())), "{none:?}");
    }
    assert_eq!(admit_with("", &sample()), Err(Refusal::NoSecret("signing-secret".to_owned())));
}
