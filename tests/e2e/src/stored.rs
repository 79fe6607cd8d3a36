//! Shops in a database, for nodes in their own processes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cartwright::{Cartwright, Clock, Secret, ShopId};
use cartwright_store::{JobFilter, JobState, Store, StoreError};

/// The tests' key of stores.
pub const KEY: [u8; 32] = [7; 32];

/// Returns the tests' secret of hosts, which all nodes share.
pub fn host_secret() -> Secret {
    Secret::new("a host's secret of the tests, 32 bytes at least")
}

/// Stores a shop in its current state on the host, with the components that it runs.
///
/// # Panics
/// If it cannot be stored.
pub async fn store_shop(store: &Store, host: &Cartwright, shop: &ShopId, components: &[&[u8]]) {
    let now = SystemTime::now();
    for bytes in components {
        let plugin = host.install(bytes, None).await.expect("a component");
        store.components().save(plugin.id(), &plugin.metadata().identity.version, bytes, now).await.expect("kept");
    }
    let snapshot = host.snapshot(shop).expect("the shop");
    store.shops().save_shop(&snapshot.shop, now).await.expect("kept");
    for account in &snapshot.accounts {
        store.shops().save_account(shop, account, now).await.expect("kept");
    }
    store.shops().save_links(shop, &snapshot.links, now).await.expect("kept");
}

/// A clock that is moved by hand: a wait ends at once. Milliseconds since 1970.
pub struct WoundClock(AtomicU64);

impl WoundClock {
    /// Returns a clock that begins at a time.
    pub fn at(begins: SystemTime) -> Self {
        Self(AtomicU64::new(milliseconds(begins)))
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Clock for WoundClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, seconds: u32) {
        self.0.fetch_max(milliseconds(self.now() + Duration::from_secs(seconds.into())), Ordering::SeqCst);
    }
}

/// Returns when a job continues without a person, or `None` if it does not.
fn due(state: JobState, now: SystemTime) -> Option<SystemTime> {
    match state {
        JobState::Queued { due } => Some(due),
        JobState::Sleeping { until } | JobState::Retrying { until, .. } => Some(until),
        JobState::Running | JobState::Waiting => Some(now),
        JobState::NeedsMerchant | JobState::Stopped | JobState::Done | JobState::Cancelled => None,
    }
}

/// Waits until no job can continue without a person. Whenever nothing is due, the clock sleeps until a job is, and
/// `before` gets that time first.
///
/// # Errors
/// The error of the database.
pub async fn work(store: &Store, clock: &dyn Clock, mut before: impl FnMut(SystemTime)) -> Result<(), StoreError> {
    loop {
        let (jobs, now) = (store.jobs().list(&JobFilter::default(), u32::MAX).await?, clock.now());
        let Some(next) = jobs.into_iter().filter_map(|job| due(job.state, now)).min() else { return Ok(()) };
        if let Ok(left) = next.duration_since(now)
            && !left.is_zero()
        {
            before(next);
            clock.sleep(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
