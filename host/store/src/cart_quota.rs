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

use cartwright::ShopId;

use crate::error::StoreError;
use crate::facades::StoredBlobs;

/// Maximum number of clients that are reduced in one step.
const CLIENTS_PER_STEP: i64 = 1000;
/// Maximum number of blobs that are deleted in one transaction, so that others can write in between.
const BLOBS_PER_DELETE: i64 = 50;

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
        let sizes: Vec<u64> = clients.iter().map(|(_, sizes)| sizes.unsigned_abs()).collect();
        let level = level(&sizes, used.saturating_sub(target));
        let mut left = used;
        for ((client, _), sizes) in clients.iter().zip(sizes) {
            if sizes > level {
                left = left.saturating_sub(self.delete_oldest(shop, Some(client), sizes - level).await?);
            }
        }
        Ok(left)
    }

    /// Deletes the least recently used blobs: of one client all but the newest, or of all clients. Returns the number
    /// of bytes.
    async fn delete_oldest(self, shop: &ShopId, client: Option<&str>, bytes: u64) -> Result<u64, StoreError> {
        let mut deleted = 0;
        while deleted < bytes {
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
                if deleted + sum >= bytes {
                    break;
                }
            }
            let Some(until) = until else { return Ok(deleted) };
            let deleted_rows: Vec<(i64,)> = sqlx::query_as(
                "delete from blobs where shop = $1 and order_id = '' and (client_hash = $2 or $2 is null)
                 and created_at <= $3 returning size",
            )
            .bind(shop.as_str())
            .bind(client)
            .bind(until)
            .fetch_all(self.store.pool())
            .await?;
            deleted += deleted_rows.iter().map(|(size,)| size.unsigned_abs()).sum::<u64>();
        }
        Ok(deleted)
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
