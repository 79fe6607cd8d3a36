//! The switches imitate a failing vendor, and the record is correct.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use cartwright_fake_vendors::client::{self, SendError};
use cartwright_fake_vendors::{
    ExpiviConfig, FakeExpivi, FakeTwikit, Malformed, Outage, Reply, TwikitConfig, payload_hash,
};
use common::{order, post_order, verdict};
use serde_json::{Value, json};

const VIEWER: (&str, &str) = ("authorization", "Bearer viewer-token");

async fn twikit() -> FakeTwikit {
    FakeTwikit::start(TwikitConfig::default()).await.unwrap()
}

fn signed(twikit: &FakeTwikit, order: &Value) -> Value {
    let payload = order.to_string();
    json!({ "orderPayload": payload, "hash": payload_hash(&payload, twikit.payload_secret()) })
}

#[tokio::test]
async fn a_request_is_recorded_with_its_exact_bytes_and_its_answer() {
    let twikit = twikit().await;
    let body = axum::body::Bytes::from_static(b"{ \"hash\" : \"\" ");
    let url = format!("{}?trace=1", twikit.orders_url());
    let method = axum::http::Method::POST;

    client::send(method, &url, &[("X-Trace", "abc")], body.clone(), client::PATIENCE).await.unwrap();

    let received = twikit.record().last().unwrap();
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/api/v1/orders/integration-1"));
    assert_eq!((received.query.as_deref(), received.header("x-trace")), (Some("trace=1"), Some("abc")));
    assert_eq!((received.body, received.reply), (body.to_vec(), Reply::Status(400)));
    assert_eq!(twikit.record().on_path("/api/v1/configuration").len(), 0);
    twikit.record().clear();
    assert!(twikit.record().is_empty());
}

#[tokio::test]
async fn a_lost_reply_has_done_its_work() {
    let twikit = twikit().await;
    twikit.faults().lose_replies(1);
    let body = signed(&twikit, &order("o-1", &[81_201]));

    let lost = client::post_json(&twikit.orders_url(), &[], &body).await;

    assert!(matches!(lost, Err(SendError::Broken(_))), "{lost:?}");
    assert_eq!(twikit.orders().len(), 1);
    assert_eq!(twikit.record().last().unwrap().reply, Reply::Dropped { lost: Some(200) });
    let again = client::post_json(&twikit.orders_url(), &[], &body).await.unwrap();
    assert_eq!(verdict(&again), (400, 9));
}

#[tokio::test]
async fn an_outage_does_no_work_and_lasts_until_the_vendor_recovers() {
    let twikit = twikit().await;
    let body = signed(&twikit, &order("o-1", &[81_201]));
    twikit.faults().outage(Outage::Unavailable { retry_after: Some("120".to_owned()) });
    for _ in 0..2 {
        let reply = client::post_json(&twikit.orders_url(), &[], &body).await.unwrap();
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("120")));
    }
    twikit.faults().outage(Outage::Dropped);
    assert!(client::post_json(&twikit.orders_url(), &[], &body).await.is_err());
    assert_eq!(twikit.record().last().unwrap().reply, Reply::Dropped { lost: None });
    assert!(twikit.orders().is_empty());

    twikit.faults().recover();
    assert_eq!(verdict(&client::post_json(&twikit.orders_url(), &[], &body).await.unwrap()), (200, 1));
}

#[tokio::test]
async fn too_many_requests_are_refused_before_any_work() {
    let twikit = twikit().await;
    twikit.faults().limit(1, Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    let body = signed(&twikit, &order("o-1", &[81_201]));

    let refused = client::post_json(&twikit.orders_url(), &[], &body).await.unwrap();

    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    assert!(twikit.orders().is_empty());
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (200, 1));
}

#[tokio::test]
async fn a_malformed_answer_is_cut_or_html_or_of_other_types() {
    let expivi = FakeExpivi::start(ExpiviConfig::default()).await.unwrap();
    let url = format!("{}catalogue", expivi.api_url());
    let spoilt = async |how| {
        expivi.faults().malform(how, 1);
        client::get(&url, &[VIEWER]).await.unwrap()
    };

    let cut = spoilt(Malformed::Truncated).await;
    assert_eq!((cut.status, cut.header("content-type")), (200, Some("application/json")));
    assert!(cut.body.starts_with(b"{\"data\":") && cut.json().is_null());
    let html = spoilt(Malformed::Html).await;
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let types = spoilt(Malformed::WrongTypes).await.json();
    assert_eq!(types["data"][0], json!({ "type": 9, "id": 4, "attributes": { "name": 4 } }));
    assert!(client::get(&url, &[VIEWER]).await.unwrap().json()["data"][0]["id"].is_string());
}

#[tokio::test]
async fn a_delayed_answer_is_late_and_the_work_is_not() {
    let twikit = twikit().await;
    twikit.faults().delay(Duration::from_secs(30));
    let body = signed(&twikit, &order("o-1", &[81_201])).to_string();
    let headers = [("content-type", "application/json")];
    let patience = Duration::from_millis(300);
    let method = axum::http::Method::POST;

    let late = client::send(method, &twikit.orders_url(), &headers, body.into(), patience).await;

    assert!(matches!(late, Err(SendError::TimedOut(_))), "{late:?}");
    assert_eq!(twikit.orders().len(), 1);
    assert_eq!(twikit.record().last().unwrap().reply, Reply::Pending);
}

#[tokio::test]
async fn switches_can_be_kept_to_one_path_and_cleared() {
    let expivi = FakeExpivi::start(ExpiviConfig::default()).await.unwrap();
    expivi.faults().only_on(Some("/api/price_manager"));
    expivi.faults().outage(Outage::Unavailable { retry_after: None });
    let catalog = format!("{}catalogue", expivi.api_url());
    let price = format!("{}price_manager/price/1001", expivi.api_url());

    assert_eq!(client::get(&catalog, &[VIEWER]).await.unwrap().status, 200);
    assert_eq!(client::post_json(&price, &[VIEWER], &json!({})).await.unwrap().status, 503);
    expivi.faults().clear();
    assert_eq!(client::post_json(&price, &[VIEWER], &json!({})).await.unwrap().status, 422);
}

#[tokio::test]
async fn a_stopped_vendor_lets_a_request_end_and_then_listens_no_more() {
    let twikit = twikit().await;
    twikit.faults().delay(Duration::from_millis(200));
    let (url, record) = (twikit.export_url(), twikit.record().clone());
    let delayed_request = tokio::spawn({
        let url = url.clone();
        async move { client::post_json(&url, &[], &json!({})).await }
    });
    assert!(record.wait_for(1, Duration::from_secs(5)).await);

    twikit.stop().await;

    assert_eq!(delayed_request.await.unwrap().unwrap().status, 400);
    assert!(matches!(client::get(&url, &[]).await, Err(SendError::Connect(_))));
}

#[tokio::test]
async fn a_dropped_vendor_stops_as_well() {
    let twikit = twikit().await;
    let url = twikit.orders_url();

    drop(twikit);

    let start = Instant::now();
    while client::get(&url, &[]).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5), "still there");
    }
}
