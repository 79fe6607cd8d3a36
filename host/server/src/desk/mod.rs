//! `cartwright jobs` and `cartwright orders`: what a host's database holds, for whoever runs it.

mod database;
mod jobs;
mod journal;
mod orders;
mod said;

pub(crate) use database::{Database, KEY_VARIABLE};
pub(crate) use jobs::{Jobs, run as run_jobs};
pub(crate) use orders::{Orders, run as run_orders};

use std::time::SystemTime;

/// RFC 3339 in UTC, to the second.
fn moment(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .and_then(|at| at.round(jiff::Unit::Second))
        .map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}
