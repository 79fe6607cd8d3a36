//! One run of one order event.

use std::sync::Arc;
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;

use crate::capability::log::LogSink;
use crate::capability::wasi::GuestClock;
use crate::cart::Visitor;
use crate::clock::Clock;
use crate::contract::{self, Event, Next, Outage};
use crate::durable::MOST_ENTRIES;
use crate::durable::clock::timestamp;
use crate::durable::history::History;
use crate::durable::journal::{Began, Entry, Journal, JournalError};
use crate::durable::replay::{Cancel, Cursor, Fault, Stop, Unanswered, Wake, append};
use crate::durable::send::Waiting;
use crate::error::{Failure, LogLine, SetupError};
use crate::guest::{CallOptions, call};
use crate::hook::Hook;
use crate::host::Cartwright;
use crate::ids::{AccountId, Digest, ShopId};
use crate::observe::JobRun;
use crate::shop::context;

/// The longest state that `again` may hand on.
const MOST_STATE: usize = 64 << 10;

/// An order event that is to be handled. The same in every run until `again`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id, unique in this installation.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The vendor account.
    pub account: AccountId,
    /// The component that it began with. Only an operator gives it another.
    pub plugin: Digest,
    /// The event.
    pub event: Event,
    /// What the last `again` handed on.
    pub state: Option<String>,
    /// How often the plugin returned `again` before: each time it has a fresh journal, other random numbers, and may say again
    /// what it said before.
    pub round: u32,
}

/// What a run needs beside its job.
pub struct Start {
    /// The job's journal.
    pub journal: Arc<dyn Journal>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// Why it is started.
    pub wake: Wake,
    /// Cancels it.
    pub cancel: Cancel,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ran {
    /// What is to be done next.
    pub end: RunEnd,
    /// What the plugin logged; nothing that it logged in an earlier run.
    pub log: Vec<LogLine>,
}

/// What a worker does next.
#[derive(Debug)]
pub enum RunEnd {
    /// The event is handled.
    Done,
    /// Run it again after so many seconds, with this state, the next round's number and a fresh journal.
    Again {
        /// How long to wait.
        seconds: u32,
        /// [`Job::state`] of the next run.
        state: String,
    },
    /// Run it again at this time, or sooner with [`Wake::EventWaiting`] or [`Wake::Cancelled`].
    Sleep {
        /// The time.
        until: SystemTime,
    },
    /// A request is out. Await it, then run the job again.
    Waiting(Waiting),
    /// Somebody cannot be reached. Run it again later: the last answer is asked for anew.
    Retry {
        /// What is away, and when it is worth trying again, where that is known.
        outage: Outage,
    },
    /// It failed. Most failures need a person, see [`retry`]; [`next_step`](super::next_step) knows those that pass.
    Stopped {
        /// Why.
        why: Why,
    },
    /// A person must look whether a request arrived that must not be sent twice. See [`retry`].
    NeedsMerchant {
        /// The request.
        unanswered: Unanswered,
    },
    /// It was cancelled, and the plugin has tidied up if it waited.
    Cancelled {
        /// A request that may have arrived, and whose answer nobody knows.
        unanswered: Option<Unanswered>,
    },
}

impl RunEnd {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again { .. } => "again",
            Self::Sleep { .. } => "sleep",
            Self::Waiting(_) => "waiting",
            Self::Retry { .. } => "retry",
            Self::Stopped { .. } => "stopped",
            Self::NeedsMerchant { .. } => "needs-merchant",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// Why a job stopped.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "why", content = "detail", rename_all = "kebab-case")]
pub enum Why {
    /// The plugin answered with an error that does not pass, trapped, or broke a limit.
    #[error("{0}")]
    Failed(Failure),
    /// It did not repeat itself.
    #[error("{0}")]
    Fault(Fault),
    /// Its journal is full.
    #[error("the journal holds {MOST_ENTRIES} entries; a plugin that has more to do returns `again`")]
    JournalFull,
}

/// A run could not be made. Nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The shop, the account or the component is not there.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Prepares a job that stopped, or that waits for a person, to be tried again: what it asked last is asked anew, and a request
/// that must not be sent twice is sent again. Called once, when a person says so.
///
/// # Errors
/// When the journal cannot be read or written, or is full.
pub async fn retry(journal: &dyn Journal, clock: &dyn Clock) -> Result<(), JournalError> {
    let mut history = History::of(journal.load().await?)?;
    if history.began.is_none() {
        return Ok(());
    }
    if history.entries >= MOST_ENTRIES {
        return Err(JournalError::Full);
    }
    let keep = history.kept_by_retry();
    append(journal, &mut history, clock.now(), Entry::Retried { keep }).await
}

impl Cartwright {
    /// Runs a job from its beginning: its journal answers what it can, the rest happens. Dropping the run is a crash, and does
    /// no harm.
    ///
    /// # Errors
    /// When the run could not be made or its journal could not be written. Run the job again later: what stands, stands.
    pub async fn run_job(&self, job: &Job, start: Start) -> Result<Ran, RunError> {
        let ran = self.run_once(job, start).await;
        if let Some(observer) = &self.platform().observer {
            let plugin = self.plugin(&job.plugin);
            let plugin = plugin.as_ref().map(|plugin| plugin.id());
            let end = ran.as_ref().map_or("lost", |ran| ran.end.name());
            observer.job_ran(&JobRun { plugin, shop: &job.shop, account: &job.account, end });
        }
        ran
    }

    async fn run_once(&self, job: &Job, start: Start) -> Result<Ran, RunError> {
        let state = self.shop_state(&job.shop)?;
        let account = state.account(&job.account)?;
        let digest = self.replacement(&job.plugin).map_err(|_| SetupError::Revoked(job.plugin))?;
        let plugin = self.plugin(&digest).ok_or(SetupError::NoPlugin(digest))?;
        let mut history = History::of(start.journal.load().await?)?;
        let began = match &history.began {
            Some(began) => began.clone(),
            None => {
                let version = account.versions.get(&digest).ok_or(SetupError::NoPlugin(digest))?;
                let mut context = context(&state.shop, account, version, None, &Visitor::default());
                context.at = timestamp(start.clock.now());
                let began = Began { context, personal_data: account.grants.personal_data };
                append(&*start.journal, &mut history, start.clock.now(), Entry::Began(began.clone())).await?;
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
            made: 0,
            told: false,
            stopped: None,
        };
        cursor.rewind();
        let mut options = CallOptions::new(Hook::HandleOrder, Some(scope)).seed(self.seed_of(job));
        options = options.lines(event.order.lines.len());
        options.readable = event.order.lines.iter().filter_map(|line| line.configuration.clone()).collect();
        options.durable = Some(Box::new(cursor));
        let interfaces = plugin.interfaces();
        let mut ended = None;
        let answer = call(self.ticker(), &plugin, options, async |store, instance| {
            let answer = match interfaces.orders(store, instance) {
                Ok(orders) => orders.call_handle(&mut *store, &began.context, &event, job.state.as_deref()).await,
                Err(error) => Err(error),
            };
            ended = store.data_mut().durable.take();
            answer
        })
        .await;
        let (answer, log) = match answer {
            Ok((answer, trace)) => (answer.map_err(Failure::Answered), trace.log),
            Err(error) => (Err(error.failure), error.said.log),
        };
        let end = match ended {
            Some(cursor) => cursor.ended(answer).await?,
            // The call was broken off by its deadline, or had not come as far as the hook.
            None => match answer {
                Ok(_) => RunEnd::Done,
                Err(failure) => RunEnd::Stopped { why: Why::Failed(failure) },
            },
        };
        Ok(Ran { end, log })
    }

    /// The same in every run, on every machine that has the host's secret.
    fn seed_of(&self, job: &Job) -> [u8; 32] {
        // HMAC takes a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(self.secret().expose());
        mac.map_or([0; 32], |mac| {
            mac.chain_update(job.id.as_bytes()).chain_update(job.round.to_le_bytes()).finalize().into_bytes().into()
        })
    }
}

impl Cursor {
    /// What the end of the guest's call means for the job.
    async fn ended(mut self, answer: Result<Next, Failure>) -> Result<RunEnd, JournalError> {
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
            (None, Ok(_) | Err(Failure::Answered(contract::Error::Unavailable(_)))) if self.is_cancelled() => {
                Ok(RunEnd::Cancelled { unanswered: None })
            }
            (None, Ok(Next::Again(later))) if later.state.len() > MOST_STATE => {
                stopped(Failure::BrokeContract(format!("`again` hands on more than {MOST_STATE} bytes")))
            }
            (None, Ok(Next::Again(later))) => Ok(RunEnd::Again { seconds: later.seconds, state: later.state }),
            (None, Err(Failure::Answered(contract::Error::Unavailable(outage)))) => {
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
