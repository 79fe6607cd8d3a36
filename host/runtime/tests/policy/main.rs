//! When a job is run again, and when a vendor's server is left alone.

mod circuit;
mod rate_limit;
mod retries;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_268_800 + seconds)
}
