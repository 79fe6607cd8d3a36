//! The position of a run in its journal: the next call is answered from the journal, or made for real at its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright_contract::clock::Clock;
use cartwright_contract::error::Failure;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{self, BytesSource, Next, Order, Outcome, Woken};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capability::log::LogSink;
use crate::capability::wasi::GuestClock;
use crate::durable::clock::whole;
use crate::durable::end::{Fault, RunEnd, Unanswered, Why};
use crate::durable::history::{Came, History, append};
use crate::durable::job::{Cancel, Wake};
use crate::durable::journal::{Answer, Call, Entry, Journal, JournalError, Kept, MOST_ENTRIES, MOST_INLINE, keep};
use crate::durable::waiting::Waiting;
use crate::plugin::Plugin;

/// The longest state that `again` may hand on.
const MOST_STATE: usize = 64 << 10;

/// Why a run was interrupted before the plugin returned.
pub(crate) enum Stop {
    Sleep(SystemTime),
    Waiting(Waiting),
    NeedsMerchant(Unanswered),
    Cancelled(Option<Unanswered>),
    Fault(Fault),
    Full,
    Journal(JournalError),
}

/// Error that ends the guest call early. The reason is in the cursor.
#[derive(Debug, thiserror::Error)]
#[error("the run has ended before the plugin returned")]
pub(crate) struct Paused;

pub(crate) struct Cursor {
    pub(crate) plugin: Arc<Plugin>,
    /// The order as the plugin sees it.
    pub(crate) order: Order,
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
    pub(super) made: usize,
    /// Whether the plugin has received the cancellation and is cleaning up.
    pub(super) told: bool,
    pub(super) stopped: Option<Stop>,
}

impl Cursor {
    /// Resets the guest's clock and log to the beginning of the journal.
    pub(super) fn rewind(&mut self) {
        if let Some(at) = self.history.at {
            self.guest.reach(at);
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
        self.made < self.history.steps.len()
    }

    pub(super) fn stop(&mut self, stop: Stop) -> wasmtime::Error {
        self.stopped.get_or_insert(stop);
        Paused.into()
    }

    /// Answers an import that only returns data.
    pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
        &mut self,
        call: Call,
        live: impl Future<Output = Result<T, records::Error>>,
    ) -> wasmtime::Result<Result<T, records::Error>> {
        if let Some(came) = self.repeated(&call)? {
            let Came::Told(answer) = came else { return Err(self.fault(Some(call))) };
            let answer = match answer.clone() {
                Answer::Failed(error) => Err(error),
                Answer::Given(kept) => Ok(self.json(&kept).await?),
            };
            self.pass();
            return Ok(answer);
        }
        self.go_on(1, None)?;
        let told = live.await;
        let answer = match &told {
            Ok(value) => Ok(serde_json::to_vec(value).map_err(|error| self.unreadable(&error))?),
            Err(error) => Err(error.clone()),
        };
        let answer = match answer {
            Ok(json) => Answer::Given(keep(&self.blobs, &self.shop, json, "application/json").await),
            Err(error) => Answer::Failed(error),
        };
        self.append(Entry::Told { call, answer }).await?;
        self.pass();
        Ok(told)
    }

    /// `outcomes.emit`.
    pub(crate) async fn emit(&mut self, mut outcome: Outcome) -> wasmtime::Result<()> {
        let long = take_long(&mut outcome);
        if self.repeated(&Call::emit(&outcome)?)?.is_none() {
            self.go_on(1, None)?;
            if let Some((bytes, media_type)) = long
                && let Err(error) = self.blobs.put(&self.shop, bytes, &media_type).await
            {
                return Err(self.stop(Stop::Journal(JournalError::Store(format!("the blob store: {error}")))));
            }
            let digest = Call::emit(&outcome)?.digest.to_string();
            let number = self.history.said_before(self.made, &outcome)?;
            let key = format!("{}:{}:{number}", self.round, digest.get(..32).unwrap_or(&digest));
            self.append(Entry::Emitted { key, outcome }).await?;
        }
        self.pass();
        Ok(())
    }

    /// `timer.sleep`. Waiting is done without an instance, so that this answers or ends the run.
    pub(crate) async fn sleep(&mut self, seconds: u32) -> wasmtime::Result<Woken> {
        let call = Call::new("timer.sleep", &format!("{seconds} s"), &seconds)?;
        let told = self.told;
        let until = match self.repeated(&call)? {
            Some(Came::Slept { woke: Some(why), .. }) => {
                let why = *why;
                self.told |= why == Woken::JobCancelled;
                self.pass();
                return Ok(why);
            }
            Some(Came::Slept { until, woke: None }) => *until,
            Some(_) => return Err(self.fault(Some(call))),
            None if told => return Err(self.stop(Stop::Cancelled(None))),
            None => {
                self.room(2)?;
                let until = whole(self.clock.now() + Duration::from_secs(seconds.into()));
                self.append(Entry::Slept { call, until }).await?;
                until
            }
        };
        let why = if self.is_cancelled() {
            Woken::JobCancelled
        } else if self.clock.now() >= until {
            Woken::Elapsed
        } else if self.wake == Wake::EventWaiting {
            Woken::EventWaiting
        } else {
            return Err(self.stop(Stop::Sleep(until)));
        };
        self.append(Entry::Woke { why }).await?;
        self.told |= why == Woken::JobCancelled;
        self.pass();
        Ok(why)
    }

    /// Returns the recorded result of this call, or `None` at the end of the journal.
    pub(super) fn repeated(&mut self, call: &Call) -> wasmtime::Result<Option<&Came>> {
        match self.history.steps.get(self.made) {
            None => Ok(None),
            Some(step) if step.call.is(call) => Ok(self.history.steps.get(self.made).map(|step| &step.came)),
            Some(_) => Err(self.fault(Some(call.clone()))),
        }
    }

    /// Stops the run with a determinism fault.
    pub(super) fn fault(&mut self, asked: Option<Call>) -> wasmtime::Error {
        let journal = self.history.steps.get(self.made).map(|step| step.call.clone());
        self.stop(Stop::Fault(Fault { number: self.made + 1, journal, asked }))
    }

    /// Checks whether a step with this number of entries may be made.
    pub(super) fn go_on(&mut self, entries: usize, unanswered: Option<Unanswered>) -> wasmtime::Result<()> {
        if self.is_cancelled() && !self.told {
            return Err(self.stop(Stop::Cancelled(unanswered)));
        }
        self.room(entries)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.wake == Wake::Cancelled || self.cancel.is_cancelled()
    }

    fn room(&mut self, entries: usize) -> wasmtime::Result<()> {
        if self.history.entries + entries > MOST_ENTRIES {
            return Err(self.stop(Stop::Full));
        }
        Ok(())
    }

    /// Completes a call: advances the guest's clock and the position.
    pub(super) fn pass(&mut self) {
        if let Some(step) = self.history.steps.get(self.made) {
            self.guest.reach(step.at);
        }
        self.made += 1;
        self.log.mute(self.replaying());
    }

    pub(super) async fn append(&mut self, entry: Entry) -> wasmtime::Result<()> {
        match append(&*self.journal, &mut self.history, self.clock.now(), entry).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.stop(Stop::Journal(error))),
        }
    }

    async fn json<T: DeserializeOwned>(&mut self, kept: &Kept) -> wasmtime::Result<T> {
        let bytes = self.bytes(kept).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.unreadable(&error))
    }

    /// Bytes that stand beside an entry.
    pub(crate) async fn bytes(&mut self, kept: &Kept) -> wasmtime::Result<Vec<u8>> {
        let digest = match kept {
            Kept::Text(text) => return Ok(text.clone().into_bytes()),
            Kept::Bytes(bytes) => return Ok(bytes.clone()),
            Kept::Blob(digest) => digest,
        };
        self.blob(digest).await
    }

    /// Bytes that the journal names.
    pub(crate) async fn blob(&mut self, digest: &Digest) -> wasmtime::Result<Vec<u8>> {
        let error = match self.blobs.get(&self.shop, digest).await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => format!("the blob {digest}, which an entry names, is gone"),
            Err(error) => error.to_string(),
        };
        Err(self.stop(Stop::Journal(JournalError::Store(error))))
    }

    fn unreadable(&mut self, error: &serde_json::Error) -> wasmtime::Error {
        self.stop(Stop::Journal(JournalError::Store(format!("an answer's JSON: {error}"))))
    }

    /// What the end of the guest's call means for the job.
    pub(super) async fn ended(mut self, answer: Result<Next, Failure>) -> Result<RunEnd, JournalError> {
        if self.stopped.is_none() && self.replaying() && matches!(answer, Ok(_) | Err(Failure::Answered(_))) {
            self.fault(None);
        }
        let stopped = |failure| Ok(RunEnd::Stopped { why: Why::Failed(failure) });
        match (self.stopped.take(), answer) {
            (Some(Stop::Sleep(until)), _) => Ok(RunEnd::Sleep { until }),
            (Some(Stop::Waiting(waiting)), _) => Ok(RunEnd::Waiting(waiting)),
            (Some(Stop::NeedsMerchant(unanswered)), _) => Ok(RunEnd::NeedsMerchant { unanswered }),
            (Some(Stop::Cancelled(unanswered)), _) => Ok(RunEnd::Cancelled { unanswered }),
            (Some(Stop::Fault(fault)), _) => Ok(RunEnd::Stopped { why: Why::Fault(fault) }),
            (Some(Stop::Full), _) => Ok(RunEnd::Stopped { why: Why::JournalFull }),
            (Some(Stop::Journal(error)), _) => Err(error),
            (None, Ok(_) | Err(Failure::Answered(_))) if self.told => Ok(RunEnd::Cancelled { unanswered: None }),
            (None, Ok(Next::Done)) => Ok(RunEnd::Done),
            (None, Ok(_) | Err(Failure::Answered(records::Error::Unavailable(_)))) if self.is_cancelled() => {
                Ok(RunEnd::Cancelled { unanswered: None })
            }
            (None, Ok(Next::Again(later))) if later.state.len() > MOST_STATE => {
                stopped(Failure::BrokeContract(format!("`again` hands on more than {MOST_STATE} bytes")))
            }
            (None, Ok(Next::Again(later))) => Ok(RunEnd::Again { seconds: later.seconds, state: later.state }),
            (None, Err(Failure::Answered(records::Error::Unavailable(outage)))) => {
                if self.history.entries >= MOST_ENTRIES {
                    return Ok(RunEnd::Stopped { why: Why::JournalFull });
                }
                let keep = self.history.kept_by_retry();
                append(&*self.journal, &mut self.history, self.clock.now(), Entry::Retried { keep }).await?;
                Ok(RunEnd::Retry { outage })
            }
            (None, Err(failure)) => stopped(failure),
        }
    }
}

/// Takes the bytes of a large document out of an outcome, and leaves their digest. Returns the bytes and their media
/// type.
fn take_long(outcome: &mut Outcome) -> Option<(Vec<u8>, String)> {
    let Outcome::Document(document) = outcome else { return None };
    match &mut document.content {
        BytesSource::Inline(bytes) if bytes.len() > MOST_INLINE => {
            let bytes = std::mem::take(bytes);
            document.content = BytesSource::Stored(Digest::of(&bytes).to_string());
            Some((bytes, document.media_type.clone()))
        }
        BytesSource::Inline(_) | BytesSource::Stored(_) => None,
    }
}
