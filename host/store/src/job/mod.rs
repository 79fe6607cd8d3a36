//! Jobs: the order events that accounts have to handle, and their progress.
//!
//! A **lane** contains the jobs of one account and one order. They run in the sequence of their events, one at a time;
//! lanes run side by side, so that an unavailable vendor delays its own events only. A job that has begun occupies its
//! lane until it is over: while it sleeps, is retried, is stopped or waits for a person, no later event passes it,
//! because a plugin that received a cancellation before the order itself would produce the order afterwards. A job that
//! returned `continue-later` goes to the end of the lane. A worker has a job for the time of its **lease**. Each claim
//! increments the **fencing token**, and every write checks it, so that a worker that was considered lost and comes
//! back writes nothing.
//!
//! Accounts are served fairly. Among those with a job to run, the one with the fewest runs in progress on all nodes
//! comes first, then the one whose last claim is oldest, then the one whose job is due longest. So the backlog of one
//! account delays no job of another by more than about one run, and an account without competitors has every worker.
//!
//! # Why this is not a library
//! These crates were examined, in documentation and source, for: an event and its jobs in one transaction, lanes,
//! leases with heartbeats and fencing, sleeping for 90 days and waking early, no silent deletion, and failed jobs that
//! can be listed, explained and retried; the same on SQLite and PostgreSQL.
//!
//! | crate | falls short in |
//! |---|---|
//! | `apalis` 1.0 with `apalis-sqlite`, `apalis-postgres` | no lanes; a lost job is found by its worker's heartbeat, without a fencing token; a job has attempts, but cannot sleep and be woken; each database is a crate with its own schema and transaction type |
//! | `fang` 0.11 | no lanes; no leases, so that a lost worker's job is never recovered; deletes finished jobs by default |
//! | `effectum` 0.7 | SQLite only, in a file of its own and therefore not in our transaction; no lanes |
//! | `sqlxmq` 0.6 | PostgreSQL only; has ordered channels; deletes finished messages |
//! | `graphile_worker` 0.14 | PostgreSQL only; has serial queues, but a failed job lets the next pass; deletes finished jobs |
//! | `underway` 0.2 | PostgreSQL only; has heartbeats and concurrency keys; defines its own durable steps, where ours come from a guest's journal |
//!
//! Without a library, all that remains besides our states is one query that picks a job and one `update` that claims it,
//! which is less than an adapter.

mod claim;
mod count;
mod finish;
mod lease;
mod operate;
mod row;
mod state;

pub use count::MAX_COUNTED_JOBS;
pub use lease::Lease;
pub(crate) use lease::check_lease;
pub use state::{JobState, JobStateKind, UnknownJobState};

use std::sync::Arc;
use std::time::SystemTime;

use cartwright::durable::{Job, Record, ResponsibleParty, RetryCounters, Wake};
use cartwright::{AccountId, Digest, ShopId};
use serde::{Deserialize, Serialize};

use crate::journal::StoreJournal;
use crate::stored_outcome::StoredOutcome;

/// Why a job is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// Text for people.
    pub text: String,
    /// Party that can fix the problem, if the job does not continue by itself.
    #[serde(default)]
    pub responsible: Option<ResponsibleParty>,
    /// Details as JSON, if there are any: the limit, the call that differed, the request.
    #[serde(default)]
    pub detail: serde_json::Value,
}

/// A claimed job.
#[derive(Debug)]
pub struct Claim {
    /// Job to run.
    pub job: Job,
    /// Journal of the job; writes require this claim's lease.
    pub journal: Arc<StoreJournal>,
    /// Reason for the run.
    pub wake: Wake,
    /// Lease, to be returned with the result.
    pub lease: Lease,
}

/// The result of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The extended lease.
    pub lease: Lease,
    /// Whether the job was cancelled; the run must be notified.
    pub cancelled: bool,
}

/// Filter for jobs. The default matches all.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Returns only jobs of this shop.
    pub shop: Option<ShopId>,
    /// Returns only jobs of the order with this id of the platform.
    pub order: Option<String>,
    /// Returns only jobs of this account.
    pub account: Option<AccountId>,
    /// Returns only jobs in this state.
    pub state: Option<JobStateKind>,
    /// Returns only jobs created after the one with this id, which ended the previous page.
    pub after: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSummary {
    /// Id of the job.
    pub id: String,
    /// Shop of the order.
    pub shop: ShopId,
    /// Order id of the platform.
    pub order: String,
    /// Account that handles the event.
    pub account: AccountId,
    /// Id of the event.
    pub event: String,
    /// Kind of the event, as the contract spells it.
    pub kind: String,
    /// Component that handles the event.
    pub plugin: Digest,
    /// State of the job.
    pub state: JobState,
    /// Whether cancellation was requested while it runs.
    pub is_cancelling: bool,
    /// The job that blocks its lane, if another one does.
    pub blocked_by: Option<String>,
    /// Worker that runs the job, or ran it last.
    pub worker: Option<String>,
    /// Time at which the event was recorded.
    pub created: SystemTime,
    /// Time of the last change.
    pub changed: SystemTime,
}

/// A job with its journals and outcomes.
#[derive(Debug, Clone)]
pub struct JobDetail {
    /// Summary, as in a list.
    pub summary: JobSummary,
    /// Reason for the state.
    pub reason: Option<StateReason>,
    /// Journals by number, oldest first.
    pub journals: Vec<(u32, Vec<Record>)>,
    /// Outcomes that the job reported, in sequence.
    pub outcomes: Vec<StoredOutcome>,
}

/// How a job is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryMode {
    /// Resumes: the last request is repeated, also if it must not be sent twice.
    Resume,
    /// Restarts with the current settings and a new journal. Earlier outcomes are not applied again, and attempts stay
    /// counted.
    Restart,
    /// Restarts on another plugin version. Later events of the order go to the version that they are pinned to.
    RestartOn(Digest),
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn counters(outages: i64, limit_breaches: i64) -> RetryCounters {
    RetryCounters { outages: small(outages), limit_breaches: small(limit_breaches) }
}
