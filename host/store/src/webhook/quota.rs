//! The quota of webhooks: how many bytes of its deliveries each account may store.
//!
//! When an account's quota is full, successful deliveries are reduced, oldest first: their bodies are deleted, and if
//! that is not enough, their headers and responses too. The row stays, so that a repeated delivery is still recognized;
//! without its response it gets the same status and nothing else, as after its order was erased. A failed delivery is
//! stored whole. If only such are left, a new delivery is refused, and its vendor sends it again. A known one is run
//! again all the same: it takes no more space, and frees space once it succeeds.
//!
//! Writes are counted as for carts, see `quota.rs`. The rows themselves are not counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cartwright::types::WebhookRequest;
use cartwright::webhook::{Destination, WebhookDelivery};
use cartwright::{AccountId, ShopId};

use super::delivery::delivery_id;
use crate::database::WriteTransaction;
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::quota::Quota;

/// Default quota of each account for webhooks: 256 MiB. Change it with [`Webhooks::set_webhook_quota`].
pub const DEFAULT_WEBHOOK_QUOTA_BYTES: u64 = 256 << 20;
/// Time after which a refused delivery should be sent again, and for which the database is not queried for space.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of deliveries that one transaction reduces, so that others can write in between.
const RECEIPTS_PER_STEP: i64 = 50;

/// The steps of a reduction: which deliveries qualify, oldest first with their sizes, and how they are reduced.
const GIVEN_UP: [(&str, &str); 2] = [
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

type AccountKey = (ShopId, AccountId);

/// The quota of each account, and the accounts that have reached it.
#[derive(Debug)]
pub(crate) struct ReceiptQuota {
    quota: Quota<AccountKey>,
    /// Accounts whose quota is full of failed deliveries, each until the database is queried again.
    full: Mutex<HashMap<AccountKey, Instant>>,
}

impl Default for ReceiptQuota {
    fn default() -> Self {
        Self { quota: Quota::new(DEFAULT_WEBHOOK_QUOTA_BYTES), full: Mutex::default() }
    }
}

impl ReceiptQuota {
    /// Counts written bytes.
    pub(super) fn add(&self, to: &Destination, bytes: usize) {
        self.quota.add(&account_of(to), as_u64(bytes));
    }

    /// Marks an account as no longer full, because one of its deliveries succeeded and can be reduced.
    pub(super) fn clear_full(&self, to: &Destination) {
        self.full().remove(&account_of(to));
    }

    fn set_full(&self, account: AccountKey) {
        self.full().insert(account, Instant::now() + RETRY_AFTER);
    }

    /// Returns whether this number of additional bytes fits, if that is known without the database.
    fn has_room(&self, account: &AccountKey, bytes: u64) -> Option<bool> {
        if self.full().get(account).is_some_and(|until| Instant::now() < *until) {
            return Some(false);
        }
        (!self.quota.must_measure(account, bytes)).then_some(true)
    }

    fn full(&self) -> MutexGuard<'_, HashMap<AccountKey, Instant>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhooks<'_> {
    /// Sets the quota of each account for webhooks, in bytes. Beyond it, successful deliveries are reduced, oldest
    /// first; if that is not enough, new ones are refused and must be sent again.
    pub fn set_webhook_quota(self, bytes: u64) {
        self.store.receipt_quota().quota.set_bytes(bytes);
    }

    /// Returns whether a delivery fits in its account's quota, after reducing successful ones if necessary.
    pub(super) async fn has_room_for(self, notice: &WebhookDelivery) -> Result<bool, StoreError> {
        let (account, bytes) = (account_of(&notice.destination), request_bytes(&notice.request));
        let receipts = self.store.receipt_quota();
        if let Some(has_room) = receipts.has_room(&account, bytes) {
            return Ok(has_room);
        }
        let _making_room = receipts.quota.making_room.lock().await;
        // Another task may have freed space in the meantime, or found none.
        if let Some(has_room) = receipts.has_room(&account, bytes) {
            return Ok(has_room);
        }
        let quota = receipts.quota.bytes();
        let mut used = self.receipt_bytes(&account).await?;
        if used.saturating_add(bytes) > quota {
            used = self.give_up_answered(&account, used, receipts.quota.target().saturating_sub(bytes)).await?;
        }
        receipts.quota.set_measured(account.clone(), used);
        let has_room = used.saturating_add(bytes) <= quota;
        if !has_room {
            tracing::error!(
                shop = %account.0, account = %account.1, quota, used,
                "the quota of webhooks is full of failed deliveries; new ones are refused with 503: fix what the account's failed \
                 webhooks report, or raise --webhook-quota-mib"
            );
            receipts.set_full(account);
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

    async fn receipt_bytes(self, (shop, account): &AccountKey) -> Result<u64, StoreError> {
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
    async fn give_up_answered(self, account: &AccountKey, used: u64, target: u64) -> Result<u64, StoreError> {
        let mut left = used;
        for what in GIVEN_UP {
            left = left.saturating_sub(self.give_up(account, what, left.saturating_sub(target)).await?);
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
    async fn give_up(
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
                .bind(RECEIPTS_PER_STEP)
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
                let given_up = sqlx::query(update).bind(shop.as_str()).bind(id).execute(&mut *work).await?;
                // Another node may have been quicker, or the delivery was received again.
                if given_up.rows_affected() > 0 {
                    freed += size.unsigned_abs();
                }
            }
            work.commit().await?;
        }
        Ok(freed)
    }
}

fn account_of(Destination { shop, account, .. }: &Destination) -> AccountKey {
    (shop.clone(), account.clone())
}

/// Returns the stored size of a request, in bytes.
fn request_bytes(WebhookRequest { method, headers, query, body }: &WebhookRequest) -> u64 {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    as_u64(method.len() + headers + query.len() + body.len())
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
