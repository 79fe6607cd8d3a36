//! Jobs: who is told of which event, and how far that has come.
//!
//! A **lane** is one account of one order. Its jobs run in the order of their events, one at a time; lanes run side by side, so that
//! a vendor that is away holds up its own events and nobody else's. A job that has begun holds its lane until it is over: asleep,
//! retried, stopped or waiting for a person, it lets no later event pass, because a plugin that learned of a cancellation before
//! it was told of the order would make the order afterwards. One that returned `again` has ended its turn and goes to the end
//! of the lane. A worker has a job for the time of its **lease**; each claim draws a higher **fence**, and every write asks
//! for it, so that a worker that was thought dead and comes back writes nothing.
//!
//! Accounts take turns. Among those that have a job to run, the one with the fewest runs in progress on all nodes goes first, then
//! the one that was claimed from longest ago, then the one whose job is due longest. So the backlog of one account delays no job of
//! another by more than about one run, and an account that is alone has every worker.
//!
//! # Why this is not a library
//! These were read, in documents and source, for: an event and its jobs in one transaction, lanes, leases with heartbeats and
//! fencing, sleeping for 90 days and waking early, nothing deleted silently, dead letters that can be listed, explained and
//! replayed; the same on SQLite and PostgreSQL.
//!
//! | crate | falls short in |
//! |---|---|
//! | `apalis` 1.0 with `apalis-sqlite`, `apalis-postgres` | no lanes; a lost job is found by its worker's heartbeat, without a fence of its own; a job has attempts, and no sleep that it is woken from; each database is a crate with a schema and a transaction type of its own |
//! | `fang` 0.11 | no lanes; no leases, so that a lost worker's job stays with it; removes what is over unless told otherwise |
//! | `effectum` 0.7 | SQLite alone, in a file of its own, so not in our transaction; no lanes |
//! | `sqlxmq` 0.6 | PostgreSQL alone; has ordered channels; deletes a message when it is done |
//! | `graphile_worker` 0.14 | PostgreSQL alone; has serial queues, but a job that failed lets the next pass; deletes what is done |
//! | `underway` 0.2 | PostgreSQL alone; has heartbeats and concurrency keys; its durable steps are its own, where ours come from a guest's journal |
//!
//! What is left to write beside our states is one query that picks a job and one `update` that takes it: less than an adapter.

mod claim;
mod count;
mod finish;
mod operate;
mod row;

pub use count::MAX_COUNTED_JOBS;
pub(crate) use finish::check_lease;

use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use cartwright::durable::{Job, Record, ResponsibleParty, RetryCounters, Wake};
use cartwright::{AccountId, Digest, ShopId};
use serde::{Deserialize, Serialize};

use crate::database::moment;
use crate::journal::StoreJournal;
use crate::outcome::StoredOutcome;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// The job waits for its time or its lane: it is new, begins another round, or was released by a worker.
    Queued {
        /// Not before.
        due: SystemTime,
    },
    /// A worker runs it.
    Running,
    /// The plugin sleeps.
    Sleeping {
        /// Until when; sooner when another event of its lane waits.
        until: SystemTime,
    },
    /// A request is in flight.
    Waiting,
    /// It failed with a temporary error, and is retried.
    Retrying {
        /// Failures since the job last progressed; zero if only this database was unavailable.
        counters: RetryCounters,
        /// When.
        until: SystemTime,
    },
    /// The merchant must check whether a request arrived, and then retry or cancel the job.
    NeedsMerchant,
    /// It does not go on by itself: what it failed with does not pass, or did not within two days. [`StateReason::responsible`] can mend it;
    /// then [`Jobs::retry`](crate::Jobs::retry) has it run again.
    Stopped,
    /// The event is handled.
    Done,
    /// The job was cancelled.
    Cancelled,
}

impl JobState {
    /// Returns the state without its times.
    pub fn kind(&self) -> JobStateKind {
        match self {
            Self::Queued { .. } => JobStateKind::Queued,
            Self::Running => JobStateKind::Running,
            Self::Sleeping { .. } => JobStateKind::Sleeping,
            Self::Waiting => JobStateKind::Waiting,
            Self::Retrying { .. } => JobStateKind::Retrying,
            Self::NeedsMerchant => JobStateKind::NeedsMerchant,
            Self::Stopped => JobStateKind::Stopped,
            Self::Done => JobStateKind::Done,
            Self::Cancelled => JobStateKind::Cancelled,
        }
    }

    /// Returns the name of the state in the database.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Returns whether the state is final.
    pub fn is_over(&self) -> bool {
        self.kind().is_over()
    }

    fn new(kind: JobStateKind, due_at: i64, counters: RetryCounters) -> Self {
        let at = moment(due_at);
        match kind {
            JobStateKind::Queued => Self::Queued { due: at },
            JobStateKind::Running => Self::Running,
            JobStateKind::Sleeping => Self::Sleeping { until: at },
            JobStateKind::Waiting => Self::Waiting,
            JobStateKind::Retrying => Self::Retrying { counters, until: at },
            JobStateKind::NeedsMerchant => Self::NeedsMerchant,
            JobStateKind::Stopped => Self::Stopped,
            JobStateKind::Done => Self::Done,
            JobStateKind::Cancelled => Self::Cancelled,
        }
    }
}

/// State of a job without its times, as a list is filtered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStateKind {
    /// See [`JobState::Queued`].
    Queued,
    /// See [`JobState::Running`].
    Running,
    /// See [`JobState::Sleeping`].
    Sleeping,
    /// See [`JobState::Waiting`].
    Waiting,
    /// See [`JobState::Retrying`].
    Retrying,
    /// See [`JobState::NeedsMerchant`].
    NeedsMerchant,
    /// See [`JobState::Stopped`].
    Stopped,
    /// See [`JobState::Done`].
    Done,
    /// See [`JobState::Cancelled`].
    Cancelled,
}

impl JobStateKind {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Sleeping,
        Self::Waiting,
        Self::Retrying,
        Self::NeedsMerchant,
        Self::Stopped,
        Self::Done,
        Self::Cancelled,
    ];

    /// Returns the name of the state in the database, in the API and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::NeedsMerchant => "needs-merchant",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether the state is final.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

impl FromStr for JobStateKind {
    type Err = UnknownJobState;

    fn from_str(name: &str) -> Result<Self, UnknownJobState> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| UnknownJobState(name.to_owned()))
    }
}

/// A text is not the name of a job's state.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the state of a job; use {names}", names = JobStateKind::ALL.map(JobStateKind::name).join(", "))]
pub struct UnknownJobState(String);

/// Why a job is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// For people.
    pub text: String,
    /// Who can mend it, when it does not go on by itself.
    #[serde(default)]
    pub responsible: Option<ResponsibleParty>,
    /// The same as JSON, where there is more to say: the limit, the call that differed, the request.
    #[serde(default)]
    pub detail: serde_json::Value,
}

/// A worker's right to change a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// The worker.
    pub worker: String,
    /// Fencing token: the highest one is valid.
    pub fencing_token: u64,
    /// Afterwards another worker may claim the job.
    pub until: SystemTime,
}

/// A claimed job.
#[derive(Debug)]
pub struct Claim {
    /// What to run.
    pub job: Job,
    /// Its journal; writes under this claim's lease.
    pub journal: Arc<StoreJournal>,
    /// Why it is run now.
    pub wake: Wake,
    /// The lease, to be returned with the result.
    pub lease: Lease,
}

/// The result of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The lease, extended.
    pub lease: Lease,
    /// An operator cancelled the job: pass it on to the run.
    pub cancelled: bool,
}

/// Filter for jobs. The default matches all.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this shop.
    pub shop: Option<ShopId>,
    /// Of the order with this platform's id.
    pub order: Option<String>,
    /// Of this account.
    pub account: Option<AccountId>,
    /// In this state.
    pub state: Option<JobStateKind>,
    /// Created after the job with this id, which ended the page before.
    pub after: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSummary {
    /// Its id.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The platform's id of the order.
    pub order: String,
    /// The account.
    pub account: AccountId,
    /// The event's id.
    pub event: String,
    /// What happened, as the contract spells it.
    pub kind: String,
    /// The component that handles it.
    pub plugin: Digest,
    /// How far it has come.
    pub state: JobState,
    /// Whether cancellation was requested while it runs.
    pub is_cancelling: bool,
    /// The job that blocks its lane, if another one does.
    pub blocked_by: Option<String>,
    /// The worker that has it, or had it last.
    pub worker: Option<String>,
    /// When its event was recorded.
    pub created: SystemTime,
    /// When it changed last.
    pub changed: SystemTime,
}

/// Everything about a job.
#[derive(Debug, Clone)]
pub struct JobDetail {
    /// As in the list.
    pub summary: JobSummary,
    /// Why it is in its state.
    pub reason: Option<StateReason>,
    /// Its journals, the earliest first, by number.
    pub journals: Vec<(u32, Vec<Record>)>,
    /// What it said, in order.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in JobStateKind::ALL {
            assert_eq!(state.name().parse::<JobStateKind>().unwrap(), state);
            assert_eq!(JobState::new(state, 0, counters(0, 0)).kind(), state);
        }
        let unknown = "dead".parse::<JobStateKind>().unwrap_err();
        assert!(
            unknown.to_string().starts_with("\"dead\" is not the state of a job; use queued, running"),
            "{unknown}"
        );
    }
}
