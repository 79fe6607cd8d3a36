//! All orders of a shop stop requests to an unavailable vendor's server, and one of them finds that it is available
//! again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cartwright::Limits;
use cartwright::durable::{Answer, Entry, Job, MemoryJournal, RunEnd};
use cartwright::health::{Circuit, CircuitRules, RateLimitRules, Rules};
use cartwright::types::CallError;

use crate::erp::Erp;

const FAILURES: u32 = 3;
const PAUSE: u32 = 120;

async fn erp() -> Erp {
    let circuit = CircuitRules {
        failures: NonZeroU32::new(FAILURES).expect("some"),
        open_duration: Duration::from_secs(PAUSE.into()),
        ..CircuitRules::default()
    };
    let limits = Limits { durable_hold: Duration::from_millis(20), ..Limits::default() };
    Erp::with(|builder| builder.limits(limits).health(Rules { circuit, ..Rules::default() })).await
}

type Order = (Job, Arc<MemoryJournal>);

fn orders(erp: &Erp, numbers: std::ops::Range<u32>) -> Vec<Order> {
    numbers.map(|number| (erp.job(&number.to_string()), Arc::default())).collect()
}

/// Runs an order until its request gets a response. Returns the seconds until the next attempt, if there is one.
async fn wait_seconds(erp: &Erp, (job, journal): &Order) -> Option<u32> {
    loop {
        match erp.run(job, journal).await {
            RunEnd::PendingRequest(waiting) => waiting.wait().await.expect("an answer"),
            RunEnd::Retry { outage } => return Some(outage.retry_after_seconds.unwrap_or_default()),
            RunEnd::Sleep { .. } => return None,
            end => panic!("{end:?}"),
        }
    }
}

fn posted(erp: &Erp) -> u32 {
    erp.state().posted.values().sum()
}

/// Returns an ERP system that has just become unavailable.
async fn away() -> Erp {
    let erp = erp().await;
    erp.state().refusals.extend([StatusCode::SERVICE_UNAVAILABLE; FAILURES as usize]);
    for order in orders(&erp, 0..FAILURES) {
        assert_eq!(wait_seconds(&erp, &order).await, Some(0), "it did not say when");
    }
    assert_eq!(posted(&erp), FAILURES);
    erp
}

#[tokio::test]
async fn a_vendor_that_is_away_is_asked_by_nobody_then_by_one_then_by_all() {
    let erp = away().await;
    let orders = orders(&erp, 10..14);
    for order in &orders {
        assert_eq!(wait_seconds(&erp, order).await, Some(PAUSE));
    }
    assert_eq!(posted(&erp), FAILURES, "a request reached it");
    // After the pause one order tries, and the others keep waiting.
    erp.advance(PAUSE).await;
    erp.close();
    let (job, journal) = &orders[0];
    let RunEnd::PendingRequest(probe) = erp.run(job, journal).await else { panic!("it was not asked") };
    for order in &orders[1..] {
        assert_eq!(wait_seconds(&erp, order).await, Some(PAUSE));
    }
    erp.open();
    probe.wait().await.expect("an answer");
    assert_eq!(posted(&erp), FAILURES + 1);
    let host = cartwright_e2e::local(&erp.url).hosts.pop_first().expect("a host");
    assert_eq!(erp.host.health().circuit(&erp.shop, &host), Circuit::Closed { failures: 0 });
    for order in &orders {
        assert_eq!(wait_seconds(&erp, order).await, None);
    }
    assert_eq!(posted(&erp), FAILURES + 4);
}

#[tokio::test]
async fn a_request_that_was_held_does_not_count_as_one_that_may_have_arrived() {
    let erp = away().await;
    let order = orders(&erp, 10..11).remove(0);
    for _ in 0..2 {
        assert_eq!(wait_seconds(&erp, &order).await, Some(PAUSE));
    }
    erp.advance(PAUSE).await;
    assert_eq!(wait_seconds(&erp, &order).await, None);
    let answers: Vec<_> =
        order.1.records().into_iter().filter(|record| matches!(record.entry, Entry::Responded { .. })).collect();
    let [first, second, third] = &answers[..] else { panic!("{answers:?}") };
    for wait_seconds in [first, second] {
        let Entry::Responded { answer: Answer::Failed(CallError::Unavailable(outage)), may_have_arrived: false } =
            &wait_seconds.entry
        else {
            panic!("{wait_seconds:?}")
        };
        assert!(outage.detail.contains("failed 3 times in a row"), "{}", outage.detail);
    }
    let Entry::Responded { answer: Answer::Returned(response), .. } = &third.entry else { panic!("{third:?}") };
    assert_eq!(response.attempts, 1);
}

#[tokio::test]
async fn a_person_who_tests_the_connection_is_not_held() {
    let erp = away().await;
    let diagnoses = erp.host.test_connection(&erp.shop, &erp.account).await.expect("diagnoses");
    // It received a request and responded: this ERP system only accepts posts.
    let detail = diagnoses[0].detail.as_ref().expect("a detail");
    assert_eq!(detail.text, "It answered 405.");
}

#[tokio::test]
async fn orders_wait_for_their_turn_before_anything_is_written() {
    let rate_limit = RateLimitRules { burst: NonZeroU32::new(2).expect("some"), interval: Duration::from_secs(10) };
    let erp = Erp::with(|builder| builder.health(Rules { rate_limit, ..Rules::default() })).await;
    for order in orders(&erp, 0..5) {
        assert_eq!(wait_seconds(&erp, &order).await, None);
        let requests = order.1.records().into_iter().filter(|record| matches!(record.entry, Entry::Intent { .. }));
        assert_eq!(requests.count(), 1);
    }
    // Two at once, and then one each ten seconds.
    assert_eq!((posted(&erp), erp.clock.slept()), (5, vec![10, 10, 10]));
}
