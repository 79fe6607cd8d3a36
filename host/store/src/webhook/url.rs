//! Webhook URLs of accounts.

use std::time::SystemTime;

use cartwright::webhook::{Destination, Selector, StoredWebhookToken, WebhookToken, WebhookUrlUse};
use cartwright::{ShopId, timestamp};

use crate::audit_log::NewAuditEntry;
use crate::database::{milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::shops::require_account;

/// Selects webhook URLs with their use. An account is in use while one of its product links is current, and while it
/// has none yet: after a vendor switch all of them are replaced ones.
const SELECT_URLS: &str = "
    select a.selector, a.hash, a.shop, a.account, a.endpoint, a.created_at, a.expires_at,
        case when exists (select 1 from product_links k where k.shop = a.shop and k.account = a.account and k.is_current = 1)
            or not exists (select 1 from product_links k where k.shop = a.shop and k.account = a.account) then 1 else 0 end,
        case when exists (
            select 1 from job_lanes l join orders o on o.shop = l.shop and o.id = l.order_id
            where l.shop = a.shop and l.account = a.account and o.order_key is not null
            and (o.closed_at is null or exists (
                select 1 from jobs j where j.lane_id = l.id and j.state not in ('done', 'cancelled')))) then 1 else 0 end
    from webhook_urls a where (a.selector = $1 or $1 is null) and (a.shop = $2 or $2 is null)
    and ($3 is null or (a.account, a.endpoint, a.created_at, a.selector) >
        (select account, endpoint, created_at, selector from webhook_urls where selector = $3))
    order by a.account, a.endpoint, a.created_at, a.selector limit $4";

type Row = (String, String, String, String, String, i64, Option<i64>, i64, i64);

/// A webhook URL in a list. The URL itself was shown only when it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrlInfo {
    /// Stored token of the URL.
    pub stored: StoredWebhookToken,
    /// Time of creation.
    pub created_at: SystemTime,
    /// Reasons for which the URL is accepted. It is valid while there is one and it has not expired.
    pub use_state: WebhookUrlUse,
}

impl Webhooks<'_> {
    /// Creates a further webhook URL for an endpoint, with an audit entry. [`WebhookToken::reveal`] shows it; it cannot
    /// be shown again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the account is not stored, or an error of the database.
    pub async fn create_webhook_url(
        self,
        to: &Destination,
        actor: &str,
        now: SystemTime,
    ) -> Result<WebhookToken, StoreError> {
        let address = WebhookToken::generate()
            .map_err(|error| StoreError::Unavailable(format!("the system's random numbers: {error}")))?;
        let stored = address.stored(to.clone());
        let mut work = self.store.begin().await?;
        require_account(&mut work, &to.shop, &to.account).await?;
        sqlx::query(
            "insert into webhook_urls (selector, hash, shop, account, endpoint, created_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(stored.selector.to_string())
        .bind(String::from(stored.hash))
        .bind(to.shop.as_str())
        .bind(to.account.as_str())
        .bind(&to.endpoint)
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        let (subject, after) =
            (stored.selector.to_string(), serde_json::json!({ "account": to.account, "endpoint": to.endpoint }));
        let entry = NewAuditEntry {
            actor,
            action: "create-webhook-url",
            shop: Some(&to.shop),
            subject: &subject,
            after: Some(&after),
            ..NewAuditEntry::default()
        };
        work.commit_audited(&entry, now).await?;
        Ok(address)
    }

    /// Returns the stored token with a selector, for [`WebhookToken::resolve`].
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn webhook_url(
        self,
        selector: Selector,
    ) -> Result<Option<(StoredWebhookToken, WebhookUrlUse)>, StoreError> {
        let found = self.read_addresses(Some(selector), None, None, 1).await?.pop();
        let found = found.map(info).transpose()?;
        Ok(found.map(|found| (found.stored, found.use_state)))
    }

    /// Returns at most `limit` webhook URLs of a shop after this one, by account and endpoint, including expired ones.
    /// A damaged row is logged, and does not hide others.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn webhook_urls(
        self,
        shop: &ShopId,
        after: Option<Selector>,
        limit: u32,
    ) -> Result<Vec<WebhookUrlInfo>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut addresses, mut after) = (Vec::new(), after.map(|after| after.to_string()));
        while addresses.len() < limit {
            let remaining = limit - addresses.len();
            let rows = self.read_addresses(None, Some(shop), after.as_deref(), remaining).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.0.clone());
            for row in rows {
                match info(row) {
                    Ok(address) => addresses.push(address),
                    Err(error) => tracing::error!(%shop, %error, "a webhook URL cannot be read"),
                }
            }
        }
        Ok(addresses)
    }

    async fn read_addresses(
        self,
        selector: Option<Selector>,
        shop: Option<&ShopId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(sqlx::query_as(SELECT_URLS)
            .bind(selector.map(|selector| selector.to_string()))
            .bind(shop.map(ShopId::as_str))
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.store.pool())
            .await?)
    }

    /// Revokes a webhook URL at a time: now, or when the vendor will have received another. An earlier expiry stays.
    /// Adds an audit entry.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the shop has no such URL, or an error of the database.
    pub async fn revoke_webhook_url(
        self,
        shop: &ShopId,
        selector: Selector,
        ends: SystemTime,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        let selector = selector.to_string();
        // Locks the row until this transaction ends.
        let found: Option<(Option<i64>,)> = sqlx::query_as(
            "update webhook_urls set selector = selector where shop = $1 and selector = $2 returning expires_at",
        )
        .bind(shop.as_str())
        .bind(&selector)
        .fetch_optional(&mut *work)
        .await?;
        let (before,) = found.ok_or_else(|| StoreError::NotFound { what: "webhook URL", id: selector.clone() })?;
        let after = before.map_or(milliseconds(ends), |before| before.min(milliseconds(ends)));
        sqlx::query("update webhook_urls set expires_at = $2 where selector = $1")
            .bind(&selector)
            .bind(after)
            .execute(&mut *work)
            .await?;
        let audit_value =
            |ends: Option<i64>| serde_json::json!({ "ends": ends.map(|ends| timestamp(system_time(ends))) });
        let (before, after) = (audit_value(before), audit_value(Some(after)));
        let entry = NewAuditEntry {
            actor,
            action: "revoke-webhook-url",
            shop: Some(shop),
            subject: &selector,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await
    }
}

fn info(row: Row) -> Result<WebhookUrlInfo, StoreError> {
    let (selector, hash, shop, account, endpoint, created_at, ends, has_account, has_open_order) = row;
    let what = format!("the webhook URL {selector}");
    let damaged = |error: &dyn std::fmt::Display| StoreError::corrupt(&what, error);
    let destination = Destination {
        shop: shop.parse().map_err(|error| damaged(&error))?,
        account: account.parse().map_err(|error| damaged(&error))?,
        endpoint,
    };
    Ok(WebhookUrlInfo {
        stored: StoredWebhookToken {
            selector: selector.parse().map_err(|error| damaged(&error))?,
            hash: hash.parse().map_err(|error| damaged(&error))?,
            destination,
            expires_at: ends.map(system_time),
        },
        created_at: system_time(created_at),
        use_state: WebhookUrlUse { has_account: has_account == 1, has_open_order: has_open_order == 1 },
    })
}
