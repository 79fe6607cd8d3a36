//! Slots for guest calls. Some slots of the pool are reserved for webhook queries, because a vendor that asks while its
//! own order request is in flight must be answered however busy the host is. No shop can take all slots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cartwright_contract::ids::ShopId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::config::MAX_CONCURRENT_CALLS;

/// Number of slots that are reserved for webhook queries. A query takes milliseconds, so this serves thousands per
/// second.
pub const RESERVED_QUERY_SLOTS: u32 = 16;

/// Maximum number of slots that one shop may hold, without those for webhook queries: three quarters of them.
pub const SLOTS_PER_SHOP: u32 = (MAX_CONCURRENT_CALLS - RESERVED_QUERY_SLOTS) / 4 * 3;

/// The kind of a call that needs a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// A call that can wait or be retried.
    Call,
    /// A webhook query, which must be answered at once.
    Query,
}

/// The slots of a host.
pub(crate) struct Slots {
    common: Semaphore,
    queries: Semaphore,
    per_shop: u32,
    by_shop: Mutex<HashMap<ShopId, Arc<Semaphore>>>,
}

/// A slot, released when dropped.
pub(crate) struct Slot<'a> {
    _permit: SemaphorePermit<'a>,
    _shop_permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self::of(MAX_CONCURRENT_CALLS - RESERVED_QUERY_SLOTS, RESERVED_QUERY_SLOTS, SLOTS_PER_SHOP)
    }

    fn of(common: u32, queries: u32, per_shop: u32) -> Self {
        Self {
            common: Semaphore::new(common as usize),
            queries: Semaphore::new(queries as usize),
            per_shop,
            by_shop: Mutex::default(),
        }
    }

    /// Waits for a slot. Returns `None` if none became free in time. The shop is `None` while a plugin is installed.
    pub(crate) async fn acquire(
        &self,
        slot_kind: SlotKind,
        shop: Option<&ShopId>,
        max_wait: Duration,
    ) -> Option<Slot<'_>> {
        let free = async {
            match slot_kind {
                SlotKind::Call => {
                    // A shop that uses its share waits here, and not ahead of other shops.
                    let _shop_permit = match shop {
                        Some(shop) => Some(self.shop_semaphore(shop).acquire_owned().await?),
                        None => None,
                    };
                    Ok::<_, AcquireError>(Slot { _permit: self.common.acquire().await?, _shop_permit })
                }
                // Queries beyond the reserved slots compete with all other calls.
                SlotKind::Query => {
                    let permit = tokio::select! {
                        biased;
                        permit = self.queries.acquire() => permit,
                        permit = self.common.acquire() => permit,
                    };
                    permit.map(|_permit| Slot { _permit, _shop_permit: None })
                }
            }
        };
        // The semaphores are never closed.
        timeout(max_wait, free).await.ok()?.ok()
    }

    fn shop_semaphore(&self, shop: &ShopId) -> Arc<Semaphore> {
        let mut by_shop = self.by_shop.lock().unwrap_or_else(PoisonError::into_inner);
        match by_shop.get(shop) {
            Some(semaphore) => semaphore.clone(),
            None => {
                let semaphore = Arc::new(Semaphore::new(self.per_shop as usize));
                by_shop.insert(shop.clone(), semaphore.clone());
                semaphore
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_question_has_a_place_when_all_others_are_taken() {
        let slots = Slots::of(2, 1, 2);
        let busy_slots =
            [slots.acquire(SlotKind::Call, None, TIMEOUT).await, slots.acquire(SlotKind::Call, None, TIMEOUT).await];
        assert!(busy_slots.iter().all(Option::is_some));
        assert!(slots.acquire(SlotKind::Call, None, TIMEOUT).await.is_none());
        let query = slots.acquire(SlotKind::Query, None, TIMEOUT).await;
        assert!(query.is_some());
        assert!(slots.acquire(SlotKind::Query, None, TIMEOUT).await.is_none());
        drop(query);
        assert!(slots.acquire(SlotKind::Call, None, TIMEOUT).await.is_none(), "a call took a query's slot");
    }

    #[tokio::test]
    async fn more_questions_than_were_reserved_for_use_free_places() {
        let slots = Slots::of(1, 1, 1);
        let both =
            [slots.acquire(SlotKind::Query, None, TIMEOUT).await, slots.acquire(SlotKind::Query, None, TIMEOUT).await];
        assert!(both.iter().all(Option::is_some));
        drop(both);
        assert!(slots.acquire(SlotKind::Call, None, TIMEOUT).await.is_some());
    }

    #[tokio::test]
    async fn a_waiting_call_gets_the_slot_that_becomes_free() {
        let slots = Slots::of(1, 1, 1);
        let first = slots.acquire(SlotKind::Call, None, TIMEOUT).await;
        let second = slots.acquire(SlotKind::Call, None, Duration::from_secs(5));
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_some());
    }

    #[tokio::test]
    async fn a_shop_does_not_take_all_places() {
        let slots = Slots::of(3, 1, 2);
        let (one, other): (ShopId, ShopId) = ("one".parse().expect("an id"), "other".parse().expect("an id"));
        let busy_slots = [
            slots.acquire(SlotKind::Call, Some(&one), TIMEOUT).await,
            slots.acquire(SlotKind::Call, Some(&one), TIMEOUT).await,
        ];
        assert!(busy_slots.iter().all(Option::is_some));
        assert!(slots.acquire(SlotKind::Call, Some(&one), TIMEOUT).await.is_none(), "a third slot of one shop");
        let query = slots.acquire(SlotKind::Query, Some(&one), TIMEOUT).await;
        assert!(query.is_some(), "queries have reserved slots");
        assert!(slots.acquire(SlotKind::Call, Some(&other), TIMEOUT).await.is_some());
    }
}
