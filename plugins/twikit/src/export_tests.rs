#![allow(clippy::unwrap_used)]

use super::*;
use crate::fields::FULFILLMENT;
use crate::orders::handle;
use crate::testing::*;
use cartwright_plugin::exports::orders::OrderEventKind;
use serde_json::{Value, json};

fn zip(digest: &str) -> http::HttpResponse {
    let stored = http::StoredBody { digest: digest.into(), size: 1 << 30, media_type: Some("application/zip".into()) };
    http::HttpResponse { body: http::Body::Stored(stored), ..response(200, "") }
}

fn two_lines() -> OrderEvent {
    event(OrderEventKind::Released, order(vec![line("a", 7, 2), line("b", 8, 1)]))
}

fn run(host: &mut FakeHost, event: &OrderEvent) -> Result<Next, CallError> {
    handle(host, &context_with(&[(FULFILLMENT, "export")]), event, None)
}

#[test]
fn each_line_is_fetched_once_and_becomes_a_document() {
    let mut host = FakeHost::with_responses([zip("aa"), zip("bb")]);
    let mut event = two_lines();
    assert!(matches!(run(&mut host, &event).unwrap(), Next::Done));
    let request = &host.requests[0];
    assert_eq!(request.url, "https://custom-integration-publisher.twikit.com/api/v1/configuration/shop-7/export");
    assert_eq!((request.retry_safety, request.store_body), (http::RetrySafety::NonIdempotent, true));
    let body = host.body(0);
    assert_eq!(body["payload"].as_str().unwrap().as_bytes(), host.digest_inputs[0]);
    let payload: Value = serde_json::from_str(body["payload"].as_str().unwrap()).unwrap();
    let expected = json!({ "configurationId": 7, "amount": 2, "data": { "reference": "inst:shop:1001:a" } });
    assert_eq!(payload, expected);
    let documents: Vec<_> = host
        .outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Document(document) => Some(document),
            _ => None,
        })
        .collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].line.as_deref(), Some("b"));
    assert_eq!((documents[1].kind.as_str(), documents[1].media_type.as_str()), ("production-file", "application/zip"));
    assert_eq!(documents[1].content, BytesSource::Stored("bb".into()));
    event.memos = host.memos();
    run(&mut host, &event).unwrap();
    assert_eq!(host.requests.len(), 2);
}

#[test]
fn a_refusal_names_the_line_and_the_next_line_is_fetched() {
    let mut host = FakeHost::with_responses([answer(400, 10), zip("bb")]);
    run(&mut host, &two_lines()).unwrap();
    let message = host.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::NeedsMerchant(message) => Some(message.clone()),
        _ => None,
    });
    let message = message.unwrap();
    assert_eq!(message.key, "export-refused");
    assert!(message.text.contains("inst:shop:1001:a") && message.text.contains("message of 10"), "{}", message.text);
    assert!(host.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_))));
}

#[test]
fn when_nobody_knows_whether_there_is_an_order_the_merchant_is_asked_and_no_other_event_asks_again() {
    for unsure in [answer(500, 0), answer(400, 1), answer(400, 2), response(502, "bad gateway"), response(204, "")] {
        let mut host = FakeHost::with_responses([unsure]);
        let mut event = event(OrderEventKind::Released, order(vec![line("a", 7, 2)]));
        run(&mut host, &event).unwrap();
        assert_eq!(host.merchant_questions(), ["export-unsure"]);
        event.memos = host.memos();
        event.id = "event-2".into();
        run(&mut host, &event).unwrap();
        assert_eq!((host.requests.len(), host.notes()), (1, vec!["export-unsure"]));
        // A merchant's restart of the event is a decision.
        event.id = "event-1".into();
        host.answers.push_back(Ok(zip("aa")));
        run(&mut host, &event).unwrap();
        assert_eq!(host.requests.len(), 2);
    }
}

#[test]
fn a_success_that_is_no_zip_file_is_no_document() {
    let stored = http::StoredBody { digest: "cc".into(), size: 90, media_type: Some("application/json".into()) };
    let answer = http::HttpResponse { body: http::Body::Stored(stored), ..response(200, "") };
    let mut host = FakeHost::with_responses([answer]);
    host.stored = br#"{"resultCode":2,"resultCodeName":"OrderCreatedUnhealthy","resultMessage":""}"#.to_vec();
    run(&mut host, &event(OrderEventKind::Released, order(vec![line("a", 7, 2)]))).unwrap();
    assert_eq!(host.merchant_questions(), ["export-unsure"]);
    assert!(!host.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_))));
}

#[test]
fn a_small_zip_file_is_known_by_its_first_bytes() {
    let stored = http::StoredBody { digest: "dd".into(), size: 120, media_type: None };
    let mut host =
        FakeHost::with_responses([http::HttpResponse { body: http::Body::Stored(stored), ..response(200, "") }]);
    host.stored = b"PK\x03\x04rest".to_vec();
    run(&mut host, &event(OrderEventKind::Released, order(vec![line("a", 7, 2)]))).unwrap();
    assert!(host.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_))));
}

#[test]
fn a_wrong_secret_stops_before_the_next_line() {
    let mut host = FakeHost::with_responses([answer(400, 6)]);
    let error = run(&mut host, &two_lines()).unwrap_err();
    assert!(matches!(error, CallError::NotConfigured(issue) if issue.field == PAYLOAD_SECRET));
    assert_eq!(host.requests.len(), 1);
}

#[test]
fn a_held_line_is_not_fetched() {
    let mut host = FakeHost::with_responses([zip("aa")]);
    let mut event = two_lines();
    event.order.lines[1].released = false;
    run(&mut host, &event).unwrap();
    assert_eq!((host.requests.len(), host.notes()), (1, vec!["lines-held"]));
}

#[test]
fn cancelling_after_a_file_was_fetched_is_too_late() {
    let mut host = FakeHost::with_responses([zip("aa"), zip("bb")]);
    let mut event = two_lines();
    run(&mut host, &event).unwrap();
    event.memos = host.memos();
    event.kind = OrderEventKind::Cancelled;
    run(&mut host, &event).unwrap();
    assert_eq!(host.merchant_questions(), ["too-late"]);
}
