//! Limits of one guest call.
//!
//! [`Limits`] holds every limit and timeout of a guest call. A breach is a typed error that names the limit, its value
//! and the setting.

use std::time::Duration;

use cartwright_contract::error::Breach;
use cartwright_contract::hook::Hook;
use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, Trap};

/// Limits of one guest call. Limits on work grow with the number of cart lines, so that a plugin that handles one line
/// can handle a large cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum computing time of the guest, in ticks of one millisecond.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub guest_cpu: Duration,
    /// Additional computing time per cart line and per item of the configuration.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub guest_cpu_per_line: Duration,
    /// Maximum duration of a call, host calls included.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub deadline: Duration,
    /// Maximum duration of a call of a hook that may use `http`.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub network_deadline: Duration,
    /// Maximum duration of a request of a durable hook. The run does not wait for it.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub durable_request: Duration,
    /// How long a durable run keeps its instance while a request is in flight.
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::Span))]
    pub durable_hold: Duration,
    /// Maximum size of all linear memories together, in bytes.
    pub memory: usize,
    /// Maximum number of elements of all tables together.
    pub table_elements: usize,
    /// Maximum number of host calls.
    pub host_calls: u32,
    /// Additional host calls per cart line.
    pub host_calls_per_line: u32,
    /// Maximum number of bytes that the guest may pass to the host in one call.
    pub bytes_out: usize,
    /// Additional bytes per cart line.
    pub bytes_out_per_line: usize,
    /// Maximum size of a raw configuration, a webhook or an HTTP response that is passed to a guest, in bytes.
    pub bytes_in: usize,
    /// Maximum size of an HTTP response that is stored as a blob, in bytes.
    pub stored_bytes: u64,
    /// Maximum number of bytes that the guest may log, standard output and standard error included.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Twenty times what a JavaScript strategy needs for a large cart; a Rust guest needs less than one.
            guest_cpu: Duration::from_millis(250),
            guest_cpu_per_line: Duration::from_millis(5),
            deadline: Duration::from_secs(2),
            // Bounded by a slow vendor and by a shopper's patience.
            network_deadline: Duration::from_secs(15),
            // Twikit creates production files during the request.
            durable_request: Duration::from_secs(300),
            // Longer than most responses take; replaying a run costs far less.
            durable_hold: Duration::from_secs(1),
            // A Python guest starts with 40 MB.
            memory: 128 << 20,
            table_elements: 100_000,
            host_calls: 200,
            host_calls_per_line: 10,
            bytes_out: 4 << 20,
            bytes_out_per_line: 64 << 10,
            // A configuration with a 512 × 512 JPEG in base64 has less than 1 MB.
            bytes_in: 8 << 20,
            stored_bytes: 256 << 20,
            log_bytes: 64 << 10,
        }
    }
}

/// Size of the WebAssembly stack in bytes. It is fixed per engine, because wasmtime lays out stacks when it starts.
pub(crate) const STACK_BYTES: usize = 512 << 10;

/// Counts what one call uses.
pub(crate) struct Meter {
    limits: Limits,
    /// Maximum size of a result that has a limit of its own, in bytes.
    result_bytes: usize,
    lines: u32,
    memory: usize,
    table_elements: usize,
    host_calls: u32,
    pub(crate) cpu_ticks: u64,
}

impl Meter {
    pub(crate) fn new(limits: &Limits, hook: Hook, lines: usize) -> Self {
        Self {
            limits: limits.clone(),
            result_bytes: if hook == Hook::Resolve { limits.bytes_in } else { 0 },
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

    /// Returns the number of bytes that the guest may pass to the host in one call of an import, or as its result.
    pub(crate) fn bytes_at_once(&self) -> usize {
        self.bytes_out().saturating_add(self.result_bytes)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts one tick of guest computing time.
    pub(crate) fn tick(&mut self) -> Result<(), Breach> {
        self.cpu_ticks += 1;
        let allowed = self.guest_cpu();
        if Duration::from_millis(self.cpu_ticks) > allowed {
            return Err(Breach::GuestCpu { allowed_ms: millis(allowed) });
        }
        Ok(())
    }

    /// Counts one host call.
    pub(crate) fn host_call(&mut self) -> Result<(), Breach> {
        let allowed = self.limits.host_calls.saturating_add(self.limits.host_calls_per_line.saturating_mul(self.lines));
        self.host_calls += 1;
        if self.host_calls > allowed { Err(Breach::HostCalls { allowed }) } else { Ok(()) }
    }
}

impl ResourceLimiter for Meter {
    // This is an error instead of `Ok(false)`, because a refused growth would look like the guest's own abort.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let requested = self.memory.saturating_add(desired - current);
        if requested > self.limits.memory {
            return Err(Breach::Memory { requested, allowed: self.limits.memory }.into());
        }
        self.memory = requested;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let requested = self.table_elements.saturating_add(desired - current);
        if requested > self.limits.table_elements {
            return Err(Breach::TableElements { requested, allowed: self.limits.table_elements }.into());
        }
        self.table_elements = requested;
        Ok(true)
    }
}

/// Returns the breach that caused an error of wasmtime, if one did.
pub(crate) fn breach_of(error: &wasmtime::Error, meter: &Meter) -> Option<Breach> {
    if let Some(breach) = error.downcast_ref::<Breach>() {
        return Some(breach.clone());
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::StackOverflow)) {
        return Some(Breach::Stack { allowed: STACK_BYTES });
    }
    // wasmtime's `HostcallFuelExhausted` is private; a test in `tests/hostile.rs` fails if its text changes.
    if error
        .chain()
        .any(|cause| cause.to_string().contains("too much data is being copied between the host and the guest"))
    {
        return Some(Breach::BytesOut { allowed: meter.bytes_at_once() });
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
        let mut meter = Meter::new(&limits, Hook::Plan, 0);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        let error = meter.memory_growing(0, 60, None).unwrap_err();
        let breach = breach_of(&error, &meter).unwrap();
        assert_eq!(breach, Breach::Memory { requested: 120, allowed: 100 });
        assert!(breach.to_string().contains("limit memory"));
        assert!(meter.memory_growing(60, 100, None).unwrap());
    }

    #[test]
    fn the_contracts_page_states_the_defaults() {
        let page = include_str!("../../../wit/README.md");
        let limits = Limits::default();
        let kib = |bytes: usize| match bytes >> 20 {
            0 => format!("{} KiB", bytes >> 10),
            mib => format!("{mib} MiB"),
        };
        let rows = [
            (
                "guest CPU",
                format!(
                    "{} ms, and {} ms for each cart line",
                    millis(limits.guest_cpu),
                    millis(limits.guest_cpu_per_line)
                ),
            ),
            (
                "deadline",
                format!(
                    "{} s; {} s in a hook that reaches the network, and {} s for one request of `orders.handle`",
                    limits.deadline.as_secs(),
                    limits.network_deadline.as_secs(),
                    limits.durable_request.as_secs()
                ),
            ),
            ("memory, all memories of the component together", kib(limits.memory)),
            ("table elements", format!("{},{:03}", limits.table_elements / 1000, limits.table_elements % 1000)),
            (
                "calls of imports",
                format!("{}, and {} for each cart line", limits.host_calls, limits.host_calls_per_line),
            ),
            (
                "bytes sent",
                format!("{}, and {} for each cart line", kib(limits.bytes_out), kib(limits.bytes_out_per_line)),
            ),
            ("bytes received", kib(limits.bytes_in)),
            (
                "bytes stored by `store-body`",
                format!("{} MiB in `orders.handle`, else {}", limits.stored_bytes >> 20, kib(limits.bytes_in)),
            ),
            ("plugin log", kib(limits.log_bytes)),
            ("entries of a journal", crate::durable::MAX_JOURNAL_ENTRIES.to_string()),
        ];
        for (limit, default) in rows {
            let row = format!("| {limit} | {default} |");
            assert!(page.contains(&row), "wit/README.md lacks the row {row}");
        }
    }

    #[test]
    fn limits_on_work_grow_with_the_lines() {
        let limits = Limits { host_calls: 2, host_calls_per_line: 3, ..Limits::default() };
        let calls = |lines| {
            let mut meter = Meter::new(&limits, Hook::Plan, lines);
            (0..100).take_while(|_| meter.host_call().is_ok()).count()
        };
        assert_eq!((calls(0), calls(1), calls(10)), (2, 5, 32));
    }
}
