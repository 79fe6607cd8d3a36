//! What a run's end makes of its job.

use std::time::{Duration, SystemTime};

use cartwright::Failure;
use cartwright::durable::{self, RunEnd};
use cartwright::{Breach, durable::Unanswered};
use serde_json::Value;

use super::claim::fence;
use super::row::{Row, row};
use super::{JobState, Lease, Why, small};
use crate::database::{Store, Work, milliseconds, moment};
use crate::error::StoreError;
use crate::keys::place;
use crate::vault::Key;

/// How long to wait before each attempt, in minutes, where the other side did not say. The last is kept for all that follow: a
/// job that is given up would be one that nobody looks at.
const PAUSES_MINUTES: [u64; 11] = [1, 3, 5, 10, 15, 30, 60, 2 * 60, 6 * 60, 14 * 60, 24 * 60];
/// However long the other side says.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// What a job becomes.
struct Next {
    state: &'static str,
    due: SystemTime,
    attempt: u32,
    why: Option<Why>,
}

impl Next {
    fn now(state: &'static str, due: SystemTime) -> Self {
        Self { state, due, attempt: 0, why: None }
    }
}

impl Store {
    /// Says how a run ended, and what follows. The lease is given back, but for [`RunEnd::Waiting`]: the worker keeps it, awaits
    /// the request, and runs the job again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the job is somebody else's; then what this run wrote before stands, and nothing else.
    pub async fn finish(&self, lease: &Lease, end: &RunEnd, now: SystemTime) -> Result<JobState, StoreError> {
        let mut work = self.begin().await?;
        hold(&mut work, lease).await?;
        let row = row(&mut work, &lease.job).await?;
        let key = row.key(self)?;
        let next = match end {
            RunEnd::Again { seconds, state } if row.cancel == 0 => {
                let due = now + Duration::from_secs((*seconds).into());
                self.new_journal(&mut work, &lease.job, &row, &key).await?;
                let state = key.seal_json(&place("handed on", "", &lease.job), state)?;
                sqlx::query("update jobs set round = round + 1, handed_on = $2 where id = $1")
                    .bind(&lease.job)
                    .bind(state)
                    .execute(&mut *work)
                    .await?;
                last_turn(&mut work, &lease.job).await?;
                Next::now("queued", due)
            }
            end => next(end, &row, row.why(&key, &lease.job)?.as_ref(), now),
        };
        let ends_turn = matches!(next.state, "queued" | "done" | "cancelled");
        let state = self.set(&mut work, &lease.job, &key, next, now).await?;
        if ends_turn {
            free_lane(&mut work, &lease.job).await?;
        }
        work.commit().await?;
        Ok(state)
    }

    /// Gives a job back whose run could not be made, because the shop, its account or its plugin is not there, or the journal
    /// could not be written. It is tried again as if somebody were away.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], and as the database says.
    pub async fn put_back(&self, lease: &Lease, why: &str, now: SystemTime) -> Result<JobState, StoreError> {
        let mut work = self.begin().await?;
        hold(&mut work, lease).await?;
        let row = row(&mut work, &lease.job).await?;
        let next = again_later(&row, None, Why { text: why.to_owned(), detail: Value::Null }, now);
        let state = self.set(&mut work, &lease.job, &row.key(self)?, next, now).await?;
        work.commit().await?;
        Ok(state)
    }

    async fn set(
        &self,
        work: &mut Work,
        id: &str,
        key: &Key,
        next: Next,
        now: SystemTime,
    ) -> Result<JobState, StoreError> {
        let why = next.why.as_ref().map(|why| key.seal_json(&place("why", "", id), why)).transpose()?;
        sqlx::query("update jobs set state = $2, due_at = $3, attempt = $4, why = $5, losses = 0, changed_at = $6 where id = $1")
            .bind(id)
            .bind(next.state)
            .bind(milliseconds(next.due))
            .bind(i64::from(next.attempt))
            .bind(why)
            .bind(milliseconds(now))
            .execute(&mut **work)
            .await?;
        JobState::of(next.state, milliseconds(next.due), next.attempt.into())
    }

    /// Closes a job's journal and begins the next. The old one is kept.
    pub(super) async fn new_journal(&self, work: &mut Work, id: &str, row: &Row, key: &Key) -> Result<(), StoreError> {
        let loaded = crate::journal::load(work, id, small(row.journal), key).await?;
        let attempts = loaded.attempts().map_err(|error| StoreError::corrupt(id, error))?;
        let attempts = serde_json::to_string(&attempts).map_err(|error| StoreError::corrupt(id, error))?;
        sqlx::query(
            "update jobs set journal = journal + 1, earlier_attempts = $2, told = null, attempt = 0 where id = $1",
        )
        .bind(id)
        .bind(attempts)
        .execute(&mut **work)
        .await?;
        Ok(())
    }
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

fn next(end: &RunEnd, row: &Row, before: Option<&Why>, now: SystemTime) -> Next {
    let cancelled = row.cancel == 1;
    match end {
        RunEnd::Done => Next::now("done", now),
        RunEnd::Sleep { until } => Next::now("sleeping", *until),
        RunEnd::Waiting(waiting) => {
            let why = Why { text: format!("waits for {}", waiting.request()), detail: Value::Null };
            Next { why: Some(why), ..Next::now("waiting", now) }
        }
        RunEnd::Retry { outage } => {
            let asked = outage.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.into()));
            again_later(row, asked, Why { text: outage.detail.clone(), detail: Value::Null }, now)
        }
        RunEnd::Stopped { why } => {
            let explained = Why { text: why.to_string(), detail: json(why) };
            let of_time = |breach: &Breach| matches!(breach, Breach::GuestCpu { .. } | Breach::Deadline { .. });
            match why {
                // A busy machine is no fault of the plugin's, the second time it is.
                durable::Why::Failed(Failure::Limit(breach)) if of_time(breach) && !cancelled => match before {
                    Some(before) if before.detail == explained.detail => stays("stopped", explained, now),
                    _ => again_later(row, None, explained, now),
                },
                _ => stays(if cancelled { "cancelled" } else { "stopped" }, explained, now),
            }
        }
        RunEnd::NeedsMerchant { unanswered } => {
            stays(if cancelled { "cancelled" } else { "needs-merchant" }, unsure(unanswered), now)
        }
        RunEnd::Cancelled { unanswered: Some(unanswered) } => stays("cancelled", unsure(unanswered), now),
        RunEnd::Cancelled { unanswered: None } | RunEnd::Again { .. } => Next::now("cancelled", now),
    }
}

fn stays(state: &'static str, why: Why, now: SystemTime) -> Next {
    Next { why: Some(why), ..Next::now(state, now) }
}

fn unsure(unanswered: &Unanswered) -> Why {
    let text = format!(
        "it is not known whether {} arrived, which must not be sent twice; look at the vendor's before trying again",
        unanswered.request
    );
    Why { text, detail: json(unanswered) }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn again_later(row: &Row, asked: Option<Duration>, why: Why, now: SystemTime) -> Next {
    let attempt = small(row.attempt).saturating_add(1);
    let due = now + asked.map_or_else(|| pause(attempt), |asked| asked.clamp(Duration::from_secs(1), LONGEST_PAUSE));
    Next { state: "retrying", due: moment(milliseconds(due)), attempt, why: Some(why) }
}

/// With up to a tenth more, so that what failed together is not tried together.
fn pause(attempt: u32) -> Duration {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES_MINUTES.len() - 1);
    let pause = Duration::from_secs(PAUSES_MINUTES[step] * 60);
    let mut drawn = [0; 2];
    // Without random numbers, without jitter.
    let drawn = getrandom::fill(&mut drawn).map_or(0, |()| u16::from_le_bytes(drawn));
    pause + pause.mul_f64(f64::from(drawn) / f64::from(u16::MAX) / 10.0)
}
