//! Order events as the platform reports them, and the jobs that follow.

use cartwright::types::{Event, EventKind};
use cartwright::{AccountId, Digest, ShopId};
use sqlx::AnyConnection;
use std::time::SystemTime;

use crate::database::{Store, milliseconds};
use crate::error::StoreError;
use crate::keys::place;

/// Which lines of an order an account is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Those that were configured with it: for a vendor.
    Own,
    /// All: for an order hook.
    All,
}

/// Who is to be told of an event.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The account.
    pub account: AccountId,
    /// The component that handles it, from here to the job's end.
    pub plugin: Digest,
    /// What the account is shown of the order. What the order's first event said holds for all of them.
    pub lines: Lines,
}

/// What came of recording an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is new; these jobs are queued, in the order of the accounts given.
    New {
        /// Their ids.
        jobs: Vec<String>,
    },
    /// An event with this id was recorded before. Nothing was changed.
    Known,
}

impl Store {
    /// Stores an event with these jobs, and the order as the event holds it, in one transaction: all of it stands when this
    /// returns. [`Store::report`] works out which jobs they are. The event's order has all its lines, whomever they concern. The same event twice does nothing twice.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the order's references belong to another order, [`StoreError::Erased`], and as the
    /// database says.
    pub async fn record_event(
        &self,
        shop: &ShopId,
        event: &Event,
        jobs: &[NewJob],
        now: SystemTime,
    ) -> Result<Recorded, StoreError> {
        let mut work = self.begin().await?;
        let recorded = self.record_in(&mut work, shop, event, jobs, milliseconds(now)).await?;
        if event.order.released && recorded != Recorded::Known {
            self.release_in(&mut work, shop, &event.order.id).await?;
        }
        work.commit().await?;
        self.nudge();
        Ok(recorded)
    }

    pub(crate) async fn is_recorded(
        &self,
        work: &mut AnyConnection,
        shop: &ShopId,
        event: &str,
    ) -> Result<bool, StoreError> {
        let known: Option<(String,)> = sqlx::query_as("select id from events where shop = $1 and id = $2")
            .bind(shop.as_str())
            .bind(event)
            .fetch_optional(work)
            .await?;
        Ok(known.is_some())
    }

    pub(crate) async fn record_in(
        &self,
        work: &mut AnyConnection,
        shop: &ShopId,
        event: &Event,
        jobs: &[NewJob],
        now: i64,
    ) -> Result<Recorded, StoreError> {
        if self.is_recorded(work, shop, &event.id).await? {
            return Ok(Recorded::Known);
        }
        let key = self.know_order(&mut *work, shop, &event.order, now).await?;
        let added = sqlx::query(
            "insert into events (shop, id, order_id, order_version, kind, event, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (shop, id) do nothing",
        )
        .bind(shop.as_str())
        .bind(&event.id)
        .bind(&event.order.id)
        .bind(i64::try_from(event.order.version).unwrap_or(i64::MAX))
        .bind(kind(&event.kind))
        .bind(key.seal_json(&place("event", shop.as_str(), &event.id), event)?)
        .bind(now)
        .execute(&mut *work)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(Recorded::Known);
        }
        let mut ids = Vec::with_capacity(jobs.len());
        for job in jobs {
            ids.push(queue(&mut *work, shop, event, job, now).await?);
        }
        Ok(Recorded::New { jobs: ids })
    }
}

/// Puts a job at the end of its lane.
async fn queue(
    work: &mut AnyConnection,
    shop: &ShopId,
    event: &Event,
    job: &NewJob,
    now: i64,
) -> Result<String, StoreError> {
    let (lane, turn): (i64, i64) = sqlx::query_as(
        "insert into lanes (shop, order_id, account, all_lines, turns) values ($1, $2, $3, $4, 1)
         on conflict (shop, order_id, account) do update set turns = lanes.turns + 1
         returning id, turns",
    )
    .bind(shop.as_str())
    .bind(&event.order.id)
    .bind(job.account.as_str())
    .bind(i64::from(job.lines == Lines::All))
    .fetch_one(&mut *work)
    .await?;
    // Neither a shop's nor an account's id holds a colon.
    let id = format!("{shop}:{}:{}", job.account, event.id);
    sqlx::query(
        "insert into jobs (id, lane, shop, event, plugin, state, turn, due_at, outages, breaches, round, cancel, fence, losses,
                           journal, earlier_attempts, created_at, changed_at)
         values ($1, $2, $3, $4, $5, 'queued', $6, $7, 0, 0, 0, 0, 0, 0, 0, '{}', $7, $7)",
    )
    .bind(&id)
    .bind(lane)
    .bind(shop.as_str())
    .bind(&event.id)
    .bind(job.plugin.to_string())
    .bind(turn)
    .bind(now)
    .execute(work)
    .await?;
    Ok(id)
}

/// What happened, as the contract spells it.
pub(crate) fn kind(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Placed => "placed",
        EventKind::PartlyPaid => "partly-paid",
        EventKind::Paid => "paid",
        EventKind::Released => "released",
        EventKind::Changed => "changed",
        EventKind::Cancelled => "cancelled",
        EventKind::Refunded(_) => "refunded",
        EventKind::Fulfilled(_) => "fulfilled",
        EventKind::QuotationRequested => "quotation-requested",
        EventKind::ConfigurationSaved => "configuration-saved",
        EventKind::Scheduled(_) => "scheduled",
        EventKind::Message(_) => "message",
        EventKind::Erase => "erase",
        EventKind::Other(_) => "other",
    }
}
