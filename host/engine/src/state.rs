//! The host's state of one guest call: what its imports read and write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cartwright_contract::error;
use cartwright_contract::extras::Extras;
use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{self, VariantInfo};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capability::Scope;
use crate::durable::Cursor;
use crate::limits::{Limits, Meter};
use crate::log_sink::{GuestOutput, LogSink};
use crate::options::CallOptions;
use crate::sandbox::{GuestClock, RefuseHttp, rng_from_seed};

/// The host's state of one guest call, held by the wasmtime store.
pub(crate) struct GuestState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    refuse: RefuseHttp,
    pub(crate) table: ResourceTable,
    /// The clock that the guest reads.
    pub(crate) wasi_clock: GuestClock,
    pub(crate) meter: Meter,
    pub(crate) hook: Hook,
    pub(crate) scope: Option<Arc<Scope>>,
    /// The client id of the shopper, if the platform sent one. The request queue of a vendor's server is shared fairly
    /// by it.
    pub(crate) client: Option<String>,
    /// The currency that the catalog is asked in. `None` for the shop's main one.
    pub(crate) currency: Option<String>,
    pub(crate) log: LogSink,
    /// Results of the catalog, which stay the same within one call.
    pub(crate) catalog: HashMap<(String, Option<String>, bool), Vec<VariantInfo>>,
    /// Blobs that this call may read, because it was given their digests.
    pub(crate) readable: Vec<records::Digest>,
    /// A blob that this call may read although it is not stored.
    pub(crate) given_blob: Option<(Digest, Arc<Vec<u8>>)>,
    /// Number of requests that the guest sent.
    pub(crate) requests: u32,
    /// Number of bytes of responses that were stored for the guest.
    pub(crate) stored_bytes: u64,
    /// The position of a durable hook in its journal.
    pub(crate) durable: Option<Box<Cursor>>,
    /// What the host could not determine for the guest, if anything. The result of the call may be wrong then.
    pub(crate) uncertainty: Option<String>,
    pub(crate) deadline: Instant,
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.refuse, table: &mut self.table, ctx: &mut self.http }
    }
}

impl GuestState {
    /// Creates the state of a call that begins now.
    pub(crate) fn new(
        hook: Hook,
        options: CallOptions,
        limits: &Limits,
        log: LogSink,
        wasi_clock: GuestClock,
        deadline: Instant,
    ) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(GuestOutput(log.clone()))
            .stderr(GuestOutput(log.clone()))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(64 << 10)
            .secure_random(rng_from_seed(&options.seed))
            .insecure_random(rng_from_seed(&options.seed))
            .insecure_random_seed(u128::from_le_bytes(first_half(&options.seed)))
            .wall_clock(wasi_clock.clone());
        let mut table = ResourceTable::new();
        table.set_max_capacity(1024);
        Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            refuse: RefuseHttp,
            table,
            wasi_clock,
            meter: Meter::new(limits, hook, options.lines),
            hook,
            scope: options.scope,
            client: options.client,
            currency: options.currency,
            log,
            catalog: HashMap::new(),
            readable: options.readable,
            given_blob: options.given_blob,
            requests: 0,
            stored_bytes: 0,
            durable: options.durable,
            uncertainty: None,
            deadline,
        }
    }

    /// Counts a host call, and checks whether the hook may use this capability.
    pub(crate) fn permit(
        &mut self,
        capability: Capability,
    ) -> wasmtime::Result<Result<Arc<Scope>, records::CallError>> {
        // A replay is bounded by its journal, which has its own limit.
        if !self.replaying() {
            self.meter.host_call()?;
        }
        let denied = |reason: String| Ok(Err(error::denied(format!("capability:{capability}"), reason)));
        if !self.hook.capabilities().contains(&capability) {
            return denied(format!("{} is not available in {}", capability, self.hook));
        }
        match &self.scope {
            Some(scope) => Ok(Ok(scope.clone())),
            None => denied(format!("{capability} is not available without a shop")),
        }
    }

    /// Checks the lists `extra` in a value that the guest passed to the host.
    pub(crate) fn check_extras(&self, value: &impl Extras) -> Result<(), records::CallError> {
        match &self.scope {
            Some(scope) => Ok(value.check_extras(&scope.plugin)?),
            None => Ok(()),
        }
    }

    /// Records that the host could not determine something.
    pub(crate) fn record_doubt<T>(&mut self, answer: &Result<T, records::CallError>) {
        if let Err(records::CallError::Unavailable(outage)) = answer {
            self.uncertainty.get_or_insert_with(|| outage.detail.clone());
        }
    }

    /// Returns the reference of the order if it is a test order.
    pub(crate) fn test_order(&self) -> Option<String> {
        let order = &self.durable.as_ref()?.order;
        order.test.then(|| order.reference.clone())
    }

    /// Returns whether the next call is answered from the journal.
    pub(crate) fn replaying(&self) -> bool {
        self.durable.as_ref().is_some_and(|cursor| cursor.replaying())
    }
}

fn first_half(seed: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&seed[..16]);
    half
}
