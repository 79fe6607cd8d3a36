//! Claims notifications that are due, and records their results.

use std::time::{Duration, SystemTime};

use cartwright::ShopId;
use cartwright::durable::{NextAction, RETRY_BACKOFF, RetryCounters, RunEnd, next_step};
use cartwright::notify::{NotificationError, NotificationTarget};
use cartwright::types::Outage;
use serde_json::json;

use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Notifications;

/// Lease of a sender; after it, another may send again. It is longer than a request may take.
const LEASE: Duration = Duration::from_secs(60);
/// Time between two requests to an unavailable platform, however many notifications are pending.
const UNAVAILABLE_RETRY_DELAY: Duration = RETRY_BACKOFF[0];
/// Maximum delay that a platform can request. Those that ask for a day are often available sooner.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30 * 60);

/// Selects the shops with a notification that can be sent at $1, the longest-waiting first: the platform is not marked
/// as unavailable, and no other request to it is in progress.
const SHOPS: &str = "
    select e.shop, e.fencing_token from notification_endpoints e
    where e.retry_after <= $1 and e.lease_expires_at <= $1
    and exists (select 1 from notifications n where n.shop = e.shop and n.state = 'waiting' and n.due_at <= $1)
    order by (select min(n.due_at) from notifications n where n.shop = e.shop and n.state = 'waiting')";

/// Selects the next notification of a shop: no earlier one of the same subject is pending.
const NEXT: &str = "
    select n.id, n.message, n.body, n.attempt from notifications n
    where n.shop = $2 and n.state = 'waiting' and n.due_at <= $1
    and not exists (select 1 from notifications b
        where b.shop = n.shop and b.subject = n.subject and b.state = 'waiting' and b.id < n.id)
    order by n.due_at, n.id limit 1";

/// The state of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationState {
    /// The notification is sent at this time, or when an earlier one of its subject was delivered.
    Waiting {
        /// Earliest time of the next attempt.
        due: SystemTime,
    },
    /// Delivery failed for two days and was given up.
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
            "waiting" => Ok(Self::Waiting { due: system_time(due_at) }),
            "failed" => Ok(Self::Failed),
            _ => Err(StoreError::Corrupt(format!("no notification has the state {name:?}"))),
        }
    }
}

/// A notification that the platform has not received yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotification {
    /// Increasing number, by which a list continues even if the notification was delivered in the meantime.
    pub number: i64,
    /// Id that the platform receives as `webhook-id`.
    pub id: String,
    /// Shop of the notification.
    pub shop: ShopId,
    /// Body, as JSON.
    pub body: String,
    /// State of the notification.
    pub state: NotificationState,
    /// Number of attempts since it was created or retried.
    pub attempt: u32,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// Time of creation.
    pub created: SystemTime,
}

/// A notification that a sender has claimed.
pub(super) struct Claimed {
    pub(super) message: String,
    pub(super) body: String,
    /// Target of the notification, or an error if the endpoint cannot be read.
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
            // If the next statement finds the same fencing token, no other sender has claimed the endpoint since.
            let next: Option<(i64, String, String, i64)> =
                sqlx::query_as(NEXT).bind(milliseconds(now)).bind(&shop).fetch_optional(self.store.pool()).await?;
            let Some((id, message, body, attempt)) = next else { continue };
            let mut work = self.store.begin().await?;
            let update = sqlx::query(
                "update notification_endpoints set fencing_token = fencing_token + 1, lease_expires_at = $3 where shop = $1 and fencing_token = $2",
            )
            .bind(&shop)
            .bind(fencing_token)
            .bind(milliseconds(now + LEASE))
            .execute(&mut *work)
            .await?;
            if update.rows_affected() == 0 {
                continue;
            }
            let of = shop.parse().map_err(|error| StoreError::corrupt(&message, error))?;
            let receiver = match self.receiver(&mut work, &of, now).await {
                Ok(receiver) => Ok(receiver),
                // The endpoint of one shop must not block notifications of others.
                Err(error @ StoreError::Corrupt(_)) => Err(NotificationError::Refused(error.to_string())),
                Err(error) => return Err(error),
            };
            work.commit().await?;
            let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
            return Ok(Some(Claimed { message, body, receiver, id, fencing_token: fencing_token + 1, shop, attempt }));
        }
        Ok(None)
    }

    /// Releases a shop's lease. Returns false if it was lost, so that another sender may be sending the same
    /// notification.
    async fn release_lease(self, work: &mut WriteTransaction, claimed: &Claimed) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "update notification_endpoints set lease_expires_at = 0 where shop = $1 and fencing_token = $2",
        )
        .bind(&claimed.shop)
        .bind(claimed.fencing_token)
        .execute(&mut **work)
        .await?;
        Ok(update.rows_affected() == 1)
    }

    /// Records a delivery. If the platform was unavailable, its other notifications are now due at once.
    pub(super) async fn notification_delivered(self, claimed: &Claimed, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.release_lease(&mut work, claimed).await?;
        sqlx::query("delete from notifications where id = $1").bind(claimed.id).execute(&mut *work).await?;
        let update =
            sqlx::query("update notification_endpoints set retry_after = 0 where shop = $1 and retry_after > 0")
                .bind(&claimed.shop)
                .execute(&mut *work)
                .await?;
        if update.rows_affected() == 1 {
            sqlx::query("update notifications set due_at = $2 where shop = $1 and state = 'waiting' and due_at > $2")
                .bind(&claimed.shop)
                .bind(milliseconds(now))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Records a failure: the notification is retried on the schedule of order hooks, and finally fails.
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
            let requested_delay =
                retry_after.map_or(UNAVAILABLE_RETRY_DELAY, |seconds| Duration::from_secs(seconds.into()));
            sqlx::query("update notification_endpoints set retry_after = $2 where shop = $1")
                .bind(&claimed.shop)
                .bind(milliseconds(now + requested_delay.clamp(UNAVAILABLE_RETRY_DELAY, MAX_RETRY_AFTER)))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Returns at most `limit` undelivered notifications of a shop after this number, oldest first: all, or only the
    /// failed ones.
    ///
    /// # Errors
    /// Fails if the database does.
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
                created: system_time(created),
            })
        });
        rows.collect()
    }

    /// Retries a failed notification from now on, with an audit entry. Later notifications of its order may already
    /// have been delivered.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if no failed notification has this id, or an error of the database.
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
        let missing = || StoreError::NotFound { what: "failed notification", id: id.to_owned() };
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
            action: "retry-notification",
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
