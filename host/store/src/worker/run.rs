//! Runs one job, from its claim to its release.

use std::sync::Arc;

use cartwright::durable::{Cancel, RunEnd, RunError, RunInput, RunReport};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Phase, RunningJob, WorkerState, reached};
use crate::database::in_time;
use crate::error::StoreError;
use crate::job::{Claim, Lease};

/// A slot for one more run.
pub(super) struct RunSlot {
    pub(super) run: OwnedSemaphorePermit,
    pub(super) job: OwnedSemaphorePermit,
}

/// How a job ended in this worker.
pub(super) enum RunOutcome {
    /// The run ended, or its lease was lost.
    Finished,
    /// The job was released.
    Released(String),
    /// The job could not be released.
    Unreleased(String),
}

/// Removes the job from the worker's list when dropped.
struct RunningJobGuard<'a> {
    state: &'a WorkerState,
    lease: Lease,
}

impl Drop for RunningJobGuard<'_> {
    fn drop(&mut self) {
        let mut held = self.state.running_jobs();
        if held.get(&self.lease.job).is_some_and(|held| held.lease.fencing_token == self.lease.fencing_token) {
            held.remove(&self.lease.job);
        }
    }
}

impl WorkerState {
    /// Runs a job for as long as this worker has its lease.
    pub(super) async fn job(
        self: Arc<Self>,
        claim: Claim,
        room: RunSlot,
        mut phase: watch::Receiver<Phase>,
    ) -> RunOutcome {
        let RunSlot { run, job: _job } = room;
        let (cancel, lease_lost) = (Cancel::default(), watch::Sender::new(false));
        let mut lease_state = lease_lost.subscribe();
        let held = RunningJob { lease: claim.lease.clone(), cancel: cancel.clone(), lease_lost };
        self.running_jobs().insert(claim.lease.job.clone(), held);
        let _listed = RunningJobGuard { state: &self, lease: claim.lease.clone() };
        // Dropping a run is equivalent to a crash, and therefore safe.
        tokio::select! {
            biased;
            _ = lease_state.wait_for(|lease_lost| *lease_lost) => {
                tracing::warn!(job = claim.lease.job, "another worker has claimed the job; its run is dropped");
                return RunOutcome::Finished;
            }
            () = self.runs(&claim, &cancel, run) => return RunOutcome::Finished,
            () = reached(&mut phase, Phase::GivingBack) => {}
        }
        let id = claim.lease.job.clone();
        match in_time(self.store.jobs().release(&claim.lease, self.clock.now())).await {
            Ok(()) => RunOutcome::Released(id),
            Err(StoreError::LeaseLost(_)) => RunOutcome::Finished,
            Err(error) => {
                tracing::warn!(job = id, %error, "cannot release the job; it continues when its lease expires");
                RunOutcome::Unreleased(id)
            }
        }
    }

    /// Runs a job until its lease is returned. While a request is in flight, the run slot is free.
    async fn runs(&self, claim: &Claim, cancel: &Cancel, slot: OwnedSemaphorePermit) {
        let mut slot = Some(slot);
        loop {
            let (journal, clock) = (claim.journal.clone(), self.clock.clone());
            let start = RunInput { journal, clock, wake: claim.wake, cancel: cancel.clone() };
            let run = self.host.run_job(&claim.job, start).await;
            drop(slot.take());
            if !self.write_run_end(&claim.lease, run.as_ref().map(|run| &run.end)).await {
                return;
            }
            let Ok(RunReport { end: RunEnd::PendingRequest(waiting), .. }) = run else { return };
            if let Err(error) = waiting.wait().await {
                self.write_run_end(&claim.lease, Err(&RunError::Journal(error))).await;
                return;
            }
            // The semaphore is never closed.
            slot = self.run_slots.clone().acquire_owned().await.ok();
        }
    }

    /// Records the end of a run, as soon as the database is available. Returns `false` if there is nothing more to
    /// write.
    async fn write_run_end(&self, lease: &Lease, ended: Result<&RunEnd, &RunError>) -> bool {
        loop {
            match in_time(self.store.jobs().finish(lease, ended, self.clock.now())).await {
                Ok(_) => return true,
                Err(error @ (StoreError::Unavailable(_) | StoreError::Full(_))) => {
                    tracing::warn!(job = lease.job, %error, "cannot store the end of the run now");
                    tokio::time::sleep(self.settings.poll).await;
                }
                // The worker that claims the job next decides how to continue.
                Err(error) => {
                    tracing::warn!(job = lease.job, %error, "cannot store the end of the run");
                    return false;
                }
            }
        }
    }
}
