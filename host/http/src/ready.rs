//! Health checks of a node: it is starting, it is draining, its database is unavailable, or it is ready.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::limits::LimitSettings;
use super::listen::{self, Connections};
use super::node::Node;
use super::problem::Problem;

/// Time after which to ask again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;
/// Maximum time that [`Starting::end`] waits for responses in progress.
const FINAL_RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Reports that the process responds.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// Reports whether this node can serve. It cannot while the database is unavailable or read-only, or once the node
/// drains.
pub(super) async fn ready(State(node): State<Node>) -> Response {
    if node.is_draining() {
        let detail = "this node is draining and will stop accepting requests soon";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", detail).into_response();
    }
    let probe = async || {
        let caught_up = async {
            node.store().check().await?;
            node.installation().catch_up().await.map(drop)
        };
        caught_up.await.map_err(|error| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", error.to_string())
                .with_retry_after(RETRY_AFTER_SECONDS)
        })
    };
    match node.readiness().check(probe).await {
        Ok(()) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// A node that is starting: it responds so on the listener that it will serve on.
pub struct Starting {
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Starting {
    /// Begins to respond, and returns the listener.
    ///
    /// # Errors
    /// If the system cannot duplicate the listener.
    pub fn begin(listener: TcpListener) -> io::Result<(Self, TcpListener)> {
        let listener = listener.into_std()?;
        let duplicate = TcpListener::from_std(listener.try_clone()?)?;
        let listener = TcpListener::from_std(listener)?;
        let router = Router::new().route("/health/live", get(live)).fallback(starting);
        let (stop, mut stopped) = watch::channel(());
        let serving = tokio::spawn(async move {
            let connections = Arc::new(Connections::from_settings(&LimitSettings::default(), Vec::new()));
            listen::serve(listener, router, connections, &|_| (), async move { drop(stopped.changed().await) }).await;
        });
        Ok((Self { stop, serving }, duplicate))
    }

    /// Stops accepting connections. Requests in progress have 200 ms to end.
    pub async fn end(self) {
        let Self { stop, mut serving } = self;
        drop(stop);
        if tokio::time::timeout(FINAL_RESPONSE_TIMEOUT, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

async fn starting() -> Problem {
    let detail = "this node is starting: it opens its database and prepares its plugins";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail).with_retry_after(RETRY_AFTER_SECONDS)
}
