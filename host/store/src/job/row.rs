//! The row of a job.

use cartwright::ShopId;
use cartwright::durable::RetryCounters;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row as _};

use super::{JobStateKind, StateReason, counters};
use crate::database::{Store, WriteTransaction};
use crate::error::StoreError;
use crate::keys::aad;
use crate::vault::Key;

/// The columns of a job's row that a run needs.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) shop: String,
    pub(super) order_id: String,
    pub(super) account: String,
    pub(super) all_lines: i64,
    pub(super) event: String,
    pub(super) plugin: String,
    /// The name of its state.
    state: String,
    pub(super) due_at: i64,
    pub(super) outages: i64,
    pub(super) limit_breaches: i64,
    pub(super) worker_losses: i64,
    pub(super) round: i64,
    pub(super) cancel: i64,
    pub(super) journal: i64,
    pub(super) event_sent: Option<Vec<u8>>,
    pub(super) continuation_state: Option<Vec<u8>>,
    reason: Option<Vec<u8>>,
    pub(super) order_key: Option<Vec<u8>>,
}

impl FromRow<'_, AnyRow> for Row {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            shop: row.try_get("shop")?,
            order_id: row.try_get("order_id")?,
            account: row.try_get("account")?,
            all_lines: row.try_get("all_lines")?,
            event: row.try_get("event")?,
            plugin: row.try_get("plugin")?,
            state: row.try_get("state")?,
            due_at: row.try_get("due_at")?,
            outages: row.try_get("outages")?,
            limit_breaches: row.try_get("limit_breaches")?,
            worker_losses: row.try_get("worker_losses")?,
            round: row.try_get("round")?,
            cancel: row.try_get("is_cancelled")?,
            journal: row.try_get("journal")?,
            event_sent: row.try_get("event_sent")?,
            continuation_state: row.try_get("continuation_state")?,
            reason: row.try_get("state_reason")?,
            order_key: row.try_get("order_key")?,
        })
    }
}

impl Row {
    pub(super) fn shop(&self) -> Result<ShopId, StoreError> {
        self.shop.parse().map_err(|error| StoreError::corrupt("a job's shop", error))
    }

    pub(super) fn key(&self, store: &Store) -> Result<Key, StoreError> {
        store.orders().order_key(&self.shop()?, &self.order_id, self.order_key.clone())
    }

    pub(super) fn state(&self) -> Result<JobStateKind, StoreError> {
        self.state.parse().map_err(|error| StoreError::corrupt("a job", error))
    }

    pub(super) fn counters(&self) -> RetryCounters {
        counters(self.outages, self.limit_breaches)
    }

    pub(super) fn reason(&self, key: &Key, id: &str) -> Result<Option<StateReason>, StoreError> {
        self.reason.as_ref().map(|encrypted| key.decrypt_json(&aad("state_reason", "", id), encrypted)).transpose()
    }
}

/// Locks the job until this transaction ends.
pub(super) async fn lock(work: &mut WriteTransaction, id: &str) -> Result<(), StoreError> {
    sqlx::query("update jobs set fencing_token = fencing_token where id = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

pub(super) async fn row(connection: &mut AnyConnection, id: &str) -> Result<Row, StoreError> {
    let found = sqlx::query_as(
        "select l.shop, l.order_id, l.account, l.all_lines, j.event, j.plugin, j.state, j.due_at, j.outages, j.limit_breaches, j.worker_losses,
                j.round, j.is_cancelled, j.journal, j.event_sent, j.continuation_state, j.state_reason, o.order_key
         from jobs j join job_lanes l on l.id = j.lane_id join orders o on o.shop = l.shop and o.id = l.order_id where j.id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    found.ok_or_else(|| StoreError::NotFound { what: "job", id: id.to_owned() })
}
