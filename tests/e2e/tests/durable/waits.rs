//! Waits: for a time, for a vendor, for another event, for an operator.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cartwright::durable::{
    Cancel, Entry, Job, Journal, JournalError, Loaded, MAX_CONTINUATIONS, MAX_WAIT_SECONDS, MemoryJournal, Record,
    RunEnd, RunInput, StopReason, Wake,
};
use cartwright::types::{Audience, BytesSource, CallError, Document, Outcome, WakeReason};
use cartwright::{Blobs, Clock, Failure, Limits, MAX_CONCURRENT_CALLS, SimulatedClock};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use serde_json::json;

use crate::erp::Erp;
use crate::gems::job;
use cartwright_e2e::orders::{forwarded, order, put};

fn wake_reasons(journal: &MemoryJournal) -> Vec<WakeReason> {
    let woke = |record: Record| match record.entry {
        Entry::SleepEnded { reason } => Some(reason),
        _ => None,
    };
    journal.records().into_iter().filter_map(woke).collect()
}

fn kinds_of_entries(journal: &MemoryJournal) -> Vec<&'static str> {
    journal.records().iter().map(|record| record.entry.name()).collect()
}

fn is_production(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome, Outcome::Production(_)))
}

#[tokio::test]
async fn a_wait_ends_the_run_and_goes_on_when_its_time_has_come() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    let RunEnd::Sleep { until } = erp.run(&job, &journal).await else { panic!("no wait") };
    assert_eq!(until.duration_since(erp.clock.now()).expect("later"), Duration::from_secs(60));
    let entries = journal.records().len();
    // Before its time the job does not run.
    erp.advance(59).await;
    let RunEnd::Sleep { until: same } = erp.run(&job, &journal).await else { panic!("no wait") };
    assert_eq!((same, journal.records().len(), erp.state().status_requests), (until, entries, 0));
    erp.advance(1).await;
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!((wake_reasons(&journal), erp.state().status_requests), (vec![WakeReason::Elapsed], 1));
    for _ in 0..2 {
        erp.advance(60).await;
        erp.run(&job, &journal).await;
    }
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    let (posted, status_requests) = {
        let state = erp.state();
        (state.posted.len(), state.status_requests)
    };
    assert_eq!((posted, status_requests), (1, 3));
    assert!(is_production(&journal.outcomes()));
}

#[tokio::test]
async fn a_wait_of_ninety_days_is_made_and_a_longer_one_is_a_limit_of_the_plugin() {
    let erp = Erp::new().await;
    let wait = |id: &str, seconds: u32| erp.job_of(erp.event(id, forwarded("wait", &seconds.to_string())));
    let (job, journal) = (wait("1", MAX_WAIT_SECONDS), Arc::new(MemoryJournal::default()));
    let RunEnd::Sleep { until } = erp.run(&job, &journal).await else { panic!("no wait") };
    assert_eq!(until.duration_since(erp.clock.now()).expect("later"), Duration::from_secs(90 * 24 * 3600));
    erp.advance(MAX_WAIT_SECONDS).await;
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    assert_eq!(wake_reasons(&journal), [WakeReason::Elapsed]);
    for seconds in [MAX_WAIT_SECONDS + 1, u32::MAX] {
        let (job, journal) = (wait("2", seconds), Arc::new(MemoryJournal::default()));
        let end = erp.run(&job, &journal).await;
        let RunEnd::Stopped { reason: StopReason::Failed(Failure::PluginError(CallError::LimitExceeded(refusal))) } =
            end
        else {
            panic!("{end:?}")
        };
        assert_eq!(refusal.what, "limit:wait-seconds");
        assert!(refusal.text.contains("90 days"), "{}", refusal.text);
        assert_eq!(kinds_of_entries(&journal), ["run-start"], "a refused wait is journaled");
    }
}

#[tokio::test]
async fn an_event_is_continued_a_hundred_times_after_ninety_days_at_most() {
    let erp = Erp::new().await;
    let run = async |round: u32, seconds: u32| {
        let event = erp.event("1", forwarded("continue", &seconds.to_string()));
        let job = Job { round, ..erp.job_of(event) };
        erp.run(&job, &Arc::new(MemoryJournal::default())).await
    };
    let end = run(MAX_CONTINUATIONS - 1, MAX_WAIT_SECONDS).await;
    assert!(matches!(end, RunEnd::ContinueLater { seconds: MAX_WAIT_SECONDS, .. }), "{end:?}");
    for (round, seconds, says) in [(MAX_CONTINUATIONS, 0, "100 times"), (0, MAX_WAIT_SECONDS + 1, "90 days")] {
        let end = run(round, seconds).await;
        let RunEnd::Stopped { reason: StopReason::Failed(Failure::ContractViolation(text)) } = end else {
            panic!("{end:?}")
        };
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn a_refused_outcome_is_an_error_of_the_plugin_and_is_not_applied() {
    let erp = Erp::new().await;
    for (name, outcomes) in [("ring.txt", "document"), ("../ring.txt", "note")] {
        let json = serde_json::to_string(name).expect("JSON");
        let (job, journal) =
            (erp.job_of(erp.event("1", forwarded("document", &json))), Arc::new(MemoryJournal::default()));
        // The second run replays the first.
        for _ in 0..2 {
            assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done), "{name}");
        }
        let emitted = journal.outcomes();
        match (&emitted[..], outcomes) {
            ([Outcome::Document(_)], "document") => {}
            ([Outcome::Note(note)], "note") => assert_eq!(note.text, "document.name"),
            _ => panic!("{name}: {emitted:?}"),
        }
    }
}

#[tokio::test]
async fn a_document_of_an_earlier_event_can_be_read() {
    let erp = Erp::new().await;
    let digest = erp.blobs.put(&erp.shop, b"a drawing".to_vec(), "text/plain").await.expect("stored");
    let mut event = erp.event("1", forwarded("read", "null"));
    event.previous_outcomes = vec![Outcome::Document(Document {
        line: None,
        kind: "drawing".to_owned(),
        name: "ring.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        content: BytesSource::Stored(digest.to_string()),
        audience: Audience::Shopper,
        extra: Vec::new(),
    })];
    let (job, journal) = (erp.job_of(event), Arc::new(MemoryJournal::default()));
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    let outcomes = journal.outcomes();
    assert!(matches!(&outcomes[..], [Outcome::Note(note)] if note.text == "9"), "{outcomes:?}");
}

#[tokio::test]
async fn more_jobs_wait_than_there_are_instances() {
    let erp = Erp::new().await;
    for number in 0..=MAX_CONCURRENT_CALLS {
        erp.run_to_first_wait(&erp.job(&format!("{number}")), &Arc::new(MemoryJournal::default())).await;
    }
    assert_eq!(erp.state().posted.len(), MAX_CONCURRENT_CALLS as usize + 1);
}

#[tokio::test]
async fn more_requests_are_out_than_there_are_instances() {
    let limits = Limits { durable_hold: Duration::from_millis(1), ..Limits::default() };
    let erp = Erp::with(|builder| builder.limits(limits)).await;
    erp.close();
    let mut out = Vec::new();
    for number in 0..=MAX_CONCURRENT_CALLS {
        let (job, journal) = (erp.job(&format!("{number}")), Arc::new(MemoryJournal::default()));
        let RunEnd::PendingRequest(waiting) = erp.run(&job, &journal).await else { panic!("no wait") };
        assert_eq!(waiting.request(), format!("POST {}", erp.url));
        out.push((job, journal, waiting));
    }
    erp.open();
    for (job, journal, waiting) in out {
        waiting.wait().await.expect("an answer");
        erp.run_to_first_wait(&job, &journal).await;
    }
    assert!(erp.state().posted.values().all(|posts| *posts == 1), "a request that was out was sent again");
}

#[tokio::test]
async fn a_slow_request_that_is_given_up_counts_as_one_that_may_have_arrived() {
    let limits = Limits { durable_hold: Duration::from_millis(20), ..Limits::default() };
    let erp = Erp::with(|builder| builder.limits(limits)).await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.close();
    let RunEnd::PendingRequest(waiting) = erp.run(&job, &journal).await else { panic!("no wait") };
    drop(waiting);
    erp.open();
    let end = loop {
        match erp.run(&job, &journal).await {
            RunEnd::PendingRequest(waiting) => waiting.wait().await.expect("an answer"),
            end => break end,
        }
    };
    assert!(matches!(end, RunEnd::Sleep { .. }), "{end:?}");
    let attempts = journal.records().into_iter().filter_map(|record| match record.entry {
        Entry::Intent { attempt, .. } => Some(attempt),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_wait_ends_early_when_another_event_of_the_order_waits() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let end = erp.try_run(&job, &journal, Wake::EventWaiting).await.expect("a run").end;
    let RunEnd::ContinueLater { seconds: 60, state } = end else { panic!("{end:?}") };
    assert_eq!(wake_reasons(&journal), [WakeReason::EventWaiting]);
    // The next run continues from the state, with a new journal.
    let mut next = job.clone();
    (next.state, next.round) = (Some(state), 1);
    erp.run_to_first_wait(&next, &Arc::new(journal.next().expect("a journal"))).await;
    assert_eq!(erp.state().posted.values().sum::<u32>(), 1);
    // A run that was lost after that result gets the same result.
    let end = erp.run(&job, &journal).await;
    assert!(matches!(end, RunEnd::ContinueLater { .. }), "{end:?}");
}

#[tokio::test]
async fn what_the_order_book_said_stands_though_the_order_has_changed_since() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-id": 501 })).await;
    world.expivi.set_polls(9);
    let mut cart = Vec::new();
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a line");
    let mut order = order(&world.host, &world.shop, "1", &cart);
    put(&world.orders, &world.shop, &world.account, &order, &cart);
    let job = job(&world.shop, &world.account, world.digest, &order);
    let (journal, clock) = (Arc::new(MemoryJournal::default()), Arc::new(SimulatedClock::default()));
    let run = async |wake| {
        let (journal, clock) = (journal.clone(), clock.clone());
        world.host.run_job(&job, RunInput { journal, clock, wake, cancel: Cancel::default() }).await.expect("a run").end
    };
    assert!(matches!(run(Wake::Due).await, RunEnd::Sleep { .. }));
    let end = run(Wake::EventWaiting).await;
    assert!(matches!(end, RunEnd::ContinueLater { .. }), "{end:?}");
    order.cancelled = true;
    world.orders.put(&world.shop, &world.account, order);
    let end = run(Wake::Due).await;
    assert!(matches!(end, RunEnd::ContinueLater { .. }), "{end:?}");
}

#[tokio::test]
async fn a_plugin_that_waits_is_told_that_it_is_cancelled() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let end = erp.try_run(&job, &journal, Wake::Cancelled).await.expect("a run").end;
    assert!(matches!(end, RunEnd::Cancelled { unanswered: None }), "{end:?}");
    assert_eq!((wake_reasons(&journal), erp.state().status_requests), (vec![WakeReason::JobCancelled], 0));
}

/// A journal during whose first intent an operator cancels the job.
struct Cancelling {
    inner: MemoryJournal,
    cancel: Cancel,
    at: fn(&Entry) -> bool,
}

#[async_trait]
impl Journal for Cancelling {
    async fn load(&self) -> Result<Loaded, JournalError> {
        self.inner.load().await
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        if (self.at)(&record.entry) {
            self.cancel.cancel();
        }
        self.inner.append(position, record).await
    }
}

#[tokio::test]
async fn a_job_is_cancelled_between_two_steps() {
    let erp = Erp::new().await;
    type At = fn(&Entry) -> bool;
    let places: [(At, u32, usize); 2] = [
        // Before the order is sent; and during the request, whose response is still recorded.
        (|entry| matches!(entry, Entry::RunStart(_)), 0, 1),
        (|entry| matches!(entry, Entry::Intent { .. }), 1, 3),
    ];
    for (number, (at, sent, entries)) in places.into_iter().enumerate() {
        let (job, cancel) = (erp.job(&format!("{number}")), Cancel::default());
        let journal = Arc::new(Cancelling { inner: MemoryJournal::default(), cancel: cancel.clone(), at });
        let start = RunInput { cancel, ..erp.start(&journal, Wake::Due) };
        let end = erp.host.run_job(&job, start).await.expect("a run").end;
        assert!(matches!(end, RunEnd::Cancelled { unanswered: None }), "{end:?}");
        assert_eq!(erp.state().posted.values().sum::<u32>(), sent);
        assert_eq!(journal.inner.records().len(), entries);
    }
}

#[tokio::test]
async fn a_cancelled_job_says_which_request_may_have_arrived() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let lost = journal.records().into_iter().take(2).collect();
    let end = erp.try_run(&job, &Arc::new(MemoryJournal::of(lost)), Wake::Cancelled).await.expect("a run").end;
    let RunEnd::Cancelled { unanswered: Some(unanswered) } = end else { panic!("{end:?}") };
    assert_eq!((unanswered.request, unanswered.attempts), (format!("POST {}", erp.url), 1));
    assert_eq!(erp.state().posted.values().sum::<u32>(), 1);
}
