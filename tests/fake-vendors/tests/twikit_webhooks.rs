//! Twikit's webhooks, and its handling of the responses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use cartwright_fake_vendors::twikit::{Delivery, FaultyResponse, OrderState, Webhook, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig};
use common::{Shop, order, post_order, verdict};
use serde_json::json;

async fn verified_by(shop: &Shop) -> FakeTwikit {
    let twikit = FakeTwikit::start(TwikitConfig::default()).await.unwrap();
    let url = Some(shop.url.clone());
    twikit.set_webhooks(Webhooks { payment_verification: url, ..Webhooks::default() });
    twikit
}

/// Sends all webhooks but the verification to the shop.
async fn telling(shop: &Shop) -> FakeTwikit {
    let url = || Some(shop.url.clone());
    let webhooks = Webhooks {
        payment_verification: None,
        production_completed: url(),
        order_completed: url(),
        website_published: url(),
    };
    let twikit = FakeTwikit::start(TwikitConfig { webhooks, ..TwikitConfig::default() }).await.unwrap();
    post_order(&twikit, &order("o-1", &[81_201])).await;
    twikit
}

#[tokio::test]
async fn a_confirmed_verification_creates_the_order() {
    let shop = Shop::answering(&[(200, r#"{"error":"","success":true}"#)]).await;
    let twikit = verified_by(&shop).await;

    let reply = post_order(&twikit, &order("o-1", &[81_201, 81_201])).await;

    assert_eq!(verdict(&reply), (200, 1));
    assert_eq!(shop.requests(), [json!({ "configurationIds": [81_201, 81_201], "identifier": "o-1" })]);
}

#[tokio::test]
async fn a_faulty_verification_creates_an_unhealthy_order_with_status_200() {
    let faulty = [
        (200, r#"{"error":"no such order","success":true}"#),
        (200, r#"{"error":"no such order","success":false}"#),
        (201, r#"{"error":"","success":true}"#),
        (500, r#"{"error":"","success":true}"#),
        (302, ""),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"error":"","success":"true"}"#),
        (200, r#"{"error":{},"success":true}"#),
    ];
    for answer in faulty {
        let shop = Shop::answering(&[answer]).await;
        let twikit = verified_by(&shop).await;

        let reply = post_order(&twikit, &order("o-1", &[81_201])).await;

        assert_eq!(verdict(&reply), (200, 2), "{answer:?}");
        assert!(matches!(twikit.order("o-1").unwrap().state, OrderState::Unhealthy(_)));
        assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (400, 9));
        // A verification is never repeated.
        assert_eq!(shop.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_shop_that_cannot_be_reached_or_takes_too_long_makes_the_order_unhealthy() {
    let webhooks = Webhooks { payment_verification: Some("http://127.0.0.1:1/".to_owned()), ..Webhooks::default() };
    let patience = Duration::from_millis(50);
    let config = TwikitConfig { webhooks, webhook_patience: patience, ..TwikitConfig::default() };
    let twikit = FakeTwikit::start(config).await.unwrap();
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (200, 2));

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Some(format!("http://{}/", silent.local_addr().unwrap()));
    twikit.set_webhooks(Webhooks { payment_verification: url, ..Webhooks::default() });
    assert_eq!(verdict(&post_order(&twikit, &order("o-2", &[81_201])).await), (200, 2));
    let state = twikit.order("o-2").unwrap().state;
    assert!(
        matches!(&state, OrderState::Unhealthy(FaultyResponse::NoResponse(reason)) if reason.contains("50ms")),
        "{state:?}"
    );
}

#[tokio::test]
async fn an_order_the_shop_denies_is_ignored_and_its_identifiers_stay_free() {
    let denied = (200, r#"{"error":null,"success":false}"#);
    let shop = Shop::answering(&[denied, (200, r#"{"success":true}"#)]).await;
    let twikit = verified_by(&shop).await;

    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (400, 3));
    assert!(twikit.orders().is_empty());
    assert_eq!(twikit.ignored_orders(), ["o-1"]);
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (200, 1));
}

#[tokio::test]
async fn the_verification_comes_while_the_order_request_is_pending() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Some(format!("http://{}/", listener.local_addr().unwrap()));
    let webhooks = Webhooks { payment_verification: url, ..Webhooks::default() };
    let twikit = FakeTwikit::start(TwikitConfig { webhooks, ..TwikitConfig::default() }).await.unwrap();
    let pending = order("o-1", &[81_201]);
    let first = post_order(&twikit, &pending);
    let during = async {
        let (_connection, _) = listener.accept().await.unwrap();
        assert_eq!(twikit.order("o-1").unwrap().state, OrderState::Verifying);
        // The identifier is already in use, and this second response does not wait for the first.
        assert_eq!(verdict(&post_order(&twikit, &pending).await), (400, 9));
    };

    let (first, ()) = tokio::join!(first, during);

    assert_eq!(verdict(&first), (200, 2));
}

#[tokio::test]
async fn the_verification_sends_the_data_back_where_that_reading_is_chosen() {
    let shop = Shop::answering(&[(200, r#"{"error":"","success":true}"#)]).await;
    let webhooks = Webhooks { payment_verification: Some(shop.url.clone()), ..Webhooks::default() };
    let config = TwikitConfig { webhooks, verification_sends_data: true, ..TwikitConfig::default() };
    let twikit = FakeTwikit::start(config).await.unwrap();
    let mut payload = order("o-1", &[81_201]);
    payload["data"] = json!({ "shop": 4 });

    post_order(&twikit, &payload).await;

    assert_eq!(shop.requests()[0]["data"], json!({ "shop": 4 }));
}

#[tokio::test]
async fn order_completion_lists_the_lines_as_documented() {
    let shop = Shop::answering(&[(200, r#"{"error":""}"#)]).await;
    let twikit = telling(&shop).await;

    let delivery = twikit.order_completed("o-1", "https://track.example/1", "T1").await.unwrap();

    assert!(delivery.accepted());
    let preview = format!("{}/previews/81201.png", twikit.base_url());
    let line = json!({
        "identifier": "o-1:1", "configurationId": 81_201, "previewUrl": preview,
        "productKey": "diamond-letter-jewel", "amount": 2,
    });
    let expected = json!({
        "identifier": "o-1", "trackingUrl": "https://track.example/1", "trackingId": "T1", "lineItems": [line],
    });
    assert_eq!(shop.requests(), [expected]);
}

#[tokio::test]
async fn a_faulty_completion_is_repeated_once_after_the_wait_with_the_same_body() {
    let shop = Shop::answering(&[(500, "{}"), (200, "{}")]).await;
    let twikit = telling(&shop).await;
    twikit.set_repeat_after(Duration::from_millis(80));

    let start = Instant::now();
    let delivery = twikit.production_completed("o-1", "https://track.example/1", true, "").await.unwrap();

    assert!(start.elapsed() >= Duration::from_millis(80));
    let Delivery::Accepted(attempts) = delivery else { panic!("{delivery:?}") };
    assert_eq!(attempts[0].verdict, Err(FaultyResponse::Status(500)));
    let expected = json!({ "identifier": "o-1", "url": "https://track.example/1", "success": true, "error": "" });
    assert_eq!(shop.requests(), [expected.clone(), expected]);
}

#[tokio::test]
async fn a_completion_that_stays_faulty_is_given_up_after_the_second_time() {
    let shop = Shop::answering(&[(200, r#"{"error":"database is away"}"#)]).await;
    let twikit = telling(&shop).await;

    let delivery = twikit.order_completed("o-1", "", "").await.unwrap();

    assert!(matches!(&delivery, Delivery::Faulty(attempts) if attempts.len() == 2), "{delivery:?}");
    assert_eq!(delivery.attempts()[1].verdict, Err(FaultyResponse::Error("database is away".to_owned())));
}

#[tokio::test]
async fn a_website_publication_is_sent_once_however_it_is_answered() {
    let shop = Shop::answering(&[(503, "")]).await;
    let twikit = telling(&shop).await;

    let delivery = twikit.website_published("https://cdn.twikit.example/7.js", &["diamond-letter-jewel"]).await;

    assert!(matches!(&delivery, Delivery::Faulty(attempts) if attempts.len() == 1), "{delivery:?}");
    let products = json!([{ "key": "diamond-letter-jewel" }]);
    let expected = json!({ "scriptUrl": "https://cdn.twikit.example/7.js", "products": products });
    assert_eq!(shop.requests(), [expected]);
}

#[tokio::test]
async fn an_absent_null_or_empty_error_is_good_and_an_answer_that_is_no_object_is_faulty() {
    for good in ["{}", r#"{"error":null}"#, r#"{"error":""}"#] {
        let shop = Shop::answering(&[(200, good)]).await;
        let twikit = telling(&shop).await;
        assert!(twikit.send(Webhook::WebsitePublished, &json!({})).await.accepted(), "{good}");
    }
    for faulty in ["", "ok", "[]", r#"{"error":false}"#] {
        let shop = Shop::answering(&[(200, faulty)]).await;
        let twikit = telling(&shop).await;
        assert!(!twikit.send(Webhook::WebsitePublished, &json!({})).await.accepted(), "{faulty}");
    }
}

#[tokio::test]
async fn nothing_is_sent_where_no_webhook_is_configured_or_no_order_is_known() {
    let twikit = FakeTwikit::start(TwikitConfig::default()).await.unwrap();
    post_order(&twikit, &order("o-1", &[81_201])).await;

    let delivery = twikit.production_completed("o-1", "", true, "").await.unwrap();

    assert_eq!(delivery, Delivery::NotConfigured);
    assert!(twikit.order_completed("o-2", "", "").await.is_err());
    assert!(twikit.sent_webhooks().is_empty());
}
