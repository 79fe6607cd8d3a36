//! Taking what is to be told, and what came of it.

use std::time::{Duration, SystemTime};

use cartwright::ShopId;
use cartwright::durable::{NextAction, RETRY_BACKOFF, RetryCounters, RunEnd, next_step};
use cartwright::notify::{NotificationError, NotificationTarget};
use cartwright::types::Outage;
use serde_json::json;

use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, moment};
use crate::error::StoreError;
use crate::facades::Notifications;

/// A sender that was lost lets another send again after so long; longer than a request may take.
const LEASE: Duration = Duration::from_secs(60);
/// A platform that is away is asked again so often, whatever waits for it.
const UNAVAILABLE_RETRY_DELAY: Duration = RETRY_BACKOFF[0];
/// However long it says that it will be away: those who say a day are back sooner.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30 * 60);

/// The shops that something may be sent for at $1, those that wait longest first: their platform is not away, and nothing else is
/// out to it.
const SHOPS: &str = "
    select e.shop, e.fencing_token from notification_endpoints e
    where e.retry_after <= $1 and e.lease_expires_at <= $1
    and exists (select 1 from notifications n where n.shop = e.shop and n.state = 'waiting' and n.due_at <= $1)
    order by (select min(n.due_at) from notifications n where n.shop = e.shop and n.state = 'waiting')";

/// The next of a shop: nothing of the same subject waits before it.
const NEXT: &str = "
    select n.id, n.message, n.body, n.attempt from notifications n
    where n.shop = $2 and n.state = 'waiting' and n.due_at <= $1
    and not exists (select 1 from notifications b
        where b.shop = n.shop and b.subject = n.subject and b.state = 'waiting' and b.id < n.id)
    order by n.due_at, n.id limit 1";

/// How far a notification has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationState {
    /// It is sent at this time, or when what is before it was told.
    Waiting {
        /// Not before.
        due: SystemTime,
    },
    /// It was tried for two days and given up.
    Failed,
}

impl NotificationState {
    /// Returns the name of the state in the database.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Failed => "failed",
        }
    }

    fn of(name: &str, due_at: i64) -> Result<Self, StoreError> {
        match name {
            "waiting" => Ok(Self::Waiting { due: moment(due_at) }),
            "failed" => Ok(Self::Failed),
            _ => Err(StoreError::Corrupt(format!("no notification has the state {name:?}"))),
        }
    }
}

/// A notification that the platform has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotification {
    /// Grows: a list goes on after it, whether it was told meanwhile or not.
    pub number: i64,
    /// Its id: what the platform sees in `webhook-id`.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// What is sent: JSON.
    pub body: String,
    /// How far it has come.
    pub state: NotificationState,
    /// How often it was tried since it was written, or since it was sent again.
    pub attempt: u32,
    /// Why it was not told the last time.
    pub reason: Option<String>,
    /// When it was written.
    pub created: SystemTime,
}

/// A notification that a sender has for a while.
pub(super) struct Claimed {
    pub(super) message: String,
    pub(super) body: String,
    /// Where to; an error when the endpoint cannot be read.
    pub(super) receiver: Result<NotificationTarget, NotificationError>,
    id: i64,
    fencing_token: i64,
    shop: String,
    attempt: u32,
}

impl Notifications<'_> {
    pub(super) async fn claim_notification(self, now: SystemTime) -> Result<Option<Claimed>, StoreError> {
        let shops: Vec<(String, i64)> =
            sqlx::query_as(SHOPS).bind(milliseconds(now)).fetch_all(self.store.pool()).await?;
        for (shop, fencing_token) in shops {
            // Nobody has claimed it since the fence was read, if the next statement finds that fence.
            let next: Option<(i64, String, String, i64)> =
                sqlx::query_as(NEXT).bind(milliseconds(now)).bind(&shop).fetch_optional(self.store.pool()).await?;
            let Some((id, message, body, attempt)) = next else { continue };
            let mut work = self.store.begin().await?;
            let taken = sqlx::query(
                "update notification_endpoints set fencing_token = fencing_token + 1, lease_expires_at = $3 where shop = $1 and fencing_token = $2",
            )
            .bind(&shop)
            .bind(fencing_token)
            .bind(milliseconds(now + LEASE))
            .execute(&mut *work)
            .await?;
            if taken.rows_affected() == 0 {
                continue;
            }
            let of = shop.parse().map_err(|error| StoreError::corrupt(&message, error))?;
            let receiver = match self.receiver(&mut work, &of, now).await {
                Ok(receiver) => Ok(receiver),
                // One shop's endpoint must not keep the others from being told.
                Err(error @ StoreError::Corrupt(_)) => Err(NotificationError::Refused(error.to_string())),
                Err(error) => return Err(error),
            };
            work.commit().await?;
            let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
            return Ok(Some(Claimed { message, body, receiver, id, fencing_token: fencing_token + 1, shop, attempt }));
        }
        Ok(None)
    }

    /// Gives a shop's lease back; false when it was lost, and somebody else may be sending the same.
    async fn release_lease(self, work: &mut WriteTransaction, claimed: &Claimed) -> Result<bool, StoreError> {
        let held = sqlx::query(
            "update notification_endpoints set lease_expires_at = 0 where shop = $1 and fencing_token = $2",
        )
        .bind(&claimed.shop)
        .bind(claimed.fencing_token)
        .execute(&mut **work)
        .await?;
        Ok(held.rows_affected() == 1)
    }

    /// It was told. When the platform was away it is back: nothing of it waits longer.
    pub(super) async fn notification_delivered(self, claimed: &Claimed, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.release_lease(&mut work, claimed).await?;
        sqlx::query("delete from notifications where id = $1").bind(claimed.id).execute(&mut *work).await?;
        let back = sqlx::query("update notification_endpoints set retry_after = 0 where shop = $1 and retry_after > 0")
            .bind(&claimed.shop)
            .execute(&mut *work)
            .await?;
        if back.rows_affected() == 1 {
            sqlx::query("update notifications set due_at = $2 where shop = $1 and state = 'waiting' and due_at > $2")
                .bind(&claimed.shop)
                .bind(milliseconds(now))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// It was not told: it is tried again on the schedule of order hooks, then given up.
    pub(super) async fn notification_failed(
        self,
        claimed: &Claimed,
        reason: &NotificationError,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let retry_after_seconds = match reason {
            NotificationError::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        };
        let end = RunEnd::Retry { outage: Outage { retry_after_seconds, detail: reason.to_string() } };
        let tries = RetryCounters { outages: claimed.attempt, limit_breaches: 0 };
        let (state, due, text) = match next_step(Ok(&end), tries, claimed.message.as_bytes()).0 {
            NextAction::Retry { after } => {
                (NotificationState::Waiting { due: now + after }, now + after, reason.to_string())
            }
            NextAction::Stop { reason, .. } => (NotificationState::Failed, now, reason),
            _ => (NotificationState::Failed, now, reason.to_string()),
        };
        let mut work = self.store.begin().await?;
        if !self.release_lease(&mut work, claimed).await? {
            return Ok(());
        }
        sqlx::query(
            "update notifications set state = $2, due_at = $3, last_error = $4, attempt = attempt + 1 where id = $1",
        )
        .bind(claimed.id)
        .bind(state.name())
        .bind(milliseconds(due))
        .bind(text)
        .execute(&mut *work)
        .await?;
        if let NotificationError::Unavailable { retry_after, .. } = reason {
            let named = retry_after.map_or(UNAVAILABLE_RETRY_DELAY, |seconds| Duration::from_secs(seconds.into()));
            sqlx::query("update notification_endpoints set retry_after = $2 where shop = $1")
                .bind(&claimed.shop)
                .bind(milliseconds(now + named.clamp(UNAVAILABLE_RETRY_DELAY, MAX_RETRY_AFTER)))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// At most `limit` notifications that a shop's platform has not taken yet, the oldest first, those after this number: all, or those
    /// that were given up.
    ///
    /// # Errors
    /// As the database says.
    pub async fn list(
        self,
        shop: &ShopId,
        dead_only: bool,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StoredNotification>, StoreError> {
        type Row = (i64, String, String, String, i64, i64, Option<String>, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, message, body, state, due_at, attempt, last_error, created_at from notifications
             where shop = $1 and (state = 'failed' or $2 = 0) and id > $4 order by id limit $3",
        )
        .bind(shop.as_str())
        .bind(i64::from(dead_only))
        .bind(i64::from(limit))
        .bind(after.unwrap_or(i64::MIN))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(|(number, id, body, state, due, attempt, reason, created)| {
            Ok(StoredNotification {
                number,
                id,
                shop: shop.clone(),
                body,
                state: NotificationState::of(&state, due)?,
                attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                reason,
                created: moment(created),
            })
        });
        rows.collect()
    }

    /// Has a notification that was given up sent again from now on, and logs who wanted it. Later ones of its order may have been
    /// told meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when none of this id was given up, and as the database says.
    pub async fn retry(self, shop: &ShopId, id: &str, actor: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        let revived: Option<(i64,)> = sqlx::query_as(
            "update notifications set state = 'waiting' where shop = $1 and message = $2 and state = 'failed'
             returning attempt",
        )
        .bind(shop.as_str())
        .bind(id)
        .fetch_optional(&mut *work)
        .await?;
        let missing = || StoreError::NotFound { what: "notification that was given up", id: id.to_owned() };
        let (attempts,) = revived.ok_or_else(missing)?;
        sqlx::query("update notifications set attempt = 0, due_at = $2 where message = $1")
            .bind(id)
            .bind(milliseconds(now))
            .execute(&mut *work)
            .await?;
        let logged = |state: NotificationState, attempts: i64| json!({ "state": state.name(), "attempts": attempts });
        let before = logged(NotificationState::Failed, attempts);
        let after = logged(NotificationState::Waiting { due: now }, 0);
        let entry = NewAuditEntry {
            actor,
            what: "retry-notification",
            shop: Some(shop),
            subject: id,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await?;
        self.store.nudge();
        Ok(())
    }
}
