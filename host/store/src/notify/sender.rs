//! Sending what is due.

use std::fmt;
use std::sync::Arc;

use cartwright::Clock;
use cartwright::notify::{Notification, Sender};
use tokio::task::JoinSet;

use super::claim::Claimed;
use crate::database::Store;
use crate::error::StoreError;

/// So many requests are out at once, each of another shop: a few platforms that are slow hold up no others.
const AT_ONCE: usize = 16;

/// Sends notifications. Any number may run beside each other, on any number of nodes.
#[derive(Clone)]
pub struct Notifier {
    store: Store,
    clock: Arc<dyn Clock>,
    sender: Arc<Sender>,
}

impl Notifier {
    /// For this store, by this clock.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, sender: Arc::default() }
    }

    /// Sends everything that is due, and what falls due meanwhile; returns how many were told. Call it again and again: it
    /// sleeps nowhere.
    ///
    /// # Errors
    /// As the database says. What was out is sent again later.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let (mut told, mut out) = (0, JoinSet::new());
        loop {
            while out.len() < AT_ONCE
                && let Some(claimed) = self.store.claim_notification(self.clock.now()).await?
            {
                let notifier = self.clone();
                out.spawn(async move { notifier.send(claimed).await });
            }
            match out.join_next().await {
                Some(Ok(sent)) => told += usize::from(sent?),
                // A request that panicked is sent again when its lease is over.
                Some(Err(error)) => tracing::error!(%error, "a notification was not sent"),
                None => return Ok(told),
            }
        }
    }

    async fn send(&self, claimed: Claimed) -> Result<bool, StoreError> {
        let (id, at, body) = (claimed.message.as_str(), self.clock.now(), claimed.body.as_str());
        let sent = match &claimed.receiver {
            Ok(receiver) => self.sender.send(receiver, Notification { id, at, body }).await,
            Err(why) => Err(why.clone()),
        };
        match sent {
            Ok(()) => self.store.notification_told(&claimed, self.clock.now()).await.map(|()| true),
            Err(why) => {
                tracing::info!(id, %why, "a platform was not told");
                self.store.notification_failed(&claimed, &why, self.clock.now()).await.map(|()| false)
            }
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
