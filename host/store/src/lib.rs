//! What the host keeps: events, jobs, journals, orders, blobs, settings and secrets.
//!
//! One set of queries serves both databases, through `sqlx`'s `Any` driver: SQLite in a file by default, PostgreSQL when one
//! machine is not enough. `Any` knows only whole numbers, text and bytes, and both databases take `$1`; so every query here is
//! plain text that can be tried in either's shell. Generics over the database would carry a dozen bounds through each function,
//! and a macro would compile each query twice to the same end. The price is that nothing checks a query before it runs: the
//! tests run every one, on each database.
//!
//! Three types matter:
//! - [`Store`], the open database;
//! - [`Claim`], a job that a worker has for a while, with its journal;
//! - [`StoreError`], which says what to do next.
//!
//! A worker, but for its [heartbeats](Store::heartbeat):
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! use cartwright::durable::{Cancel, RunEnd, Start};
//! use cartwright::{Cartwright, Clock, SystemClock};
//! use cartwright_store::{Keyring, Store};
//!
//! # async fn work(host: &Cartwright, key: [u8; 32]) -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("sqlite:cartwright.db", Keyring::new(key)).await?;
//! while let Some(claim) = store.claim("node-1", SystemClock.now(), Duration::from_secs(60)).await? {
//!     loop {
//!         let (journal, clock) = (claim.journal.clone(), Arc::new(SystemClock));
//!         let start = Start { journal, clock, wake: claim.wake, cancel: Cancel::default() };
//!         let ran = match host.run_job(&claim.job, start).await {
//!             Ok(ran) => ran,
//!             Err(error) => break drop(store.put_back(&claim.lease, &error.to_string(), SystemClock.now()).await?),
//!         };
//!         store.finish(&claim.lease, &ran.end, SystemClock.now()).await?;
//!         // While a request is out the worker keeps the job. Everything else has ended its lease.
//!         let RunEnd::Waiting(waiting) = ran.end else { break };
//!         waiting.answered().await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod blobs;
mod component;
mod database;
mod document;
mod erase;
mod error;
mod event;
mod event_log;
mod export;
mod job;
mod journal;
mod keys;
mod materials;
mod order;
mod outcome;
mod restore;
mod setup;
mod sweep;
mod vault;
mod webhook;

pub use blobs::BlobInfo;
pub use component::StoredComponent;
pub use database::Store;
pub use document::{DocumentFile, DocumentLink, LinkError};
pub use erase::Unfinished;
pub use error::StoreError;
pub use event::{Lines, NewJob, Recorded};
pub use event_log::{LogEntry, NewLogEntry};
pub use export::{Export, ExportFile};
pub use job::{Beat, Claim, JobDetail, JobFilter, JobState, JobSummary, Lease, Replay, Why};
pub use journal::StoreJournal;
pub use materials::{LineMaterials, OrderMaterials};
pub use outcome::StoredOutcome;
pub use restore::NotRestored;
pub use setup::StoredLink;
pub use sweep::{Retention, Swept};
pub use vault::Keyring;
pub use webhook::{AccountOutcome, AccountOutcomeState, OpenNotice, PushedError, WebhookAddressInfo};
