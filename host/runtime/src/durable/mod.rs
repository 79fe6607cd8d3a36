//! Order hooks that survive a crash, a restart and a redeploy, by replay.
//!
//! `orders.handle` is straight-line code. Everything that it learns comes through imports, and each answer stands in a journal
//! before the guest has it. After a crash the hook runs again from its beginning: it is answered from the journal until that
//! ends, then for real. The price is that a hook must ask the same things when it is told the same things; one that does not is
//! stopped, and told which call differed ([`DeterminismFault`]).
//!
//! A run that waits, for a time or for a vendor, has ended: it holds no instance, no lock and no transaction, and nothing but
//! the journal is kept. A worker is a [`Job`], a [`Journal`] for it, and a loop that does what each [`RunEnd`] says:
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
//!         RunEnd::Again { seconds, state } => {
//!             (job.state, job.round) = (Some(state), job.round + 1);
//!             journal = Arc::new(journal.next()?);
//!             seconds
//!         }
//!         RunEnd::PendingRequest(waiting) => {
//!             waiting.answered().await?;
//!             continue;
//!         }
//!         // A person decides; `durable::retry` is called when they want it tried again.
//!         RunEnd::Stopped { reason } => return Err(reason.into()),
//!         RunEnd::NeedsMerchant { unanswered } => return Err(format!("look at {}", unanswered.request).into()),
//!     };
//!     SystemClock.sleep(wait).await;
//! }
//! # }
//! ```
//!
//! A real worker asks [`next_step`] what to do: it knows how long to wait for whom, what is tried once more, and what stops and
//! who can mend it.
//!
//! A job that is restarted on the current settings keeps its round and has the next journal: it draws the same random numbers,
//! and what it says again is not applied again.

mod handle;
mod run;

pub use cartwright_engine::durable::{
    Answer, Call, Cancel, DeterminismFault, Entry, JITTER_PERCENT, Job, Journal, JournalError, JournaledBody,
    JournaledBytes, JournaledResponse, Loaded, MAX_JOURNAL_ENTRIES, MemoryJournal, NextAction, PendingRequest,
    RETRY_BACKOFF, Record, ResponsibleParty, RestartRisk, RetryCounters, RunEnd, RunError, RunInput, RunReport,
    RunStart, StopReason, UnansweredRequest, Wake, next_step, retry,
};
pub use handle::HandleResult;
