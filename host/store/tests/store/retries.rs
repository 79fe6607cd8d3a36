//! A job that failed in a way that passes: how often and when it is tried again.

use cartwright::durable::{self, JournalError, RunEnd, RunError, Tries, WAITS, Who};
use cartwright::types::Outage;
use cartwright::{Breach, Failure};
use cartwright_store::{JobState, Replay, Store};

use crate::database::{Database, at, claim, claimed, on_each_database, record};

on_each_database!(
    an_outage_is_retried_for_two_days_and_then_shown,
    a_vendor_says_when_to_come_again,
    whoever_gets_further_has_all_tries_again,
    a_database_that_is_away_counts_as_nobodys_outage,
    a_breach_of_time_is_retried_once,
);

fn outage(retry_after_seconds: Option<u32>) -> RunEnd {
    RunEnd::Retry { outage: Outage { retry_after_seconds, detail: "the vendor is away".into() } }
}

/// Finishes with an outage, as long as the job is retried; says how often it was, and at which second it stopped.
async fn retried(store: &Store, mut now: u64) -> (u32, u64) {
    for outages in 1.. {
        let run = claimed(store, now).await;
        match store.finish(&run.lease, Ok(&outage(None)), at(now)).await.unwrap() {
            JobState::Retrying { tries, until } => {
                assert_eq!(tries, Tries { outages, breaches: 0 });
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
    assert_eq!(outages as usize, WAITS.len());
    assert!((46 * 3600..55 * 3600).contains(&now), "{now}");
    let why = store.job(&id).await.unwrap().why.unwrap();
    assert!(why.text.contains("tried 12 times") && why.text.ends_with("the vendor is away"), "{}", why.text);
    assert_eq!(why.who, Some(Who::Merchant));
    // The later event of the order does not pass it.
    assert!(claim(&store, now + 1_000_000).await.is_none());
    // Whoever has it go on gives it two days more.
    store.replay(&id, Replay::GoOn, "ann", at(now)).await.unwrap();
    assert_eq!(retried(&store, now).await.0 as usize, WAITS.len());
}

async fn a_vendor_says_when_to_come_again(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let state = store.finish(&run.lease, Ok(&outage(Some(600))), at(0)).await.unwrap();
    let JobState::Retrying { until, .. } = state else { panic!("{state:?}") };
    assert!((at(600)..at(661)).contains(&until), "{until:?}");
}

async fn whoever_gets_further_has_all_tries_again(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    store.finish(&run.lease, Ok(&outage(None)), at(0)).await.unwrap();
    let run = claimed(&store, 100).await;
    store.finish(&run.lease, Ok(&RunEnd::Sleep { until: at(200) }), at(100)).await.unwrap();
    assert_eq!(retried(&store, 200).await.0 as usize, WAITS.len());
}

async fn a_database_that_is_away_counts_as_nobodys_outage(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    let error = RunError::Journal(JournalError::Store("the disk is full".into()));
    let state = store.finish(&run.lease, Err(&error), at(0)).await.unwrap();
    let JobState::Retrying { tries, until } = state else { panic!("{state:?}") };
    assert_eq!(tries, Tries::default());
    assert!(until <= at(60), "{until:?}");
}

async fn a_breach_of_time_is_retried_once(database: Database) {
    let store = database.open().await;
    let id = record(&store, "e1", "1", 0).await;
    let slow = || {
        let breach = Breach::Deadline { allowed_ms: 1000 };
        RunEnd::Stopped { why: durable::Why::Failed(Failure::Limit(breach)) }
    };
    let run = claimed(&store, 0).await;
    let state = store.finish(&run.lease, Ok(&slow()), at(0)).await.unwrap();
    assert!(matches!(state, JobState::Retrying { tries: Tries { breaches: 1, .. }, .. }), "{state:?}");
    let run = claimed(&store, 100).await;
    assert_eq!(store.finish(&run.lease, Ok(&slow()), at(100)).await.unwrap(), JobState::Stopped);
    assert!(store.job(&id).await.unwrap().why.unwrap().text.contains("limit deadline"));
}
