//! A node in its own process, which the story starts, kills and replaces.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use cartwright::Clock;
use cartwright_service::database::{self, KEY_VARIABLE};
use cartwright_store::{JobFilter, JobState, JobSummary, Worker, WorkerSettings};

use super::setup::{self, StoredDemo};

/// The variable that passes the host's secret, which all nodes share.
const SECRET_VARIABLE: &str = "CARTWRIGHT_DEMO_SECRET";
/// Duration of a lease: after it another node takes over the jobs of a dead one. Short, because the story waits for it,
/// and long enough for a busy machine to renew it.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// Maximum time for a node to finish its jobs.
const NODE_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// This machine's clock, moved forward over waits so that the story need not wait for polling intervals.
#[derive(Default)]
struct WoundClock {
    milliseconds: AtomicU64,
}

impl WoundClock {
    fn advance_to(&self, at: SystemTime) {
        if let Ok(ahead) = at.duration_since(self.now()) {
            // Rounded up, so that the job is due at the new time.
            let ahead = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            self.milliseconds.fetch_add(ahead, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Clock for WoundClock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_millis(self.milliseconds.load(Ordering::SeqCst))
    }

    async fn sleep(&self, seconds: u32) {
        self.advance_to(self.now() + Duration::from_secs(seconds.into()));
    }
}

/// Returns when a job continues without a person, or `None` if it does not.
fn due(job: &JobSummary, now: SystemTime) -> Option<SystemTime> {
    match job.state {
        // Its predecessor is in the list too.
        _ if job.blocked_by.is_some() => None,
        JobState::Queued { due } => Some(due),
        JobState::Sleeping { until } | JobState::Retrying { until, .. } => Some(until),
        JobState::Running | JobState::Waiting => Some(now),
        JobState::NeedsMerchant | JobState::Stopped | JobState::Done | JobState::Cancelled => None,
    }
}

/// Restores a host from the database and works until no job can continue without a person.
pub(crate) async fn work(url: String) -> anyhow::Result<()> {
    let secret = std::env::var(SECRET_VARIABLE).with_context(|| format!("{SECRET_VARIABLE} is not set"))?;
    let store = database::open(&url, None).await?;
    let host = Arc::new(setup::builder(&store, &secret).start()?);
    if let Some(fault) = store.restore(&host).await?.into_iter().next() {
        return Err(fault.into());
    }
    let clock = Arc::new(WoundClock::default());
    let settings = WorkerSettings { lease: LEASE, poll: POLL, ..WorkerSettings::new("demo") };
    let worker = Worker::start(host, store.clone(), clock.clone(), settings);
    loop {
        let now = clock.now();
        let jobs = store.jobs().list(&JobFilter::default(), u32::MAX).await?;
        match jobs.iter().filter_map(|job| due(job, now)).min() {
            Some(next) => clock.advance_to(next),
            None => break,
        }
        tokio::time::sleep(POLL).await;
    }
    let drained = worker.drain(LEASE).await;
    ensure!(drained.given_back.is_empty() && drained.left.is_empty(), "jobs are unfinished: {drained:?}");
    Ok(())
}

/// The process of a node, which is killed on drop.
pub(crate) struct Node(Child);

impl Node {
    pub(crate) fn start(stored: &StoredDemo) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["demo", "--node", &stored.url]).env(KEY_VARIABLE, &stored.key);
        command.env(SECRET_VARIABLE, &stored.secret).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().context("cannot start a node")?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for a condition while the node works.
    pub(crate) async fn until(&mut self, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let waiting = async {
            while !holds().await? {
                if let Some(status) = self.0.try_wait()? {
                    bail!("the node ended too early: {status}");
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(NODE_TIMEOUT, waiting).await.context("the node takes too long")?
    }

    /// Kills the process without a shutdown.
    pub(crate) fn kill(mut self) -> anyhow::Result<ExitStatus> {
        ensure!(self.0.try_wait()?.is_none(), "the node ended before it was killed");
        self.0.kill()?;
        Ok(self.0.wait()?)
    }

    /// Waits until the node has finished all jobs.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        let ending = async {
            loop {
                match self.0.try_wait()? {
                    Some(status) if status.success() => return Ok(()),
                    Some(status) => bail!("the node failed: {status}"),
                    None => tokio::time::sleep(POLL).await,
                }
            }
        };
        tokio::time::timeout(NODE_TIMEOUT, ending).await.context("the node takes too long")?
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Has no effect on a process that has already ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
