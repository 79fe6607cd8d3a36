//! The worker: claims jobs and runs them concurrently, for as long as the process lives.
//!
//! It also performs housekeeping: it sends notifications as they become due ([`Notifier`](crate::Notifier)), polls
//! feeds ([`FeedPoller`](crate::FeedPoller)), processes pushed settings
//! ([`Webhooks::process_pushed_settings`](crate::Webhooks::process_pushed_settings)), and sweeps ([`Store::sweep`], soon
//! after the start and every hour).
//!
//! The worker does not decide what happens to a job after a run: [`next_step`](cartwright::durable::next_step) decides,
//! and [`Jobs::finish`](crate::Jobs::finish) writes it. A worker survives all failures of jobs, plugins and the
//! database: a run that panics counts as lost, and while the database is unavailable the worker waits.
//!
//! There are two clocks. Due times and leases follow the [`Clock`] that the runs are given, so that a test can advance
//! it by a year; the polling interval follows real time, because nothing waits for it in a simulated year.

mod claim_loop;
mod housekeeping;
mod run;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cartwright::durable::Cancel;
use cartwright::{Cartwright, Clock};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::database::{Store, in_time};
use crate::error::StoreError;
use crate::job::Lease;
use crate::sweep::Retention;

/// Settings of a worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Name of the worker in tables and logs, such as the node's name. Two workers may share a name.
    pub name: String,
    /// Maximum number of concurrent runs, each with a guest instance. Default: 16.
    pub run_slots: NonZeroUsize,
    /// Maximum number of further jobs whose request is in flight; they hold a connection and no instance. Default: 256.
    pub max_pending_requests: usize,
    /// Duration of a lease. Another worker claims the job if no heartbeat comes in this time. Default: one minute.
    pub lease: Duration,
    /// How often the database is polled for due jobs and notifications, and how soon it is retried after an outage.
    /// Jobs that are recorded in this process start at once. Default: one second.
    pub poll: Duration,
    /// Retention of each kind of data. Default: [`Retention::default`].
    pub retention: Retention,
}

impl WorkerSettings {
    /// Creates default settings for a worker of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            run_slots: NonZeroUsize::MIN.saturating_add(15),
            max_pending_requests: 256,
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            retention: Retention::default(),
        }
    }
}

/// Jobs that a drained worker did not finish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Jobs that were released: another worker continues them at once.
    pub given_back: Vec<String>,
    /// Jobs that could not be released because the database was unavailable: another worker continues them when their
    /// lease expires.
    pub left: Vec<String>,
}

/// A running worker. Dropping it without [`drain`](Self::drain) is equivalent to a crash: other workers continue its
/// jobs when their leases expire.
#[derive(Debug)]
pub struct Worker {
    phase: watch::Sender<Phase>,
    task: JoinHandle<DrainReport>,
}

impl Worker {
    /// Starts a worker. `host` runs the jobs, and must have every shop of `store`: a job whose shop or account is
    /// missing stops and is shown to the operator.
    pub fn start(host: Arc<Cartwright>, store: Store, clock: Arc<dyn Clock>, settings: WorkerSettings) -> Self {
        let (phase, followed) = watch::channel(Phase::Working);
        let state = Arc::new(WorkerState {
            run_slots: Arc::new(Semaphore::new(settings.run_slots.get())),
            jobs: Arc::new(Semaphore::new(settings.run_slots.get().saturating_add(settings.max_pending_requests))),
            host,
            store,
            clock,
            settings,
            running_jobs: Mutex::default(),
        });
        Self { phase, task: tokio::spawn(state.claim_loop(followed)) }
    }

    /// Stops claiming, waits for running jobs, and releases the rest, so that another worker continues them at once. A
    /// request in flight is then abandoned, as in a crash: allow for the time that a vendor takes. A sweep is aborted.
    pub async fn drain(mut self, within: Duration) -> DrainReport {
        self.phase.send_replace(Phase::Draining);
        if let Ok(ended) = tokio::time::timeout(within, &mut self.task).await {
            return ended.unwrap_or_default();
        }
        self.phase.send_replace(Phase::GivingBack);
        (&mut self.task).await.unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Working,
    Draining,
    GivingBack,
}

/// Waits until the worker reaches a phase.
async fn reached(phase: &mut watch::Receiver<Phase>, least: Phase) {
    // An error means that the `Worker` was dropped and the task is being aborted.
    let _ = phase.wait_for(|now| *now >= least).await;
}

/// Returns the result of a future, or `None` if the worker is drained first.
async fn unless_drained<T>(phase: &mut watch::Receiver<Phase>, wait: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = reached(phase, Phase::Draining) => None,
        waited = wait => Some(waited),
    }
}

/// State shared by all jobs of a worker.
struct WorkerState {
    host: Arc<Cartwright>,
    store: Store,
    clock: Arc<dyn Clock>,
    settings: WorkerSettings,
    /// One permit for each run.
    run_slots: Arc<Semaphore>,
    /// One permit for each claimed job, running or awaiting its request.
    jobs: Arc<Semaphore>,
    running_jobs: Mutex<HashMap<String, RunningJob>>,
}

/// A job that this worker has claimed.
struct RunningJob {
    lease: Lease,
    cancel: Cancel,
    /// Set when the lease is lost.
    lease_lost: watch::Sender<bool>,
}

impl WorkerState {
    fn running_jobs(&self) -> MutexGuard<'_, HashMap<String, RunningJob>> {
        // No code panics while it holds the lock.
        self.running_jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews all leases, and passes on cancellations and lost leases.
    async fn send_heartbeats(&self) -> Result<(), StoreError> {
        let mut kept = Ok(());
        let leases: Vec<Lease> = self.running_jobs().values().map(|running_jobs| running_jobs.lease.clone()).collect();
        for lease in leases {
            let heartbeat = in_time(self.store.jobs().heartbeat(&lease, self.clock.now(), self.settings.lease)).await;
            let running_jobs = self.running_jobs();
            // The job may have ended, and been claimed again, while the request was in progress.
            let Some(running_jobs) = running_jobs
                .get(&lease.job)
                .filter(|running_jobs| running_jobs.lease.fencing_token == lease.fencing_token)
            else {
                continue;
            };
            match heartbeat {
                Ok(heartbeat) if heartbeat.cancelled => running_jobs.cancel.cancel(),
                Ok(_) => {}
                Err(StoreError::LeaseLost(_)) => drop(running_jobs.lease_lost.send_replace(true)),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => kept = Err(error),
            }
        }
        kept
    }
}
