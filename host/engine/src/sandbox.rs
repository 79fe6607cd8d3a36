//! What a guest has in place of the machine: a clock of its own, random numbers from a seed, and no network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime_wasi::HostWallClock;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::durable::milliseconds;

/// `wasi:http` is linked but refuses every request: a guest reaches the network only through the contract's `http`.
pub(crate) struct RefuseHttp;

impl WasiHttpHooks for RefuseHttp {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// Returns a random number generator with this seed.
pub(crate) fn rng_from_seed(seed: &[u8; 32]) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(*seed)
}

/// The clock that a guest reads, in milliseconds since 1970. It starts at the time of the call, advances by one with
/// each read, and jumps when the guest waits. A guest that waits therefore neither holds its instance nor spins, and
/// two reads never return the same time. A replay sets the clock from the journal and sees the same times.
#[derive(Clone, Default)]
pub(crate) struct GuestClock(Arc<AtomicU64>);

/// Nanoseconds of one millisecond.
pub(crate) const NANOS_PER_MILLISECOND: u64 = 1_000_000;

impl GuestClock {
    /// Creates a clock that starts this much later than the current time.
    pub(crate) fn ahead(by: Duration) -> Self {
        let clock = Self::default();
        clock.advance_to(SystemTime::now() + by);
        clock
    }

    /// Advances the clock to a later time.
    pub(crate) fn advance_to(&self, at: SystemTime) {
        self.wait_until(milliseconds(at));
    }

    /// Reads the clock, which moves on by one.
    pub(crate) fn milliseconds(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Advances the clock to this time, in milliseconds since 1970, unless it is later already.
    pub(crate) fn wait_until(&self, milliseconds: u64) {
        self.0.fetch_max(milliseconds, Ordering::Relaxed);
    }
}

impl HostWallClock for GuestClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(NANOS_PER_MILLISECOND)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.milliseconds())
    }
}
