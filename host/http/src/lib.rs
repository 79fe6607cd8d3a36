//! Cartwright's HTTP server, for platforms that do not embed the host: the API under `/v1` with its OpenAPI
//! description, webhooks, documents and thumbnails, health and metrics.
//!
//! [`serve`] serves an installation according to its [`ServeOptions`]. A [`Node`] is the state that every request
//! shares, and a [`Problem`] is the response to a request that failed. The admin pages, in a crate above this one, are
//! routes of the same node, with its [extractors](extract) and [roles](access). The use cases of both stand in
//! `cartwright_service`.

pub mod access;
mod api;
pub mod base_url;
pub mod body;
mod caller;
mod client_address;
mod compute;
mod cors;
pub mod extract;
mod idempotency;
pub mod limits;
mod listen;
mod node;
pub mod observability;
mod problem;
pub mod public;
mod readiness;
mod ready;
mod request_time;
mod request_time;
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
use limits::LimitSettings;
pub use node::Node;
pub use observability::Observability;
pub use problem::Problem;
pub use ready::Starting;
use static_file::StaticFile;

/// Maximum time for which a body may stall.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum duration of a request. Guests and vendors have deadlines of their own, which are shorter.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How to serve a node.
pub struct ServeOptions {
    /// Listener for requests.
    pub listener: TcpListener,
    /// Listener and public URL of the admin pages, if they are served separately. By default they are served with the
    /// API.
    pub admin: Option<(TcpListener, BaseUrl)>,
    /// Listener for scrapes of the metrics.
    pub metrics_listener: Option<TcpListener>,
    /// Statistics and logs that the installation's host reports to.
    pub observability: Arc<Observability>,
    /// Public URL of the installation.
    pub public_url: BaseUrl,
    /// Networks of trusted proxies, whose forwarding headers name the client.
    pub proxies: Vec<IpNet>,
    /// Rate limits and size limits.
    pub limits: LimitSettings,
    /// Name of the node's worker.
    pub worker: String,
    /// Time for which a stopping node reports that it is not ready but still accepts requests.
    pub drain_delay: Duration,
    /// Time that work in progress has to end after that.
    pub drain_timeout: Duration,
    /// Routes of the admin pages.
    pub pages: fn(&Node) -> Router<Node>,
}

/// Serves an installation and runs its jobs until it gets a stop signal, and then closes its store.
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
        // Metrics are served to the end, because the drain itself is worth observing.
        tokio::spawn(axum::serve(listener, observability::routes(node.clone())).into_future());
    }
    let (stop_sender, stop_receiver) = watch::channel(());
    // The channel changes or closes when the node must stop.
    let stop_receiver = async || while stop_receiver.clone().changed().await.is_ok() {};
    let leaving = async {
        stop.await;
        tracing::info!("draining");
        node.start_draining();
        drop(stop_sender);
    };
    // A load balancer polls the readiness from time to time, and continues to send requests until it notices.
    let drain_delayed = async || {
        stop_receiver().await;
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
    let connections = node.connections().clone();
    let on_refused = |limit: listen::ConnectionLimit| observability.connection_refused(limit.name());
    let serving =
        listen::serve(listener, finish(public, &node, public_url), connections.clone(), &on_refused, drain_delayed());
    let serving_admin = async {
        if let Some((listener, router)) = admin_pages {
            listen::serve(listener, router, connections, &on_refused, drain_delayed()).await;
        }
    };
    let serving = async {
        tokio::select! {
            ((), ()) = async { tokio::join!(serving, serving_admin) } => {}
            // An unfinished request does not delay the shutdown.
            () = async { drain_delayed().await; tokio::time::sleep(drain_timeout).await } => {}
        }
    };
    let draining = async {
        stop_receiver().await;
        worker.drain(drain_delay + drain_timeout).await
    };
    let ((), (), drained) = tokio::join!(leaving, serving, draining);
    following.abort();
    for job in drained.given_back.iter().chain(&drained.left) {
        tracing::info!(job, "another node continues the job");
    }
    node.store().close().await;
    Ok(())
}

/// Policy of content that others supplied, which a browser could show as a page of this host: it allows nothing. The
/// admin pages, which have their own policy, share the origin unless they are served at a separate URL.
pub const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Returns everything that a node serves except the admin pages.
fn public_routes(node: &Node, public_url: &BaseUrl) -> Router<Node> {
    let (api, mut document) = api::routes(node);
    // Relative to the host: a client that read the document knows its origin.
    document.servers = Some(vec![Server::new(format!("{}/", public_url.prefix()))]);
    let document = document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be serialized");
        String::new()
    });
    // The digest is its ETag: a client that has the document only revalidates it.
    let document = StaticFile::new("application/json", "public, no-cache", document);
    let described = get(async move |headers: HeaderMap| document.response(&headers));
    api.layer(middleware::from_fn_with_state(node.clone(), access::identify))
        .merge(public::routes())
        .route("/openapi.json", described)
        .route("/health/live", get(ready::live))
        .route("/health/ready", get(ready::ready))
        .layer(middleware::from_fn(with_timeout))
}

/// Wraps routes in the layers that every request and response passes through.
fn finish(routes: Router<Node>, node: &Node, base: BaseUrl) -> Router {
    let id = HeaderName::from_static("x-request-id");
    let missing = format!("no such route; see {}/openapi.json", base.prefix());
    let router = routes
        .fallback(move || async move { Problem::not_found(missing) })
        .method_not_allowed_fallback(wrong_method)
        // `body::meter` limits every body instead.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(node.clone(), body::meter))
        // Outside the layer that refuses methods, because a preflight uses a method that no operation accepts.
        .layer(cors::layer(node.clone()))
        .layer(RequestBodyTimeoutLayer::new(BODY_IDLE_TIMEOUT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, SANDBOX))
        .layer(middleware::from_fn_with_state(node.clone(), observability::measure))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(id, RandomRequestId))
        .with_state(node.clone());
    if base.prefix().is_empty() {
        return router;
    }
    // Around the whole router, because inside it the route is already matched.
    let strip = middleware::map_request(move |mut request: axum::extract::Request| {
        *request.uri_mut() = base.strip_prefix(std::mem::take(request.uri_mut()));
        std::future::ready(request)
    });
    Router::new().fallback_service(strip.layer(router))
}

/// Responds to a request with a method that its route does not accept.
pub async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this route does not accept this method")
}

/// Problem code of a request that took too long. Whether it had an effect is unknown.
pub const LATE_PROBLEM: &str = "late";
/// Problem code of a request that panicked. Whether it had an effect is unknown.
pub const PANIC_PROBLEM: &str = "panic";

/// Middleware that ends a request that takes too long.
pub async fn with_timeout(request: axum::extract::Request, next: middleware::Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, LATE_PROBLEM, "the request took too long; try again")
            .into_response(),
    }
}

/// Responds to a request whose handler panicked.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, PANIC_PROBLEM, "the host failed; see its log for the place")
        .into_response()
}

/// Generates random request ids.
#[derive(Clone)]
struct RandomRequestId;

impl MakeRequestId for RandomRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).ok()?;
        Some(RequestId::new(HeaderValue::try_from(hex::encode(random)).ok()?))
    }
}

/// Creates the span of a request. It names the route and not the URL, which may contain a document's signature, a
/// webhook's secret or a customer's name. Its level is error, so that each line that is logged has the request's id.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, route) = (observability::method(request.method()), observability::route(request.extensions()));
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
