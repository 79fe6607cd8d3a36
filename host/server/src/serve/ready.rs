//! Whether a node can serve. Anybody may ask, as often as he likes: the database is asked once for all who ask within a second.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Mutex;

use super::node::Node;
use super::problem::Problem;

/// For how long an answer holds.
const HOLDS: Duration = Duration::from_secs(1);

/// What was answered last.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), Problem>)>>);

impl Readiness {
    /// The last answer while it holds, else a new one. Who asks meanwhile waits for that one.
    async fn answer(&self, ask: impl AsyncFnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((asked, answer)) if asked.elapsed() < HOLDS => answer.clone(),
            _ => {
                let answer = ask().await;
                *last = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}

/// Can this node serve? While the database is away it cannot, and soon it cannot when it was told to stop.
pub(super) async fn ready(State(node): State<Node>) -> Response {
    if node.is_leaving() {
        let detail = "this node was told to stop, and will take no requests soon";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", detail).into_response();
    }
    let asked = async || Ok(node.installation().catch_up().await.map(drop)?);
    match node.readiness().answer(asked).await {
        Ok(()) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_database_is_asked_once_for_all_who_ask_within_a_second() {
        let (readiness, asked) = (Readiness::default(), AtomicU32::new(0));
        let ask = async || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if number == 0 { Ok(()) } else { Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", "away")) }
        };
        let (first, second, third) = tokio::join!(readiness.answer(ask), readiness.answer(ask), readiness.answer(ask));
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // An old answer is none.
        tokio::time::sleep(HOLDS).await;
        assert!(readiness.answer(ask).await.is_err() && readiness.answer(ask).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
