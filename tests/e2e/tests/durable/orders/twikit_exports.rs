//! Production files that Twikit exports instead of producing the order.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use cartwright::types::{BytesSource, CallError, OrderEventKind};
use cartwright::{Digest, Failure, Limits, SetupError};
use cartwright_fake_vendors::{Malformed, TwikitConfig, client};
use serde_json::json;

use super::common::{all_texts, blob, documents, event, listen, memos, merchant_questions, order, plugin_error};
use super::jewels::Jewels;

#[tokio::test]
async fn an_export_becomes_a_stored_document_of_exactly_the_vendors_bytes() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let documents = documents(&handled.outcomes);
    let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
    assert_eq!(document.line.as_deref(), Some("1"));
    assert_eq!((document.kind.as_str(), document.media_type.as_str()), ("production-file", "application/zip"));
    let stored = blob(&jewels.blobs, &jewels.shop, document).await;
    let internal = jewels.twikit.internal_orders();
    assert_eq!(internal.len(), 1);
    assert_eq!(internal[0].amount, 2);
    // The same export again differs only in the number of its order: all other bytes are the fake's.
    let sent = jewels.requests()[0].json();
    let again = client::post_json(&jewels.twikit.export_url(), &[], &sent).await.expect("a reply");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(text(&stored).contains(&format!("order {}", internal[0].number)));
    assert_eq!(stored.len(), again.body.len());
    assert!(stored.starts_with(b"PK\x03\x04"));
    assert_eq!(document.content, BytesSource::Stored(Digest::of(&stored).to_string()));
    // Another event of the order does not fetch it again, because that would create another order at Twikit.
    let mut later = event(OrderEventKind::Released, &order);
    later.memos = memos(&handled.outcomes);
    jewels.handle(&later, None).await.expect("handled");
    assert_eq!(jewels.twikit.internal_orders().len(), 2);
}

#[tokio::test]
async fn a_large_export_never_passes_through_the_guest() {
    // A guest may receive 64 kB here, so the file cannot pass through it.
    let limits = Limits { bytes_in: 64 << 10, ..Limits::default() };
    let jewels = Jewels::with(TwikitConfig::default(), limits).await;
    let order = jewels.order("1").await;
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend((0..300_000_u32).map(|number| (number % 251) as u8));
    let file = zip.clone();
    let export = move || async move { ([(CONTENT_TYPE, "application/zip")], file) };
    let base = listen(Router::new().route("/configuration/integration-1/export", post(export))).await;
    jewels.set(json!({ "fulfilment": "export", "api-url": base }), |_| {}).await;
    let handled = jewels.release(&order).await.expect("handled");
    let documents = documents(&handled.outcomes);
    let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
    assert_eq!(blob(&jewels.blobs, &jewels.shop, document).await, zip);
}

#[tokio::test]
async fn an_export_that_fails_is_not_a_document() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let unknown = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel_of(4_711).await]);
    let handled = jewels.release(&unknown).await.expect("handled");
    assert_eq!(
        (merchant_questions(&handled.outcomes), documents(&handled.outcomes).len()),
        (vec!["export-refused"], 0)
    );
    for (id, how) in [("2", Malformed::Html), ("3", Malformed::WrongTypes)] {
        let order = jewels.order(id).await;
        jewels.twikit.faults().malform(how, 1);
        let handled = jewels.release(&order).await.expect("handled");
        assert_eq!(
            (merchant_questions(&handled.outcomes), documents(&handled.outcomes).len()),
            (vec!["export-unsure"], 0),
            "{id}"
        );
    }
    jewels.set(json!({ "fulfilment": "export", "payload-secret": "another secret" }), |_| {}).await;
    let order = jewels.order("4").await;
    let error = jewels.release(&order).await.expect_err("refused");
    assert!(
        matches!(plugin_error(&error), CallError::NotConfigured(issue) if issue.field == "payload-secret"),
        "{error}"
    );
}

#[tokio::test]
async fn an_export_whose_reply_was_lost_is_not_asked_for_twice() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().lose_replies(1);
    let first = jewels.release(&order).await;
    assert_eq!(jewels.twikit.internal_orders().len(), 1);
    let Err(SetupError::Hook(error)) = &first else { panic!("{}", all_texts(&first)) };
    assert!(!error.is_retryable(), "the platform is told to try again, which orders twice: {error}");
    assert!(matches!(error.failure, Failure::UnansweredRequest(_)), "{error}");
}
