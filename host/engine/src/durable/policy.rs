//! Retry policy: decides what a worker does after a run (complete, retry later, wait, or stop and show the job).
//!
//! The decision follows the error. Errors that pass by themselves are retried with growing delays; all others stop the
//! job, which stays visible and can be retried by hand. The function is pure: equal inputs give equal decisions.

use std::time::{Duration, SystemTime};

use cartwright_contract::error::{Breach, Failure, HookError, SetupError};
use cartwright_contract::outcome::OUTCOME_INVALID;
use cartwright_contract::records::{CallError, Outage};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::durable::end::{RunEnd, RunError, StopReason};
use crate::durable::journal::JournalError;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Delays between retries while a server is unavailable: two days in all, which covers a weekend's outage.
pub const RETRY_BACKOFF: [Duration; 11] = [
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
const MAX_LIMIT_RETRIES: u32 = 1;
/// Delay before a retry while the host's own store is unavailable. Such retries are not counted.
const STORE_RETRY_DELAY: Duration = Duration::from_secs(10);

/// How often a job has failed since it last progressed. Stored with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RetryCounters {
    /// Number of outages.
    pub outages: u32,
    /// Number of breaches of a time limit.
    pub limit_breaches: u32,
}

/// Who can fix a stopped job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ResponsibleParty {
    /// The merchant: an order, a setting, or something in the vendor's back office.
    Merchant,
    /// The operator of the host: a grant, a limit, or a plugin version.
    Operator,
    /// The author of the plugin.
    PluginAuthor,
}

/// What a worker does after a run.
#[derive(Debug, Clone, PartialEq)]
pub enum NextAction {
    /// The event is handled, or was cancelled.
    Complete,
    /// Run the job again after a delay.
    Retry {
        /// The delay.
        after: Duration,
    },
    /// Run the job again at this time, or when another event of the order waits.
    SleepUntil(SystemTime),
    /// Wait for the request in flight, then run the job again.
    AwaitResponse,
    /// Begin the next round with a fresh journal after a delay.
    StartNextRound {
        /// The delay.
        after: Duration,
    },
    /// The merchant must check whether a request reached the vendor, and then retry the job.
    AskMerchant {
        /// What to check.
        reason: String,
    },
    /// Stop the job until the responsible party fixes the cause and retries it.
    Stop {
        /// Who can fix it.
        responsible: ResponsibleParty,
        /// What went wrong.
        reason: String,
    },
    /// Release the job, because another run continues it.
    Release,
}

/// Returns the next action after a run, and the new retry counters. `seed`, such as the job's id, decides the jitter.
pub fn next_step(
    ended: Result<&RunEnd, &RunError>,
    counters: RetryCounters,
    seed: &[u8],
) -> (NextAction, RetryCounters) {
    let anew = RetryCounters::default();
    match ended {
        Ok(RunEnd::Done | RunEnd::Cancelled { unanswered: None }) => (NextAction::Complete, anew),
        // The run got past the earlier failure.
        Ok(RunEnd::ContinueLater { seconds, .. }) => {
            (NextAction::StartNextRound { after: Duration::from_secs(u64::from(*seconds)) }, anew)
        }
        Ok(RunEnd::Sleep { until }) => (NextAction::SleepUntil(*until), anew),
        // No progress yet: the response may be another outage.
        Ok(RunEnd::PendingRequest(_)) => (NextAction::AwaitResponse, counters),
        Ok(RunEnd::Retry { outage }) => wait(outage, counters, seed),
        Ok(RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) }) => {
            let reason = format!("it is unknown whether this request arrived: {}", unanswered.request);
            (NextAction::AskMerchant { reason }, counters)
        }
        Ok(RunEnd::Stopped { reason: StopReason::Failed(failure) }) => after_failure(failure, counters, seed),
        Ok(RunEnd::Stopped { reason: reason @ (StopReason::DeterminismFault(_) | StopReason::JournalFull) }) => {
            (NextAction::Stop { responsible: ResponsibleParty::PluginAuthor, reason: reason.to_string() }, counters)
        }
        Err(RunError::Journal(JournalError::Superseded)) => (NextAction::Release, counters),
        Err(RunError::Journal(JournalError::Store(_))) => (NextAction::Retry { after: STORE_RETRY_DELAY }, counters),
        Err(error @ RunError::Journal(JournalError::Full | JournalError::Unwritable(_))) => {
            (NextAction::Stop { responsible: ResponsibleParty::PluginAuthor, reason: error.to_string() }, counters)
        }
        Err(RunError::Setup(SetupError::Hook(error))) => after_failure(&error.failure, counters, seed),
        Err(error @ RunError::Setup(_)) => {
            (NextAction::Stop { responsible: ResponsibleParty::Operator, reason: error.to_string() }, counters)
        }
    }
}

/// Returns the delay before a feed is polled again that has failed this often in a row. It follows the schedule of
/// retries, whose last delay repeats: a feed is never given up. `seed` decides the jitter.
pub fn feed_retry_delay(failures: u32, error: Option<&HookError>, seed: &[u8]) -> Duration {
    let [.., longest] = RETRY_BACKOFF;
    let number = failures.saturating_sub(1);
    let scheduled = usize::try_from(number).ok().and_then(|number| RETRY_BACKOFF.get(number)).unwrap_or(&longest);
    let requested = match error.map(|error| &error.failure) {
        Some(Failure::PluginError(CallError::Unavailable(outage))) => outage.retry_after_seconds,
        _ => None,
    };
    let requested = requested.map(|seconds| Duration::from_secs(seconds.into()).min(longest));
    match requested {
        // Never sooner than the server asked for.
        Some(requested) if requested >= *scheduled => requested + jitter_share(requested, seed, number),
        _ => jittered(*scheduled, seed, number),
    }
}

fn after_failure(failure: &Failure, counters: RetryCounters, seed: &[u8]) -> (NextAction, RetryCounters) {
    let stop = |responsible| (NextAction::Stop { responsible, reason: failure.to_string() }, counters);
    match failure {
        Failure::PluginError(CallError::Unavailable(outage)) => wait(outage, counters, seed),
        // The plugin returned the error by which the host refused its outcome.
        Failure::PluginError(CallError::InvalidInput(issue)) if issue.message.key == OUTCOME_INVALID => {
            stop(ResponsibleParty::PluginAuthor)
        }
        Failure::PluginError(CallError::InvalidInput(_) | CallError::Rejected(_) | CallError::NotConfigured(_)) => {
            stop(ResponsibleParty::Merchant)
        }
        Failure::PluginError(CallError::Denied(_) | CallError::LimitExceeded(_)) => stop(ResponsibleParty::Operator),
        Failure::PluginError(CallError::Internal(_) | CallError::Other(_)) => stop(ResponsibleParty::PluginAuthor),
        Failure::Limit(Breach::GuestCpu { .. } | Breach::Deadline { .. })
            if counters.limit_breaches < MAX_LIMIT_RETRIES =>
        {
            let after = jittered(RETRY_BACKOFF[0], seed, counters.limit_breaches);
            (NextAction::Retry { after }, RetryCounters { limit_breaches: counters.limit_breaches + 1, ..counters })
        }
        Failure::Limit(_) => stop(ResponsibleParty::Operator),
        Failure::Busy { .. } => {
            (NextAction::Retry { after: jittered(STORE_RETRY_DELAY, seed, counters.outages) }, counters)
        }
        Failure::UnansweredRequest(_) => (NextAction::AskMerchant { reason: failure.to_string() }, counters),
        Failure::Trap(_) | Failure::NotExported(_) | Failure::ContractViolation(_) => {
            stop(ResponsibleParty::PluginAuthor)
        }
    }
}

/// Returns the server's `Retry-After` delay, or the schedule's. From the second outage on, a shorter delay than the
/// schedule's is ignored, because a vendor that always asks for one second would use up all retries in ten seconds. A
/// delay of more than a day is ignored too.
fn wait(outage: &Outage, counters: RetryCounters, seed: &[u8]) -> (NextAction, RetryCounters) {
    let Some(scheduled) = usize::try_from(counters.outages).ok().and_then(|number| RETRY_BACKOFF.get(number)) else {
        let reason = format!("tried {} times in about two days; last failure: {}", counters.outages + 1, outage.detail);
        return (NextAction::Stop { responsible: ResponsibleParty::Merchant, reason }, counters);
    };
    let [.., longest] = RETRY_BACKOFF;
    let requested_delay = outage.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.into()).min(longest));
    let after = match requested_delay {
        // Never sooner than the server asked for.
        Some(requested_delay) if counters.outages == 0 || requested_delay >= *scheduled => {
            requested_delay + jitter_share(requested_delay, seed, counters.outages)
        }
        _ => jittered(*scheduled, seed, counters.outages),
    };
    (NextAction::Retry { after }, RetryCounters { outages: counters.outages + 1, ..counters })
}

/// Returns the delay, changed by up to [`JITTER_PERCENT`] in either direction.
fn jittered(wait: Duration, seed: &[u8], number: u32) -> Duration {
    wait - wait / 100 * JITTER_PERCENT + 2 * jitter_share(wait, seed, number)
}

/// Returns between zero and [`JITTER_PERCENT`] of the delay, in a thousand steps.
fn jitter_share(wait: Duration, seed: &[u8], number: u32) -> Duration {
    let hash = Sha256::new().chain_update(number.to_be_bytes()).chain_update(seed).finalize();
    let [first, second, ..] = <[u8; 32]>::from(hash);
    let thousandths = u32::from(u16::from_be_bytes([first, second])) % 1001;
    wait / 100 * JITTER_PERCENT * thousandths / 1000
}
