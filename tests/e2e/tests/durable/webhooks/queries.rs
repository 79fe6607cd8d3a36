//! Webhook queries are answered at once, from the order book, or with an error.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cartwright::SLOTS_PER_SHOP;
use cartwright::types::{Article, NamedJson, OrderLine, WebhookResponse};
use cartwright::webhook::{
    DeliveryStart, Destination, Effects, IncomingRequest, WebhookDelivery, WebhookDeliveryStore,
    WebhookDeliveryStoreError, WebhookError,
};

use super::shop::{OrderBookBehavior, WebhookShop, at, post, text};

#[tokio::test]
async fn a_question_is_asked_anew_each_time() {
    let desk = WebhookShop::new().await;
    let same = post(&[("x-event-id", "1")], "ask test:desk:2");
    assert_eq!(text(&desk.send("ask", &same).await.expect("an answer")), "false");
    let order = cartwright_e2e::orders::order(&desk.host, &desk.shop, "2", &[]);
    desk.book.known.put(&desk.shop, &desk.account, order);
    assert_eq!(text(&desk.send("ask", &same).await.expect("an answer")), "true");
    assert_eq!(desk.receipts.effects().outcomes.len(), 2);
}

#[tokio::test]
async fn a_webhook_reads_the_bill_of_materials_of_a_line_that_its_account_sees() {
    let desk = WebhookShop::new().await;
    let sample: serde_json::Value =
        serde_json::from_str(include_str!("../../../../guests/order-hook/order.json")).expect("the guest's order");
    let line: OrderLine = serde_json::from_value(sample["lines"][0].clone()).expect("its line");
    let article: Article = serde_json::from_value(serde_json::json!({
        "sku": "GOLD", "quantity": "1.5", "price_sku": null, "price": null, "material_sku": null,
        "extra": [{ "name": "webhooks/engraving", "json": "\"For Ann\"" }],
    }))
    .expect("an article");
    let put = |account: &str, order_id: &str, extra: Vec<NamedJson>| {
        let mut order = cartwright_e2e::orders::order(&desk.host, &desk.shop, order_id, &[]);
        let reference = format!("{}:1", order.reference);
        order.lines = vec![OrderLine { reference: reference.clone(), extra, ..line.clone() }];
        desk.book.known.put(&desk.shop, &account.parse().expect("an id"), order);
        desk.book.known.put_bill_of_materials(&desk.shop, &reference, vec![article.clone()]);
    };
    put(desk.account.as_str(), "2", Vec::new());
    put("another", "3", Vec::new());
    // The shopper wrote something, and the account has no grant to see it.
    let written = NamedJson { name: "shopper-texts".to_owned(), json: "[]".to_owned() };
    put(desk.account.as_str(), "4", vec![written]);
    for (reference, answer) in [
        ("test:desk:2:1", "1 with 1 extra"),
        ("test:desk:4:1", "1 with 0 extra"),
        ("test:desk:2", "line-reference"),
        ("test:desk:3:1", "line-reference"),
        ("test:desk:9:1", "line-reference"),
    ] {
        let response = desk.post("ask", &format!("bill {reference}")).await.expect("an answer");
        assert_eq!(text(&response), answer, "{reference}");
    }
    desk.behavior(OrderBookBehavior::Unavailable);
    desk.post("ask", "bill test:desk:2:1").await.expect_err("no order book");
}

#[tokio::test]
async fn while_the_host_is_not_sure_no_is_never_said() {
    let desk = WebhookShop::new().await;
    for behavior in
        [OrderBookBehavior::Unavailable, OrderBookBehavior::Uncertain, OrderBookBehavior::UncertainAndUnavailable]
    {
        desk.behavior(behavior);
        let error = desk.post("ask", "ask test:desk:2").await.expect_err("no answer");
        assert!(matches!(error, WebhookError::Uncertain(_)), "{behavior:?}: {error}");
        assert_eq!((error.response().status, error.response().body), (503, Vec::new()));
    }
    assert!(desk.receipts.effects().is_empty());
    // A known order is not in doubt.
    desk.behavior(OrderBookBehavior::Uncertain);
    assert_eq!(text(&desk.post("ask", "ask test:desk:1").await.expect("an answer")), "true");
}

/// A store that does not respond.
struct UnavailableStore;

#[async_trait]
impl WebhookDeliveryStore for UnavailableStore {
    async fn begin(&self, _: &WebhookDelivery) -> Result<DeliveryStart, WebhookDeliveryStoreError> {
        Err(WebhookDeliveryStoreError::Failed("away".to_owned()))
    }

    async fn complete(
        &self,
        _: &WebhookDelivery,
        _: Effects,
        _: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError> {
        Err(WebhookDeliveryStoreError::Failed("away".to_owned()))
    }

    async fn fail(&self, _: &WebhookDelivery, _: &str) -> Result<(), WebhookDeliveryStoreError> {
        Err(WebhookDeliveryStoreError::Failed("away".to_owned()))
    }

    async fn apply(&self, _: &Destination, _: SystemTime, _: Effects) -> Result<(), WebhookDeliveryStoreError> {
        Err(WebhookDeliveryStoreError::Failed("away".to_owned()))
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_answered() {
    let desk = WebhookShop::new().await;
    for (endpoint, body) in [("ask", "ask test:desk:1"), ("tell", "note -")] {
        let error = desk.send_to(endpoint, &post(&[], body), &UnavailableStore).await.expect_err("no answer");
        assert!(matches!(error, WebhookError::Store(_)), "{endpoint}: {error}");
        assert_eq!(error.response().status, 503);
    }
}

#[tokio::test]
async fn a_question_does_not_wait_behind_notices() {
    let desk = std::sync::Arc::new(WebhookShop::new().await);
    let places = SLOTS_PER_SHOP;
    let mut notices = tokio::task::JoinSet::new();
    for number in 0..places + 1 {
        let desk = desk.clone();
        let incoming = IncomingRequest { at: at(u64::from(number)), ..post(&[], "ask slow") };
        notices
            .spawn(async move { desk.send("tell", &IncomingRequest { query: number.to_string(), ..incoming }).await });
    }
    tokio::time::timeout(Duration::from_secs(60), desk.book.wait_for_waiting(places as usize))
        .await
        .expect("all places of the shop taken");
    let response = tokio::time::timeout(Duration::from_secs(1), desk.post("ask", "ask test:desk:1")).await;
    assert_eq!(text(&response.expect("at once").expect("an answer")), "true");
    desk.book.gate.add_permits(places as usize + 1);
    while notices.join_next().await.is_some() {}
}

#[tokio::test]
async fn of_a_question_that_was_answered_with_an_error_nothing_comes() {
    let desk = WebhookShop::new().await;
    let response = desk.post("ask", "status 409").await.expect("an answer");
    assert_eq!((response.status, text(&response).as_str()), (409, "as told"));
    for (body, status) in [("away", 503), ("fault", 500), ("trap", 500), ("status 7", 500)] {
        let error = desk.post("ask", body).await.expect_err(body);
        assert_eq!(error.response().status, status, "{body}: {error}");
    }
    assert!(desk.receipts.effects().is_empty());
    assert_eq!(desk.receipts.failed(), []);
}
