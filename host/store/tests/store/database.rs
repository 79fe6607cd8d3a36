//! The databases under test.
//!
//! Every test is written once, for a [`Database`]. SQLite always runs, in a folder of its own. PostgreSQL runs if it is
//! installed, on a server that the tests start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::types::{LineStatus, Order, OrderEvent, OrderEventKind, Outcome};
use cartwright::webhook::{Destination, Effects, WebhookDeliveryStore};
use cartwright::{AccountId, Blobs, Digest, NewConfiguration, ShopId, StoredThumbnail};
use cartwright_store::{Claim, Keyring, Lines, NewJob, RecordOutcome, Store};
use serde_json::json;
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

pub const KEY: [u8; 32] = [7; 32];

/// An empty database, which is deleted at the end of its test.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
}

impl Database {
    pub async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        Some(Self { url, _folder: Some(folder) })
    }

    pub async fn postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer")?;
        Some(Self { url: server.create_database(), _folder: None })
    }

    /// Returns a database on a server that belongs to the test.
    pub fn at(url: String) -> Self {
        Self { url, _folder: None }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.url, Keyring::new(KEY)).await.expect("a store")
    }

    /// Changes the database without the store, as its own shell could.
    pub async fn tamper(&self, sql: &str) {
        self.try_tamper(sql).await.expect("done");
    }

    pub async fn try_tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.url).await?;
        connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await?;
        connection.close().await
    }
}

/// Runs tests on each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::database::Database::sqlite().await {
                    super::$test(database).await;
                }
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::database::Database::postgres().await {
                    super::$test(database).await;
                }
            })+
        }
    };
}
pub(crate) use on_each_database;

/// Returns a time this number of seconds after the tests' beginning.
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_268_800 + seconds)
}

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn shop() -> ShopId {
    "shop".parse().expect("an id")
}

/// Stores a configuration with thumbnails for a client, as a cart does.
pub async fn configured(store: &Store, client: Option<&str>, bytes: &[u8], pictures: &[&[u8]]) -> Digest {
    let picture =
        |bytes: &&[u8]| StoredThumbnail { digest: Digest::of(bytes), bytes: bytes.to_vec(), media_type: "image/png" };
    let pictures: Vec<StoredThumbnail> = pictures.iter().map(picture).collect();
    let new = NewConfiguration { digest: Digest::of(bytes), bytes, pictures: &pictures, client };
    store.put_configuration(&shop(), &new).await.expect("stored");
    new.digest
}

pub fn account(id: &str) -> AccountId {
    id.parse().expect("an id")
}

/// Returns an order with a line of "expivi" and one of "twikit".
pub fn order(id: &str, version: u64) -> Order {
    let line = |number: u32, account: &str| {
        json!({
            "id": number.to_string(), "reference": format!("test:shop:{id}:{number}"), "account": account,
            "cart_line": {
                "key": format!("key-{number}"), "product": "ring", "variant_id": null, "sku": "RING", "quantity": 1,
                "parent_key": null, "unit_price": null, "configuration": null, "item": null, "extra": [],
            },
            "quantities": { "ordered": 1, "cancelled": 0, "refunded": 0, "shipped": 0 },
            "title": "A ring", "display_fields": [], "configuration": null, "status": "ordered", "vendor_reference": null,
            "released": true, "total": null, "tax": "as-shop", "tax_amount": null, "extra": [],
        })
    };
    serde_json::from_value(json!({
        "id": id, "locale": "en", "number": format!("#{id}"), "currency": "EUR", "reference": format!("test:shop:{id}"),
        "customer": null, "test": false, "vendor_reference": null, "version": version,
        "placed_at": "2026-01-01T12:00:00Z", "paid": { "minor": 9800, "scale": 2, "currency": "EUR" },
        "refunded": { "minor": 0, "scale": 2, "currency": "EUR" }, "released": true, "cancelled": false,
        "total": { "minor": 9800, "scale": 2, "currency": "EUR" }, "tax_amount": null, "shipping": null,
        "billing": null, "delivery": null, "shop_address": null,
        "lines": [line(1, "expivi"), line(2, "twikit")], "extra": [],
    }))
    .expect("an order")
}

pub fn event_of(id: &str, kind: OrderEventKind, order: Order) -> OrderEvent {
    OrderEvent {
        id: id.to_owned(),
        at: "2026-01-01T12:00:00Z".to_owned(),
        kind,
        order,
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    }
}

pub fn event(id: &str, order_id: &str) -> OrderEvent {
    event_of(id, OrderEventKind::Released, order(order_id, 1))
}

pub fn job(id: &str) -> NewJob {
    NewJob { account: account(id), plugin: Digest::of(id.as_bytes()), lines: Lines::Own }
}

/// Records an event for the account "expivi", and returns the job's id.
pub async fn record(store: &Store, id: &str, order_id: &str, seconds: u64) -> String {
    match store
        .orders()
        .record_event(&shop(), &event(id, order_id), &[job("expivi")], at(seconds))
        .await
        .expect("recorded")
    {
        RecordOutcome::New { jobs } => jobs.into_iter().next().expect("a job"),
        RecordOutcome::AlreadyRecorded => panic!("{id} is known"),
    }
}

pub fn line_status(line: &str, status: &str) -> Outcome {
    Outcome::LineStatus(LineStatus { line: line.into(), status: status.into() })
}

/// Reports outcomes of an order by a webhook of the account "expivi".
pub async fn report_by_webhook(store: &Store, shop: &ShopId, order: &str, outcomes: Vec<Outcome>, seconds: u64) {
    let to = Destination { shop: shop.clone(), account: account("expivi"), endpoint: "ask".into() };
    let outcomes = outcomes.into_iter().map(|outcome| (Some(format!("test:shop:{order}")), outcome)).collect();
    store.apply(&to, at(seconds), Effects { outcomes, messages: Vec::new() }).await.expect("applied");
}

pub async fn claim(store: &Store, seconds: u64) -> Option<Claim> {
    store.jobs().claim("worker", at(seconds), MINUTE).await.expect("an answer")
}

pub async fn claimed(store: &Store, seconds: u64) -> Claim {
    claim(store, seconds).await.expect("a job")
}
