//! States of jobs, and their names.

use std::str::FromStr;
use std::time::SystemTime;

use cartwright::durable::RetryCounters;

use crate::database::system_time;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// The job waits for its time or its lane: it is new, begins another round, or was released by a worker.
    Queued {
        /// Earliest time of the run.
        due: SystemTime,
    },
    /// A worker runs it.
    Running,
    /// The plugin sleeps.
    Sleeping {
        /// End of the sleep; earlier if another event of its lane waits.
        until: SystemTime,
    },
    /// A request is in flight.
    Waiting,
    /// It failed with a temporary error, and is retried.
    Retrying {
        /// Failures since the job last progressed; zero if only this database was unavailable.
        counters: RetryCounters,
        /// Time of the next run.
        until: SystemTime,
    },
    /// The merchant must check whether a request arrived, and then retry or cancel the job.
    NeedsMerchant,
    /// The job does not continue by itself: its failure is permanent, or lasted for two days.
    /// [`StateReason::responsible`](crate::StateReason::responsible) can fix it; then
    /// [`Jobs::retry`](crate::Jobs::retry) runs it again.
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

    pub(super) fn new(kind: JobStateKind, due_at: i64, counters: RetryCounters) -> Self {
        let at = system_time(due_at);
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

/// State of a job without its times, as list filters use it.
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
    /// All states of a job.
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

/// The error of a text that is not the name of a job's state.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the state of a job; use {names}", names = JobStateKind::ALL.map(JobStateKind::name).join(", "))]
pub struct UnknownJobState(String);

#[cfg(test)]
mod tests {
    use cartwright::durable::RetryCounters;

    use crate::{JobState, JobStateKind};

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in JobStateKind::ALL {
            assert_eq!(state.name().parse::<JobStateKind>().unwrap(), state);
            assert_eq!(JobState::new(state, 0, RetryCounters::default()).kind(), state);
        }
        let unknown = "dead".parse::<JobStateKind>().unwrap_err();
        assert!(
            unknown.to_string().starts_with("\"dead\" is not the state of a job; use queued, running"),
            "{unknown}"
        );
    }
}
