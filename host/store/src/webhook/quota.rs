//! How much webhooks may leave in the database: a quota for each account over the bytes that are kept of the notices that it was sent.
//!
//! When an account's quota is full, notices that were answered give room, the oldest first: their bodies, and where that is not enough
//! their headers and answers, too. The row stays, so that a repeat is still recognized; without its answer it is answered with the
//! same status and nothing else, as after its order was erased. A notice that was not answered well is kept whole. Where only such are
//! left, a new notice is refused, and its vendor sends it again. One that is known is run again all the same: it takes no more room,
//! and it gives room once it is answered.
//!
//! What is written is counted as for carts, see `quota.rs`. The rows themselves are not counted.

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

/// Bytes of each account that are kept of webhooks, unless [`Webhooks::set_webhook_quota`] says otherwise: 256 MiB.
pub const DEFAULT_WEBHOOK_QUOTA_BYTES: u64 = 256 << 20;
/// When a notice that was refused is to be sent again. For as long the database is not asked whether there is room.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of receipts that give room in one transaction: others write in between.
const RECEIPTS_PER_STEP: i64 = 50;

/// What gives room, in this order: which receipts have it, the oldest first, each with its size; and how it goes.
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

/// The quota of each account, and which are full.
#[derive(Debug)]
pub(crate) struct ReceiptQuota {
    quota: Quota<AccountKey>,
    /// Accounts that notices which were not answered fill, each until the database is asked again.
    full: Mutex<HashMap<AccountKey, Instant>>,
}

impl Default for ReceiptQuota {
    fn default() -> Self {
        Self { quota: Quota::new(DEFAULT_WEBHOOK_QUOTA_BYTES), full: Mutex::default() }
    }
}

impl ReceiptQuota {
    /// Counts what was written.
    pub(super) fn add(&self, to: &Destination, bytes: usize) {
        self.quota.add(&account_of(to), as_u64(bytes));
    }

    /// Has the database asked again: a notice of the account was answered and can give room.
    pub(super) fn clear_full(&self, to: &Destination) {
        self.full().remove(&account_of(to));
    }

    fn set_full(&self, account: AccountKey) {
        self.full().insert(account, Instant::now() + RETRY_AFTER);
    }

    /// Whether so many bytes more have room, where it is known without the database.
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
    /// Sets how many bytes are kept of the webhooks of each account. When they are more, those that were answered give room, the
    /// oldest first; where that is not enough, new ones are refused and are to be sent again.
    pub fn set_webhook_quota(self, bytes: u64) {
        self.store.receipt_quota().quota.set_bytes(bytes);
    }

    /// Is there room for a notice in its account's quota? Makes it where notices that were answered can give it.
    pub(super) async fn has_room_for(self, notice: &WebhookDelivery) -> Result<bool, StoreError> {
        let (account, bytes) = (account_of(&notice.destination), request_bytes(&notice.request));
        let receipts = self.store.receipt_quota();
        if let Some(has_room) = receipts.has_room(&account, bytes) {
            return Ok(has_room);
        }
        let _making_room = receipts.quota.making_room.lock().await;
        // Somebody may have made room meanwhile, or found none.
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
                "the quota of webhooks is full of notices that were not answered well; new ones are refused with 503: see among the \
                 account's failed notices why, and mend that, or raise --webhook-quota-mib"
            );
            receipts.set_full(account);
        }
        Ok(has_room)
    }

    /// Is a notice kept already with a body of this size, so that it takes no more room than it has?
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

    /// Gives up what is kept of notices that were answered, until no more than `target` is used. Returns what is used then.
    async fn give_up_answered(self, account: &AccountKey, used: u64, target: u64) -> Result<u64, StoreError> {
        let mut left = used;
        for what in GIVEN_UP {
            left = left.saturating_sub(self.give_up(account, what, left.saturating_sub(target)).await?);
        }
        if left < used {
            let (shop, account) = account;
            tracing::info!(
                %shop, %account, used, left,
                "the quota of webhooks was full; bodies of the oldest notices that were answered are gone"
            );
        }
        Ok(left)
    }

    /// Gives up one part of what is kept, of the oldest first, until this many bytes are free. Returns how many are.
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
                // Another node may have been quicker, or it came again.
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

/// Bytes of a request, as it is kept.
fn request_bytes(WebhookRequest { method, headers, query, body }: &WebhookRequest) -> u64 {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    as_u64(method.len() + headers + query.len() + body.len())
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
