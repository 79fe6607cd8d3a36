//! WASI 0.2 for guests. All of it is linked, so that ordinary builds of every language load, but nothing is granted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::HostWallClock;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::durable::milliseconds;
use crate::guest::GuestState;

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

const NANOS_PER_MILLISECOND: u64 = 1_000_000;

impl GuestClock {
    /// Creates a clock that starts at the current time.
    pub(crate) fn now() -> Self {
        let clock = Self::default();
        clock.advance_to(SystemTime::now());
        clock
    }

    /// Advances the clock to a later time.
    pub(crate) fn advance_to(&self, at: SystemTime) {
        self.wait_until(milliseconds(at));
    }

    fn milliseconds(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn wait_until(&self, milliseconds: u64) {
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

/// A wait of a guest. It ends as soon as it is polled, after the guest's clock has advanced.
struct Wait {
    clock: GuestClock,
    until: u64,
}

#[async_trait::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        self.clock.wait_until(self.until);
        // A guest that waits in a loop must not keep other tasks from running.
        tokio::task::yield_now().await;
    }
}

/// `WasiCtx` accepts a custom monotonic clock but waits by the runtime's timer, so that `thread::sleep` would really
/// sleep.
impl monotonic_clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.wasi_clock.milliseconds().saturating_mul(NANOS_PER_MILLISECOND))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(NANOS_PER_MILLISECOND)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = Wait { clock: self.wasi_clock.clone(), until: when.div_ceil(NANOS_PER_MILLISECOND) };
        let wait = self.table.push(wait)?;
        subscribe(&mut self.table, wait)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = self.wasi_clock.milliseconds().saturating_mul(NANOS_PER_MILLISECOND).saturating_add(duration);
        self.subscribe_instant(until)
    }
}

/// Links all of WASI 0.2.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}
