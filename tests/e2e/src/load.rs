//! Load: a shop whose order hook hands orders by the thousand to an ERP system that stores nothing, so that the memory
//! of this process is the host's.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use cartwright::health::{RateLimitRules, Rules};
use cartwright::types::{Order, OrderEvent, OrderEventKind, OrderLine};
use cartwright::{AccountId, AccountSetup, Cartwright, Clock, Digest, ShopId, SimulatedClock};
use cartwright_store::{Keyring, SoldLines, Store, Worker, WorkerSettings};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::orders::{event, order};
use crate::stored::{KEY, host_secret};
use crate::{ORDER_HOOK, local, members, shop};

/// A shop with its store, its hook and its ERP system.
pub struct Load {
    /// The host.
    pub host: Arc<Cartwright>,
    /// The store.
    pub store: Store,
    /// The shop.
    pub shop: ShopId,
    /// Its account with the hook.
    pub account: AccountId,
    /// The hook.
    pub plugin: Digest,
    /// The URL at which the ERP system accepts orders.
    pub erp: String,
    database: String,
    line: OrderLine,
}

async fn accept(headers: HeaderMap) -> String {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    json!({ "reference": format!("ERP-{key}") }).to_string()
}

impl Load {
    /// Sets the shop up on this database.
    ///
    /// # Panics
    /// If it cannot be set up.
    pub async fn new(database: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let erp = format!("http://{}/orders", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/orders", post(accept))).await });
        let store = Store::open(database, Keyring::new(KEY)).await.expect("a store");
        // The benchmark measures the speed of the host, not the rate limit of a vendor.
        let rate_limit = RateLimitRules { burst: NonZeroU32::MIN, interval: Duration::ZERO };
        let builder = Cartwright::builder()
            .order_book(Arc::new(store.clone()))
            .blobs(Arc::new(store.clone()))
            .health(Rules { rate_limit, ..Rules::default() })
            .installation("test")
            .secret(host_secret())
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        host.add_shop(shop("shop")).expect("a shop");
        let (shop, account): (ShopId, AccountId) = ("shop".parse().expect("an id"), "erp".parse().expect("an id"));
        let plugin = host.install(ORDER_HOOK, None).await.expect("the hook").digest();
        let settings = members(json!({ "url": erp, "token": "erp-token" }));
        let setup = AccountSetup { id: account.clone(), settings, grants: local(&erp) };
        host.set_account(&shop, plugin, setup).await.expect("an account");
        let sample: Value =
            serde_json::from_str(include_str!("../../guests/order-hook/order.json")).expect("the guest's order");
        let line = serde_json::from_value(sample["lines"][0].clone()).expect("its line");
        Self { host, store, shop, account, plugin, erp, database: database.to_owned(), line }
    }

    /// Returns an event of the order with this number, which has one line.
    pub fn event(&self, number: usize, kind: OrderEventKind) -> OrderEvent {
        let id = number.to_string();
        let reference = self.host.reference(&self.shop, &id, Some("1"));
        let lines = vec![OrderLine { reference, ..self.line.clone() }];
        event(kind, &Order { lines, ..order(&self.host, &self.shop, &id, &[]) })
    }

    /// Reports the event.
    ///
    /// # Panics
    /// If it is rejected.
    pub async fn report(&self, number: usize, kind: OrderEventKind, clock: &dyn Clock) {
        let event = self.event(number, kind);
        self.store
            .orders()
            .report(&self.host, &self.shop, &event, &SoldLines::new(), "load", clock.now())
            .await
            .expect("recorded");
    }

    /// Returns a worker with the default settings.
    pub fn worker(&self, clock: Arc<dyn Clock>) -> Worker {
        Worker::start(self.host.clone(), self.store.clone(), clock, WorkerSettings::new("node"))
    }

    /// Waits until this number of jobs is in a state. Counts them in SQL, because the store would read each.
    ///
    /// # Panics
    /// If a job stops, or the database is unavailable.
    pub async fn wait_for_state(&self, count: usize, state: &str) {
        let mut connection = AnyConnection::connect(&self.database).await.expect("a connection");
        let mut in_state = async |state: &str| {
            let counted = sqlx::query_scalar::<_, i64>("select count(*) from jobs where state = $1").bind(state);
            counted.fetch_one(&mut connection).await.expect("a number") as usize
        };
        while in_state(state).await < count {
            assert_eq!(in_state("stopped").await, 0, "a job stopped");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        connection.close().await.expect("closed");
    }
}

/// The resources of a process while orders wait.
#[derive(Debug, Clone, Copy)]
pub struct WaitingUsage {
    /// The number of orders.
    pub orders: usize,
    /// The resident memory in kilobytes; `None` if the system does not report it.
    pub resident_kb: Option<u64>,
    /// The number of guest instances.
    pub instances: Option<u64>,
}

/// Hands `fewer` orders to the ERP system, and then more until there are `more`: each is accepted and polled again in a
/// minute, which never passes. Returns the resources of the process while all of either number wait.
///
/// # Panics
/// If an order does not reach its wait.
pub async fn waiting_orders(folder: &Path, fewer: usize, more: usize) -> [WaitingUsage; 2] {
    // What grows only once, such as code and the allocator's arenas, must grow before the measurement.
    let warm =
        measure_waiting(&Load::new(&format!("sqlite:{}", folder.join("warm.db").display())).await, 0, fewer).await;
    assert_eq!(warm.orders, fewer);
    let load = Load::new(&format!("sqlite:{}", folder.join("waiting.db").display())).await;
    [measure_waiting(&load, 0, fewer).await, measure_waiting(&load, fewer, more).await]
}

async fn measure_waiting(load: &Load, from: usize, to: usize) -> WaitingUsage {
    let clock = Arc::new(SimulatedClock::default());
    let worker = load.worker(clock.clone());
    for number in from..to {
        load.report(number, OrderEventKind::Released, &*clock).await;
    }
    load.wait_for_state(to, "sleeping").await;
    let usage = WaitingUsage { orders: to, resident_kb: resident_kb(), instances: load.host.instances() };
    assert_eq!(worker.drain(Duration::ZERO).await, cartwright_store::DrainReport::default());
    usage
}

/// Returns the resident memory of this process, as Linux reports it.
fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}
