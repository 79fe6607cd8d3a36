//! A rate limit by the generic cell rate algorithm: one moment is all that is remembered.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// How fast a server may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitRules {
    /// So many requests at once, after a rest.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1))]
    pub burst: NonZeroU32,
    /// And one each so often, for as long as one likes.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub every: Duration,
}

impl Default for RateLimitRules {
    /// Neither vendor documents a limit. Ten a second is more than a shop's orders need, and no server's trouble.
    fn default() -> Self {
        Self { burst: NonZeroU32::MIN.saturating_add(19), every: Duration::from_millis(100) }
    }
}

/// How fast a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RateLimit {
    /// When it is as if it had never been asked; none = it never was.
    rested: Option<SystemTime>,
}

impl RateLimit {
    /// May it be asked now?
    ///
    /// # Errors
    /// From when on it may.
    pub fn check(&mut self, rules: &RateLimitRules, at: SystemTime) -> Result<(), SystemTime> {
        // No later than a whole burst makes it: else a clock that was set back would hold everything for as long.
        let latest = at + rules.every * rules.burst.get();
        let rested = self.rested.unwrap_or(at).clamp(at, latest);
        self.rested = Some(rested);
        let slack = rules.every * (rules.burst.get() - 1);
        let may_from = rested.checked_sub(slack).unwrap_or(at);
        if may_from > at { Err(may_from) } else { Ok(()) }
    }

    /// It is asked, because [`Self::check`] let it.
    pub fn take(&mut self, rules: &RateLimitRules, at: SystemTime) {
        self.rested = Some(self.rested.map_or(at, |rested| rested.max(at)) + rules.every);
    }
}
