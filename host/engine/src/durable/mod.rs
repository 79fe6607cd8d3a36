//! Durable execution by replay: the journal of a job, the position of a run in it, and what comes after a run.
//!
//! All inputs of an order hook come through imports, and each result is recorded in a journal before the guest receives
//! it. After a crash the hook runs again from its beginning: its calls get the recorded results until the journal ends,
//! and are executed after that.

mod clock;
mod end;
mod history;
mod job;
mod journal;
mod memory;
mod policy;
mod replay;
mod run;
mod send;
mod waiting;

pub use end::{DeterminismFault, RunEnd, RunError, StopReason, UnansweredRequest};
pub use history::RestartRisk;
pub use job::{Cancel, Job, Wake, retry};
pub use journal::{
    Answer, Call, Entry, Journal, JournalError, JournaledBody, JournaledBytes, JournaledResponse, Loaded,
    MAX_JOURNAL_ENTRIES, Record, RunStart,
};
pub use memory::MemoryJournal;
pub use policy::{
    JITTER_PERCENT, NextAction, RETRY_BACKOFF, ResponsibleParty, RetryCounters, feed_retry_delay, next_step,
};
pub use replay::{MAX_CONTINUATIONS, MAX_STATE_BYTES, MAX_WAIT_SECONDS};
pub use run::{OpenRun, RunInput, RunReport};
pub use waiting::PendingRequest;

pub(crate) use clock::milliseconds;
pub(crate) use replay::{Cursor, RunInterrupted};
