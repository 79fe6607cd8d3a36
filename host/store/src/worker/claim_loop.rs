//! Claims jobs while run slots are free, and renews their leases.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::run::{RunOutcome, RunSlot};
use super::{DrainReport, Phase, WorkerState, reached, unless_drained};
use crate::database::in_time;
use crate::error::StoreError;
use crate::job::Claim;

/// Number of heartbeats per lease. Two may be lost.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// Creates the span of a job, from its claim to its release.
fn span(claim: &Claim) -> tracing::Span {
    let Claim { job, .. } = claim;
    tracing::info_span!(
        parent: None, "job", job = job.id, shop = %job.shop, account = %job.account, kind = ?job.event.kind, round = job.round
    )
}

impl WorkerState {
    /// Claims and runs jobs until the worker is drained.
    pub(super) async fn claim_loop(self: Arc<Self>, mut phase: watch::Receiver<Phase>) -> DrainReport {
        let mut jobs = JoinSet::new();
        let mut house = self.spawn_housekeeping(&phase);
        tokio::select! {
            () = self.heartbeat_loop() => {}
            () = self.claim(&mut jobs, &mut phase) => {}
        }
        let mut drained = DrainReport::default();
        let ending = async {
            while let Some(ended) = jobs.join_next().await {
                match ended {
                    Ok(RunOutcome::Released(job)) => drained.given_back.push(job),
                    Ok(RunOutcome::Unreleased(job)) => drained.left.push(job),
                    Ok(RunOutcome::Finished) | Err(_) => {}
                }
            }
            // Nothing is released here: unfinished jobs are left when the time is over.
            tokio::select! {
                biased;
                () = async { while house.join_next().await.is_some() {} } => {}
                () = reached(&mut phase, Phase::GivingBack) => {}
            }
        };
        // A run that has not ended keeps its lease.
        tokio::select! {
            () = self.heartbeat_loop() => {}
            () = ending => {}
        }
        drained
    }

    /// Sends heartbeats until aborted.
    async fn heartbeat_loop(&self) {
        loop {
            tokio::time::sleep(self.settings.lease / HEARTBEATS_PER_LEASE).await;
            while let Err(error) = self.send_heartbeats().await {
                tracing::warn!(worker = self.settings.name, %error, "cannot renew leases now");
                tokio::time::sleep(self.settings.poll).await;
            }
        }
    }

    /// Claims jobs until the worker is drained. A claim is never aborted, because the claimed job would be lost until
    /// its lease expires.
    async fn claim(self: &Arc<Self>, jobs: &mut JoinSet<RunOutcome>, phase: &mut watch::Receiver<Phase>) {
        let mut nudged = self.store.nudged();
        while let Some(slot) = unless_drained(phase, self.run_slot()).await.flatten() {
            // A panicked job is recovered when its lease expires.
            while jobs.try_join_next().is_some() {}
            nudged.mark_unchanged();
            match self.next().await {
                Ok(Some(claim)) => {
                    let span = span(&claim);
                    drop(jobs.spawn(self.clone().job(claim, slot, phase.clone()).instrument(span)));
                }
                Ok(None) => {
                    drop(slot);
                    let nudge = tokio::time::timeout(self.settings.poll, nudged.changed());
                    let _ = unless_drained(phase, nudge).await;
                }
                Err(error) => {
                    drop(slot);
                    tracing::warn!(worker = self.settings.name, %error, "cannot claim jobs now");
                    unless_drained(phase, self.recover()).await;
                }
            }
        }
    }

    /// Never returns `None`, because the semaphores are not closed.
    async fn run_slot(&self) -> Option<RunSlot> {
        let job = self.jobs.clone().acquire_owned().await.ok()?;
        Some(RunSlot { run: self.run_slots.clone().acquire_owned().await.ok()?, job })
    }

    async fn next(&self) -> Result<Option<Claim>, StoreError> {
        in_time(self.store.jobs().claim(&self.settings.name, self.clock.now(), self.settings.lease)).await
    }

    /// Waits until the database is available again. Leases may have expired in the meantime: they are renewed before
    /// anything is claimed, so that this worker does not claim its own jobs, and other workers have time to do the
    /// same.
    async fn recover(&self) {
        loop {
            tokio::time::sleep(self.settings.poll).await;
            if self.send_heartbeats().await.is_ok() {
                break;
            }
        }
        tokio::time::sleep(self.settings.poll).await;
    }
}
