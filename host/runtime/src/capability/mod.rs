//! The capabilities of guests. Every guest gets the same imports. The hook decides which of them work
//! ([`Hook::capabilities`]), and the shop's grants decide what they reach. Each capability has its own file.
//!
//! [`Hook::capabilities`]: crate::Hook::capabilities

pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod egress;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod order_book;
pub(crate) mod outcomes;
mod reporting;
pub(crate) mod secrets;
pub(crate) mod timer;
pub(crate) mod token;
pub(crate) mod wasi;

use std::collections::BTreeMap;
use std::sync::Arc;

use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, PluginId, ShopId};
use cartwright_contract::platform::{Blobs, Catalog, OrderBook};
use cartwright_contract::settings::Secret;

use crate::observe::Observer;

/// The host's own services, shared by all guests.
pub(crate) struct Platform {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) order_book: Arc<dyn OrderBook>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) egress: egress::Egress,
    pub(crate) tokens: token::Tokens,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// A secret that a call may use.
pub(crate) struct GrantedSecret {
    pub(crate) value: Secret,
    /// The hosts that the secret may be sent to.
    pub(crate) hosts: Vec<String>,
    /// A host of the secret's field that the secret is not authorized for. Digests are refused then, because the guest
    /// might send them there.
    pub(crate) missing_host: Option<String>,
}

/// The shop and account of a call, and what it may reach.
pub(crate) struct Scope {
    pub(crate) platform: Arc<Platform>,
    /// Blob store of this call: the platform's, or the order's own.
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) plugin: PluginId,
    pub(crate) shop: ShopId,
    pub(crate) account: AccountId,
    pub(crate) currency: String,
    pub(crate) grants: Grants,
    /// The hosts that the plugin declares, with `setting:` resolved.
    pub(crate) declared_hosts: Vec<String>,
    /// The secrets that have a value.
    pub(crate) secrets: BTreeMap<String, GrantedSecret>,
}
