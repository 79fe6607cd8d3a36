//! The worker: claims jobs and runs them side by side, for as long as the process lives.
//!
//! Beside them it keeps house: notifications are sent as they become due ([`Notifier`](crate::Notifier)), settings that vendors
//! pushed are looked at ([`Webhooks::process_pushed_settings`](crate::Webhooks::process_pushed_settings)), and what is past its time is deleted ([`Store::sweep`], soon after the start
//! and every hour).
//!
//! What becomes of a job after each run is not decided here: [`next_step`](cartwright::durable::next_step) decides,
//! [`Jobs::finish`](crate::Jobs::finish) writes it down. A worker survives everything that a job, a plugin or the database does to it: a run that panics
//! is a lost one, and while the database is away it waits.
//!
//! Time comes from two clocks. What is due and until when a lease holds follows the [`Clock`] that the runs are given, so that a
//! test can wind a year forward; how often the database is asked follows real time, as nothing waits for that in a simulated year.

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
    /// How long each kind of thing is kept. [`Retention::default`] unless changed.
    pub retention: Retention,
}

impl WorkerSettings {
    /// The usual settings, for a worker of this name.
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
    // Without its `Worker` it is being aborted.
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
    /// One for each run.
    run_slots: Arc<Semaphore>,
    /// One for each job that is held, running or awaiting its request.
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
        // Nothing that is done while it is held panics.
        self.running_jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews all leases, and passes on cancellations and lost leases.
    async fn send_heartbeats(&self) -> Result<(), StoreError> {
        let mut kept = Ok(());
        let leases: Vec<Lease> = self.running_jobs().values().map(|running_jobs| running_jobs.lease.clone()).collect();
        for lease in leases {
            let heartbeat = in_time(self.store.jobs().heartbeat(&lease, self.clock.now(), self.settings.lease)).await;
            let running_jobs = self.running_jobs();
            // It may have ended, and been claimed again, while it was asked for.
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
