//! Readiness of a node: it is starting, it is draining, its database is unavailable, or it is ready. Any client may ask,
//! at any rate: the database is queried once for all requests within a second.

use std::io;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::limits::Limits;
use super::listen;
use super::node::Node;
use super::problem::Problem;

/// Time for which a result is cached.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// Time after which to ask again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;
/// Maximum time that [`Starting::end`] waits for responses in progress.
const FINAL_RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);

/// The last result.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), Problem>)>>);

impl Readiness {
    /// Returns the last result while it is fresh, or else a new one. Concurrent callers wait for the same result.
    async fn check(&self, ask: impl AsyncFnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((asked, check)) if asked.elapsed() < CACHE_TTL => check.clone(),
            _ => {
                let check = ask().await;
                *last = Some((Instant::now(), check.clone()));
                check
            }
        }
    }
}

/// Reports whether this node can serve. It cannot while the database is unavailable or read-only, or once the node
/// drains.
pub(super) async fn ready(State(node): State<Node>) -> Response {
    if node.is_draining() {
        let detail = "this node is draining and will stop accepting requests soon";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", detail).into_response();
    }
    let check = async || {
        let caught_up = async {
            node.store().check().await?;
            node.installation().catch_up().await.map(drop)
        };
        caught_up.await.map_err(|error| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", error.to_string())
                .with_retry_after(RETRY_AFTER_SECONDS)
        })
    };
    match node.readiness().check(check).await {
        Ok(()) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// A node that is starting: it responds so on the listener that it will serve on.
pub struct Starting {
    stop: watch::Sender<()>,
    answering: JoinHandle<()>,
}

impl Starting {
    /// Begins to respond, and returns the listener.
    ///
    /// # Errors
    /// If the system cannot duplicate the listener.
    pub fn begin(listener: TcpListener) -> io::Result<(Self, TcpListener)> {
        let listener = listener.into_std()?;
        let later = TcpListener::from_std(listener.try_clone()?)?;
        let listener = TcpListener::from_std(listener)?;
        let router = Router::new().route("/health/live", get(super::live)).fallback(starting);
        let (stop, mut stopped) = watch::channel(());
        let answering = tokio::spawn(async move {
            let connections = Limits::default().connections;
            listen::serve(listener, router, connections, &|_| (), async move { drop(stopped.changed().await) }).await;
        });
        Ok((Self { stop, answering }, later))
    }

    /// Stops accepting connections. Earlier requests are answered within a moment.
    pub async fn end(self) {
        let Self { stop, mut answering } = self;
        drop(stop);
        if tokio::time::timeout(FINAL_RESPONSE_TIMEOUT, &mut answering).await.is_err() {
            answering.abort();
        }
    }
}

async fn starting() -> Problem {
    let detail = "this node is starting: it opens its database and prepares its plugins";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail).with_retry_after(RETRY_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_database_is_asked_once_for_all_who_ask_within_a_second() {
        let (readiness, checks) = (Readiness::default(), AtomicU32::new(0));
        let ask = async || {
            let number = checks.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if number == 0 { Ok(()) } else { Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", "away")) }
        };
        let (first, second, third) = tokio::join!(readiness.check(ask), readiness.check(ask), readiness.check(ask));
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(checks.load(Ordering::Relaxed), 1);
        // An expired result is not used.
        tokio::time::sleep(CACHE_TTL).await;
        assert!(readiness.check(ask).await.is_err() && readiness.check(ask).await.is_err());
        assert_eq!(checks.load(Ordering::Relaxed), 2);
    }
}
