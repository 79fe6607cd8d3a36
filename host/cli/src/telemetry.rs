//! Logs on standard error, and traces to a collector.
//!
//! A trace contains spans only: route templates, names of plugins, shops, accounts and hooks, fixed words and numbers.
//! Log messages stay in the log, because an error's text may quote what a platform or a vendor sent.

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

/// The log filter, in the syntax of `tracing-subscriber`: "cartwright=info". Default: errors.
const LOG_VARIABLE: &str = "CARTWRIGHT_LOG";
/// Maximum time for the collector to accept the last spans when the process ends, or any batch before.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, with the spans around the event.
    Json,
}

/// What must be flushed before the process ends.
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts logging to standard error, for commands that end on their own.
pub(crate) fn log() {
    start_with(LogFormat::Text, None);
}

impl Telemetry {
    /// Starts logging to standard error, and sends traces of this node to an OpenTelemetry collector, if one is
    /// configured.
    ///
    /// # Errors
    /// If the exporter cannot be created. An unreachable collector is not an error here; it shows later.
    pub(crate) fn start(format: LogFormat, collector: Option<&Url>, node: &str) -> anyhow::Result<Self> {
        let traces = collector.map(|collector| traces(collector, node)).transpose()?;
        start_with(format, traces.as_ref());
        Ok(Self { traces })
    }

    /// Sends the spans that are still buffered.
    pub(crate) async fn flush(self) {
        let Some(traces) = self.traces else { return };
        // The shutdown blocks its thread.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "could not send the last spans");
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
            // A span starts with its first child, so that a caller's trace context can still be attached until then.
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
    // Fails if the process has a provider already, which is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // This client does not use the host's egress (`capability/egress.rs` of the runtime): only the operator names this
    // server, and it may have a private address.
    let client = reqwest::Client::builder()
        .timeout(FLUSH_TIMEOUT)
        .build()
        .context("cannot create the HTTP client for the collector")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(RuntimeHttpClient { client: Arc::new(client), runtime: Handle::current() })
        .with_endpoint(format!("{}/v1/traces", collector.as_str().trim_end_matches('/')))
        .build()
        .with_context(|| format!("cannot send traces to {collector}"))?;
    let resource = Resource::builder()
        .with_service_name("cartwright")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", node.to_owned()),
        ])
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// An HTTP client that sends on the runtime. The exporter's thread has no runtime.
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
