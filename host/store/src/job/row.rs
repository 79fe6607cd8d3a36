//! A job's row.

use cartwright::ShopId;
use cartwright::durable::Tries;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row as _};

use super::{Why, tries};
use crate::database::{Store, Work};
use crate::error::StoreError;
use crate::keys::place;
use crate::vault::Key;

/// A job's row, as far as a run needs it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) shop: String,
    pub(super) order_id: String,
    pub(super) account: String,
    pub(super) all_lines: i64,
    pub(super) event: String,
    pub(super) plugin: String,
    pub(super) state: String,
    pub(super) due_at: i64,
    pub(super) outages: i64,
    pub(super) breaches: i64,
    pub(super) losses: i64,
    pub(super) round: i64,
    pub(super) cancel: i64,
    pub(super) journal: i64,
    pub(super) told: Option<Vec<u8>>,
    pub(super) handed_on: Option<Vec<u8>>,
    why: Option<Vec<u8>>,
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
            breaches: row.try_get("breaches")?,
            losses: row.try_get("losses")?,
            round: row.try_get("round")?,
            cancel: row.try_get("cancel")?,
            journal: row.try_get("journal")?,
            told: row.try_get("told")?,
            handed_on: row.try_get("handed_on")?,
            why: row.try_get("why")?,
            order_key: row.try_get("order_key")?,
        })
    }
}

impl Row {
    pub(super) fn shop(&self) -> Result<ShopId, StoreError> {
        self.shop.parse().map_err(|error| StoreError::corrupt("a job's shop", error))
    }

    pub(super) fn key(&self, store: &Store) -> Result<Key, StoreError> {
        store.order_key(&self.shop()?, &self.order_id, self.order_key.clone())
    }

    pub(super) fn tries(&self) -> Tries {
        tries(self.outages, self.breaches)
    }

    pub(super) fn why(&self, key: &Key, id: &str) -> Result<Option<Why>, StoreError> {
        self.why.as_ref().map(|sealed| key.open_json(&place("why", "", id), sealed)).transpose()
    }
}

/// Nobody else changes the job before this transaction ends.
pub(super) async fn lock(work: &mut Work, id: &str) -> Result<(), StoreError> {
    sqlx::query("update jobs set fence = fence where id = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

pub(super) async fn row(connection: &mut AnyConnection, id: &str) -> Result<Row, StoreError> {
    let found = sqlx::query_as(
        "select l.shop, l.order_id, l.account, l.all_lines, j.event, j.plugin, j.state, j.due_at, j.outages, j.breaches, j.losses,
                j.round, j.cancel, j.journal, j.told, j.handed_on, j.why, o.order_key
         from jobs j join lanes l on l.id = j.lane join orders o on o.shop = l.shop and o.id = l.order_id where j.id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    found.ok_or_else(|| StoreError::NotFound { what: "job", id: id.to_owned() })
}
