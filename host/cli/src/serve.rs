//! `cartwright serve`: serves the host over HTTP, for platforms that do not embed it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cartwright::SystemClock;
use cartwright::health::{RateLimitRules, Rules};
use cartwright_http::base_url::BaseUrl;
use cartwright_http::{Observability, ServeOptions, Starting, serve};
use cartwright_service::output::print_error;
use cartwright_service::{database, installation};
use clap::Args as _;
use tokio::net::TcpListener;

use crate::config::{self, Options};
use crate::telemetry::{LogFormat, Telemetry};

/// Serve the host over HTTP: carts, orders, webhooks and set-up, described at /openapi.json.
///
/// All state is in the database; several nodes of one database share the work and pick up each other's changes.
/// `cartwright keys make` creates the first access key. The bundled plugins, Expivi and Twikit, are installed.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  (umask 077; openssl rand -hex 32 > cartwright.key)\n  \
    cartwright keys make --role admin --label me --database sqlite:cartwright.db --key-file cartwright.key\n  \
    cartwright serve --database sqlite:cartwright.db --key-file cartwright.key\n\n\
    A file (--config) holds the same under the same names: database = \"sqlite:cartwright.db\"")]
pub(crate) struct Arguments {
    /// A TOML file with the same settings. Flags and variables take precedence.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    config::check_environment(&Arguments::augment_args(clap::Command::new("serve")))?;
    let config = arguments.options.with_file(arguments.config.as_deref())?;
    let telemetry = Telemetry::start(config.log_format, config.otlp_endpoint.as_ref(), &config.node)?;
    let (starting, listener) = Starting::begin(listen(config.listen).await?)?;
    if config.log_format == LogFormat::Text {
        print_error("starting; the first start compiles the plugins, which takes some seconds");
    }
    let store = database::open_or_create(&config.database, config.key_file.as_deref()).await?;
    let clock = Arc::new(SystemClock);
    let observability = Arc::new(Observability::new(clock));
    store.blobs().set_cart_quota(config.cart_quota_bytes);
    store.webhooks().set_webhook_quota(config.webhook_quota_bytes);
    let rate_limit = RateLimitRules::per_second(config.vendor_requests_per_second);
    let health = Rules { rate_limit, ..Rules::default() };
    let installation =
        installation::start(config.installation, config.cache, store, observability.clone(), health).await?;
    let scraped = match config.metrics_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let admin = match config.admin_listen {
        Some(address) => {
            let listener = listen(address).await?;
            let url = config.admin_url.map_or_else(|| url_of(&listener), Ok)?;
            Some((listener, url))
        }
        None => None,
    };
    starting.end().await;
    let public_url = config.public_url.map_or_else(|| url_of(&listener), Ok)?;
    print_line!("listening at http://{}/", listener.local_addr()?);
    if let Some((listener, _)) = &admin {
        print_line!("admin pages at http://{}/admin", listener.local_addr()?);
    }
    if let Some(scraped) = &scraped {
        print_line!("metrics at http://{}/metrics", scraped.local_addr()?);
    }
    let serving = ServeOptions {
        listener,
        admin,
        metrics_listener: scraped,
        observability,
        public_url,
        limits: config.limits,
        proxies: config.proxies,
        worker: config.node,
        drain_delay: Duration::from_secs(config.drain_delay_seconds),
        drain_timeout: Duration::from_secs(config.drain_timeout_seconds),
        pages: cartwright_admin::routes,
    };
    serve(installation, serving, shutdown_signal()).await?;
    telemetry.flush().await;
    Ok(ExitCode::SUCCESS)
}

/// Returns the URL of a listener without a configured URL.
fn url_of(listener: &TcpListener) -> anyhow::Result<BaseUrl> {
    Ok(format!("http://{}/", listener.local_addr()?).parse()?)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; does another process use it?"))
}

async fn shutdown_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
