//! One run of a job.

use std::sync::Arc;

use cartwright_cart::shop::Visitor;
use cartwright_contract::clock::Clock;
use cartwright_contract::error::{Failure, LogLine, SetupError};
use cartwright_contract::hook::Hook;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::capability::log::LogSink;
use crate::capability::wasi::GuestClock;
use crate::durable::clock::timestamp;
use crate::durable::end::{RunEnd, RunError, StopReason};
use crate::durable::history::{History, append};
use crate::durable::job::{Cancel, Job, Wake};
use crate::durable::journal::{Entry, Journal, RunStart};
use crate::durable::replay::Cursor;
use crate::guest::{CallOptions, call};
use crate::host::Cartwright;
use crate::observe::JobRun;
use crate::shop::context;

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

impl Cartwright {
    /// Runs a job from its beginning, with results from its journal where they exist. Dropping the future is equivalent
    /// to a crash, and is safe.
    ///
    /// # Errors
    ///
    /// If the run could not start or its journal could not be written. Run the job again later; what was recorded
    /// stays.
    pub async fn run_job(&self, job: &Job, start: RunInput) -> Result<RunReport, RunError> {
        let run = self.run_once(job, start).await;
        if let Some(observer) = &self.platform().observer {
            let plugin = self.plugin(&job.plugin);
            let plugin = plugin.as_ref().map(|plugin| plugin.id());
            let end = run.as_ref().map_or("lost", |run| run.end.name());
            observer.job_run_ended(&JobRun { plugin, shop: &job.shop, account: &job.account, end });
        }
        run
    }

    async fn run_once(&self, job: &Job, start: RunInput) -> Result<RunReport, RunError> {
        let state = self.shop_state(&job.shop)?;
        let account = state.account(&job.account)?;
        let digest = self.replacement(&job.plugin).map_err(|_| SetupError::Revoked(job.plugin))?;
        let plugin = self.plugin(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
        let mut history = History::of(start.journal.load().await?)?;
        let began = match &history.began {
            Some(began) => began.clone(),
            None => {
                let version = account.versions.get(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
                let mut context = context(&state.shop, account, version, None, &Visitor::default());
                context.at = timestamp(start.clock.now());
                let began = RunStart { context, personal_data: account.grants.personal_data };
                append(&*start.journal, &mut history, start.clock.now(), Entry::RunStart(began.clone())).await?;
                began
            }
        };
        let mut event = job.event.clone();
        let personal_data = began.personal_data && account.grants.personal_data;
        if !personal_data {
            event.order.billing = None;
            event.order.delivery = None;
        }
        let blobs = start.journal.blobs().unwrap_or_else(|| self.platform().blobs.clone());
        let settings = &began.context.settings;
        let scope = self.scope_of(&state.shop, account, &plugin, settings, personal_data, blobs.clone());
        let log = LogSink::new(plugin.limits().log_bytes);
        let mut cursor = Cursor {
            plugin: plugin.clone(),
            order: event.order.clone(),
            shop: job.shop.clone(),
            blobs,
            journal: start.journal,
            clock: start.clock,
            history,
            round: job.round,
            wake: start.wake,
            cancel: start.cancel,
            log: log.clone(),
            guest: GuestClock::default(),
            calls_made: 0,
            cancel_delivered: false,
            interruption: None,
        };
        cursor.rewind();
        let mut options = CallOptions::new(Hook::HandleOrder, Some(scope)).seed(self.seed_of(job));
        options = options.lines(event.order.lines.len());
        options.readable = event.order.lines.iter().filter_map(|line| line.configuration.clone()).collect();
        options.durable = Some(Box::new(cursor));
        let interfaces = plugin.interfaces();
        let mut end = None;
        let answer = call(self.ticker(), &plugin, options, async |store, instance| {
            let answer = match interfaces.orders(store, instance) {
                Ok(orders) => orders.call_handle(&mut *store, &began.context, &event, job.state.as_deref()).await,
                Err(error) => Err(error),
            };
            end = store.data_mut().durable.take();
            answer
        })
        .await;
        let (answer, log) = match answer {
            Ok((answer, trace)) => (answer.map_err(Failure::PluginError), trace.log),
            Err(error) => (Err(error.failure), error.outcomes.log),
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
