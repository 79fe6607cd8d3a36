//! Handles an order event at once and in memory: for platforms with a queue of their own, for the command line, and for
//! tests.

use std::sync::Arc;

use cartwright_contract::clock::Clock;
use cartwright_contract::error::{EmittedOutcomes, Failure, HookError, LogLine, SetupError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::records::{self, Continuation, Next, OrderEvent, Outcome};
use cartwright_engine::durable::{Cancel, Job, MemoryJournal, RunEnd, RunError, RunInput, StopReason, Wake};

use crate::host::Cartwright;

/// The result of an order hook.
#[derive(Debug, Clone)]
pub struct HandleResult {
    /// Whether the hook asked to be called again.
    pub next: Next,
    /// The outcomes that it emitted, in order.
    pub outcomes: Vec<Outcome>,
    /// Its log lines.
    pub log: Vec<LogLine>,
}

impl Cartwright {
    /// Passes an order event to an account's plugin and waits until the hook returns. `state` is the text that an
    /// earlier `continue-later` of the hook passed on. A crash loses the run; use [`Cartwright::run_job`] for durable
    /// runs.
    ///
    /// # Errors
    /// Returns the plugin's error; retry after `unavailable`. [`HookError::emitted`] contains what the hook emitted
    /// before it failed.
    pub async fn handle_order(
        &self,
        shop: &ShopId,
        account: &AccountId,
        event: &OrderEvent,
        state: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<HandleResult, SetupError> {
        self.handle_order_in(Arc::new(MemoryJournal::default()), shop, account, event, state, clock).await
    }

    /// Like [`handle_order`](Self::handle_order), with a journal of the caller, who can inspect it afterwards, even
    /// after a failure.
    ///
    /// # Errors
    /// The same as [`handle_order`](Self::handle_order).
    pub async fn handle_order_in(
        &self,
        journal: Arc<MemoryJournal>,
        shop: &ShopId,
        account: &AccountId,
        event: &OrderEvent,
        state: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<HandleResult, SetupError> {
        let plugin = self.current_version(shop, account)?;
        let job = Job {
            id: event.id.clone(),
            shop: shop.clone(),
            account: account.clone(),
            plugin: plugin.digest(),
            event: event.clone(),
            state: state.map(str::to_owned),
            round: 0,
        };
        let mut log = Vec::new();
        let lost = |error: String| Failure::PluginError(records::CallError::Internal(error));
        let result = loop {
            let (journal, clock) = (journal.clone(), clock.clone());
            let start = RunInput { journal, clock: clock.clone(), wake: Wake::Due, cancel: Cancel::default() };
            let mut run = match self.run_job(&job, start).await {
                Ok(run) => run,
                Err(RunError::Setup(error)) => return Err(error),
                Err(RunError::Journal(error)) => break Err(lost(error.to_string())),
            };
            log.append(&mut run.log);
            break match run.end {
                RunEnd::Sleep { until } => {
                    let remaining = until.duration_since(clock.now()).unwrap_or_default();
                    clock.sleep(u32::try_from(remaining.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)).await;
                    continue;
                }
                RunEnd::PendingRequest(waiting) => match waiting.wait().await {
                    Ok(()) => continue,
                    Err(error) => Err(lost(error.to_string())),
                },
                RunEnd::Done => Ok(Next::Done),
                RunEnd::ContinueLater { seconds, state } => Ok(Next::ContinueLater(Continuation { seconds, state })),
                RunEnd::Retry { outage } => Err(Failure::PluginError(records::CallError::Unavailable(outage))),
                RunEnd::Stopped { reason: StopReason::Failed(failure) } => Err(failure),
                RunEnd::Stopped { reason } => Err(Failure::ContractViolation(reason.to_string())),
                RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) } => {
                    Err(Failure::UnansweredRequest(unanswered.request))
                }
                RunEnd::Cancelled { unanswered: None } => Ok(Next::Done),
            };
        };
        let outcomes = journal.outcomes();
        match result {
            Ok(next) => Ok(HandleResult { next, outcomes, log }),
            Err(failure) => {
                let emitted = Box::new(EmittedOutcomes { outcomes, log });
                Err(HookError { plugin: plugin.id().clone(), hook: Hook::HandleOrder, failure, emitted }.into())
            }
        }
    }
}
