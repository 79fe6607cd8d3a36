//! What a guest can reach. Every guest gets the same imports; which of them answer follows the hook ([`Hook::capabilities`]), and
//! what they reach follows the shop's grants. One capability, one file.
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

/// What the host itself reaches on behalf of all guests.
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
    /// The hosts that it may be sent to.
    pub(crate) hosts: Vec<String>,
    /// A host of its field that it was not entered for: no digest is made that might go there.
    pub(crate) missing_host: Option<String>,
}

/// Which shop and account a call is for, and what it was granted.
pub(crate) struct Scope {
    pub(crate) platform: Arc<Platform>,
    /// Where this call's bytes are kept: the platform's place, or that of the order.
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) plugin: PluginId,
    pub(crate) shop: ShopId,
    pub(crate) account: AccountId,
    pub(crate) currency: String,
    pub(crate) grants: Grants,
    /// The hosts that the plugin declares, with `setting:` looked up.
    pub(crate) declared_hosts: Vec<String>,
    /// The secrets that have a value.
    pub(crate) secrets: BTreeMap<String, GrantedSecret>,
}
