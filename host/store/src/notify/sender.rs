//! Sending what is due.

use std::fmt;
use std::sync::Arc;

use cartwright::Clock;
use cartwright::notify::{Notification, NotificationSender};
use tokio::task::{JoinError, JoinSet};

use super::claim::Claimed;
use crate::database::{Store, in_time};
use crate::error::StoreError;

/// So many requests are out at once, each of another shop: a few platforms that are slow hold up no others.
const MAX_CONCURRENT_SENDS: usize = 16;

/// Sends notifications. Any number may run beside each other, on any number of nodes.
#[derive(Clone)]
pub struct Notifier {
    store: Store,
    clock: Arc<dyn Clock>,
    sender: Arc<NotificationSender>,
}

impl Notifier {
    /// For this store, by this clock.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, sender: Arc::default() }
    }

    /// Sends everything that is due, and what falls due meanwhile; returns how many were told. It sleeps nowhere: a
    /// [`Worker`](crate::Worker) does this as long as it works, a process without one calls it again and again.
    ///
    /// # Errors
    /// As the database says. What was out is sent again later.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let (mut told, mut out) = (0, JoinSet::new());
        loop {
            self.send_some(&mut out).await?;
            let Some(sent) = out.join_next().await else { return Ok(told) };
            told += usize::from(Self::was_sent(sent)?);
        }
    }

    /// Sends what is due, as far as there is room beside what is out.
    pub(crate) async fn send_some(&self, out: &mut JoinSet<Result<bool, StoreError>>) -> Result<(), StoreError> {
        while out.len() < MAX_CONCURRENT_SENDS
            && let Some(claimed) = in_time(self.store.notifications().claim_notification(self.clock.now())).await?
        {
            let notifier = self.clone();
            out.spawn(async move { notifier.send(claimed).await });
        }
        Ok(())
    }

    /// Was it told?
    pub(crate) fn was_sent(sent: Result<Result<bool, StoreError>, JoinError>) -> Result<bool, StoreError> {
        sent.unwrap_or_else(|error| {
            // A request that panicked is sent again when its lease is over.
            tracing::error!(%error, "a notification was not sent");
            Ok(false)
        })
    }

    async fn send(&self, claimed: Claimed) -> Result<bool, StoreError> {
        let (id, at, body) = (claimed.message.as_str(), self.clock.now(), claimed.body.as_str());
        let sent = match &claimed.receiver {
            Ok(receiver) => self.sender.send(receiver, Notification { id, at, body }).await,
            Err(reason) => Err(reason.clone()),
        };
        match sent {
            Ok(()) => in_time(self.store.notifications().notification_delivered(&claimed, self.clock.now()))
                .await
                .map(|()| true),
            Err(reason) => {
                tracing::info!(id, %reason, "a platform was not told");
                in_time(self.store.notifications().notification_failed(&claimed, &reason, self.clock.now()))
                    .await
                    .map(|()| false)
            }
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
