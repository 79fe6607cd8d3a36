//! The state that all requests of a node share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use axum::extract::ConnectInfo;
use axum::http::Request;
use cartwright::webhook::WebhookToken;
use cartwright::{Cartwright, Clock, Secret};
use cartwright_store::{Installation, Store};
use ipnet::IpNet;

use super::base_url::BaseUrl;
use super::body::BodyBudget;
use super::client_address::client_ip;
use super::limits::{LimitSettings, Limits};
use super::listen::Connections;
use super::observability::Observability;
use super::readiness::Readiness;

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
    bodies: Arc<BodyBudget>,
    connections: Arc<Connections>,
    is_draining: AtomicBool,
    readiness: Readiness,
}

impl Node {
    /// Creates a node. `public_url` is the public URL of the installation, and `admin_url` that of its admin pages;
    /// `proxies` are trusted to name the client; `observability` receives the statistics of guest calls.
    pub fn new(
        installation: Installation,
        clock: Arc<dyn Clock>,
        public_url: BaseUrl,
        admin_url: BaseUrl,
        proxies: Vec<IpNet>,
        observability: Arc<Observability>,
        limits: LimitSettings,
    ) -> Self {
        let connections = Arc::new(Connections::from_settings(&limits, proxies.clone()));
        Self(Arc::new(Inner {
            installation,
            clock,
            public_url,
            admin_url,
            proxies,
            observability,
            limits: Limits::new(limits),
            bodies: Arc::new(BodyBudget::from_settings(&limits)),
            connections,
            is_draining: AtomicBool::new(false),
            readiness: Readiness::default(),
        }))
    }

    /// Returns the installation that the node belongs to.
    pub fn installation(&self) -> &Installation {
        &self.0.installation
    }

    /// Returns the host of the installation's plugins.
    pub fn host(&self) -> &Arc<Cartwright> {
        self.0.installation.host()
    }

    /// Returns the installation's store.
    pub fn store(&self) -> &Store {
        self.0.installation.store()
    }

    /// Returns the time by the node's clock.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Returns the node's metrics, call statistics and plugin logs.
    pub fn observability(&self) -> &Observability {
        &self.0.observability
    }

    /// Returns the IP address of a request's client: the last one in the forwarding header that no trusted proxy added.
    pub fn client_ip<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        client_ip(peer.ip(), request.headers(), &self.0.proxies)
    }

    /// Returns the limits of requests and failed attempts.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Returns the memory budget of bodies.
    pub(crate) fn bodies(&self) -> &Arc<BodyBudget> {
        &self.0.bodies
    }

    /// Returns the open connections.
    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.0.connections
    }

    /// Begins to drain the node: from now on it reports that it is not ready.
    pub(crate) fn start_draining(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    /// Returns whether the node drains.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }

    /// Returns the cached readiness of the node.
    pub(super) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Returns the absolute URL of one of the host's own paths, for vendors and platforms.
    pub fn public_url(&self, path: &str) -> String {
        self.0.public_url.absolute(path)
    }

    /// Returns the URL that a vendor sends webhooks to. It cannot be read again.
    pub fn webhook_url(&self, token: &WebhookToken) -> String {
        self.public_url(&format!("webhooks/{}", *token.reveal()))
    }

    /// Returns the URL of a webhook as its vendor was given it, with the query of the request. `address` is the token.
    pub(crate) fn received_webhook_url(&self, address: &str, query: Option<&str>) -> Secret {
        let url = self.public_url(&format!("webhooks/{address}"));
        Secret::new(match query {
            Some(query) => format!("{url}?{query}"),
            None => url,
        })
    }

    /// Returns the public URL of the admin pages.
    pub fn admin_url(&self) -> &BaseUrl {
        &self.0.admin_url
    }
}
