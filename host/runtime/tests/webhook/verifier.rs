//! The checks of every request, signed or not, and what a sender learns.

use cartwright::Secrets;
use cartwright::types::Authentication;
use cartwright::webhook::{HeaderFault, IncomingRequest, Refusal, Verifier};
use http::{Method, StatusCode};

use crate::post;

fn check(networks: &[&str], max_body_bytes: usize, incoming: &IncomingRequest) -> Result<(), Refusal> {
    let networks: Vec<_> = networks.iter().map(|network| network.parse().expect("a network")).collect();
    let secrets = Secrets::new();
    let authentication = Authentication::AddressOnly;
    let (networks, vendor_networks) = (&networks[..], &[][..]);
    Verifier { authentication: &authentication, secrets: &secrets, networks, vendor_networks, max_body_bytes }
        .admit(incoming)
}

#[test]
fn only_the_networks_that_the_operator_names_are_accepted() {
    let from = |from: Option<&str>| IncomingRequest {
        from: from.map(|from| from.parse().expect("an address")),
        ..post(&[], b"")
    };
    let networks = ["192.0.2.0/24", "2001:db8::/32"];
    for inside in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"] {
        assert_eq!(check(&networks, 10, &from(Some(inside))), Ok(()), "{inside}");
    }
    for outside in ["192.0.3.7", "::ffff:192.0.3.7", "2001:db9::1", "::1"] {
        let refusal = check(&networks, 10, &from(Some(outside))).expect_err(outside);
        assert!(matches!(refusal, Refusal::Source(Some(_))), "{refusal}");
    }
    assert_eq!(check(&networks, 10, &from(None)), Err(Refusal::Source(None)));
    assert_eq!(check(&[], 10, &from(None)), Ok(()));
    let refusal = check(&networks, 10, &from(Some("::ffff:192.0.3.7"))).expect_err("outside").to_string();
    assert!(refusal.ends_with("to allow it: grants.webhook_source_networks += \"192.0.3.7/32\""), "{refusal}");
}

#[test]
fn the_networks_of_the_endpoint_and_of_the_grants_must_both_hold() {
    let (authentication, secrets) = (Authentication::AddressOnly, Secrets::new());
    let network = |text: &str| text.parse::<ipnet::IpNet>().expect("a network");
    let (granted, vendor) = ([network("192.0.2.0/24")], [network("192.0.2.7/32"), network("198.51.100.0/24")]);
    let verifier = Verifier {
        authentication: &authentication,
        secrets: &secrets,
        networks: &granted,
        vendor_networks: &vendor,
        max_body_bytes: 10,
    };
    let check = |verifier: &Verifier<'_>, from: Option<&str>| {
        let from = from.map(|from| from.parse().expect("an address"));
        verifier.admit(&IncomingRequest { from, ..post(&[], b"") })
    };
    assert_eq!(check(&verifier, Some("::ffff:192.0.2.7")), Ok(()));
    assert!(matches!(check(&verifier, Some("192.0.2.8")), Err(Refusal::VendorSource(Some(_)))));
    assert!(matches!(check(&verifier, Some("198.51.100.1")), Err(Refusal::Source(Some(_)))));
    let declared_only = Verifier { networks: &[], ..verifier };
    assert_eq!(check(&declared_only, Some("198.51.100.1")), Ok(()));
    assert_eq!(check(&declared_only, None), Err(Refusal::VendorSource(None)));
}

#[test]
fn too_large_requests_are_refused() {
    assert_eq!(check(&[], 10, &post(&[], &[b'x'; 10])), Ok(()));
    let refusal = Refusal::TooLarge { part: "body", bytes: 11, allowed: 10 };
    assert_eq!(check(&[], 10, &post(&[], &[b'x'; 11])), Err(refusal));
    let long = "x".repeat(64 << 10);
    for head in [post(&[("x-long", &long)], b""), IncomingRequest { query: format!("{long}x"), ..post(&[], b"") }] {
        let refusal = check(&[], 10, &head).expect_err("too large");
        assert!(matches!(refusal, Refusal::TooLarge { part: "head", .. }), "{refusal}");
    }
}

#[test]
fn only_methods_that_carry_a_body_are_accepted() {
    for method in [Method::POST, Method::PUT] {
        assert_eq!(check(&[], 10, &IncomingRequest { method, ..post(&[], b"") }), Ok(()));
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::TRACE] {
        let refusal = check(&[], 10, &IncomingRequest { method: method.clone(), ..post(&[], b"") });
        assert_eq!(refusal, Err(Refusal::Method(method)));
    }
}

#[test]
fn a_sender_learns_a_status_and_never_which_check_failed() {
    let (header, secret) = ("x".to_owned(), "s".to_owned());
    let signatures = [
        Refusal::NoSecret(secret.clone()),
        Refusal::InvalidSecret(secret.clone()),
        Refusal::Header { header: header.clone(), fault: HeaderFault::Missing },
        Refusal::WrongSignature { header: header.clone(), secret: secret.clone() },
        Refusal::WrongSecret { header, secret },
        Refusal::TimestampTooOld(301),
        Refusal::TimestampInFuture(301),
        Refusal::InvalidEndpoint("no such authentication".to_owned()),
    ];
    for refusal in signatures {
        assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED, "{refusal}");
    }
    let unknown = Refusal::UnknownEndpoint("x".to_owned());
    let hidden = [Refusal::UnknownAddress, unknown, Refusal::Source(None), Refusal::VendorSource(None)];
    for refusal in hidden {
        assert_eq!(refusal.status(), StatusCode::NOT_FOUND, "{refusal}");
    }
    assert_eq!(Refusal::Method(Method::GET).status(), StatusCode::METHOD_NOT_ALLOWED);
    let large = Refusal::TooLarge { part: "body", bytes: 2, allowed: 1 };
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
