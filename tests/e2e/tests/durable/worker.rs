//! The worker: a real order hook, an ERP system, and a database that workers share.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright::durable::{Entry, Wake};
use cartwright::types::OrderEventKind;
use cartwright::{Clock, ShopId};
use cartwright_store::{
    DrainReport, JobFilter, JobState, JobStateKind, Lines, NewJob, RecordOutcome, Store, Worker, WorkerSettings,
};

use crate::database::{Database, on_each_database};
use crate::erp::Erp;

on_each_database!(
    an_order_is_handled_from_its_event_to_its_end,
    what_is_recorded_in_this_process_starts_at_once,
    orders_whose_vendor_is_slow_take_no_places_for_runs,
    a_cancelled_job_ends_when_its_request_is_answered,
    a_run_whose_job_is_somebody_elses_is_dropped,
    a_drained_worker_ends_what_it_can,
    a_drained_worker_gives_the_rest_back_at_once,
    one_job_that_cannot_run_does_not_hold_up_the_others,
    a_database_that_was_away_is_found_again,
    an_answer_is_kept_in_hand_while_the_database_is_away,
    two_workers_share_the_orders_and_send_each_once,
);

const POLL: Duration = Duration::from_millis(20);

pub struct WorkerTest {
    pub erp: Erp,
    pub store: Store,
}

impl WorkerTest {
    pub async fn new(database: &Database) -> Self {
        let store = database.open().await;
        let shared = Arc::new(store.clone());
        let erp = Erp::with(|builder| builder.order_book(shared.clone()).blobs(shared)).await;
        Self { erp, store }
    }

    pub fn worker(&self, change: impl FnOnce(&mut WorkerSettings)) -> Worker {
        // The tests let minutes pass between two heartbeats.
        let lease = Duration::from_secs(24 * 3600);
        let mut settings = WorkerSettings { poll: POLL, lease, ..WorkerSettings::new("node") };
        change(&mut settings);
        Worker::start(self.erp.host.clone(), self.store.clone(), self.erp.clock.clone(), settings)
    }

    async fn record_in(&self, shop: &ShopId, order: &str) -> String {
        let event = self.erp.event(order, OrderEventKind::Released);
        let job = NewJob { account: self.erp.account.clone(), plugin: self.erp.plugin, lines: Lines::All };
        match self.store.orders().record_event(shop, &event, &[job], self.erp.clock.now()).await.expect("recorded") {
            RecordOutcome::New { mut jobs } => jobs.remove(0),
            RecordOutcome::AlreadyRecorded => panic!("{order} is known"),
        }
    }

    pub async fn record(&self, order: &str) -> String {
        self.record_in(&self.erp.shop, order).await
    }

    pub async fn state(&self, job: &str) -> JobState {
        self.store.jobs().get(job).await.expect("the job").summary.state
    }

    /// Waits at most ten seconds until a job is in a state.
    pub async fn reaches(&self, job: &str, name: &str) {
        until(&format!("{job} {name}"), async || self.state(job).await.name() == name).await;
    }

    /// Lets time pass until a job is complete.
    async fn done(&self, job: &str) {
        until(&format!("{job} done"), async || {
            if matches!(self.state(job).await, JobState::Sleeping { .. }) {
                self.erp.advance(60).await;
            }
            self.state(job).await == JobState::Done
        })
        .await;
    }

    pub fn posted(&self) -> Vec<u32> {
        self.erp.state().posted.values().copied().collect()
    }
}

pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !reached().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn an_order_is_handled_from_its_event_to_its_end(database: Database) {
    let floor = WorkerTest::new(&database).await;
    let worker = floor.worker(|_| {});
    let jobs = [floor.record("1").await, floor.record("2").await];
    for job in &jobs {
        floor.done(job).await;
    }
    assert_eq!(floor.posted(), [1, 1]);
    assert_eq!(worker.drain(Duration::ZERO).await, DrainReport::default());
}

async fn what_is_recorded_in_this_process_starts_at_once(database: Database) {
    let floor = WorkerTest::new(&database).await;
    let _worker = floor.worker(|settings| settings.poll = Duration::from_secs(3600));
    // The worker has found no job, and looks again in an hour.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let first = floor.record("1").await;
    floor.reaches(&first, "sleeping").await;
    // An operator's decision wakes it too.
    floor.store.jobs().cancel(&first, "ann", floor.erp.clock.now()).await.expect("cancelled");
    floor.reaches(&first, "cancelled").await;
}

async fn orders_whose_vendor_is_slow_take_no_places_for_runs(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let _worker = floor.worker(|settings| settings.run_slots = NonZeroUsize::MIN);
    let mut jobs = Vec::new();
    for order in ["1", "2", "3"] {
        jobs.push(floor.record(order).await);
    }
    for job in &jobs {
        floor.reaches(job, "waiting").await;
    }
    floor.erp.open();
    for job in &jobs {
        floor.reaches(job, "sleeping").await;
    }
    assert_eq!(floor.posted(), [1, 1, 1]);
}

async fn a_cancelled_job_ends_when_its_request_is_answered(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let _worker = floor.worker(|settings| settings.lease = Duration::from_millis(300));
    let job = floor.record("1").await;
    floor.reaches(&job, "waiting").await;
    floor.store.jobs().cancel(&job, "ann", floor.erp.clock.now()).await.expect("cancelled");
    // Until a heartbeat has reported it.
    tokio::time::sleep(Duration::from_millis(400)).await;
    floor.erp.open();
    floor.reaches(&job, "cancelled").await;
    let (_, entries) = floor.store.jobs().get(&job).await.expect("the job").journals.pop().expect("a journal");
    assert!(matches!(entries.last().expect("entries").entry, Entry::Responded { .. }), "{entries:?}");
}

async fn a_run_whose_job_is_somebody_elses_is_dropped(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let lease = Duration::from_secs(2);
    let worker = floor.worker(|settings| settings.lease = lease);
    let job = floor.record("1").await;
    floor.reaches(&job, "waiting").await;
    let claim = loop {
        // Usually too short for the worker's own heartbeat.
        floor.erp.advance(2).await;
        if let Some(claim) =
            floor.store.jobs().claim("another", floor.erp.clock.now(), lease * 100).await.expect("an answer")
        {
            break claim;
        }
    };
    assert_eq!((claim.job.id.as_str(), claim.wake), (job.as_str(), Wake::Due));
    let entries = claim.journal.clone();
    // The worker has noticed the loss, and has no job to release.
    tokio::time::sleep(lease).await;
    assert_eq!(worker.drain(Duration::ZERO).await, DrainReport::default());
    floor.erp.open();
    let records = cartwright::durable::Journal::load(&*entries).await.expect("entries").records;
    assert!(matches!(records.last().expect("entries").entry, Entry::Intent { .. }), "{records:?}");
}

async fn a_drained_worker_ends_what_it_can(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let worker = floor.worker(|_| {});
    let job = floor.record("1").await;
    floor.reaches(&job, "waiting").await;
    let answered = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        floor.record("2").await;
        floor.erp.open();
    };
    let (drained, ()) = tokio::join!(worker.drain(Duration::from_secs(20)), answered);
    assert_eq!(drained, DrainReport::default());
    assert_eq!(floor.state(&job).await.name(), "sleeping");
    // It started nothing new.
    assert_eq!(floor.posted(), [1]);
}

async fn a_drained_worker_gives_the_rest_back_at_once(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let worker = floor.worker(|_| {});
    let job = floor.record("1").await;
    floor.reaches(&job, "waiting").await;
    let drained = worker.drain(Duration::from_millis(50)).await;
    assert_eq!(drained, DrainReport { given_back: vec![job.clone()], left: vec![] });
    floor.erp.open();
    // The lease is valid for a day of this clock, which does not move.
    let _next = floor.worker(|_| {});
    floor.reaches(&job, "sleeping").await;
    // Its first request may have arrived, and the retry says so.
    assert_eq!(floor.posted(), [2]);
}

async fn one_job_that_cannot_run_does_not_hold_up_the_others(database: Database) {
    let floor = WorkerTest::new(&database).await;
    let lost = floor.record_in(&"nowhere".parse().expect("an id"), "1").await;
    let good = floor.record("2").await;
    let _worker = floor.worker(|settings| settings.run_slots = NonZeroUsize::MIN);
    floor.reaches(&lost, "stopped").await;
    floor.reaches(&good, "sleeping").await;
    assert_eq!(
        floor.store.jobs().get(&lost).await.expect("the job").reason.expect("reason").text,
        "shop nowhere not found"
    );
}

async fn a_database_that_was_away_is_found_again(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let _worker = floor.worker(|settings| settings.lease = Duration::from_millis(300));
    let out = floor.record("1").await;
    floor.reaches(&out, "waiting").await;
    database.tamper("alter table jobs rename to jobs_of_yesterday").await;
    // Leases expire, and nothing can be claimed or written.
    tokio::time::sleep(Duration::from_millis(500)).await;
    floor.erp.advance(10).await;
    database.tamper("alter table jobs_of_yesterday rename to jobs").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    floor.erp.open();
    let later = floor.record("2").await;
    floor.reaches(&out, "sleeping").await;
    floor.reaches(&later, "sleeping").await;
    assert_eq!(floor.posted(), [1, 1], "a request that was out was sent again");
}

async fn an_answer_is_kept_in_hand_while_the_database_is_away(database: Database) {
    let floor = WorkerTest::new(&database).await;
    floor.erp.close();
    let _worker = floor.worker(|_| {});
    let job = floor.record("1").await;
    floor.reaches(&job, "waiting").await;
    let lock = database.locked().await;
    floor.erp.open();
    // Longer than a writer waits for another.
    tokio::time::sleep(Duration::from_secs(7)).await;
    drop(lock);
    floor.reaches(&job, "sleeping").await;
    assert_eq!(floor.posted(), [1], "it was asked again");
}

async fn two_workers_share_the_orders_and_send_each_once(database: Database) {
    let floor = WorkerTest::new(&database).await;
    let mut jobs = Vec::new();
    for number in 0..24 {
        jobs.push(floor.record(&number.to_string()).await);
    }
    floor.erp.close();
    let workers = ["one", "two"].map(|name| {
        floor.worker(|settings| {
            settings.name = name.to_owned();
            settings.run_slots = NonZeroUsize::MIN.saturating_add(1);
            settings.max_pending_requests = 0;
        })
    });
    let waiting = JobFilter { state: Some(JobStateKind::Waiting), ..JobFilter::default() };
    until("each worker has its two", async || {
        let jobs = floor.store.jobs().list(&waiting, 100).await.expect("jobs");
        let of = |name: &str| jobs.iter().filter(|job| job.worker.as_deref() == Some(name)).count();
        (of("one"), of("two")) == (2, 2)
    })
    .await;
    floor.erp.open();
    for job in &jobs {
        floor.done(job).await;
    }
    assert_eq!(floor.posted(), [1; 24]);
    for worker in workers {
        assert_eq!(worker.drain(Duration::ZERO).await, DrainReport::default());
    }
}
