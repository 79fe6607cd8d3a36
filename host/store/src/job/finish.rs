//! Writes the result of a run: the job's state after [`next_step`].

use std::time::{Duration, SystemTime};

use cartwright::durable::{NextAction, ResponsibleParty, RetryCounters, RunEnd, RunError, next_step};
use serde_json::Value;

use super::lease::{check_lease, fencing_token};
use super::row::{Row, row};
use super::{JobState, JobStateKind, Lease, StateReason, small};
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::Jobs;
use crate::keys::aad;
use crate::vault::Key;

/// The new state of a job.
struct Next {
    state: JobStateKind,
    due: SystemTime,
    reason: Option<StateReason>,
}

impl Jobs<'_> {
    /// Finishes a run, and changes the job as [`durable::next_step`] decides. The lease ends, except for
    /// [`RunEnd::PendingRequest`]: then the worker keeps it, awaits the request, and runs the job again.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker has the job; then what this run wrote earlier remains, and nothing
    /// else is written.
    ///
    /// [`durable::next_step`]: cartwright::durable::next_step
    pub async fn finish(
        self,
        lease: &Lease,
        ended: Result<&RunEnd, &RunError>,
        now: SystemTime,
    ) -> Result<JobState, StoreError> {
        let id = lease.job.as_str();
        let mut work = self.store.begin().await?;
        check_lease(&mut work, lease).await?;
        let row = row(&mut work, id).await?;
        let key = row.key(self.store)?;
        let (step, tries) = next_step(ended, row.counters(), id.as_bytes());
        let lease_lost = || StoreError::LeaseLost(id.to_owned());
        let next = next(step, ended, row.cancel == 1, now).ok_or_else(lease_lost)?;
        if let (Ok(RunEnd::ContinueLater { state, .. }), JobStateKind::Queued) = (ended, next.state) {
            self.new_journal(&mut work, id, &row, &key).await?;
            sqlx::query("update jobs set round = round + 1, continuation_state = $2 where id = $1")
                .bind(id)
                .bind(key.encrypt_json(&aad("continuation_state", "", id), state)?)
                .execute(&mut *work)
                .await?;
            last_turn(&mut work, id).await?;
        }
        let ends_turn = next.state == JobStateKind::Queued || next.state.is_over();
        let (kind, at) = (next.state, milliseconds(now));
        let state = set(&mut work, id, &key, next, tries, now).await?;
        if ends_turn {
            free_lane(&mut work, id).await?;
        }
        self.store.notifications().notify_job(&mut work, id, kind, at).await?;
        work.commit().await?;
        self.store.nudge();
        Ok(state)
    }

    /// Releases an unfinished job, because its worker ends, so that another worker continues it at once. Drop the run
    /// first.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or an error of the database; then another worker claims the job when the lease
    /// expires.
    pub async fn release(self, lease: &Lease, now: SystemTime) -> Result<(), StoreError> {
        let release = sqlx::query(
            "update jobs set state = 'queued', due_at = $3, fencing_token = fencing_token + 1, changed_at = $3
             where id = $1 and fencing_token = $2 and state in ('running', 'waiting')",
        )
        .bind(&lease.job)
        .bind(fencing_token(lease))
        .bind(milliseconds(now))
        .execute(self.store.pool())
        .await?;
        if release.rows_affected() == 0 {
            return Err(StoreError::LeaseLost(lease.job.clone()));
        }
        self.store.nudge();
        Ok(())
    }

    /// Closes a job's journal and begins the next. The old one stays stored.
    pub(super) async fn new_journal(
        self,
        work: &mut WriteTransaction,
        id: &str,
        row: &Row,
        key: &Key,
    ) -> Result<(), StoreError> {
        let loaded = crate::journal::load(work, id, small(row.journal), key).await?;
        let attempts = loaded.attempts().map_err(|error| StoreError::corrupt(id, error))?;
        let attempts = serde_json::to_string(&attempts).map_err(|error| StoreError::corrupt(id, error))?;
        sqlx::query("update jobs set journal = journal + 1, earlier_attempts = $2, event_sent = null where id = $1")
            .bind(id)
            .bind(attempts)
            .execute(&mut **work)
            .await?;
        Ok(())
    }
}

async fn set(
    work: &mut WriteTransaction,
    id: &str,
    key: &Key,
    next: Next,
    tries: RetryCounters,
    now: SystemTime,
) -> Result<JobState, StoreError> {
    let reason =
        next.reason.as_ref().map(|reason| key.encrypt_json(&aad("state_reason", "", id), reason)).transpose()?;
    sqlx::query(
        "update jobs set state = $2, due_at = $3, outages = $4, limit_breaches = $5, state_reason = $6, worker_losses = 0, changed_at = $7
         where id = $1",
    )
    .bind(id)
    .bind(next.state.name())
    .bind(milliseconds(next.due))
    .bind(i64::from(tries.outages))
    .bind(i64::from(tries.limit_breaches))
    .bind(reason)
    .bind(milliseconds(now))
    .execute(&mut **work)
    .await?;
    Ok(JobState::new(next.state, milliseconds(next.due), tries))
}

/// Moves a job behind all others of its lane.
pub(super) async fn last_turn(work: &mut WriteTransaction, id: &str) -> Result<(), StoreError> {
    let (turn,): (i64,) = sqlx::query_as(
        "update job_lanes set next_position = next_position + 1 where id = (select lane_id from jobs where id = $1) returning next_position",
    )
    .bind(id)
    .fetch_one(&mut **work)
    .await?;
    sqlx::query("update jobs set position = $2 where id = $1").bind(id).bind(turn).execute(&mut **work).await?;
    Ok(())
}

pub(super) async fn free_lane(work: &mut WriteTransaction, id: &str) -> Result<(), StoreError> {
    sqlx::query("update job_lanes set current_job = null where current_job = $1").bind(id).execute(&mut **work).await?;
    Ok(())
}

/// Returns what a step makes of a job, or `None` for [`NextAction::Release`]. A cancelled job never begins
/// another round, and does not remain stopped.
fn next(step: NextAction, ended: Result<&RunEnd, &RunError>, cancelled: bool, now: SystemTime) -> Option<Next> {
    let after = |wait: Duration| now.checked_add(wait).unwrap_or(now);
    let (state, due, reason) = match step {
        NextAction::Complete if matches!(ended, Ok(RunEnd::Cancelled { .. })) => (JobStateKind::Cancelled, now, None),
        NextAction::Complete => (JobStateKind::Done, now, None),
        NextAction::StartNextRound { .. } if cancelled => (JobStateKind::Cancelled, now, None),
        NextAction::StartNextRound { after: wait } => (JobStateKind::Queued, after(wait), None),
        NextAction::SleepUntil(until) => (JobStateKind::Sleeping, until, None),
        NextAction::AwaitResponse => (JobStateKind::Waiting, now, Some((None, state_reason_text(ended)))),
        NextAction::Retry { after: wait } => {
            (JobStateKind::Retrying, after(wait), Some((None, state_reason_text(ended))))
        }
        NextAction::AskMerchant { reason } => {
            (JobStateKind::NeedsMerchant, now, Some((Some(ResponsibleParty::Merchant), reason)))
        }
        NextAction::Stop { responsible, reason } => (
            if cancelled { JobStateKind::Cancelled } else { JobStateKind::Stopped },
            now,
            Some((Some(responsible), reason)),
        ),
        NextAction::Release => return None,
    };
    let reason =
        reason.map(|(actor, text)| StateReason { text, responsible: actor, detail: state_reason_detail(ended) });
    Some(Next { state, due, reason })
}

/// Returns why a job waits, for people.
fn state_reason_text(ended: Result<&RunEnd, &RunError>) -> String {
    match ended {
        Ok(RunEnd::PendingRequest(waiting)) => format!("waits for {}", waiting.request()),
        Ok(RunEnd::Retry { outage }) => outage.detail.clone(),
        Ok(RunEnd::Stopped { reason }) => reason.to_string(),
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    }
}

fn state_reason_detail(ended: Result<&RunEnd, &RunError>) -> Value {
    let state_reason_detail = match ended {
        Ok(RunEnd::Stopped { reason }) => serde_json::to_value(reason),
        Ok(RunEnd::NeedsMerchant { unanswered } | RunEnd::Cancelled { unanswered: Some(unanswered) }) => {
            serde_json::to_value(unanswered)
        }
        Err(RunError::Setup(error)) => serde_json::to_value(error),
        _ => return Value::Null,
    };
    // Anything without a JSON form is described in words only.
    state_reason_detail.unwrap_or_default()
}
