//! A small worker that runs a job to its end, and crashes once on the way.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cartwright::durable::{
    Cancel, Entry, Job, Journal, JournalError, Loaded, MemoryJournal, Record, RunEnd, RunError, RunInput,
    UnansweredRequest, Wake,
};
use cartwright::types::{Memo, Outcome};
use cartwright::{Cartwright, Clock, SimulatedClock};
use tokio::sync::Notify;

/// How a run crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The entry is not written, so what precedes it is lost.
    BeforeEntry,
    /// The entry is written, but its caller is not notified.
    AfterEntry,
    /// The entry is written, then the whole run is dropped.
    Dropped,
    /// The same, during a request.
    WhileOut,
}

impl Crash {
    pub const ALL: [Self; 4] = [Self::BeforeEntry, Self::AfterEntry, Self::Dropped, Self::WhileOut];
}

/// Counts the entries of all runs of a job, and crashes at one of them.
#[derive(Default)]
pub struct Crashes {
    at: Option<(usize, Crash)>,
    /// Crashes at about every third entry, in an order that this seed determines.
    seed: Option<u64>,
    entries: AtomicUsize,
    crashed_entry: Mutex<Option<Entry>>,
    dropped: Notify,
}

impl Crashes {
    pub fn once(entry: usize, crash: Crash) -> Arc<Self> {
        Arc::new(Self { at: Some((entry, crash)), ..Self::default() })
    }

    pub fn repeatedly(seed: u64) -> Arc<Self> {
        Arc::new(Self { seed: Some(seed), ..Self::default() })
    }

    pub fn never() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Returns the number of entries that were written, or attempted.
    pub fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    fn crash_at(&self, number: usize) -> Option<Crash> {
        let Some(seed) = self.seed else { return self.at.filter(|(at, _)| *at == number).map(|(_, crash)| crash) };
        let mut hash = DefaultHasher::new();
        (seed, number).hash(&mut hash);
        let drawn = hash.finish();
        drawn.is_multiple_of(3).then(|| Crash::ALL[usize::try_from(drawn / 3 % 4).unwrap_or(0)])
    }

    /// Returns the entry of the crash.
    pub fn crashed_entry(&self) -> Option<Entry> {
        self.crashed_entry.lock().expect("the entry").clone()
    }
}

struct Crashing {
    inner: Arc<MemoryJournal>,
    crashes: Arc<Crashes>,
}

#[async_trait]
impl Journal for Crashing {
    async fn load(&self) -> Result<Loaded, JournalError> {
        self.inner.load().await
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        let number = self.crashes.entries.fetch_add(1, Ordering::Relaxed);
        let crash_error = || JournalError::Store("a crash of the test's".to_owned());
        let crash = self.crashes.crash_at(number);
        let is_intent = matches!(record.entry, Entry::Intent { .. });
        if crash.is_some_and(|crash| crash != Crash::WhileOut || is_intent) {
            *self.crashes.crashed_entry.lock().expect("the entry") = Some(record.entry.clone());
        }
        match crash {
            Some(Crash::BeforeEntry) => Err(crash_error()),
            Some(Crash::AfterEntry) => {
                self.inner.append(position, record).await?;
                Err(crash_error())
            }
            Some(Crash::Dropped) => {
                self.inner.append(position, record).await?;
                self.crashes.dropped.notify_one();
                std::future::pending().await
            }
            Some(Crash::WhileOut) if is_intent => {
                self.inner.append(position, record).await?;
                let crashes = self.crashes.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    crashes.dropped.notify_one();
                });
                Ok(())
            }
            Some(Crash::WhileOut) | None => self.inner.append(position, record).await,
        }
    }
}

/// The result of a job with a crash.
#[derive(Debug)]
pub struct CrashRun {
    /// A request that needs the merchant; `None` if the event was handled.
    pub unanswered: Option<UnansweredRequest>,
    /// The recorded outcomes, without repetitions.
    pub outcomes: Vec<Outcome>,
    /// The content of the journals.
    pub records: Vec<Record>,
    pub crashed: usize,
    pub slept: Vec<u32>,
}

impl CrashRun {
    /// Returns whether the crash happened as planned. A vendor may be faster than the crash.
    pub fn crashed_as(&self, crash: Crash) -> bool {
        self.crashed == 1 || (crash == Crash::WhileOut && self.crashed == 0)
    }
}

/// Runs a job to its end. `webhook_memos` has the memos of earlier webhooks.
pub async fn course(
    host: &Cartwright,
    mut job: Job,
    crashes: &Arc<Crashes>,
    webhook_memos: impl Fn() -> Vec<Memo>,
) -> CrashRun {
    let mut journal = Arc::new(MemoryJournal::default());
    let clock = Arc::new(SimulatedClock::default());
    let (mut records, mut crashed) = (Vec::new(), 0);
    let unanswered = loop {
        let start = RunInput {
            journal: Arc::new(Crashing { inner: journal.clone(), crashes: crashes.clone() }),
            clock: clock.clone(),
            wake: Wake::Due,
            cancel: Cancel::default(),
        };
        let run = async {
            let mut run = host.run_job(&job, start).await?;
            if let RunEnd::PendingRequest(waiting) = run.end {
                waiting.wait().await?;
                run.end = RunEnd::Sleep { until: clock.now() };
            }
            Ok::<_, RunError>(run)
        };
        let run = tokio::select! {
            run = run => run,
            () = crashes.dropped.notified() => Err(JournalError::Store("dropped".to_owned()).into()),
        };
        let run = match run {
            Ok(run) => run,
            Err(RunError::Journal(_)) => {
                crashed += 1;
                assert!(crashed < if crashes.seed.is_some() { 100 } else { 3 }, "one crash became many");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        match run.end {
            RunEnd::Done => break None,
            RunEnd::NeedsMerchant { unanswered } => break Some(unanswered),
            RunEnd::Sleep { until } => {
                if let Ok(left) = until.duration_since(clock.now())
                    && !left.is_zero()
                {
                    clock.sleep(u32::try_from(left.as_secs()).expect("a wait")).await;
                }
            }
            RunEnd::ContinueLater { seconds, state } => {
                clock.sleep(seconds).await;
                records.extend(journal.records());
                journal = Arc::new(journal.next().expect("a journal"));
                job.round += 1;
                job.state = Some(state);
                let memory = |outcome: Outcome| match outcome {
                    Outcome::SetMemo(memory) => Some(memory),
                    _ => None,
                };
                job.event.memos = journal.outcomes().into_iter().filter_map(memory).chain(webhook_memos()).collect();
            }
            RunEnd::Retry { outage } => clock.sleep(outage.retry_after_seconds.unwrap_or(60)).await,
            other => panic!("{other:?}"),
        }
    };
    records.extend(journal.records());
    CrashRun { unanswered, outcomes: journal.outcomes(), records, crashed, slept: clock.slept() }
}
