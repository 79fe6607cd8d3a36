//! The state of the shops' server: the shops, and the data of their shoppers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::line::Line;
use super::order::Order;
use super::profile::Shop;

/// The state of the shops' server.
#[derive(Clone)]
pub(crate) struct Platform(Arc<ShopState>);

/// The data of each shopper, by shop and shopper.
type ShopperStore = HashMap<(String, String), Arc<tokio::sync::Mutex<ShopperData>>>;

struct ShopState {
    shops: Vec<Shop>,
    shoppers: Mutex<ShopperStore>,
    /// The last number given to an order or a quote.
    last_number: AtomicU64,
}

impl Platform {
    pub(super) fn new(shops: Vec<Shop>) -> Self {
        Self(Arc::new(ShopState { shops, shoppers: Mutex::default(), last_number: AtomicU64::new(1000) }))
    }

    pub(super) fn next_number(&self) -> u64 {
        self.0.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn shops(&self) -> &[Shop] {
        &self.0.shops
    }

    /// Locks the data of a shopper in a shop.
    pub(super) async fn shopper_data(&self, shop: &Shop, shopper: &str) -> OwnedMutexGuard<ShopperData> {
        let data = {
            let mut shoppers = self.0.shoppers.lock().unwrap_or_else(PoisonError::into_inner);
            shoppers.entry((shop.id.to_owned(), shopper.to_owned())).or_default().clone()
        };
        data.lock_owned().await
    }
}

/// The data of a shopper in a shop.
#[derive(Default)]
pub(super) struct ShopperData {
    pub(super) cart: Vec<Line>,
    /// The requested quotes, by the ids that the shop gave them.
    pub(super) quotes: Vec<String>,
    pub(super) orders: Vec<Order>,
}

impl ShopperData {
    pub(super) fn order_mut(&mut self, id: &str) -> Option<&mut Order> {
        self.orders.iter_mut().find(|order| order.id == id)
    }
}
