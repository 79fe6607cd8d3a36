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

pub use calls::{CallCount, CallSeries, Calls, MinuteOfCalls};
pub use lines::{Lines, LoggedLine, Severity};
use metrics::Metrics;
pub(crate) use metrics::{measure, method, route};

use super::node::Node;

/// Everything that this node has heard.
pub struct Observed {
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    calls: Calls,
    lines: Lines,
}

impl Observed {
    /// A node that has heard nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, metrics: Metrics::new(), calls: Calls::default(), lines: Lines::default() }
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

impl Observer for Observed {
    fn call_ended(&self, ended: &GuestCall<'_>) {
        self.metrics.call_ended(ended);
        if let Some(shop) = ended.call.shop {
            self.calls.observe(ended.call.plugin, shop, ended.outcome.is_error(), ended.total, self.clock.now());
        }
    }

    fn logged(&self, line: &GuestLine<'_>) {
        self.lines.keep(line, self.clock.now());
    }

    fn job_ran(&self, run: &JobRun<'_>) {
        self.metrics.job_ran(run);
    }

    fn vendor_asked(&self, request: &VendorRequest<'_>) {
        self.metrics.vendor_asked(request);
    }
}

/// What the metrics' own address serves. It asks for no key: who may reach it is the network's to say.
pub(crate) fn routes(node: Node) -> Router {
    Router::new().route("/metrics", get(scraped)).with_state(node)
}

async fn scraped(State(node): State<Node>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], node.observed().metrics.scraped(&node).await)
}
