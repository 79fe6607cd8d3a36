//! Tests of the background tasks of a worker.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cartwright::types::{Outcome, Setting, SettingValue};
use cartwright::webhook::{Destination, Effects, WebhookDeliveryStore};
use cartwright::{Cartwright, Clock};
use cartwright_store::{DrainReport, NewAuditEntry, Retention, Store, Worker, WorkerSettings};

use crate::database::{Database, MINUTE, account, at, on_each_database, shop};
use crate::notifications::{HANGS, WorkerState};
use crate::setup::with_account;

on_each_database!(
    a_platform_is_told_at_once,
    a_platform_that_was_away_is_told_when_it_is_time,
    what_cannot_be_done_now_is_done_later,
    a_platform_that_hangs_does_not_keep_a_worker_from_ending,
    what_vendors_pushed_is_looked_at_at_the_start_and_when_more_comes,
    what_is_past_its_time_goes_soon_after_the_start,
);

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Opens a worker whose order's job another worker has, so that its platform is notified only of what the test causes.
async fn open(database: &Database) -> WorkerState {
    let state = WorkerState::open(database).await;
    state.store.jobs().claim("another", state.clock.now(), DAY).await.unwrap().unwrap();
    state
}

/// Starts a worker of a host without shops.
fn work(store: &Store, clock: Arc<dyn Clock>, change: impl FnOnce(&mut WorkerSettings)) -> Worker {
    let host = Cartwright::builder().start().expect("a host");
    // A nudge starts what is not polled for in a test.
    let mut settings = WorkerSettings { poll: HOUR, ..WorkerSettings::new("node") };
    change(&mut settings);
    Worker::start(Arc::new(host), store.clone(), clock, settings)
}

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let started_at = Instant::now();
    while !reached().await {
        assert!(started_at.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn often(settings: &mut WorkerSettings) {
    settings.poll = Duration::from_millis(20);
}

async fn a_platform_is_told_at_once(database: Database) {
    let state = open(&database).await;
    let worker = work(&state.store, state.clock.clone(), |_| {});
    for (number, status) in ["in-production", "shipped"].into_iter().enumerate() {
        state.say("1", status).await;
        until(status, async || state.platform.received().len() == number + 1 && state.waiting().await == 0).await;
    }
    assert_eq!(worker.drain(MINUTE).await, DrainReport::default());
    state.say("1", "cancelled").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((state.platform.received().len(), state.waiting().await), (2, 1));
}

async fn a_platform_that_was_away_is_told_when_it_is_time(database: Database) {
    let state = open(&database).await;
    state.platform.answers(503);
    state.say("1", "shipped").await;
    let _worker = work(&state.store, state.clock.clone(), often);
    until("asked", async || state.platform.received().len() == 1).await;
    state.platform.answers(204);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(state.platform.received().len(), 1);
    state.clock.sleep(120).await;
    until("told", async || state.waiting().await == 0).await;
    assert_eq!(state.platform.received().len(), 2);
}

async fn what_cannot_be_done_now_is_done_later(database: Database) {
    let state = open(&database).await;
    state.say("1", "shipped").await;
    database.tamper("alter table notifications rename to away").await;
    let worker = work(&state.store, state.clock.clone(), often);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(state.platform.received().len(), 0);
    database.tamper("alter table away rename to notifications").await;
    until("told", async || state.platform.received().len() == 1).await;
    assert_eq!(worker.drain(MINUTE).await, DrainReport::default());
}

async fn a_platform_that_hangs_does_not_keep_a_worker_from_ending(database: Database) {
    let state = open(&database).await;
    state.platform.answers(HANGS);
    state.say("1", "shipped").await;
    let worker = work(&state.store, state.clock.clone(), |_| {});
    until("asked", async || state.platform.received().len() == 1).await;
    let started_at = Instant::now();
    assert_eq!(worker.drain(Duration::from_millis(100)).await, DrainReport::default());
    assert!(started_at.elapsed() < Duration::from_secs(5), "{:?}", started_at.elapsed());
    // Another sender delivers it when the lease of this one has expired.
    state.platform.answers(204);
    state.clock.sleep(61).await;
    let _another = work(&state.store, state.clock.clone(), |_| {});
    until("told", async || state.waiting().await == 0).await;
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn what_vendors_pushed_is_looked_at_at_the_start_and_when_more_comes(database: Database) {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let logs = async |text: &str| String::from_utf8_lossy(&log.0.lock().unwrap()).contains(text);
    let store = database.open().await;
    with_account(&store).await;
    let to = Destination { shop: shop(), account: account("expivi"), endpoint: "done".to_owned() };
    let push = async |second: u64| {
        let setting = Setting { name: "key".into(), value: SettingValue::Text(second.to_string()) };
        let outcomes = vec![(None, Outcome::PushSettings(vec![setting]))];
        store.apply(&to, at(second), Effects { outcomes, messages: Vec::new() }).await.unwrap();
    };
    push(1).await;
    // This host does not run the account, and says so.
    let _worker = work(&store, Arc::new(cartwright::SystemClock), |_| {});
    until("one push", async || logs("left=1").await).await;
    push(2).await;
    until("two pushes", async || logs("left=2").await).await;
}

async fn what_is_past_its_time_goes_soon_after_the_start(database: Database) {
    let state = open(&database).await;
    for (what, age) in [("old", 20), ("new", 5)] {
        let entry = NewAuditEntry { actor: "ann", action: what, subject: "expivi", ..NewAuditEntry::default() };
        state.store.audit().log(&entry, state.clock.now() - age * DAY).await.unwrap();
    }
    let actions = async || {
        let entries = state.store.audit().entries(None, None, 10).await.unwrap();
        entries.into_iter().map(|entry| entry.action).filter(|what| what == "old" || what == "new").collect::<Vec<_>>()
    };
    let retention = Retention { log: 10 * DAY, ..Retention::default() };
    let worker = work(&state.store, state.clock.clone(), |settings| settings.retention = retention);
    // A start is not slowed down.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(actions().await.len(), 2);
    until("swept", async || actions().await == ["new"]).await;
    assert_eq!(worker.drain(MINUTE).await, DrainReport::default());
}
