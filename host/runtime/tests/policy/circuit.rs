//! An unavailable server gets no requests for a while, and is probed again automatically.

use std::num::NonZeroU32;
use std::time::Duration;

use cartwright::ShopId;
use cartwright::health::{Circuit, CircuitRules, Health, RateLimitRules, RequestOutcome, Rules, Throttled};

use crate::{after_seconds, try_acquire};

const AWAY: RequestOutcome = RequestOutcome::Unavailable { retry_after: None };

fn health() -> Health {
    let circuit = CircuitRules {
        failures: NonZeroU32::new(3).expect("some"),
        open_duration: Duration::from_secs(30),
        max_open_duration: Duration::from_secs(100),
    };
    Health::new(Rules { circuit, rate_limit: RateLimitRules::default() })
}

fn shop(id: &str) -> ShopId {
    id.parse().expect("an id")
}

/// Sends a request if permitted, and reports the outcome.
fn ask(health: &Health, seconds: u64, outcome: RequestOutcome) -> Result<(), Throttled> {
    try_acquire(health, &shop("a"), "api.example", after_seconds(seconds))?;
    health.record(&shop("a"), "api.example", outcome, after_seconds(seconds));
    Ok(())
}

fn until(asked: Result<(), Throttled>) -> u64 {
    let throttled = asked.expect_err("left alone");
    assert!(matches!(&throttled, Throttled::CircuitOpen { .. }), "{throttled}");
    throttled.until().duration_since(after_seconds(0)).expect("later").as_secs()
}

fn opened() -> Health {
    let health = health();
    (0..3).for_each(|second| ask(&health, second, AWAY).expect("closed"));
    health
}

#[test]
fn it_opens_after_failures_in_a_row_and_not_before() {
    let health = health();
    for second in 0..10 {
        let outcome = if second % 3 == 2 { RequestOutcome::Responded } else { AWAY };
        ask(&health, second, outcome).expect("closed: an answer came in between");
    }
    let health = opened();
    assert_eq!(until(ask(&health, 3, AWAY)), 32);
    assert_eq!(until(ask(&health, 31, AWAY)), 32);
}

#[test]
fn one_request_finds_out_whether_it_is_back() {
    let health = opened();
    let ask = |seconds| try_acquire(&health, &shop("a"), "api.example", after_seconds(seconds));
    ask(32).expect("half-open");
    assert_eq!(until(ask(32)), 62, "a second request went out");
    health.record(&shop("a"), "api.example", RequestOutcome::Responded, after_seconds(33));
    assert_eq!(health.circuit(&shop("a"), "api.example"), Circuit::Closed { failures: 0 });
    (33..40).for_each(|second| ask(second).expect("closed"));
}

#[test]
fn one_that_is_still_away_is_left_alone_longer_each_time_and_never_for_good() {
    let health = opened();
    ask(&health, 32, AWAY).expect("half-open");
    assert_eq!(until(ask(&health, 33, AWAY)), 92);
    ask(&health, 92, AWAY).expect("half-open");
    assert_eq!(until(ask(&health, 93, AWAY)), 192);
    ask(&health, 192, AWAY).expect("half-open");
    assert_eq!(until(ask(&health, 193, AWAY)), 292, "longer than the longest pause");
    ask(&health, 292, RequestOutcome::Responded).expect("half-open");
    ask(&health, 292, AWAY).expect("closed");
}

#[test]
fn a_request_whose_sender_crashed_does_not_hold_it_open() {
    let health = opened();
    let ask = |seconds| try_acquire(&health, &shop("a"), "api.example", after_seconds(seconds));
    ask(32).expect("half-open");
    assert_eq!(until(ask(61)), 62);
    ask(62).expect("the next that finds out");
}

#[test]
fn a_retry_after_time_is_respected_within_bounds() {
    for (named, expected) in [(60, 62), (10, 32), (100_000, 102)] {
        let health = health();
        let outcome = RequestOutcome::Unavailable { retry_after: Some(Duration::from_secs(named)) };
        (0..3).for_each(|second| ask(&health, second, outcome).expect("closed"));
        assert_eq!(until(ask(&health, 3, AWAY)), expected);
    }
}

#[test]
fn requests_that_were_out_already_do_not_make_it_longer() {
    let health = opened();
    (3..8).for_each(|second| health.record(&shop("a"), "api.example", AWAY, after_seconds(second)));
    assert_eq!(until(ask(&health, 8, AWAY)), 32);
    health.record(&shop("a"), "api.example", RequestOutcome::Responded, after_seconds(9));
    ask(&health, 9, AWAY).expect("it answered after all");
}

#[test]
fn the_circuits_of_other_shops_and_hosts_stay_closed() {
    let health = opened();
    for (other, host) in [("b", "api.example"), ("a", "files.example")] {
        try_acquire(&health, &shop(other), host, after_seconds(3)).expect("another circuit");
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_hold_it_open() {
    let health = health();
    (1_000_000..1_000_003).for_each(|second| ask(&health, second, AWAY).expect("closed"));
    // The clock of the rate limit was set back too, so the first request is limited.
    ask(&health, 0, RequestOutcome::Responded).expect_err("a hold of the rate_limit");
    ask(&health, 1, RequestOutcome::Responded).expect("half-open");
}

#[test]
fn a_throttled_request_becomes_an_outage_with_a_time() {
    let health = opened();
    let throttled = ask(&health, 12, AWAY).expect_err("open");
    let outage = throttled.outage(after_seconds(12));
    assert_eq!(outage.retry_after_seconds, Some(20));
    assert!(outage.detail.contains("api.example failed 3 times in a row"), "{}", outage.detail);
    assert_eq!(throttled.outage(after_seconds(1000)).retry_after_seconds, Some(1));
}
