//! The host: one engine, the installed plugins, and the shops.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cartwright_cart::price_memory::PriceCache;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::platform::{Blobs, Catalog, MemoryBlobs, MemoryCatalog, MemoryOrderBook, OrderBook};
use cartwright_contract::settings::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::capability::{Platform, egress, token};
use crate::cart::DecodeSlots;
use crate::engine::{Ticker, engine};
use crate::guest::GuestState;
use crate::health::{Health, Rules};
use crate::limits::Limits;
use crate::observe::Observer;
use crate::plugin::PluginVersion;
use crate::shop::ShopState;
use crate::slots::Slots;
use crate::work::BlockingWork;

/// The characters that are encoded in the parts of a reference.
const REFERENCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Why the host could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// wasmtime refused its configuration.
    #[error("the WebAssembly engine cannot be started: {0}")]
    Engine(String),
    /// The cache folder cannot be used.
    #[error("the cache folder {path} cannot be used: {error}")]
    Cache {
        /// The cache folder.
        path: String,
        /// The error of the file system.
        error: std::io::Error,
    },
    /// The system returned no random numbers.
    #[error("the system's random number generator failed: {0}")]
    Random(String),
    /// The thread that measures guest time cannot be started.
    #[error("the ticker thread cannot be started: {0}")]
    Ticker(std::io::Error),
}

/// Settings of a host, created by [`Cartwright::builder`].
pub struct Builder {
    catalog: Arc<dyn Catalog>,
    order_book: Arc<dyn OrderBook>,
    blobs: Arc<dyn Blobs>,
    limits: Limits,
    cache: Option<std::path::PathBuf>,
    installation: String,
    secret: Option<Secret>,
    health: Rules,
    observer: Option<Arc<dyn Observer>>,
}

impl Builder {
    /// Sets the platform's catalog. Default: an empty catalog in memory.
    pub fn catalog(mut self, catalog: Arc<dyn Catalog>) -> Self {
        self.catalog = catalog;
        self
    }

    /// Sets the platform's order book. Default: an empty order book in memory.
    pub fn order_book(mut self, order_book: Arc<dyn OrderBook>) -> Self {
        self.order_book = order_book;
        self
    }

    /// Sets the blob store. Default: in memory.
    pub fn blobs(mut self, blobs: Arc<dyn Blobs>) -> Self {
        self.blobs = blobs;
        self
    }

    /// Sets the limits of guest calls.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets a cache folder for compiled components, which only this host may use. Default: no cache.
    pub fn cache(mut self, folder: impl AsRef<Path>) -> Self {
        self.cache = Some(folder.as_ref().to_owned());
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
        self.secret = Some(secret);
        self
    }

    /// Sets the rules of circuit breakers and rate limits. Each host of each shop counts separately. Default: the
    /// default rules.
    pub fn health(mut self, rules: Rules) -> Self {
        self.health = rules;
        self
    }

    /// Sets the observer of guest calls, plugin log lines and requests to vendors. Default: none.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Starts the host.
    ///
    /// # Errors
    /// Returns an error if the engine, the cache folder, the ticker thread or the random number generator is
    /// unavailable.
    pub fn start(self) -> Result<Cartwright, StartError> {
        let engine_error = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let engine = engine(&self.limits).map_err(engine_error)?;
        let mut linker = Linker::new(&engine);
        crate::capability::wasi::link(&mut linker).map_err(engine_error)?;
        crate::bindings::link(&mut linker).map_err(engine_error)?;
        let cache = match self.cache {
            Some(path) => {
                let unusable = |error| StartError::Cache { path: path.display().to_string(), error };
                Dir::create_ambient_dir_all(&path, ambient_authority()).map_err(unusable)?;
                warn_if_writable_by_others(&path);
                Some(Dir::open_ambient_dir(&path, ambient_authority()).map_err(unusable)?)
            }
            None => None,
        };
        let secret = match self.secret {
            Some(secret) => secret,
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|error| StartError::Random(error.to_string()))?;
                Secret::new(hex::encode(random))
            }
        };
        Ok(Cartwright {
            secret,
            ticker: Ticker::start(&engine).map_err(StartError::Ticker)?,
            engine,
            linker,
            limits: self.limits,
            cache,
            installation: self.installation,
            compiling: tokio::sync::Mutex::new(()),
            slots: Arc::new(Slots::new()),
            work: BlockingWork::new(),
            platform: Arc::new(Platform {
                catalog: self.catalog,
                order_book: self.order_book,
                blobs: self.blobs,
                egress: egress::Egress::new(Health::new(self.health)),
                tokens: token::Tokens::default(),
                observer: self.observer,
            }),
            prices: PriceCache::default(),
            decoding: DecodeSlots::default(),
            plugins: RwLock::default(),
            shops: RwLock::default(),
            revoked: RwLock::default(),
        })
    }
}

/// Warns about a cache folder that other users can write, because its contents are executed unchecked.
#[cfg(unix)]
fn warn_if_writable_by_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o022 != 0 {
        tracing::error!(
            "the cache folder {} can be written by other users of this machine (mode {mode:04o}), who can thereby run code as this \
             host; run `chmod go-w {0}`",
            folder.display()
        );
    }
}

#[cfg(not(unix))]
fn warn_of_writers(_: &Path) {}

/// A plugin host. Create one per process and share it by reference among all tasks.
pub struct Cartwright {
    engine: Engine,
    linker: Linker<GuestState>,
    ticker: Ticker,
    limits: Limits,
    cache: Option<Dir>,
    installation: String,
    secret: Secret,
    compiling: tokio::sync::Mutex<()>,
    slots: Arc<Slots>,
    work: BlockingWork,
    platform: Arc<Platform>,
    prices: PriceCache,
    decoding: DecodeSlots,
    plugins: RwLock<BTreeMap<Digest, Arc<PluginVersion>>>,
    shops: RwLock<BTreeMap<ShopId, Arc<ArcSwap<ShopState>>>>,
    revoked: RwLock<BTreeMap<Digest, Option<Digest>>>,
}

impl Cartwright {
    /// Returns a builder with everything in memory and the default limits.
    pub fn builder() -> Builder {
        Builder {
            catalog: Arc::new(MemoryCatalog::default()),
            order_book: Arc::new(MemoryOrderBook::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            limits: Limits::default(),
            cache: None,
            installation: "local".to_owned(),
            secret: None,
            health: Rules::default(),
            observer: None,
        }
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
        &self.limits
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
        self.engine.pooling_allocator_metrics().map(|pool| pool.component_instances())
    }

    /// Returns the health of vendors' servers.
    pub fn health(&self) -> &Health {
        &self.platform.egress.health
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn linker(&self) -> &Linker<GuestState> {
        &self.linker
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    pub(crate) fn cache(&self) -> Option<&Dir> {
        self.cache.as_ref()
    }

    pub(crate) fn compiling(&self) -> &tokio::sync::Mutex<()> {
        &self.compiling
    }

    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    pub(crate) fn work(&self) -> &BlockingWork {
        &self.work
    }

    pub(crate) fn platform(&self) -> &Arc<Platform> {
        &self.platform
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

// A lock is poisoned only if another thread panicked while it held the lock; the maps above are consistent at every
// moment.
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
