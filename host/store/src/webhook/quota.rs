//! The quota of webhooks, and what this node knows of its use. Writes are counted as for carts, see `quota.rs`. The rows
//! themselves are not counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cartwright::webhook::Destination;
use cartwright::{AccountId, ShopId};

use crate::quota::Quota;

/// Default quota of each account for webhooks: 256 MiB. Change it with
/// [`Webhooks::set_webhook_quota`](crate::Webhooks::set_webhook_quota).
pub const DEFAULT_WEBHOOK_QUOTA_BYTES: u64 = 256 << 20;
/// Time after which a refused delivery should be sent again, and for which the database is not queried for space.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Names an account of any shop.
pub(super) type AccountKey = (ShopId, AccountId);

/// The quota of each account, and the accounts that have reached it.
#[derive(Debug)]
pub(crate) struct WebhookQuota {
    pub(super) quota: Quota<AccountKey>,
    /// Accounts whose quota is full of failed deliveries, each until the database is queried again.
    full: Mutex<HashMap<AccountKey, Instant>>,
}

impl Default for WebhookQuota {
    fn default() -> Self {
        Self { quota: Quota::new(DEFAULT_WEBHOOK_QUOTA_BYTES), full: Mutex::default() }
    }
}

impl WebhookQuota {
    /// Counts written bytes.
    pub(super) fn add(&self, to: &Destination, bytes: usize) {
        self.quota.add(&account_of(to), as_u64(bytes));
    }

    /// Marks an account as no longer full, because one of its deliveries succeeded and can be reduced.
    pub(super) fn clear_full(&self, to: &Destination) {
        self.full().remove(&account_of(to));
    }

    /// Marks an account as full for a while, so that the database is not queried for each further delivery.
    pub(super) fn set_full(&self, account: AccountKey) {
        self.full().insert(account, Instant::now() + RETRY_AFTER);
    }

    /// Returns whether this number of additional bytes fits, if that is known without the database.
    pub(super) fn has_room(&self, account: &AccountKey, bytes: u64) -> Option<bool> {
        if self.full().get(account).is_some_and(|until| Instant::now() < *until) {
            return Some(false);
        }
        (!self.quota.must_measure(account, bytes)).then_some(true)
    }

    fn full(&self) -> MutexGuard<'_, HashMap<AccountKey, Instant>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn account_of(Destination { shop, account, .. }: &Destination) -> AccountKey {
    (shop.clone(), account.clone())
}

pub(super) fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
