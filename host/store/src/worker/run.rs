//! Runs one job, from its claim to its release.

use std::sync::Arc;

use cartwright::durable::{Cancel, Ran, RunEnd, RunError, Start};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::claims::Room;
use super::{Desk, Held, Phase, reached};
use crate::database::in_time;
use crate::error::StoreError;
use crate::job::{Claim, Lease};

/// How a job ended in this worker.
pub(super) enum Ended {
    /// It ended, or its lease was lost.
    Finished,
    /// It was released.
    GivenBack(String),
    /// It could not be released.
    Left(String),
}

/// Removes the job from the worker's list when dropped.
struct Listed<'a> {
    desk: &'a Desk,
    lease: Lease,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut held = self.desk.held();
        if held.get(&self.lease.job).is_some_and(|held| held.lease.fence == self.lease.fence) {
            held.remove(&self.lease.job);
        }
    }
}

impl Desk {
    /// Works on a job for as long as it is this worker's.
    pub(super) async fn job(self: Arc<Self>, claim: Claim, room: Room, mut phase: watch::Receiver<Phase>) -> Ended {
        let Room { run, job: _job } = room;
        let (cancel, fenced) = (Cancel::default(), watch::Sender::new(false));
        let mut told = fenced.subscribe();
        let held = Held { lease: claim.lease.clone(), cancel: cancel.clone(), fenced };
        self.held().insert(claim.lease.job.clone(), held);
        let _listed = Listed { desk: &self, lease: claim.lease.clone() };
        // A run that is dropped has crashed: it does no harm.
        tokio::select! {
            biased;
            _ = told.wait_for(|fenced| *fenced) => {
                tracing::warn!(job = claim.lease.job, "the job is somebody else's by now; its run is dropped");
                return Ended::Finished;
            }
            () = self.runs(&claim, &cancel, run) => return Ended::Finished,
            () = reached(&mut phase, Phase::GivingBack) => {}
        }
        let id = claim.lease.job.clone();
        match in_time(self.store.put_back(&claim.lease, self.clock.now())).await {
            Ok(()) => Ended::GivenBack(id),
            Err(StoreError::Fenced(_)) => Ended::Finished,
            Err(error) => {
                tracing::warn!(job = id, %error, "the job cannot be given back; it goes on when its lease ends");
                Ended::Left(id)
            }
        }
    }

    /// Runs a job until its lease is given back. While a request is out, the place for a run is free.
    async fn runs(&self, claim: &Claim, cancel: &Cancel, run: OwnedSemaphorePermit) {
        let mut run = Some(run);
        loop {
            let (journal, clock) = (claim.journal.clone(), self.clock.clone());
            let start = Start { journal, clock, wake: claim.wake, cancel: cancel.clone() };
            let ran = self.host.run_job(&claim.job, start).await;
            drop(run.take());
            if !self.finished(&claim.lease, ran.as_ref().map(|ran| &ran.end)).await {
                return;
            }
            let Ok(Ran { end: RunEnd::Waiting(waiting), .. }) = ran else { return };
            if let Err(error) = waiting.answered().await {
                self.finished(&claim.lease, Err(&RunError::Journal(error))).await;
                return;
            }
            // Closed never.
            run = self.runs.clone().acquire_owned().await.ok();
        }
    }

    /// Records the end of a run, as soon as the database is available. Returns `false` if there is nothing more to
    /// write.
    async fn finished(&self, lease: &Lease, ended: Result<&RunEnd, &RunError>) -> bool {
        loop {
            match in_time(self.store.finish(lease, ended, self.clock.now())).await {
                Ok(_) => return true,
                Err(error @ (StoreError::Unavailable(_) | StoreError::Full(_))) => {
                    tracing::warn!(job = lease.job, %error, "how the run ended cannot be written now");
                    tokio::time::sleep(self.settings.poll).await;
                }
                // Whoever claims it next finds out what to do with it.
                Err(error) => {
                    tracing::warn!(job = lease.job, %error, "the run's end is not written");
                    return false;
                }
            }
        }
    }
}
