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
    permits: Arc<Semaphore>,
    /// The slot of each shop that has work now.
    shops: Mutex<HashMap<ShopId, Weak<Semaphore>>>,
}

impl BlockingWork {
    /// Creates as many slots as the machine has cores.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { permits: Arc::new(Semaphore::new(cores)), shops: Mutex::default() }
    }

    /// Executes work on a blocking thread when it is this shop's turn. Returns `None` if the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        shop: &ShopId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphores are never closed.
        let shop_permit = self.shop_semaphore(shop).acquire_owned().await.ok()?;
        let place = self.permits.clone().acquire_owned().await.ok()?;
        let work = move || {
            // The slots are held until the work ends, even if no call waits for the result any more.
            let _places = (shop_permit, place);
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn shop_semaphore(&self, shop: &ShopId) -> Arc<Semaphore> {
        // Each change is one call that does not panic midway.
        let mut shops = self.shops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shops.get(shop).and_then(Weak::upgrade) {
            return known;
        }
        shops.retain(|_, place| place.strong_count() > 0);
        let place = Arc::new(Semaphore::new(1));
        shops.insert(shop.clone(), Arc::downgrade(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_shop_with_much_work_leaves_places_to_others() {
        let work = Arc::new(BlockingWork { permits: Arc::new(Semaphore::new(2)), shops: Mutex::default() });
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
        assert_eq!(work.shops.lock().unwrap().len(), 1, "places of shops without work are kept");
    }
}
