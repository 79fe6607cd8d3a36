//! Tests of the store through its public API, each once for each database.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
// A test's body is outside its `#[test]`, so that clippy does not recognize it as a test.
#![allow(clippy::unwrap_used)]

mod access;
mod catalog;
mod database;
mod documents;
mod erase;
mod fair_claims;
mod faults;
mod forgotten;
mod housekeeping;
mod idempotency;
mod jobs;
mod journals;
mod keeping;
mod listed;
mod moved;
mod notifications;
mod opening;
mod orders;
mod pooler;
mod quota;
mod retries;
mod schema;
mod setup;
mod sweeping;
mod tls;
mod webhook_quota;
mod webhooks;
