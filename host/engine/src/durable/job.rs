//! A job, and the start and cancellation of its runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cartwright_contract::clock::Clock;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::records::OrderEvent;

use crate::durable::history::{History, append};
use crate::durable::journal::{Entry, Journal, JournalError, MAX_JOURNAL_ENTRIES};

/// An order event to be handled. It stays the same in every run until `continue-later`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Id of the job, unique in the installation.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The plugin version that the job began with. Only an operator can change it.
    pub plugin: Digest,
    /// The order event.
    pub event: OrderEvent,
    /// The state that the last `continue-later` passed on.
    pub state: Option<String>,
    /// How often the plugin has returned `continue-later`. Each round has a fresh journal and other random numbers, and
    /// may emit the same outcomes again.
    pub round: u32,
}

/// Why a run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wake {
    /// The job is new, its time has come, its request has a response, or the last run was lost. A plugin that was
    /// waiting continues to wait.
    #[default]
    Due,
    /// Another event of the same order is waiting: each wait in this run ends at once with `event-waiting`.
    EventWaiting,
    /// An operator cancelled the job: a plugin that waits is notified and may clean up; any other stops before its
    /// next step.
    Cancelled,
}

/// Cancels a run from outside, between two of its steps. A step that has begun is completed and recorded.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Requests the cancellation.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Prepares a stopped job, or one that needs the merchant, for a retry: its last call is made again, and a request
/// that must not be sent twice is sent again. Call it once per decision of a person.
///
/// # Errors
/// Returns an error if the journal cannot be read or written, or is full.
pub async fn retry(journal: &dyn Journal, clock: &dyn Clock) -> Result<(), JournalError> {
    let mut history = History::of(journal.load().await?)?;
    if history.began.is_none() {
        return Ok(());
    }
    if history.entries >= MAX_JOURNAL_ENTRIES {
        return Err(JournalError::Full);
    }
    let kept_calls = history.calls_kept_by_retry();
    append(journal, &mut history, clock.now(), Entry::Retried { kept_calls }).await
}
