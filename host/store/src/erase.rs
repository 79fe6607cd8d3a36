//! Forgetting an order, or all orders of a customer.
//!
//! Everything of an order is sealed with a key of its own. Erasing deletes the rows and destroys that key, in one transaction; what
//! stays is that there was an order with this id and reference, so that a late event does not bring it back.
//!
//! # In which order
//! 1. The platform reports the event `erase` ([`Orders::record_event`](crate::Orders::record_event)) for the accounts that the order concerns. Their plugins
//!    are given the addresses once more and tell the vendors to forget. It waits its turn like any event.
//! 2. When the jobs of the order are over, [`PersonalData::erase_order`] forgets it. [`Store::sweep`](crate::Store::sweep) does so by
//!    itself, and not later than [`Retention::erase_after`](crate::Retention::erase_after) after the event: a vendor that is
//!    away for weeks must be told by hand.
//! 3. Who must not wait erases with [`UnfinishedJobs::Cancel`]. A worker that has a job of the order then can write nothing more;
//!    a request that it has sent already has been sent.
//!
//! What vendors sent about an order is sealed with its key and goes with it. A request that nobody could tie to an order, because
//! its plugin refused it, goes when a reference of the order, a vendor's id of it or an e-mail address that it ever had stands there;
//! one that gives but a name goes when its [time](crate::Retention::webhooks) is over.
//!
//! # What becomes of the bytes
//! SQLite overwrites deleted bytes (`secure_delete`), and the write-ahead log is emptied afterwards; a reader that takes more than
//! seconds delays that to the next time. PostgreSQL keeps dead rows until it vacuums, and its log for longer; copies of a
//! database keep what they have. What stands there is sealed with a key that is sealed with the store's: nobody without the
//! store's key reads it, and [`Store::rotate_keys`](crate::Store::rotate_keys), with the old key thrown away, leaves nobody who
//! can.

use std::time::SystemTime;

use cartwright::ShopId;
use serde_json::json;

use crate::audit_log::NewAuditEntry;
use crate::customer::CustomerEmail;
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::PersonalData;

/// Everything that is kept of the order $2 of the shop $1, and how it is forgotten; children before their parents. A table that
/// keeps something of an order is added here, and nowhere else; its column is called `order_id`.
const KEPT: [(&str, &str); 15] = [
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
    ("references", "delete from order_references where shop = $1 and order_id = $2"),
    ("e-mail addresses", "delete from order_emails where shop = $1 and order_id = $2"),
    (
        // In carts: they held the same bytes.
        "blobs of carts",
        "delete from blobs where shop = $1 and order_id = '' and exists (
             select 1 from blobs own where own.shop = $1 and own.order_id = $2
             and (own.digest = blobs.configuration or own.digest = blobs.digest and blobs.configuration = ''))",
    ),
    ("blobs", "delete from blobs where shop = $1 and order_id = $2"),
    (
        // Their status stays, so that they are answered again.
        "webhooks",
        "update webhook_deliveries set body = null, details = null, size = 0 where shop = $1 and id in (
             select delivery_id from webhook_delivery_orders where shop = $1 and order_id = $2)",
    ),
    // What the platform was still to be told of it.
    ("notifications", "delete from notifications where shop = $1 and subject = 'order ' || $2"),
    ("webhook_delivery_orders", "delete from webhook_delivery_orders where shop = $1 and order_id = $2"),
    (
        "answers to requests",
        "delete from idempotency_keys where id in (
             select request from idempotency_key_orders where shop = $1 and order_id = $2)",
    ),
    ("idempotency_key_orders", "delete from idempotency_key_orders where shop = $1 and order_id = $2"),
];

/// What happens to an order's jobs that are not over when the order is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfinishedJobs {
    /// Nothing is forgotten; the error says how many there are.
    Refuse,
    /// They are dropped: vendors may not have been told to forget.
    Cancel,
}

impl PersonalData<'_> {
    /// Forgets everything of an order, and logs who wanted it. False when it was forgotten before.
    ///
    /// Raw configurations of the order are forgotten in carts as well: they are the same bytes. A cart that still holds one must be
    /// configured again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when jobs are not over and [`UnfinishedJobs::Refuse`] was said; [`StoreError::NotFound`]; and as the
    /// database says. Nothing is forgotten then.
    pub async fn erase_order(
        self,
        shop: &ShopId,
        order: &str,
        unfinished: UnfinishedJobs,
        actor: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        // The jobs before the order, as everywhere. Whoever has one holds an older fence.
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
            // What cannot be read can be forgotten.
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
                "{jobs} jobs of the order {order} are not over: wait for them, cancel them, or erase the order with \
                 cancelling what is left"
            )));
        }
        self.take_configurations(&mut work, shop, order, milliseconds(now)).await?;
        let names = self.store.webhooks().names_of_order(&mut work, shop, order).await?;
        let mut counts = serde_json::Map::new();
        counts.insert("unfinished jobs".to_owned(), jobs.into());
        let named = self.store.webhooks().delete_by_name(&mut work, shop, &names).await?;
        counts.insert("webhooks that name it".to_owned(), named.into());
        for (what, delete) in KEPT {
            let deleted = sqlx::query(delete).bind(shop.as_str()).bind(order).execute(&mut *work).await?;
            counts.insert(what.to_owned(), deleted.rows_affected().into());
        }
        let forget =
            "update orders set order_key = null, number_hash = null, held_lines = 0, content = $3, changed_at = $4
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
            what: "erase-order",
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

    /// Configurations that came after the order named them.
    async fn take_configurations(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let taken = async {
            let Some(known) = self.store.orders().read_order(work, shop, order).await? else { return Ok(()) };
            self.store.orders().adopt_configurations(work, shop, &known.order, &known.key, now).await
        };
        match taken.await {
            // What cannot be read names nothing.
            Ok(()) | Err(StoreError::Corrupt(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets all orders of a customer, each as [`PersonalData::erase_order`] does; gives the platform's ids. Broken off, it is called
    /// again: what is forgotten is not found any more.
    ///
    /// # Errors
    /// As [`PersonalData::orders_of_customer`] and [`PersonalData::erase_order`]; the orders before stay forgotten.
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
            self.erase_order(shop, order, unfinished, actor, now).await?;
        }
        Ok(orders)
    }
}
