//! Claims jobs and renews leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright::ShopId;
use cartwright::durable::{Job, RestartRisk, Wake, Who};
use cartwright::types::{Event, Outcome};

use super::row::{Row, row};
use super::{Beat, Claim, Lease, Why, small};
use crate::database::{Store, Work, milliseconds, moment};
use crate::error::StoreError;
use crate::event::Lines;
use crate::event_log::{NewLogEntry, log_in};
use crate::journal::StoreJournal;
use crate::keys::place;
use crate::order::seen_by;
use crate::vault::Key;

/// Maximum number of attempts to claim a job while other workers are quicker.
const TRIES: u32 = 8;

/// Number of consecutive worker losses after which a job stops. A deployment loses a worker once.
const MOST_LOSSES: i64 = 5;

/// The next job that may run at $1: of the account with the fewest runs in progress, on all nodes together; of several such accounts,
/// the one that was claimed from longest ago; of that account, the job that is due longest.
///
/// A job may run when its time has come, it was cancelled, or its worker's lease ran out; and it holds its lane, or nobody does and it
/// is the first that has not begun. One that rests after `again` lets others pass until its time comes. An account without such a job
/// has one make way that may sleep on: of those that others wait behind, the one behind which another has waited longest.
///
/// Jobs that sleep for weeks are many, and so are those of one account that were reported at once: a claim that read all of either
/// would be as slow as they are many. So of each kind the 50 that are due longest name the accounts; where there are that many, more
/// may be due behind them, and `backlog` steps through the index from each account of that kind to the next. It does so in two
/// searches, because with `(shop, account) > (…)` SQLite reads all jobs of the account that it steps from. Of each account an index in
/// the order of its time then gives the first job that may run. `is not null` tells PostgreSQL that the job that makes way is found
/// soon; otherwise it expects a long search, and takes seconds to compile the statement.
const NEXT: &str = "
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
            (select j.id from jobs j join lanes l on l.id = j.lane
                where j.state = d.state and j.shop = d.shop and j.account = d.account and j.due_at <= $1
                and (l.held_by = j.id or (l.held_by is null and not exists (
                    select 1 from jobs k where k.lane = j.lane and k.state = 'queued' and k.turn < j.turn
                    and (k.round = 0 or k.due_at <= $1))))
                order by j.due_at limit 1),
            (select l.held_by from jobs k join lanes l on l.id = k.lane
                where k.state = d.state and k.shop = d.shop and k.account = d.account and k.due_at <= $1
                and d.state = 'queued'
                and (select 1 from jobs s where s.id = l.held_by and s.state = 'sleeping') is not null
                order by k.due_at limit 1))
        from (select state, shop, account from first_due union select state, shop, account from backlog) d
        union all
        select j.id from jobs j join lanes l on l.id = j.lane
        where j.cancel = 1 and j.state in ('sleeping', 'retrying') and l.held_by = j.id
        union all
        select j.id from jobs j join lanes l on l.id = j.lane
        where j.state in ('running', 'waiting') and j.leased_until <= $1 and l.held_by = j.id
    )
    select j.id, j.fence, j.state, coalesce(j.leased_until, 0)
    from runnable r join jobs j on j.id = r.id
    order by (
            select count(*) from jobs k where k.state in ('running', 'waiting') and k.shop = j.shop and k.account = j.account
            and k.leased_until > $1),
        coalesce((
            select max(k.claimed_at) from jobs k
            where k.shop = j.shop and k.account = j.account and k.claimed_at is not null), 0),
        j.due_at, j.id
    limit 1";

/// Outcome of a claim.
enum Taken {
    Claim(Box<Claim>),
    /// It does not go on by itself.
    Stopped,
    /// It has changed since it was picked.
    Missed,
}

/// A candidate: id, fencing token, state, and expiry of its lease.
type Picked = (String, i64, String, i64);

/// Increments the fencing token, unless the job has changed.
async fn fence_off(work: &mut Work, (id, fence, state, leased_until): &Picked, at: i64) -> Result<bool, StoreError> {
    let fenced = sqlx::query(
        "update jobs set fence = fence + 1, claimed_at = $5
         where id = $1 and fence = $2 and state = $3 and coalesce(leased_until, 0) = $4",
    )
    .bind(id)
    .bind(fence)
    .bind(state)
    .bind(leased_until)
    .bind(at)
    .execute(&mut **work)
    .await?;
    Ok(fenced.rows_affected() == 1)
}

/// Occupies the job's lane, unless another job has begun in it.
async fn hold_lane(work: &mut Work, id: &str) -> Result<bool, StoreError> {
    let held = sqlx::query(
        "update lanes set held_by = $1
         where id = (select lane from jobs where id = $1) and (held_by is null or held_by = $1)",
    )
    .bind(id)
    .execute(&mut **work)
    .await?;
    Ok(held.rows_affected() == 1)
}

impl Store {
    /// Claims the next due job for the duration of `lease`. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] also if other workers were quicker each time.
    pub async fn claim(&self, worker: &str, now: SystemTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
        let at = milliseconds(now);
        for _ in 0..TRIES {
            // Outside a transaction, so that asking in vain keeps no writer waiting.
            let Some(picked) = self.pick(at).await? else { return Ok(None) };
            let mut work = self.begin().await?;
            match self.take_job(&mut work, &picked, worker, now, lease).await {
                Ok(Taken::Claim(claim)) => {
                    work.commit().await?;
                    return Ok(Some(*claim));
                }
                Ok(Taken::Stopped) => work.commit().await?,
                Ok(Taken::Missed) => work.rollback().await?,
                // One job that cannot be read must not keep the others from running.
                Err(error @ (StoreError::Corrupt(_) | StoreError::Erased(_))) => {
                    work.rollback().await?;
                    self.stop_unreadable(&picked, at, &error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("other workers were quicker".to_owned()))
    }

    async fn pick(&self, at: i64) -> Result<Option<Picked>, StoreError> {
        Ok(sqlx::query_as(NEXT).bind(at).fetch_optional(self.pool()).await?)
    }

    /// Takes the job that was picked, unless it has changed since.
    async fn take_job(
        &self,
        work: &mut Work,
        picked: &Picked,
        worker: &str,
        now: SystemTime,
        lease: Duration,
    ) -> Result<Taken, StoreError> {
        let (id, until) = (picked.0.as_str(), now + lease);
        // The job before its lane, as everywhere: two transactions that lock both would otherwise wait for each other.
        if !fence_off(work, picked, milliseconds(now)).await? {
            return Ok(Taken::Missed);
        }
        let mut row = row(work, id).await?;
        if !hold_lane(work, id).await? {
            return Ok(Taken::Missed);
        }
        let lost = i64::from(matches!(row.state.as_str(), "running" | "waiting"));
        if lost == 1 && row.losses + 1 >= MOST_LOSSES {
            self.stop_lost(work, id, &row, now).await?;
            return Ok(Taken::Stopped);
        }
        sqlx::query(
            "update jobs set state = 'running', losses = losses + $5, worker = $2, leased_until = $3, changed_at = $4
             where id = $1",
        )
        .bind(id)
        .bind(worker)
        .bind(milliseconds(until))
        .bind(milliseconds(now))
        .bind(lost)
        .execute(&mut **work)
        .await?;
        let shop: ShopId = row.shop.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let key = self.order_key(&shop, &row.order_id, row.order_key.clone())?;
        if self.is_outdated(work, id, &shop, &row, &key).await? {
            self.new_journal(work, id, &row, &key).await?;
            (row.told, row.journal) = (None, row.journal + 1);
        }
        let event = self.told(work, id, &shop, &row, &key).await?;
        let handed_on = match &row.handed_on {
            Some(sealed) => Some(key.open_json(&place("handed on", "", id), sealed)?),
            None => None,
        };
        let account = row.account.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let plugin = row.plugin.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let wake = match row.state.as_str() {
            _ if row.cancel == 1 => Wake::Cancelled,
            "sleeping" if row.due_at > milliseconds(now) => Wake::EventWaiting,
            _ => Wake::Due,
        };
        let fence = u64::try_from(picked.1 + 1).unwrap_or(u64::MAX);
        let lease = Lease { job: id.to_owned(), worker: worker.to_owned(), fence, until };
        let journal =
            StoreJournal::new(self.clone(), lease.clone(), small(row.journal), key, (&shop, &account, &row.order_id));
        let job = Job { id: id.to_owned(), shop, account, plugin, event, state: handed_on, round: small(row.round) };
        Ok(Taken::Claim(Box::new(Claim { job, journal: Arc::new(journal), wake, lease })))
    }

    /// Stops a job that has lost its workers repeatedly.
    async fn stop_lost(&self, work: &mut Work, id: &str, row: &Row, now: SystemTime) -> Result<(), StoreError> {
        let text =
            format!("its worker was lost {MOST_LOSSES} times in a row; look at the worker's log before trying again");
        let why = Why { text, who: Some(Who::Operator), detail: serde_json::Value::Null };
        sqlx::query("update jobs set state = 'stopped', why = $2, changed_at = $3 where id = $1")
            .bind(id)
            .bind(row.key(self)?.seal_json(&place("why", "", id), &why)?)
            .bind(milliseconds(now))
            .execute(&mut **work)
            .await?;
        self.notify_job(work, id, "stopped", milliseconds(now)).await
    }

    async fn stop_unreadable(&self, picked: &Picked, at: i64, error: &StoreError) -> Result<(), StoreError> {
        let mut work = self.begin().await?;
        let id = picked.0.as_str();
        if fence_off(&mut work, picked, at).await? {
            sqlx::query("update jobs set state = 'stopped', changed_at = $2 where id = $1")
                .bind(id)
                .bind(at)
                .execute(&mut *work)
                .await?;
            hold_lane(&mut work, id).await?;
            let after = serde_json::json!({ "error": error.to_string() });
            let entry = NewLogEntry { who: "host", what: "job-unreadable", subject: id, ..NewLogEntry::default() };
            log_in(&mut work, &NewLogEntry { after: Some(&after), ..entry }, at).await?;
            self.notify_job(&mut work, id, "stopped", at).await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Does a job that is tried again go on about an order that has changed since its journal began, and can it begin a fresh one? It would
    /// make what was paid back, cancelled or changed while its vendor was away.
    ///
    /// A request that may have arrived goes on as it was, because its vendor knows that one again; but nothing is sent again for an order
    /// that is not released any more.
    async fn is_outdated(
        &self,
        work: &mut Work,
        id: &str,
        shop: &ShopId,
        row: &Row,
        key: &Key,
    ) -> Result<bool, StoreError> {
        let Some(sealed) = row.told.as_ref().filter(|_| matches!(row.state.as_str(), "retrying" | "queued")) else {
            return Ok(false);
        };
        let told: Event = key.open_json(&place("told", "", id), sealed)?;
        let Some(known) = self.known_order(work, shop, &row.order_id).await? else { return Ok(false) };
        if known.order.version <= told.order.version {
            return Ok(false);
        }
        let loaded = crate::journal::load(work, id, small(row.journal), key).await?;
        Ok(match loaded.restart_risk().map_err(|error| StoreError::corrupt(id, error))? {
            RestartRisk::None => true,
            RestartRisk::LostAnswer => told.order.released && !known.order.released,
            RestartRisk::Repeated => false,
        })
    }

    /// Returns the event that all runs of one journal receive. It is fixed when the journal begins, because a replay
    /// needs the same input.
    async fn told(&self, work: &mut Work, id: &str, shop: &ShopId, row: &Row, key: &Key) -> Result<Event, StoreError> {
        let told_at = place("told", "", id);
        if let Some(sealed) = &row.told {
            return key.open_json(&told_at, sealed);
        }
        let (sealed,): (Vec<u8>,) = sqlx::query_as("select event from events where shop = $1 and id = $2")
            .bind(&row.shop)
            .bind(&row.event)
            .fetch_one(&mut **work)
            .await?;
        let mut event: Event = key.open_json(&place("event", &row.shop, &row.event), &sealed)?;
        let known = self.known_order(work, shop, &row.order_id).await?;
        // The order as it is now, which may be newer than the event.
        let order = known.map_or(event.order, |known| known.order);
        let account = row.account.parse().map_err(|error| StoreError::corrupt(id, error))?;
        let outcomes = self.outcomes_in(work, key, shop, &row.order_id).await?;
        let lines = if row.all_lines == 1 { Lines::All } else { Lines::Own };
        event.order = seen_by(order, &account, lines, &outcomes);
        let mut remembered = BTreeMap::new();
        for said in outcomes.into_iter().filter(|said| said.account == account) {
            if let Outcome::Remember(text) = &said.outcome {
                remembered.insert(text.name.clone(), text.clone());
            }
            if said.job.as_deref() != Some(id) {
                event.earlier.push(said.outcome);
            }
        }
        event.remembered = remembered.into_values().collect();
        sqlx::query("update jobs set told = $2 where id = $1")
            .bind(id)
            .bind(key.seal_json(&told_at, &event)?)
            .execute(&mut **work)
            .await?;
        Ok(event)
    }

    /// Extends the lease of a job, and returns whether it was cancelled. Send it well before the lease expires.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`]: drop the run.
    pub async fn heartbeat(&self, lease: &Lease, now: SystemTime, longer: Duration) -> Result<Beat, StoreError> {
        let until = now + longer;
        let kept: Option<(i64,)> = sqlx::query_as(
            "update jobs set leased_until = $3
             where id = $1 and fence = $2 and state in ('running', 'waiting') returning cancel",
        )
        .bind(&lease.job)
        .bind(fence(lease))
        .bind(milliseconds(until))
        .fetch_optional(self.pool())
        .await?;
        let (cancel,) = kept.ok_or_else(|| StoreError::Fenced(lease.job.clone()))?;
        let lease = Lease { until: moment(milliseconds(until)), ..lease.clone() };
        Ok(Beat { lease, cancelled: cancel == 1 })
    }
}

pub(crate) fn fence(lease: &Lease) -> i64 {
    i64::try_from(lease.fence).unwrap_or(i64::MAX)
}
