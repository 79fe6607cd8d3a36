//! Webhook tokens that cannot be guessed.

use std::collections::HashSet;

use cartwright::webhook::{Destination, Refusal, StoredWebhookToken, WebhookToken, WebhookUrlUse};
use proptest::prelude::*;

use crate::{NOW, unix_time};

const HELD: WebhookUrlUse = WebhookUrlUse { has_account: true, has_open_order: false };

fn destination(endpoint: &str) -> Destination {
    Destination {
        shop: "gems".parse().expect("an id"),
        account: "twikit".parse().expect("an id"),
        endpoint: endpoint.to_owned(),
    }
}

fn new_url() -> (WebhookToken, StoredWebhookToken) {
    let address = WebhookToken::generate().expect("random numbers");
    let stored = address.stored(destination("payment-verification"));
    (address, stored)
}

/// Resolves a token as a server does, from the text in the request's path.
fn find(text: &str, stored: &StoredWebhookToken) -> Result<Destination, Refusal> {
    text.parse::<WebhookToken>()?.resolve(Some((stored, HELD)), unix_time(NOW))
}

#[test]
fn an_address_leads_to_its_shop_account_and_endpoint() {
    let (address, stored) = new_url();
    assert_eq!(find(&address.reveal(), &stored), Ok(destination("payment-verification")));
    assert_eq!(address.reveal().parse::<WebhookToken>().expect("an address").selector(), stored.selector);
}

#[test]
fn no_two_addresses_are_alike() {
    let all: HashSet<String> = (0..1000).map(|_| new_url().0.reveal().to_string()).collect();
    assert_eq!(all.len(), 1000);
    assert!(all.iter().all(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn stored_and_printed_tokens_do_not_contain_the_secret_part() {
    let (address, stored) = new_url();
    let text = address.reveal();
    let secret = &text[16..];
    let kept = serde_json::to_string(&stored).expect("JSON");
    for printed in [kept.clone(), format!("{address:?} {stored:?}")] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let read: StoredWebhookToken = serde_json::from_str(&kept).expect("what was kept");
    assert_eq!(find(&text, &read), Ok(destination("payment-verification")));
    let wrong = kept.replace(&stored.selector.to_string(), &text);
    let error = serde_json::from_str::<StoredWebhookToken>(&wrong).expect_err("too long a selector");
    assert!(!error.to_string().contains(secret), "{error}");
}

#[test]
fn another_endpoints_address_does_not_lead_here() {
    let ((_, stored), (other, _)) = (new_url(), new_url());
    assert_eq!(find(&other.reveal(), &stored), Err(Refusal::UnknownAddress));
    // A known selector with a guessed secret.
    let mixed = format!("{}{}", stored.selector, &other.reveal()[16..]);
    assert_eq!(find(&mixed, &stored), Err(Refusal::UnknownAddress));
    assert_eq!(other.resolve(None, unix_time(NOW)), Err(Refusal::UnknownAddress));
}

#[test]
fn an_address_lives_while_its_account_or_an_open_order_does() {
    let (address, stored) = new_url();
    for (has_account, has_open_order) in [(true, false), (false, true), (true, true), (false, false)] {
        let found = address.resolve(Some((&stored, WebhookUrlUse { has_account, has_open_order })), unix_time(NOW));
        assert_eq!(found.is_ok(), has_account || has_open_order);
    }
}

#[test]
fn a_replaced_webhook_url_expires_at_its_time() {
    let (address, stored) = new_url();
    let ending = StoredWebhookToken { expires_at: Some(unix_time(NOW)), ..stored };
    assert!(address.resolve(Some((&ending, HELD)), unix_time(NOW - 1)).is_ok());
    for later in [NOW, NOW + 1] {
        assert_eq!(address.resolve(Some((&ending, HELD)), unix_time(later)), Err(Refusal::UnknownAddress));
    }
}

#[test]
fn a_text_that_is_no_address_is_an_unknown_one() {
    let (address, stored) = new_url();
    let text = address.reveal();
    let upper = text.to_uppercase();
    let cases =
        ["", "x", &text[..63], &format!("{}0", *text), &format!("{} ", *text), &"é".repeat(32), &"g".repeat(64)];
    for case in cases {
        assert_eq!(find(case, &stored), Err(Refusal::UnknownAddress), "{case}");
    }
    // A token has one spelling.
    assert_eq!(find(&upper, &stored).is_err(), upper != *text);
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_leads_nowhere(place in 0..256_usize) {
        let (address, stored) = new_url();
        let mut bytes = hex::decode(&*address.reveal()).expect("hex");
        bytes[place / 8] ^= 1 << (place % 8);
        prop_assert_eq!(find(&hex::encode(bytes), &stored), Err(Refusal::UnknownAddress));
    }
}
