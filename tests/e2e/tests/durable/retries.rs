//! Retries: what they discard, what they keep, and what never happens twice.

use std::sync::Arc;

use axum::http::StatusCode;
use cartwright::durable::{
    Entry, JournaledBody, JournaledBytes, MAX_JOURNAL_ENTRIES, MemoryJournal, RunEnd, StopReason, retry,
};
use cartwright::types::Outcome;
use cartwright::{Blobs, Failure, SetupError};
use cartwright_e2e::orders::forwarded;

use crate::erp::Erp;

/// Returns each entry by its kind, and each intent by its attempt.
fn kinds(journal: &MemoryJournal) -> Vec<String> {
    let kind = |entry: Entry| match entry {
        Entry::RunStart(_) => "began".to_owned(),
        Entry::Intent { attempt, .. } => format!("intent {attempt}"),
        Entry::Responded { .. } => "answered".to_owned(),
        Entry::Returned { call, .. } => format!("told {}", call.import),
        Entry::Emitted { .. } => "emitted".to_owned(),
        Entry::SleepStarted { .. } => "slept".to_owned(),
        Entry::SleepEnded { .. } => "woke".to_owned(),
        Entry::Retried { kept_calls: keep } => format!("retried {keep}"),
    };
    journal.records().into_iter().map(|record| kind(record.entry)).collect()
}

#[tokio::test]
async fn an_outage_is_waited_out_and_the_request_sent_again_says_its_attempt() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.state().refusals.extend([StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS]);
    for _ in 0..2 {
        let end = erp.run(&job, &journal).await;
        assert!(matches!(end, RunEnd::Retry { .. }), "{end:?}");
    }
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().posted["test:shop:1"], 3);
    let retried = ["intent 1", "answered", "retried 0", "intent 2", "answered", "retried 0", "intent 3", "answered"];
    assert_eq!(kinds(&journal)[1..9], retried);
    let attempts = journal.records().into_iter().filter_map(|record| match record.entry {
        Entry::Responded { answer: cartwright::durable::Answer::Returned(response), .. } => Some(response.attempts),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2, 3]);
    // The next journal knows the earlier requests.
    let loaded = cartwright::durable::Journal::load(&journal.next().expect("a journal")).await.expect("entries");
    assert_eq!(loaded.earlier_attempts.values().copied().collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn what_was_said_after_an_answer_that_is_taken_back_is_not_said_twice() {
    let erp = Erp::new().await;
    let applied = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = applied.clone();
    let apply = move |outcome: &Outcome| {
        let Outcome::Note(message) = outcome else { panic!("{outcome:?}") };
        seen.lock().expect("the list").push(message.text.clone());
    };
    let journal = Arc::new(MemoryJournal::default().on_emit(apply));
    let job = erp.job_of(erp.event("1", forwarded("now", "{}")));
    erp.state().refusals.extend([StatusCode::SERVICE_UNAVAILABLE; 2]);
    for _ in 0..2 {
        assert!(matches!(erp.run(&job, &journal).await, RunEnd::Retry { .. }));
    }
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    assert_eq!(*applied.lock().expect("the list"), ["first", "second"]);
    assert_eq!(journal.outcomes().len(), 2);
}

#[tokio::test]
async fn what_is_refused_stops_and_is_asked_anew_when_a_person_says_so() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.state().refusals.push_back(StatusCode::UNPROCESSABLE_ENTITY);
    for _ in 0..2 {
        let end = erp.run(&job, &journal).await;
        let RunEnd::Stopped { reason: StopReason::Failed(Failure::PluginError(_)) } = end else { panic!("{end:?}") };
    }
    assert_eq!(erp.state().posted["test:shop:1"], 1, "a job that stopped was tried again by itself");
    retry(&*journal, &*erp.clock).await.expect("written");
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().posted["test:shop:1"], 2);
}

#[tokio::test]
async fn a_job_that_is_restarted_repeats_its_random_numbers_and_says_nothing_twice() {
    let erp = Erp::new().await;
    let job = erp.job_of(erp.event("1", forwarded("now", "{}")));
    let journal = Arc::new(MemoryJournal::default());
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    let restarted = Arc::new(journal.next().expect("a journal"));
    assert!(matches!(erp.run(&job, &restarted).await, RunEnd::Done));
    // The same keys, by which the vendor recognizes the requests; and the plugin learns that it is their second
    // attempt.
    assert_eq!(erp.state().posted.values().copied().collect::<Vec<_>>(), [2, 2]);
    assert_eq!((kinds(&restarted)[1].as_str(), restarted.outcomes().len()), ("intent 2", 2));
}

#[tokio::test]
async fn a_denial_stands_until_the_job_is_tried_again() {
    let erp = Erp::new().await;
    // Another port of this machine: declared by the setting, but not granted.
    erp.set("http://127.0.0.1:9/orders").await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    let denied = |end: RunEnd| {
        let RunEnd::Stopped { reason } = end else { panic!("{end:?}") };
        assert!(reason.to_string().contains("grants.hosts += \"127.0.0.1:9\""), "{reason}");
    };
    denied(erp.run(&job, &journal).await);
    let granted = cartwright::AccountSetup {
        id: erp.account.clone(),
        settings: cartwright_e2e::members(serde_json::json!({ "url": "http://127.0.0.1:9/orders" })),
        grants: cartwright_e2e::local("http://127.0.0.1:9/orders"),
    };
    erp.host.set_account(&erp.shop, erp.plugin, granted).await.expect("an account");
    denied(erp.run(&job, &journal).await);
    retry(&*journal, &*erp.clock).await.expect("written");
    // Granted now; without a listener, so that nothing can have been sent.
    for _ in 0..2 {
        let end = erp.run(&job, &journal).await;
        assert!(matches!(end, RunEnd::Retry { .. }), "{end:?}");
    }
    let expected = ["began", "intent 1", "answered", "retried 0", "intent 1", "answered", "retried 0", "intent 1"];
    assert_eq!(kinds(&journal)[..8], expected);
}

#[tokio::test]
async fn what_a_hook_said_before_it_failed_stands_in_the_error() {
    let erp = Erp::new().await;
    erp.state().refusals.extend([StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY]);
    let event = erp.event("1", forwarded("now", "{}"));
    let failed = erp.host.handle_order(&erp.shop, &erp.account, &event, None, erp.clock.clone()).await;
    let Err(SetupError::Hook(error)) = failed else { panic!("{failed:?}") };
    // The first response was not JSON.
    assert!(error.is_retryable(), "{error}");
    assert_eq!((error.emitted.outcomes.len(), error.emitted.log.len()), (1, 1));
}

#[tokio::test]
async fn a_journal_that_is_full_stops_its_job() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.state().refusals.extend([StatusCode::SERVICE_UNAVAILABLE; MAX_JOURNAL_ENTRIES]);
    let end = loop {
        match erp.run(&job, &journal).await {
            RunEnd::Retry { .. } => {}
            end => break end,
        }
    };
    assert!(matches!(end, RunEnd::Stopped { reason: StopReason::JournalFull }), "{end:?}");
    let entries = journal.records().len();
    assert!((MAX_JOURNAL_ENTRIES - 2..=MAX_JOURNAL_ENTRIES).contains(&entries), "{entries}");
    let sent = erp.state().bodies.len();
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Stopped { reason: StopReason::JournalFull }));
    assert_eq!((journal.records().len(), erp.state().bodies.len()), (entries, sent));
}

#[tokio::test]
async fn a_long_answer_is_kept_by_its_digest() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.state().padding = 70_000;
    erp.run_to_first_wait(&job, &journal).await;
    let kept = journal.records().into_iter().find_map(|record| match record.entry {
        Entry::Responded { answer: cartwright::durable::Answer::Returned(response), .. } => Some(response.body),
        _ => None,
    });
    let Some(JournaledBody::Inline(JournaledBytes::Blob(digest))) = kept else { panic!("{kept:?}") };
    let bytes = erp.blobs.get(&erp.shop, &digest).await.expect("a store").expect("a blob");
    assert!(bytes.len() > 70_000);
    assert!(serde_json::to_string(&journal.records()).expect("JSON").len() < 10_000);
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().posted.values().sum::<u32>(), 1);
}
