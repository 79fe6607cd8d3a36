//! Shops, their accounts, and the links between their products and the vendors'.
//!
//! A shop's state is one immutable value behind one atomic pointer: a call takes it once and uses it to its end; a
//! change plans a new value and [publishes](crate::Cartwright::publish) it. A change therefore never waits for calls,
//! and no call sees half of a change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use cartwright_cart::shop::{Shop, StrategyChoice, Visitor, check_shop};
use cartwright_contract::clock::timestamp;
use cartwright_contract::endpoint::CheckedEndpoint;
use cartwright_contract::error::{SetupError, invalid};
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, Digest};
use cartwright_contract::records::{self, Context, Currency, NamedJson, Setting};
use cartwright_contract::settings::{Secrets, Settings};
use cartwright_engine::{CONTRACT, PluginVersion, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

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
    pub additional_vendor_products: Vec<String>,
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
    /// The webhook endpoints under these settings, see `Cartwright::checked_endpoints`.
    pub(crate) endpoints: OnceCell<Arc<[CheckedEndpoint]>>,
}

impl AccountVersion {
    pub(crate) fn new(plugin: Arc<PluginVersion>, settings: Settings) -> Self {
        Self { plugin, settings, scope: OnceLock::new(), endpoints: OnceCell::new() }
    }

    /// Returns the same version with its scope and its webhook endpoints recomputed, after the account changed.
    fn with_new_scope(&self) -> Arc<Self> {
        Arc::new(Self::new(self.plugin.clone(), self.settings.clone()))
    }
}

/// Returns all versions of an account with their scopes and webhook endpoints recomputed, after its secrets or grants
/// changed.
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
    #[allow(clippy::indexing_slicing, reason = "an account always contains the version that it runs")]
    pub(crate) fn version(&self) -> &Arc<AccountVersion> {
        &self.versions[&self.current]
    }
}

/// The set-up of a shop: the shop, its accounts and its product links. The value never changes.
///
/// [`Cartwright::shop_state`](crate::Cartwright::shop_state) returns the state that is served. Planning a change
/// returns another state and leaves the served one as it is; [`Cartwright::publish`](crate::Cartwright::publish) then
/// serves the planned state in place of the one that it was planned on.
#[derive(Clone)]
pub struct ShopState {
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

impl fmt::Debug for ShopState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopState").field("shop", &self.shop.id).finish_non_exhaustive()
    }
}

impl ShopState {
    /// Plans a new shop without accounts and product links.
    ///
    /// # Errors
    /// Returns [`SetupError::Invalid`] if a value is invalid.
    pub fn new(shop: Shop) -> Result<Self, SetupError> {
        check_shop(&shop)?;
        Ok(Self {
            shop: Arc::new(shop),
            accounts: BTreeMap::new(),
            links: BTreeMap::new(),
            replaced_links: BTreeMap::new(),
        })
    }

    /// Plans other settings of the shop. Its seal key, accounts and product links stay.
    ///
    /// # Errors
    /// Returns [`SetupError::Invalid`] if a value is invalid, or if an account or a product link has an amount of money in
    /// a currency that the shop would no longer sell in.
    pub fn with_shop(&self, shop: Shop) -> Result<Self, SetupError> {
        check_shop(&shop)?;
        self.check_money_settings(&shop)?;
        let shop = Shop { seal_key: self.shop.seal_key.clone(), ..shop };
        // A scope contains the shop's main currency.
        let with_new_scopes =
            |account: &Account| Account { versions: with_new_scope(&account.versions), ..account.clone() };
        let accounts =
            self.accounts.iter().map(|(id, account)| (id.clone(), Arc::new(with_new_scopes(account)))).collect();
        Ok(Self { shop: Arc::new(shop), accounts, ..self.clone() })
    }

    /// Checks that the settings of the accounts and of the current links are in the shop's currencies.
    fn check_money_settings(&self, shop: &Shop) -> Result<(), SetupError> {
        let currencies = shop.currencies.to_vec();
        let foreign = |account: &Account, own: &Settings| {
            let version = account.version();
            let issues = version.plugin.metadata().form.currency_issues(&version.settings, own, &currencies);
            issues.into_iter().next().map(|issue| issue.field)
        };
        let refused = |owner: String, field: String| {
            let text = format!(
                "The setting {field:?} of {owner} is an amount in another currency. Keep that currency until the setting is \
                 changed."
            );
            Err(invalid("currencies", text))
        };
        for account in self.accounts.values() {
            if let Some(field) = foreign(account, &Settings::new()) {
                return refused(format!("the account {}", account.id), field);
            }
        }
        for linked in self.links.values() {
            let owner = || format!("the link of the product {:?}", linked.link.shop_product);
            if let Some(field) = foreign(self.account(&linked.link.account)?, &linked.settings) {
                return refused(owner(), field);
            }
            if let Some(strategy_account) = &linked.link.strategy.account
                && let Some(field) = foreign(self.account(strategy_account)?, &linked.strategy_settings)
            {
                return refused(owner(), field);
            }
        }
        Ok(())
    }

    /// Plans the removal of a product link. It still serves the lines that were made with it.
    ///
    /// # Errors
    /// Returns [`SetupError::NotLinked`] if the product is not linked.
    pub fn without_link(&self, product: &str) -> Result<Self, SetupError> {
        let mut changed = self.clone();
        let old = changed.links.remove(product).ok_or_else(|| SetupError::NotLinked(product.to_owned()))?;
        changed.replaced_links.insert((product.to_owned(), old.link.account.clone()), old);
        Ok(changed)
    }

    /// Inserts a checked link into a state that is being planned. The product's link to another account becomes a
    /// replaced link.
    pub(crate) fn insert_link(&mut self, linked: CheckedLink) {
        let (product, account) = (linked.link.shop_product.clone(), linked.link.account.clone());
        self.replaced_links.remove(&(product.clone(), account.clone()));
        if let Some(old) = self.links.insert(product.clone(), Arc::new(linked))
            && old.link.account != account
        {
            self.replaced_links.insert((product, old.link.account.clone()), old);
        }
    }

    /// Returns the settings of the shop.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Returns the current link of a product.
    pub fn link(&self, product: &str) -> Option<&ProductLink> {
        self.links.get(product).map(|linked| &linked.link)
    }

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

    /// Converts to the contract's `product-link`.
    pub(crate) fn as_contract(&self) -> records::ProductLink {
        records::ProductLink {
            shop_product: self.link.shop_product.clone(),
            vendor_product: self.link.vendor_product.clone(),
            additional_vendor_products: self.link.additional_vendor_products.clone(),
            preset: self.link.preset.clone(),
            allowed_skus: self.link.allowed_skus.clone(),
            extra: Vec::new(),
        }
    }
}

/// Returns the context of a call: what a plugin receives about the shop. `visitor` is the shopper with the currency of the
/// cart, order or page; `None` in a call that is about none of these.
pub(crate) fn context(
    shop: &Shop,
    account: &Account,
    version: &AccountVersion,
    product: Option<&Settings>,
    visitor: Option<(&Visitor, &Currency)>,
) -> Context {
    let no_overrides = Settings::new();
    let settings: Vec<Setting> =
        version.plugin.metadata().form.effective(&version.settings, product.unwrap_or(&no_overrides), &account.secrets);
    let locale = visitor.and_then(|(visitor, _)| visitor.locale.clone());
    let (_, contract) = CONTRACT.rsplit_once('@').unwrap_or_default();
    Context {
        shop: shop.as_contract(),
        account: account.id.to_string(),
        visitor: visitor.map(|(visitor, currency)| visitor.as_contract(currency)),
        locale: locale.unwrap_or_else(|| shop.locale.clone()),
        now: timestamp(SystemTime::now()),
        settings,
        grants: account.grants.limited_to(&version.plugin.metadata().identity.grants).names(),
        extra: vec![NamedJson { name: "contract".to_owned(), json: format!("\"{contract}\"") }],
    }
}

#[cfg(test)]
mod tests {
    use cartwright_contract::settings::Secret;

    use super::*;

    fn link(account: &str) -> CheckedLink {
        let link = serde_json::json!({ "shop_product": "ring", "account": account, "vendor_product": "1001" });
        let (settings, strategy_settings) = (Settings::new(), Settings::new());
        CheckedLink { link: serde_json::from_value(link).unwrap(), settings, strategy_settings }
    }

    /// Returns the account of the ring's link, and those of its replaced links.
    fn accounts(state: &ShopState) -> (Option<&str>, Vec<&str>) {
        let current = state.link("ring").map(|link| link.account.as_str());
        (current, state.replaced_links.keys().map(|(_, account)| account.as_str()).collect())
    }

    #[test]
    fn a_link_is_replaced_by_a_link_to_another_account_and_by_no_link() {
        let key = Secret::new("a key of the tests, 32 bytes long");
        let mut state = ShopState::new(Shop::new("rings".parse().unwrap(), "EUR", 2, key)).unwrap();
        state.insert_link(link("expivi"));
        state.insert_link(link("expivi"));
        assert_eq!(accounts(&state), (Some("expivi"), vec![]));
        state.insert_link(link("twikit"));
        assert_eq!(accounts(&state), (Some("twikit"), vec!["expivi"]));
        state.insert_link(link("expivi"));
        assert_eq!(accounts(&state), (Some("expivi"), vec!["twikit"]));
        let without = state.without_link("ring").unwrap();
        assert_eq!(accounts(&without), (None, vec!["expivi", "twikit"]));
        assert_eq!(accounts(&state), (Some("expivi"), vec!["twikit"]), "a plan changes nothing");
        assert!(matches!(without.without_link("ring"), Err(SetupError::NotLinked(product)) if product == "ring"));
    }

    #[test]
    fn another_shop_keeps_the_seal_key() {
        let shop = |currency: &str, key: &str| Shop::new("rings".parse().unwrap(), currency, 2, Secret::new(key));
        let state = ShopState::new(shop("EUR", "a key of the tests, 32 bytes long")).unwrap();
        let changed = state.with_shop(shop("CHF", "another key of the tests, 32 bytes")).unwrap();
        assert_eq!(
            (state.shop().currencies.main().code.as_str(), changed.shop().currencies.main().code.as_str()),
            ("EUR", "CHF")
        );
        assert_eq!(changed.shop().seal_key.expose(), state.shop().seal_key.expose());
        assert!(matches!(
            state.with_shop(shop("euro", "another key of the tests, 32 bytes")),
            Err(SetupError::Invalid(_))
        ));
    }
}
