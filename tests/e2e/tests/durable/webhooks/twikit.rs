//! Twikit's four webhooks, each with its own URL.

use std::time::Duration;

use cartwright::types::Outcome;
use cartwright_fake_vendors::client;
use cartwright_fake_vendors::twikit::{OrderState, Webhook};
use serde_json::json;

use crate::orders::{common, jewels::Jewels};

#[tokio::test]
async fn an_order_is_verified_while_it_is_out_made_and_shipped() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.release(&order).await.expect("handled");
    let heard = jewels.webhooks();
    assert_eq!((heard.len(), heard[0].endpoint.as_str()), (1, "payment-verification"));
    assert_eq!(heard[0].order_state, Some(OrderState::Verifying), "the question came before or after the order");
    assert_eq!(jewels.last_response(), json!({ "error": "", "success": true }));
    let produced = jewels.twikit.production_completed(&order.reference, "", true, "").await.expect("an order");
    let shipped = jewels.twikit.order_completed(&order.reference, "", "T-1").await.expect("an order");
    let published = jewels.twikit.website_published("https://scripts.twikit.example/2/plugin.js", &["a"]).await;
    assert!(produced.accepted() && shipped.accepted() && published.accepted());
    let endpoints: Vec<String> = jewels.webhooks().into_iter().map(|heard| heard.endpoint).collect();
    let all = ["payment-verification", "production-completion", "order-completion", "website-publication"];
    assert_eq!(endpoints, all);
    assert_eq!(jewels.receipts().failed(), []);
}

#[tokio::test]
async fn a_notice_that_twikit_repeats_takes_effect_once() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let before = jewels.receipts().effects().outcomes.len();
    for _ in 0..2 {
        let delivery = jewels.twikit.production_completed(&order.reference, "", true, "").await.expect("an order");
        assert!(delivery.accepted());
    }
    let outcomes = jewels.receipts().effects().outcomes.split_off(before);
    assert!(matches!(&outcomes[..], [(Some(_), Outcome::Production(_))]), "{outcomes:?}");
}

#[tokio::test]
async fn a_notice_that_came_too_early_is_heard_when_twikit_repeats_it() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    // The platform's order arrives a little later than the webhook.
    let other = "another".parse().expect("an id");
    let late = common::order(&jewels.host, &jewels.shop, "2", &[jewels.jewel("diamond-letter-jewel").await]);
    jewels.orders.put(&jewels.shop, &other, late.clone());
    jewels.twikit.set_repeat_after(Duration::from_millis(200));
    let body = json!({ "identifier": late.reference, "url": "", "success": true, "error": "" });
    let (delivery, ()) = tokio::join!(jewels.twikit.send(Webhook::ProductionCompleted, &body), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        jewels.orders.put(&jewels.shop, &jewels.account, late.clone());
    });
    assert!(delivery.accepted(), "{delivery:?}");
    assert_eq!(delivery.attempts().len(), 2);
    assert_eq!(jewels.receipts().failed().len(), 1);
    assert_ne!(order.reference, late.reference);
}

#[tokio::test]
async fn who_does_not_know_the_address_is_told_nothing() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let before = jewels.receipts().effects();
    let body = json!({ "identifier": order.reference, "url": "", "success": true, "error": "" }).to_string();
    let real = jewels.address("production-completion");
    let (selector, secret) = real.rsplit_once('/').expect("a path").1.split_at(16);
    let guesses = [
        "production-completion".to_owned(),
        "0".repeat(64),
        format!("{selector}{}", "0".repeat(48)),
        format!("{}{secret}", "0".repeat(16)),
    ];
    for guess in guesses {
        let url = format!("{}/webhooks/{guess}", jewels.base);
        let sent = client::send(axum::http::Method::POST, &url, &[], body.clone().into(), Duration::from_secs(5)).await;
        let reply = sent.expect("an answer");
        assert_eq!((reply.status, reply.body.len()), (404, 0), "{guess}");
    }
    assert_eq!(jewels.receipts().effects(), before);
}
