//! Work that grows with untrusted input.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

use super::limits::MAX_INLINE_BYTES;

/// Runs work that grows with untrusted input of `bytes` bytes. Large input is processed on a thread of its own, on as
/// many threads as there are processors, so that it does not block the async workers.
pub(crate) async fn compute<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    static PROCESSORS: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    if bytes <= MAX_INLINE_BYTES {
        return work();
    }
    // The semaphore is never closed; unlimited work would be better than none.
    let permit = PROCESSORS.acquire().await.ok();
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    match working.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a shutdown of the runtime cancels the task, and then no caller waits for the result.
            Err(_) => std::future::pending().await,
        },
    }
}
