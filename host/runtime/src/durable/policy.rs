//! What a worker does after a run: go on, wait and try again, or stop and be seen.
//!
//! Retries follow the error. What passes by itself is waited for, longer each time; what does not is shown to whoever can mend it,
//! and can be run again by hand. Nothing is dropped and nothing is disabled. Pure: the same end, tries and seed give the same step.

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

/// How long to wait for somebody who is away, the first time, the second, and so on: two days in all, a weekend's outage.
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
/// Waits differ by so many per cent at most, so that a thousand orders do not come back to a vendor in one second.
pub const JITTER_PERCENT: u32 = 10;
/// So often is a hook run again that computed or took too long: the machine may have been busy.
const BREACH_RETRIES: u32 = 1;
/// The host's own store is away: not the vendor's fault, so it is not counted.
const STORE_WAIT: Duration = Duration::from_secs(10);

/// What a job remembers of its failures since it last got further. Kept with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Tries {
    /// How often somebody was away.
    pub outages: u32,
    /// How often a limit of time was broken.
    pub breaches: u32,
}

/// Who can mend what stopped a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The merchant: an order, a setting, something at the vendor's.
    Merchant,
    /// Who runs this host: a grant, a limit, a component.
    Operator,
    /// Who wrote the plugin.
    Author,
}

/// What a worker does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The event is handled, or was cancelled.
    Finish,
    /// Run it again after so long.
    Retry {
        /// How long.
        after: Duration,
    },
    /// Run it again at this time, or sooner when an event of the order waits.
    WakeAt(SystemTime),
    /// Await the request that is out, then run it again.
    AwaitAnswer,
    /// Begin the next round, in a fresh journal, after so long.
    NextRound {
        /// How long.
        after: Duration,
    },
    /// A person must look at the vendor's whether a request arrived. Then it is run again by hand.
    AskMerchant {
        /// What to look for.
        why: String,
    },
    /// It stays where it is, for all to see, until somebody mends it and runs it again.
    Stop {
        /// Who can mend it.
        who: Who,
        /// What happened.
        why: String,
    },
    /// Another run goes on with it: let it go.
    Leave,
}

/// The step after a run, and what the job remembers from now on. `seed` is the job's own, such as its id: it decides the jitter.
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

/// The time that was named, else the schedule's. From the second time on a named time is not believed when the schedule's is
/// longer: a vendor that says "in a second" each time would use all tries up in ten seconds. Nor is one of more than a day.
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

/// Up to [`JITTER_PERCENT`] less or more.
fn jittered(wait: Duration, seed: &[u8], number: u32) -> Duration {
    wait - wait / 100 * JITTER_PERCENT + 2 * share(wait, seed, number)
}

/// From nothing up to [`JITTER_PERCENT`] of this, in a thousand steps.
fn share(wait: Duration, seed: &[u8], number: u32) -> Duration {
    let hash = Sha256::new().chain_update(number.to_be_bytes()).chain_update(seed).finalize();
    let drawn = u32::from(u16::from_be_bytes([hash[0], hash[1]])) % 1001;
    wait / 100 * JITTER_PERCENT * drawn / 1000
}
