//! A circuit breaker: closed while a server responds, open after several consecutive failures, and half-open while a
//! probe is in flight.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// When the circuit of a server opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CircuitRules {
    /// Number of consecutive failures that open the circuit.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1))]
    pub failures: NonZeroU32,
    /// How long the circuit stays open at first. The duration doubles with each failed probe.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub open_duration: Duration,
    /// Maximum duration for which the circuit stays open.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub max_open_duration: Duration,
}

impl Default for CircuitRules {
    fn default() -> Self {
        Self {
            // A few failures of one order do not open the circuit.
            failures: NonZeroU32::MIN.saturating_add(4),
            open_duration: Duration::from_secs(30),
            // Bounds how long an order waits for a server that is available again.
            max_open_duration: Duration::from_secs(15 * 60),
        }
    }
}

/// State of a server's circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Circuit {
    /// Requests are sent.
    Closed {
        /// Number of consecutive failures.
        failures: u32,
    },
    /// Requests fail at once.
    Open {
        /// Number of consecutive failures.
        failures: u32,
        /// When the circuit becomes half-open.
        #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::ClockTime))]
        until: SystemTime,
        /// How long the circuit stays open this time.
        #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
        open_duration: Duration,
    },
    /// One probe request is in flight.
    HalfOpen {
        /// Number of consecutive failures.
        failures: u32,
        /// When the probe expires, because its sender may have crashed.
        #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::ClockTime))]
        until: SystemTime,
        /// How long the circuit was open before.
        #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
        open_duration: Duration,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Circuit {
    /// Acquires permission to send one request. Report its outcome with [`responded`](Self::responded) or
    /// [`unavailable`](Self::unavailable).
    ///
    /// # Errors
    ///
    /// The number of failures, and when the circuit becomes half-open.
    pub fn try_acquire(&mut self, rules: &CircuitRules, at: SystemTime) -> Result<(), (u32, SystemTime)> {
        if let Some(refusal) = self.refusal(rules, at) {
            return Err(refusal);
        }
        if let Self::Open { failures, open_duration, .. } | Self::HalfOpen { failures, open_duration, .. } = *self {
            *self = Self::HalfOpen { failures, until: at + open_duration, open_duration };
        }
        Ok(())
    }

    /// Returns the number of failures and the end of the open state, while the circuit is open.
    pub fn refusal(&self, rules: &CircuitRules, at: SystemTime) -> Option<(u32, SystemTime)> {
        let (Self::Open { failures, until, .. } | Self::HalfOpen { failures, until, .. }) = *self else { return None };
        // After the clock was set back, the circuit must not stay open for that long.
        let is_refused = until > at && until.duration_since(at).unwrap_or_default() <= rules.max_open_duration;
        is_refused.then_some((failures, until))
    }

    /// Closes the circuit after a response.
    pub fn responded(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure, and opens the circuit if there were enough.
    pub fn unavailable(&mut self, rules: &CircuitRules, retry_after: Option<Duration>, at: SystemTime) {
        let open = |failures: u32, open_duration: Duration| {
            let open_duration = open_duration.max(retry_after.unwrap_or_default()).min(rules.max_open_duration);
            Self::Open { failures, until: at + open_duration, open_duration }
        };
        *self = match *self {
            Self::Closed { failures } => match failures.saturating_add(1) {
                failures if failures >= rules.failures.get() => open(failures, rules.open_duration),
                failures => Self::Closed { failures },
            },
            Self::HalfOpen { failures, open_duration, .. } => {
                open(failures.saturating_add(1), open_duration.saturating_mul(2))
            }
            // Requests that were in flight already add no information.
            Self::Open { failures, until, open_duration } => {
                Self::Open { failures: failures.saturating_add(1), until, open_duration }
            }
        };
    }
}
