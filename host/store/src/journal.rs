//! The journal of a claimed job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cartwright::durable::{Entry, Journal, JournalError, Loaded, MAX_JOURNAL_ENTRIES, Record};
use cartwright::{AccountId, Blobs, ShopId};
use sqlx::AnyConnection;

use crate::blobs::OrderBlobs;
use crate::database::{Store, WriteTransaction, in_time};
use crate::error::StoreError;
use crate::job::{Lease, check_lease};
use crate::keys::aad;
use crate::outcome::OutcomeSource;
use crate::vault::Key;

/// Time for which a vendor's response is kept in memory while the database is unavailable. It can be written as long as
/// no other worker claims the job.
const WRITE_RETRY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const WRITE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The current journal of a job, for the worker that claimed it. When the lease is lost, the journal can be read but
/// not written.
#[derive(Debug)]
pub struct StoreJournal {
    store: Store,
    lease: Lease,
    number: u32,
    key: Key,
    shop: ShopId,
    account: AccountId,
    order: String,
}

impl StoreJournal {
    pub(crate) fn new(
        store: Store,
        lease: Lease,
        number: u32,
        key: Key,
        (shop, account, order): (&ShopId, &AccountId, &str),
    ) -> Self {
        let (shop, account, order) = (shop.clone(), account.clone(), order.to_owned());
        Self { store, lease, number, key, shop, account, order }
    }

    fn job(&self) -> &str {
        &self.lease.job
    }

    async fn write(&self, position: usize, record: &Record) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        check_lease(&mut work, &self.lease).await?;
        add(&mut work, self.job(), self.number, position, record, &self.key).await?;
        if let Entry::Emitted { key, outcome } = &record.entry {
            let source = OutcomeSource {
                shop: &self.shop,
                order: &self.order,
                account: &self.account,
                job: Some(self.job()),
                key: &self.key,
            };
            self.store.outcomes().apply(&mut work, &source, key, outcome, record.at).await?;
        }
        work.commit().await?;
        // The platform is notified of it, and it may create a job or concern the account.
        if matches!(&record.entry, Entry::Emitted { .. }) {
            self.store.nudge();
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        let loaded = async {
            let mut connection = self.store.pool().acquire().await?;
            load(&mut connection, self.job(), self.number, &self.key).await
        };
        in_time(loaded).await.map_err(journal_error)
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        if position >= MAX_JOURNAL_ENTRIES {
            return Err(JournalError::Full);
        }
        let given_up = Instant::now() + WRITE_RETRY_TIMEOUT;
        loop {
            match in_time(self.write(position, record)).await {
                // A lost response may require a decision by the merchant, and waiting for the database costs nothing.
                Err(StoreError::Unavailable(_) | StoreError::Full(_))
                    if matches!(record.entry, Entry::Responded { .. }) && Instant::now() < given_up =>
                {
                    tokio::time::sleep(WRITE_RETRY_DELAY).await;
                }
                written => return written.map_err(journal_error),
            }
        }
    }

    fn blobs(&self) -> Option<Arc<dyn Blobs>> {
        Some(OrderBlobs::of(&self.store, &self.order, &self.key))
    }
}

fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::LeaseLost(_) => JournalError::Superseded,
        error => JournalError::Store(error.to_string()),
    }
}

/// Returns the associated data that binds an entry to its position, so that entries of two journals cannot be combined.
fn entry_aad(job: &str, number: u32, position: usize) -> String {
    aad("entry", &format!("{number}.{position}"), job)
}

/// Adds an entry at this position, if exactly as many precede it.
pub(crate) async fn add(
    work: &mut WriteTransaction,
    job: &str,
    number: u32,
    position: usize,
    record: &Record,
    key: &Key,
) -> Result<(), StoreError> {
    let added = sqlx::query(
        "insert into journal_entries (job, journal, position, record)
         select $1, $2, $3, $4 where $3 = (select count(*) from journal_entries where job = $1 and journal = $2)",
    )
    .bind(job)
    .bind(i64::from(number))
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .bind(key.encrypt_json(&entry_aad(job, number, position), record)?)
    .execute(&mut **work)
    .await?;
    if added.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost(job.to_owned())) }
}

/// Loads one journal of a job.
pub(crate) async fn load(
    connection: &mut AnyConnection,
    job: &str,
    number: u32,
    key: &Key,
) -> Result<Loaded, StoreError> {
    let (attempts,): (String,) = sqlx::query_as("select earlier_attempts from jobs where id = $1")
        .bind(job)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| StoreError::NotFound { what: "job", id: job.to_owned() })?;
    let earlier_attempts: BTreeMap<_, _> =
        serde_json::from_str(&attempts).map_err(|error| StoreError::corrupt(job, error))?;
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "select position, record from journal_entries where job = $1 and journal = $2 order by position",
    )
    .bind(job)
    .bind(i64::from(number))
    .fetch_all(connection)
    .await?;
    let records = rows.iter().enumerate().map(|(index, (position, encrypted))| {
        if i64::try_from(index).ok() != Some(*position) {
            return Err(StoreError::Corrupt(format!("entry {index} of the journal {number} of {job} is missing")));
        }
        key.decrypt_json(&entry_aad(job, number, index), encrypted)
    });
    Ok(Loaded { records: records.collect::<Result<_, _>>()?, earlier_attempts })
}
