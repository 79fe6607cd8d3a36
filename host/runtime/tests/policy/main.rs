//! Retries of jobs, circuits of vendors' servers, the order of requests to a server, and the limits that are stated.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod circuit;
mod queue;
mod rate_limit;
mod retries;
mod stated;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::ShopId;
use cartwright::health::{Health, Requester, Throttled};

/// Returns the time of the tests' start, and some seconds.
fn after_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_268_800 + seconds)
}

/// Tries to acquire permission once, without waiting.
fn try_acquire(health: &Health, shop: &ShopId, host: &str, at: SystemTime) -> Result<(), Throttled> {
    health.queue(shop, host, &Requester::Orders, at)?.try_acquire(&health.rate_limit(None), at)
}
