//! The notification endpoint of a platform, and its signing secret.

use std::time::{Duration, SystemTime};

use cartwright::notify::{NotificationError, NotificationSender, NotificationTarget};
use cartwright::webhook::new_standard_secret;
use cartwright::{Grants, Secret, ShopId, timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Notifications;
use crate::installation::{ChangeError, Expected, check, version};
use crate::keys::aad;

/// The notification endpoint of a shop's platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationEndpoint {
    /// URL of the endpoint; https.
    pub url: String,
    /// Exceptions: `plain_http` and `networks` allow what is otherwise refused.
    #[serde(default)]
    pub grants: Grants,
}

/// Why an endpoint could not be set.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL cannot be used; the text says why, or which setting would allow it.
    #[error(transparent)]
    Address(NotificationError),
    /// The endpoint is not as the caller expected.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The encrypted value of the table.
#[derive(Serialize, Deserialize)]
struct StoredEndpoint {
    endpoint: NotificationEndpoint,
    secret: String,
    /// Previous secret, and the time until which it signs too, in milliseconds.
    #[serde(default)]
    previous: Option<(String, i64)>,
}

impl StoredEndpoint {
    fn new_secret() -> Result<(Secret, String), StoreError> {
        let random =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the system's random numbers: {error}"));
        let secret = new_standard_secret().map_err(|error| random(&error))?;
        let text = String::from_utf8_lossy(secret.expose()).into_owned();
        Ok((secret, text))
    }
}

/// Returns the version of an endpoint's content.
pub fn endpoint_version(endpoint: &NotificationEndpoint) -> String {
    version(&json!(endpoint))
}

/// Name of the endpoint in errors.
const ENDPOINT_KIND: &str = "the notification endpoint";

fn endpoint_aad(shop: &ShopId) -> String {
    aad("notification endpoint", shop.as_str(), "")
}

impl Notifications<'_> {
    /// Sets the notification endpoint of a shop's platform, with an audit entry. Everything that happens from now on is
    /// notified there. Returns the endpoint, and the signing secret of a new one, which cannot be shown again; a
    /// changed endpoint keeps its secret.
    ///
    /// `decide_grants` receives the grants of the endpoint that is changed, or no grants if there is none, and returns
    /// those of the new one. No other change can come between this decision and the commit.
    ///
    /// # Errors
    /// [`EndpointError::Address`], [`EndpointError::Change`] if the endpoint is not as expected, the error of
    /// `decide_grants`, [`StoreError::NotFound`] if the shop is not stored.
    pub async fn set_endpoint<E: From<EndpointError>>(
        self,
        shop: &ShopId,
        url: String,
        decide_grants: impl FnOnce(&Grants) -> Result<Grants, E>,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(NotificationEndpoint, Option<Secret>), E> {
        let mut work = self.store.begin_shop(shop).await.map_err(EndpointError::from)?;
        let old = self.stored_endpoint(&mut work, shop).await.map_err(EndpointError::from)?;
        let old_version = old.as_ref().map(|old| endpoint_version(&old.endpoint));
        check(expected, old_version, ENDPOINT_KIND).map_err(EndpointError::from)?;
        let granted = old.as_ref().map(|old| old.endpoint.grants.clone()).unwrap_or_default();
        let endpoint = NotificationEndpoint { url, grants: decide_grants(&granted)? };
        let secret = self.replace_endpoint(work, shop, old, &endpoint, actor, now).await?;
        Ok((endpoint, secret))
    }

    /// Stores an endpoint in place of the old one, and commits. Returns the signing secret of a new endpoint.
    async fn replace_endpoint(
        self,
        mut work: WriteTransaction,
        shop: &ShopId,
        old: Option<StoredEndpoint>,
        endpoint: &NotificationEndpoint,
        actor: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>, EndpointError> {
        let NotificationEndpoint { url, grants } = endpoint.clone();
        NotificationSender::check(&NotificationTarget { url, grants, secrets: Vec::new() })
            .map_err(EndpointError::Address)?;
        let before = old.as_ref().map(audit_value);
        let (made, kept) = match old {
            Some(kept) => (None, StoredEndpoint { endpoint: endpoint.clone(), ..kept }),
            None => {
                let (secret, text) = StoredEndpoint::new_secret()?;
                (Some(secret), StoredEndpoint { endpoint: endpoint.clone(), secret: text, previous: None })
            }
        };
        self.write_endpoint(&mut work, shop, &kept, now).await?;
        let (what, values) = ("set-notification-endpoint", [before, Some(audit_value(&kept))]);
        commit(work, shop, (actor, what), values, now).await?;
        Ok(made)
    }

    /// Gives an endpoint a new signing secret, with an audit entry. For the time `both`, notifications are signed with
    /// the previous secret too, so that the new one can be distributed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the shop has no endpoint, or an error of the database.
    pub async fn rotate_secret(
        self,
        shop: &ShopId,
        overlap: Duration,
        actor: &str,
        now: SystemTime,
    ) -> Result<Secret, StoreError> {
        let mut work = self.store.begin().await?;
        let kept = self.stored_endpoint(&mut work, shop).await?.ok_or_else(|| no_endpoint(shop))?;
        let (before, (secret, text)) = (audit_value(&kept), StoredEndpoint::new_secret()?);
        let previous = Some((kept.secret, milliseconds(now + overlap)));
        let kept = StoredEndpoint { secret: text, previous, ..kept };
        self.write_endpoint(&mut work, shop, &kept, now).await?;
        let values = [Some(before), Some(audit_value(&kept))];
        commit(work, shop, (actor, "rotate-notification-secret"), values, now).await?;
        Ok(secret)
    }

    /// Returns the notification endpoint of a shop's platform.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn endpoint(self, shop: &ShopId) -> Result<Option<NotificationEndpoint>, StoreError> {
        let kept = self.stored_endpoint(&mut *self.store.pool().acquire().await?, shop).await?;
        Ok(kept.map(|kept| kept.endpoint))
    }

    /// Removes a notification endpoint, with an audit entry. Pending notifications are deleted.
    ///
    /// # Errors
    /// [`ChangeError::Changed`] if the endpoint is not as expected, [`StoreError::NotFound`] if the shop has none, or
    /// an error of the database.
    pub async fn remove_endpoint(
        self,
        shop: &ShopId,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        let mut work = self.store.begin_shop(shop).await?;
        let kept = match self.stored_endpoint(&mut work, shop).await {
            // An unreadable endpoint can be removed.
            Err(StoreError::Corrupt(_)) => None,
            kept => Some(kept?.ok_or_else(|| no_endpoint(shop))?),
        };
        check(expected, kept.as_ref().map(|kept| endpoint_version(&kept.endpoint)), ENDPOINT_KIND)?;
        let before = kept.as_ref().map(audit_value);
        sqlx::query("delete from notification_endpoints where shop = $1")
            .bind(shop.as_str())
            .execute(&mut *work)
            .await?;
        let dropped =
            sqlx::query("delete from notifications where shop = $1").bind(shop.as_str()).execute(&mut *work).await?;
        let after = json!({ "notifications dropped": dropped.rows_affected() });
        commit(work, shop, (actor, "remove-notification-endpoint"), [before, Some(after)], now).await?;
        Ok(())
    }

    /// Returns the target and secrets of a notification at this time.
    pub(super) async fn receiver(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        now: SystemTime,
    ) -> Result<NotificationTarget, StoreError> {
        let stored = self.stored_endpoint(connection, shop).await?.ok_or_else(|| no_endpoint(shop))?;
        let mut secrets = vec![Secret::new(stored.secret)];
        secrets
            .extend(stored.previous.filter(|(_, until)| system_time(*until) > now).map(|(text, _)| Secret::new(text)));
        let NotificationEndpoint { url, grants } = stored.endpoint;
        Ok(NotificationTarget { url, grants, secrets })
    }

    async fn stored_endpoint(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
    ) -> Result<Option<StoredEndpoint>, StoreError> {
        let found: Option<(Vec<u8>,)> = sqlx::query_as("select endpoint from notification_endpoints where shop = $1")
            .bind(shop.as_str())
            .fetch_optional(connection)
            .await?;
        let Some((encrypted,)) = found else { return Ok(None) };
        let what = endpoint_aad(shop);
        let plain = self.store.keys().decrypt(&what, &encrypted)?;
        serde_json::from_slice(&plain).map(Some).map_err(|error| StoreError::corrupt(&what, error))
    }

    async fn write_endpoint(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        stored: &StoredEndpoint,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into notification_endpoints (shop, endpoint, retry_after, lease_expires_at, fencing_token, changed_at)
             values ($1, $2, 0, 0, 0, $3)
             on conflict (shop) do update set endpoint = $2, retry_after = 0, changed_at = $3",
        )
        .bind(shop.as_str())
        .bind(self.store.keys().current().encrypt_json(&endpoint_aad(shop), stored)?)
        .bind(milliseconds(now))
        .execute(&mut **work)
        .await?;
        Ok(())
    }
}

/// Returns the audit value of an endpoint. Of its secrets, it contains only when the previous one expires.
fn audit_value(stored: &StoredEndpoint) -> Value {
    // The query may contain a password.
    let url = stored.endpoint.url.split('?').next().unwrap_or_default();
    let former = stored.previous.as_ref().map(|(_, until)| timestamp(system_time(*until)));
    json!({ "url": url, "grants": stored.endpoint.grants, "former secret ends": former })
}

/// Commits a change of an endpoint with its audit entry.
async fn commit(
    work: WriteTransaction,
    shop: &ShopId,
    (actor, what): (&str, &str),
    [before, after]: [Option<Value>; 2],
    now: SystemTime,
) -> Result<(), StoreError> {
    let (subject, before, after) = (shop.as_str(), before.as_ref(), after.as_ref());
    let entry = NewAuditEntry { actor, action: what, shop: Some(shop), subject, before, after, secrets: &[] };
    work.commit_audited(&entry, now).await
}

fn no_endpoint(shop: &ShopId) -> StoreError {
    StoreError::NotFound { what: "notification endpoint of the shop", id: shop.to_string() }
}
