//! Storage of the host: orders, events, jobs, journals, blobs, settings and secrets; for platforms over HTTP also
//! catalogs, access keys and responses.
//!
//! One set of queries serves both databases, through `sqlx`'s `Any` driver: SQLite in a file by default, PostgreSQL
//! when one machine is not enough. `Any` supports only integers, text and bytes, and both databases accept `$1`; so
//! every query here is plain text that can be tried in the shell of either. Generics over the database would carry a
//! dozen bounds through each function, and a macro would compile each query twice to the same end. The price is that no
//! query is checked before it runs: the tests run every one, on each database.
//!
//! Three types matter:
//! - [`Store`], the open database; a platform reports order events with [`Orders::report`];
//! - [`Worker`], which runs the plugins' jobs and survives their failures, sends notifications to the platforms, and deletes
//!   what has exceeded its retention;
//! - [`StoreError`], which says what to do next.
//!
//! The methods of a store are grouped by subject. Each subject is a small type that borrows the store:
//!
//! | subject | method | type |
//! |---|---|---|
//! | orders, events, their webhooks | [`Store::orders`] | [`Orders`] |
//! | outcomes of orders | [`Store::outcomes`] | [`Outcomes`] |
//! | documents and their URLs | [`Store::documents`] | [`Documents`] |
//! | export and erasure | [`Store::personal_data`] | [`PersonalData`] |
//! | jobs | [`Store::jobs`] | [`Jobs`] |
//! | webhook URLs and deliveries, pushed settings | [`Store::webhooks`] | [`Webhooks`] |
//! | feeds of vendors that are polled | [`Store::feeds`] | [`Feeds`] |
//! | notifications and their endpoints | [`Store::notifications`] | [`Notifications`] |
//! | quotes | [`Store::quotes`] | [`Quotes`] |
//! | shops, accounts, product links, origins | [`Store::shops`] | [`Shops`] |
//! | components | [`Store::components`] | [`Components`] |
//! | pushed catalogs and exchange rates | [`Store::catalog`] | [`StoredCatalog`] |
//! | blobs and their quota | [`Store::blobs`] | [`StoredBlobs`] |
//! | access keys and sessions | [`Store::access`] | [`AccessControl`] |
//! | audit log | [`Store::audit`] | [`AuditLog`] |
//! | idempotency keys | [`Store::idempotency`] | [`IdempotencyKeys`] |
//!
//! The store itself implements the host's order book, catalog and blobs. It also has the methods for opening, keys, restoring
//! and sweeping.
//!
//! A node with a worker, which runs the jobs of reported events:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! use cartwright::{Cartwright, SystemClock};
//! use cartwright_store::{Keyring, Store, Worker, WorkerSettings};
//!
//! # async fn node(key: [u8; 32], stopped: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("sqlite:cartwright.db", Keyring::new(key)).await?;
//! let (orders, blobs) = (Arc::new(store.clone()), Arc::new(store.clone()));
//! let host = Arc::new(Cartwright::builder().order_book(orders).blobs(blobs).start()?);
//! // … install what `store.components().list()` names, and set up the shops that `store.shops().list()` names.
//! let worker = Worker::start(host, store, Arc::new(SystemClock), WorkerSettings::new("node-1"));
//! stopped.await;
//! let drained = worker.drain(Duration::from_secs(30)).await;
//! println!("given back: {:?}", drained.given_back);
//! # Ok(())
//! # }
//! ```

mod access;
mod audit_log;
mod bill_of_materials;
mod blobs;
mod cart_quota;
mod catalog;
mod component;
mod customer;
mod database;
mod document;
mod erase;
mod error;
mod event;
mod export;
mod facades;
mod feed;
mod file;
mod idempotency;
mod installation;
mod job;
mod journal;
mod keys;
mod limits;
mod line_status;
mod media_type;
mod notify;
mod order;
mod order_list;
mod origins;
mod outcome;
mod quota;
mod quote;
mod report;
mod restore;
mod restore_failure;
mod server;
mod shops;
mod stored_outcome;
mod sweep;
mod vault;
mod vendor_reference;
mod webhook;
mod worker;

pub use access::{
    Access, AccessError, AccessKeyInfo, MAX_SESSION_AGE, NewAccessKey, Role, SESSION_IDLE_TIMEOUT, Session,
};
pub use audit_log::{AuditEntry, NewAuditEntry};
pub use bill_of_materials::{LineBillOfMaterials, OrderBillOfMaterials};
pub use blobs::BlobInfo;
pub use catalog::{CatalogError, CatalogVariant, ExchangeRate, MAX_VARIANTS, SkuConflict, VariantKey, rates_version};
pub use component::StoredComponent;
pub use customer::{CustomerEmail, InvalidEmail};
pub use database::Store;
pub use document::{DocumentFile, DocumentUrl, DocumentUrlError};
pub use erase::UnfinishedJobs;
pub use error::StoreError;
pub use event::{Lines, NewJob, RecordOutcome};
pub use export::{Export, ExportFile};
pub use facades::{
    AccessControl, AuditLog, Components, Documents, Feeds, IdempotencyKeys, Jobs, Notifications, Orders, Outcomes,
    PersonalData, Quotes, Shops, StoredBlobs, StoredCatalog, Webhooks,
};
pub use feed::{FeedPoller, FeedStatus};
pub use idempotency::{BeginOutcome, REQUEST_RETENTION, REQUEST_TIMEOUT, RequestToken, StoredResponse};
pub use installation::{ChangeError, Expected, Installation, Versions, account_version, link_version, shop_version};
pub use job::{
    Claim, Heartbeat, JobDetail, JobFilter, JobState, JobStateKind, JobSummary, Lease, MAX_COUNTED_JOBS, RetryMode,
    StateReason, UnknownJobState,
};
pub use journal::StoreJournal;
pub use notify::{
    EndpointError, NotificationEndpoint, NotificationState, Notifier, StoredNotification, endpoint_version,
};
pub use order::is_on_hold;
pub use order_list::{ListedOrder, OrderFilter, OrderWebhook, RecordedEvent};
pub use origins::origins_version;
pub use quota::DEFAULT_CART_QUOTA_BYTES;
pub use quote::{NewQuote, Quote, QuoteError, QuoteState, QuoteSummary};
pub use report::{ReportError, SoldLine, SoldLines};
pub use restore_failure::RestoreFailure;
pub use shops::StoredProductLink;
pub use stored_outcome::StoredOutcome;
pub use sweep::{Retention, SweepReport};
pub use vault::Keyring;
pub use webhook::{
    AccountOutcome, AccountOutcomeState, DEFAULT_WEBHOOK_QUOTA_BYTES, FailedWebhookDelivery, PushedError,
    WebhookUrlInfo,
};
pub use worker::{DrainReport, Worker, WorkerSettings};
