//! The quota of carts: how many bytes without an order each shop may store. These are configurations, their thumbnails,
//! and responses of vendors to shoppers.
//!
//! When a shop's quota is full, the least recently used bytes are deleted, but not of all clients equally: the client
//! that stores most is reduced to the amount of the next one, and so on, so that a client that fills a shop's quota
//! takes nothing from others. The newest blob of each client stays, because the line that was just sealed over it needs
//! it. Only if this is not enough, because there are more clients than the quota has room for, the oldest of all are
//! deleted. A client is a visitor's IP address, or the id that the platform names; visitors without either count as
//! one.
//!
//! The copies of an order belong to it, and are deleted with it only: they do not count here.
//!
//! Each node counts what it writes, and measures the total in the database when the quota may be exceeded or a
//! sixteenth of it was written, so that it does so rarely. Several nodes may together exceed the quota slightly. The
//! quota of webhooks is counted in the same way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cartwright::ShopId;

use crate::error::StoreError;
use crate::facades::StoredBlobs;

/// Default quota of each shop for bytes without an order: 1 GiB. Change it with [`StoredBlobs::set_cart_quota`].
pub const DEFAULT_CART_QUOTA_BYTES: u64 = 1 << 30;
/// Share of a full quota that is left after a deletion: nine tenths. Otherwise every cart would cause a deletion.
const QUOTA_TARGET_TENTHS: u64 = 9;
/// Maximum number of clients that are reduced in one step.
const CLIENTS_PER_STEP: i64 = 1000;
/// Maximum number of blobs that are deleted in one transaction, so that others can write in between.
const BLOBS_PER_DELETE: i64 = 50;

/// A quota of bytes for each key, and what this node knows of its use.
#[derive(Debug)]
pub(crate) struct Quota<K> {
    bytes: AtomicU64,
    usage: Mutex<HashMap<K, Usage>>,
    /// Held by the one task of a node that deletes.
    pub(crate) making_room: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    measured: u64,
    written: u64,
}

impl<K: Eq + Hash> Quota<K> {
    /// Creates a quota of this many bytes for each key.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), usage: Mutex::default(), making_room: tokio::sync::Mutex::default() }
    }

    /// Returns the quota of each key, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sets the quota of each key, in bytes.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Returns the number of bytes that are left after a deletion.
    pub(crate) fn target(&self) -> u64 {
        self.bytes() / 10 * QUOTA_TARGET_TENTHS
    }

    /// Counts written bytes.
    pub(crate) fn add(&self, key: &K, written: u64) {
        if let Some(usage) = self.usage().get_mut(key) {
            usage.written = usage.written.saturating_add(written);
        }
    }

    /// Returns whether the total must be measured in the database before `more` bytes are written.
    pub(crate) fn must_measure(&self, key: &K, more: u64) -> bool {
        let Some(Usage { measured, written }) = self.usage().get(key).copied() else { return true };
        let (quota, written) = (self.bytes(), written.saturating_add(more));
        measured.saturating_add(written) > quota || written > quota / 16
    }

    /// Records the total that was measured in the database.
    pub(crate) fn set_measured(&self, key: K, measured: u64) {
        self.usage().insert(key, Usage { measured, written: 0 });
    }

    fn usage(&self) -> MutexGuard<'_, HashMap<K, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredBlobs<'_> {
    /// Sets the quota of each shop for bytes without an order: configurations, their thumbnails, responses to shoppers.
    /// Beyond it, the least recently used bytes are deleted, first those of the visitors who store most.
    pub fn set_cart_quota(self, bytes: u64) {
        self.store.cart_quota().set_bytes(bytes);
    }

    /// Deletes bytes if a shop has exceeded its quota.
    pub(crate) async fn enforce_quota(self, shop: &ShopId, written: u64) -> Result<(), StoreError> {
        let cart_quota = self.store.cart_quota();
        cart_quota.add(shop, written);
        if written == 0 || !cart_quota.must_measure(shop, 0) {
            return Ok(());
        }
        // The task that is deleting already counts what was written until now.
        let Ok(_making_room) = cart_quota.making_room.try_lock() else { return Ok(()) };
        let quota = cart_quota.bytes();
        let mut used = self.used(shop).await?;
        if used > quota {
            let target = cart_quota.target();
            used = self.shrink_largest_clients(shop, used, target).await?;
            if used > quota {
                used = used.saturating_sub(self.delete_oldest(shop, None, used.saturating_sub(target)).await?);
            }
            tracing::info!(%shop, quota, used, "the quota of carts was full; the least recently used bytes were deleted");
        }
        cart_quota.set_measured(shop.clone(), used);
        Ok(())
    }

    async fn used(self, shop: &ShopId) -> Result<u64, StoreError> {
        let (used,): (i64,) = sqlx::query_as(
            "select cast(coalesce(sum(size), 0) as bigint) from blobs where shop = $1 and order_id = ''",
        )
        .bind(shop.as_str())
        .fetch_one(self.store.pool())
        .await?;
        Ok(used.unsigned_abs())
    }

    /// Deletes bytes of the clients that store most, until the total is at most `target`. Returns the remaining total.
    async fn shrink_largest_clients(self, shop: &ShopId, used: u64, target: u64) -> Result<u64, StoreError> {
        let clients: Vec<(String, i64)> = sqlx::query_as(
            "select client_hash, cast(sum(size) as bigint) as needs_attention from blobs where shop = $1 and order_id = ''
             group by client_hash order by needs_attention desc limit $2",
        )
        .bind(shop.as_str())
        .bind(CLIENTS_PER_STEP)
        .fetch_all(self.store.pool())
        .await?;
        let held: Vec<u64> = clients.iter().map(|(_, held)| held.unsigned_abs()).collect();
        let level = level(&held, used.saturating_sub(target));
        let mut left = used;
        for ((client, _), held) in clients.iter().zip(held) {
            if held > level {
                left = left.saturating_sub(self.delete_oldest(shop, Some(client), held - level).await?);
            }
        }
        Ok(left)
    }

    /// Deletes the least recently used blobs: of one client all but the newest, or of all clients. Returns the number
    /// of bytes.
    async fn delete_oldest(self, shop: &ShopId, client: Option<&str>, bytes: u64) -> Result<u64, StoreError> {
        let mut taken = 0;
        while taken < bytes {
            // A configuration and its thumbnails were used at the same time.
            let oldest: Vec<(i64, i64)> = sqlx::query_as(
                "select created_at, size from blobs where shop = $1 and order_id = '' and (client_hash = $2 or $2 is null)
                 and ($2 is null or created_at < (
                     select max(created_at) from blobs where shop = $1 and order_id = '' and client_hash = $2))
                 order by created_at limit $3",
            )
            .bind(shop.as_str())
            .bind(client)
            .bind(BLOBS_PER_DELETE)
            .fetch_all(self.store.pool())
            .await?;
            let mut until = None;
            let mut sum = 0;
            for (used_at, size) in oldest {
                (until, sum) = (Some(used_at), sum + size.unsigned_abs());
                if taken + sum >= bytes {
                    break;
                }
            }
            let Some(until) = until else { return Ok(taken) };
            let gone: Vec<(i64,)> = sqlx::query_as(
                "delete from blobs where shop = $1 and order_id = '' and (client_hash = $2 or $2 is null)
                 and created_at <= $3 returning size",
            )
            .bind(shop.as_str())
            .bind(client)
            .bind(until)
            .fetch_all(self.store.pool())
            .await?;
            taken += gone.iter().map(|(size,)| size.unsigned_abs()).sum::<u64>();
        }
        Ok(taken)
    }
}

/// Returns the maximum number of bytes per client at which the reduced clients free `over` bytes together. `held` is in
/// descending order.
fn level(held: &[u64], over: u64) -> u64 {
    let mut sum = 0;
    for (index, own) in held.iter().enumerate() {
        sum += own;
        let next = held.get(index + 1).copied().unwrap_or(0);
        let count = index as u64 + 1;
        if sum - count * next >= over {
            return sum.saturating_sub(over) / count;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn those_who_hold_most_give_first_and_no_one_more_than_the_next() {
        assert_eq!(level(&[100, 10, 10], 50), 50);
        assert_eq!(level(&[100, 90, 10], 50), 70);
        assert_eq!(level(&[100, 90, 10], 180), 6);
        assert_eq!(level(&[5, 5], 100), 0);
        assert_eq!(level(&[], 1), 0);
    }
}
