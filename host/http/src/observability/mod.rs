//! Observability of a node: metrics, call statistics of the last hour, and the plugin log. All of it is in memory,
//! concerns this node only, and begins when it starts.

mod calls;
mod lines;
mod measure;
mod metrics;
mod scrape;

use std::sync::Arc;

use cartwright::observe::{GuestCall, GuestLine, JobRun, VendorRequest};
use cartwright::{Clock, Observer};

pub use calls::{CallMinute, CallSeries, CallStatistics, Calls};
pub use lines::{Lines, LoggedLine, Severity};
pub(crate) use measure::{measure, method, route};
use metrics::PrometheusMetrics;
pub(crate) use scrape::routes;

/// The metrics, call statistics and plugin log of this node.
pub struct Observability {
    clock: Arc<dyn Clock>,
    metrics: PrometheusMetrics,
    calls: Calls,
    lines: Lines,
}

impl Observability {
    /// Creates empty statistics.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, metrics: PrometheusMetrics::new(), calls: Calls::default(), lines: Lines::default() }
    }

    /// Counts a connection that was refused because of this limit.
    pub(crate) fn connection_refused(&self, limit: &'static str) {
        self.metrics.connection_refused(limit);
    }

    /// Returns the call statistics of the last hour.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Returns the plugin log.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }
}

impl Observer for Observability {
    fn call_ended(&self, ended: &GuestCall<'_>) {
        self.metrics.call_ended(ended);
        if let Some(shop) = ended.call.shop {
            self.calls.observe(ended.call.plugin, shop, ended.outcome.is_error(), ended.total, self.clock.now());
        }
    }

    fn line_logged(&self, line: &GuestLine<'_>) {
        self.lines.keep(line, self.clock.now());
    }

    fn job_run_ended(&self, run: &JobRun<'_>) {
        self.metrics.job_run_ended(run);
    }

    fn vendor_request_ended(&self, request: &VendorRequest<'_>) {
        self.metrics.vendor_request_ended(request);
    }
}
