//! Tests of a job that an operator restarts on another version of its plugin.

use cartwright::Digest;
use cartwright::durable::{Call, Entry, Journal, Record, RunEnd};
use cartwright::types::RetrySafety;
use cartwright_store::{NewJob, RecordOutcome, RetryMode, Store, StoreError};
use serde_json::json;

use crate::database::{Database, at, claimed, event, job, on_each_database, shop};
use crate::journals::{began, record_of};
use crate::setup::with_account;

on_each_database!(
    a_moved_job_begins_anew_and_keeps_what_it_said_and_how_often_it_asked,
    a_job_is_moved_to_nothing_that_cannot_go_on_with_it,
);

fn old() -> Digest {
    Digest::of(b"0")
}

fn new() -> Digest {
    Digest::of(b"1")
}

/// Creates a job of the old version whose account was switched to the new one. Returns the job's id.
async fn pinned(store: &Store) -> String {
    with_account(store).await;
    for (plugin, bytes) in [("expivi", "0"), ("expivi", "1"), ("expivi", "2"), ("expivi", "3"), ("twikit", "4")] {
        store.components().save(&plugin.parse().unwrap(), "1.0.0", bytes.as_bytes(), at(0)).await.unwrap();
    }
    let job = NewJob { plugin: old(), ..job("expivi") };
    match store.orders().record_event(&shop(), &event("e1", "1"), &[job], at(0)).await.unwrap() {
        RecordOutcome::New { mut jobs } => jobs.remove(0),
        RecordOutcome::AlreadyRecorded => panic!("it is known"),
    }
}

async fn a_moved_job_begins_anew_and_keeps_what_it_said_and_how_often_it_asked(database: Database) {
    let store = database.open().await;
    let id = pinned(&store).await;
    let run = claimed(&store, 0).await;
    let call = Call { import: "http.send".into(), label: "POST".into(), digest: Digest::of(b"call") };
    run.journal.append(0, &began(at(0))).await.unwrap();
    run.journal.append(1, &record_of("made", at(0))).await.unwrap();
    let intent = Entry::Intent { call: call.clone(), retry_safety: RetrySafety::Idempotent, attempt: 1 };
    run.journal.append(2, &Record { at: at(0), entry: intent }).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(5000) }), at(1)).await.unwrap();
    store.jobs().retry(&id, RetryMode::RestartOn(new()), "ann", at(2)).await.unwrap();
    let run = claimed(&store, 2).await;
    assert_eq!((&run.job.id, run.job.plugin), (&id, new()));
    let loaded = run.journal.load().await.unwrap();
    assert!(loaded.records.is_empty());
    assert_eq!(loaded.earlier_attempts.get(&call.digest), Some(&1));
    run.journal.append(0, &began(at(2))).await.unwrap();
    run.journal.append(1, &record_of("made", at(2))).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(3)).await.unwrap();
    let detail = store.jobs().get(&id).await.unwrap();
    assert_eq!((detail.journals.len(), detail.outcomes.len()), (2, 1));
    let entry = store.audit().entries(Some(&shop()), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.action.as_str(), &entry.subject), ("ann", "move-job", &id));
    let of = |state: &str, component| json!({ "state": state, "cancelled": false, "component": component });
    assert_eq!((entry.before, entry.after), (Some(of("sleeping", old())), Some(of("queued", new()))));
}

async fn a_job_is_moved_to_nothing_that_cannot_go_on_with_it(database: Database) {
    let store = database.open().await;
    let id = pinned(&store).await;
    store.components().revoke(&Digest::of(b"3"), None, at(0)).await.unwrap();
    let refused = async |to: Digest| store.jobs().retry(&id, RetryMode::RestartOn(to), "ann", at(1)).await.unwrap_err();
    assert!(matches!(refused(Digest::of(b"never")).await, StoreError::NotFound { what: "component", .. }));
    for (component, reason) in [
        ("0", "it runs this component already"),
        ("2", "the account expivi has no settings for the component"),
        ("3", "is revoked"),
        ("4", "it runs expivi, the component is twikit"),
    ] {
        let error = refused(Digest::of(component.as_bytes())).await;
        assert!(matches!(error, StoreError::Conflict(_)) && error.to_string().contains(reason), "{component}: {error}");
    }
    let run = claimed(&store, 2).await;
    assert_eq!(run.job.plugin, old());
    assert!(matches!(refused(new()).await, StoreError::Conflict(_)), "a worker has it");
    run.journal.append(0, &began(at(2))).await.unwrap();
    assert!(store.audit().entries(None, None, 10).await.unwrap().is_empty());
}
