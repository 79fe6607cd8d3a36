//! WASI 0.2 for guests. All of it is linked, so that ordinary builds of every language load, but nothing is granted.

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::sandbox::{GuestClock, NANOS_PER_MILLISECOND};
use crate::state::GuestState;

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
