//! Large work of the host, executed on blocking threads: a bounded number at once, shared fairly among shops.
//!
//! Async workers stay free while a large configuration is hashed. Each shop has one slot in the queue, so a shop that
//! sends many large configurations waits for itself first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cartwright_contract::ids::ShopId;
use tokio::sync::Semaphore;

/// Slots for large work.
pub(crate) struct BlockingWork {
    slots: Arc<Semaphore>,
    /// The slot of each shop that has work now.
    shop_slots: Mutex<HashMap<ShopId, Weak<Semaphore>>>,
}

impl BlockingWork {
    /// Creates as many slots as the machine has cores.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { slots: Arc::new(Semaphore::new(cores)), shop_slots: Mutex::default() }
    }

    /// Executes work on a blocking thread when this shop has a slot. Returns `None` if the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        shop: &ShopId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphores are never closed.
        let shop_slot = self.shop_semaphore(shop).acquire_owned().await.ok()?;
        let slot = self.slots.clone().acquire_owned().await.ok()?;
        let work = move || {
            // The slots are held until the work ends, even if no call waits for the result any more.
            let _slots = (shop_slot, slot);
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn shop_semaphore(&self, shop: &ShopId) -> Arc<Semaphore> {
        // Each change is one call that does not panic midway.
        let mut shop_slots = self.shop_slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shop_slots.get(shop).and_then(Weak::upgrade) {
            return known;
        }
        shop_slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Semaphore::new(1));
        shop_slots.insert(shop.clone(), Arc::downgrade(&slot));
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_shop_with_much_work_leaves_slots_to_others() {
        let work = Arc::new(BlockingWork { slots: Arc::new(Semaphore::new(2)), shop_slots: Mutex::default() });
        let (busy, other): (ShopId, ShopId) = ("busy".parse().unwrap(), "other".parse().unwrap());
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let mut running = Vec::new();
        for _ in 0..5 {
            let (work, busy, ended) = (work.clone(), busy.clone(), ended.clone());
            running.push(tokio::spawn(async move { work.run(&busy, move || ended.lock().unwrap().recv()).await }));
        }
        let other_result = tokio::time::timeout(Duration::from_secs(5), work.run(&other, || 7)).await;
        assert_eq!(other_result, Ok(Some(7)));
        drop(end);
        for one in running {
            assert!(one.await.unwrap().is_some());
        }
        assert_eq!(work.run(&busy, || panic!("it fails")).await, None::<()>);
        work.run(&other, || ()).await;
        assert_eq!(work.shop_slots.lock().unwrap().len(), 1, "slots of shops without work are kept");
    }
}
