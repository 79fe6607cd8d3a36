//! The cached readiness of a node. Any client may ask for it, at any rate: the database is queried once for all requests
//! within a second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::problem::Problem;

/// Time for which a result is cached.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// The last result.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), Problem>)>>);

impl Readiness {
    /// Returns the last result while it is fresh, or else a new one. Concurrent callers wait for the same result.
    pub(super) async fn check(&self, probe: impl AsyncFnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((probed_at, result)) if probed_at.elapsed() < CACHE_TTL => result.clone(),
            _ => {
                let result = probe().await;
                *last = Some((Instant::now(), result.clone()));
                result
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn the_database_is_asked_once_for_all_who_ask_within_a_second() {
        let (readiness, checks) = (Readiness::default(), AtomicU32::new(0));
        let probe = async || {
            let number = checks.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if number == 0 { Ok(()) } else { Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", "away")) }
        };
        let (first, second, third) =
            tokio::join!(readiness.check(probe), readiness.check(probe), readiness.check(probe));
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(checks.load(Ordering::Relaxed), 1);
        // An expired result is not used.
        tokio::time::sleep(CACHE_TTL).await;
        assert!(readiness.check(probe).await.is_err() && readiness.check(probe).await.is_err());
        assert_eq!(checks.load(Ordering::Relaxed), 2);
    }
}
