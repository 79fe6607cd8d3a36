//! Clocks, and the text form of a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// Start of a simulated clock: 2026-01-01 12:00 UTC.
const SIMULATED_START: Duration = Duration::from_secs(1_767_268_800);

/// Formats a time as RFC 3339 in UTC, to the second, as the contract's `timestamp` is. The fraction is cut off. A time
/// before 1970 becomes its first second, and one beyond the calendar its last.
pub fn timestamp(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let last = jiff::Timestamp::MAX.as_second();
    let seconds = i64::try_from(seconds).map_or(last, |seconds| seconds.min(last));
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// A source of time for durable runs and for code that waits for them.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> SystemTime;

    /// Waits for a number of seconds.
    async fn sleep(&self, seconds: u32);

    /// Waits until a point in time. The default implementation rounds up to whole seconds.
    async fn sleep_until(&self, at: SystemTime) {
        let remaining = at.duration_since(self.now()).unwrap_or_default();
        self.sleep(u32::try_from(remaining.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)).await;
    }
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep(&self, seconds: u32) {
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    }

    async fn sleep_until(&self, at: SystemTime) {
        tokio::time::sleep(at.duration_since(self.now()).unwrap_or_default()).await;
    }
}

/// A clock for tests. It starts at 2026-01-01 12:00 UTC; a sleep returns at once, is recorded, and advances the time.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    slept: Mutex<Vec<u32>>,
}

impl SimulatedClock {
    /// Returns the recorded sleeps, in seconds.
    pub fn slept(&self) -> Vec<u32> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> SystemTime {
        let slept: u64 = self.slept().into_iter().map(u64::from).sum();
        UNIX_EPOCH + SIMULATED_START + Duration::from_secs(slept)
    }

    async fn sleep(&self, seconds: u32) {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    }
}
