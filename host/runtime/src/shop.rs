//! Shops, their accounts, and the links between their products and the vendors'.
//!
//! A shop's state is one immutable value behind one atomic pointer: a call takes it once and uses it to its end; a
//! change creates a new value and moves the pointer. A switch therefore never waits for calls, and no call sees half
//! of a change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use cartwright_cart::shop::{Shop, StrategyChoice, Visitor};
use cartwright_contract::error::SetupError;
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, Digest};
use cartwright_contract::records::{Association, Context, Setting};
use cartwright_contract::settings::{Secrets, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::capability::Scope;
use crate::plugin::PluginVersion;

/// Set-up of an account.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountSetup {
    /// Id of the account within the shop.
    pub id: AccountId,
    /// The settings and secrets that the merchant entered, by field name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::AnyObject))]
    pub settings: Map<String, Value>,
    /// Its grants.
    #[serde(default)]
    pub grants: Grants,
}

/// A link between a product of the shop and a vendor product, as it is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProductLink {
    /// The platform's product id.
    pub shop_product: String,
    /// The account.
    pub account: AccountId,
    /// The vendor's product id.
    pub vendor_product: String,
    /// Further vendor products that a configuration may contain.
    #[serde(default)]
    pub other_vendor_products: Vec<String>,
    /// Preset to start from.
    #[serde(default)]
    pub preset: Option<String>,
    /// The SKUs that a browser may choose among.
    #[serde(default)]
    pub allowed_skus: Vec<String>,
    /// Settings that this product overrides.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::AnyObject))]
    pub settings: Map<String, Value>,
    /// Which strategy plans the cart.
    #[serde(default)]
    pub strategy: StrategyChoice,
    /// Settings of another account's plugin that this product overrides, if that account's strategy plans.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = cartwright_contract::openapi::AnyObject))]
    pub strategy_settings: Map<String, Value>,
}

/// A version of a plugin with the settings in its form. Lines keep going to the version they are pinned to.
pub(crate) struct AccountVersion {
    pub(crate) plugin: Arc<PluginVersion>,
    pub(crate) settings: Settings,
    pub(crate) scope: OnceLock<Arc<Scope>>,
}

impl AccountVersion {
    pub(crate) fn new(plugin: Arc<PluginVersion>, settings: Settings) -> Self {
        Self { plugin, settings, scope: OnceLock::new() }
    }

    /// Returns the same version with its scope recomputed, after the account changed.
    fn with_new_scope(&self) -> Arc<Self> {
        Arc::new(Self::new(self.plugin.clone(), self.settings.clone()))
    }
}

/// Returns all versions of an account with their scopes recomputed, after its secrets or grants changed.
pub(crate) fn with_new_scope(
    versions: &BTreeMap<Digest, Arc<AccountVersion>>,
) -> BTreeMap<Digest, Arc<AccountVersion>> {
    versions.iter().map(|(digest, version)| (*digest, version.with_new_scope())).collect()
}

/// An account.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) current: Digest,
    pub(crate) versions: BTreeMap<Digest, Arc<AccountVersion>>,
    pub(crate) secrets: Secrets,
    pub(crate) grants: Grants,
    pub(crate) revision: u64,
}

impl Account {
    pub(crate) fn version(&self) -> &Arc<AccountVersion> {
        &self.versions[&self.current]
    }
}

/// Everything about a shop at one moment.
#[derive(Clone)]
pub(crate) struct ShopState {
    pub(crate) shop: Arc<Shop>,
    pub(crate) accounts: BTreeMap<AccountId, Arc<Account>>,
    pub(crate) links: BTreeMap<String, Arc<CheckedLink>>,
    /// Links that a vendor switch replaced, by product and account. They still serve the lines that were made with
    /// them.
    pub(crate) replaced_links: BTreeMap<(String, AccountId), Arc<CheckedLink>>,
}

/// A link whose settings were checked.
pub(crate) struct CheckedLink {
    pub(crate) link: ProductLink,
    pub(crate) settings: Settings,
    pub(crate) strategy_settings: Settings,
}

pub(crate) struct ShopSlot {
    pub(crate) state: ArcSwap<ShopState>,
    /// Lock that serializes changes. Calls never take it.
    pub(crate) change_lock: tokio::sync::Mutex<()>,
}

impl ShopState {
    pub(crate) fn account(&self, id: &AccountId) -> Result<&Arc<Account>, SetupError> {
        self.accounts.get(id).ok_or_else(|| SetupError::UnknownAccount(id.clone()))
    }

    pub(crate) fn linked(&self, product: &str) -> Result<&Arc<CheckedLink>, SetupError> {
        self.links.get(product).ok_or_else(|| SetupError::NotLinked(product.to_owned()))
    }
}

impl CheckedLink {
    /// Returns the settings that the product overrides of this account, whose strategy plans.
    pub(crate) fn settings_of(&self, strategy_account: &AccountId) -> Option<&Settings> {
        (self.link.strategy.account.as_ref() == Some(strategy_account)).then_some(&self.strategy_settings)
    }

    pub(crate) fn association(&self) -> Association {
        Association {
            shop_product: self.link.shop_product.clone(),
            vendor_product: self.link.vendor_product.clone(),
            other_vendor_products: self.link.other_vendor_products.clone(),
            preset: self.link.preset.clone(),
            allowed_skus: self.link.allowed_skus.clone(),
        }
    }
}

/// Returns the context of a call: what a plugin receives about the shop.
pub(crate) fn context(
    shop: &Shop,
    account: &Account,
    version: &AccountVersion,
    product: Option<&Settings>,
    visitor: &Visitor,
) -> Context {
    let none = Settings::new();
    let settings: Vec<Setting> =
        version.plugin.metadata().form.effective(&version.settings, product.unwrap_or(&none), &account.secrets);
    Context {
        shop: shop.id.to_string(),
        account: account.id.to_string(),
        locale: visitor.locale.clone().unwrap_or_else(|| shop.locale.clone()),
        currency: shop.currency.clone(),
        scale: shop.scale,
        country: visitor.country.clone(),
        customer_group: visitor.customer_group.clone(),
        prices_include_tax: shop.prices_include_tax,
        rounding: shop.rounding,
        at: now(),
        settings,
        settings_revision: account.revision,
        grants: account.grants.names(),
        extra: Vec::new(),
    }
}

/// Returns the current time as RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .round(jiff::Unit::Second)
        .map_or_else(|_| jiff::Timestamp::now().to_string(), |at| at.to_string())
}
