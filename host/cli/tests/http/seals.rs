//! A line that was tampered with: each member that determines its product or its price.

use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::shop::{Shop, paid};

/// The members that only display depends on.
const SHOWN: [&str; 5] = ["/title", "/shown", "/thumbnail", "/price/adjustments", "/unconfirmed/reason"];

/// Collects every place of a line, as JSON pointers to values without members.
fn places(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(&format!("{at}/{name}"), value, found));
        }
        Value::Array(values) if !values.is_empty() => {
            values.iter().enumerate().for_each(|(index, value)| places(&format!("{at}/{index}"), value, found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Returns other values for a place.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => vec![json!(number.as_i64().unwrap_or_default() + 1), json!(0)],
        Value::String(_) => vec![json!("other"), json!("2099-01-01T00:00:00Z"), json!("0".repeat(64))],
        Value::Null => vec![json!("other"), json!(1), json!("0".repeat(64))],
        Value::Array(_) => vec![json!(["0".repeat(64)]), json!(["other"])],
        Value::Object(_) => Vec::new(),
    }
}

#[tokio::test]
async fn no_order_takes_a_line_that_was_changed() {
    let (shop, _fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    let events = shop.path("/events");
    let mut tried = 0;
    for at in [0, 1, 2, 3] {
        let whole = json!(cart[at]);
        let mut found = Vec::new();
        places("", &whole, &mut found);
        found.retain(|place| !SHOWN.iter().any(|shown| place.starts_with(shown)));
        for place in found {
            let old = whole.pointer(&place).expect("a place").clone();
            for other in others(&old).into_iter().filter(|other| *other != old) {
                let mut changed = whole.clone();
                *changed.pointer_mut(&place).expect("a place") = other.clone();
                let mut event = paid("1", &cart[..1]);
                event["order"]["lines"][0]["line"] = changed;
                let reply = shop.backend.post(&events, &event).await;
                assert_eq!(reply.status, 422, "{place} of line {at}, {old} as {other}: {reply:?}");
                let kind = reply.json()["type"].clone();
                assert!(
                    kind == "urn:cartwright:problem:seal" || kind == "urn:cartwright:problem:body",
                    "{place}: {kind}"
                );
                tried += usize::from(kind == "urn:cartwright:problem:seal");
            }
        }
    }
    assert!(tried > 100, "{tried}");
    shop.backend.get(&shop.path("/orders/1")).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_forged_price_is_seen_before_the_order_and_no_change_takes_it_over() {
    let (shop, _fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    let mut forged = json!(cart);
    forged[0]["price"]["total"]["minor"] = json!(1);
    forged[0]["price"]["unit"]["minor"] = json!(1);
    let checks = shop.backend.post(&shop.path("/cart/check"), &json!({ "lines": forged })).await.ok();
    assert_eq!(checks[0]["state"]["state"], "must-reconfigure", "{checks:#}");
    assert_eq!(checks[0]["lines"], json!([]));
    let key = forged[0]["key"].clone();
    let cheap = |reply: &Value| reply.to_string().contains("\"minor\":1,");
    for (what, body) in [
        ("quantity", json!({ "key": key, "quantity": 2, "lines": forged })),
        ("refresh", json!({ "key": key, "lines": forged })),
        ("reorder", json!({ "ordered_line": forged[0] })),
        ("merge", json!({ "anonymous": forged, "customer": [] })),
    ] {
        let reply = shop.backend.post(&shop.path(&format!("/cart/{what}")), &body).await;
        assert!(matches!(reply.status, 200 | 422), "{what}: {reply:?}");
        assert!(!cheap(&reply.json()), "{what}: {reply:?}");
    }
}

#[tokio::test]
async fn a_line_of_another_shop_is_not_ordered_here() {
    let ((shop, _fake), (other, _other_fake)) = (Shop::with_expivi().await, Shop::with_expivi().await);
    let cart = shop.cart().await;
    other.backend.post(&other.path("/events"), &paid("1", &cart)).await.problem(422, "seal");
    let checks = other.backend.post(&other.path("/cart/check"), &json!({ "lines": cart })).await;
    if checks.status == 200 {
        let checks = checks.ok();
        assert!(checks.as_array().expect("checks").iter().all(|check| check["state"]["state"] != "ok"), "{checks:#}");
    }
}
