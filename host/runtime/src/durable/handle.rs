//! Handles an order event at once and in memory: for platforms with a queue of their own, for the command line, and for
//! tests.

use std::sync::Arc;

use cartwright_contract::clock::Clock;
use cartwright_contract::error::{Failure, HookError, LogLine, Said, SetupError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::records::{self, Event, Later, Next, Outcome};

use crate::durable::end::{RunEnd, RunError, Why};
use crate::durable::job::{Cancel, Job, Wake};
use crate::durable::memory::MemoryJournal;
use crate::durable::run::Start;
use crate::host::Cartwright;

/// The result of an order hook.
#[derive(Debug, Clone)]
pub struct Handled {
    /// Whether the hook asked to be called again.
    pub next: Next,
    /// The outcomes that it emitted, in order.
    pub outcomes: Vec<Outcome>,
    /// Its log lines.
    pub log: Vec<LogLine>,
}

impl Cartwright {
    /// Hands an order event to an account's plugin and waits until it has returned. A crash loses the run; see
    /// [`Cartwright::run_job`], which this drives.
    ///
    /// # Errors
    /// As the plugin says; `unavailable` is worth trying again. What it said before stands in [`HookError::said`].
    pub async fn handle_order(
        &self,
        shop: &ShopId,
        account: &AccountId,
        event: &Event,
        handed_on: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Handled, SetupError> {
        self.handle_order_in(Arc::new(MemoryJournal::default()), shop, account, event, handed_on, clock).await
    }

    /// The same in a journal of the caller's, which can look at it afterwards, whatever came of the event.
    ///
    /// # Errors
    /// As [`handle_order`](Self::handle_order).
    pub async fn handle_order_in(
        &self,
        journal: Arc<MemoryJournal>,
        shop: &ShopId,
        account: &AccountId,
        event: &Event,
        handed_on: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Handled, SetupError> {
        let plugin = self.running(shop, account)?;
        let job = Job {
            id: event.id.clone(),
            shop: shop.clone(),
            account: account.clone(),
            plugin: plugin.digest(),
            event: event.clone(),
            state: handed_on.map(str::to_owned),
            round: 0,
        };
        let mut log = Vec::new();
        let lost = |error: String| Failure::Answered(records::Error::Internal(error));
        let ended = loop {
            let (journal, clock) = (journal.clone(), clock.clone());
            let start = Start { journal, clock: clock.clone(), wake: Wake::Due, cancel: Cancel::default() };
            let mut ran = match self.run_job(&job, start).await {
                Ok(ran) => ran,
                Err(RunError::Setup(error)) => return Err(error),
                Err(RunError::Journal(error)) => break Err(lost(error.to_string())),
            };
            log.append(&mut ran.log);
            break match ran.end {
                RunEnd::Sleep { until } => {
                    let left = until.duration_since(clock.now()).unwrap_or_default();
                    clock.sleep(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)).await;
                    continue;
                }
                RunEnd::Waiting(waiting) => match waiting.answered().await {
                    Ok(()) => continue,
                    Err(error) => Err(lost(error.to_string())),
                },
                RunEnd::Done => Ok(Next::Done),
                RunEnd::Again { seconds, state } => Ok(Next::Again(Later { seconds, state })),
                RunEnd::Retry { outage } => Err(Failure::Answered(records::Error::Unavailable(outage))),
                RunEnd::Stopped { why: Why::Failed(failure) } => Err(failure),
                RunEnd::Stopped { why } => Err(Failure::BrokeContract(why.to_string())),
                RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) } => {
                    Err(Failure::Unanswered(unanswered.request))
                }
                RunEnd::Cancelled { unanswered: None } => Ok(Next::Done),
            };
        };
        let outcomes = journal.outcomes();
        match ended {
            Ok(next) => Ok(Handled { next, outcomes, log }),
            Err(failure) => {
                let said = Box::new(Said { outcomes, log });
                Err(HookError { plugin: plugin.id().clone(), hook: Hook::HandleOrder, failure, said }.into())
            }
        }
    }
}
