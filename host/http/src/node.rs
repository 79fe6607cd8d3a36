//! What every request has at hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use cartwright::{Cartwright, Clock};
use cartwright_store::{Installation, Store};
use ipnet::IpNet;

use super::base_url::BaseUrl;
use super::limits::Limits;
use super::observed::Observability;
use super::ready::Readiness;

/// A node of an installation. Cloning it is cheap.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    installation: Installation,
    clock: Arc<dyn Clock>,
    public_url: BaseUrl,
    admin_url: BaseUrl,
    proxies: Vec<IpNet>,
    observability: Arc<Observability>,
    limits: Limits,
    is_draining: AtomicBool,
    readiness: Readiness,
}

impl Node {
    /// `public_url` is what the outside calls this installation, and `admin_url` what browsers call its admin pages; `proxies` are
    /// believed when they say who asks; `observed` hears of the host's calls.
    pub fn new(
        installation: Installation,
        clock: Arc<dyn Clock>,
        public_url: BaseUrl,
        admin_url: BaseUrl,
        proxies: Vec<IpNet>,
        observability: Arc<Observability>,
        limits: Limits,
    ) -> Self {
        Self(Arc::new(Inner {
            installation,
            clock,
            public_url,
            admin_url,
            proxies,
            observability,
            limits,
            is_draining: AtomicBool::new(false),
            readiness: Readiness::default(),
        }))
    }

    /// The installation that the node is of.
    pub fn installation(&self) -> &Installation {
        &self.0.installation
    }

    /// The host of its plugins.
    pub fn host(&self) -> &Arc<Cartwright> {
        self.0.installation.host()
    }

    /// The installation's database.
    pub fn store(&self) -> &Store {
        self.0.installation.store()
    }

    /// The time by the node's clock.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// What this node has heard of itself.
    pub fn observability(&self) -> &Observability {
        &self.0.observability
    }

    pub(crate) fn proxies(&self) -> &[IpNet] {
        &self.0.proxies
    }

    /// How often somebody may ask, and guess.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// It was told to stop: from now on it says that it is not ready.
    pub(crate) fn start_draining(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    /// Was it told to stop?
    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }

    /// Whether it could serve when it was asked last.
    pub(super) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Returns the whole address of one of the host's own paths, for vendors and platforms.
    pub fn public_url(&self, path: &str) -> String {
        self.0.public_url.absolute(path)
    }

    /// Returns what browsers call the address of the admin pages.
    pub fn admin_url(&self) -> &BaseUrl {
        &self.0.admin_url
    }
}
