//! One run of a job.

use std::sync::Arc;
use std::time::SystemTime;

use cartwright_contract::clock::Clock;
use cartwright_contract::error::{Failure, LogLine};
use cartwright_contract::hook::Hook;
use cartwright_contract::platform::Blobs;
use cartwright_contract::records::{self, BytesSource, Context, Document, Next, OrderEvent, Outcome};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::bindings::{self, from_guest, types};
use crate::capability::Scope;
use crate::durable::end::{RunEnd, StopReason};
use crate::durable::history::{History, append};
use crate::durable::job::{Cancel, Job, Wake};
use crate::durable::journal::{Entry, Journal, JournalError, RunStart};
use crate::durable::replay::Cursor;
use crate::engine::Engine;
use crate::log_sink::LogSink;
use crate::options::CallOptions;
use crate::plugin::PluginVersion;
use crate::sandbox::GuestClock;

/// Inputs of a run besides its job.
pub struct RunInput {
    /// The job's journal.
    pub journal: Arc<dyn Journal>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Why the run is started.
    pub wake: Wake,
    /// Cancels the run.
    pub cancel: Cancel,
}

/// The result of a run.
#[derive(Debug)]
pub struct RunReport {
    /// How the run ended.
    pub end: RunEnd,
    /// Log lines of this run only; replayed calls do not log again.
    pub log: Vec<LogLine>,
}

/// A run whose journal is loaded.
pub struct OpenRun {
    input: RunInput,
    history: History,
}

impl OpenRun {
    /// Loads the journal of a run.
    ///
    /// # Errors
    /// Returns an error if the journal cannot be read, or if its entries contradict each other.
    pub async fn load(input: RunInput) -> Result<Self, JournalError> {
        let history = History::of(input.journal.load().await?)?;
        Ok(Self { input, history })
    }

    /// Returns the inputs that the job began with. `None` before its first run.
    pub fn started(&self) -> Option<&RunStart> {
        self.history.began.as_ref()
    }

    /// Records the inputs that the job begins with.
    ///
    /// # Errors
    /// Returns an error if the journal cannot be written.
    pub async fn begin(&mut self, start: RunStart) -> Result<(), JournalError> {
        let at = self.now();
        append(&*self.input.journal, &mut self.history, at, Entry::RunStart(start)).await
    }

    /// Returns the time of the run's clock.
    pub fn now(&self) -> SystemTime {
        self.input.clock.now()
    }

    /// Returns the blob store of the journal, if it has its own.
    pub fn blobs(&self) -> Option<Arc<dyn Blobs>> {
        self.input.journal.blobs()
    }
}

impl Engine {
    /// Calls `orders.handle` of a job, with results from its journal where they exist. `event` is the job's, without
    /// what the account may not see. Dropping the future is equivalent to a crash, and is safe.
    ///
    /// # Errors
    /// Returns an error if the journal cannot be written. What was recorded stays.
    pub async fn handle(
        &self,
        plugin: &PluginVersion,
        scope: Arc<Scope>,
        run: OpenRun,
        job: &Job,
        context: &Context,
        event: OrderEvent,
    ) -> Result<RunReport, JournalError> {
        let OpenRun { input: RunInput { journal, clock, wake, cancel }, history } = run;
        let log = LogSink::new(self.limits().log_bytes);
        let mut cursor = Cursor {
            form: plugin.metadata().form.clone(),
            order: event.order.clone(),
            memo_names: event.memos.iter().map(|memo| memo.name.clone()).collect(),
            shop: job.shop.clone(),
            blobs: scope.blobs.clone(),
            journal,
            clock,
            history,
            round: job.round,
            wake,
            cancel,
            log: log.clone(),
            guest: GuestClock::default(),
            calls_made: 0,
            cancel_delivered: false,
            interruption: None,
        };
        cursor.rewind();
        let mut options = CallOptions::new(scope).seed(self.seed_of(job)).lines(event.order.lines.len());
        let configurations = event.order.lines.iter().filter_map(|line| line.configuration.clone());
        options.readable = configurations.chain(event.previous_outcomes.iter().filter_map(stored_document)).collect();
        options.durable = Some(Box::new(cursor));
        let context = types::Context::from(context.clone());
        let options = options.currency_of(&context);
        let event = bindings::exports::orders::OrderEvent::from(event);
        let mut end = None;
        let called = self.call(Hook::HandleOrder, plugin, options, async |store, instance| {
            let answer = match plugin.interfaces().orders(store, instance) {
                Ok(orders) => orders.call_handle(&mut *store, &context, &event, job.state.as_deref()).await,
                Err(error) => Err(error),
            };
            end = store.data_mut().durable.take();
            from_guest(plugin, answer?, Next::from)
        });
        let (answer, log) = match called.await {
            Ok((answer, log)) => (answer.map_err(Failure::PluginError), log),
            Err(error) => (Err(error.failure), error.emitted.log),
        };
        let end = match end {
            Some(cursor) => cursor.ended(answer).await?,
            // The call reached its deadline, or ended before the hook began.
            None => match answer {
                Ok(_) => RunEnd::Done,
                Err(failure) => RunEnd::Stopped { reason: StopReason::Failed(failure) },
            },
        };
        Ok(RunReport { end, log })
    }

    /// Returns the random seed of a job, which is the same in every run on every node.
    fn seed_of(&self, job: &Job) -> [u8; 32] {
        // HMAC takes a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(self.secret().expose());
        mac.map_or([0; 32], |mac| {
            mac.chain_update(job.id.as_bytes()).chain_update(job.round.to_le_bytes()).finalize().into_bytes().into()
        })
    }
}

/// Returns the digest of an earlier document, which the plugin receives with the event.
fn stored_document(outcome: &Outcome) -> Option<records::Digest> {
    match outcome {
        Outcome::Document(Document { content: BytesSource::Stored(digest), .. }) => Some(digest.clone()),
        _ => None,
    }
}
