//! A rate limit by the generic cell rate algorithm, which stores a single time.
//!
//! It is not `governor`, because a waiting request is checked with the requests ahead of it without being counted, by
//! rules that its account may change, at a time that the caller passes (`host/decisions/0011-rate-limits.md`).

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Rules of a rate limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitRules {
    /// Number of requests that may be sent at once after an idle period.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1))]
    pub burst: NonZeroU32,
    /// Interval between requests after that.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub interval: Duration,
}

impl RateLimitRules {
    /// Default number of requests per second to each server. Neither vendor documents a limit; this is more than a
    /// shop's orders need and harmless to a server.
    pub const DEFAULT_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

    /// Creates rules for this many requests per second, after a burst of twice as many.
    pub fn per_second(requests: NonZeroU32) -> Self {
        let twice = NonZeroU32::MIN.saturating_add(1);
        Self { burst: requests.saturating_mul(twice), interval: Duration::from_secs(1) / requests.get() }
    }
}

impl Default for RateLimitRules {
    fn default() -> Self {
        Self::per_second(Self::DEFAULT_REQUESTS_PER_SECOND)
    }
}

/// State of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RateLimit {
    /// When the limit is unused again. `None` before the first request.
    idle_at: Option<SystemTime>,
}

impl RateLimit {
    /// Checks whether a request may be sent now, with this many others ahead of it.
    ///
    /// # Errors
    /// Returns the time from which it may be sent.
    pub fn check(&mut self, rules: &RateLimitRules, ahead: usize, at: SystemTime) -> Result<(), SystemTime> {
        // At most the duration of a whole burst; otherwise a clock that was set back would delay all requests for that
        // long.
        let latest = at + rules.interval.saturating_mul(rules.burst.get());
        let idle_at = self.idle_at.unwrap_or(at).clamp(at, latest);
        self.idle_at = Some(idle_at);
        let slack = rules.interval.saturating_mul(rules.burst.get() - 1);
        let ahead = rules.interval.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
        let may_from = (idle_at + ahead).checked_sub(slack).unwrap_or(at);
        if may_from > at { Err(may_from) } else { Ok(()) }
    }

    /// Counts a request that [`Self::check`] allowed.
    pub fn take(&mut self, rules: &RateLimitRules, at: SystemTime) {
        self.idle_at = Some(self.idle_at.map_or(at, |idle_at| idle_at.max(at)) + rules.interval);
    }
}
