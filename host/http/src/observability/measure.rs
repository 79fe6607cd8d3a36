//! Middleware that measures requests, and the labels of a request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::node::Node;

/// Returns the route template of a request, which is the same for all requests of an operation.
pub(crate) fn route(extensions: &Extensions) -> &str {
    extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str)
}

/// Counts a request and its response, and records the status in the request's span.
pub(crate) async fn measure(State(node): State<Node>, request: Request, next: Next) -> Response {
    let route = route(request.extensions()).to_owned();
    let method = method(request.method());
    let started_at = Instant::now();
    let response = next.run(request).await;
    let status = response.status();
    let span = tracing::Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    node.observability().metrics.responded(method, &route, status.as_u16(), started_at.elapsed());
    response
}

/// Returns the method of a request as a label. Unknown methods share one label, because a client may send any word.
pub(crate) fn method(method: &Method) -> &'static str {
    const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN_METHODS.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}
