//! What a run's end makes of its job: what [`next_step`] says, written down.

use std::time::{Duration, SystemTime};

use cartwright::durable::{RunEnd, RunError, Step, Tries, Who, next_step};
use serde_json::Value;

use super::claim::fence;
use super::row::{Row, row};
use super::{JobState, Lease, Why, small};
use crate::database::{Store, Work, milliseconds};
use crate::error::StoreError;
use crate::keys::place;
use crate::vault::Key;

/// What a job becomes.
struct Next {
    state: &'static str,
    due: SystemTime,
    why: Option<Why>,
}

impl Store {
    /// Says how a run ended, and does with the job what [`durable::next_step`] says. The lease is given back, but for
    /// [`RunEnd::Waiting`]: the worker keeps it, awaits the request, and runs the job again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the job is somebody else's; then what this run wrote before stands, and nothing else.
    ///
    /// [`durable::next_step`]: cartwright::durable::next_step
    pub async fn finish(
        &self,
        lease: &Lease,
        ended: Result<&RunEnd, &RunError>,
        now: SystemTime,
    ) -> Result<JobState, StoreError> {
        let id = lease.job.as_str();
        let mut work = self.begin().await?;
        hold(&mut work, lease).await?;
        let row = row(&mut work, id).await?;
        let key = row.key(self)?;
        let (step, tries) = next_step(ended, row.tries(), id.as_bytes());
        let fenced = || StoreError::Fenced(id.to_owned());
        let next = next(step, ended, row.cancel == 1, now).ok_or_else(fenced)?;
        if let (Ok(RunEnd::Again { state, .. }), "queued") = (ended, next.state) {
            self.new_journal(&mut work, id, &row, &key).await?;
            sqlx::query("update jobs set round = round + 1, handed_on = $2 where id = $1")
                .bind(id)
                .bind(key.seal_json(&place("handed on", "", id), state)?)
                .execute(&mut *work)
                .await?;
            last_turn(&mut work, id).await?;
        }
        let ends_turn = matches!(next.state, "queued" | "done" | "cancelled");
        let (name, at) = (next.state, milliseconds(now));
        let state = set(&mut work, id, &key, next, tries, now).await?;
        if ends_turn {
            free_lane(&mut work, id).await?;
        }
        self.notify_job(&mut work, id, name, at).await?;
        work.commit().await?;
        self.nudge();
        Ok(state)
    }

    /// Gives a job back unfinished, because its worker ends: another goes on with it at once. Drop the run first.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and as the database says; then another worker takes it when the lease ends.
    pub async fn put_back(&self, lease: &Lease, now: SystemTime) -> Result<(), StoreError> {
        let put_back = sqlx::query(
            "update jobs set state = 'queued', due_at = $3, fence = fence + 1, changed_at = $3
             where id = $1 and fence = $2 and state in ('running', 'waiting')",
        )
        .bind(&lease.job)
        .bind(fence(lease))
        .bind(milliseconds(now))
        .execute(self.pool())
        .await?;
        if put_back.rows_affected() == 0 {
            return Err(StoreError::Fenced(lease.job.clone()));
        }
        self.nudge();
        Ok(())
    }

    /// Closes a job's journal and begins the next. The old one is kept.
    pub(super) async fn new_journal(&self, work: &mut Work, id: &str, row: &Row, key: &Key) -> Result<(), StoreError> {
        let loaded = crate::journal::load(work, id, small(row.journal), key).await?;
        let attempts = loaded.attempts().map_err(|error| StoreError::corrupt(id, error))?;
        let attempts = serde_json::to_string(&attempts).map_err(|error| StoreError::corrupt(id, error))?;
        sqlx::query("update jobs set journal = journal + 1, earlier_attempts = $2, told = null where id = $1")
            .bind(id)
            .bind(attempts)
            .execute(&mut **work)
            .await?;
        Ok(())
    }
}

async fn set(
    work: &mut Work,
    id: &str,
    key: &Key,
    next: Next,
    tries: Tries,
    now: SystemTime,
) -> Result<JobState, StoreError> {
    let why = next.why.as_ref().map(|why| key.seal_json(&place("why", "", id), why)).transpose()?;
    sqlx::query(
        "update jobs set state = $2, due_at = $3, outages = $4, breaches = $5, why = $6, losses = 0, changed_at = $7
         where id = $1",
    )
    .bind(id)
    .bind(next.state)
    .bind(milliseconds(next.due))
    .bind(i64::from(tries.outages))
    .bind(i64::from(tries.breaches))
    .bind(why)
    .bind(milliseconds(now))
    .execute(&mut **work)
    .await?;
    JobState::of(next.state, milliseconds(next.due), tries)
}

/// Goes on only when the lease still holds; nobody can take the job before this transaction ends.
pub(crate) async fn hold(work: &mut Work, lease: &Lease) -> Result<(), StoreError> {
    let held =
        sqlx::query("update jobs set fence = fence where id = $1 and fence = $2 and state in ('running', 'waiting')")
            .bind(&lease.job)
            .bind(fence(lease))
            .execute(&mut **work)
            .await?;
    if held.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced(lease.job.clone())) }
}

/// Puts a job behind all others of its lane.
pub(super) async fn last_turn(work: &mut Work, id: &str) -> Result<(), StoreError> {
    let (turn,): (i64,) = sqlx::query_as(
        "update lanes set turns = turns + 1 where id = (select lane from jobs where id = $1) returning turns",
    )
    .bind(id)
    .fetch_one(&mut **work)
    .await?;
    sqlx::query("update jobs set turn = $2 where id = $1").bind(id).bind(turn).execute(&mut **work).await?;
    Ok(())
}

pub(super) async fn free_lane(work: &mut Work, id: &str) -> Result<(), StoreError> {
    sqlx::query("update lanes set held_by = null where held_by = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

/// What a step makes of a job, but for [`Step::Leave`]. One that was cancelled never begins another round, and does not stay where it stopped.
fn next(step: Step, ended: Result<&RunEnd, &RunError>, cancelled: bool, now: SystemTime) -> Option<Next> {
    let after = |wait: Duration| now.checked_add(wait).unwrap_or(now);
    let (state, due, why) = match step {
        Step::Finish if matches!(ended, Ok(RunEnd::Cancelled { .. })) => ("cancelled", now, None),
        Step::Finish => ("done", now, None),
        Step::NextRound { .. } if cancelled => ("cancelled", now, None),
        Step::NextRound { after: wait } => ("queued", after(wait), None),
        Step::WakeAt(until) => ("sleeping", until, None),
        Step::AwaitAnswer => ("waiting", now, Some((None, said(ended)))),
        Step::Retry { after: wait } => ("retrying", after(wait), Some((None, said(ended)))),
        Step::AskMerchant { why } => ("needs-merchant", now, Some((Some(Who::Merchant), why))),
        Step::Stop { who, why } => (if cancelled { "cancelled" } else { "stopped" }, now, Some((Some(who), why))),
        Step::Leave => return None,
    };
    let why = why.map(|(who, text)| Why { text, who, detail: detail(ended) });
    Some(Next { state, due, why })
}

/// Why a job waits.
fn said(ended: Result<&RunEnd, &RunError>) -> String {
    match ended {
        Ok(RunEnd::Waiting(waiting)) => format!("waits for {}", waiting.request()),
        Ok(RunEnd::Retry { outage }) => outage.detail.clone(),
        Ok(RunEnd::Stopped { why }) => why.to_string(),
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    }
}

fn detail(ended: Result<&RunEnd, &RunError>) -> Value {
    let detail = match ended {
        Ok(RunEnd::Stopped { why }) => serde_json::to_value(why),
        Ok(RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) }) => {
            serde_json::to_value(unanswered)
        }
        Err(RunError::Setup(error)) => serde_json::to_value(error),
        _ => return Value::Null,
    };
    // What has no JSON form is said in words.
    detail.unwrap_or_default()
}
