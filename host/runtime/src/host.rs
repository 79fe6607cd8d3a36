//! The host: one engine, the installed plugins, and the shops.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use cartwright_cart::price_cache::PriceCache;
use cartwright_cart::vendor_cache::VendorCache;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::{Blobs, Catalog, OrderBook};
use cartwright_contract::settings::Secret;
use cartwright_engine::health::{Health, Rules};
use cartwright_engine::{Engine, EngineOptions, Limits, Observer, Platform, PluginVersion, StartError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cart::{DecodeSlots, ResolvedConfiguration};
use crate::shop::ShopState;
use crate::work::BlockingWork;

/// The characters that are encoded in the parts of a reference.
const REFERENCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Settings of a host, created by [`Cartwright::builder`].
pub struct Builder {
    engine: EngineOptions,
    installation: String,
}

impl Builder {
    /// Sets the platform's catalog. Default: an empty catalog in memory.
    pub fn catalog(mut self, catalog: Arc<dyn Catalog>) -> Self {
        self.engine.catalog = catalog;
        self
    }

    /// Sets the platform's order book. Default: an empty order book in memory.
    pub fn order_book(mut self, order_book: Arc<dyn OrderBook>) -> Self {
        self.engine.order_book = order_book;
        self
    }

    /// Sets the blob store. Default: in memory.
    pub fn blobs(mut self, blobs: Arc<dyn Blobs>) -> Self {
        self.engine.blobs = blobs;
        self
    }

    /// Sets the limits of guest calls.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.limits = limits;
        self
    }

    /// Sets a cache folder for compiled components, which only this host may use. Default: no cache.
    pub fn cache(mut self, folder: impl AsRef<Path>) -> Self {
        self.engine.cache = Some(folder.as_ref().to_owned());
        self
    }

    /// Sets the name of this installation, the first part of every reference that vendors see. Default: "local".
    pub fn installation(mut self, name: impl Into<String>) -> Self {
        self.installation = name.into();
        self
    }

    /// Sets the secret that seeds the random numbers of durable hooks: 32 random bytes or more, the same on every node
    /// and after every restart. Otherwise a hook that uses random numbers cannot be replayed there. Default: a random
    /// secret for this process.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.engine.secret = Some(secret);
        self
    }

    /// Sets the rules of circuit breakers and rate limits. Each host of each shop counts separately. Default: the
    /// default rules.
    pub fn health(mut self, rules: Rules) -> Self {
        self.engine.health = rules;
        self
    }

    /// Sets the observer of guest calls, plugin log lines and requests to vendors. Default: none.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.engine.observer = Some(observer);
        self
    }

    /// Starts the host.
    ///
    /// # Errors
    /// Returns an error if the engine, the cache folder, the ticker thread or the random number generator is
    /// unavailable.
    pub fn start(self) -> Result<Cartwright, StartError> {
        Ok(Cartwright {
            engine: Engine::start(self.engine)?,
            installation: self.installation,
            work: BlockingWork::new(),
            prices: PriceCache::default(),
            resolved: VendorCache::default(),
            decoding: DecodeSlots::default(),
            plugins: RwLock::default(),
            shops: RwLock::default(),
            revoked: RwLock::default(),
        })
    }
}

/// A plugin host. Create one per process and share it by reference among all tasks.
pub struct Cartwright {
    engine: Engine,
    installation: String,
    work: BlockingWork,
    prices: PriceCache,
    resolved: VendorCache<ResolvedConfiguration>,
    decoding: DecodeSlots,
    plugins: RwLock<BTreeMap<Digest, Arc<PluginVersion>>>,
    shops: RwLock<BTreeMap<ShopId, Arc<ArcSwap<ShopState>>>>,
    revoked: RwLock<BTreeMap<Digest, Option<Digest>>>,
}

impl Cartwright {
    /// Returns a builder with everything in memory and the default limits.
    pub fn builder() -> Builder {
        Builder { engine: EngineOptions::default(), installation: "local".to_owned() }
    }

    /// Returns an installed plugin version.
    pub fn plugin(&self, digest: &Digest) -> Option<Arc<PluginVersion>> {
        read(&self.plugins).get(digest).cloned()
    }

    /// Returns all installed plugin versions.
    pub fn installed(&self) -> Vec<Arc<PluginVersion>> {
        read(&self.plugins).values().cloned().collect()
    }

    /// Returns the limits of guest calls.
    pub fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    /// Returns the stable reference of an order, or of one of its lines, as vendors see it:
    /// `installation:shop:order[:line]`.
    ///
    /// Different orders or lines never share a reference: every part is percent-encoded except for ASCII letters,
    /// digits, `-`, `.` and `_`, so that only the separators are colons. A plugin may append a suffix that begins with
    /// any other character.
    pub fn reference(&self, shop: &ShopId, order: &str, line: Option<&str>) -> String {
        let parts = [self.installation.as_str(), shop.as_str(), order].into_iter().chain(line);
        let encoded: Vec<String> = parts.map(|part| utf8_percent_encode(part, REFERENCE).to_string()).collect();
        encoded.join(":")
    }

    /// Returns the number of guest instances: one for each running call, none for what waits. `None` if the pool could
    /// not be reserved, because instances are not counted then.
    pub fn instances(&self) -> Option<u64> {
        self.engine.instances()
    }

    /// Returns the health of vendors' servers.
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

    pub(crate) fn resolved(&self) -> &VendorCache<ResolvedConfiguration> {
        &self.resolved
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

// A lock is poisoned only if another thread panicked while it held the lock; the maps above are always
// consistent.
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
