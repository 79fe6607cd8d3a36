//! The next action after the end of a run.

use std::time::Duration;

use cartwright::durable::{
    DeterminismFault, JITTER_PERCENT, JournalError, NextAction, RETRY_BACKOFF, ResponsibleParty, RetryCounters, RunEnd,
    RunError, StopReason, UnansweredRequest, next_step,
};
use cartwright::types::{CallError, FieldIssue, Message, NamedJson, Outage, Refusal};
use cartwright::{Breach, Failure, SetupError};
use proptest::prelude::*;

use crate::after_seconds;

fn away(retry_after_seconds: Option<u32>) -> RunEnd {
    RunEnd::Retry { outage: Outage { retry_after_seconds, detail: "expivi.net answered 503".to_owned() } }
}

fn failed(failure: Failure) -> RunEnd {
    RunEnd::Stopped { reason: StopReason::Failed(failure) }
}

fn message() -> Message {
    Message { key: "key".to_owned(), parameters: Vec::new(), text: "What is wrong.".to_owned() }
}

fn refusal(what: &str) -> Refusal {
    Refusal { what: what.to_owned(), text: "Not here.".to_owned() }
}

fn unknown() -> CallError {
    CallError::Other(NamedJson { name: "later".to_owned(), json: "1".to_owned() })
}

fn issue() -> FieldIssue {
    FieldIssue { field: "field".to_owned(), message: message(), blocking: true }
}

/// Returns the issue of an outcome that the host refused.
fn refused_outcome() -> FieldIssue {
    FieldIssue { message: Message { key: "outcome-invalid".to_owned(), ..message() }, ..issue() }
}

fn step(end: &RunEnd) -> (NextAction, RetryCounters) {
    next_step(Ok(end), RetryCounters::default(), b"job")
}

fn waited(step: NextAction) -> Duration {
    let NextAction::Retry { after } = step else { panic!("{step:?}") };
    after
}

fn is_near(after: Duration, wait: Duration) -> bool {
    let off = wait / 10;
    (wait - off..=wait + off).contains(&after)
}

#[test]
fn outages_are_retried_with_growing_delays_and_given_up_in_the_end() {
    let mut counters = RetryCounters::default();
    let mut all = Duration::ZERO;
    for wait in RETRY_BACKOFF {
        let (step, now) = next_step(Ok(&away(None)), counters, b"job");
        let after = waited(step);
        assert!(is_near(after, wait), "{after:?} for {wait:?}");
        (counters, all) = (now, all + after);
    }
    assert!(all > Duration::from_secs(40 * 3600), "{all:?}");
    let (step, now) = next_step(Ok(&away(None)), counters, b"job");
    let NextAction::Stop { responsible: ResponsibleParty::Merchant, reason } = step else { panic!("{step:?}") };
    assert!(reason.contains("12 times") && reason.contains("expivi.net answered 503"), "{reason}");
    // The job stays stopped however often it is looked at.
    assert_eq!(now, counters);
}

#[test]
fn the_schedule_is_the_one_that_was_promised() {
    let minutes = RETRY_BACKOFF.map(|wait| wait.as_secs() / 60);
    assert_eq!(minutes, [1, 3, 5, 10, 15, 30, 60, 120, 360, 840, 1440]);
}

#[test]
fn a_retry_after_delay_is_respected_and_never_shortened() {
    for named in [5, 90, 3600] {
        let after = waited(step(&away(Some(named))).0);
        let named = Duration::from_secs(named.into());
        assert!(after >= named && after <= named + named / 10, "{after:?} for {named:?}");
    }
    assert!(waited(step(&away(Some(u32::MAX))).0) <= Duration::from_secs(24 * 3600) * 11 / 10);
}

#[test]
fn a_vendor_that_says_soon_each_time_does_not_use_all_tries_up() {
    let (mut counters, mut all) = (RetryCounters::default(), Duration::ZERO);
    while let (NextAction::Retry { after }, now) = next_step(Ok(&away(Some(1))), counters, b"job") {
        (counters, all) = (now, all + after);
    }
    assert!(all > Duration::from_secs(40 * 3600), "{all:?}");
}

#[test]
fn a_run_that_got_further_begins_its_tries_anew() {
    let counters = RetryCounters { outages: 7, limit_breaches: 1 };
    let again = RunEnd::ContinueLater { seconds: 30, state: "state".to_owned() };
    let next = (NextAction::StartNextRound { after: Duration::from_secs(30) }, RetryCounters::default());
    assert_eq!(next_step(Ok(&again), counters, b"job"), next);
    let sleep = RunEnd::Sleep { until: after_seconds(5) };
    assert_eq!(
        next_step(Ok(&sleep), counters, b"job"),
        (NextAction::SleepUntil(after_seconds(5)), RetryCounters::default())
    );
    for end in [RunEnd::Done, RunEnd::Cancelled { unanswered: None }] {
        assert_eq!(next_step(Ok(&end), counters, b"job").0, NextAction::Complete);
    }
}

#[test]
fn a_permanent_failure_stops_the_job_and_names_the_responsible_party() {
    let cases = [
        (Failure::PluginError(CallError::InvalidInput(issue())), ResponsibleParty::Merchant),
        (Failure::PluginError(CallError::InvalidInput(refused_outcome())), ResponsibleParty::PluginAuthor),
        (Failure::PluginError(CallError::Rejected(message())), ResponsibleParty::Merchant),
        (Failure::PluginError(CallError::NotConfigured(issue())), ResponsibleParty::Merchant),
        (Failure::PluginError(CallError::Denied(refusal("capability:http"))), ResponsibleParty::Operator),
        (Failure::PluginError(CallError::LimitExceeded(refusal("limit:bytes-in"))), ResponsibleParty::Operator),
        (Failure::PluginError(unknown()), ResponsibleParty::PluginAuthor),
        (Failure::PluginError(CallError::Internal("oh".to_owned())), ResponsibleParty::PluginAuthor),
        (Failure::Trap("unreachable".to_owned()), ResponsibleParty::PluginAuthor),
        (Failure::ContractViolation("oh".to_owned()), ResponsibleParty::PluginAuthor),
        (Failure::NotExported("orders".to_owned()), ResponsibleParty::PluginAuthor),
        (Failure::Limit(Breach::Memory { requested: 2, allowed: 1 }), ResponsibleParty::Operator),
        (Failure::Limit(Breach::HostCalls { allowed: 1 }), ResponsibleParty::Operator),
    ];
    for (failure, expected) in cases {
        let text = failure.to_string();
        let (step, counters) = step(&failed(failure));
        assert_eq!(step, NextAction::Stop { responsible: expected, reason: text });
        assert_eq!(counters, RetryCounters::default());
    }
    let fault = DeterminismFault { number: 3, journal: None, actual: None };
    for reason in [StopReason::DeterminismFault(fault), StopReason::JournalFull] {
        assert!(matches!(
            step(&RunEnd::Stopped { reason }).0,
            NextAction::Stop { responsible: ResponsibleParty::PluginAuthor, .. }
        ));
    }
}

#[test]
fn a_breach_of_time_is_tried_once_more() {
    for breach in [Breach::GuestCpu { allowed_ms: 250 }, Breach::Deadline { allowed_ms: 2000 }] {
        let end = failed(Failure::Limit(breach));
        let (first, counters) = step(&end);
        assert!(is_near(waited(first), RETRY_BACKOFF[0]));
        let (second, _) = next_step(Ok(&end), counters, b"job");
        assert!(matches!(second, NextAction::Stop { responsible: ResponsibleParty::Operator, .. }), "{second:?}");
        // Outages are counted separately.
        let (outage, counters) = next_step(Ok(&away(None)), counters, b"job");
        assert!(is_near(waited(outage), RETRY_BACKOFF[0]));
        assert_eq!(counters, RetryCounters { outages: 1, limit_breaches: 1 });
    }
}

#[test]
fn a_request_that_may_have_arrived_waits_for_a_person() {
    let unanswered = UnansweredRequest { request: "POST https://api.example/orders".to_owned(), attempts: 1 };
    let cancelled = RunEnd::Cancelled { unanswered: Some(unanswered.clone()) };
    for end in [RunEnd::NeedsMerchant { unanswered }, cancelled] {
        let (NextAction::AskMerchant { reason }, _) = step(&end) else { panic!("{end:?}") };
        assert!(reason.contains("POST https://api.example/orders"), "{reason}");
    }
    let lost = failed(Failure::UnansweredRequest("https://api.example/orders".to_owned()));
    assert!(matches!(step(&lost).0, NextAction::AskMerchant { .. }));
}

#[test]
fn the_hosts_own_troubles_are_not_counted() {
    let counters = RetryCounters { outages: 3, limit_breaches: 0 };
    let store = RunError::Journal(JournalError::Store("away".to_owned()));
    let busy = failed(Failure::Busy { waited_ms: 2000 });
    for ended in [Err(&store), Ok(&busy)] {
        let (step, now) = next_step(ended, counters, b"job");
        assert!(waited(step) <= Duration::from_secs(11));
        assert_eq!(now, counters);
    }
    let moved = RunError::Journal(JournalError::Superseded);
    assert_eq!(next_step(Err(&moved), counters, b"job"), (NextAction::Release, counters));
    let unknown_shop = RunError::Setup(SetupError::UnknownShop("gone".parse().expect("an id")));
    assert!(matches!(
        next_step(Err(&unknown_shop), counters, b"job").0,
        NextAction::Stop { responsible: ResponsibleParty::Operator, .. }
    ));
}

#[test]
fn retries_of_many_jobs_are_spread_over_time() {
    let waits: std::collections::BTreeSet<Duration> = (0..200_u32)
        .map(|job| waited(next_step(Ok(&away(None)), RetryCounters::default(), &job.to_be_bytes()).0))
        .collect();
    assert!(waits.len() > 150, "{}", waits.len());
}

proptest! {
    #[test]
    fn a_wait_is_within_its_bounds_and_the_same_for_the_same_job(
        seed in any::<[u8; 8]>(),
        outages in 0..11_u32,
        named in proptest::option::of(0..2_000_000_u32),
    ) {
        let counters = RetryCounters { outages, limit_breaches: 0 };
        let (step, now) = next_step(Ok(&away(named)), counters, &seed);
        prop_assert_eq!(&next_step(Ok(&away(named)), counters, &seed), &(step.clone(), now));
        prop_assert_eq!(now.outages, outages + 1);
        let after = waited(step);
        let day = Duration::from_secs(24 * 3600);
        prop_assert!(after <= day + day / 100 * JITTER_PERCENT);
        if let Some(named) = named {
            prop_assert!(after >= Duration::from_secs(named.into()).min(day) || is_near(after, RETRY_BACKOFF[outages as usize]));
        }
    }
}

#[test]
fn a_feed_is_polled_again_by_the_schedule_and_is_never_given_up() {
    let within = |delay: Duration, scheduled: Duration| {
        let deviation = scheduled / 100 * cartwright::durable::JITTER_PERCENT;
        assert!((scheduled - deviation..=scheduled + deviation).contains(&delay), "{delay:?} of {scheduled:?}");
    };
    for (failures, scheduled) in (1..).zip(cartwright::durable::RETRY_BACKOFF) {
        within(cartwright::durable::feed_retry_delay(failures, None, b"shop account"), scheduled);
    }
    let [.., longest] = cartwright::durable::RETRY_BACKOFF;
    for failures in [12, 1_000, u32::MAX] {
        within(cartwright::durable::feed_retry_delay(failures, None, b"shop account"), longest);
    }
}
