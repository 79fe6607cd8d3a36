//! Reports of a platform about its orders, and the problems of invalid ones.

use cartwright::CartLine;
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::shop::{Shop, paid};

/// Returns an unpaid report of these lines, with this event and version.
fn placed(event: &str, order: &str, version: u64, cart: &[CartLine]) -> Value {
    let mut report = paid(order, cart);
    (report["id"], report["kind"]) = (json!(event), json!("placed"));
    (report["order"]["version"], report["order"]["paid"]["minor"]) = (json!(version), json!(0));
    report
}

#[tokio::test]
async fn nothing_that_is_reported_is_dropped_without_a_word() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (cart, events) = (shop.cart().await, shop.path("/events"));
    let first = placed("e1", "900", 1, &cart);
    assert_eq!(shop.backend.post(&events, &first).await.ok()["new"], true);
    assert_eq!(shop.backend.post(&events, &first).await.ok()["new"], false);
    // The same event id for another order, a later version, or another kind.
    for other in [placed("e1", "901", 1, &cart), placed("e1", "900", 2, &cart), {
        let mut other = first.clone();
        other["kind"] = json!("changed");
        other
    }] {
        let problem = shop.backend.post(&events, &other).await.problem(409, "event-id");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("an id of its own")), "{problem:#}");
    }
    shop.backend.get(&shop.path("/orders/901")).await.problem(404, "not-found");
    // The same version with another address.
    let mut moved = placed("e2", "900", 1, &cart);
    moved["order"]["delivery"]["line1"] = json!("Nieuwe Straat 2");
    let problem = shop.backend.post(&events, &moved).await.problem(409, "same-version");
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("report it with a higher version")),
        "{problem:#}"
    );
    moved["order"]["version"] = json!(2);
    shop.backend.post(&events, &moved).await.ok();
    let order = shop.backend.get(&shop.path("/orders/900")).await.ok();
    assert_eq!(order["order"]["delivery"]["line1"], "Nieuwe Straat 2");
    shop.backend.post(&events, &placed("e3", "900", 1, &cart)).await.problem(409, "older");
}

#[tokio::test]
async fn an_order_line_has_the_pieces_that_are_left() {
    let (shop, _fake) = Shop::with_expivi().await;
    let mut cart = shop.cart().await;
    let body = json!({ "key": cart[1].key, "quantity": 3, "lines": cart });
    shop.change(&mut cart, "quantity", body).await;
    let report = async |version: u64, quantity: u32| {
        let mut report = placed(&format!("e{version}"), "910", version, &cart[1..2]);
        report["order"]["lines"][0]["quantities"] = json!({ "ordered": quantity });
        shop.backend.post(&shop.path("/events"), &report).await
    };
    report(1, 4).await.problem(422, "quantity");
    let mut contradictory = placed("e0", "910", 1, &cart[1..2]);
    contradictory["order"]["lines"][0]["quantities"] = json!({ "cancelled": 2, "refunded": 2 });
    let problem = shop.backend.post(&shop.path("/events"), &contradictory).await.problem(422, "quantity");
    let words = problem["detail"].as_str().expect("words");
    assert!(words.contains("line \"1\"") && words.contains("`refunded`; at most 1"), "{words}");
    for (version, quantity, status) in [(1, 3, "ordered"), (2, 2, "ordered"), (3, 0, "cancelled"), (4, 1, "ordered")] {
        report(version, quantity).await.ok();
        let line = &shop.backend.get(&shop.path("/orders/910")).await.ok()["order"]["lines"][0];
        assert_eq!((&line["cart_line"]["quantity"], &line["status"]), (&json!(quantity), &json!(status)), "{line:#}");
    }
}

#[tokio::test]
async fn an_order_holds_what_a_bookkeeper_needs() {
    let (shop, _fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    let euros = |minor: i64| json!({ "minor": minor, "scale": 2, "currency": "EUR" });
    let mut report = placed("e1", "920", 1, &cart[1..2]);
    let order = &mut report["order"];
    (order["customer"], order["refunded"]) = (json!("Ann@example.com"), euros(0));
    (order["tax_amount"], order["shipping"]) =
        (euros(850), json!({ "title": "Post", "amount": euros(495), "tax": "gross" }));
    order["delivery"] =
        json!({ "name": "Ann Lee", "line1": "High Street 1", "zip": "1000", "city": "Brussels", "country": "BE" });
    let line = &mut order["lines"][0];
    (line["total"], line["tax"], line["tax_amount"]) = (euros(4405), json!("gross"), euros(764));
    shop.backend.post(&shop.path("/events"), &report).await.ok();
    let known = shop.backend.get(&shop.path("/orders/920")).await.ok()["order"].clone();
    assert_eq!((&known["currency"], &known["refunded"]), (&json!("EUR"), &euros(0)), "{known:#}");
    assert_eq!((&known["tax_amount"], &known["shipping"]["title"]), (&euros(850), &json!("Post")), "{known:#}");
    assert_eq!((&known["delivery"]["name"], &known["delivery"]["last_name"]), (&json!("Ann Lee"), &Value::Null));
    let line = &known["lines"][0];
    assert_eq!((&line["total"], &line["tax"], &line["tax_amount"]), (&euros(4405), &json!("gross"), &euros(764)));
    assert_eq!(line["quantities"], json!({ "ordered": 1, "cancelled": 0, "refunded": 0, "shipped": 0 }), "{line:#}");
    let pseudonym = known["customer"].as_str().expect("a pseudonym");
    assert!(pseudonym.len() == 64 && !known.to_string().to_lowercase().contains("ann@example.com"), "{known:#}");
    let found = shop.backend.get(&shop.path("/customers/ann@example.com/export")).await.ok();
    assert!(found.to_string().contains("\"920\""), "an address finds the order: {found:#}");
    // Other money than the order's.
    let mut mixed = report.clone();
    mixed["order"]["lines"][0]["tax_amount"] = json!({ "minor": 764, "scale": 2, "currency": "JPY" });
    (mixed["id"], mixed["order"]["version"]) = (json!("e2"), json!(2));
    let problem = shop.backend.post(&shop.path("/events"), &mixed).await.problem(422, "money");
    let words = problem["detail"].as_str().expect("words");
    assert!(words.contains("`tax_amount` of the line \"1\"") && words.contains("JPY with 2 decimals"), "{words}");
}

#[tokio::test]
async fn an_order_is_held_to_the_rules_of_a_cart() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (cart, events) = (shop.cart().await, shop.path("/events"));
    let (ring, wardrobe) = (&cart[..1], &cart[2..]);
    assert!(wardrobe[0].parent.is_none() && wardrobe[1..].iter().all(|line| line.parent.is_some()));
    let refused = async |what: &str, report: Value, kind: &str| {
        let reply = shop.backend.post(&events, &report).await;
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (422, &json!(format!("urn:cartwright:problem:{kind}"))),
            "{what}"
        );
    };
    refused("a child without its bundle", placed("e", "1", 1, &wardrobe[1..2]), "bundle").await;
    refused("a bundle without its children", placed("e", "1", 1, &wardrobe[..1]), "bundle").await;
    refused("one line twice", placed("e", "1", 1, &[ring, ring].concat()), "twice").await;
    let with = |pointer: &str, value: Value| {
        let mut report = placed("e", "1", 1, ring);
        *report.pointer_mut(pointer).expect("a place") = value;
        report
    };
    for currency in ["eur", "", "€", "EURO"] {
        refused(currency, with("/order/total/currency", json!(currency)), "money").await;
    }
    refused("yen", with("/order/total/currency", json!("JPY")), "money").await;
    refused("a scale of 40", with("/order/total/scale", json!(40)), "money").await;
    refused("less than nothing", with("/order/total/minor", json!(-5)), "money").await;
    refused("an order id of 100,000", with("/order/id", json!("o".repeat(100_000))), "order").await;
    refused("an event id of 100,000", with("/id", json!("i".repeat(100_000))), "order").await;
    refused("a line id of 201", with("/order/lines/0/id", json!("l".repeat(201))), "order").await;
    refused("an id of the host's", with("/order/id", json!("~quotation-1")), "order").await;
    refused("a time of no year", with("/order/placed_at", json!("0001-01-01T00:00:00Z")), "order").await;
    refused(
        "a number without end",
        {
            let mut report = placed("e", "1", 1, ring);
            report["order"]["number"] = json!("n".repeat(1_001));
            report
        },
        "order",
    )
    .await;
    let back = json!({ "refunded": { "lines": [], "amount": { "minor": -1, "scale": 2, "currency": "EUR" } } });
    refused("less than nothing paid back", with("/kind", back), "money").await;
    for (what, kind) in [("not cancelled", json!("cancelled")), ("not paid", json!("paid"))] {
        refused(what, with("/kind", kind), "order").await;
    }
    // The ring was sold once.
    for (lines, kind) in [
        (json!([{ "line": "9", "quantity": 1 }]), "order"),
        (json!([{ "line": "1", "quantity": 0 }]), "quantity"),
        (json!([{ "line": "1", "quantity": 2 }]), "quantity"),
        (json!([{ "line": "1", "quantity": 1 }, { "line": "1", "quantity": 1 }]), "twice"),
    ] {
        let sent = json!({
            "id": null, "lines": lines, "carrier": null, "at": null, "tracking_url": null, "tracking_id": null,
        });
        let counted = |event: Value, quantities: Value| {
            let mut report = with("/kind", event);
            report["order"]["lines"][0]["quantities"] = quantities;
            report
        };
        let sent = counted(json!({ "fulfilled": sent }), json!({ "shipped": 1 }));
        refused("pieces that were sent", sent, kind).await;
        let back = json!({ "refunded": { "lines": lines, "amount": null } });
        let back = counted(back, json!({ "refunded": 1 }));
        refused("pieces that were paid back", back, kind).await;
    }
    shop.backend.get(&shop.path("/orders/1")).await.problem(404, "not-found");
    shop.backend.post(&events, &placed("e", "1", 1, &cart)).await.ok();
}

#[tokio::test]
async fn an_order_and_a_quotation_keep_the_currency_they_were_sold_in() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (cart, events) = (shop.cart().await, shop.path("/events"));
    shop.backend.post(&events, &placed("e1", "1", 1, &cart)).await.ok();
    let quote = |id: &str| json!({ "id": id, "lines": cart });
    let kept = shop.backend.post(&shop.path("/quotes"), &quote("q1")).await.with(201);
    let order = kept["order"].as_str().expect("an order").to_owned();
    shop.admin
        .put(&shop.path(""), &json!({ "currencies": [{ "code": "JPY", "scale": 0 }], "prices_include_tax": true }))
        .await
        .ok();
    // An order in euros continues in euros; new sales in euros are not possible.
    let mut later = placed("e2", "1", 2, &cart);
    later["order"]["paid"] = later["order"]["total"].clone();
    shop.backend.post(&events, &later).await.ok();
    shop.backend.post(&events, &placed("e3", "2", 1, &cart)).await.problem(422, "money");
    let mut relabelled = placed("e4", "2", 1, &cart);
    relabelled["order"]["total"] = json!({ "minor": 4900, "scale": 0, "currency": "JPY" });
    shop.backend.post(&events, &relabelled).await.problem(422, "money");
    assert_eq!(shop.backend.post(&shop.path("/quotes"), &quote("q2")).await.status, 422);
    // There is an offer in neither currency: nothing is converted.
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let top = cart.iter().filter(|line| line.parent.is_none());
    let yen = json!({ "minor": 4900, "scale": 0, "currency": "JPY" });
    let prices: Vec<Value> = top.map(|line| json!({ "key": line.key, "unit": yen })).collect();
    let offer = json!({ "prices": prices, "valid_until": until });
    let problem = shop.backend.post(&shop.path("/quotes/q1/offer"), &offer).await.problem(422, "money");
    let words = problem["detail"].as_str().expect("words");
    assert!(words.contains("requested in EUR with 2 decimals") && words.contains("JPY with 0 decimals"), "{words}");
    let total = &shop.backend.get(&shop.path(&format!("/orders/{order}"))).await.ok()["order"]["total"];
    assert_eq!(total["currency"], "EUR", "{total:#}");
}

#[tokio::test]
async fn orders_whose_ids_hold_a_colon_have_references_of_their_own() {
    let (shop, _fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    let mut references = Vec::new();
    for (number, id) in ["7025", "7025:1", "7025%3A1", "7025:1:1"].into_iter().enumerate() {
        shop.backend.post(&shop.path("/events"), &placed(&format!("e{number}"), id, 1, &cart[..1])).await.ok();
        let path = id.replace('%', "%25");
        let order = shop.backend.get(&shop.path(&format!("/orders/{path}"))).await.ok();
        references.push(order["order"]["reference"].clone());
        references.push(order["order"]["lines"][0]["reference"].clone());
    }
    let different: std::collections::BTreeSet<String> = references.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), references.len(), "{references:?}");
}
