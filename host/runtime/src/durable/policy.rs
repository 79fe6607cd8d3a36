//! Retry policy: decides what a worker does after a run (complete, retry later, wait, or stop and show the job).
//!
//! The decision follows the error. Errors that pass by themselves are retried with growing delays; all others stop the
//! job, which stays visible and can be retried by hand. The function is pure: equal inputs give equal decisions.

use std::time::{Duration, SystemTime};

use cartwright_contract::error::{Breach, Failure, SetupError};
use cartwright_contract::records::{Error, Outage};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::durable::end::{RunEnd, RunError, Why};
use crate::durable::journal::JournalError;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Delays between retries while a server is unavailable: two days in all, which covers a weekend's outage.
pub const WAITS: [Duration; 11] = [
    minutes(1),
    minutes(3),
    minutes(5),
    minutes(10),
    minutes(15),
    minutes(30),
    minutes(60),
    minutes(2 * 60),
    minutes(6 * 60),
    minutes(14 * 60),
    minutes(24 * 60),
];
/// Maximum deviation of a delay, in percent, so that a thousand orders do not return to a vendor in one second.
pub const JITTER_PERCENT: u32 = 10;
/// Number of retries after a breach of a time limit, because the machine may have been busy.
const BREACH_RETRIES: u32 = 1;
/// Delay before a retry while the host's own store is unavailable. Such retries are not counted.
const STORE_WAIT: Duration = Duration::from_secs(10);

/// How often a job has failed since it last progressed. Stored with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Tries {
    /// Number of outages.
    pub outages: u32,
    /// Number of breaches of a time limit.
    pub breaches: u32,
}

/// Who can fix a stopped job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The merchant: an order, a setting, or something in the vendor's back office.
    Merchant,
    /// The operator of the host: a grant, a limit, or a plugin version.
    Operator,
    /// The author of the plugin.
    Author,
}

/// What a worker does after a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The event is handled, or was cancelled.
    Finish,
    /// Run the job again after a delay.
    Retry {
        /// The delay.
        after: Duration,
    },
    /// Run the job again at this time, or when another event of the order waits.
    WakeAt(SystemTime),
    /// Wait for the request in flight, then run the job again.
    AwaitAnswer,
    /// Begin the next round with a fresh journal after a delay.
    NextRound {
        /// The delay.
        after: Duration,
    },
    /// The merchant must check whether a request reached the vendor, and then retry the job.
    AskMerchant {
        /// What to check.
        why: String,
    },
    /// Stop the job until the responsible party fixes the cause and retries it.
    Stop {
        /// Who can fix it.
        who: Who,
        /// What went wrong.
        why: String,
    },
    /// Release the job, because another run continues it.
    Leave,
}

/// Returns the next action after a run, and the new retry counters. `seed`, such as the job's id, decides the jitter.
pub fn next_step(ended: Result<&RunEnd, &RunError>, tries: Tries, seed: &[u8]) -> (Step, Tries) {
    let anew = Tries::default();
    match ended {
        Ok(RunEnd::Done | RunEnd::Cancelled { unanswered: None }) => (Step::Finish, anew),
        // The run got past whatever had failed.
        Ok(RunEnd::Again { seconds, .. }) => {
            (Step::NextRound { after: Duration::from_secs(u64::from(*seconds)) }, anew)
        }
        Ok(RunEnd::Sleep { until }) => (Step::WakeAt(*until), anew),
        // Not further yet: the answer that comes may be an outage again.
        Ok(RunEnd::Waiting(_)) => (Step::AwaitAnswer, tries),
        Ok(RunEnd::Retry { outage }) => wait(outage, tries, seed),
        Ok(RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) }) => {
            let why = format!("it is not known whether this request arrived: {}", unanswered.request);
            (Step::AskMerchant { why }, tries)
        }
        Ok(RunEnd::Stopped { why: Why::Failed(failure) }) => after_failure(failure, tries, seed),
        Ok(RunEnd::Stopped { why: why @ (Why::Fault(_) | Why::JournalFull) }) => {
            (Step::Stop { who: Who::Author, why: why.to_string() }, tries)
        }
        Err(RunError::Journal(JournalError::Moved)) => (Step::Leave, tries),
        Err(RunError::Journal(JournalError::Store(_))) => (Step::Retry { after: STORE_WAIT }, tries),
        Err(error @ RunError::Journal(JournalError::Full | JournalError::Unwritable(_))) => {
            (Step::Stop { who: Who::Author, why: error.to_string() }, tries)
        }
        Err(RunError::Setup(SetupError::Hook(error))) => after_failure(&error.failure, tries, seed),
        Err(error @ RunError::Setup(_)) => (Step::Stop { who: Who::Operator, why: error.to_string() }, tries),
    }
}

fn after_failure(failure: &Failure, tries: Tries, seed: &[u8]) -> (Step, Tries) {
    let stop = |who| (Step::Stop { who, why: failure.to_string() }, tries);
    match failure {
        Failure::Answered(Error::Unavailable(outage)) => wait(outage, tries, seed),
        Failure::Answered(Error::InvalidInput(_) | Error::Rejected(_) | Error::NotConfigured(_)) => stop(Who::Merchant),
        Failure::Answered(Error::Denied(_) | Error::LimitExceeded(_)) => stop(Who::Operator),
        Failure::Answered(Error::Unsupported | Error::Internal(_)) => stop(Who::Author),
        Failure::Limit(Breach::GuestCpu { .. } | Breach::Deadline { .. }) if tries.breaches < BREACH_RETRIES => {
            let after = jittered(WAITS[0], seed, tries.breaches);
            (Step::Retry { after }, Tries { breaches: tries.breaches + 1, ..tries })
        }
        Failure::Limit(_) => stop(Who::Operator),
        Failure::Busy { .. } => (Step::Retry { after: jittered(STORE_WAIT, seed, tries.outages) }, tries),
        Failure::Unanswered(_) => (Step::AskMerchant { why: failure.to_string() }, tries),
        Failure::Trap(_) | Failure::NotExported(_) | Failure::BrokeContract(_) => stop(Who::Author),
    }
}

/// Returns the server's `Retry-After` delay, or the schedule's. From the second outage on, a shorter delay than the
/// schedule's is ignored, because a vendor that always asks for one second would use up all retries in ten seconds. A
/// delay of more than a day is ignored too.
fn wait(outage: &Outage, tries: Tries, seed: &[u8]) -> (Step, Tries) {
    let Some(scheduled) = usize::try_from(tries.outages).ok().and_then(|number| WAITS.get(number)) else {
        let why = format!("tried {} times in about two days, and still: {}", tries.outages + 1, outage.detail);
        return (Step::Stop { who: Who::Merchant, why }, tries);
    };
    let longest = WAITS[WAITS.len() - 1];
    let named = outage.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.into()).min(longest));
    let after = match named {
        // Never sooner than was asked for.
        Some(named) if tries.outages == 0 || named >= *scheduled => named + share(named, seed, tries.outages),
        _ => jittered(*scheduled, seed, tries.outages),
    };
    (Step::Retry { after }, Tries { outages: tries.outages + 1, ..tries })
}

/// Returns the delay, changed by up to [`JITTER_PERCENT`] in either direction.
fn jittered(wait: Duration, seed: &[u8], number: u32) -> Duration {
    wait - wait / 100 * JITTER_PERCENT + 2 * share(wait, seed, number)
}

/// Returns between zero and [`JITTER_PERCENT`] of the delay, in a thousand steps.
fn share(wait: Duration, seed: &[u8], number: u32) -> Duration {
    let hash = Sha256::new().chain_update(number.to_be_bytes()).chain_update(seed).finalize();
    let drawn = u32::from(u16::from_be_bytes([hash[0], hash[1]])) % 1001;
    wait / 100 * JITTER_PERCENT * drawn / 1000
}
