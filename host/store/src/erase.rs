//! Erasing an order, or all orders of a customer.
//!
//! All data of an order is encrypted with a key of its own. Erasing deletes the rows and destroys that key, in one
//! transaction. What remains is that an order with this id and reference existed, so that a late event does not bring
//! it back.
//!
//! # Sequence
//! 1. The platform reports the event `erase` ([`Orders::report`](crate::Orders::report)). The plugins of the accounts that
//!    receive it see the addresses once more and ask the vendors to erase their data. The event waits for its lane like
//!    any other.
//! 2. When the jobs of the order are over, [`PersonalData::erase_order`] erases it. [`Store::sweep`](crate::Store::sweep)
//!    does so by itself, at the latest [`Retention::erase_after`](crate::Retention::erase_after) after the event: a vendor
//!    that is unavailable for weeks must be informed manually.
//! 3. [`UnfinishedJobs::Cancel`] erases without waiting. A worker that runs a job of the order can then write nothing
//!    more, but a request that it has already sent cannot be recalled.
//!
//! Webhooks about an order are encrypted with its key and erased with it. A request that could not be attributed to an
//! order, because its plugin refused it, is erased if it contains a reference of the order, a vendor reference or an
//! e-mail address that the order ever had; one that contains only a name is deleted at the end of its
//! [retention](crate::Retention::webhooks).
//!
//! # Remaining bytes
//! SQLite overwrites deleted bytes (`secure_delete`), and the write-ahead log is emptied afterwards; a reader that
//! takes more than seconds delays that to the next time. PostgreSQL keeps dead rows until it vacuums, and its log for
//! longer; backups of a database keep their contents. All these bytes are encrypted with a key that is encrypted with
//! the store's key: they cannot be read without the store's key, and after
//! [`Store::rotate_keys`](crate::Store::rotate_keys), when the old key is discarded, they cannot be read at all.

use std::time::SystemTime;

use cartwright::ShopId;
use serde_json::json;

use crate::audit_log::NewAuditEntry;
use crate::customer::CustomerEmail;
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::PersonalData;

/// The tables with data of the order $2 of the shop $1, and how they are erased; children before their parents. A table
/// with data of an order must be added here, and nowhere else; its column is called `order_id`.
const KEPT: [(&str, &str); 17] = [
    (
        "journal_entries",
        "delete from journal_entries where job in (
             select j.id from jobs j join job_lanes l on l.id = j.lane_id where l.shop = $1 and l.order_id = $2)",
    ),
    ("order_outcomes", "delete from order_outcomes where shop = $1 and order_id = $2"),
    ("jobs", "delete from jobs where lane_id in (select id from job_lanes where shop = $1 and order_id = $2)"),
    ("quotes", "delete from quotes where shop = $1 and order_id = $2"),
    ("job_lanes", "delete from job_lanes where shop = $1 and order_id = $2"),
    ("order_events", "delete from order_events where shop = $1 and order_id = $2"),
    ("bills of materials", "delete from order_bills_of_materials where shop = $1 and order_id = $2"),
    ("references", "delete from order_references where shop = $1 and order_id = $2"),
    ("vendor references", "delete from vendor_references where shop = $1 and order_id = $2"),
    ("e-mail addresses", "delete from order_emails where shop = $1 and order_id = $2"),
    (
        // Carts had the same bytes.
        "blobs of carts",
        "delete from blobs where shop = $1 and order_id = '' and exists (
             select 1 from blobs own where own.shop = $1 and own.order_id = $2
             and (own.digest = blobs.configuration or own.digest = blobs.digest and blobs.configuration = ''))",
    ),
    ("blobs", "delete from blobs where shop = $1 and order_id = $2"),
    (
        // The status remains, so that repeated webhooks get the same response.
        "webhooks",
        "update webhook_deliveries set body = null, details = null, size = 0 where shop = $1 and id in (
             select delivery_id from webhook_delivery_orders where shop = $1 and order_id = $2)",
    ),
    // Undelivered notifications about the order.
    ("notifications", "delete from notifications where shop = $1 and subject = 'order ' || $2"),
    ("webhook_delivery_orders", "delete from webhook_delivery_orders where shop = $1 and order_id = $2"),
    (
        "responses to requests",
        "delete from idempotency_keys where id in (
             select request from idempotency_key_orders where shop = $1 and order_id = $2)",
    ),
    ("idempotency_key_orders", "delete from idempotency_key_orders where shop = $1 and order_id = $2"),
];

/// How to handle unfinished jobs of an order that is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfinishedJobs {
    /// Nothing is erased; the error contains the number of unfinished jobs.
    Refuse,
    /// The jobs are dropped. Vendors may not have received the erasure request.
    Cancel,
}

impl PersonalData<'_> {
    /// Erases all data of an order, with an audit entry. Returns false if the order was erased before.
    ///
    /// Raw configurations of the order are erased in carts as well, because they are the same bytes. A cart that
    /// contains one must be configured again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for unfinished jobs with [`UnfinishedJobs::Refuse`]; [`StoreError::NotFound`]; or an
    /// error of the database. Nothing is erased then.
    pub async fn erase_order(
        self,
        shop: &ShopId,
        order: &str,
        unfinished: UnfinishedJobs,
        actor: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        self.erase_named(shop, order, None, unfinished, actor, now).await
    }

    /// Erases an order. `customer` is a further name to search webhooks for: the stored order may have only its pseudonym.
    async fn erase_named(
        self,
        shop: &ShopId,
        order: &str,
        customer: Option<&CustomerEmail>,
        unfinished: UnfinishedJobs,
        actor: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        // The jobs before the order, as everywhere. A worker that runs one has an older fencing token.
        sqlx::query(
            "update jobs set fencing_token = fencing_token + 1
             where lane_id in (select id from job_lanes where shop = $1 and order_id = $2)",
        )
        .bind(shop.as_str())
        .bind(order)
        .execute(&mut *work)
        .await?;
        match self.store.orders().lock_order(&mut work, shop, order).await {
            Err(StoreError::Erased(_)) => return Ok(false),
            // Unreadable data can be erased.
            Ok(_) | Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
        let (jobs,): (i64,) = sqlx::query_as(
            "select count(*) from jobs where state not in ('done', 'cancelled')
             and lane_id in (select id from job_lanes where shop = $1 and order_id = $2)",
        )
        .bind(shop.as_str())
        .bind(order)
        .fetch_one(&mut *work)
        .await?;
        if jobs > 0 && unfinished == UnfinishedJobs::Refuse {
            return Err(StoreError::Conflict(format!(
                "{jobs} jobs of the order {order} are unfinished: wait for them, cancel them, or choose to cancel them when you \
                 erase the order"
            )));
        }
        self.take_configurations(&mut work, shop, order, milliseconds(now)).await?;
        let mut names = self.store.webhooks().names_of_order(&mut work, shop, order).await?;
        names.extend(customer.map(|email| email.as_str().to_owned()));
        let mut counts = serde_json::Map::new();
        counts.insert("unfinished jobs".to_owned(), jobs.into());
        let deleted_by_name = self.store.webhooks().delete_by_name(&mut work, shop, &names).await?;
        counts.insert("webhooks that name it".to_owned(), deleted_by_name.into());
        for (what, delete) in KEPT {
            let deleted = sqlx::query(delete).bind(shop.as_str()).bind(order).execute(&mut *work).await?;
            counts.insert(what.to_owned(), deleted.rows_affected().into());
        }
        let forget =
            "update orders set order_key = null, number_hash = null, has_lines_on_hold = 0, content = $3, changed_at = $4
                      where shop = $1 and id = $2";
        sqlx::query(forget)
            .bind(shop.as_str())
            .bind(order)
            .bind(Vec::new())
            .bind(milliseconds(now))
            .execute(&mut *work)
            .await?;
        let (before, after) = (json!(counts), json!({ "erased": true }));
        let entry = NewAuditEntry {
            actor,
            action: "erase-order",
            shop: Some(shop),
            subject: order,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await?;
        self.store.empty_log().await?;
        Ok(true)
    }

    /// Collects the configurations that were stored after the order named them.
    async fn take_configurations(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let adoption = async {
            let Some(known) = self.store.orders().read_order(work, shop, order).await? else { return Ok(()) };
            self.store.orders().adopt_configurations(work, shop, &known.order, &known.key, now).await
        };
        match adoption.await {
            // Unreadable data names nothing.
            Ok(()) | Err(StoreError::Corrupt(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Erases all orders of a customer, each as [`PersonalData::erase_order`] does, and returns the platform's ids. If
    /// it fails midway, call it again: erased orders are no longer found.
    ///
    /// # Errors
    /// As [`PersonalData::orders_of_customer`] and [`PersonalData::erase_order`]; earlier orders stay erased.
    pub async fn erase_customer(
        self,
        shop: &ShopId,
        email: &CustomerEmail,
        unfinished: UnfinishedJobs,
        actor: &str,
        now: SystemTime,
    ) -> Result<Vec<String>, StoreError> {
        let orders = self.orders_of_customer(shop, email).await?;
        for order in &orders {
            self.erase_named(shop, order, Some(email), unfinished, actor, now).await?;
        }
        Ok(orders)
    }
}
