//! Slots for decoding thumbnails, shared fairly among shops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cartwright_contract::ids::ShopId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of requests whose thumbnails are decoded at the same time. The limit per shop is lower, so that no
/// shop takes all slots.
const MAX_DECODES: usize = 4;
const MAX_DECODES_PER_SHOP: usize = 2;

/// Slots for decoding thumbnails.
pub(crate) struct DecodeSlots {
    all: Arc<Semaphore>,
    by_shop: Mutex<HashMap<ShopId, Arc<Semaphore>>>,
}

impl Default for DecodeSlots {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_DECODES)), by_shop: Mutex::default() }
    }
}

impl DecodeSlots {
    /// Waits for a slot, which is held until the permits are dropped. It never returns `None`, because the semaphores
    /// are never closed.
    pub(super) async fn take(&self, shop: &ShopId) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let semaphore = {
            let mut by_shop = self.by_shop.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(MAX_DECODES_PER_SHOP));
            by_shop.entry(shop.clone()).or_insert_with(new).clone()
        };
        let semaphore = semaphore.acquire_owned().await.ok()?;
        Some((semaphore, self.all.clone().acquire_owned().await.ok()?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_shop_cannot_take_all_slots() {
        let slots = DecodeSlots::default();
        let (one, other): (ShopId, ShopId) = ("one".parse().expect("an id"), "other".parse().expect("an id"));
        let permits = [slots.take(&one).await, slots.take(&one).await];
        assert!(permits.iter().all(Option::is_some));
        let third = tokio::time::timeout(Duration::from_millis(10), slots.take(&one)).await;
        assert!(third.is_err(), "a third slot of one shop");
        assert!(slots.take(&other).await.is_some());
    }
}
