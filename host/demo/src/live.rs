//! The demo to browse: vendors, host and shops, each on its own port.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use cartwright::SystemClock;
use cartwright::health::Rules;
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, FakeTwikit, TwikitConfig};
use cartwright_http::limits::LimitSettings;
use cartwright_http::{Observability, ServeOptions, serve};
use cartwright_service::output::try_line;
use cartwright_service::{installation, source};
use cartwright_store::{NewAccessKey, Role};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::setup::StoredDemo;
use super::{production, shop};

/// Drain timeout after a stop signal: short, because a person is waiting for the prompt.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Stands in for the five minutes after which Twikit repeats a webhook without a successful response.
const WEBHOOK_REPEAT_DELAY: Duration = Duration::from_secs(5);

/// Starts everything, prints the addresses, and serves until it is interrupted.
pub(crate) async fn run(
    stored: &StoredDemo,
    listen: SocketAddr,
    shops: SocketAddr,
    interrupted: impl Future<Output = ExitCode>,
) -> anyhow::Result<ExitCode> {
    let listener = bind(listen, "the host", "--listen").await?;
    let shops = bind(shops, "the shops", "--shops").await?;
    let host_url = format!("http://{}", listener.local_addr()?);
    // The print file is ready at the first poll, which the plugin makes after five seconds.
    let expivi = FakeExpivi::start(ExpiviConfig { polls: 0, ..ExpiviConfig::default() }).await?;
    let twikit =
        FakeTwikit::start(TwikitConfig { repeat_after: WEBHOOK_REPEAT_DELAY, ..TwikitConfig::default() }).await?;
    try_line(format_args!("starting; the first start compiles the plugins, which takes some seconds"))?;

    let observability = Arc::new(Observability::new(Arc::new(SystemClock)));
    let installation = installation::start(
        "demo".to_owned(),
        source::cache(),
        stored.store.clone(),
        observability.clone(),
        Rules::default(),
    )
    .await?;
    let key = NewAccessKey { role: Role::Admin, label: "demo".to_owned(), networks: Vec::new(), expires: None };
    let (_, key) = stored.store.access().create_access_key(&key, "demo", SystemTime::now()).await?;
    let key = String::from_utf8(key.expose().to_vec()).context("a key is text")?;

    let serving = ServeOptions {
        listener,
        admin: None,
        metrics_listener: None,
        observability,
        public_url: host_url.parse()?,
        proxies: Vec::new(),
        limits: LimitSettings::default(),
        worker: "demo".to_owned(),
        drain_delay: Duration::ZERO,
        drain_timeout: SHUTDOWN_TIMEOUT,
        pages: cartwright_admin::routes,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let node = tokio::spawn(serve(installation, serving, async move { drop(stopped.await) }));
    let opened = async {
        let (platform, urls) = shop::open(&host_url, &key, &expivi, &twikit, shops.local_addr()?).await?;
        for (what, url) in urls {
            try_line(format_args!("{what:<34}{url}"))?;
        }
        try_line(format_args!("{:<34}{host_url}/admin", "admin pages"))?;
        try_line(format_args!("{:<34}{key}", "  sign in there with this key"))?;
        try_line(format_args!("{:<34}{host_url}/openapi.json", "HTTP API"))?;
        try_line(format_args!("\nAll data is sample data on this machine; Ctrl-C stops the demo and removes it."))?;
        axum::serve(shops, shop::router(platform)).await?;
        anyhow::Ok(ExitCode::SUCCESS)
    };
    let code = tokio::select! {
        opened = opened => opened,
        never = production::work(&twikit) => match never {},
        code = interrupted => Ok(code),
    };
    drop(stop);
    node.await??;
    expivi.stop().await;
    twikit.stop().await;
    code
}

async fn bind(address: SocketAddr, server: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{server} cannot listen at {address}; name another address with {flag}, such as {flag} 127.0.0.1:0")
    })
}
