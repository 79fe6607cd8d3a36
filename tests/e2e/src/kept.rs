//! Shops that are kept in a database, for nodes of their own process.

use std::time::SystemTime;

use cartwright::{Cartwright, Secret, ShopId};
use cartwright_store::Store;

/// The tests' key of stores.
pub const KEY: [u8; 32] = [7; 32];

/// The tests' secret of hosts: each node has the same.
pub fn host_secret() -> Secret {
    Secret::new("a host's secret of the tests, 32 bytes at least")
}

/// Keeps a shop as a host has it, with the components that it runs.
///
/// # Panics
/// When it cannot be kept.
pub async fn keep(store: &Store, host: &Cartwright, shop: &ShopId, components: &[&[u8]]) {
    let now = SystemTime::now();
    for bytes in components {
        let plugin = host.install(bytes, None).await.expect("a component");
        store.save_component(plugin.id(), &plugin.about().identity.version, bytes, now).await.expect("kept");
    }
    let snapshot = host.snapshot(shop).expect("the shop");
    store.save_shop(&snapshot.shop, now).await.expect("kept");
    for account in &snapshot.accounts {
        store.save_account(shop, account, now).await.expect("kept");
    }
    store.save_links(shop, &snapshot.links, now).await.expect("kept");
}
