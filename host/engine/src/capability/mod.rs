//! What a guest can reach. Every guest gets the same imports; the hook decides which of them it may use
//! ([`Hook::capabilities`]), and what they reach follows the shop's grants. One capability, one file.
//!
//! [`Hook::capabilities`]: cartwright_contract::hook::Hook::capabilities

mod blobs;
pub(crate) mod body;
mod catalog;
pub(crate) mod http;
mod log;
mod order_book;
mod outcomes;
mod redaction;
mod reporting;
mod secrets;
mod timer;
mod token;
pub(crate) mod token_cache;
pub(crate) mod wasi;

use std::collections::BTreeMap;
use std::sync::Arc;

use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, PluginId, ShopId};
use cartwright_contract::platform::{Blobs, Catalog, OrderBook};
use cartwright_contract::settings::{Secret, SecretUse};

use crate::egress::Egress;
use crate::observe::Observer;

/// The host's own services, shared by all guests.
pub struct Platform {
    /// The platform's catalog.
    pub catalog: Arc<dyn Catalog>,
    /// The platform's orders.
    pub order_book: Arc<dyn OrderBook>,
    /// The blob store.
    pub blobs: Arc<dyn Blobs>,
    /// Sends the host's requests.
    pub egress: Egress,
    pub(crate) tokens: token_cache::Tokens,
    /// The observer of calls, log lines and requests.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A secret that a call may use.
pub struct GrantedSecret {
    /// The secret.
    pub value: Secret,
    /// The hosts that the secret may be sent to.
    pub hosts: Vec<String>,
    /// A host of the secret's field that the secret is not authorized for. Digests are refused then, because the guest
    /// might send them there.
    pub missing_host: Option<String>,
    /// What the field of the secret declares that it is for.
    pub uses: Vec<SecretUse>,
}

/// The shop and account that a call is for, and what it was granted.
pub struct Scope {
    /// What guests reach through the host.
    pub platform: Arc<Platform>,
    /// The blob store of this call: the platform's, or that of the order.
    pub blobs: Arc<dyn Blobs>,
    /// The plugin.
    pub plugin: PluginId,
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The shop's main currency: what the catalog is asked in when a call is about no cart, order or page.
    pub main_currency: String,
    /// What the operator granted the account.
    pub grants: Grants,
    /// The hosts that the plugin declares, with `setting:` resolved.
    pub declared_hosts: Vec<String>,
    /// The secrets that have a value, by the name of their field.
    pub secrets: BTreeMap<String, GrantedSecret>,
}
