//! The metrics listener. It requires no key: the network decides who can reach it.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::metrics::Readings;
use crate::node::Node;

/// Maximum time that the database may take during a scrape.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the routes of the metrics listener.
pub(crate) fn routes(node: Node) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(node)
}

async fn scrape(State(node): State<Node>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let readings = readings(&node).await;
    ([(CONTENT_TYPE, kind)], node.observability().metrics.render(readings))
}

async fn readings(node: &Node) -> Readings {
    let jobs = tokio::time::timeout(DATABASE_TIMEOUT, node.store().jobs().count_by_state()).await;
    Readings {
        jobs: jobs.ok().and_then(Result::ok),
        connections: node.connections().open(),
        max_connections: node.connections().max(),
        body_bytes: node.bodies().used(),
        instances: node.host().instances().unwrap_or_default(),
    }
}
