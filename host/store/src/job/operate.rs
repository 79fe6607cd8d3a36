//! Operations on jobs for merchants and operators: list, read, cancel, retry.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::durable::{self, Journal, JournalError, Loaded, Record};
use cartwright::{Clock, Digest, ShopId};
use serde::de::IgnoredAny;
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::finish::{free_lane, last_turn};
use super::row::{Row, lock, row};
use super::{JobDetail, JobFilter, JobState, JobStateKind, JobSummary, RetryMode, counters, small};
use crate::audit_log::NewAuditEntry;
use crate::database::{milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Jobs;
use crate::journal;
use crate::order_list::skip_damaged;
use crate::stored_outcome::OutcomeSelection;

const LIST: &str = "
    select j.id, j.shop, l.order_id, l.account, j.event, e.kind, j.plugin, j.state, j.due_at, j.outages, j.limit_breaches, j.is_cancelled,
           l.current_job, j.worker, j.created_at, j.changed_at
    from jobs j join job_lanes l on l.id = j.lane_id join order_events e on e.shop = j.shop and e.id = j.event
    where (j.id = $1 or $1 is null) and (j.shop = $2 or $2 is null) and (l.order_id = $3 or $3 is null)
    and (l.account = $4 or $4 is null) and (j.state = $5 or $5 is null)
    and ($6 is null or (j.created_at, j.id) > (select created_at, id from jobs where id = $6))
    order by j.created_at, j.id limit $7";

/// Converts a row of [`LIST`].
fn summary(row: &AnyRow) -> Result<JobSummary, StoreError> {
    fn parsed<T: FromStr<Err: std::error::Error>>(row: &AnyRow, column: &str) -> Result<T, StoreError> {
        let text: String = row.try_get(column)?;
        text.parse().map_err(|error| StoreError::corrupt("a job", error))
    }
    let (id, state): (String, String) = (row.try_get("id")?, row.try_get("state")?);
    let tries = counters(row.try_get("outages")?, row.try_get("limit_breaches")?);
    let state = state.parse::<JobStateKind>().map_err(|error| StoreError::corrupt("a job", error))?;
    let state = JobState::new(state, row.try_get("due_at")?, tries);
    let held_by: Option<String> = row.try_get("current_job")?;
    Ok(JobSummary {
        shop: parsed(row, "shop")?,
        order: row.try_get("order_id")?,
        account: parsed(row, "account")?,
        event: row.try_get("event")?,
        kind: row.try_get("kind")?,
        plugin: parsed(row, "plugin")?,
        is_cancelling: row.try_get::<i64, _>("is_cancelled")? == 1 && !state.is_over(),
        blocked_by: held_by.filter(|holder| *holder != id && !state.is_over()),
        worker: row.try_get("worker")?,
        created: system_time(row.try_get("created_at")?),
        changed: system_time(row.try_get("changed_at")?),
        state,
        id,
    })
}

/// A clock that shows the time of the operator's decision.
struct FixedClock(SystemTime);

#[async_trait]
impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        self.0
    }

    async fn sleep(&self, _seconds: u32) {}
}

/// A journal whose new entries are written later, in the operator's transaction.
struct BufferedJournal {
    loaded: Loaded,
    new_entries: Mutex<Vec<(usize, Record)>>,
}

impl BufferedJournal {
    fn new_entries(self) -> Vec<(usize, Record)> {
        self.new_entries.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for BufferedJournal {
    async fn load(&self) -> Result<Loaded, JournalError> {
        Ok(self.loaded.clone())
    }

    async fn append(&self, position: usize, record: &Record) -> Result<(), JournalError> {
        self.new_entries.lock().unwrap_or_else(PoisonError::into_inner).push((position, record.clone()));
        Ok(())
    }
}

impl Jobs<'_> {
    /// Returns at most `limit` jobs that match, oldest first.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn list(self, filter: &JobFilter, limit: u32) -> Result<Vec<JobSummary>, StoreError> {
        self.select_jobs(None, filter, limit).await
    }

    /// Lists jobs. A damaged row is logged, and the next row takes its position in the page.
    async fn select_jobs(
        self,
        id: Option<&str>,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobSummary>, StoreError> {
        let (mut listed, mut after) = (Vec::new(), filter.after.clone());
        loop {
            let wanted = i64::from(limit) - i64::try_from(listed.len()).unwrap_or(i64::MAX);
            let rows: Vec<AnyRow> = sqlx::query(LIST)
                .bind(id)
                .bind(filter.shop.as_ref().map(ShopId::as_str))
                .bind(filter.order.as_deref())
                .bind(filter.account.as_ref().map(|account| account.as_str()))
                .bind(filter.state.map(JobStateKind::name))
                .bind(after.as_deref())
                .bind(wanted)
                .fetch_all(self.store.pool())
                .await?;
            let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < wanted);
            after = rows.last().map(|row| row.try_get("id")).transpose()?;
            let before = listed.len();
            let count = rows.len();
            let mut read = rows.iter().map(summary);
            if id.is_some() {
                return read.collect();
            }
            listed.extend(skip_damaged(&mut read));
            if is_last || listed.len() == before + count {
                return Ok(listed);
            }
        }
    }

    /// Returns a job with its journals and outcomes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Erased`], or an error of the database.
    pub async fn get(self, id: &str) -> Result<JobDetail, StoreError> {
        let missing = || StoreError::NotFound { what: "job", id: id.to_owned() };
        let summary = self.select_jobs(Some(id), &JobFilter::default(), 1).await?.pop().ok_or_else(missing)?;
        let mut connection = self.store.pool().acquire().await?;
        let row = row(&mut connection, id).await?;
        let key = row.key(self.store)?;
        let mut journals = Vec::new();
        for number in 0..=small(row.journal) {
            let loaded = journal::load(&mut connection, id, number, &key).await?;
            journals.push((number, loaded.records));
        }
        let mut outcomes = self
            .store
            .outcomes()
            .outcomes_in(&mut connection, &key, &summary.shop, &summary.order, OutcomeSelection::All)
            .await?;
        outcomes.retain(|said| said.job.as_deref() == Some(id));
        Ok(JobDetail { reason: row.reason(&key, id)?, summary, journals, outcomes })
    }

    /// Cancels a job, with an audit entry. If a worker runs it, or it waits for a response, its next run is notified
    /// and may clean up; otherwise it is cancelled at once, which frees its lane. Cancelling a finished job changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or an error of the database.
    pub async fn cancel(self, id: &str, actor: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        lock(&mut work, id).await?;
        let row = row(&mut work, id).await?;
        let old = row.state()?;
        let (change, state) = match old {
            JobStateKind::Done | JobStateKind::Cancelled => return Ok(()),
            JobStateKind::Running | JobStateKind::Waiting | JobStateKind::Sleeping | JobStateKind::Retrying => {
                ("update jobs set is_cancelled = 1, changed_at = $2 where id = $1", old)
            }
            _ => {
                free_lane(&mut work, id).await?;
                let state = JobStateKind::Cancelled;
                self.store.notifications().notify_job(&mut work, id, state, milliseconds(now)).await?;
                let change = "update jobs set is_cancelled = 1, state = 'cancelled', fencing_token = fencing_token + 1, changed_at = $2 where id = $1";
                (change, state)
            }
        };
        sqlx::query(change).bind(id).bind(milliseconds(now)).execute(&mut *work).await?;
        let shop = row.shop()?;
        let (before, after) = (audit_value(old, row.cancel == 1, &row.plugin), audit_value(state, true, &row.plugin));
        let entry = NewAuditEntry {
            actor,
            action: "cancel-job",
            shop: Some(&shop),
            subject: id,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await?;
        self.store.nudge();
        Ok(())
    }

    /// Deletes the journals of a finished job. The count of attempts of each request is kept, in case the job is
    /// retried.
    pub(crate) async fn sweep_journals_of(self, id: &str) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        lock(&mut work, id).await?;
        let row = match row(&mut work, id).await {
            Ok(row) if row.state().is_ok_and(JobStateKind::is_over) => row,
            // The job was erased, or is retried.
            Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let counted = match row.key(self.store) {
            Ok(key) => self.new_journal(&mut work, id, &row, &key).await,
            Err(error) => Err(error),
        };
        match counted {
            // Unreadable entries contain no counts.
            Ok(()) | Err(StoreError::Corrupt(_) | StoreError::Erased(_)) => {}
            Err(error) => return Err(error),
        }
        sqlx::query("delete from journal_entries where job = $1").bind(id).execute(&mut *work).await?;
        sqlx::query("update jobs set event_sent = null, continuation_state = null, is_swept = 1 where id = $1")
            .bind(id)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// Retries a job as soon as its lane is free, with an audit entry.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a worker runs the job; if it is to be resumed, and has neither stopped, failed nor
    /// been cancelled; if it is to restart on a component that it already runs, that is revoked, belongs to another
    /// plugin, or that its account has no settings for. [`StoreError::NotFound`] if the job or the component is not
    /// stored. Or an error of the database.
    pub async fn retry(self, id: &str, how: RetryMode, actor: &str, now: SystemTime) -> Result<(), StoreError> {
        let at = milliseconds(now);
        let mut work = self.store.begin().await?;
        lock(&mut work, id).await?;
        let row = row(&mut work, id).await?;
        let state = row.state()?;
        match (state, how) {
            (JobStateKind::Running | JobStateKind::Waiting, _) => {
                return Err(StoreError::Conflict(format!("a worker runs the job {id}")));
            }
            (
                JobStateKind::Stopped | JobStateKind::NeedsMerchant | JobStateKind::Retrying | JobStateKind::Cancelled,
                RetryMode::Resume,
            )
            | (_, RetryMode::Restart | RetryMode::RestartOn(_)) => {}
            (state, RetryMode::Resume) => {
                let state = state.name();
                return Err(StoreError::Conflict(format!("the job {id} is {state}: there is nothing to retry")));
            }
        }
        match how {
            RetryMode::Restart => self.new_journal(&mut work, id, &row, &row.key(self.store)?).await?,
            RetryMode::RestartOn(to) => {
                check_move(&mut work, id, &row, &to).await?;
                self.new_journal(&mut work, id, &row, &row.key(self.store)?).await?;
                let change = "update jobs set plugin = $2 where id = $1";
                sqlx::query(change).bind(id).bind(to.to_string()).execute(&mut *work).await?;
            }
            RetryMode::Resume => {
                let (number, key) = (small(row.journal), row.key(self.store)?);
                let loaded = journal::load(&mut work, id, number, &key).await?;
                let taken_back = BufferedJournal { loaded, new_entries: Mutex::default() };
                durable::retry(&taken_back, &FixedClock(now))
                    .await
                    .map_err(|error| StoreError::Conflict(error.to_string()))?;
                for (position, record) in taken_back.new_entries() {
                    journal::add(&mut work, id, number, position, &record, &key).await?;
                }
            }
        }
        if state.is_over() {
            last_turn(&mut work, id).await?;
        }
        sqlx::query(
            "update jobs set state = 'queued', due_at = $2, outages = 0, limit_breaches = 0, worker_losses = 0, is_cancelled = 0, is_swept = 0,
                              fencing_token = fencing_token + 1,
                             changed_at = $2
             where id = $1",
        )
        .bind(id)
        .bind(at)
        .execute(&mut *work)
        .await?;
        let shop = row.shop()?;
        let (what, component) = match how {
            RetryMode::Resume => ("retry-job", row.plugin.clone()),
            RetryMode::Restart => ("restart-job", row.plugin.clone()),
            RetryMode::RestartOn(to) => ("move-job", to.to_string()),
        };
        let before = audit_value(state, row.cancel == 1, &row.plugin);
        let after = audit_value(JobStateKind::Queued, false, &component);
        let (before, after) = (Some(&before), Some(&after));
        let entry = NewAuditEntry { actor, action: what, shop: Some(&shop), subject: id, before, after, secrets: &[] };
        work.commit_audited(&entry, now).await?;
        self.store.nudge();
        Ok(())
    }
}

/// The audit value of a job.
fn audit_value(state: JobStateKind, cancelled: bool, component: &str) -> serde_json::Value {
    json!({ "state": state.name(), "cancelled": cancelled, "component": component })
}

/// Checks that the job can run on this component. Its account must have been switched to the component once: only then
/// are there settings in its form.
async fn check_move(connection: &mut AnyConnection, id: &str, row: &Row, to: &Digest) -> Result<(), StoreError> {
    let refused = |reason: String| Err(StoreError::Conflict(format!("the job {id} cannot be moved: {reason}")));
    let to = to.to_string();
    if row.plugin == to {
        return refused("it runs this component already; restart it".to_owned());
    }
    let (installed, _) = component(connection, &row.plugin).await?;
    let (offered, revoked) = component(connection, &to).await?;
    if installed != offered {
        return refused(format!("it runs {installed}, the component is {offered}"));
    }
    if revoked {
        return refused(format!("the component {to} is revoked"));
    }
    let versions: Option<(String,)> = sqlx::query_as("select versions from accounts where shop = $1 and id = $2")
        .bind(&row.shop)
        .bind(&row.account)
        .fetch_optional(connection)
        .await?;
    let known: Option<BTreeMap<String, IgnoredAny>> = versions
        .map(|(versions,)| serde_json::from_str(&versions))
        .transpose()
        .map_err(|error| StoreError::corrupt_json("an account's versions", &error))?;
    if !known.is_some_and(|known| known.contains_key(&to)) {
        let account = &row.account;
        return refused(format!(
            "the account {account} has no settings for the component {to}; switch the account to it once"
        ));
    }
    Ok(())
}

/// Returns the plugin of a component, and whether it is revoked.
async fn component(connection: &mut AnyConnection, digest: &str) -> Result<(String, bool), StoreError> {
    let found: Option<(String, i64)> = sqlx::query_as(
        "select plugin, case when revoked_at is null then 0 else 1 end from components where digest = $1",
    )
    .bind(digest)
    .fetch_optional(connection)
    .await?;
    let missing = || StoreError::NotFound { what: "component", id: digest.to_owned() };
    found.map(|(plugin, revoked)| (plugin, revoked == 1)).ok_or_else(missing)
}
