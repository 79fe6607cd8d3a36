//! Background tasks of a worker: sends notifications, polls feeds, processes pushed settings, and sweeps.
//!
//! Each has its own task, so that none delays another or a job. Several nodes may run all of them. Failures are logged
//! and retried.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Phase, WorkerState, unless_drained};
use crate::feed::FeedPoller;
use crate::notify::Notifier;

/// Delay of the first sweep after the start.
const FIRST_SWEEP_DELAY: Duration = Duration::from_secs(2);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Delay before a failed task is retried.
const RESTART_DELAY: Duration = Duration::from_secs(60);

impl WorkerState {
    /// Starts all background tasks. Each ends when the worker is drained; aborting one loses nothing.
    pub(super) fn spawn_housekeeping(self: &Arc<Self>, phase: &watch::Receiver<Phase>) -> JoinSet<()> {
        let mut house = JoinSet::new();
        house.spawn(self.clone().restart_on_panic(Self::notification_loop, phase.clone()));
        house.spawn(self.clone().restart_on_panic(Self::feed_loop, phase.clone()));
        house.spawn(self.clone().restart_on_panic(Self::pushed_settings_loop, phase.clone()));
        house.spawn(self.clone().restart_on_panic(Self::sweep_loop, phase.clone()));
        house
    }

    /// Runs a task, and restarts it after a panic.
    async fn restart_on_panic<D: Future<Output = ()> + Send + 'static>(
        self: Arc<Self>,
        what: fn(Arc<Self>, watch::Receiver<Phase>) -> D,
        mut phase: watch::Receiver<Phase>,
    ) {
        let mut doing = JoinSet::new();
        loop {
            doing.spawn(what(self.clone(), phase.clone()));
            let Some(Err(error)) = doing.join_next().await else { return };
            tracing::error!(worker = self.settings.name, %error, "a housekeeping task panicked; restarting it");
            if unless_drained(&mut phase, tokio::time::sleep(RESTART_DELAY)).await.is_none() {
                return;
            }
        }
    }

    /// Sends notifications as they become due. A platform that does not respond does not delay others.
    async fn notification_loop(self: Arc<Self>, mut phase: watch::Receiver<Phase>) {
        let notifier = Notifier::new(self.store.clone(), self.clock.clone());
        let (mut nudged, mut out) = (self.store.nudged(), JoinSet::new());
        loop {
            nudged.mark_unchanged();
            if let Err(error) = notifier.send_some(&mut out).await {
                tracing::warn!(worker = self.settings.name, %error, "cannot read pending notifications now");
            }
            let wait = async {
                tokio::select! {
                    // The next notification of the same shop is sent.
                    Some(sent) = out.join_next() => drop(Notifier::was_sent(sent).inspect_err(|error| {
                        tracing::warn!(worker = self.settings.name, %error, "cannot store the result of a notification now");
                    })),
                    _ = nudged.changed() => {}
                    () = tokio::time::sleep(self.settings.poll) => {}
                }
            };
            if unless_drained(&mut phase, wait).await.is_none() {
                break;
            }
        }
        // Requests in progress finish, or are sent again when their lease has expired.
        while out.join_next().await.is_some() {}
    }

    /// Polls feeds as they become due. A vendor that does not respond does not delay others.
    async fn feed_loop(self: Arc<Self>, mut phase: watch::Receiver<Phase>) {
        let poller = FeedPoller::new(self.store.clone(), self.host.clone(), self.clock.clone());
        let mut out = JoinSet::new();
        loop {
            if let Err(error) = poller.poll_some(&mut out).await {
                tracing::warn!(worker = self.settings.name, %error, "cannot read due feeds now");
            }
            let wait = async {
                tokio::select! {
                    // The next page of the same feed is asked for.
                    Some(polled) = out.join_next() => drop(FeedPoller::was_applied(polled).inspect_err(|error| {
                        tracing::warn!(worker = self.settings.name, %error, "cannot store a page of a feed now");
                    })),
                    () = tokio::time::sleep(self.settings.poll) => {}
                }
            };
            if unless_drained(&mut phase, wait).await.is_none() {
                break;
            }
        }
        // Pages in progress are stored, or asked for again when their lease has expired.
        while out.join_next().await.is_some() {}
    }

    /// Processes pushed settings, at the start and after each nudge.
    async fn pushed_settings_loop(self: Arc<Self>, mut phase: watch::Receiver<Phase>) {
        let mut nudged = self.store.nudged();
        loop {
            nudged.mark_unchanged();
            match self.store.webhooks().process_pushed_settings(&self.host, self.clock.now()).await {
                Ok(0) => {}
                Ok(left) => {
                    tracing::info!(worker = self.settings.name, left, "some pushed settings cannot be processed now");
                }
                Err(error) => {
                    tracing::warn!(worker = self.settings.name, %error, "cannot process pushed settings now");
                }
            }
            // Another node that stored a push may have been lost before it processed it.
            let wait = tokio::time::timeout(RESTART_DELAY, nudged.changed());
            if unless_drained(&mut phase, wait).await.is_none() {
                return;
            }
        }
    }

    /// Sweeps. It is aborted when the worker is drained: another node, or the next start, continues.
    async fn sweep_loop(self: Arc<Self>, mut phase: watch::Receiver<Phase>) {
        let mut wait = FIRST_SWEEP_DELAY;
        while unless_drained(&mut phase, tokio::time::sleep(wait)).await.is_some() {
            let sweep = self.store.sweep(&self.settings.retention, self.clock.now());
            wait = match unless_drained(&mut phase, sweep).await {
                Some(Ok(swept)) => {
                    tracing::debug!(worker = self.settings.name, ?swept, "swept");
                    SWEEP_INTERVAL
                }
                Some(Err(error)) => {
                    tracing::warn!(worker = self.settings.name, %error, "cannot sweep now");
                    RESTART_DELAY
                }
                None => return,
            };
        }
    }
}
