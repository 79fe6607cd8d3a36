//! Order hooks that survive a crash, a restart and a redeploy, by replay.
//!
//! `orders.handle` is straight-line code. All its inputs come through imports, and each result is recorded in a journal
//! before the guest receives it. After a crash the hook runs again from its beginning: its calls get the recorded
//! results until the journal ends, and are executed after that. The price is that a hook must make the same calls when
//! it gets the same results. A hook that does not is stopped with the call that differed ([`DeterminismFault`]).
//!
//! A run that waits, for a time or for a vendor, has ended: it holds no instance, no lock and no transaction, and only
//! its journal is stored. A worker needs a [`Job`], a [`Journal`] for it, and a loop that does what each [`RunEnd`]
//! says:
//!
//! ```no_run
//! use std::sync::Arc;
//! use cartwright::durable::{Cancel, Job, MemoryJournal, RunEnd, RunInput, Wake};
//! use cartwright::{Cartwright, Clock, SystemClock};
//!
//! # async fn work(host: &Cartwright, mut job: Job) -> Result<(), Box<dyn std::error::Error>> {
//! let mut journal = Arc::new(MemoryJournal::default());
//! loop {
//!     let clock = Arc::new(SystemClock);
//!     let start = RunInput { journal: journal.clone(), clock, wake: Wake::Due, cancel: Cancel::default() };
//!     let wait = match host.run_job(&job, start).await?.end {
//!         RunEnd::Done | RunEnd::Cancelled { .. } => return Ok(()),
//!         RunEnd::Sleep { until } => until.duration_since(SystemClock.now())?.as_secs() as u32,
//!         RunEnd::Retry { outage } => outage.retry_after_seconds.unwrap_or(60),
//!         RunEnd::ContinueLater { seconds, state } => {
//!             (job.state, job.round) = (Some(state), job.round + 1);
//!             journal = Arc::new(journal.next()?);
//!             seconds
//!         }
//!         RunEnd::PendingRequest(waiting) => {
//!             waiting.wait().await?;
//!             continue;
//!         }
//!         // A person decides; call `durable::retry` when they request a retry.
//!         RunEnd::Stopped { reason } => return Err(reason.into()),
//!         RunEnd::NeedsMerchant { unanswered } => return Err(format!("look at {}", unanswered.request).into()),
//!     };
//!     SystemClock.sleep(wait).await;
//! }
//! # }
//! ```
//!
//! A real worker asks [`next_step`] what to do: the function decides how long to wait, what to retry, and what stops
//! with which responsible party.
//!
//! A job that is restarted on the current settings keeps its round and has the next journal: it draws the same random
//! numbers, and outcomes that it emits again are not applied again.

mod handle;
mod run;

pub use cartwright_engine::durable::{
    Answer, Call, Cancel, DeterminismFault, Entry, JITTER_PERCENT, Job, Journal, JournalError, JournaledBody,
    JournaledBytes, JournaledResponse, Loaded, MAX_CONTINUATIONS, MAX_JOURNAL_ENTRIES, MAX_STATE_BYTES,
    MAX_WAIT_SECONDS, MemoryJournal, NextAction, PendingRequest, RETRY_BACKOFF, Record, ResponsibleParty, RestartRisk,
    RetryCounters, RunEnd, RunError, RunInput, RunReport, RunStart, StopReason, UnansweredRequest, Wake,
    feed_retry_delay, next_step, retry,
};
pub use handle::HandleResult;
