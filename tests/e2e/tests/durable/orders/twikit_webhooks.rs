//! Twikit's webhooks while it produces an order, and the responses.

use axum::http::Method;
use cartwright::types::{LineStatus, Outcome, Production, ProductionState, Setting, SettingValue, Shipment};
use cartwright::webhook::{Destination, IncomingRequest};
use cartwright_fake_vendors::twikit::Webhook;
use serde_json::{Value, json};

use super::common::{merchant_questions, notes, order};
use super::jewels::{Jewels, post_of};

#[tokio::test]
async fn the_end_of_production_is_told() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let reference = order.reference.as_str();
    let delivery =
        jewels.twikit.production_completed(reference, "https://track.example/1", true, "").await.expect("an order");
    assert!(delivery.accepted());
    assert_eq!(jewels.last_response(), json!({ "error": "" }));
    let production = |state: ProductionState, detail: &str| {
        let detail = Some(detail.to_owned());
        Outcome::Production(Production { line: None, state, detail, expected: None, extra: Vec::new() })
    };
    let about = |outcome| (Some(reference.to_owned()), outcome);
    assert_eq!(jewels.outcomes(), [about(production(ProductionState::Done, "https://track.example/1"))]);
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.production_completed(reference, "", false, "The gold ran out").await.expect("an order");
    assert_eq!(jewels.last_response(), json!({ "error": "" }));
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes[0], production(ProductionState::Failed, "The gold ran out"));
    assert_eq!(merchant_questions(&outcomes), ["production-failed"]);
}

#[tokio::test]
async fn a_completed_order_is_a_shipment_with_lines() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let delivery =
        jewels.twikit.order_completed(&order.reference, "https://track.example/1", "T-1").await.expect("an order");
    assert!(delivery.accepted());
    assert_eq!(jewels.last_response(), json!({ "error": "" }));
    let about = |outcome| (Some(order.reference.clone()), outcome);
    let status =
        |status: &str| about(Outcome::LineStatus(LineStatus { line: "1".to_owned(), status: status.to_owned() }));
    let shipment = |url: Option<&str>, id: Option<&str>| {
        let (tracking_url, tracking_id) = (url.map(str::to_owned), id.map(str::to_owned));
        let shipment = Shipment {
            id: None,
            lines: Vec::new(),
            carrier: None,
            at: None,
            tracking_url,
            tracking_id,
            extra: Vec::new(),
        };
        about(Outcome::Shipment(shipment))
    };
    // The id that distinguishes parcels is not for people.
    let parcels = std::cell::RefCell::new(Vec::new());
    let outcomes = || {
        let mut outcomes = jewels.outcomes();
        for (_, outcome) in &mut outcomes {
            if let Outcome::Shipment(shipment) = outcome {
                parcels.borrow_mut().push(shipment.id.take().expect("an id"));
            }
        }
        outcomes
    };
    assert_eq!(outcomes(), [shipment(Some("https://track.example/1"), Some("T-1")), status("shipped")]);
    // A URL that a browser would execute is not passed to a shopper.
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "javascript:alert(1)", "T-1").await.expect("an order");
    assert_eq!(outcomes(), [shipment(None, Some("T-1")), status("shipped")]);
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "T-2").await.expect("an order");
    assert_eq!(outcomes(), [shipment(None, Some("T-2")), status("shipped")]);
    let parcels = parcels.take();
    assert!(parcels[0] == parcels[1] && parcels[1] != parcels[2], "{parcels:?}");
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "").await.expect("an order");
    assert_eq!(jewels.outcomes(), [status("ready")]);
    // A delivery to the shop is not shipped to the shopper yet.
    jewels.set(json!({ "delivery": "shop" }), |_| {}).await;
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "T-1").await.expect("an order");
    assert_eq!(outcomes(), [shipment(None, Some("T-1")), status("ready")]);
}

#[tokio::test]
async fn a_configuration_of_another_product_than_was_sold_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel("pendant").await]);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    jewels.release(&order).await.expect("handled");
    jewels.webhooks.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "").await.expect("an order");
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(merchant_questions(&outcomes), ["other-product"]);
}

#[tokio::test]
async fn a_published_script_is_pushed_as_settings_and_never_over_plain_http() {
    let jewels = Jewels::new().await;
    jewels.set_webhooks("payment-verification");
    let delivery =
        jewels.twikit.website_published("https://scripts.twikit.example/2/plugin.js", &["a", "b", "a"]).await;
    assert!(delivery.accepted(), "{delivery:?}");
    assert_eq!(jewels.last_response(), json!({ "error": "" }));
    let push = vec![
        Setting {
            name: "script-url".to_owned(),
            value: SettingValue::Text("https://scripts.twikit.example/2/plugin.js".to_owned()),
        },
        Setting { name: "product-keys".to_owned(), value: SettingValue::Texts(vec!["a".to_owned(), "b".to_owned()]) },
    ];
    assert_eq!(jewels.outcomes(), [(None, Outcome::PushSettings(push))]);
    jewels.webhooks.lock().expect("the list").clear();
    for bad in ["http://scripts.twikit.example/2/plugin.js", "javascript:alert(1)", "//scripts.example/a.js", ""] {
        let delivery = jewels.twikit.website_published(bad, &["a"]).await;
        assert!(!delivery.accepted(), "{bad}");
        let reply = jewels.last_response();
        assert!(reply["error"].as_str().is_some_and(|error| error.contains("scriptUrl")), "{bad}: {reply}");
    }
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn webhooks_about_orders_that_are_not_this_accounts_are_refused() {
    let jewels = Jewels::new().await;
    let mine = jewels.created("1").await;
    // An order of the shop that belongs to another account.
    let other = order(&jewels.host, &jewels.shop, "2", &[jewels.jewel("diamond-letter-jewel").await]);
    jewels.orders.put(&jewels.shop, &"another".parse().expect("an id"), other.clone());
    for identifier in [other.reference.as_str(), "test:gems:9999", "test:other:1", "test:gems:1:1~order~order"] {
        let done = json!({ "identifier": identifier, "url": "", "success": true, "error": "" });
        let completed = json!({ "identifier": identifier, "trackingUrl": "", "trackingId": "", "lineItems": [] });
        for (webhook, body) in [(Webhook::ProductionCompleted, done), (Webhook::OrderCompleted, completed)] {
            let delivery = jewels.twikit.send(webhook, &body).await;
            assert!(!delivery.accepted(), "{body}");
            assert_eq!(jewels.last_response(), json!({ "error": "This shop has no such order." }));
        }
        let question = json!({ "identifier": identifier, "configurationIds": [81_201] });
        jewels.twikit.send(Webhook::PaymentVerification, &question).await;
        assert_ne!(jewels.last_response()["success"], true, "{identifier}");
    }
    let configuration = mine.lines[0].cart_line.item.as_ref().expect("an item").saved_id.as_ref().expect("an id");
    let configuration: u64 = configuration.parse().expect("an id");
    for (line, named) in [("test:gems:1:9", configuration), ("test:gems:1:1", configuration + 1)] {
        let body = json!({
            "identifier": mine.reference, "trackingUrl": "https://track.example/1", "trackingId": "T",
            "lineItems": [{
                "identifier": line, "configurationId": named, "previewUrl": "", "productKey": "diamond-letter-jewel",
                "amount": 2,
            }],
        });
        let delivery = jewels.twikit.send(Webhook::OrderCompleted, &body).await;
        assert!(!delivery.accepted(), "{body}");
    }
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn a_verification_that_names_other_configurations_is_told_no() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let configuration: u64 = order.lines[0]
        .cart_line
        .item
        .as_ref()
        .expect("an item")
        .saved_id
        .as_ref()
        .expect("an id")
        .parse()
        .expect("an id");
    for ids in [json!([]), json!([1]), json!([configuration, configuration]), json!([configuration, 1])] {
        let question = json!({ "identifier": order.reference, "configurationIds": ids });
        jewels.twikit.send(Webhook::PaymentVerification, &question).await;
        assert_eq!(jewels.last_response(), json!({ "error": "", "success": false }), "{ids}");
    }
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(notes(&outcomes), ["verification-refused"; 4]);
    let question = json!({ "identifier": order.reference, "configurationIds": [configuration] });
    jewels.twikit.send(Webhook::PaymentVerification, &question).await;
    assert_eq!(jewels.last_response(), json!({ "error": "", "success": true }));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_read_is_answered_with_what_is_wrong() {
    let jewels = Jewels::new().await;
    let before = jewels.receipts().effects();
    let receive = async |endpoint: &str, incoming: IncomingRequest| {
        let endpoint = endpoint.to_owned();
        let to = Destination { shop: jewels.shop.clone(), account: jewels.account.clone(), endpoint };
        jewels.host.receive_webhook(&to, &incoming, jewels.receipts()).await
    };
    for endpoint in ["payment-verification", "production-completion", "order-completion", "website-publication"] {
        for body in [&b""[..], b"{", b"[]", b"{}", b"null", b"\xff", b"{\"identifier\":[1]}"] {
            let response = receive(endpoint, post_of(body)).await.expect("an answer");
            let reply: Value = serde_json::from_slice(&response.body).expect("JSON");
            assert_eq!(response.status, 400, "{endpoint} {reply}");
            assert!(reply["error"].as_str().is_some_and(|error| !error.is_empty()), "{reply}");
        }
        let put = IncomingRequest { method: Method::PUT, ..post_of(b"{}") };
        assert_eq!(receive(endpoint, put).await.expect("an answer").status, 405);
        let get = IncomingRequest { method: Method::GET, ..post_of(b"{}") };
        assert_eq!(receive(endpoint, get).await.expect_err("a GET").response().status, 405);
        let deep = "[".repeat(100_000);
        assert_eq!(receive(endpoint, post_of(deep.as_bytes())).await.expect("an answer").status, 400);
    }
    assert_eq!(jewels.receipts().effects(), before);
    let error = receive("no-such-endpoint", post_of(b"{}")).await.expect_err("no endpoint");
    assert!(error.to_string().contains("no-such-endpoint"), "{error}");
}
