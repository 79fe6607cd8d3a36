//! Retention of each kind of data, and the deletion of what has exceeded it.
//!
//! Orders have their own copies of what they need (see `blobs.rs`), so that data of abandoned carts can be deleted
//! early. What an open order or an unfinished job needs stays, however old it is.

use std::time::{Duration, SystemTime};

use cartwright::ShopId;

use crate::blobs::Kind;
use crate::database::{Store, in_time, milliseconds};
use crate::erase::UnfinishedJobs;
use crate::error::StoreError;
use crate::idempotency::REQUEST_RETENTION;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Maximum number of rows that one transaction deletes, so that others can write in between.
const BATCH: i64 = 200;

/// The retention of each kind of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Raw configurations without an order, and their thumbnails, since a cart last needed them. 90 days: an older cart
    /// must be configured again. Not shorter than the lifetime of a shop's carts.
    pub configurations: Duration,
    /// The same, if no cart needed them again after they were stored: most shoppers who leave do not return. 30 days,
    /// as long as platforms keep such carts. Never shorter than the validity of the shops' seals.
    pub unused_configurations: Duration,
    /// Documents, configurations and thumbnails of closed orders, since they were stored. Two years, in which a buyer
    /// in the European Union may claim the replacement of a faulty product.
    pub documents: Duration,
    /// Journals and long responses, since their jobs ended. 90 days, in which people ask what was sent to a vendor.
    pub journals: Duration,
    /// Webhooks, successful or not, and their outcomes for accounts, unless these wait for a person. 90 days, as long
    /// as journals.
    pub webhooks: Duration,
    /// Audit entries. Two years, because the question who changed a setting comes up as long as the orders it affected
    /// are in dispute.
    pub log: Duration,
    /// Quotes, since their last change and the expiry of their offer. Two years, like the audit entries about the
    /// offer.
    pub quotes: Duration,
    /// Maximum time that an order stays open without activity, because many shops never report shipments. Otherwise it
    /// is open until all its lines are shipped or cancelled, it is cancelled or refunded in full, or an operator closes
    /// it. One year.
    pub open: Duration,
    /// Time after its event `erase` at which an order is erased even if vendors could not be informed. 20 days, to stay
    /// within the month of the European data protection law.
    pub erase_after: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            configurations: 90 * DAY,
            unused_configurations: 30 * DAY,
            documents: 730 * DAY,
            journals: 90 * DAY,
            webhooks: 90 * DAY,
            log: 730 * DAY,
            quotes: 730 * DAY,
            open: 365 * DAY,
            erase_after: 20 * DAY,
        }
    }
}

/// The numbers of objects that a sweep deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Orders that were erased because of their event `erase`.
    pub erased: u64,
    /// Orders that were closed after a long time without activity.
    pub closed: u64,
    /// Raw configurations of carts.
    pub configurations: u64,
    /// Thumbnails of carts.
    pub pictures: u64,
    /// Files of orders.
    pub documents: u64,
    /// Jobs whose journals were deleted.
    pub journals: u64,
    /// Long responses.
    pub answers: u64,
    /// Webhooks, and their outcomes for accounts.
    pub webhooks: u64,
    /// Audit entries.
    pub log: u64,
    /// Quotes.
    pub quotes: u64,
    /// Requests with idempotency keys, with their responses.
    pub requests: u64,
    /// Expired sessions.
    pub sessions: u64,
}

impl Store {
    /// Erases the orders whose event `erase` was handled, or can wait no longer, closes orders without activity, and
    /// deletes what has exceeded its retention. It uses small transactions: it can be interrupted, and several nodes
    /// may run it at once. A [`Worker`](crate::Worker) does so every hour.
    ///
    /// # Errors
    /// Fails if the database does. What was deleted stays deleted.
    pub async fn sweep(&self, retention: &Retention, now: SystemTime) -> Result<SweepReport, StoreError> {
        let before = |kept: Duration| milliseconds(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH));
        let seals = in_time(self.shops().list())
            .await?
            .into_iter()
            .map(|shop| Duration::from_secs(shop.seal_seconds.into()))
            .max();
        let unused = before(retention.unused_configurations.max(seals.unwrap_or_default()));
        let used = before(retention.configurations.max(seals.unwrap_or_default()));
        let swept = SweepReport {
            erased: self.finish_erasing(before(retention.erase_after), now).await?,
            configurations: self.batches(UNUSED, &[Kind::Configuration.name()], unused).await?
                + self.batches(CARTS, &[Kind::Configuration.name()], used).await?,
            pictures: self.batches(UNUSED, &[Kind::StoredThumbnail.name()], unused).await?
                + self.batches(CARTS, &[Kind::StoredThumbnail.name()], used).await?,
            closed: self.close_inactive_orders(before(retention.open), milliseconds(now)).await?,
            // After the orders that were just closed.
            documents: self.batches(DOCUMENTS, &[], before(retention.documents)).await?,
            journals: self.sweep_journals(before(retention.journals)).await?,
            // After the journals that name them.
            answers: self.batches(ANSWERS, &[Kind::HttpBody.name()], before(retention.journals)).await?,
            webhooks: self.batches(WEBHOOKS, &[], before(retention.webhooks)).await?
                + self.batches(ACCOUNT_OUTCOMES, &[], before(retention.webhooks)).await?,
            quotes: in_time(self.quotes().sweep_quotes(before(retention.quotes), milliseconds(now))).await?,
            log: self.batches(LOG, &[], before(retention.log)).await?,
            requests: self.batches(REQUESTS, &[], before(REQUEST_RETENTION)).await?,
            sessions: in_time(self.access().sweep_sessions(now)).await?,
        };
        if swept != SweepReport::default() {
            self.empty_log().await?;
        }
        Ok(swept)
    }

    async fn finish_erasing(&self, before: i64, now: SystemTime) -> Result<u64, StoreError> {
        let asked = async {
            let rows: Vec<(String, String, i64)> = sqlx::query_as(
                "select shop, order_id, min(recorded_at) from order_events where kind = 'erase' group by shop, order_id",
            )
            .fetch_all(self.pool())
            .await?;
            Ok::<_, StoreError>(rows)
        };
        let asked = in_time(asked).await?;
        let mut erased = 0;
        for (shop, order, at) in asked {
            let shop: ShopId = shop.parse().map_err(|error| StoreError::corrupt("an event's shop", error))?;
            let unfinished = if at < before { UnfinishedJobs::Cancel } else { UnfinishedJobs::Refuse };
            // Without a time limit, because it searches all webhooks of the shop.
            match self.personal_data().erase_order(&shop, &order, unfinished, "host", now).await {
                Ok(done) => erased += u64::from(done),
                // Vendors are still being informed.
                Err(StoreError::Conflict(_)) => {}
                // A damaged order does not block others.
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%shop, order, %error, "an order cannot be erased")
                }
                Err(error) => return Err(error),
            }
        }
        Ok(erased)
    }

    /// Repeats a statement that deletes some rows older than `before`, until there are none left. Its parameters are
    /// the time, the number of rows, and further ones.
    async fn batches(&self, delete: &'static str, further: &[&str], before: i64) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let mut query = sqlx::query(delete).bind(before).bind(BATCH);
            for value in further {
                query = query.bind(*value);
            }
            let deleted =
                in_time(async { Ok::<_, StoreError>(query.execute(self.pool()).await?.rows_affected()) }).await?;
            count += deleted;
            if deleted == 0 {
                return Ok(count);
            }
        }
    }

    async fn close_inactive_orders(&self, before: i64, now: i64) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            match in_time(self.orders().close_inactive(before, BATCH, now)).await? {
                0 => return Ok(count),
                closed => count += closed,
            }
        }
    }

    async fn sweep_journals(&self, before: i64) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let jobs = async {
                let rows: Vec<(String,)> = sqlx::query_as(
                    "select id from jobs where is_swept = 0 and state in ('done', 'cancelled') and changed_at < $1
                     order by changed_at limit $2",
                )
                .bind(before)
                .bind(BATCH)
                .fetch_all(self.pool())
                .await?;
                Ok::<_, StoreError>(rows)
            };
            let jobs = in_time(jobs).await?;
            if jobs.is_empty() {
                return Ok(count);
            }
            for (id,) in jobs {
                count += u64::from(in_time(self.jobs().sweep_journals_of(&id)).await?);
            }
        }
    }
}

/// Blobs without an order; $3 is their kind.
const CARTS: &str = "
    delete from blobs where (shop, digest, order_id, configuration) in (
        select shop, digest, order_id, configuration from blobs
        where kind = $3 and created_at < $1 and order_id = '' limit $2)";

/// The same, if no cart needed them again.
const UNUSED: &str = "
    delete from blobs where (shop, digest, order_id, configuration) in (
        select shop, digest, order_id, configuration from blobs
        where kind = $3 and created_at < $1 and order_id = '' and is_reused = 0 limit $2)";

/// Blobs of closed orders without unfinished jobs.
const DOCUMENTS: &str = "
    delete from blobs where (shop, digest, order_id, configuration) in (
        select b.shop, b.digest, b.order_id, b.configuration
        from blobs b join orders o on o.shop = b.shop and o.id = b.order_id
        where b.kind in ('configuration', 'thumbnail', 'document') and b.created_at < $1 and o.closed_at is not null
        and not exists (
            select 1 from jobs j join job_lanes l on l.id = j.lane_id
            where l.shop = b.shop and l.order_id = b.order_id and j.state not in ('done', 'cancelled'))
        limit $2)";

/// Responses of orders whose journals are all deleted; $3 is their kind.
const ANSWERS: &str = "
    delete from blobs where (shop, digest, order_id, configuration) in (
        select b.shop, b.digest, b.order_id, b.configuration from blobs b
        where b.kind = $3 and b.created_at < $1 and not exists (
            select 1 from jobs j join job_lanes l on l.id = j.lane_id
            where l.shop = b.shop and l.order_id = b.order_id and j.is_swept = 0)
        limit $2)";

const WEBHOOKS: &str = "
    delete from webhook_deliveries where (shop, id) in (
        select shop, id from webhook_deliveries where received_at < $1 order by received_at limit $2)";

const ACCOUNT_OUTCOMES: &str = "
    delete from account_outcomes where id in (
        select id from account_outcomes where emitted_at < $1 and state not in ('new', 'pending-approval') limit $2)";

const LOG: &str = "delete from audit_log where id in (select id from audit_log where at < $1 order by at limit $2)";

const REQUESTS: &str = "
    delete from idempotency_keys where id in (
        select id from idempotency_keys where started_at < $1 order by started_at limit $2)";
