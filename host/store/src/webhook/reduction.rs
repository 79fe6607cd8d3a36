//! The quota of webhooks: how many bytes of its deliveries each account may store.
//!
//! When an account's quota is full, successful deliveries are reduced, oldest first: their bodies are deleted, and if
//! that is not enough, their headers and responses too. The row stays, so that a repeated delivery is still recognized;
//! without its response it gets the same status and nothing else, as after its order was erased. A failed delivery is
//! stored whole. If only such are left, a new delivery is refused, and its vendor sends it again. A known one is run
//! again all the same: it takes no more space, and frees space once it succeeds.

use cartwright::types::WebhookRequest;
use cartwright::webhook::WebhookDelivery;

use super::delivery::delivery_id;
use super::quota::{AccountKey, account_of, as_u64};
use crate::database::WriteTransaction;
use crate::error::StoreError;
use crate::facades::Webhooks;

/// Maximum number of deliveries that one transaction reduces, so that others can write in between.
const DELIVERIES_PER_STEP: i64 = 50;

/// The steps of a reduction: which deliveries qualify, oldest first with their sizes, and how they are reduced.
const REDUCTIONS: [(&str, &str); 2] = [
    (
        "select id, cast(length(body) as bigint) from webhook_deliveries
         where shop = $1 and account = $2 and state = 'answered' and body is not null order by received_at, id limit $3",
        "update webhook_deliveries set body = null, size = size - length(body)
         where shop = $1 and id = $2 and state = 'answered' and body is not null",
    ),
    (
        "select id, cast(length(details) as bigint) from webhook_deliveries
         where shop = $1 and account = $2 and state = 'answered' and body is null and details is not null
         order by received_at, id limit $3",
        "update webhook_deliveries set details = null, size = size - length(details)
         where shop = $1 and id = $2 and state = 'answered' and body is null and details is not null",
    ),
];

impl Webhooks<'_> {
    /// Sets the quota of each account for webhooks, in bytes. Beyond it, successful deliveries are reduced, oldest
    /// first; if that is not enough, new ones are refused and must be sent again.
    pub fn set_webhook_quota(self, bytes: u64) {
        self.store.webhook_quota().quota.set_bytes(bytes);
    }

    /// Returns whether a delivery fits in its account's quota, after reducing successful ones if necessary.
    pub(super) async fn has_room_for(self, notice: &WebhookDelivery) -> Result<bool, StoreError> {
        let (account, bytes) = (account_of(&notice.destination), request_bytes(&notice.request));
        let webhook_quota = self.store.webhook_quota();
        if let Some(has_room) = webhook_quota.has_room(&account, bytes) {
            return Ok(has_room);
        }
        let _making_room = webhook_quota.quota.making_room.lock().await;
        // Another task may have freed space in the meantime, or found none.
        if let Some(has_room) = webhook_quota.has_room(&account, bytes) {
            return Ok(has_room);
        }
        let quota = webhook_quota.quota.bytes();
        let mut used = self.delivery_bytes(&account).await?;
        if used.saturating_add(bytes) > quota {
            used = self.reduce_answered(&account, used, webhook_quota.quota.target().saturating_sub(bytes)).await?;
        }
        webhook_quota.quota.set_measured(account.clone(), used);
        let has_room = used.saturating_add(bytes) <= quota;
        if !has_room {
            tracing::error!(
                shop = %account.0, account = %account.1, quota, used,
                "the quota of webhooks is full of failed deliveries; new ones are refused with 503: fix what the account's failed \
                 webhooks report, or raise --webhook-quota-mib"
            );
            webhook_quota.set_full(account);
        }
        Ok(has_room)
    }

    /// Returns whether the delivery is already stored with a body of this size, so that it takes no more space.
    pub(super) async fn takes_no_more_room(
        self,
        work: &mut WriteTransaction,
        notice: &WebhookDelivery,
    ) -> Result<bool, StoreError> {
        let found: Option<(i64,)> =
            sqlx::query_as("select 1 from webhook_deliveries where shop = $1 and id = $2 and length(body) >= $3")
                .bind(notice.destination.shop.as_str())
                .bind(delivery_id(notice))
                .bind(i64::try_from(notice.request.body.len()).unwrap_or(i64::MAX))
                .fetch_optional(&mut **work)
                .await?;
        Ok(found.is_some())
    }

    async fn delivery_bytes(self, (shop, account): &AccountKey) -> Result<u64, StoreError> {
        let (used,): (i64,) = sqlx::query_as(
            "select cast(coalesce(sum(size), 0) as bigint) from webhook_deliveries where shop = $1 and account = $2",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .fetch_one(self.store.pool())
        .await?;
        Ok(used.unsigned_abs())
    }

    /// Reduces successful deliveries until at most `target` bytes are used. Returns the used bytes.
    async fn reduce_answered(self, account: &AccountKey, used: u64, target: u64) -> Result<u64, StoreError> {
        let mut left = used;
        for what in REDUCTIONS {
            left = left.saturating_sub(self.reduce(account, what, left.saturating_sub(target)).await?);
        }
        if left < used {
            let (shop, account) = account;
            tracing::info!(
                %shop, %account, used, left,
                "the quota of webhooks was full; bodies of the oldest successful deliveries were deleted"
            );
        }
        Ok(left)
    }

    /// Performs one step of a reduction, oldest first, until this many bytes are free. Returns the freed bytes.
    async fn reduce(
        self,
        (shop, account): &AccountKey,
        (select, update): (&'static str, &'static str),
        bytes: u64,
    ) -> Result<u64, StoreError> {
        let mut freed = 0;
        while freed < bytes {
            let oldest: Vec<(String, i64)> = sqlx::query_as(select)
                .bind(shop.as_str())
                .bind(account.as_str())
                .bind(DELIVERIES_PER_STEP)
                .fetch_all(self.store.pool())
                .await?;
            if oldest.is_empty() {
                break;
            }
            let mut work = self.store.begin().await?;
            for (id, size) in oldest {
                if freed >= bytes {
                    break;
                }
                let reduced = sqlx::query(update).bind(shop.as_str()).bind(id).execute(&mut *work).await?;
                // Another node may have been quicker, or the delivery was received again.
                if reduced.rows_affected() > 0 {
                    freed += size.unsigned_abs();
                }
            }
            work.commit().await?;
        }
        Ok(freed)
    }
}

/// Returns the stored size of a request, in bytes.
fn request_bytes(WebhookRequest { method, headers, query, body, .. }: &WebhookRequest) -> u64 {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    as_u64(method.len() + headers + query.len() + body.len())
}
