//! The host over HTTP, beside a platform that does not embed it: the API under `/v1` and its description, webhooks, documents and
//! pictures, health and metrics.
//!
//! [`serve`] serves an installation as [`ServeOptions`] says. A [`Node`] is what every request has at hand, and a [`Problem`] what a request
//! that was not fulfilled is told. The admin pages, a crate above this one, are routes of the same node: they use its
//! [extractors](extract), its [roles](access) and the use cases of its [API](api).

pub mod access;
pub mod api;
pub mod base_url;
pub mod body;
mod cors;
pub mod extract;
mod idempotency;
pub mod limits;
mod listen;
mod moment;
mod node;
pub mod observed;
mod problem;
pub mod public;
mod ready;
mod static_file;
mod trace_context;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use cartwright::SystemClock;
use cartwright_store::{Installation, Worker, WorkerSettings};
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

use base_url::BaseUrl;
use limits::Limits;
pub use node::Node;
pub use observed::Observability;
pub use problem::Problem;
pub use ready::Starting;
use static_file::StaticFile;

/// How long a body may stay silent.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take. Guests and vendors have deadlines of their own, which are shorter.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How a node is served.
pub struct ServeOptions {
    /// Where requests come in.
    pub listener: TcpListener,
    /// Where the admin pages are served alone, and what browsers call that address. With the rest unless given.
    pub admin: Option<(TcpListener, BaseUrl)>,
    /// Where metrics are scraped.
    pub metrics_listener: Option<TcpListener>,
    /// What the installation's host tells.
    pub observability: Arc<Observability>,
    /// What the outside calls the installation.
    pub public_url: BaseUrl,
    /// The networks of proxies that are believed when they say who asks.
    pub proxies: Vec<IpNet>,
    /// How often it may be asked.
    pub limits: Limits,
    /// The name of the node's worker.
    pub worker: String,
    /// For how long it says that it is not ready, and takes requests all the same, before it takes none.
    pub drain_delay: Duration,
    /// For how long work in progress may end after that.
    pub drain_timeout: Duration,
    /// The admin pages.
    pub pages: fn(&Node) -> Router<Node>,
}

/// Serves an installation and does its jobs until it is time to stop; then closes its store.
pub async fn serve(
    installation: Installation,
    ServeOptions {
        listener,
        admin,
        metrics_listener,
        observability,
        public_url,
        proxies,
        limits,
        worker,
        drain_delay,
        drain_timeout,
        pages,
    }: ServeOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock);
    let host = installation.host().clone();
    let worker = Worker::start(host, installation.store().clone(), clock.clone(), WorkerSettings::new(worker));
    let following = installation.follow();
    let admin_url = admin.as_ref().map_or(&public_url, |(_, url)| url).clone();
    let node =
        Node::new(installation, clock, public_url.clone(), admin_url.clone(), proxies, observability.clone(), limits);
    if let Some(listener) = metrics_listener {
        // To the end: what happens while the node drains is worth seeing.
        tokio::spawn(axum::serve(listener, observed::routes(node.clone())).into_future());
    }
    let (tell, told) = watch::channel(());
    // Closed when it is time to stop.
    let told = async || while told.clone().changed().await.is_ok() {};
    let leaving = async {
        stop.await;
        tracing::info!("draining");
        node.start_draining();
        drop(tell);
    };
    // Who shares requests out among nodes asks now and then whether one is ready, and until then goes on sending.
    let noticed = async || {
        told().await;
        tokio::time::sleep(drain_delay).await;
    };
    let mut public = public_routes(&node, &public_url);
    let mut admin_pages = None;
    match admin {
        Some((listener, _)) => {
            let routes = Router::new().merge(pages(&node));
            admin_pages = Some((listener, finish(routes, &node, admin_url)));
        }
        None => public = public.merge(pages(&node)),
    }
    let connections = node.limits().connections.clone();
    let on_refused = |limit: listen::ConnectionLimit| observability.connection_refused(limit.name());
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
            // An unfinished request does not delay the shutdown.
            () = async { noticed().await; tokio::time::sleep(drain_timeout).await } => {}
        }
    };
    let draining = async {
        told().await;
        worker.drain(drain_delay + drain_timeout).await
    };
    let ((), (), drained) = tokio::join!(leaving, serving, draining);
    following.abort();
    for job in drained.given_back.iter().chain(&drained.left) {
        tracing::info!(job, "another node goes on with it");
    }
    node.store().close().await;
    Ok(())
}

async fn live() -> &'static str {
    "alive\n"
}

/// What a document of somebody else may do in a browser that shows it as a page of this host: nothing. The admin pages, which have a
/// policy of their own, share the origin unless they have an address of their own.
pub const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

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
        .layer(middleware::from_fn(with_timeout))
}

/// Puts around routes what every request and every response goes through.
fn finish(routes: Router<Node>, node: &Node, base: BaseUrl) -> Router {
    let id = HeaderName::from_static("x-request-id");
    let missing = format!("there is nothing at this address; see {}/openapi.json", base.prefix());
    let router = routes
        .fallback(move || async move { Problem::not_found(missing) })
        .method_not_allowed_fallback(wrong_method)
        // `body::meter` limits every body instead.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(node.clone(), body::meter))
        // Outside of what refuses methods: a browser asks with one that no operation takes.
        .layer(cors::layer(node.clone()))
        .layer(RequestBodyTimeoutLayer::new(BODY_IDLE_TIMEOUT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, SANDBOX))
        .layer(middleware::from_fn_with_state(node.clone(), observed::measure))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(id, RandomRequestId))
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

/// Answers a request whose address takes other methods.
pub async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this address does not take this method")
}

/// The kind of the problem of a request that took too long: how far it got is open.
pub const LATE_PROBLEM: &str = "late";
/// The kind of the problem of a request that panicked: how far it got is open.
pub const PANIC_PROBLEM: &str = "panic";

/// Middleware: ends a request that takes too long.
pub async fn with_timeout(request: axum::extract::Request, next: middleware::Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, LATE_PROBLEM, "this takes too long now; try again")
            .into_response(),
    }
}

/// Answers a request that panicked.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, PANIC_PROBLEM, "the host failed; its log says where")
        .into_response()
}

/// A request's id, drawn at random.
#[derive(Clone)]
struct RandomRequestId;

impl MakeRequestId for RandomRequestId {
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
