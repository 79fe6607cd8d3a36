//! Order hooks that survive a crash, a restart and a redeploy, by replay.
//!
//! `orders.handle` is straight-line code. Everything that it learns comes through imports, and each answer stands in a journal
//! before the guest has it. After a crash the hook runs again from its beginning: it is answered from the journal until that
//! ends, then for real. The price is that a hook must ask the same things when it is told the same things; one that does not is
//! stopped, and told which call differed ([`Fault`]).
//!
//! A worker needs three things: a [`Job`], a [`Journal`] for it, and a loop around [`Cartwright::run_job`] that does what each
//! [`RunEnd`] says. Nothing else is kept between runs, and a run that waits, for a time or for a vendor, has ended: it holds no
//! instance, no lock and no transaction.
//!
//! [`Cartwright::run_job`]: crate::Cartwright::run_job

mod clock;
mod handle;
mod history;
mod journal;
mod memory;
mod replay;
mod run;
mod send;

pub use handle::Handled;
pub use journal::{
    Answer, Began, Call, Entry, Journal, JournalError, Kept, KeptBody, KeptResponse, Loaded, MOST_ENTRIES, Record,
};
pub use memory::MemoryJournal;
pub use replay::{Cancel, Fault, Unanswered, Wake};
pub use run::{Job, Ran, RunEnd, RunError, Start, Why, retry};
pub use send::Waiting;

pub(crate) use clock::milliseconds;
pub(crate) use replay::Cursor;
