//! The database of the demo: a file in a folder that is removed at the end.

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
    /// The store's address.
    pub(crate) url: String,
    /// The store's key, as hexadecimal digits.
    pub(crate) key: String,
    /// The secret of every host on this store, as hexadecimal digits.
    pub(crate) secret: String,
    folder: TempDir,
}

/// A host on a store, with what each of its nodes has in common.
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
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let url = format!("sqlite:{}", folder.path().join("demo.db").display());
        let key = random_key()?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&key, &mut bytes)?;
        let store = Store::open(&url, Keyring::new(bytes)).await?;
        Ok(Self { store, url, key, secret: random_key()?, folder })
    }

    /// Keeps a shop as a host has it, with the components that it runs.
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
        self.folder.close().context("the demo's folder is not removed")
    }
}
