//! The demo's database: a file in a temporary folder.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use cartwright::{Builder, Cartwright, Secret, ShopId};
use cartwright_service::source;
use cartwright_store::{Keyring, Store};
use tempfile::TempDir;

use super::shops::random_key;

pub(crate) struct StoredDemo {
    pub(crate) store: Store,
    /// The URL of the store.
    pub(crate) url: String,
    /// The key of the store, as hexadecimal digits.
    pub(crate) key: String,
    /// The secret of every host on this store, as hexadecimal digits.
    pub(crate) secret: String,
    folder: TempDir,
}

/// Returns a builder of a host on a store, with what all its nodes share.
pub(crate) fn builder(store: &Store, secret: &str) -> Builder {
    let (orders, blobs) = (Arc::new(store.clone()), Arc::new(store.clone()));
    let builder =
        Cartwright::builder().order_book(orders).blobs(blobs).installation("demo").secret(Secret::new(secret));
    match source::cache() {
        Some(cache) => builder.cache(cache),
        None => builder,
    }
}

impl StoredDemo {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let url = format!("sqlite:{}", folder.path().join("demo.db").display());
        let key = random_key()?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&key, &mut bytes)?;
        let store = Store::open(&url, Keyring::new(bytes)).await?;
        Ok(Self { store, url, key, secret: random_key()?, folder })
    }

    /// Stores a shop in its current state on the host, with the components that it runs.
    pub(crate) async fn keep(&self, host: &Cartwright, shop: &ShopId) -> anyhow::Result<()> {
        let now = SystemTime::now();
        let snapshot = host.snapshot(shop)?;
        self.store.shops().save_shop(&snapshot.shop, now).await?;
        for account in &snapshot.accounts {
            let plugin = host.current_version(shop, &account.id)?;
            let bytes = source::bytes(plugin.id().as_str())?;
            self.store.components().save(plugin.id(), &plugin.metadata().identity.version, &bytes, now).await?;
            self.store.shops().save_account(shop, account, now).await?;
        }
        self.store.shops().save_links(shop, &snapshot.links, now).await?;
        Ok(())
    }

    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        self.store.close().await;
        self.folder.close().context("cannot remove the demo's folder")
    }
}
