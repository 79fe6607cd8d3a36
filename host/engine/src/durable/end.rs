//! How a run ends.

use std::time::SystemTime;

use cartwright_contract::error::{Failure, SetupError};
use cartwright_contract::records::Outage;
use serde::Serialize;

use crate::durable::journal::{Call, JournalError, MAX_JOURNAL_ENTRIES};
use crate::durable::waiting::PendingRequest;

/// What a worker does next.
#[derive(Debug)]
pub enum RunEnd {
    /// The event is handled.
    Done,
    /// Run it again after so many seconds, with this state, the next round's number and a fresh journal.
    Again {
        /// How long to wait.
        seconds: u32,
        /// [`Job::state`](super::Job::state) of the next run.
        state: String,
    },
    /// Run it again at this time, or sooner with [`Wake::EventWaiting`](super::Wake::EventWaiting) or [`Wake::Cancelled`](super::Wake::Cancelled).
    Sleep {
        /// The time.
        until: SystemTime,
    },
    /// A request is out. Await it, then run the job again.
    PendingRequest(PendingRequest),
    /// Somebody cannot be reached. Run it again later: the last answer is asked for anew.
    Retry {
        /// What is away, and when it is worth trying again, where that is known.
        outage: Outage,
    },
    /// It failed. Most failures need a person, see [`retry`](super::retry); [`next_step`](super::next_step) knows those that pass.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// A person must look whether a request arrived that must not be sent twice. See [`retry`](super::retry).
    NeedsMerchant {
        /// The request.
        unanswered: UnansweredRequest,
    },
    /// It was cancelled, and the plugin has tidied up if it waited.
    Cancelled {
        /// A request that may have arrived, and whose answer nobody knows.
        unanswered: Option<UnansweredRequest>,
    },
}

impl RunEnd {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again { .. } => "again",
            Self::Sleep { .. } => "sleep",
            Self::PendingRequest(_) => "waiting",
            Self::Retry { .. } => "retry",
            Self::Stopped { .. } => "stopped",
            Self::NeedsMerchant { .. } => "needs-merchant",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// Why a job stopped.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "reason", content = "detail", rename_all = "kebab-case")]
pub enum StopReason {
    /// The plugin answered with an error that does not pass, trapped, or broke a limit.
    #[error("{0}")]
    Failed(Failure),
    /// It did not repeat itself.
    #[error("{0}")]
    DeterminismFault(DeterminismFault),
    /// Its journal is full.
    #[error("the journal holds {MAX_JOURNAL_ENTRIES} entries; a plugin that has more to do returns `again`")]
    JournalFull,
}

/// A run could not be made. Nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The shop, the account or the component is not there.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A replay asked for something else than the journal holds: the plugin's code, its input or the journal is another than in
/// the run that wrote it. The journal stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error(
    "the plugin did not repeat itself: its call number {number} was {}, now {}; an import must be called in an order that depends \
     only on what imports answered",
    .journal.as_ref().map_or("none".to_owned(), ToString::to_string),
    .asked.as_ref().map_or("it returned".to_owned(), |asked| format!("it is {asked}"))
)]
pub struct DeterminismFault {
    /// The how-manieth call of an import, from 1; `log` does not count.
    pub number: usize,
    /// What the journal holds there.
    pub journal: Option<Call>,
    /// What the plugin asked; none when it returned instead.
    pub asked: Option<Call>,
}

/// A request that must not be sent twice, of which nobody knows whether it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnansweredRequest {
    /// The request: method and address.
    pub request: String,
    /// How often it may have arrived.
    pub attempts: u32,
}
