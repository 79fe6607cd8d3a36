//! A secret in a header.

use cartwright::types::{Authentication, SecretHeader};
use cartwright::webhook::{HeaderFault, IncomingRequest, Refusal};

use crate::{admit, headers, post};

const SECRET: &str = "s3cret-77aa";

/// Returns an endpoint whose requests have the secret as a bearer token.
fn bearer() -> Authentication {
    Authentication::SecretHeader(SecretHeader {
        secret: "signing-secret".to_owned(),
        header: "Authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    })
}

fn verify(incoming: &IncomingRequest) -> Result<(), Refusal> {
    admit(&bearer(), SECRET, incoming)
}

fn sent(value: &str) -> IncomingRequest {
    post(&[("authorization", value)], b"{}")
}

#[test]
fn the_secret_behind_its_prefix_is_accepted() {
    assert_eq!(verify(&sent("Bearer s3cret-77aa")), Ok(()));
    let bare = SecretHeader { secret: "signing-secret".to_owned(), header: "x-key".to_owned(), prefix: String::new() };
    let bare = Authentication::SecretHeader(bare);
    assert_eq!(admit(&bare, SECRET, &post(&[("x-key", SECRET)], b"{}")), Ok(()));
}

#[test]
fn any_other_secret_is_refused() {
    for value in ["Bearer s3cret-77ab", "Bearer s3cret-77a", "Bearer s3cret-77aaa", "Bearer S3CRET-77AA", "Bearer  "] {
        let refusal = verify(&sent(value)).expect_err(value);
        assert!(matches!(refusal, Refusal::WrongSecret { .. }), "{value}: {refusal}");
        assert!(!refusal.to_string().contains("77aa"), "{refusal}");
    }
}

#[test]
fn a_header_that_is_missing_repeated_or_has_another_prefix_is_refused() {
    let name = "authorization";
    type Headers<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Headers<'_>, HeaderFault); 5] = [
        (&[], HeaderFault::Missing),
        (&[(name, b"")], HeaderFault::Missing),
        (&[(name, b"Bearer s3cret-77aa"), (name, b"Bearer s3cret-77aa")], HeaderFault::Repeated),
        (&[(name, b"\xff")], HeaderFault::NotText),
        (&[(name, b"s3cret-77aa")], HeaderFault::Prefix),
    ];
    for (all, fault) in cases {
        let refusal = Refusal::Header { header: "Authorization".to_owned(), fault };
        assert_eq!(verify(&IncomingRequest { headers: headers(all), ..sent("") }), Err(refusal), "{all:?}");
    }
}

#[test]
fn without_a_secret_every_request_is_refused() {
    assert_eq!(admit(&bearer(), "", &sent("Bearer ")), Err(Refusal::NoSecret("signing-secret".to_owned())));
}
