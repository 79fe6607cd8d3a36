//! The thread that measures guest time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// One tick of guest time.
const TICK: Duration = Duration::from_millis(1);
/// Number of ticks without a call after which the ticker stops, so that an idle host does not wake the processor.
const MAX_IDLE_TICKS: u32 = 100;

/// Advances the engine's epoch each millisecond while calls are made. An OS thread, because a guest that never yields would
/// starve a task.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    calls: AtomicU64,
    is_parked: AtomicBool,
    should_stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = engine.weak();
        let seen = shared.clone();
        let handle = thread::Builder::new().name("cartwright-ticker".into()).spawn(move || {
            let (mut last, mut idle) = (0, 0);
            while !seen.should_stop.load(Ordering::Acquire) {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                let calls = seen.calls.load(Ordering::Acquire);
                idle = if calls == last && in_flight(calls) == 0 { idle + 1 } else { 0 };
                last = calls;
                if idle > MAX_IDLE_TICKS {
                    seen.is_parked.store(true, Ordering::SeqCst);
                    if in_flight(seen.calls.load(Ordering::SeqCst)) == 0 && !seen.should_stop.load(Ordering::Acquire) {
                        thread::park_timeout(Duration::from_secs(1));
                    }
                    seen.is_parked.store(false, Ordering::SeqCst);
                    idle = 0;
                }
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Registers a call. It ends when the guard is dropped.
    pub(crate) fn enter(&self) -> CallGuard {
        // The upper half counts started calls, the lower half calls in flight.
        self.shared.calls.fetch_add((1 << 32) | 1, Ordering::SeqCst);
        if self.shared.is_parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        CallGuard(self.shared.clone())
    }
}

fn in_flight(calls: u64) -> u64 {
    calls & u64::from(u32::MAX)
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.should_stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

pub(crate) struct CallGuard(Arc<Shared>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}
