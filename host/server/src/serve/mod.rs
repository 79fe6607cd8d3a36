//! `cartwright serve`: the host over HTTP, beside a platform that does not embed it.

mod access;
pub(crate) mod address;
mod api;
pub(crate) mod body;
mod config;
mod cors;
mod extract;
mod idempotency;
pub(crate) mod limits;
pub(crate) mod links_table;
mod listen;
mod moment;
mod node;
mod observed;
mod pages;
mod problem;
pub(crate) mod public;
mod ready;
mod static_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use cartwright::health::{RateLimitRules, Rules};
use cartwright::{Cartwright, SystemClock};
use cartwright_store::{Installation, Store, Worker, WorkerSettings};
use clap::Args as _;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_layer::Layer as _;
use utoipa::openapi::Server;

use crate::desk::Database;
use crate::telemetry::Telemetry;
use address::BaseUrl;
use config::Options;
use limits::Limits;
pub(crate) use node::Node;
pub(crate) use observed::Observed;
use problem::Problem;
use static_file::StaticFile;

/// How long a body may stay silent.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a request may take. Guests and vendors have deadlines of their own, which are shorter.
const LONGEST: Duration = Duration::from_secs(60);
/// Whom the event log names for what a node does when it starts.
const WHO: &str = "host";

/// Serve the host over HTTP: carts, orders, webhooks and set-up, described at /openapi.json.
///
/// Everything is kept in the database; several nodes of one database share the work and serve each other's changes. The first
/// access key is made with `cartwright keys make`. The bundled plugins, Expivi and Twikit, are installed.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  (umask 077; openssl rand -hex 32 > cartwright.key)\n  \
    cartwright keys make --role admin --label me --database sqlite:cartwright.db --key-file cartwright.key\n  \
    cartwright serve --database sqlite:cartwright.db --key-file cartwright.key\n\n\
    A file (--config) holds the same under the same names: database = \"sqlite:cartwright.db\"")]
pub(crate) struct Arguments {
    /// A TOML file with the same settings, for those that neither a flag nor a variable names.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    config::check_environment(&Arguments::augment_args(clap::Command::new("serve")))?;
    let config = arguments.options.with_file(arguments.config.as_deref())?;
    let telemetry = Telemetry::start(config.log_format, config.otlp_endpoint.as_ref(), &config.node)?;
    let (starting, listener) = ready::Starting::begin(listen(config.listen).await?)?;
    let store = Database::new(config.database.clone(), config.key_file.clone()).open_or_make().await?;
    let clock = Arc::new(SystemClock);
    let observed = Arc::new(Observed::new(clock));
    store.set_cart_quota(config.cart_quota_bytes);
    store.set_webhook_quota(config.webhook_quota_bytes);
    let rate_limit = RateLimitRules::per_second(config.vendor_requests_per_second);
    let health = Rules { rate_limit, ..Rules::default() };
    let installation = start(config.installation, config.cache, store, observed.clone(), health).await?;
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
    say!("listening at http://{}/", listener.local_addr()?);
    if let Some((listener, _)) = &admin {
        say!("admin pages at http://{}/admin", listener.local_addr()?);
    }
    if let Some(scraped) = &scraped {
        say!("metrics at http://{}/metrics", scraped.local_addr()?);
    }
    let serving = Serving {
        listener,
        admin,
        scraped,
        observed,
        public_url,
        limits: Limits::new(config.limits, &config.proxies),
        proxies: config.proxies,
        worker: config.node,
        notice: Duration::from_secs(config.notice_seconds),
        patience: Duration::from_secs(config.drain_seconds),
    };
    serve(installation, serving, told_to_stop()).await?;
    telemetry.flush().await;
    Ok(ExitCode::SUCCESS)
}

/// How a node is served.
pub(crate) struct Serving {
    /// Where requests come in.
    pub(crate) listener: TcpListener,
    /// Where the admin pages are served alone, and what browsers call that address. With the rest unless given.
    pub(crate) admin: Option<(TcpListener, BaseUrl)>,
    /// Where metrics are scraped.
    pub(crate) scraped: Option<TcpListener>,
    /// What the installation's host tells.
    pub(crate) observed: Arc<Observed>,
    /// What the outside calls the installation.
    pub(crate) public_url: BaseUrl,
    /// The networks of proxies that are believed when they say who asks.
    pub(crate) proxies: Vec<IpNet>,
    /// How often it may be asked.
    pub(crate) limits: Limits,
    /// The name of the node's worker.
    pub(crate) worker: String,
    /// For how long it says that it is not ready, and takes requests all the same, before it takes none.
    pub(crate) notice: Duration,
    /// For how long work in progress may end after that.
    pub(crate) patience: Duration,
}

/// Serves an installation and does its jobs until it is time to stop; then closes its store.
pub(crate) async fn serve(
    installation: Installation,
    Serving { listener, admin, scraped, observed, public_url, proxies, limits, worker, notice, patience }: Serving,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock);
    let host = installation.host().clone();
    let worker = Worker::start(host, installation.store().clone(), clock.clone(), WorkerSettings::new(worker));
    let following = installation.follow();
    let admin_url = admin.as_ref().map_or(&public_url, |(_, url)| url).clone();
    let node = Node::new(installation, clock, public_url.clone(), admin_url.clone(), proxies, observed.clone(), limits);
    if let Some(listener) = scraped {
        // To the end: what happens while the node drains is worth seeing.
        tokio::spawn(axum::serve(listener, observed::routes(node.clone())).into_future());
    }
    let (tell, told) = watch::channel(());
    // Closed when it is time to stop.
    let told = async || while told.clone().changed().await.is_ok() {};
    let leaving = async {
        stop.await;
        tracing::info!("draining");
        node.leave();
        drop(tell);
    };
    // Who shares requests out among nodes asks now and then whether one is ready, and until then goes on sending.
    let noticed = async || {
        told().await;
        tokio::time::sleep(notice).await;
    };
    let mut public = public_routes(&node, &public_url);
    let mut admin_pages = None;
    match admin {
        Some((listener, _)) => {
            let routes = Router::new().merge(pages::routes(&node));
            admin_pages = Some((listener, finish(routes, &node, admin_url)));
        }
        None => public = public.merge(pages::routes(&node)),
    }
    let connections = node.limits().connections.clone();
    let on_refused = |limit: listen::ConnectionLimit| observed.connection_refused(limit.name());
    let serving =
        listen::serve(listener, finish(public, &node, public_url), connections.clone(), &on_refused, noticed());
    let serving_admin = async {
        if let Some((listener, router)) = admin_pages {
            listen::serve(listener, router, connections, &on_refused, noticed()).await;
        }
    };
    let serving = async {
        tokio::select! {
            ((), ()) = async { tokio::join!(serving, serving_admin) } => {}
            // Whoever does not end a request holds nobody up.
            () = async { noticed().await; tokio::time::sleep(patience).await } => {}
        }
    };
    let draining = async {
        told().await;
        worker.drain(notice + patience).await
    };
    let ((), (), drained) = tokio::join!(leaving, serving, draining);
    following.abort();
    for job in drained.given_back.iter().chain(&drained.left) {
        tracing::info!(job, "another node goes on with it");
    }
    node.store().close().await;
    Ok(())
}

/// Returns the address of a listener that nobody said another name of.
fn url_of(listener: &TcpListener) -> anyhow::Result<BaseUrl> {
    Ok(format!("http://{}/", listener.local_addr()?).parse()?)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened at; is another process there?"))
}

async fn live() -> &'static str {
    "alive\n"
}

/// The host of an installation with everything that is kept, and the bundled plugins.
pub(crate) async fn start(
    installation: String,
    cache: Option<PathBuf>,
    store: Store,
    observed: Arc<Observed>,
    health: Rules,
) -> anyhow::Result<Installation> {
    let (orders, blobs, catalogue) = (Arc::new(store.clone()), Arc::new(store.clone()), Arc::new(store.clone()));
    let mut builder = Cartwright::builder()
        .order_book(orders)
        .blobs(blobs)
        .catalogue(catalogue)
        .installation(installation)
        .secret(store.host_secret().await?)
        .health(health)
        .observer(observed);
    if let Some(cache) = cache {
        builder = builder.cache(cache);
    }
    let (installation, faults) = Installation::open(Arc::new(builder.start()?), store).await?;
    for fault in faults {
        tracing::error!(%fault, "this node serves everything else");
    }
    for component in [cartwright_bundled::EXPIVI, cartwright_bundled::TWIKIT] {
        installation.install(component, None, WHO, std::time::SystemTime::now()).await?;
    }
    Ok(installation)
}

/// What a document of somebody else may do in a browser that shows it as a page of this host: nothing. The admin pages, which have a
/// policy of their own, share the origin unless they have an address of their own.
pub(crate) const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Everything that a node serves but the admin pages.
fn public_routes(node: &Node, public_url: &BaseUrl) -> Router<Node> {
    let (api, mut document) = api::routes(node);
    // Relative to the host's name: a client that read the document knows that.
    document.servers = Some(vec![Server::new(format!("{}/", public_url.prefix()))]);
    let document = document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the description of the API cannot be written");
        String::new()
    });
    // Its digest names it: who has it asks only whether it is still the same.
    let document = StaticFile::new("application/json", "public, no-cache", document);
    let described = get(async move |headers: HeaderMap| document.response(&headers));
    api.layer(middleware::from_fn_with_state(node.clone(), access::identify))
        .merge(public::routes())
        .route("/openapi.json", described)
        .route("/health/live", get(live))
        .route("/health/ready", get(ready::ready))
        .layer(middleware::from_fn(in_time))
}

/// Puts around routes what every request and every response goes through.
fn finish(routes: Router<Node>, node: &Node, base: BaseUrl) -> Router {
    let id = HeaderName::from_static("x-request-id");
    let missing = format!("there is nothing at this address; see {}/openapi.json", base.prefix());
    let router = routes
        .fallback(move || async move { Problem::not_found(missing) })
        .method_not_allowed_fallback(wrong_method)
        // `body::meter` limits every body instead, whoever reads it.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(node.clone(), body::meter))
        // Outside of what refuses methods: a browser asks with one that no operation takes.
        .layer(cors::layer(node.clone()))
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, SANDBOX))
        .layer(middleware::from_fn_with_state(node.clone(), observed::measure))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(id, Drawn))
        .with_state(node.clone());
    if base.prefix().is_empty() {
        return router;
    }
    // Around the whole router: inside it, the route is already found.
    let strip = middleware::map_request(move |mut request: axum::extract::Request| {
        *request.uri_mut() = base.strip_prefix(std::mem::take(request.uri_mut()));
        std::future::ready(request)
    });
    Router::new().fallback_service(strip.layer(router))
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this address does not take this method")
}

/// The kinds of the problems that leave it open how far a request got.
const LATE_PROBLEM: &str = "late";
const PANIC_PROBLEM: &str = "panic";

async fn in_time(request: axum::extract::Request, next: middleware::Next) -> Response {
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, LATE_PROBLEM, "this takes too long now; try again")
            .into_response(),
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, PANIC_PROBLEM, "the host failed; its log says where")
        .into_response()
}

/// A request's id, drawn at random.
#[derive(Clone)]
struct Drawn;

impl MakeRequestId for Drawn {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).ok()?;
        Some(RequestId::new(HeaderValue::try_from(hex::encode(random)).ok()?))
    }
}

/// By its route and not by its address, which may hold a document's signature, a webhook's secret or a customer's name. It is as
/// loud as an error, so that each line that is logged has the request's id.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, route) = (observed::method(request.method()), observed::route(request.extensions()));
    tracing::error_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    )
}

async fn told_to_stop() {
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
