//! What a process says of itself while it runs: lines on standard error, and traces to a collector.
//!
//! A trace holds spans alone: routes by their templates, names of plugins, shops, accounts and hooks, words and numbers. What is
//! logged stays in the log, as an error's text may quote what a platform or a vendor sent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tokio::runtime::Handle;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};
use url::Url;

/// Says what is logged, as `tracing-subscriber` reads it: "cartwright=info". Errors unless it is set.
const LOG_VARIABLE: &str = "CARTWRIGHT_LOG";
/// How long the collector may take for the last spans when the process ends, and for any others.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, with the spans that it was logged in.
    Json,
}

/// What is to be flushed when the process ends.
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Logs to standard error, as a command does that ends by itself.
pub(crate) fn log() {
    start_with(LogFormat::Text, None);
}

impl Telemetry {
    /// Logs to standard error, and sends traces to a collector of OpenTelemetry if there is one, as this node's.
    ///
    /// # Errors
    /// When the exporter cannot be made. Whether a collector listens shows later.
    pub(crate) fn start(format: LogFormat, collector: Option<&Url>, node: &str) -> anyhow::Result<Self> {
        let traces = collector.map(|collector| traces(collector, node)).transpose()?;
        start_with(format, traces.as_ref());
        Ok(Self { traces })
    }

    /// Sends what was not sent yet.
    pub(crate) async fn flush(self) {
        let Some(traces) = self.traces else { return };
        // It waits in its thread.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

fn start_with(format: LogFormat, traces: Option<&SdkTracerProvider>) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().with_current_span(false).boxed(),
    };
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("cartwright"))
            // A span begins when it has its first child: until then a caller's trace can be taken over.
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_filter(FilterFn::new(is_traced).with_max_level_hint(LevelFilter::INFO))
    });
    Registry::default().with(lines.with_filter(EnvFilter::from_env(LOG_VARIABLE))).with(spans).init();
}

fn is_traced(what: &Metadata<'_>) -> bool {
    what.is_span() && *what.level() <= LevelFilter::INFO && what.target().starts_with("cartwright")
}

fn traces(collector: &Url, node: &str) -> anyhow::Result<SdkTracerProvider> {
    // A second one in a process is refused, and does no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Not the host's way out (`capability/egress.rs` of the runtime): nobody but the operator names this server, and it may stand at
    // an address that is not public.
    let client =
        reqwest::Client::builder().timeout(FLUSH_TIMEOUT).build().context("no HTTP client for the collector")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(RuntimeHttpClient { client: Arc::new(client), runtime: Handle::current() })
        .with_endpoint(format!("{}/v1/traces", collector.as_str().trim_end_matches('/')))
        .build()
        .with_context(|| format!("traces cannot be sent to {collector}"))?;
    let resource = Resource::builder()
        .with_service_name("cartwright")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", node.to_owned()),
        ])
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Sends from the runtime what the exporter's thread, which has none, wants sent.
#[derive(Debug)]
struct RuntimeHttpClient {
    client: Arc<reqwest::Client>,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
