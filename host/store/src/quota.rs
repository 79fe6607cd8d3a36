//! How much carts may leave in the database: a quota for each shop over the bytes that no order owns, which are configurations, their
//! pictures and answers of vendors to shoppers.
//!
//! When a shop's quota is full, what was used longest ago goes. Not of everybody: the client that holds most gives first, down to what
//! the next one holds, and so on, so that who fills a shop's quota takes it from nobody else; and of each client what was stored last
//! stays, because the line that was sealed over it just now needs it. Only where this is not enough, because there are more
//! clients than the quota has room for, the oldest of all go. A client is a visitor's address, or the id that the platform names;
//! visitors of whom the platform says nothing share.
//!
//! An order's copies are its own, and go with it alone: they do not count here and are never taken.
//!
//! Each node counts what it writes, and asks the database when that may be too much or was a sixteenth of the quota; so the database
//! adds up seldom. Several nodes may write a little more than the quota together. The quota of webhooks is counted in the same way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cartwright::ShopId;

use crate::error::StoreError;
use crate::facades::StoredBlobs;

/// Bytes of each shop that no order owns, unless [`StoredBlobs::set_cart_quota`] says otherwise: 1 GiB.
pub const DEFAULT_CART_QUOTA_BYTES: u64 = 1 << 30;
/// When the quota was full, this much of it is left: nine tenths. Else every cart would make room for the next.
const QUOTA_TARGET_TENTHS: u64 = 9;
/// Maximum number of clients that give room in one step.
const CLIENTS_PER_STEP: i64 = 1000;
/// Maximum number of blobs that are deleted in one transaction: others write in between.
const BLOBS_PER_DELETE: i64 = 50;

/// A quota of bytes for each key, and what this node knows of what is used.
#[derive(Debug)]
pub(crate) struct Quota<K> {
    bytes: AtomicU64,
    usage: Mutex<HashMap<K, Usage>>,
    /// One task of a node makes room at a time.
    pub(crate) making_room: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    measured: u64,
    written: u64,
}

impl<K: Eq + Hash> Quota<K> {
    /// A quota of this many bytes for each key.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), usage: Mutex::default(), making_room: tokio::sync::Mutex::default() }
    }

    /// Bytes of each key.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sets the bytes of each key.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that are left when the quota was full and room was made.
    pub(crate) fn target(&self) -> u64 {
        self.bytes() / 10 * QUOTA_TARGET_TENTHS
    }

    /// Counts what was written.
    pub(crate) fn add(&self, key: &K, written: u64) {
        if let Some(usage) = self.usage().get_mut(key) {
            usage.written = usage.written.saturating_add(written);
        }
    }

    /// Is it time to ask the database, when `more` bytes are to be written?
    pub(crate) fn must_measure(&self, key: &K, more: u64) -> bool {
        let Some(Usage { measured, written }) = self.usage().get(key).copied() else { return true };
        let (quota, written) = (self.bytes(), written.saturating_add(more));
        measured.saturating_add(written) > quota || written > quota / 16
    }

    /// Remembers how many bytes the database holds.
    pub(crate) fn set_measured(&self, key: K, measured: u64) {
        self.usage().insert(key, Usage { measured, written: 0 });
    }

    fn usage(&self) -> MutexGuard<'_, HashMap<K, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredBlobs<'_> {
    /// Sets how many bytes that no order owns are kept for each shop: configurations, their pictures, answers to shoppers. When they
    /// are more, those go that were used longest ago, of the visitors first who have most.
    pub fn set_cart_quota(self, bytes: u64) {
        self.store.cart_quota().set_bytes(bytes);
    }

    /// Makes room when a shop has written more than its quota.
    pub(crate) async fn enforce_quota(self, shop: &ShopId, written: u64) -> Result<(), StoreError> {
        let cart_quota = self.store.cart_quota();
        cart_quota.add(shop, written);
        if written == 0 || !cart_quota.must_measure(shop, 0) {
            return Ok(());
        }
        // Who makes room already counts what was written until now.
        let Ok(_making_room) = cart_quota.making_room.try_lock() else { return Ok(()) };
        let quota = cart_quota.bytes();
        let mut used = self.used(shop).await?;
        if used > quota {
            let target = cart_quota.target();
            used = self.shrink_largest_clients(shop, used, target).await?;
            if used > quota {
                used = used.saturating_sub(self.delete_oldest(shop, None, used.saturating_sub(target)).await?);
            }
            tracing::info!(%shop, quota, used, "the quota of carts was full; what was used longest ago is gone");
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

    /// Takes from the clients that hold most, until all together hold no more than `target`. Returns what is left.
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

    /// Deletes what was used longest ago, of a client all but the newest, or of all. Returns how many bytes that were.
    async fn delete_oldest(self, shop: &ShopId, client: Option<&str>, bytes: u64) -> Result<u64, StoreError> {
        let mut taken = 0;
        while taken < bytes {
            // A configuration and its pictures were used in the same moment.
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

/// The number of bytes that no client may hold more of, so that those who do give this many together. `held` is in descending order.
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
