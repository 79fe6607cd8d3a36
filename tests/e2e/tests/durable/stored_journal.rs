//! The same hook with a database: its journal, its order book and its blobs are the store's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cartwright::durable::{Cancel, Journal, JournalError, Loaded, Record, RunEnd, RunError, RunInput};
use cartwright::types::{OrderEventKind, Outcome};
use cartwright::{Clock, OrderBook};
use cartwright_store::{Claim, JobState, Keyring, Lines, NewJob, RecordOutcome, Store, StoreJournal};

use crate::erp::Erp;

const LEASE: Duration = Duration::from_secs(60);

/// A journal whose worker is lost at one of its entries, before or after it is written.
struct LosingJournal {
    inner: Arc<StoreJournal>,
    entries: Arc<AtomicUsize>,
    at: usize,
    is_written: bool,
}

#[async_trait]
impl Journal for LosingJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        self.inner.load().await
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        if self.entries.fetch_add(1, Ordering::Relaxed) != self.at {
            return self.inner.append(position, record).await;
        }
        if self.is_written {
            self.inner.append(position, record).await?;
        }
        Err(JournalError::Store("lost".to_owned()))
    }
}

struct StoredErp {
    erp: Erp,
    store: Arc<Store>,
    job: String,
    entries: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl StoredErp {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let store = Arc::new(Store::open(&url, Keyring::new([7; 32])).await.expect("a store"));
        let erp = Erp::with(|builder| builder.order_book(store.clone()).blobs(store.clone())).await;
        let event = erp.event("1001", OrderEventKind::Released);
        let job = NewJob { account: erp.account.clone(), plugin: erp.plugin, lines: Lines::All };
        let recorded = store.orders().record_event(&erp.shop, &event, &[job], erp.clock.now()).await.expect("recorded");
        let RecordOutcome::New { mut jobs } = recorded else { panic!("it is known") };
        Self { erp, store, job: jobs.remove(0), entries: Arc::default(), _folder: folder }
    }

    async fn claim(&self) -> Option<Claim> {
        self.store.jobs().claim("node", self.erp.clock.now(), LEASE).await.expect("an answer")
    }

    /// Runs a claim once, and stores its end. Returns `None` if the worker was lost.
    async fn run(&self, claim: &Claim, at: usize, is_written: bool) -> Option<JobState> {
        loop {
            let (inner, entries) = (claim.journal.clone(), self.entries.clone());
            let journal = Arc::new(LosingJournal { inner, entries, at, is_written });
            let clock = self.erp.clock.clone();
            let start = RunInput { journal, clock: clock.clone(), wake: claim.wake, cancel: Cancel::default() };
            let run = match self.erp.host.run_job(&claim.job, start).await {
                Ok(run) => run,
                Err(RunError::Journal(_)) => return None,
                Err(error) => panic!("{error}"),
            };
            let state = self.store.jobs().finish(&claim.lease, Ok(&run.end), clock.now()).await.expect("finished");
            let RunEnd::PendingRequest(waiting) = run.end else { return Some(state) };
            waiting.wait().await.ok()?;
        }
    }

    /// Works until the job has ended, with a worker that is lost once.
    async fn work(&self, at: usize, is_written: bool) {
        for _ in 0..100 {
            match self.claim().await {
                Some(claim) => match self.run(&claim, at, is_written).await {
                    Some(JobState::Done) => return,
                    Some(_) => {}
                    None => self.erp.advance(60).await,
                },
                None => self.erp.advance(10).await,
            }
        }
        panic!("the job does not end: {:?}", self.store.jobs().get(&self.job).await);
    }

    async fn outcomes(&self) -> Vec<Outcome> {
        let outcomes = self.store.outcomes().list(&self.erp.shop, "1001").await.expect("outcomes");
        outcomes.into_iter().map(|stored| stored.outcome).collect()
    }
}

#[tokio::test]
async fn a_reference_stands_in_the_order_book_while_the_job_sleeps() {
    let kept = StoredErp::new().await;
    let reference = kept.erp.host.reference(&kept.erp.shop, "1001", None);
    let find = async || {
        kept.store.find(&kept.erp.shop, &kept.erp.account, &reference).await.expect("an answer").expect("an order")
    };
    assert_eq!(find().await.vendor_reference, None);
    let claim = kept.claim().await.expect("a job");
    let state = kept.run(&claim, usize::MAX, true).await;
    assert!(matches!(state, Some(JobState::Sleeping { .. })), "{state:?}");
    assert_eq!(find().await.vendor_reference, Some(format!("ERP-{reference}")));
    assert!(kept.claim().await.is_none());
}

#[tokio::test]
async fn a_worker_keeps_a_job_whose_request_is_slow() {
    let kept = StoredErp::new().await;
    kept.erp.close();
    let claim = kept.claim().await.expect("a job");
    let opened = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(matches!(kept.store.jobs().get(&kept.job).await.expect("the job").summary.state, JobState::Waiting));
        assert!(kept.claim().await.is_none());
        kept.erp.open();
    };
    let (state, ()) = tokio::join!(kept.run(&claim, usize::MAX, true), opened);
    assert!(matches!(state, Some(JobState::Sleeping { .. })), "{state:?}");
}

#[tokio::test]
async fn an_order_survives_the_loss_of_its_worker_at_every_entry() {
    let undisturbed = StoredErp::new().await;
    undisturbed.work(usize::MAX, true).await;
    let (entries, outcomes) = (undisturbed.entries.load(Ordering::Relaxed), undisturbed.outcomes().await);
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for at in 0..entries {
        for is_written in [false, true] {
            let kept = StoredErp::new().await;
            kept.work(at, is_written).await;
            assert_eq!(kept.outcomes().await, outcomes, "lost at entry {at}, which stands: {is_written}");
            assert_eq!(kept.erp.state().posted.len(), 1);
        }
    }
}
