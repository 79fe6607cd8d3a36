//! Claims jobs and renews leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright::ShopId;
use cartwright::durable::{Job, ResponsibleParty, RestartRisk, Wake};
use cartwright::types::{OrderEvent, Outcome};

use super::lease::fencing_token;
use super::row::{Row, row};
use super::{Claim, Heartbeat, JobStateKind, Lease, StateReason, small};
use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::event::Lines;
use crate::facades::Jobs;
use crate::journal::StoreJournal;
use crate::keys::aad;
use crate::order::visible_to;
use crate::stored_outcome::OutcomeSelection;
use crate::vault::Key;

/// Maximum number of attempts to claim a job while other workers are quicker.
const MAX_ATTEMPTS: u32 = 8;

/// Number of consecutive worker losses after which a job stops. A deployment loses a worker once.
const MAX_WORKER_LOSSES: i64 = 5;

/// Selects the next job to run at $1: of the account with the fewest runs in progress on all nodes together; of several
/// such accounts, the one whose last claim is oldest; of that account, the job that is due longest.
///
/// A job can run if its time has come, it was cancelled, or its worker's lease expired, and if it occupies its lane, or
/// the lane is free and the job is the first that has not begun. A job that returned `continue-later` lets others pass
/// until its time comes. For an account without such a job, one that could sleep on makes way: of those that block
/// others, the one that has blocked another for longest.
///
/// There may be many jobs that sleep for weeks, and many jobs of one account that were reported together: a claim that
/// read all of either would become slower with their number. So the 50 jobs of each kind that are due longest determine
/// the accounts. If there are that many, more may be due behind them, and `backlog` steps through the index from each
/// account of that kind to the next. It does so in two searches, because with `(shop, account) > (…)` SQLite reads all
/// jobs of the account that it steps from. For each account, an index in the sequence of its time then gives the first
/// job that can run. `is not null` tells PostgreSQL that the job that makes way is found soon; otherwise it expects a
/// long search, and takes seconds to compile the statement.
const NEXT_DUE_JOB: &str = "
    with recursive first_due (state, shop, account) as (
        select * from (
            select state, shop, account from jobs where state = 'queued' and due_at <= $1 order by due_at limit 50) queued
        union all select * from (
            select state, shop, account from jobs where state = 'sleeping' and due_at <= $1 order by due_at limit 50) sleeping
        union all select * from (
            select state, shop, account from jobs where state = 'retrying' and due_at <= $1 order by due_at limit 50) retrying
    ),
    backlog (state, shop, account) as (
        select state, '', '' from first_due group by state having count(*) = 50
        union all
        select j.state, j.shop, j.account from backlog a join jobs j on j.id = coalesce(
            (select k.id from jobs k where k.state = a.state and k.shop = a.shop and k.account > a.account
                order by k.account, k.due_at limit 1),
            (select k.id from jobs k where k.state = a.state and k.shop > a.shop
                order by k.shop, k.account, k.due_at limit 1))
    ),
    runnable (id) as (
        select coalesce(
            (select j.id from jobs j join job_lanes l on l.id = j.lane_id
                where j.state = d.state and j.shop = d.shop and j.account = d.account and j.due_at <= $1
                and (l.current_job = j.id or (l.current_job is null and not exists (
                    select 1 from jobs k where k.lane_id = j.lane_id and k.state = 'queued' and k.position < j.position
                    and (k.round = 0 or k.due_at <= $1))))
                order by j.due_at limit 1),
            (select l.current_job from jobs k join job_lanes l on l.id = k.lane_id
                where k.state = d.state and k.shop = d.shop and k.account = d.account and k.due_at <= $1
                and d.state = 'queued'
                and (select 1 from jobs s where s.id = l.current_job and s.state = 'sleeping') is not null
                order by k.due_at limit 1))
        from (select state, shop, account from first_due union select state, shop, account from backlog) d
        union all
        select j.id from jobs j join job_lanes l on l.id = j.lane_id
        where j.is_cancelled = 1 and j.state in ('sleeping', 'retrying') and l.current_job = j.id
        union all
        select j.id from jobs j join job_lanes l on l.id = j.lane_id
        where j.state in ('running', 'waiting') and j.lease_expires_at <= $1 and l.current_job = j.id
    )
    select j.id, j.fencing_token, j.state, coalesce(j.lease_expires_at, 0)
    from runnable r join jobs j on j.id = r.id
    order by (
            select count(*) from jobs k where k.state in ('running', 'waiting') and k.shop = j.shop and k.account = j.account
            and k.lease_expires_at > $1),
        coalesce((
            select max(k.claimed_at) from jobs k
            where k.shop = j.shop and k.account = j.account and k.claimed_at is not null), 0),
        j.due_at, j.id
    limit 1";

/// Outcome of a claim.
enum ClaimOutcome {
    Claim(Box<Claim>),
    /// The job was stopped.
    Stopped,
    /// The job changed since it was picked.
    Changed,
}

/// A candidate: id, fencing token, state, and expiry of its lease.
type PickedJob = (String, i64, String, i64);

/// Increments the fencing token, unless the job has changed.
async fn next_fencing_token(
    work: &mut WriteTransaction,
    (id, fencing_token, state, leased_until): &PickedJob,
    at: i64,
) -> Result<bool, StoreError> {
    let lease_lost = sqlx::query(
        "update jobs set fencing_token = fencing_token + 1, claimed_at = $5
         where id = $1 and fencing_token = $2 and state = $3 and coalesce(lease_expires_at, 0) = $4",
    )
    .bind(id)
    .bind(fencing_token)
    .bind(state)
    .bind(leased_until)
    .bind(at)
    .execute(&mut **work)
    .await?;
    Ok(lease_lost.rows_affected() == 1)
}

/// Occupies the job's lane, unless another job occupies it.
async fn hold_lane(work: &mut WriteTransaction, id: &str) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "update job_lanes set current_job = $1
         where id = (select lane_id from jobs where id = $1) and (current_job is null or current_job = $1)",
    )
    .bind(id)
    .execute(&mut **work)
    .await?;
    Ok(update.rows_affected() == 1)
}

impl Jobs<'_> {
    /// Claims the next due job for the duration of `lease`. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] also if other workers were quicker each time.
    pub async fn claim(self, worker: &str, now: SystemTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
        let at = milliseconds(now);
        for _ in 0..MAX_ATTEMPTS {
            // Outside a transaction, so that a search without result blocks no writer.
            let Some(picked) = self.pick(at).await? else { return Ok(None) };
            let mut work = self.store.begin().await?;
            match self.claim_job(&mut work, &picked, worker, now, lease).await {
                Ok(ClaimOutcome::Claim(claim)) => {
                    work.commit().await?;
                    return Ok(Some(*claim));
                }
                Ok(ClaimOutcome::Stopped) => work.commit().await?,
                Ok(ClaimOutcome::Changed) => work.rollback().await?,
                // An unreadable job must not keep the others from running.
                Err(error @ (StoreError::Corrupt(_) | StoreError::Erased(_))) => {
                    work.rollback().await?;
                    self.stop_unreadable(&picked, at, &error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("other workers were quicker".to_owned()))
    }

    async fn pick(self, at: i64) -> Result<Option<PickedJob>, StoreError> {
        Ok(sqlx::query_as(NEXT_DUE_JOB).bind(at).fetch_optional(self.store.pool()).await?)
    }

    /// Claims the job that was picked, unless it has changed since.
    async fn claim_job(
        self,
        work: &mut WriteTransaction,
        picked: &PickedJob,
        worker: &str,
        now: SystemTime,
        lease: Duration,
    ) -> Result<ClaimOutcome, StoreError> {
        let (id, until) = (picked.0.as_str(), now + lease);
        // The job before its lane, as everywhere: two transactions that lock both would otherwise wait for each other.
        if !next_fencing_token(work, picked, milliseconds(now)).await? {
            return Ok(ClaimOutcome::Changed);
        }
        let mut row = row(work, id).await?;
        if !hold_lane(work, id).await? {
            return Ok(ClaimOutcome::Changed);
        }
        let state = row.state()?;
        let new_losses = i64::from(matches!(state, JobStateKind::Running | JobStateKind::Waiting));
        if new_losses == 1 && row.worker_losses + 1 >= MAX_WORKER_LOSSES {
            self.stop_after_losses(work, id, &row, now).await?;
            return Ok(ClaimOutcome::Stopped);
        }
        sqlx::query(
            "update jobs set state = 'running', worker_losses = worker_losses + $5, worker = $2, lease_expires_at = $3, changed_at = $4
             where id = $1",
        )
        .bind(id)
        .bind(worker)
        .bind(milliseconds(until))
        .bind(milliseconds(now))
        .bind(new_losses)
        .execute(&mut **work)
        .await?;
        let shop: ShopId = row.shop.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let key = self.store.orders().order_key(&shop, &row.order_id, row.order_key.clone())?;
        if self.is_order_newer(work, id, &shop, &row, &key).await? {
            self.new_journal(work, id, &row, &key).await?;
            (row.event_sent, row.journal) = (None, row.journal + 1);
        }
        let event = self.event_sent(work, id, &shop, &row, &key).await?;
        let continuation_state = match &row.continuation_state {
            Some(encrypted) => Some(key.decrypt_json(&aad("continuation_state", "", id), encrypted)?),
            None => None,
        };
        let account = row.account.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let plugin = row.plugin.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let wake = match state {
            _ if row.cancel == 1 => Wake::Cancelled,
            JobStateKind::Sleeping if row.due_at > milliseconds(now) => Wake::EventWaiting,
            _ => Wake::Due,
        };
        let fencing_token = u64::try_from(picked.1 + 1).unwrap_or(u64::MAX);
        let lease = Lease { job: id.to_owned(), worker: worker.to_owned(), fencing_token, until };
        let journal = StoreJournal::new(
            self.store.clone(),
            lease.clone(),
            small(row.journal),
            key,
            (&shop, &account, &row.order_id),
        );
        let job =
            Job { id: id.to_owned(), shop, account, plugin, event, state: continuation_state, round: small(row.round) };
        Ok(ClaimOutcome::Claim(Box::new(Claim { job, journal: Arc::new(journal), wake, lease })))
    }

    /// Stops a job that has lost its workers repeatedly.
    async fn stop_after_losses(
        self,
        work: &mut WriteTransaction,
        id: &str,
        row: &Row,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let text =
            format!("its worker was lost {MAX_WORKER_LOSSES} times in a row; check the worker's log before retrying");
        let reason =
            StateReason { text, responsible: Some(ResponsibleParty::Operator), detail: serde_json::Value::Null };
        sqlx::query("update jobs set state = 'stopped', state_reason = $2, changed_at = $3 where id = $1")
            .bind(id)
            .bind(row.key(self.store)?.encrypt_json(&aad("state_reason", "", id), &reason)?)
            .bind(milliseconds(now))
            .execute(&mut **work)
            .await?;
        self.store.notifications().notify_job(work, id, JobStateKind::Stopped, milliseconds(now)).await
    }

    async fn stop_unreadable(self, picked: &PickedJob, at: i64, error: &StoreError) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        let id = picked.0.as_str();
        if next_fencing_token(&mut work, picked, at).await? {
            sqlx::query("update jobs set state = 'stopped', changed_at = $2 where id = $1")
                .bind(id)
                .bind(at)
                .execute(&mut *work)
                .await?;
            hold_lane(&mut work, id).await?;
            let after = serde_json::json!({ "error": error.to_string() });
            let entry =
                NewAuditEntry { actor: "host", action: "job-unreadable", subject: id, ..NewAuditEntry::default() };
            append_audit_entry(&mut work, &NewAuditEntry { after: Some(&after), ..entry }, at).await?;
            self.store.notifications().notify_job(&mut work, id, JobStateKind::Stopped, at).await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Returns whether a retried job concerns an order that has changed since its journal began, and can begin a new
    /// journal. With the old one it would produce what was refunded, cancelled or changed while its vendor was
    /// unavailable.
    ///
    /// A request that may have arrived is continued with the old journal, because its vendor recognizes it; but nothing
    /// is sent again for an order that is no longer released.
    async fn is_order_newer(
        self,
        work: &mut WriteTransaction,
        id: &str,
        shop: &ShopId,
        row: &Row,
        key: &Key,
    ) -> Result<bool, StoreError> {
        let is_tried_again = matches!(row.state()?, JobStateKind::Retrying | JobStateKind::Queued);
        let Some(encrypted) = row.event_sent.as_ref().filter(|_| is_tried_again) else { return Ok(false) };
        let event_sent: OrderEvent = key.decrypt_json(&aad("event_sent", "", id), encrypted)?;
        let Some(known) = self.store.orders().read_order(work, shop, &row.order_id).await? else { return Ok(false) };
        if known.order.version <= event_sent.order.version {
            return Ok(false);
        }
        let loaded = crate::journal::load(work, id, small(row.journal), key).await?;
        Ok(match loaded.restart_risk().map_err(|error| StoreError::corrupt(id, error))? {
            RestartRisk::None => true,
            RestartRisk::LostResponse => event_sent.order.released && !known.order.released,
            RestartRisk::Repeated => false,
        })
    }

    /// Returns the event that all runs of one journal receive. It is fixed when the journal begins, because a replay
    /// needs the same input.
    async fn event_sent(
        self,
        work: &mut WriteTransaction,
        id: &str,
        shop: &ShopId,
        row: &Row,
        key: &Key,
    ) -> Result<OrderEvent, StoreError> {
        let event_sent_aad = aad("event_sent", "", id);
        if let Some(encrypted) = &row.event_sent {
            return key.decrypt_json(&event_sent_aad, encrypted);
        }
        let (encrypted,): (Vec<u8>,) = sqlx::query_as("select event from order_events where shop = $1 and id = $2")
            .bind(&row.shop)
            .bind(&row.event)
            .fetch_one(&mut **work)
            .await?;
        let mut event: OrderEvent = key.decrypt_json(&aad("event", &row.shop, &row.event), &encrypted)?;
        let stored = self.store.orders().read_order(work, shop, &row.order_id).await?;
        // The current order, which may be newer than the event.
        let order = stored.map_or(event.order, |stored| stored.order);
        let account = row.account.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let outcomes = self.store.outcomes().outcomes_in(work, key, shop, &row.order_id, OutcomeSelection::All).await?;
        let lines = if row.all_lines == 1 { Lines::All } else { Lines::Own };
        event.order = visible_to(order, &account, lines, &outcomes);
        let mut memos = BTreeMap::new();
        for mut outcome in outcomes.into_iter().filter(|outcome| outcome.account == account) {
            match &mut outcome.outcome {
                Outcome::SetMemo(memo) => {
                    memos.insert(memo.name.clone(), memo.clone());
                }
                // An event does not carry them.
                Outcome::BillOfMaterials(bill) => bill.articles.clear(),
                _ => {}
            }
            if outcome.job.as_deref() != Some(id) {
                event.previous_outcomes.push(outcome.outcome);
            }
        }
        event.memos = memos.into_values().collect();
        sqlx::query("update jobs set event_sent = $2 where id = $1")
            .bind(id)
            .bind(key.encrypt_json(&event_sent_aad, &event)?)
            .execute(&mut **work)
            .await?;
        Ok(event)
    }

    /// Extends the lease of a job, and returns whether it was cancelled. Send it well before the lease expires.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`]: drop the run.
    pub async fn heartbeat(self, lease: &Lease, now: SystemTime, longer: Duration) -> Result<Heartbeat, StoreError> {
        let until = now + longer;
        let extended: Option<(i64,)> = sqlx::query_as(
            "update jobs set lease_expires_at = $3
             where id = $1 and fencing_token = $2 and state in ('running', 'waiting') returning is_cancelled",
        )
        .bind(&lease.job)
        .bind(fencing_token(lease))
        .bind(milliseconds(until))
        .fetch_optional(self.store.pool())
        .await?;
        let (cancel,) = extended.ok_or_else(|| StoreError::LeaseLost(lease.job.clone()))?;
        let lease = Lease { until: system_time(milliseconds(until)), ..lease.clone() };
        Ok(Heartbeat { lease, cancelled: cancel == 1 })
    }
}
