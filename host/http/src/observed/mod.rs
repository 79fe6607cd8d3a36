//! What a node hears of itself: metrics, how calls went in the last hour, and what guests logged. All of it is in memory, of this
//! node, and since it started.

mod calls;
mod lines;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use cartwright::observe::{GuestCall, GuestLine, JobRun, VendorRequest};
use cartwright::{Clock, Observer};

pub use calls::{CallMinute, CallSeries, CallStatistics, Calls};
pub use lines::{Lines, LoggedLine, Severity};
use metrics::PrometheusMetrics;
pub(crate) use metrics::{measure, method, route};

use super::node::Node;

/// Everything that this node has heard.
pub struct Observability {
    clock: Arc<dyn Clock>,
    metrics: PrometheusMetrics,
    calls: Calls,
    lines: Lines,
}

impl Observability {
    /// A node that has heard nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, metrics: PrometheusMetrics::new(), calls: Calls::default(), lines: Lines::default() }
    }

    /// A connection was over the limit with this name.
    pub(crate) fn connection_refused(&self, limit: &'static str) {
        self.metrics.connection_refused(limit);
    }

    /// How guest calls went in the last hour.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// What guests logged.
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

/// What the metrics' own address serves. It asks for no key: who may reach it is the network's to say.
pub(crate) fn routes(node: Node) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(node)
}

async fn scrape(State(node): State<Node>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], node.observability().metrics.render(&node).await)
}
