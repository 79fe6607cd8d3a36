//! One guest call: a fresh store and instance, and its limits.
//!
//! No state survives a call and nothing crosses shops, because every call gets its own instance from the pool. That
//! costs about 20 µs more than a warm instance and makes a whole class of faults impossible.

use std::ops::AsyncFnOnce;
use std::time::{Duration, Instant};

use cartwright_contract::error::{Breach, Failure, HookError, LogLine};
use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::records;
use cartwright_contract::text::{self, MAX_MESSAGE_CHARS};
use tokio::time::timeout;
use tracing::Instrument;
use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

use crate::capability::Scope;
use crate::durable::{Cursor, RunInterrupted};
use crate::engine::Engine;
use crate::limits::{breach_of, millis};
use crate::log_sink::{LogSink, OUTPUT_LEVEL};
use crate::observe::{CallContext, CallOutcome, GuestLine, HookResult, ObservedCall};
use crate::options::CallOptions;
use crate::plugin::PluginVersion;
use crate::sandbox::GuestClock;
use crate::state::GuestState;

impl Engine {
    /// Calls one function of a plugin in a fresh instance. Returns its result with what the guest logged.
    pub(crate) async fn call<R: HookResult>(
        &self,
        hook: Hook,
        plugin: &PluginVersion,
        options: CallOptions,
        function: impl AsyncFnOnce(&mut Store<GuestState>, &Instance) -> wasmtime::Result<R>,
    ) -> Result<(R, Vec<LogLine>), HookError> {
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
        self.run(hook, plugin, options, function).instrument(span).await.map_err(|(failure, log)| {
            let mut error = HookError::new(plugin.id(), hook, failure);
            error.emitted.log = log;
            error
        })
    }

    /// Writes a warning of the host about the result of a call to the log of its plugin.
    pub fn warn_in_plugin_log(&self, hook: Hook, plugin: &PluginVersion, scope: &Scope, text: &str) {
        let Scope { shop, account, .. } = scope;
        tracing::warn!(%shop, %account, plugin = %plugin.id(), hook = hook.name(), text, "a plugin's result");
        if let Some(observer) = self.platform().observer.as_deref() {
            let (shop, account) = (Some(shop), Some(account));
            let call = CallContext { plugin: plugin.id(), digest: plugin.digest(), shop, account, hook };
            observer.line_logged(&GuestLine { call, level: "warn", text });
        }
    }

    async fn run<R: HookResult>(
        &self,
        hook: Hook,
        plugin: &PluginVersion,
        options: CallOptions,
        function: impl AsyncFnOnce(&mut Store<GuestState>, &Instance) -> wasmtime::Result<R>,
    ) -> Result<(R, Vec<LogLine>), (Failure, Vec<LogLine>)> {
        let limits = self.limits();
        let durable = options.durable.as_deref();
        let log = durable.map_or_else(|| LogSink::new(limits.log_bytes), Cursor::log);
        let scope = options.scope.clone();
        let shop = scope.as_ref().map(|scope| &scope.shop);
        let account = scope.as_ref().map(|scope| &scope.account);
        let context = CallContext { plugin: plugin.id(), digest: plugin.digest(), shop, account, hook };
        let waiting = ObservedCall::begin(self.platform().observer.as_deref(), context, log.clone());
        // The slot is held to the end: the store is dropped before it.
        let Some(_slot) = self.slots().acquire(options.slot_kind, shop, limits.deadline).await else {
            record_outcome(CallOutcome::Busy, 0, waiting.end(CallOutcome::Busy, Duration::ZERO));
            return Err((Failure::Busy { waited_ms: millis(limits.deadline) }, Vec::new()));
        };
        let watched = waiting.restart_timer();
        let started = Instant::now();
        let reaches_network = hook.capabilities().contains(&Capability::Http);
        let deadline = if reaches_network { limits.network_deadline } else { limits.deadline };
        let wasi_clock = durable.map_or_else(|| GuestClock::ahead(options.clock_ahead), Cursor::guest_clock);
        let state = GuestState::new(hook, options, limits, log.clone(), wasi_clock, started + deadline);
        let mut store = Store::new(self.wasmtime(), state);
        let bytes_at_once = store.data().meter.bytes_at_once();
        store.set_hostcall_fuel(bytes_at_once);
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

        let in_call = self.ticker().enter();
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
            Ok(answer) => CallOutcome::of_result(answer),
            Err(failure) => CallOutcome::of_failure(failure),
        };
        let guest_ms = store.data().meter.cpu_ticks;
        record_outcome(outcome, guest_ms, watched.end(outcome, Duration::from_millis(guest_ms)));
        if let (Err(failure), false) = (&result, paused) {
            tracing::debug!(%failure, "guest call failed");
        }
        match result {
            Ok(value) => Ok((value, log.take())),
            Err(failure) => Err((failure, log.take())),
        }
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
    let last = lines.get(logged..).filter(|last| !last.is_empty()).unwrap_or(&lines);
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

/// Converts an error of the contract into an error of the host. Its texts are sanitized.
pub(crate) fn plugin_error(plugin: &PluginVersion, hook: Hook, error: records::CallError) -> HookError {
    use records::CallError;
    let readable = |words: String| text::sanitize(&words, MAX_MESSAGE_CHARS).text;
    let refusal =
        |refusal: records::Refusal| records::Refusal { what: readable(refusal.what), text: readable(refusal.text) };
    let error = match error {
        CallError::InvalidInput(issue) => CallError::InvalidInput(text::issue(issue)),
        CallError::NotConfigured(issue) => CallError::NotConfigured(text::issue(issue)),
        CallError::Unavailable(outage) => {
            CallError::Unavailable(records::Outage { detail: readable(outage.detail), ..outage })
        }
        CallError::Rejected(message) => CallError::Rejected(text::message(message)),
        CallError::Denied(denied) => CallError::Denied(refusal(denied)),
        CallError::LimitExceeded(exceeded) => CallError::LimitExceeded(refusal(exceeded)),
        CallError::Internal(words) => CallError::Internal(readable(words)),
        CallError::Other(named) => {
            CallError::Other(records::NamedJson { name: readable(named.name), json: readable(named.json) })
        }
    };
    HookError::new(plugin.id(), hook, Failure::PluginError(error))
}
