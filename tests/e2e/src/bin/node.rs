//! A node in its own process, for tests that lose one: `node <database> <name> <clock> [<point>]`.
//!
//! Sets a host up from the database, works until no job can continue without a person, prints the number of points it
//! passed, and ends. Its clock begins at `<clock>`, seconds since 1970, and moves forward whenever nothing is due, so
//! that no test waits for a polling interval; several nodes need a common clock, and `now` selects this machine's. At
//! the point of that number, before or after a commit, the process aborts without a shutdown.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use cartwright::{Cartwright, Clock, SystemClock};
use cartwright_e2e::stored::{KEY, WoundClock, host_secret, work};
use cartwright_store::{Keyring, Store, Worker, WorkerSettings};

/// Duration of a lease in tests that lose a node: short, so that the others take over soon, and long enough for a slow
/// machine's heartbeats.
const LEASE: Duration = Duration::from_secs(6);

/// The number of points passed.
static PASSED: AtomicUsize = AtomicUsize::new(0);
/// The point, counted from 1, at which the process aborts; 0 for none.
static LOST_AT: AtomicUsize = AtomicUsize::new(0);

/// Counts a point, and aborts the process at the selected one.
fn pass() {
    if PASSED.fetch_add(1, Ordering::SeqCst) + 1 == LOST_AT.load(Ordering::SeqCst) {
        std::process::abort();
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let database = arguments.next().ok_or("which database?")?;
    let name = arguments.next().ok_or("which node?")?;
    let begins = match arguments.next().ok_or("when?")?.as_str() {
        "now" => None,
        seconds => Some(UNIX_EPOCH + Duration::from_secs(seconds.parse()?)),
    };
    let lease = if begins.is_some() { Duration::from_secs(60) } else { LEASE };
    LOST_AT.store(arguments.next().map_or(Ok(0), |point| point.parse::<usize>())?, Ordering::SeqCst);
    let store = Store::open(&database, Keyring::new(KEY)).await?;
    let clock: Arc<dyn Clock> = match begins {
        Some(begins) => Arc::new(WoundClock::at(begins)),
        None => Arc::new(SystemClock),
    };
    let builder = Cartwright::builder()
        .order_book(Arc::new(store.clone()))
        .blobs(Arc::new(store.clone()))
        .installation("test")
        .secret(host_secret())
        .cache(std::env::temp_dir().join("cartwright-tests-cache"));
    let host = Arc::new(builder.start()?);
    if let Some(fault) = store.restore(&host).await?.into_iter().next() {
        return Err(fault.into());
    }
    store.on_commit(pass);
    let settings = WorkerSettings { poll: Duration::from_millis(5), lease, ..WorkerSettings::new(name) };
    let worker = Worker::start(host, store.clone(), clock.clone(), settings);
    work(&store, &*clock, |_| {}).await?;
    let drained = worker.drain(Duration::from_secs(10)).await;
    if !drained.given_back.is_empty() || !drained.left.is_empty() {
        return Err(format!("{drained:?}").into());
    }
    println!("{}", PASSED.load(Ordering::SeqCst));
    Ok(())
}
