//! Metrics in the OpenMetrics text format.
//!
//! Labels are bounded: plugins are those that an admin installed; hooks, outcomes and states are closed sets of words;
//! routes are templates. There is no label for the shop, because there may be thousands: `/v1/plugin-calls` returns the
//! statistics of each.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use cartwright::MAX_CONCURRENT_CALLS;
use cartwright::observe::{GuestCall, JobRun, VendorRequest};
use cartwright_store::{JobStateKind, MAX_COUNTED_JOBS};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Duration buckets in seconds, from a Rust guest's call to a vendor's slowest response.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counts<const N: usize> = Family<Labels<N>, Counter>;
type Seconds<const N: usize> = Family<Labels<N>, Counter<f64, AtomicU64>>;
type Times<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

fn histogram<const N: usize>() -> Times<N> {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

/// The metrics of a node.
pub(super) struct PrometheusMetrics {
    registry: Registry,
    calls: Counts<3>,
    call_times: Times<2>,
    guest_times: Seconds<2>,
    vendor_requests: Counts<2>,
    vendor_times: Times<1>,
    job_runs: Counts<2>,
    requests: Counts<3>,
    request_times: Times<2>,
    refused_connections: Counts<1>,
    connections: Gauge,
    max_connections: Gauge,
    body_bytes: Gauge,
    jobs: Family<Labels<1>, Gauge>,
    instances: Gauge,
    database: Gauge,
}

/// Values that are read at the time of a scrape.
pub(super) struct Readings {
    /// Number of jobs in each unfinished state, or `None` if the database does not respond.
    pub(super) jobs: Option<Vec<(JobStateKind, u32)>>,
    /// Number of open connections.
    pub(super) connections: usize,
    /// Maximum number of open connections.
    pub(super) max_connections: usize,
    /// Memory of the bodies of requests in progress, in bytes.
    pub(super) body_bytes: usize,
    /// Number of guest instances.
    pub(super) instances: u64,
}

impl PrometheusMetrics {
    pub(super) fn new() -> Self {
        let mut all = Self {
            registry: Registry::with_prefix("cartwright"),
            calls: Family::default(),
            call_times: histogram(),
            guest_times: Family::default(),
            vendor_requests: Family::default(),
            vendor_times: histogram(),
            job_runs: Family::default(),
            requests: Family::default(),
            request_times: histogram(),
            refused_connections: Family::default(),
            connections: Gauge::default(),
            max_connections: Gauge::default(),
            body_bytes: Gauge::default(),
            jobs: Family::default(),
            instances: Gauge::default(),
            database: Gauge::default(),
        };
        let to = &mut all.registry;
        to.register("guest_calls", "Finished guest calls, by outcome", all.calls.clone());
        let help = "Duration of guest calls, including the host's work for the guest";
        to.register_with_unit("guest_call_duration", help, Unit::Seconds, all.call_times.clone());
        to.register_with_unit("guest_cpu", "CPU time of guests", Unit::Seconds, all.guest_times.clone());
        to.register("vendor_requests", "Requests of guests to vendors, by outcome", all.vendor_requests.clone());
        to.register_with_unit(
            "vendor_request_duration",
            "Response time of vendors",
            Unit::Seconds,
            all.vendor_times.clone(),
        );
        to.register("job_runs", "Finished job runs, by end", all.job_runs.clone());
        to.register("http_requests", "Answered HTTP requests", all.requests.clone());
        let help = "Time from a request to the first byte of its response";
        to.register_with_unit("http_request_duration", help, Unit::Seconds, all.request_times.clone());
        to.register("http_connections", "Open connections", all.connections.clone());
        to.register("http_connections_limit", "Maximum number of open connections", all.max_connections.clone());
        let help = "Refused connections, by exceeded limit";
        to.register("http_rejected_connections", help, all.refused_connections.clone());
        let help = "Memory of the bodies of requests in progress";
        to.register_with_unit("http_request_bodies", help, Unit::Bytes, all.body_bytes.clone());
        let help = format!("Unfinished jobs of the installation, by state, at most {MAX_COUNTED_JOBS} of each");
        to.register("jobs", help, all.jobs.clone());
        to.register("guest_instances", "Current guest instances", all.instances.clone());
        let max_instances = Gauge::<i64, AtomicI64>::default();
        max_instances.set(MAX_CONCURRENT_CALLS.into());
        to.register("guest_instances_max", "Maximum number of guest instances", max_instances);
        to.register("database_up", "Whether the database responds (1 or 0)", all.database.clone());
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        to.register("build", "Running release", Info::new(build));
        all
    }

    pub(super) fn call_ended(&self, GuestCall { call, outcome, guest, total }: &GuestCall<'_>) {
        let plugin = || ("plugin", Cow::Owned(call.plugin.to_string()));
        let hook = || ("hook", Cow::Borrowed(call.hook.name()));
        self.calls.get_or_create(&[plugin(), hook(), ("outcome", outcome.name().into())]).inc();
        self.call_times.get_or_create(&[plugin(), hook()]).observe(total.as_secs_f64());
        self.guest_times.get_or_create(&[plugin(), hook()]).inc_by(guest.as_secs_f64());
    }

    pub(super) fn vendor_request_ended(&self, request: &VendorRequest<'_>) {
        let plugin = || ("plugin", Cow::Owned(request.plugin.to_string()));
        self.vendor_requests.get_or_create(&[plugin(), ("outcome", request.outcome.name().into())]).inc();
        self.vendor_times.get_or_create(&[plugin()]).observe(request.total.as_secs_f64());
    }

    pub(super) fn job_run_ended(&self, run: &JobRun<'_>) {
        let plugin = run.plugin.map_or(Cow::Borrowed("none"), |plugin| Cow::Owned(plugin.to_string()));
        self.job_runs.get_or_create(&[("plugin", plugin), ("end", run.end.into())]).inc();
    }

    pub(super) fn connection_refused(&self, limit: &'static str) {
        self.refused_connections.get_or_create(&[("limit", limit.into())]).inc();
    }

    pub(super) fn responded(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let (method, route) = (("method", method.into()), ("route", Cow::Owned(route.to_owned())));
        self.request_times.get_or_create(&[method.clone(), route.clone()]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[method, route, ("status", status.to_string().into())]).inc();
    }

    /// Returns all metrics as text, including those that are read at the time of the scrape.
    pub(super) fn render(&self, readings: Readings) -> String {
        let Readings { jobs, connections, max_connections, body_bytes, instances } = readings;
        self.database.set(jobs.is_some().into());
        // An unknown value is omitted rather than reported as it was before.
        self.jobs.clear();
        for (state, jobs) in jobs.into_iter().flatten() {
            self.jobs.get_or_create(&[("state", state.name().into())]).set(jobs.into());
        }
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.connections.set(gauge(connections));
        self.max_connections.set(gauge(max_connections));
        self.body_bytes.set(gauge(body_bytes));
        self.instances.set(i64::try_from(instances).unwrap_or(i64::MAX));
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics cannot be encoded as text");
        }
        text
    }
}
