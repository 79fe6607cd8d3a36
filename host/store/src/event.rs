//! Order events as the platform reports them, and their jobs.

use cartwright::types::{OrderEvent, OrderEventKind, OrderLine};
use cartwright::{AccountId, Digest, RESERVED_ID_PREFIX, ShopId};
use sqlx::AnyConnection;
use std::time::SystemTime;

use crate::database::milliseconds;
use crate::error::StoreError;
use crate::facades::Orders;
use crate::keys::aad;
use crate::order::set_flags_of_host;
use crate::report::SoldLines;
use crate::vault::Key;

/// The lines of an order that an account sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// The lines that were configured with the account: for a vendor.
    Own,
    /// All lines: for an order hook.
    All,
}

impl Lines {
    /// Returns whether an account sees a line of an order.
    pub(crate) fn include(self, line: &OrderLine, account: &AccountId) -> bool {
        self == Self::All || line.account.as_deref() == Some(account.as_str())
    }
}

/// A job to create for an event.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Account that handles the event.
    pub account: AccountId,
    /// Component that runs the job to its end.
    pub plugin: Digest,
    /// Lines of the order that the account sees. The value of the order's first event applies to all of its events.
    pub lines: Lines,
}

/// The result of recording an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// The event is new; its jobs are queued, in the sequence of the given accounts.
    New {
        /// Ids of the jobs.
        jobs: Vec<String>,
    },
    /// This very event was recorded before. Nothing was changed.
    AlreadyRecorded,
}

impl Orders<'_> {
    /// Stores an event with these jobs, and the event's order, in one transaction, so that a test needs no host: platforms
    /// use [`Orders::report`], which checks the event, determines its jobs and applies the shop's release policy. Here the
    /// order is released if the event's order says so. The event's order must have all its lines, whichever accounts
    /// they concern. Recording the same event twice has no further effect.
    ///
    /// # Errors
    /// [`StoreError::EventIdTaken`] if another event has its id, [`StoreError::SameVersion`] if the order was recorded
    /// in this version with other content, [`StoreError::Conflict`] if the order's references belong to another order,
    /// [`StoreError::Erased`], or an error of the database.
    #[doc(hidden)]
    pub async fn record_event(
        self,
        shop: &ShopId,
        event: &OrderEvent,
        jobs: &[NewJob],
        now: SystemTime,
    ) -> Result<RecordOutcome, StoreError> {
        self.record_sold_event(shop, event, &SoldLines::new(), jobs, now).await
    }

    /// Stores an event as [`Orders::record_event`] does, with the bills of materials of its order's lines.
    #[doc(hidden)]
    pub async fn record_sold_event(
        self,
        shop: &ShopId,
        event: &OrderEvent,
        sold: &SoldLines,
        jobs: &[NewJob],
        now: SystemTime,
    ) -> Result<RecordOutcome, StoreError> {
        let mut work = self.store.begin().await?;
        let recorded = self.record_in(&mut work, shop, event, jobs, milliseconds(now)).await?;
        let key = self.lock_order(&mut work, shop, &event.order.id).await?;
        self.store_bills_of_materials(&mut work, shop, (&event.order, &key), sold).await?;
        if event.order.released && recorded != RecordOutcome::AlreadyRecorded {
            self.release_in(&mut work, shop, &event.order).await?;
        }
        work.commit().await?;
        self.store.nudge();
        Ok(recorded)
    }

    /// Returns whether this very event was recorded before.
    ///
    /// # Errors
    /// [`StoreError::EventIdTaken`] if another event was recorded with its id, of this order or of another.
    pub(crate) async fn is_recorded(
        self,
        work: &mut AnyConnection,
        shop: &ShopId,
        event: &OrderEvent,
    ) -> Result<bool, StoreError> {
        let known: Option<(String, Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(
            "select e.order_id, e.event, o.order_key from order_events e join orders o on o.shop = e.shop and o.id = e.order_id
             where e.shop = $1 and e.id = $2",
        )
        .bind(shop.as_str())
        .bind(&event.id)
        .fetch_optional(work)
        .await?;
        let Some((order, encrypted, key)) = known else { return Ok(false) };
        if order == event.order.id {
            let key = self.order_key(shop, &order, key)?;
            let mut known: OrderEvent = key.decrypt_json(&aad("event", shop.as_str(), &event.id), &encrypted)?;
            set_flags_of_host(&mut known.order, &event.order);
            if known == *event {
                return Ok(true);
            }
        }
        Err(StoreError::EventIdTaken { event: event.id.clone(), order })
    }

    pub(crate) async fn record_in(
        self,
        work: &mut AnyConnection,
        shop: &ShopId,
        event: &OrderEvent,
        jobs: &[NewJob],
        now: i64,
    ) -> Result<RecordOutcome, StoreError> {
        if self.is_recorded(work, shop, event).await? {
            return Ok(RecordOutcome::AlreadyRecorded);
        }
        let key = self.store_order(&mut *work, shop, &event.order, now).await?;
        match self.add_event(work, shop, (event, &key), jobs, now).await? {
            Some(jobs) => Ok(RecordOutcome::New { jobs }),
            // A concurrent transaction recorded this event, or another with its id.
            None if self.is_recorded(work, shop, event).await? => Ok(RecordOutcome::AlreadyRecorded),
            None => Err(StoreError::Unavailable(format!("the event {} is being recorded", event.id))),
        }
    }

    /// Records an event of an order with this key, without changing the stored order. Returns the jobs, or `None` if an
    /// event with this id is recorded.
    pub(crate) async fn add_event(
        self,
        work: &mut AnyConnection,
        shop: &ShopId,
        (event, key): (&OrderEvent, &Key),
        jobs: &[NewJob],
        now: i64,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let version = i64::try_from(event.order.version)
            .map_err(|_| StoreError::Conflict(format!("no order has the version {}", event.order.version)))?;
        let added = sqlx::query(
            "insert into order_events (shop, id, order_id, order_version, kind, event, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (shop, id) do nothing",
        )
        .bind(shop.as_str())
        .bind(&event.id)
        .bind(&event.order.id)
        .bind(version)
        .bind(kind(&event.kind))
        .bind(key.encrypt_json(&aad("event", shop.as_str(), &event.id), event)?)
        .bind(now)
        .execute(&mut *work)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(jobs.len());
        for job in jobs {
            ids.push(queue(&mut *work, shop, event, job, now).await?);
        }
        Ok(Some(ids))
    }
}

/// Returns the id of an event that the host creates: no platform's id has this prefix.
pub(crate) fn reserved_event_id(what: &str, id: &str) -> String {
    format!("{RESERVED_ID_PREFIX}{what}:{id}")
}

/// Adds a job to the end of its lane.
async fn queue(
    work: &mut AnyConnection,
    shop: &ShopId,
    event: &OrderEvent,
    job: &NewJob,
    now: i64,
) -> Result<String, StoreError> {
    let (lane, turn): (i64, i64) = sqlx::query_as(
        "insert into job_lanes (shop, order_id, account, all_lines, next_position) values ($1, $2, $3, $4, 1)
         on conflict (shop, order_id, account) do update set next_position = job_lanes.next_position + 1
         returning id, next_position",
    )
    .bind(shop.as_str())
    .bind(&event.order.id)
    .bind(job.account.as_str())
    .bind(i64::from(job.lines == Lines::All))
    .fetch_one(&mut *work)
    .await?;
    // The ids of shops and accounts contain no colon.
    let id = format!("{shop}:{}:{}", job.account, event.id);
    sqlx::query(
        "insert into jobs (id, lane_id, shop, account, event, plugin, state, position, due_at, outages, limit_breaches, round, is_cancelled, fencing_token,
                           worker_losses, journal, earlier_attempts, created_at, changed_at)
         values ($1, $2, $3, $8, $4, $5, 'queued', $6, $7, 0, 0, 0, 0, 0, 0, 0, '{}', $7, $7)",
    )
    .bind(&id)
    .bind(lane)
    .bind(shop.as_str())
    .bind(&event.id)
    .bind(job.plugin.to_string())
    .bind(turn)
    .bind(now)
    .bind(job.account.as_str())
    .execute(work)
    .await?;
    Ok(id)
}

/// Returns the kind of an event, as the contract spells it.
pub(crate) fn kind(kind: &OrderEventKind) -> &'static str {
    match kind {
        OrderEventKind::Placed => "placed",
        OrderEventKind::PartlyPaid => "partly-paid",
        OrderEventKind::Paid => "paid",
        OrderEventKind::Released => "released",
        OrderEventKind::Changed => "changed",
        OrderEventKind::Cancelled => "cancelled",
        OrderEventKind::Refunded(_) => "refunded",
        OrderEventKind::Fulfilled(_) => "fulfilled",
        OrderEventKind::QuoteRequested => "quote-requested",
        OrderEventKind::Forwarded(_) => "forwarded",
        OrderEventKind::Erase => "erase",
        OrderEventKind::Other(_) => "other",
    }
}
