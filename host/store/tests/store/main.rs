//! The store through its public API, each test once for each database.

// A test's body stands outside its `#[test]`, where clippy does not know it for one.
#![allow(clippy::unwrap_used)]

mod access;
mod catalogue;
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
