//! The position of a run in its journal. The next call gets its result from the journal, or is executed at the
//! journal's end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright_contract::clock::Clock;
use cartwright_contract::error::Failure;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::outcome::{self, OutcomeFault};
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{self, BytesSource, Continuation, Next, Order, Outcome, WakeReason};
use cartwright_contract::settings::Form;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable::clock::truncate_to_millis;
use crate::durable::end::{DeterminismFault, RunEnd, StopReason, UnansweredRequest};
use crate::durable::history::{CallResult, History, append};
use crate::durable::job::{Cancel, Wake};
use crate::durable::journal::{
    Answer, Call, Entry, Journal, JournalError, JournaledBytes, MAX_INLINE_BYTES, MAX_JOURNAL_ENTRIES, journaled_bytes,
};
use crate::durable::waiting::PendingRequest;
use crate::log_sink::LogSink;
use crate::sandbox::GuestClock;

/// Maximum length in bytes of the state that `continue-later` passes on.
pub const MAX_STATE_BYTES: usize = 64 << 10;
/// Maximum number of times that a plugin may return `continue-later` for one event.
pub const MAX_CONTINUATIONS: u32 = 100;
/// Maximum duration of a wait in seconds, whether by `timer.sleep` or by `continue-later`: 90 days.
pub const MAX_WAIT_SECONDS: u32 = 90 * 24 * 3600;

/// Why a run was interrupted before the plugin returned.
pub(crate) enum Interruption {
    Sleep(SystemTime),
    PendingRequest(PendingRequest),
    NeedsMerchant(UnansweredRequest),
    Cancelled(Option<UnansweredRequest>),
    DeterminismFault(DeterminismFault),
    Full,
    Journal(JournalError),
}

/// Error that ends the guest call early. The reason is in the cursor.
#[derive(Debug, thiserror::Error)]
#[error("the run has ended before the plugin returned")]
pub(crate) struct RunInterrupted;

pub(crate) struct Cursor {
    /// The settings form of the plugin.
    pub(crate) form: Form,
    /// The order as the plugin sees it.
    pub(crate) order: Order,
    /// The names of the memos that the account keeps for the order.
    pub(super) memo_names: BTreeSet<String>,
    pub(super) shop: ShopId,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) history: History,
    pub(super) round: u32,
    pub(super) wake: Wake,
    pub(super) cancel: Cancel,
    pub(super) log: LogSink,
    /// The guest's clock.
    pub(super) guest: GuestClock,
    /// Number of calls so far.
    pub(super) calls_made: usize,
    /// Whether the plugin has received the cancellation and is cleaning up.
    pub(super) cancel_delivered: bool,
    pub(super) interruption: Option<Interruption>,
}

impl Cursor {
    /// Resets the guest's clock and log to the beginning of the journal.
    pub(super) fn rewind(&mut self) {
        if let Some(at) = self.history.at {
            self.guest.advance_to(at);
        }
        self.log.mute(self.replaying());
    }

    pub(crate) fn guest_clock(&self) -> GuestClock {
        self.guest.clone()
    }

    pub(crate) fn log(&self) -> LogSink {
        self.log.clone()
    }

    /// Returns whether the next call is in the journal.
    pub(crate) fn replaying(&self) -> bool {
        self.calls_made < self.history.steps.len()
    }

    pub(super) fn stop(&mut self, stop: Interruption) -> wasmtime::Error {
        self.interruption.get_or_insert(stop);
        RunInterrupted.into()
    }

    /// Executes an import that only returns data, or replays it.
    pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
        &mut self,
        call: Call,
        live: impl Future<Output = Result<T, records::CallError>>,
    ) -> wasmtime::Result<Result<T, records::CallError>> {
        if let Some(result) = self.replayed(&call)? {
            let CallResult::Returned(answer) = result else { return Err(self.fault(Some(call))) };
            let answer = match answer.clone() {
                Answer::Failed(error) => Err(error),
                Answer::Returned(stored) => Ok(self.json(&stored).await?),
            };
            self.advance();
            return Ok(answer);
        }
        self.check_step(1, None)?;
        let result = live.await;
        let answer = match &result {
            Ok(value) => Ok(serde_json::to_vec(value).map_err(|error| self.unreadable(&error))?),
            Err(error) => Err(error.clone()),
        };
        let answer = match answer {
            Ok(json) => Answer::Returned(journaled_bytes(&self.blobs, &self.shop, json, "application/json").await),
            Err(error) => Answer::Failed(error),
        };
        self.append(Entry::Returned { call, answer }).await?;
        self.advance();
        Ok(result)
    }

    /// Checks an outcome before it is recorded. `readable` lists the blobs whose digests the call received.
    pub(crate) fn check_outcome(
        &mut self,
        readable: &[records::Digest],
        outcome: &Outcome,
    ) -> Result<(), OutcomeFault> {
        outcome::check(&self.form, Some(&self.order), readable, outcome)?;
        outcome::check_memo_count(&mut self.memo_names, outcome)
    }

    /// Records an outcome (`outcomes.emit`).
    pub(crate) async fn emit(&mut self, mut outcome: Outcome) -> wasmtime::Result<()> {
        let long = take_large_document(&mut outcome);
        if self.replayed(&Call::emit(&outcome)?)?.is_none() {
            self.check_step(1, None)?;
            if let Some((bytes, media_type)) = long
                && let Err(error) = self.blobs.put(&self.shop, bytes, &media_type).await
            {
                return Err(self.stop(Interruption::Journal(JournalError::Store(format!("the blob store: {error}")))));
            }
            let digest = Call::emit(&outcome)?.digest.to_string();
            let number = self.history.count_emitted(self.calls_made, &outcome)?;
            let key = format!("{}:{}:{number}", self.round, digest.get(..32).unwrap_or(&digest));
            self.append(Entry::Emitted { key, outcome }).await?;
        }
        self.advance();
        Ok(())
    }

    /// Executes `timer.sleep`. A wait holds no instance, so this returns at once or ends the run.
    pub(crate) async fn sleep(&mut self, seconds: u32) -> wasmtime::Result<WakeReason> {
        let call = Call::new("timer.sleep", &format!("{seconds} s"), &seconds)?;
        let cancel_delivered = self.cancel_delivered;
        let until = match self.replayed(&call)? {
            Some(CallResult::Sleep { woken: Some(reason), .. }) => {
                let reason = *reason;
                self.cancel_delivered |= reason == WakeReason::JobCancelled;
                self.advance();
                return Ok(reason);
            }
            Some(CallResult::Sleep { until, woken: None }) => *until,
            Some(_) => return Err(self.fault(Some(call))),
            None if cancel_delivered => return Err(self.stop(Interruption::Cancelled(None))),
            None => {
                self.check_capacity(2)?;
                let until = truncate_to_millis(self.clock.now() + Duration::from_secs(seconds.into()));
                self.append(Entry::SleepStarted { call, until }).await?;
                until
            }
        };
        let reason = if self.is_cancelled() {
            WakeReason::JobCancelled
        } else if self.clock.now() >= until {
            WakeReason::Elapsed
        } else if self.wake == Wake::EventWaiting {
            WakeReason::EventWaiting
        } else {
            return Err(self.stop(Interruption::Sleep(until)));
        };
        self.append(Entry::SleepEnded { reason }).await?;
        self.cancel_delivered |= reason == WakeReason::JobCancelled;
        self.advance();
        Ok(reason)
    }

    /// Returns the recorded result of this call, or `None` at the end of the journal.
    pub(super) fn replayed(&mut self, call: &Call) -> wasmtime::Result<Option<&CallResult>> {
        match self.history.steps.get(self.calls_made) {
            None => Ok(None),
            Some(step) if step.call.matches(call) => {
                Ok(self.history.steps.get(self.calls_made).map(|step| &step.result))
            }
            Some(_) => Err(self.fault(Some(call.clone()))),
        }
    }

    /// Stops the run with a determinism fault.
    pub(super) fn fault(&mut self, actual: Option<Call>) -> wasmtime::Error {
        let journal = self.history.steps.get(self.calls_made).map(|step| step.call.clone());
        self.stop(Interruption::DeterminismFault(DeterminismFault { number: self.calls_made + 1, journal, actual }))
    }

    /// Checks whether a step with this number of entries may be made.
    pub(super) fn check_step(&mut self, entries: usize, unanswered: Option<UnansweredRequest>) -> wasmtime::Result<()> {
        if self.is_cancelled() && !self.cancel_delivered {
            return Err(self.stop(Interruption::Cancelled(unanswered)));
        }
        self.check_capacity(entries)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.wake == Wake::Cancelled || self.cancel.is_cancelled()
    }

    fn check_capacity(&mut self, entries: usize) -> wasmtime::Result<()> {
        if self.history.entries + entries > MAX_JOURNAL_ENTRIES {
            return Err(self.stop(Interruption::Full));
        }
        Ok(())
    }

    /// Completes a call: advances the guest's clock and the position.
    pub(super) fn advance(&mut self) {
        if let Some(step) = self.history.steps.get(self.calls_made) {
            self.guest.advance_to(step.at);
        }
        self.calls_made += 1;
        self.log.mute(self.replaying());
    }

    pub(super) async fn append(&mut self, entry: Entry) -> wasmtime::Result<()> {
        match append(&*self.journal, &mut self.history, self.clock.now(), entry).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.stop(Interruption::Journal(error))),
        }
    }

    async fn json<T: DeserializeOwned>(&mut self, stored: &JournaledBytes) -> wasmtime::Result<T> {
        let bytes = self.bytes(stored).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.unreadable(&error))
    }

    /// Returns bytes that are stored inline or as a blob.
    pub(crate) async fn bytes(&mut self, stored: &JournaledBytes) -> wasmtime::Result<Vec<u8>> {
        let digest = match stored {
            JournaledBytes::Text(text) => return Ok(text.clone().into_bytes()),
            JournaledBytes::Bytes(bytes) => return Ok(bytes.clone()),
            JournaledBytes::Blob(digest) => digest,
        };
        self.blob(digest).await
    }

    /// Returns a blob that the journal refers to.
    pub(crate) async fn blob(&mut self, digest: &Digest) -> wasmtime::Result<Vec<u8>> {
        let error = match self.blobs.get(&self.shop, digest).await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => format!("the blob {digest} of an entry no longer exists"),
            Err(error) => error.to_string(),
        };
        Err(self.stop(Interruption::Journal(JournalError::Store(error))))
    }

    fn unreadable(&mut self, error: &serde_json::Error) -> wasmtime::Error {
        self.stop(Interruption::Journal(JournalError::Store(format!("a result's JSON: {error}"))))
    }

    /// Converts the end of the guest's call into the end of the run.
    pub(super) async fn ended(mut self, answer: Result<Next, Failure>) -> Result<RunEnd, JournalError> {
        if self.interruption.is_none() && self.replaying() && matches!(answer, Ok(_) | Err(Failure::PluginError(_))) {
            self.fault(None);
        }
        let failed = |failure| Ok(RunEnd::Stopped { reason: StopReason::Failed(failure) });
        match (self.interruption.take(), answer) {
            (Some(Interruption::Sleep(until)), _) => Ok(RunEnd::Sleep { until }),
            (Some(Interruption::PendingRequest(waiting)), _) => Ok(RunEnd::PendingRequest(waiting)),
            (Some(Interruption::NeedsMerchant(unanswered)), _) => Ok(RunEnd::NeedsMerchant { unanswered }),
            (Some(Interruption::Cancelled(unanswered)), _) => Ok(RunEnd::Cancelled { unanswered }),
            (Some(Interruption::DeterminismFault(fault)), _) => {
                Ok(RunEnd::Stopped { reason: StopReason::DeterminismFault(fault) })
            }
            (Some(Interruption::Full), _) => Ok(RunEnd::Stopped { reason: StopReason::JournalFull }),
            (Some(Interruption::Journal(error)), _) => Err(error),
            (None, Ok(_) | Err(Failure::PluginError(_))) if self.cancel_delivered => {
                Ok(RunEnd::Cancelled { unanswered: None })
            }
            (None, Ok(Next::Done)) => Ok(RunEnd::Done),
            (None, Ok(_) | Err(Failure::PluginError(records::CallError::Unavailable(_)))) if self.is_cancelled() => {
                Ok(RunEnd::Cancelled { unanswered: None })
            }
            (None, Ok(Next::ContinueLater(later))) => match check_continuation(&later, self.round) {
                Ok(()) => Ok(RunEnd::ContinueLater { seconds: later.seconds, state: later.state }),
                Err(fault) => failed(Failure::ContractViolation(fault)),
            },
            (None, Err(Failure::PluginError(records::CallError::Unavailable(outage)))) => {
                if self.history.entries >= MAX_JOURNAL_ENTRIES {
                    return Ok(RunEnd::Stopped { reason: StopReason::JournalFull });
                }
                let kept_calls = self.history.calls_kept_by_retry();
                append(&*self.journal, &mut self.history, self.clock.now(), Entry::Retried { kept_calls }).await?;
                Ok(RunEnd::Retry { outage })
            }
            (None, Err(failure)) => failed(failure),
        }
    }
}

/// Checks a request to be called again. `round` is the number of earlier ones for the same event.
fn check_continuation(later: &Continuation, round: u32) -> Result<(), String> {
    if later.state.len() > MAX_STATE_BYTES {
        let bytes = later.state.len();
        return Err(format!("the state of `continue-later` has {bytes} bytes; at most {MAX_STATE_BYTES} are allowed"));
    }
    if later.seconds > MAX_WAIT_SECONDS {
        let seconds = later.seconds;
        return Err(format!("`continue-later` waits {seconds} s; at most 90 days ({MAX_WAIT_SECONDS} s) are allowed"));
    }
    if round >= MAX_CONTINUATIONS {
        return Err(format!("it returned `continue-later` more than {MAX_CONTINUATIONS} times for one event"));
    }
    Ok(())
}

/// Removes the bytes of a large document from an outcome and leaves their digest. Returns the bytes and their media
/// type.
fn take_large_document(outcome: &mut Outcome) -> Option<(Vec<u8>, String)> {
    let Outcome::Document(document) = outcome else { return None };
    match &mut document.content {
        BytesSource::Bytes(bytes) if bytes.len() > MAX_INLINE_BYTES => {
            let bytes = std::mem::take(bytes);
            document.content = BytesSource::Stored(Digest::of(&bytes).to_string());
            Some((bytes, document.media_type.clone()))
        }
        BytesSource::Bytes(_) | BytesSource::Stored(_) => None,
    }
}
