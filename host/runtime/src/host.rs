//! The host itself: one engine, the installed plugins, the shops.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use cartwright_cart::price_memory::PriceCache;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::{Blobs, Catalog, OrderBook};
use cartwright_contract::settings::Secret;
use cartwright_engine::health::{Health, Rules};
use cartwright_engine::{Engine, EngineOptions, Limits, Observer, Platform, PluginVersion, StartError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cart::DecodeSlots;
use crate::shop::ShopState;
use crate::work::BlockingWork;

/// What is encoded in the parts of a reference.
const REFERENCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// How a host is to be. Made by [`Cartwright::builder`].
pub struct Builder {
    engine: EngineOptions,
    installation: String,
}

impl Builder {
    /// The platform's catalogue. An empty one in memory otherwise.
    pub fn catalog(mut self, catalog: Arc<dyn Catalog>) -> Self {
        self.engine.catalog = catalog;
        self
    }

    /// The platform's orders. An empty book in memory otherwise.
    pub fn order_book(mut self, order_book: Arc<dyn OrderBook>) -> Self {
        self.engine.order_book = order_book;
        self
    }

    /// Where bytes are kept. In memory otherwise.
    pub fn blobs(mut self, blobs: Arc<dyn Blobs>) -> Self {
        self.engine.blobs = blobs;
        self
    }

    /// The limits of each call.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.limits = limits;
        self
    }

    /// A folder for compiled components, used by this host alone. Nothing is kept otherwise.
    pub fn cache(mut self, folder: impl AsRef<Path>) -> Self {
        self.engine.cache = Some(folder.as_ref().to_owned());
        self
    }

    /// The name of this installation, the first part of every reference that vendors see. "local" otherwise.
    pub fn installation(mut self, name: impl Into<String>) -> Self {
        self.installation = name.into();
        self
    }

    /// What the random numbers of durable hooks follow from, 32 random bytes or more: the same on every node and after every
    /// restart, or a hook that uses random numbers cannot be replayed there. One that holds until the process ends otherwise.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.engine.secret = Some(secret);
        self
    }

    /// When a vendor's server is left alone, and how fast it is asked; each shop's hosts count by themselves. The default rules
    /// otherwise.
    pub fn health(mut self, rules: Rules) -> Self {
        self.engine.health = rules;
        self
    }

    /// Who hears of each guest call, what guests log, and each request to a vendor. Nobody otherwise.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.engine.observer = Some(observer);
        self
    }

    /// Starts the host.
    ///
    /// # Errors
    /// When the engine, the cache folder, the ticker thread or randomness cannot be had.
    pub fn start(self) -> Result<Cartwright, StartError> {
        Ok(Cartwright {
            engine: Engine::start(self.engine)?,
            installation: self.installation,
            work: BlockingWork::new(),
            prices: PriceCache::default(),
            decoding: DecodeSlots::default(),
            plugins: RwLock::default(),
            shops: RwLock::default(),
            revoked: RwLock::default(),
        })
    }
}

/// A plugin host. One for each process; shared by reference between all tasks.
pub struct Cartwright {
    engine: Engine,
    installation: String,
    work: BlockingWork,
    prices: PriceCache,
    decoding: DecodeSlots,
    plugins: RwLock<BTreeMap<Digest, Arc<PluginVersion>>>,
    shops: RwLock<BTreeMap<ShopId, Arc<ArcSwap<ShopState>>>>,
    revoked: RwLock<BTreeMap<Digest, Option<Digest>>>,
}

impl Cartwright {
    /// Begins a host with everything in memory and the default limits.
    pub fn builder() -> Builder {
        Builder { engine: EngineOptions::default(), installation: "local".to_owned() }
    }

    /// An installed plugin.
    pub fn plugin(&self, digest: &Digest) -> Option<Arc<PluginVersion>> {
        read(&self.plugins).get(digest).cloned()
    }

    /// All installed plugins.
    pub fn installed(&self) -> Vec<Arc<PluginVersion>> {
        read(&self.plugins).values().cloned().collect()
    }

    /// The limits of each call.
    pub fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    /// The stable reference of an order, or of one of its lines, as vendors see it: `installation:shop:order[:line]`.
    ///
    /// Two orders or lines never have one reference: every part is percent-encoded but for ASCII letters, digits, `-`, `.` and `_`, so
    /// that only the separators are colons. A plugin may append what begins with any other character.
    pub fn reference(&self, shop: &ShopId, order: &str, line: Option<&str>) -> String {
        let parts = [self.installation.as_str(), shop.as_str(), order].into_iter().chain(line);
        let encoded: Vec<String> = parts.map(|part| utf8_percent_encode(part, REFERENCE).to_string()).collect();
        encoded.join(":")
    }

    /// How many guest instances there are at this moment: one for each call in a guest, none for what waits. `None` where the pool
    /// could not be reserved and nobody counts.
    pub fn instances(&self) -> Option<u64> {
        self.engine.instances()
    }

    /// How vendors' servers are doing.
    pub fn health(&self) -> &Health {
        &self.platform().egress.health
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn work(&self) -> &BlockingWork {
        &self.work
    }

    pub(crate) fn platform(&self) -> &Arc<Platform> {
        self.engine.platform()
    }

    pub(crate) fn prices(&self) -> &PriceCache {
        &self.prices
    }

    pub(crate) fn decoding(&self) -> &DecodeSlots {
        &self.decoding
    }

    pub(crate) fn plugins(&self) -> &RwLock<BTreeMap<Digest, Arc<PluginVersion>>> {
        &self.plugins
    }

    pub(crate) fn shops(&self) -> &RwLock<BTreeMap<ShopId, Arc<ArcSwap<ShopState>>>> {
        &self.shops
    }

    pub(crate) fn revoked(&self) -> &RwLock<BTreeMap<Digest, Option<Digest>>> {
        &self.revoked
    }
}

// A lock is only poisoned when another thread panicked while it held it; the maps above are whole at every moment.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_orders_or_lines_have_one_reference() {
        let host = Cartwright::builder().start().unwrap();
        let shop: ShopId = "shop".parse().unwrap();
        assert_eq!(host.reference(&shop, "7025", None), "local:shop:7025");
        assert_eq!(host.reference(&shop, "gid-1.a_B", Some("1")), "local:shop:gid-1.a_B:1");
        let ids = [
            "1", "1:1", "1:1:1", ":", "::", "%3A", "%", "%%", "1%3A1", "1 1", "1~1", "é", "e\u{301}", "#1", "1/1",
            "1\n",
        ];
        let references = ids.iter().flat_map(|order| {
            let lines = ids.iter().map(|line| Some(*line)).chain([None]);
            lines.map(|line| host.reference(&shop, order, line)).collect::<Vec<_>>()
        });
        let mut seen = std::collections::BTreeSet::new();
        for reference in references {
            assert!(
                reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte)),
                "{reference}"
            );
            assert!(seen.insert(reference.clone()), "{reference} stands for two");
        }
    }
}
