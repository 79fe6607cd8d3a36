//! Tests that measure the host's time or memory. Each has the machine for itself: they run one after the other, and
//! Cargo runs one test binary at a time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod hostile_in_time;
mod waiting;

use tokio::sync::Mutex;

/// Held by the running test.
static RUNNING: Mutex<()> = Mutex::const_new(());
