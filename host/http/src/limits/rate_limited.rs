//! The error of too many requests.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use governor::NotUntil;
use governor::clock::{Clock, DefaultClock};

use crate::problem::Problem;

/// The error of too many requests: the limit that was reached, and the time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    pub(super) limit: RateLimit,
    pub(super) retry_after: Duration,
}

/// A limit on the rate of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RateLimit {
    Key(NonZeroU32),
    Client(NonZeroU32),
    Webhook(NonZeroU32),
    WrongKeys(NonZeroU32),
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(max) => write!(f, "{max} per second with this access key"),
            Self::Client(max) => write!(f, "{max} per second from this address"),
            Self::Webhook(max) => write!(f, "{max} per second to this webhook"),
            Self::WrongKeys(max) => write!(f, "{max} wrong access keys per minute from this address"),
        }
    }
}

impl RateLimited {
    /// Creates the error of a request that a rate limiter refuses for now.
    pub(super) fn until(limit: RateLimit, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> Self {
        Self { limit, retry_after: until.wait_time_from(DefaultClock::default().now()) }
    }
}

impl From<RateLimited> for Problem {
    fn from(RateLimited { limit, retry_after }: RateLimited) -> Self {
        let seconds = u32::try_from(retry_after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let detail = format!("too many requests; try again in {seconds} s (the limit is {limit})");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail).with_retry_after(seconds)
    }
}
