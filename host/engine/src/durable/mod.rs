//! Durable execution by replay: the journal of a job, the position of a run in it, and what comes after a run.
//!
//! Everything that an order hook learns comes through imports, and each answer stands in a journal before the guest has it. After a
//! crash the hook runs again from its beginning: it is answered from the journal until that ends, then for real.

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
pub use policy::{JITTER_PERCENT, NextAction, RETRY_BACKOFF, ResponsibleParty, RetryCounters, next_step};
pub use run::{OpenRun, RunInput, RunReport};
pub use waiting::PendingRequest;

pub(crate) use clock::milliseconds;
pub(crate) use replay::{Cursor, RunInterrupted};
