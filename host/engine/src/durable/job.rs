//! A job, and what starts and cancels its runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cartwright_contract::clock::Clock;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::records::Event;

use crate::durable::history::{History, append};
use crate::durable::journal::{Entry, Journal, JournalError, MAX_JOURNAL_ENTRIES};

/// An order event that is to be handled. The same in every run until `again`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id, unique in this installation.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The vendor account.
    pub account: AccountId,
    /// The component that it began with. Only an operator gives it another.
    pub plugin: Digest,
    /// The event.
    pub event: Event,
    /// What the last `again` handed on.
    pub state: Option<String>,
    /// How often the plugin returned `again` before: each time it has a fresh journal, other random numbers, and may say again
    /// what it said before.
    pub round: u32,
}

/// Why a run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wake {
    /// It is new, its time has come, its request was answered, or the last run was lost. A plugin that still waits goes on
    /// waiting.
    #[default]
    Due,
    /// Another event of the same order waits: each wait in this run ends at once with `event-waiting`.
    EventWaiting,
    /// An operator cancelled the job: a plugin that waits is told and may tidy up, any other stops before its next step.
    Cancelled,
}

/// Cancels a run from outside, between two of its steps: what has begun is finished and written down.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Cancels.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Prepares a job that stopped, or that waits for a person, to be tried again: what it asked last is asked anew, and a request
/// that must not be sent twice is sent again. Called once, when a person says so.
///
/// # Errors
/// When the journal cannot be read or written, or is full.
pub async fn retry(journal: &dyn Journal, clock: &dyn Clock) -> Result<(), JournalError> {
    let mut history = History::of(journal.load().await?)?;
    if history.began.is_none() {
        return Ok(());
    }
    if history.entries >= MAX_JOURNAL_ENTRIES {
        return Err(JournalError::Full);
    }
    let keep = history.calls_kept_by_retry();
    append(journal, &mut history, clock.now(), Entry::Retried { kept_calls: keep }).await
}
