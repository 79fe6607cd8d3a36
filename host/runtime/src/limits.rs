//! What one guest call may use, and what the host itself does with what it is given.
//!
//! Every limit and timeout of a guest call stands in [`Limits`], and a breach is a typed error that names the limit, its value and the
//! setting. The host's own work is linear in what it is given, and [`Budget`] bounds that.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, Trap};

/// Limits of one guest call. Those on work grow with the cart's lines, because a limit that a growing cart runs into surprises
/// the plugin's author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Time the guest itself may compute, counted in ticks of one millisecond.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub guest_cpu: Duration,
    /// More computing time for each line of the cart and each item of the configuration.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub guest_cpu_per_line: Duration,
    /// Time from start to end of a call, host calls included.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub deadline: Duration,
    /// The same for hooks that reach the network.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub network_deadline: Duration,
    /// The longest that a request of a durable hook may take; its run does not wait for it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub durable_request: Duration,
    /// How long a durable run keeps its instance while a request is out.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Span))]
    pub durable_hold: Duration,
    /// Bytes of all linear memories together.
    pub memory: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// How often the guest may call the host.
    pub host_calls: u32,
    /// Further host calls for each line.
    pub host_calls_per_line: u32,
    /// Bytes that the guest may hand to the host in one crossing.
    pub bytes_out: usize,
    /// Further bytes for each line.
    pub bytes_out_per_line: usize,
    /// Bytes of a raw configuration, a webhook or an http response that a guest is given.
    pub bytes_in: usize,
    /// Bytes of an http response that goes to the document store.
    pub stored_bytes: u64,
    /// Bytes that the guest may log, stdout and stderr included.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Twenty times what a JavaScript strategy takes for a large cart; a Rust guest needs under one.
            guest_cpu: Duration::from_millis(250),
            guest_cpu_per_line: Duration::from_millis(5),
            deadline: Duration::from_secs(2),
            // A vendor's slow answer, and a shopper's patience.
            network_deadline: Duration::from_secs(15),
            // Twikit makes production files while the request is out.
            durable_request: Duration::from_secs(300),
            // Longer than most answers take; replaying a run costs far less.
            durable_hold: Duration::from_secs(1),
            // A Python guest starts at 40 MB.
            memory: 128 << 20,
            table_elements: 100_000,
            host_calls: 200,
            host_calls_per_line: 10,
            bytes_out: 4 << 20,
            bytes_out_per_line: 64 << 10,
            // A configuration with a 512 × 512 JPEG in base64 is under 1 MB.
            bytes_in: 8 << 20,
            stored_bytes: 256 << 20,
            log_bytes: 64 << 10,
        }
    }
}

/// A limit that a call broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum Breach {
    /// The guest computed too long.
    #[error("the guest computed longer than {allowed_ms} ms (limit guest_cpu)")]
    GuestCpu {
        /// What was allowed.
        allowed_ms: u64,
    },
    /// The call took too long.
    #[error("the call took longer than {allowed_ms} ms (limit deadline)")]
    Deadline {
        /// What was allowed.
        allowed_ms: u64,
    },
    /// The guest's memories grew too large.
    #[error("the guest asked for {asked} bytes of memory, {allowed} are allowed (limit memory)")]
    Memory {
        /// What all memories together would have taken.
        asked: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest's tables grew too large.
    #[error("the guest asked for {asked} table elements, {allowed} are allowed (limit table_elements)")]
    TableElements {
        /// What all tables together would have taken.
        asked: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest recursed too deep.
    #[error("the guest used up its stack of {allowed} bytes (limit stack)")]
    Stack {
        /// What was allowed.
        allowed: usize,
    },
    /// The guest called the host too often.
    #[error("the guest called the host more than {allowed} times (limit host_calls)")]
    HostCalls {
        /// What was allowed.
        allowed: u32,
    },
    /// The guest handed over too much.
    #[error("the guest handed over more than {allowed} bytes at once (limit bytes_out)")]
    BytesOut {
        /// What was allowed.
        allowed: usize,
    },
    /// The guest would have been given too much.
    #[error("{given} bytes were to be given to the guest, {allowed} are allowed (limit bytes_in)")]
    BytesIn {
        /// How many bytes there were.
        given: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest logged too much.
    #[error("the guest logged more than {allowed} bytes (limit log_bytes)")]
    LogBytes {
        /// What was allowed.
        allowed: usize,
    },
}

/// A budget of the host's own work for one request about a cart. The amounts are far above what shops sell: they bound what a
/// hostile request can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Lines of the cart that a request brings.
    CartLines,
    /// Configured products of one configuration.
    Items,
    /// Attributes of all configured products of one configuration.
    Attributes,
    /// Articles of all configured products of one configuration.
    Articles,
    /// Bytes of the states of all configured products of one configuration.
    StateBytes,
    /// Configured products of all configurations that one request plans; a configuration that is planned twice counts twice.
    PlannedItems,
    /// Bytes of all configurations that one request plans; a configuration that is planned twice counts twice.
    PlannedBytes,
}

impl Budget {
    /// The amount that is allowed.
    pub const fn allowed(self) -> usize {
        match self {
            // As many as a plan may have: what a strategy planned can be put into a cart.
            Self::CartLines => crate::cart::MAX_LINES,
            Self::Items => 1_000,
            Self::Attributes | Self::Articles => 50_000,
            Self::StateBytes => 4 << 20,
            Self::PlannedItems => 20_000,
            Self::PlannedBytes => 256 << 20,
        }
    }

    /// Holds an amount to the budget.
    ///
    /// # Errors
    /// [`OverBudget`] for more than [`allowed`](Self::allowed).
    pub(crate) fn check(self, given: usize) -> Result<(), OverBudget> {
        let allowed = self.allowed();
        if given > allowed { Err(OverBudget { limit: self, given, allowed }) } else { Ok(()) }
    }

    fn what(self) -> &'static str {
        match self {
            Self::CartLines => "lines in a cart",
            Self::Items => "configured products in a configuration",
            Self::Attributes => "attributes in a configuration",
            Self::Articles => "articles in a configuration",
            Self::StateBytes => "bytes of states in a configuration",
            Self::PlannedItems => "configured products planned in one request",
            Self::PlannedBytes => "bytes of configurations planned in one request",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CartLines => "cart_lines",
            Self::Items => "items",
            Self::Attributes => "attributes",
            Self::Articles => "articles",
            Self::StateBytes => "state_bytes",
            Self::PlannedItems => "planned_items",
            Self::PlannedBytes => "planned_bytes",
        }
    }
}

/// A request asks for more of the host's own work than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{given} {}, at most {allowed} are allowed (limit {})", .limit.what(), .limit.name())]
pub struct OverBudget {
    /// Which budget.
    pub limit: Budget,
    /// How much it would have taken.
    pub given: usize,
    /// How much is allowed.
    pub allowed: usize,
}

/// Maximum number of characters of a text that a cart shows. What is longer is cut and marked, and the merchant is warned.
pub(crate) const MAX_SHOWN_CHARS: usize = 1_000;
/// Maximum number of characters of a message of a plugin, and of each of its parameters.
pub(crate) const MAX_MESSAGE_CHARS: usize = 4_000;
/// Maximum number of parameters of a message of a plugin.
pub(crate) const MAX_MESSAGE_PARAMETERS: usize = 50;
/// Maximum length in bytes of a `named-json` that is kept with a line.
pub(crate) const MAX_NAMED_JSON_BYTES: usize = 64 << 10;
/// Maximum number of lines of the cart that a strategy is given. More would make planning each line of a cart again cost the square
/// of the cart.
pub(crate) const MAX_LINES_FOR_STRATEGY: usize = 100;
/// Size in bytes above which the states of a configuration are hashed off the async workers.
pub(crate) const INLINE_STATE_BYTES: usize = 32 << 10;
/// Maximum number of seconds for which a sealed price may hold: a leap year.
pub(crate) const MAX_SEAL_SECONDS: u32 = 366 * 86_400;
/// Maximum number of seconds for which a cart's line may go on with the version that it is pinned to: five years.
pub(crate) const MAX_PIN_SECONDS: u32 = 5 * 366 * 86_400;
/// Maximum length in bytes of a shop's language tag; RFC 5646 asks for 35.
pub(crate) const MAX_LOCALE_BYTES: usize = 35;

/// Bytes of WebAssembly stack. One for the whole engine: wasmtime lays stacks out when it starts.
pub(crate) const STACK_BYTES: usize = 512 << 10;

/// Counts what one call uses.
pub(crate) struct Meter {
    limits: Limits,
    lines: u32,
    memory: usize,
    table_elements: usize,
    host_calls: u32,
    pub(crate) cpu_ticks: u64,
}

impl Meter {
    pub(crate) fn new(limits: &Limits, lines: usize) -> Self {
        Self {
            limits: limits.clone(),
            lines: u32::try_from(lines).unwrap_or(u32::MAX),
            memory: 0,
            table_elements: 0,
            host_calls: 0,
            cpu_ticks: 0,
        }
    }

    pub(crate) fn guest_cpu(&self) -> Duration {
        self.limits.guest_cpu + self.limits.guest_cpu_per_line.saturating_mul(self.lines)
    }

    pub(crate) fn bytes_out(&self) -> usize {
        self.limits.bytes_out.saturating_add(self.limits.bytes_out_per_line.saturating_mul(self.lines as usize))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// One tick of guest computing.
    pub(crate) fn tick(&mut self) -> Result<(), Breach> {
        self.cpu_ticks += 1;
        let allowed = self.guest_cpu();
        if Duration::from_millis(self.cpu_ticks) > allowed {
            return Err(Breach::GuestCpu { allowed_ms: millis(allowed) });
        }
        Ok(())
    }

    /// One call of the host.
    pub(crate) fn host_call(&mut self) -> Result<(), Breach> {
        let allowed = self.limits.host_calls.saturating_add(self.limits.host_calls_per_line.saturating_mul(self.lines));
        self.host_calls += 1;
        if self.host_calls > allowed { Err(Breach::HostCalls { allowed }) } else { Ok(()) }
    }
}

impl ResourceLimiter for Meter {
    // An error rather than `Ok(false)`: a refused growth would look like the guest's own abort.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.memory.saturating_add(desired - current);
        if asked > self.limits.memory {
            return Err(Breach::Memory { asked, allowed: self.limits.memory }.into());
        }
        self.memory = asked;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.table_elements.saturating_add(desired - current);
        if asked > self.limits.table_elements {
            return Err(Breach::TableElements { asked, allowed: self.limits.table_elements }.into());
        }
        self.table_elements = asked;
        Ok(true)
    }
}

/// The breach behind an error of wasmtime, if it was one.
pub(crate) fn breach_of(error: &wasmtime::Error, meter: &Meter) -> Option<Breach> {
    if let Some(breach) = error.downcast_ref::<Breach>() {
        return Some(breach.clone());
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::StackOverflow)) {
        return Some(Breach::Stack { allowed: STACK_BYTES });
    }
    // wasmtime's `HostcallFuelExhausted` is private; a test in `tests/hostile.rs` fails when its text changes.
    if error
        .chain()
        .any(|cause| cause.to_string().contains("too much data is being copied between the host and the guest"))
    {
        return Some(Breach::BytesOut { allowed: meter.bytes_out() });
    }
    None
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed_and_not_looked_at_one_by_one() {
        let limits = Limits { memory: 100, ..Limits::default() };
        let mut meter = Meter::new(&limits, 0);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        let error = meter.memory_growing(0, 60, None).unwrap_err();
        let breach = breach_of(&error, &meter).unwrap();
        assert_eq!(breach, Breach::Memory { asked: 120, allowed: 100 });
        assert!(breach.to_string().contains("limit memory"));
        assert!(meter.memory_growing(60, 100, None).unwrap());
    }

    #[test]
    fn limits_on_work_grow_with_the_lines() {
        let limits = Limits { host_calls: 2, host_calls_per_line: 3, ..Limits::default() };
        let calls = |lines| {
            let mut meter = Meter::new(&limits, lines);
            (0..100).take_while(|_| meter.host_call().is_ok()).count()
        };
        assert_eq!((calls(0), calls(1), calls(10)), (2, 5, 32));
    }
}
