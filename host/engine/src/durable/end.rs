//! The ends of a run.

use std::time::SystemTime;

use cartwright_contract::error::{Failure, SetupError};
use cartwright_contract::records::Outage;
use serde::Serialize;

use crate::durable::journal::{Call, JournalError, MAX_JOURNAL_ENTRIES};
use crate::durable::waiting::PendingRequest;

/// How a run ended, and what a worker must do next.
#[derive(Debug)]
pub enum RunEnd {
    /// The event is handled.
    Done,
    /// Run the job again after a delay, with this state, the next round's number and a fresh journal.
    ContinueLater {
        /// The delay in seconds.
        seconds: u32,
        /// [`Job::state`](super::Job::state) of the next run.
        state: String,
    },
    /// Run it again at this time, or sooner with [`Wake::EventWaiting`](super::Wake::EventWaiting) or
    /// [`Wake::Cancelled`](super::Wake::Cancelled).
    Sleep {
        /// The time.
        until: SystemTime,
    },
    /// A request is in flight. Await it, then run the job again.
    PendingRequest(PendingRequest),
    /// A server is unavailable. Run the job again later; the last call is made again then.
    Retry {
        /// What is unavailable, and when to retry, if known.
        outage: Outage,
    },
    /// The run failed. Most failures need a person, see [`retry`](super::retry); [`next_step`](super::next_step)
    /// recognizes those that pass by themselves.
    Stopped {
        /// The reason.
        reason: StopReason,
    },
    /// The merchant must check whether a request arrived that must not be sent twice. See [`retry`](super::retry).
    NeedsMerchant {
        /// The request.
        unanswered: UnansweredRequest,
    },
    /// The job was cancelled, and the plugin has cleaned up if it was waiting.
    Cancelled {
        /// A request that may have arrived and whose response is unknown.
        unanswered: Option<UnansweredRequest>,
    },
}

impl RunEnd {
    /// Returns the name of the variant, as in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ContinueLater { .. } => "continue-later",
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
    /// The plugin returned an error that does not pass by itself, trapped, or exceeded a limit.
    #[error("{0}")]
    Failed(Failure),
    /// The plugin did not repeat its earlier calls.
    #[error("{0}")]
    DeterminismFault(DeterminismFault),
    /// The journal is full.
    #[error("the journal holds {MAX_JOURNAL_ENTRIES} entries; a plugin that needs more returns `continue-later`")]
    JournalFull,
}

/// Why a run could not be executed. Nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The shop, the account or the plugin version does not exist.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A replay made another call than the journal contains: the plugin's code, its input or the journal differs from the
/// run that wrote it. The journal is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error(
    "the plugin's replay differs: call number {number} was {}, now {}; imports must be called in an order that depends \
     only on the results of imports",
    .journal.as_ref().map_or("none".to_owned(), ToString::to_string),
    .actual.as_ref().map_or("it returned".to_owned(), |actual| format!("it is {actual}"))
)]
pub struct DeterminismFault {
    /// Number of the call, from 1; calls of `log` do not count.
    pub number: usize,
    /// The call in the journal.
    pub journal: Option<Call>,
    /// The call that the plugin made; `None` if it returned instead.
    pub actual: Option<Call>,
}

/// A request that must not be sent twice, and that may or may not have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnansweredRequest {
    /// The request: method and URL.
    pub request: String,
    /// How often the request may have arrived.
    pub attempts: u32,
}
