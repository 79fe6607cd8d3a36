//! Orders as the host knows them: the platform's newest version, and the results of its events.
//!
//! An order is open until `orders.closed_at` is set; nothing else decides that. It is closed when it is over, when an
//! operator closes it, and after a long time without activity; a newer version opens it again unless it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::types::{Article, Order, OrderLine, Outcome};
use cartwright::{AccountId, Digest, OrderBook, PlatformError, RESERVED_ID_PREFIX, ShopId, timestamp};
use serde_json::json;
use sqlx::AnyConnection;

use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{Store, WriteTransaction, in_time, milliseconds, system_time};
use crate::error::StoreError;
use crate::event::Lines;
use crate::facades::Orders;
use crate::keys::aad;
use crate::line_status::LineStatuses;
use crate::stored_outcome::{OutcomeSelection, StoredOutcome};
use crate::vault::Key;

/// A decrypted row of an order.
pub(crate) struct StoredOrder {
    pub(crate) key: Key,
    pub(crate) order: Order,
    pub(crate) closed: bool,
}

impl Orders<'_> {
    /// Returns the complete newest version of the order with the platform's id; its lines have their current status.
    ///
    /// # Errors
    /// [`StoreError::Erased`], or an error of the database.
    pub async fn get(self, shop: &ShopId, id: &str) -> Result<Option<Order>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let Some(known) = self.read_order(&mut connection, shop, id).await? else { return Ok(None) };
        let heard = self
            .store
            .outcomes()
            .outcomes_in(&mut connection, &known.key, shop, id, OutcomeSelection::Statuses)
            .await?;
        let mut order = known.order;
        LineStatuses::new(&order, &heard).apply(&mut order);
        Ok(Some(order))
    }

    /// Closes an order, with an audit entry. Webhook URLs that only this order kept open are closed, and webhooks about
    /// it that arrive nevertheless go to the version that its account runs. A newer version of the order opens it
    /// again, unless the order is over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or an error of the database.
    pub async fn close_order(self, shop: &ShopId, id: &str, actor: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        // Locks the order until this transaction ends.
        let lock = "update orders set id = id where shop = $1 and id = $2 returning closed_at";
        let found: Option<(Option<i64>,)> =
            sqlx::query_as(lock).bind(shop.as_str()).bind(id).fetch_optional(&mut *work).await?;
        let (before,) = found.ok_or_else(|| StoreError::NotFound { what: "order", id: id.to_owned() })?;
        let after = before.unwrap_or(milliseconds(now));
        self.set_closed_at(&mut work, shop, id, Some(after)).await?;
        let audit_value =
            |closed: Option<i64>| json!({ "closed": closed.map(|closed| timestamp(system_time(closed))) });
        let (before, after) = (audit_value(before), audit_value(Some(after)));
        let entry = NewAuditEntry {
            actor,
            action: "close-order",
            shop: Some(shop),
            subject: id,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await
    }

    pub(crate) async fn read_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
    ) -> Result<Option<StoredOrder>, StoreError> {
        type Row = (Option<Vec<u8>>, Vec<u8>, i64, Option<i64>);
        let row: Option<Row> =
            sqlx::query_as("select order_key, content, released, closed_at from orders where shop = $1 and id = $2")
                .bind(shop.as_str())
                .bind(id)
                .fetch_optional(connection)
                .await?;
        let Some((encrypted_key, content, released, closed_at)) = row else { return Ok(None) };
        let key = self.order_key(shop, id, encrypted_key)?;
        let order = self.decrypt_order(&key, shop, id, &content, released == 1)?;
        Ok(Some(StoredOrder { key, order, closed: closed_at.is_some() }))
    }

    /// Decrypts the content of an order, and sets what the table says of its release: while the order is not released,
    /// none of its lines is.
    pub(crate) fn decrypt_order(
        self,
        key: &Key,
        shop: &ShopId,
        id: &str,
        content: &[u8],
        released: bool,
    ) -> Result<Order, StoreError> {
        let mut order: Order = key.decrypt_json(&aad("known", shop.as_str(), id), content)?;
        order.released = released;
        for line in &mut order.lines {
            line.released &= released;
        }
        Ok(order)
    }

    pub(crate) fn order_key(self, shop: &ShopId, id: &str, encrypted: Option<Vec<u8>>) -> Result<Key, StoreError> {
        let encrypted = encrypted.ok_or_else(|| StoreError::Erased(id.to_owned()))?;
        self.store.keys().decrypt_key(&aad("order", shop.as_str(), id), &encrypted)
    }

    /// Closes an order at a time, or opens it, without an audit entry.
    pub(crate) async fn set_closed_at(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
        closed_at: Option<i64>,
    ) -> Result<(), StoreError> {
        sqlx::query("update orders set closed_at = $3 where shop = $1 and id = $2")
            .bind(shop.as_str())
            .bind(id)
            .bind(closed_at)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Locks an order until this transaction ends, so that it is neither changed nor erased, and returns its key.
    pub(crate) async fn lock_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        id: &str,
    ) -> Result<Key, StoreError> {
        let found: Option<(Option<Vec<u8>>,)> =
            sqlx::query_as("update orders set version = version where shop = $1 and id = $2 returning order_key")
                .bind(shop.as_str())
                .bind(id)
                .fetch_optional(connection)
                .await?;
        let (encrypted,) = found.ok_or_else(|| StoreError::NotFound { what: "order", id: id.to_owned() })?;
        self.order_key(shop, id, encrypted)
    }

    /// Returns the stored order, locked as by [`Orders::lock_order`], or `None` if it is not stored. If two
    /// transactions are to store it first, the second waits here for the first and finds its result.
    pub(crate) async fn lock_known_order(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        id: &str,
    ) -> Result<Option<StoredOrder>, StoreError> {
        let mut locked = self.lock_order(work, shop, id).await;
        if matches!(locked, Err(StoreError::NotFound { .. })) {
            // There is no row yet that could be locked.
            self.store.lock_name(work, &aad("new order", shop.as_str(), id)).await?;
            locked = self.lock_order(work, shop, id).await;
        }
        match locked {
            Ok(_) => self.read_order(work, shop, id).await,
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a newer version of an order; an older one changes nothing. Returns the order's key.
    ///
    /// # Errors
    /// [`StoreError::SameVersion`] if it is stored in this version with other content.
    pub(crate) async fn store_order(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &Order,
        now: i64,
    ) -> Result<Key, StoreError> {
        let (key, encrypted_key) = self.store.keys().new_key(&aad("order", shop.as_str(), &order.id))?;
        let content_aad = aad("known", shop.as_str(), &order.id);
        let version = i64::try_from(order.version)
            .map_err(|_| StoreError::Conflict(format!("{} is not a valid order version", order.version)))?;
        let number = self.number_hash(&mut *connection, shop, &order.number).await?;
        let has_lines_on_hold = i64::from(has_lines_on_hold(order));
        // The insert also serializes two events of one new order.
        let added = sqlx::query(
            "insert into orders (shop, id, reference, version, released, order_key, content, changed_at, number_hash, created_at,
                                 has_lines_on_hold)
             values ($1, $2, $3, $4, 0, $5, $6, $7, $8, $7, $9) on conflict (shop, id) do nothing",
        )
        .bind(shop.as_str())
        .bind(&order.id)
        .bind(&order.reference)
        .bind(version)
        .bind(encrypted_key)
        .bind(key.encrypt_json(&content_aad, order)?)
        .bind(now)
        .bind(&number)
        .bind(has_lines_on_hold)
        .execute(&mut *connection)
        .await?;
        let (key, news) = if added.rows_affected() == 1 {
            (key, true)
        } else {
            let key = self.lock_order(connection, shop, &order.id).await?;
            self.check_same_version(connection, shop, order, &key).await?;
            let updated = sqlx::query(
                "update orders set version = $3, content = $4, changed_at = $5, number_hash = $6, has_lines_on_hold = $8,
                                   released = case when $7 = 1 then released else 0 end
                 where shop = $1 and id = $2 and version < $3",
            )
            .bind(shop.as_str())
            .bind(&order.id)
            .bind(version)
            .bind(key.encrypt_json(&content_aad, order)?)
            .bind(now)
            .bind(&number)
            .bind(i64::from(is_releasable(order)))
            .bind(has_lines_on_hold)
            .execute(&mut *connection)
            .await?;
            if updated.rows_affected() == 0 {
                // The same version, of which lines that the host put on hold may have been released.
                sqlx::query(
                    "update orders set content = $4, has_lines_on_hold = $5 where shop = $1 and id = $2 and version = $3",
                )
                .bind(shop.as_str())
                .bind(&order.id)
                .bind(version)
                .bind(key.encrypt_json(&content_aad, order)?)
                .bind(has_lines_on_hold)
                .execute(&mut *connection)
                .await?;
            }
            (key, updated.rows_affected() == 1)
        };
        if news && !self.close_if_over(connection, shop, (order, &key), now).await? {
            self.reopen(connection, shop, &order.id, now).await?;
        }
        for reference in std::iter::once(&order.reference).chain(order.lines.iter().map(|line| &line.reference)) {
            sqlx::query(
                "insert into order_references (shop, reference, order_id) values ($1, $2, $3)
                 on conflict (shop, reference) do nothing",
            )
            .bind(shop.as_str())
            .bind(reference)
            .bind(&order.id)
            .execute(&mut *connection)
            .await?;
            let (owner,): (String,) =
                sqlx::query_as("select order_id from order_references where shop = $1 and reference = $2")
                    .bind(shop.as_str())
                    .bind(reference)
                    .fetch_one(&mut *connection)
                    .await?;
            if owner != order.id {
                return Err(StoreError::Conflict(format!("the reference {reference} belongs to the order {owner}")));
            }
        }
        self.store.personal_data().index_emails(connection, shop, order).await?;
        self.adopt_configurations(connection, shop, order, &key, now).await?;
        Ok(key)
    }

    /// Refuses other content under the stored version. The order is locked.
    async fn check_same_version(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &Order,
        key: &Key,
    ) -> Result<(), StoreError> {
        let (known,): (Vec<u8>,) = sqlx::query_as("select content from orders where shop = $1 and id = $2")
            .bind(shop.as_str())
            .bind(&order.id)
            .fetch_one(connection)
            .await?;
        let mut known: Order = key.decrypt_json(&aad("known", shop.as_str(), &order.id), &known)?;
        set_flags_of_host(&mut known, order);
        if known.version == order.version && known != *order {
            return Err(StoreError::SameVersion { order: order.id.clone(), version: order.version });
        }
        Ok(())
    }

    /// Closes an order that is over, with an audit entry. Returns true if the order is over, or its state cannot be
    /// determined.
    pub(crate) async fn close_if_over(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        (order, key): (&Order, &Key),
        now: i64,
    ) -> Result<bool, StoreError> {
        let statuses = OutcomeSelection::Statuses;
        let over = match self.store.outcomes().outcomes_in(connection, key, shop, &order.id, statuses).await {
            Ok(heard) => is_over(order, &LineStatuses::new(order, &heard)),
            // The platform's report is accepted all the same.
            Err(StoreError::Corrupt(_)) => return Ok(true),
            Err(error) => return Err(error),
        };
        if over {
            let close = "update orders set closed_at = $3 where shop = $1 and id = $2 and closed_at is null";
            let closed = sqlx::query(close).bind(shop.as_str()).bind(&order.id).bind(now);
            if closed.execute(&mut *connection).await?.rows_affected() == 1 {
                audit_by_host(connection, "close-order", shop, &order.id, now).await?;
            }
        }
        Ok(over)
    }

    async fn reopen(self, connection: &mut AnyConnection, shop: &ShopId, id: &str, now: i64) -> Result<(), StoreError> {
        let open = "update orders set closed_at = null where shop = $1 and id = $2 and closed_at is not null";
        let opened = sqlx::query(open).bind(shop.as_str()).bind(id).execute(&mut *connection).await?;
        if opened.rows_affected() == 1 {
            audit_by_host(connection, "open-order", shop, id, now).await?;
        }
        Ok(())
    }

    /// Closes orders without any activity since `before`. Returns their number.
    pub(crate) async fn close_inactive(self, before: i64, most: i64, now: i64) -> Result<u64, StoreError> {
        let mut work = self.store.begin().await?;
        let closed: Vec<(String, String)> = sqlx::query_as(
            "update orders set closed_at = $3 where closed_at is null and changed_at < $1 and (shop, id) in (
                 select o.shop, o.id from orders o
                 where o.closed_at is null and o.order_key is not null and o.changed_at < $1
                 and not exists (select 1 from order_events e
                                 where e.shop = o.shop and e.order_id = o.id and e.recorded_at >= $1)
                 and not exists (select 1 from order_outcomes s
                                 where s.shop = o.shop and s.order_id = o.id and s.emitted_at >= $1)
                 limit $2)
             returning shop, id",
        )
        .bind(before)
        .bind(most)
        .bind(now)
        .fetch_all(&mut *work)
        .await?;
        for (shop, id) in &closed {
            let shop = shop.parse().map_err(|error| StoreError::corrupt("an order's shop", error))?;
            audit_by_host(&mut work, "close-order", &shop, id, now).await?;
        }
        work.commit().await?;
        Ok(closed.len() as u64)
    }

    /// Releases an order, until a newer version is cancelled or refunded. Returns false if it is already released, or
    /// its newest version must not be.
    pub(crate) async fn release_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &Order,
    ) -> Result<bool, StoreError> {
        if !is_releasable(order) {
            return Ok(false);
        }
        let released = sqlx::query(
            "update orders set released = 1 where shop = $1 and id = $2 and released = 0 and version <= $3",
        )
        .bind(shop.as_str())
        .bind(&order.id)
        .bind(i64::try_from(order.version).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
        Ok(released.rows_affected() == 1)
    }
}

impl Orders<'_> {
    /// Gives an order its own copies of the configurations of its lines.
    pub(crate) async fn adopt_configurations(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &Order,
        key: &Key,
        now: i64,
    ) -> Result<(), StoreError> {
        let configurations: BTreeSet<Digest> =
            order.lines.iter().filter_map(|line| line.configuration.as_ref()?.parse().ok()).collect();
        for configuration in configurations {
            self.store.blobs().copy_to_order(connection, shop, (&order.id, key), &configuration, now).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl OrderBook for Store {
    async fn find(&self, shop: &ShopId, account: &AccountId, reference: &str) -> Result<Option<Order>, PlatformError> {
        in_time(self.orders().find_order(shop, account, reference))
            .await
            .map_err(|error| PlatformError(error.to_string()))
    }

    async fn bill_of_materials(
        &self,
        shop: &ShopId,
        account: &AccountId,
        line_reference: &str,
    ) -> Result<Option<Vec<Article>>, PlatformError> {
        in_time(self.orders().line_bill_of_materials(shop, account, line_reference))
            .await
            .map_err(|error| PlatformError(error.to_string()))
    }

    async fn find_by_vendor_reference(
        &self,
        shop: &ShopId,
        account: &AccountId,
        vendor_reference: &str,
    ) -> Result<Vec<String>, PlatformError> {
        in_time(self.orders().references_of(shop, account, vendor_reference))
            .await
            .map_err(|error| PlatformError(error.to_string()))
    }
}

impl Orders<'_> {
    async fn find_order(
        self,
        shop: &ShopId,
        account: &AccountId,
        reference: &str,
    ) -> Result<Option<Order>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let Some((known, lines)) = self.order_of_reference(&mut connection, shop, account, reference).await? else {
            return Ok(None);
        };
        let (selection, id) = (OutcomeSelection::Visible, known.order.id.clone());
        let outcomes = self.store.outcomes().outcomes_in(&mut connection, &known.key, shop, &id, selection).await?;
        let order = visible_to(known.order, account, lines, &outcomes);
        Ok((lines == Lines::All || !order.lines.is_empty()).then_some(order))
    }

    /// Returns the stored order that has this reference, or has a line with it, and the lines of it that the account
    /// sees.
    pub(crate) async fn order_of_reference(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        account: &AccountId,
        reference: &str,
    ) -> Result<Option<(StoredOrder, Lines)>, StoreError> {
        // A vendor may send any text; PostgreSQL rejects NUL.
        if reference.contains('\0') {
            return Ok(None);
        }
        let found: Option<(String,)> =
            sqlx::query_as("select order_id from order_references where shop = $1 and reference = $2")
                .bind(shop.as_str())
                .bind(reference)
                .fetch_optional(&mut *connection)
                .await?;
        let Some((id,)) = found else { return Ok(None) };
        let lane: Option<(i64,)> =
            sqlx::query_as("select all_lines from job_lanes where shop = $1 and order_id = $2 and account = $3")
                .bind(shop.as_str())
                .bind(&id)
                .bind(account.as_str())
                .fetch_optional(&mut *connection)
                .await?;
        let lines = if lane == Some((1,)) { Lines::All } else { Lines::Own };
        let known = self.read_order(&mut *connection, shop, &id).await?;
        Ok(known.map(|known| (known, lines)))
    }
}

/// Returns the order as one account sees it: its lines and its own vendor references.
pub(crate) fn visible_to(mut order: Order, account: &AccountId, lines: Lines, outcomes: &[StoredOutcome]) -> Order {
    order.lines.retain(|line| lines.include(line, account));
    let references =
        outcomes.iter().filter(|outcome| outcome.account == *account).filter_map(|outcome| match &outcome.outcome {
            Outcome::VendorReference(references) => Some((references.line.clone(), references.reference.clone())),
            _ => None,
        });
    // The latest of each line counts. References of other accounts are not visible to this one.
    let references: BTreeMap<_, _> = references.collect();
    order.vendor_reference = references.get(&None).cloned();
    for line in &mut order.lines {
        line.vendor_reference = references.get(&Some(line.id.clone())).cloned();
    }
    LineStatuses::new(&order, outcomes).apply(&mut order);
    order
}

/// Sets the flags that the host decides to those of a report, so that only what the platform reported is compared: whether
/// the order is released, and which lines the host put on hold.
pub(crate) fn set_flags_of_host(known: &mut Order, reported: &Order) {
    known.released = reported.released;
    for (known, reported) in known.lines.iter_mut().zip(&reported.lines) {
        known.released |= reported.released;
    }
}

/// Returns whether payment and cancellation allow the release of an order.
pub(crate) fn is_releasable(order: &Order) -> bool {
    !order.cancelled && !order.is_refunded()
}

/// Returns whether a line of a released order is on hold. A cancelled line is not.
pub fn is_on_hold(line: &OrderLine) -> bool {
    !line.released && line.status != "cancelled"
}

/// Returns whether a line of an order is on hold. The order under which a quote is stored has all of its lines on hold,
/// and does not count.
fn has_lines_on_hold(order: &Order) -> bool {
    !order.id.starts_with(RESERVED_ID_PREFIX) && order.lines.iter().any(is_on_hold)
}

/// Returns whether an order is complete: cancelled, refunded in full, or each line shipped or cancelled.
fn is_over(order: &Order, statuses: &LineStatuses) -> bool {
    order.cancelled || order.is_refunded() || statuses.all_ended()
}

async fn audit_by_host(
    connection: &mut AnyConnection,
    what: &str,
    shop: &ShopId,
    order: &str,
    now: i64,
) -> Result<(), StoreError> {
    let entry =
        NewAuditEntry { actor: "host", action: what, shop: Some(shop), subject: order, ..NewAuditEntry::default() };
    append_audit_entry(connection, &entry, now).await?;
    Ok(())
}
