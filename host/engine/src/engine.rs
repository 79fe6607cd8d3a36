//! The engine: everything that a guest call needs besides the plugin and its arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cartwright_contract::platform::{Blobs, Catalog, MemoryBlobs, MemoryCatalog, MemoryOrderBook, OrderBook};
use cartwright_contract::settings::Secret;
use wasmtime::component::Linker;

use crate::capability::token_cache::Tokens;
use crate::capability::{self, Platform};
use crate::config::wasmtime_engine;
use crate::egress::Egress;
use crate::health::{Health, Rules};
use crate::limits::Limits;
use crate::observe::Observer;
use crate::slots::Slots;
use crate::state::GuestState;
use crate::ticker::Ticker;

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

/// Options of an [`Engine`]. By default everything is in memory, with the default limits.
pub struct EngineOptions {
    /// The platform's catalog.
    pub catalog: Arc<dyn Catalog>,
    /// The platform's orders.
    pub order_book: Arc<dyn OrderBook>,
    /// The blob store.
    pub blobs: Arc<dyn Blobs>,
    /// Limits of each call.
    pub limits: Limits,
    /// A cache folder for compiled components, which only this engine may use. `None` for no cache.
    pub cache: Option<PathBuf>,
    /// The secret that seeds the random numbers of durable hooks. `None` for a random secret for this process.
    pub secret: Option<Secret>,
    /// Rules for the requests to vendors' servers.
    pub health: Rules,
    /// The observer of calls, log lines and requests.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            catalog: Arc::new(MemoryCatalog::default()),
            order_book: Arc::new(MemoryOrderBook::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            limits: Limits::default(),
            cache: None,
            secret: None,
            health: Rules::default(),
            observer: None,
        }
    }
}

/// Compiles plugins and calls them within limits. It has a method for each function that the contract exports.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<GuestState>,
    ticker: Ticker,
    limits: Limits,
    cache: Option<Dir>,
    compiling: tokio::sync::Mutex<()>,
    slots: Slots,
    secret: Secret,
    platform: Arc<Platform>,
}

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// If wasmtime, the cache folder, the ticker thread or random numbers are not available.
    pub fn start(options: EngineOptions) -> Result<Self, StartError> {
        let EngineOptions { catalog, order_book, blobs, limits, cache, secret, health, observer } = options;
        let engine_error = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let wasmtime = wasmtime_engine(&limits).map_err(engine_error)?;
        let mut linker = Linker::new(&wasmtime);
        capability::wasi::link(&mut linker).map_err(engine_error)?;
        crate::bindings::link(&mut linker).map_err(engine_error)?;
        let cache = match cache {
            Some(path) => {
                let unusable = |error| StartError::Cache { path: path.display().to_string(), error };
                Dir::create_ambient_dir_all(&path, ambient_authority()).map_err(unusable)?;
                warn_if_writable_by_others(&path);
                Some(Dir::open_ambient_dir(&path, ambient_authority()).map_err(unusable)?)
            }
            None => None,
        };
        let secret = match secret {
            Some(secret) => secret,
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|error| StartError::Random(error.to_string()))?;
                Secret::new(hex::encode(random))
            }
        };
        let egress = Egress::new(Health::new(health));
        Ok(Self {
            ticker: Ticker::start(&wasmtime).map_err(StartError::Ticker)?,
            wasmtime,
            linker,
            limits,
            cache,
            compiling: tokio::sync::Mutex::new(()),
            slots: Slots::new(),
            secret,
            platform: Arc::new(Platform { catalog, order_book, blobs, egress, tokens: Tokens::default(), observer }),
        })
    }

    /// Returns the limits of each call.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns what guests reach through the host.
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// Returns the current number of guest instances: one for each running call, none for calls that wait. `None` if
    /// the pool could not be reserved, because instances are not counted then.
    pub fn instances(&self) -> Option<u64> {
        self.wasmtime.pooling_allocator_metrics().map(|pool| pool.component_instances())
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
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

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
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
fn warn_if_writable_by_others(_: &Path) {}
