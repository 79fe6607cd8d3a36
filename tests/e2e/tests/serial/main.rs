//! Tests that measure the host's time or memory. Each has the machine to itself: they take turns, and Cargo runs one test binary at
//! a time.

mod hostile_in_time;
mod waiting;

use tokio::sync::Mutex;

/// Held by the test that runs.
static RUNNING: Mutex<()> = Mutex::const_new(());
