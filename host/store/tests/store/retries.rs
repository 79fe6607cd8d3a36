//! Tests of jobs that fail temporarily: how often and when they are retried.

use cartwright::durable::{
    self, Answer, Call, Entry, Journal, JournalError, JournaledBody, JournaledBytes, JournaledResponse, RETRY_BACKOFF,
    Record, ResponsibleParty, RetryCounters, RunEnd, RunError,
};
use cartwright::types::{CallError, Order, OrderEventKind, Outage, RetrySafety};
use cartwright::{Breach, Digest, Failure};
use cartwright_store::{Claim, JobState, RetryMode, Store};

use crate::database::{Database, at, claim, claimed, event_of, on_each_database, order, record, shop};
use crate::journals::began;

on_each_database!(
    an_outage_is_retried_for_two_days_and_then_shown,
    a_vendor_says_when_to_come_again,
    whoever_gets_further_has_all_tries_again,
    a_database_that_is_away_counts_as_nobodys_outage,
    a_breach_of_time_is_retried_once,
    a_retry_is_told_of_the_order_as_it_is_now,
    what_may_have_arrived_is_asked_again_as_it_was_unless_nothing_is_to_be_made,
    what_must_not_be_sent_twice_is_not_begun_anew,
);

fn outage(retry_after_seconds: Option<u32>) -> RunEnd {
    RunEnd::Retry { outage: Outage { retry_after_seconds, detail: "the vendor is away".into() } }
}

/// Finishes with an outage, as long as the job is retried; returns the number of attempts, and the second at which it
/// stopped.
async fn retried(store: &Store, mut now: u64) -> (u32, u64) {
    for outages in 1.. {
        let run = claimed(store, now).await;
        match store.jobs().finish(&run.lease, Ok(&outage(None)), at(now)).await.unwrap() {
            JobState::Retrying { counters: tries, until } => {
                assert_eq!(tries, RetryCounters { outages, limit_breaches: 0 });
                now += until.duration_since(at(now)).unwrap().as_secs() + 1;
            }
            JobState::Stopped => return (outages - 1, now),
            other => panic!("{other:?}"),
        }
    }
    unreachable!()
}

async fn an_outage_is_retried_for_two_days_and_then_shown(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    record(&store, "e2", "1", 0).await;
    let (outages, now) = retried(&store, 0).await;
    assert_eq!(outages as usize, RETRY_BACKOFF.len());
    assert!((46 * 3600..55 * 3600).contains(&now), "{now}");
    let reason = store.jobs().get(&id).await.unwrap().reason.unwrap();
    assert!(reason.text.contains("tried 12 times") && reason.text.ends_with("the vendor is away"), "{}", reason.text);
    assert_eq!(reason.responsible, Some(ResponsibleParty::Merchant));
    // The later event of the order does not pass it.
    assert!(claim(&store, now + 1_000_000).await.is_none());
    // A manual retry gives it two more days.
    store.jobs().retry(&id, RetryMode::Resume, "ann", at(now)).await.unwrap();
    assert_eq!(retried(&store, now).await.0 as usize, RETRY_BACKOFF.len());
}

async fn a_vendor_says_when_to_come_again(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let state = store.jobs().finish(&run.lease, Ok(&outage(Some(600))), at(0)).await.unwrap();
    let JobState::Retrying { until, .. } = state else { panic!("{state:?}") };
    assert!((at(600)..at(661)).contains(&until), "{until:?}");
}

async fn whoever_gets_further_has_all_tries_again(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.jobs().finish(&run.lease, Ok(&outage(None)), at(0)).await.unwrap();
    let run = claimed(&store, 100).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(200) }), at(100)).await.unwrap();
    assert_eq!(retried(&store, 200).await.0 as usize, RETRY_BACKOFF.len());
}

async fn a_database_that_is_away_counts_as_nobodys_outage(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let error = RunError::Journal(JournalError::Store("the disk is full".into()));
    let state = store.jobs().finish(&run.lease, Err(&error), at(0)).await.unwrap();
    let JobState::Retrying { counters: tries, until } = state else { panic!("{state:?}") };
    assert_eq!(tries, RetryCounters::default());
    assert!(until <= at(60), "{until:?}");
}

async fn a_breach_of_time_is_retried_once(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let slow = || {
        let breach = Breach::Deadline { allowed_ms: 1000 };
        RunEnd::Stopped { reason: durable::StopReason::Failed(Failure::Limit(breach)) }
    };
    let run = claimed(&store, 0).await;
    let state = store.jobs().finish(&run.lease, Ok(&slow()), at(0)).await.unwrap();
    assert!(matches!(state, JobState::Retrying { counters: RetryCounters { limit_breaches: 1, .. }, .. }), "{state:?}");
    let run = claimed(&store, 100).await;
    assert_eq!(store.jobs().finish(&run.lease, Ok(&slow()), at(100)).await.unwrap(), JobState::Stopped);
    assert!(store.jobs().get(&id).await.unwrap().reason.unwrap().text.contains("limit deadline"));
}

fn intent(retry_safety: RetrySafety) -> Entry {
    let call = Call { import: "http.send".into(), label: "POST".into(), digest: Digest::of(b"POST") };
    Entry::Intent { call, retry_safety, attempt: 1 }
}

fn answered(status: u16) -> Entry {
    let body = JournaledBody::Inline(JournaledBytes::Bytes(Vec::new()));
    let answer = Answer::Returned(JournaledResponse { status, headers: Vec::new(), body, attempts: 1 });
    Entry::Responded { answer, may_have_arrived: true }
}

fn lost() -> Entry {
    let outage = Outage { retry_after_seconds: None, detail: "no answer".into() };
    Entry::Responded { answer: Answer::Failed(CallError::Unavailable(outage)), may_have_arrived: true }
}

/// Creates a job whose run wrote these entries and then found its vendor unavailable; returns it, and its next run
/// after the order has changed.
async fn retried_after(store: &Store, id: &str, entries: &[Entry], change: fn(&mut Order)) -> (Claim, Claim) {
    record(store, &format!("{id} is paid"), id, 0).await;
    let first = claimed(store, 0).await;
    first.journal.append(0, &began(at(0))).await.unwrap();
    for (number, entry) in entries.iter().enumerate() {
        first.journal.append(number + 1, &Record { at: at(0), entry: entry.clone() }).await.unwrap();
    }
    store.jobs().finish(&first.lease, Ok(&outage(None)), at(0)).await.unwrap();
    let mut newer = order(id, 2);
    change(&mut newer);
    let newer = event_of(&format!("{id} changes"), OrderEventKind::Changed, newer);
    store.orders().record_event(&shop(), &newer, &[], at(1)).await.unwrap();
    let next = claimed(store, 100).await;
    store.jobs().finish(&next.lease, Ok(&RunEnd::Done), at(100)).await.unwrap();
    (first, next)
}

async fn a_retry_is_told_of_the_order_as_it_is_now(database: Database) {
    let store = database.open().await;
    let entries = [intent(RetrySafety::Idempotent), answered(503), Entry::Retried { kept_calls: 0 }];
    let paid_back: fn(&mut Order) = |order| order.refunded = order.paid.clone();
    let (first, next) = retried_after(&store, "1", &entries, paid_back).await;
    assert!(first.job.event.order.released && !next.job.event.order.released);
    assert_eq!((next.job.event.id, next.job.event.order.version), (first.job.event.id, 2));
    let loaded = next.journal.load().await.unwrap();
    assert!(loaded.records.is_empty(), "a fresh journal");
    assert_eq!(loaded.earlier_attempts.values().copied().collect::<Vec<_>>(), [1], "attempts stay counted");
    let fewer: fn(&mut Order) = |order| order.lines[0].cart_line.quantity = 0;
    let (_, next) = retried_after(&store, "2", &entries, fewer).await;
    assert_eq!(next.job.event.order.lines[0].cart_line.quantity, 0);
    // A request that cannot have been sent does not count.
    let mut unsent = entries;
    unsent[1] = match lost() {
        Entry::Responded { answer, .. } => Entry::Responded { answer, may_have_arrived: false },
        other => other,
    };
    let (_, next) = retried_after(&store, "3", &unsent, fewer).await;
    assert_eq!(next.job.event.order.version, 2);
}

async fn what_may_have_arrived_is_asked_again_as_it_was_unless_nothing_is_to_be_made(database: Database) {
    let store = database.open().await;
    let entries = [intent(RetrySafety::Idempotent), lost(), Entry::Retried { kept_calls: 0 }];
    let (first, next) = retried_after(&store, "1", &entries, |order| order.lines[0].cart_line.quantity = 0).await;
    assert_eq!(next.job.event, first.job.event, "its vendor knows the same request again");
    let ends: [fn(&mut Order); 2] = [|order| order.refunded = order.paid.clone(), |order| order.cancelled = true];
    for (id, end) in ["2", "3"].into_iter().zip(ends) {
        let (_, next) = retried_after(&store, id, &entries, end).await;
        assert!(!next.job.event.order.released);
    }
}

async fn what_must_not_be_sent_twice_is_not_begun_anew(database: Database) {
    let store = database.open().await;
    let mut other = intent(RetrySafety::Idempotent);
    if let Entry::Intent { call, .. } = &mut other {
        call.digest = Digest::of(b"another");
    }
    let entries =
        [intent(RetrySafety::NonIdempotent), answered(200), other, answered(503), Entry::Retried { kept_calls: 1 }];
    let (first, next) = retried_after(&store, "1", &entries, |order| order.cancelled = true).await;
    assert_eq!(next.job.event, first.job.event);
}
