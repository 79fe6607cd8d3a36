//! Sends notifications that are due.

use std::fmt;
use std::sync::Arc;

use cartwright::Clock;
use cartwright::notify::{Notification, NotificationSender};
use tokio::task::{JoinError, JoinSet};

use super::claim::Claimed;
use crate::database::{Store, in_time};
use crate::error::StoreError;

/// Maximum number of concurrent requests, each to another shop's platform, so that a few slow platforms do not delay
/// others.
const MAX_CONCURRENT_SENDS: usize = 16;

/// A sender of notifications. Any number may run concurrently, on any number of nodes.
#[derive(Clone)]
pub struct Notifier {
    store: Store,
    clock: Arc<dyn Clock>,
    sender: Arc<NotificationSender>,
}

impl Notifier {
    /// Creates a sender for this store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, sender: Arc::default() }
    }

    /// Sends all notifications that are due or become due in the meantime; returns the number of deliveries. It does
    /// not sleep: a [`Worker`](crate::Worker) calls it repeatedly, and a process without a worker must do so itself.
    ///
    /// # Errors
    /// Fails if the database does. Requests in progress are sent again later.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let (mut told, mut out) = (0, JoinSet::new());
        loop {
            self.send_some(&mut out).await?;
            let Some(sent) = out.join_next().await else { return Ok(told) };
            told += usize::from(Self::was_sent(sent)?);
        }
    }

    /// Sends notifications that are due, up to the limit of concurrent requests.
    pub(crate) async fn send_some(&self, out: &mut JoinSet<Result<bool, StoreError>>) -> Result<(), StoreError> {
        while out.len() < MAX_CONCURRENT_SENDS
            && let Some(claimed) = in_time(self.store.notifications().claim_notification(self.clock.now())).await?
        {
            let notifier = self.clone();
            out.spawn(async move { notifier.send(claimed).await });
        }
        Ok(())
    }

    /// Returns whether a notification was delivered.
    pub(crate) fn was_sent(sent: Result<Result<bool, StoreError>, JoinError>) -> Result<bool, StoreError> {
        sent.unwrap_or_else(|error| {
            // The request is sent again when its lease has expired.
            tracing::error!(%error, "sending a notification panicked");
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
                tracing::info!(id, %reason, "a notification was not delivered");
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
