//! One guest call: a fresh store and instance, its limits, and its purpose.
//!
//! No state survives a call and nothing crosses shops, because every call gets its own instance from the pool. That
//! costs about 20 µs more than a warm instance and makes a whole class of faults impossible.

use std::collections::HashMap;
use std::ops::AsyncFnOnce;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright_contract::error::{Breach, Failure, HookError, LogLine};
use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::records::{self, VariantInfo};
use cartwright_contract::text::{self, MAX_MESSAGE_CHARS};
use tokio::time::timeout;
use tracing::Instrument;
use wasmtime::component::{Instance, ResourceTable};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capability::Scope;
use crate::capability::log::{GuestOutput, LogSink, OUTPUT_LEVEL};
use crate::capability::wasi::{GuestClock, RefuseHttp, rng_from_seed};
use crate::durable::{Cursor, RunInterrupted};
use crate::engine::Ticker;
use crate::limits::{Meter, breach_of, millis};
use crate::observe::{Answer, CallOutcome, ObservedCall};
use crate::plugin::PluginVersion;
use crate::slots::SlotKind;

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
    pub(crate) log: LogSink,
    /// Results of the catalog, which stay the same within one call.
    pub(crate) catalog: HashMap<(String, Option<String>, bool), Vec<VariantInfo>>,
    /// Blobs that this call may read, because it was given their digests.
    pub(crate) readable: Vec<records::Digest>,
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
    /// Counts a host call, and checks whether the hook may use this capability.
    pub(crate) fn permit(&mut self, capability: Capability) -> wasmtime::Result<Result<Arc<Scope>, records::Error>> {
        // A replay is bounded by its journal, which has its own limit.
        if !self.replaying() {
            self.meter.host_call()?;
        }
        let denied = |reason: String| Ok(Err(records::Error::Denied(reason)));
        if !self.hook.capabilities().contains(&capability) {
            return denied(format!("{} is not available in {}", capability, self.hook));
        }
        match &self.scope {
            Some(scope) => Ok(Ok(scope.clone())),
            None => denied(format!("{capability} is not available without a shop")),
        }
    }

    /// Records that the host could not determine something.
    pub(crate) fn record_doubt<T>(&mut self, answer: &Result<T, records::Error>) {
        if let Err(records::Error::Unavailable(outage)) = answer {
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

/// The purpose of a call, and what it may use beyond the plugin's own limits.
pub(crate) struct CallOptions {
    pub(crate) hook: Hook,
    pub(crate) scope: Option<Arc<Scope>>,
    /// The client id of the shopper, see [`GuestState::client`].
    pub(crate) client: Option<String>,
    /// Cart lines and configured items; limits on work grow with them.
    pub(crate) lines: usize,
    /// Seeds the guest's random numbers, so that a pure hook returns the same result for the same input.
    pub(crate) seed: [u8; 32],
    pub(crate) readable: Vec<records::Digest>,
    pub(crate) durable: Option<Box<Cursor>>,
    pub(crate) slot_kind: SlotKind,
}

impl CallOptions {
    pub(crate) fn new(hook: Hook, scope: Option<Arc<Scope>>) -> Self {
        Self {
            hook,
            scope,
            client: None,
            lines: 0,
            seed: [0; 32],
            readable: Vec::new(),
            durable: None,
            slot_kind: SlotKind::Call,
        }
    }

    pub(crate) fn client(mut self, client: Option<&String>) -> Self {
        self.client = client.cloned();
        self
    }

    pub(crate) fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }

    pub(crate) fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = seed;
        self
    }
}

/// Side results of a call: log lines and measurements.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) log: Vec<LogLine>,
}

/// Calls one function of a plugin in a fresh instance.
pub(crate) async fn call<R: Answer>(
    ticker: &Ticker,
    plugin: &Arc<PluginVersion>,
    options: CallOptions,
    function: impl AsyncFnOnce(&mut Store<GuestState>, &Instance) -> wasmtime::Result<R>,
) -> Result<(R, Trace), HookError> {
    let hook = options.hook;
    let span = tracing::info_span!(
        "guest_call",
        plugin = %plugin.id(),
        digest = %plugin.digest(),
        shop = options.scope.as_ref().map_or("-", |scope| scope.shop.as_str()),
        hook = hook.name(),
        guest_ms = tracing::field::Empty,
        total_us = tracing::field::Empty,
        outcome = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    run(ticker, plugin, options, function).instrument(span).await.map_err(|(failure, log)| {
        let mut error = HookError::new(plugin.id(), hook, failure);
        error.outcomes.log = log;
        error
    })
}

async fn run<R: Answer>(
    ticker: &Ticker,
    plugin: &Arc<PluginVersion>,
    options: CallOptions,
    function: impl AsyncFnOnce(&mut Store<GuestState>, &Instance) -> wasmtime::Result<R>,
) -> Result<(R, Trace), (Failure, Vec<LogLine>)> {
    let limits = plugin.limits();
    let durable = options.durable.as_deref();
    let log = durable.map_or_else(|| LogSink::new(limits.log_bytes), Cursor::log);
    let waiting = ObservedCall::begin(plugin, options.scope.clone(), options.hook, log.clone());
    // The slot is held to the end: the store is dropped before it.
    let shop = options.scope.as_ref().map(|scope| &scope.shop);
    let Some(_slot) = plugin.slots().acquire(options.slot_kind, shop, limits.deadline).await else {
        record_outcome(CallOutcome::Busy, 0, waiting.end(CallOutcome::Busy, Duration::ZERO));
        return Err((Failure::Busy { waited_ms: millis(limits.deadline) }, Vec::new()));
    };
    let watched = waiting.restart_timer();
    let started = Instant::now();
    let reaches_network = options.hook.capabilities().contains(&Capability::Http);
    let deadline = if reaches_network { limits.network_deadline } else { limits.deadline };
    let wasi_clock = durable.map_or_else(GuestClock::now, Cursor::guest_clock);
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
    let state = GuestState {
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        refuse: RefuseHttp,
        table,
        wasi_clock,
        meter: Meter::new(limits, options.lines),
        hook: options.hook,
        scope: options.scope,
        client: options.client,
        log: log.clone(),
        catalog: HashMap::new(),
        readable: options.readable,
        durable: options.durable,
        uncertainty: None,
        deadline: started + deadline,
    };
    let mut store = Store::new(plugin.engine(), state);
    let bytes_out = store.data().meter.bytes_out();
    store.set_hostcall_fuel(bytes_out);
    store.limiter(|state| &mut state.meter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let state = store.data_mut();
        state.meter.tick()?;
        if Instant::now() > state.deadline {
            return Err(Breach::Deadline { allowed_ms: millis(deadline) }.into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });

    let in_call = ticker.enter();
    let answer = timeout(deadline, async {
        let instance = plugin.pre().instantiate_async(&mut store).await?;
        function(&mut store, &instance).await
    })
    .await;
    drop(in_call);
    let paused = matches!(&answer, Ok(Err(error)) if error.is::<RunInterrupted>());
    let result = match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match breach_of(&error, &store.data().meter) {
            Some(breach) => Failure::Limit(breach),
            None => match error.downcast_ref::<Failure>() {
                Some(failure) => failure.clone(),
                None => Failure::Trap(text::sanitize(&trap_message(&error, &log), MAX_MESSAGE_CHARS).text),
            },
        }),
        // The store's call was dropped midway; the store is discarded with it.
        Err(_) => Err(Failure::Limit(Breach::Deadline { allowed_ms: millis(deadline) })),
    };
    let outcome = match &result {
        _ if paused => CallOutcome::Paused,
        Ok(answer) => CallOutcome::of_answer(answer),
        Err(failure) => CallOutcome::of_failure(failure),
    };
    let guest_ms = store.data().meter.cpu_ticks;
    record_outcome(outcome, guest_ms, watched.end(outcome, Duration::from_millis(guest_ms)));
    if let (Err(failure), false) = (&result, paused) {
        tracing::debug!(%failure, "guest call failed");
    }
    match result {
        Ok(value) => Ok((value, Trace { log: log.take() })),
        Err(failure) => Err((failure, log.take())),
    }
}

/// Records the outcome in the call's span.
fn record_outcome(outcome: CallOutcome, guest_ms: u64, total: Duration) {
    let span = tracing::Span::current();
    span.record("guest_ms", guest_ms);
    span.record("total_us", u64::try_from(total.as_micros()).unwrap_or(u64::MAX));
    span.record("outcome", outcome.name());
    if outcome.is_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Returns the cause of a trap with the guest's last log lines. A panic writes its message to standard error in pieces;
/// an exception's first lines name it and many stack lines may follow. A long text therefore keeps its beginning and
/// its end.
fn trap_message(error: &wasmtime::Error, log: &LogSink) -> String {
    let cause = error.root_cause().to_string();
    let lines = log.lines();
    // Output before the last log line belongs to something else.
    let logged = lines.iter().rposition(|line| line.level != OUTPUT_LEVEL).map_or(0, |last| last + 1);
    let last = if logged == lines.len() { &lines[..] } else { &lines[logged..] };
    let written: String = last.iter().map(|line| line.text.as_str()).collect();
    let words: Vec<&str> =
        written.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note: run with")).collect();
    let begin = |words: &[&str], most: usize| words.join(" ").chars().take(most).collect::<String>();
    match words.as_slice() {
        [] => cause,
        [a, b, .., c, d] if words.len() > 4 => {
            format!("{cause}; last output: {} … {}", begin(&[a, b], 300), begin(&[c, d], 200))
        }
        words => format!("{cause}; last output: {}", begin(words, 500)),
    }
}

fn first_half(seed: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&seed[..16]);
    half
}

/// Converts an error of the contract into an error of the host. Its texts are sanitized.
pub(crate) fn plugin_error(plugin: &PluginVersion, hook: Hook, error: records::Error) -> HookError {
    use records::Error;
    let readable = |words: String| text::sanitize(&words, MAX_MESSAGE_CHARS).text;
    let error = match error {
        Error::InvalidInput(issue) => Error::InvalidInput(text::issue(issue)),
        Error::NotConfigured(issue) => Error::NotConfigured(text::issue(issue)),
        Error::Unavailable(outage) => Error::Unavailable(records::Outage { detail: readable(outage.detail), ..outage }),
        Error::Rejected(message) => Error::Rejected(text::message(message)),
        Error::Denied(words) => Error::Denied(readable(words)),
        Error::LimitExceeded(words) => Error::LimitExceeded(readable(words)),
        Error::Unsupported => Error::Unsupported,
        Error::Internal(words) => Error::Internal(readable(words)),
    };
    HookError::new(plugin.id(), hook, Failure::PluginError(error))
}
