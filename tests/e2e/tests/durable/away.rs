//! A PostgreSQL server that is unavailable for a minute, under a worker with work of every kind: requests to the store
//! fail with a typed error meanwhile, nothing is written in part, and nothing is started twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright::Clock;
use cartwright::durable::Entry;
use cartwright::types::{OrderEventKind, Outcome};
use cartwright_store::{DrainReport, JobState, Lines, NewJob, RecordOutcome, StoreError};
use cartwright_test_postgres::Server;

use crate::database::Database;
use crate::worker::{WorkerTest, until};

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than the timeout of a connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reports an order event like a platform while the server may be unavailable: repeatedly until it is accepted. Returns
/// its job, and the number of rejections.
async fn reported(floor: &WorkerTest, order: &str) -> (String, u32) {
    let event = floor.erp.event(order, OrderEventKind::Released);
    let jobs = [NewJob { account: floor.erp.account.clone(), plugin: floor.erp.plugin, lines: Lines::All }];
    let mut refused = 0;
    loop {
        let started = Instant::now();
        let recorded = floor.store.orders().record_event(&floor.erp.shop, &event, &jobs, floor.erp.clock.now()).await;
        assert!(started.elapsed() < PATIENCE, "an answer took {:?}", started.elapsed());
        match recorded {
            Ok(RecordOutcome::New { mut jobs }) => return (jobs.remove(0), refused),
            Ok(RecordOutcome::AlreadyRecorded) => panic!("what was refused had been written"),
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)) && error.is_retryable(), "{error:?}");
                assert!(error.to_string().starts_with("the database is not available now; try again"), "{error}");
                refused += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_worker_outlives_a_server_that_is_gone_for_a_minute() {
    let started = tokio::task::spawn_blocking(|| Server::start("").expect("PostgreSQL starts")).await;
    let Some(server) = started.expect("an answer").map(Arc::new) else {
        cartwright_test_postgres::shared();
        return;
    };
    let floor = WorkerTest::new(&Database::at(server.create_database())).await;
    let worker = floor.worker(|settings| settings.lease = Duration::from_secs(30));
    let sleeping = floor.record("asleep").await;
    floor.reaches(&sleeping, "sleeping").await;
    floor.erp.close();
    let out = floor.record("out").await;
    floor.reaches(&out, "waiting").await;

    let stopped_at = Instant::now();
    let stopped = server.clone();
    tokio::task::spawn_blocking(move || stopped.stop()).await.expect("stopped");
    let away = async {
        // A request does not wait much longer.
        tokio::time::sleep(Duration::from_secs(5)).await;
        // The awaited response arrives while the database rejects writes, and a sleeping job becomes due.
        floor.erp.open();
        floor.erp.advance(60).await;
        tokio::time::sleep(MINUTE.saturating_sub(stopped_at.elapsed())).await;
        let started = server.clone();
        tokio::task::spawn_blocking(move || started.start_again()).await.expect("started");
    };
    let ((), (late, refused)) = tokio::join!(away, reported(&floor, "late"));
    assert!(stopped_at.elapsed() >= MINUTE && refused > 0, "{:?}, {refused} times refused", stopped_at.elapsed());

    let jobs = [&sleeping, &out, &late];
    until("all are done", async || {
        let (now, mut states) = (floor.erp.clock.now(), Vec::new());
        for job in jobs {
            states.push(floor.state(job).await);
        }
        // Leases are short: a run takes no time of this clock.
        let waits = |state: &JobState| match state {
            JobState::Queued { due: until } | JobState::Sleeping { until } | JobState::Retrying { until, .. } => {
                *until > now
            }
            _ => false,
        };
        if states.iter().all(|state| state.is_over() || waits(state)) {
            floor.erp.advance(60).await;
        }
        states.iter().all(JobState::is_over)
    })
    .await;
    assert_eq!(floor.posted(), [1, 1, 1], "something was sent twice");
    for job in jobs {
        let job = floor.store.jobs().get(job).await.expect("the job");
        // One complete journal, and each of its outcomes recorded once.
        let [(0, entries)] = &job.journals[..] else { panic!("{:?}", job.journals) };
        let intents = entries.iter().filter(|record| matches!(record.entry, Entry::Intent { .. })).count();
        let answers = entries.iter().filter(|record| matches!(record.entry, Entry::Responded { .. })).count();
        assert_eq!(intents, answers, "{entries:?}");
        let named = job.outcomes.iter().filter(|stored| matches!(stored.outcome, Outcome::VendorReference(_))).count();
        assert_eq!(named, 1, "{:?}", job.outcomes);
    }
    assert_eq!(worker.drain(Duration::from_secs(20)).await, DrainReport::default());
    println!("gone for {:?}: {refused} reports refused, 3 orders handed on once each", stopped_at.elapsed());
}
