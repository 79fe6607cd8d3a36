//! WASI 0.2 as a guest sees it: linked whole, so that ordinary builds of every language load, with nothing granted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime_wasi::HostWallClock;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

/// `wasi:http` is linked and refuses: a guest reaches the network through the contract's `http` only.
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

/// Random numbers that follow from a seed.
pub(crate) fn seeded(seed: &[u8; 32]) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(*seed)
}

/// A wall clock that stands still for the length of a call.
pub(crate) struct FixedClock(Duration);

impl FixedClock {
    pub(crate) fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}
