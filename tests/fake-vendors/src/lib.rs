//! Fakes of the vendors' servers, so that every test of the host and the plugins can run without the internet and
//! without an account.
//!
//! Their only source is the vendors' own documents: a fake that was written from the plugin would repeat the plugin's
//! mistakes. Where a document leaves something open, the fake takes the stricter reading and the item's comment says
//! so: a request that passes here should pass at the vendor, but not necessarily the other way round.
//!
//! The important types:
//! - [`FakeExpivi`]: the REST calls under `/api/`, with a viewer's token that reads and a server's token that writes;
//! - [`FakeTwikit`]: orders and export under `/api/v1/`, and the four webhooks that Twikit sends;
//! - [`Faults`]: the switches that make either of them slow, unavailable, forgetful or inconsistent at run time.
//!
//! Both keep a [`Record`] of every request. [`samples`] holds what the vendors' pages would hand over.
//!
//! ```
//! use cartwright_fake_vendors::{FakeTwikit, TwikitConfig, client, payload_hash};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let twikit = FakeTwikit::start(TwikitConfig::default()).await?;
//! let saved = twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
//! let payload = serde_json::json!({ "configurationId": saved.configuration_id, "amount": 1 }).to_string();
//! let hash = payload_hash(&payload, twikit.payload_secret());
//! let body = serde_json::json!({ "payload": payload, "hash": hash });
//!
//! let reply = client::post_json(&twikit.export_url(), &[], &body).await?;
//!
//! assert_eq!(reply.status, 200);
//! assert!(reply.body.starts_with(b"PK"));
//! twikit.stop().await;
//! # Ok(())
//! # }
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

pub mod client;
pub mod expivi;
mod faults;
mod record;
pub mod samples;
mod server;
pub mod twikit;

pub use expivi::{ExpiviConfig, FakeExpivi};
pub use faults::{Faults, Malformed, Outage};
pub use record::{Received, Record, Reply};
pub use server::StartError;
pub use twikit::{FakeTwikit, TwikitConfig, payload_hash};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after a panic elsewhere: a fake's state stays readable, so that the test's own failure is shown.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
