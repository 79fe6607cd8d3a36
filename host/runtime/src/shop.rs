//! Shops, their vendor accounts, and the links between their products and the vendors'.
//!
//! A shop's state is one immutable value behind one atomic pointer: a call takes it once and works with it to its end, a change
//! makes a new value and moves the pointer. So a swap never waits for calls, and no call sees half a change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::capability::{Scope, egress};
use crate::contract::{Association, Context, FieldIssue, Rounding, Setting, SettingValue};
use crate::error::HookError;
use crate::grants::Grants;
use crate::guest::{CallOptions, Hook, call};
use crate::host::Cartwright;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::platform::{read, write};
use crate::plugin::Plugin;
use crate::settings::{Form, Secret, Secrets, Settings};

/// What a shop is like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// Its id.
    pub id: ShopId,
    /// The currency of its carts, ISO 4217 in capitals.
    pub currency: String,
    /// How many decimals its prices have.
    pub scale: u8,
    /// The language of its texts, BCP 47.
    #[serde(default = "english")]
    pub locale: String,
    /// Does it enter its prices with tax?
    #[serde(default)]
    pub prices_include_tax: bool,
    /// How it rounds.
    #[serde(default = "half_up")]
    pub rounding: Rounding,
    /// Signs its prices. At least 32 bytes, its own for each shop.
    pub seal_key: Secret,
    /// How long a sealed price holds, in seconds.
    #[serde(default = "one_day")]
    pub seal_seconds: u32,
    /// May a linked product be bought without a configuration?
    #[serde(default)]
    pub sell_unconfigured: bool,
}

fn english() -> String {
    "en".to_owned()
}

fn half_up() -> Rounding {
    Rounding::HalfUp
}

fn one_day() -> u32 {
    24 * 3600
}

/// A vendor account as it is set up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSetup {
    /// Its id within the shop.
    pub id: AccountId,
    /// The settings and secrets that the merchant entered, by field name.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What the operator grants it.
    #[serde(default)]
    pub grants: Grants,
}

/// Which strategy plans the cart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrategyChoice {
    /// The account of another plugin that plans; none = the vendor's own.
    pub account: Option<AccountId>,
    /// The strategy's name; none = what the account's setting `order-type` says, else the plugin's first.
    pub name: Option<String>,
}

/// A link between a product of the shop and one of a vendor, as it is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The platform's product id.
    pub shop_product: String,
    /// The vendor account.
    pub account: AccountId,
    /// The vendor's product id.
    pub vendor_product: String,
    /// Further vendor products that a configuration may contain.
    #[serde(default)]
    pub other_vendor_products: Vec<String>,
    /// A preset to start from.
    #[serde(default)]
    pub preset: Option<String>,
    /// The SKUs that a browser may choose among.
    #[serde(default)]
    pub allowed_skus: Vec<String>,
    /// Settings that this product overrides.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Which strategy plans the cart.
    #[serde(default)]
    pub strategy: StrategyChoice,
}

/// Why a shop could not be changed. The shop is as it was.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[serde(tag = "setup", content = "detail", rename_all = "kebab-case")]
pub enum SetupError {
    /// No such shop.
    #[error("there is no shop {0}")]
    NoShop(ShopId),
    /// No such account.
    #[error("the shop has no vendor account {0}")]
    NoAccount(AccountId),
    /// No such link.
    #[error("the product {0:?} is linked to no vendor product")]
    NoLink(String),
    /// No such plugin.
    #[error("no plugin with the digest {0} is installed")]
    NoPlugin(Digest),
    /// It is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// A version swap must stay with the same plugin.
    #[error("the account runs {current}, the component is {offered}; another vendor is set up as another account")]
    OtherPlugin {
        /// What runs.
        current: PluginId,
        /// What was offered.
        offered: PluginId,
    },
    /// Values are missing or wrong.
    #[error("{}", issues(.0))]
    Invalid(Vec<FieldIssue>),
    /// The plugin failed while it was asked.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A revoked version cannot be used.
    #[error("the version {0} is revoked")]
    Revoked(Digest),
}

fn issues(issues: &[FieldIssue]) -> String {
    let texts: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.field, issue.message.text)).collect();
    texts.join("; ")
}

fn invalid(field: &str, text: impl Into<String>) -> SetupError {
    SetupError::Invalid(vec![FieldIssue {
        field: field.to_owned(),
        message: crate::contract::Message { key: "setup-invalid".into(), parameters: vec![], text: text.into() },
        blocking: true,
    }])
}

/// A version of a plugin with the settings in its form. Lines keep going to the version they are pinned to.
pub(crate) struct AccountVersion {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) settings: Settings,
    scope: OnceLock<Arc<Scope>>,
}

impl AccountVersion {
    pub(crate) fn new(plugin: Arc<Plugin>, settings: Settings) -> Self {
        Self { plugin, settings, scope: OnceLock::new() }
    }

    /// The same version in a changed account: what it may reach is made anew.
    fn renewed(&self) -> Arc<Self> {
        Arc::new(Self::new(self.plugin.clone(), self.settings.clone()))
    }
}

/// All versions of an account whose secrets or grants changed.
pub(crate) fn renewed(versions: &BTreeMap<Digest, Arc<AccountVersion>>) -> BTreeMap<Digest, Arc<AccountVersion>> {
    versions.iter().map(|(digest, version)| (*digest, version.renewed())).collect()
}

/// A vendor account.
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
    pub(crate) links: BTreeMap<String, Arc<Linked>>,
    /// Links that a vendor swap replaced, by product and account: lines made with them are still served.
    pub(crate) past_links: BTreeMap<(String, AccountId), Arc<Linked>>,
}

/// A link whose settings were checked.
pub(crate) struct Linked {
    pub(crate) link: Link,
    pub(crate) settings: Settings,
}

pub(crate) struct ShopCell {
    pub(crate) state: ArcSwap<ShopState>,
    /// One change at a time; calls never take it.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl ShopState {
    pub(crate) fn account(&self, id: &AccountId) -> Result<&Arc<Account>, SetupError> {
        self.accounts.get(id).ok_or_else(|| SetupError::NoAccount(id.clone()))
    }

    pub(crate) fn linked(&self, product: &str) -> Result<&Arc<Linked>, SetupError> {
        self.links.get(product).ok_or_else(|| SetupError::NoLink(product.to_owned()))
    }
}

/// What a request says beyond the shop's own values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Visitor {
    /// The language; none = the shop's.
    pub locale: Option<String>,
    /// ISO 3166-1 alpha-2 code of the country that is delivered to.
    pub country: Option<String>,
    /// The customer group.
    pub customer_group: Option<String>,
}

impl Cartwright {
    /// Adds a shop.
    ///
    /// # Errors
    /// When it exists, or a value is wrong.
    pub fn add_shop(&self, shop: Shop) -> Result<(), SetupError> {
        if shop.currency.len() != 3 || !shop.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid("currency", "Use an ISO 4217 code in capitals, such as EUR."));
        }
        if shop.scale > 9 {
            return Err(invalid("scale", "Use 0 to 9 decimals."));
        }
        if shop.seal_key.expose().len() < 32 {
            return Err(invalid("seal_key", "Use at least 32 random bytes."));
        }
        let id = shop.id.clone();
        let state = ShopState {
            shop: Arc::new(shop),
            accounts: BTreeMap::new(),
            links: BTreeMap::new(),
            past_links: BTreeMap::new(),
        };
        match write(self.shops()).entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => {
                Err(SetupError::Exists(format!("the shop {}", entry.key())))
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                let cell = ShopCell { state: ArcSwap::from_pointee(state), changing: tokio::sync::Mutex::new(()) };
                entry.insert(Arc::new(cell));
                Ok(())
            }
        }
    }

    /// Sets up a vendor account, or changes one that runs the same version: settings are replaced whole, secrets that are not
    /// mentioned are kept. The plugin's own check runs on the result before it is taken.
    ///
    /// # Errors
    /// Every wrong field at once; the account is as it was.
    pub async fn set_account(&self, shop: &ShopId, plugin: Digest, setup: AccountSetup) -> Result<(), SetupError> {
        let cell = self.shop_cell(shop)?;
        let _changing = cell.changing.lock().await;
        let state = cell.state.load_full();
        let plugin = self.usable(&plugin)?;
        let old = state.accounts.get(&setup.id);
        if let Some(old) = old
            && old.current != plugin.digest()
        {
            return Err(SetupError::Exists(format!("the account {} with another version", setup.id)));
        }
        let kept = old.map(|old| old.secrets.clone()).unwrap_or_default();
        let (settings, secrets) = plugin.about().form.read(&setup.settings, &kept).map_err(SetupError::Invalid)?;
        let mut versions = old.map(|old| renewed(&old.versions)).unwrap_or_default();
        let current = plugin.digest();
        versions.insert(current, Arc::new(AccountVersion::new(plugin, settings)));
        let account = Account {
            id: setup.id.clone(),
            current,
            versions,
            secrets,
            grants: setup.grants,
            revision: old.map_or(1, |old| old.revision + 1),
        };
        self.validate(&state.shop, &account).await?;
        let mut changed = (*state).clone();
        changed.accounts.insert(setup.id, Arc::new(account));
        cell.state.store(Arc::new(changed));
        Ok(())
    }

    /// Links a product of the shop to a vendor's, or changes the link. Warnings of the plugin are returned.
    ///
    /// # Errors
    /// Every wrong field at once; the link is as it was.
    pub async fn link(&self, shop: &ShopId, link: Link) -> Result<Vec<FieldIssue>, SetupError> {
        let cell = self.shop_cell(shop)?;
        let _changing = cell.changing.lock().await;
        let state = cell.state.load_full();
        let (linked, warnings) = self.check_link(&state, link).await?;
        let mut changed = (*state).clone();
        changed.links.insert(linked.link.shop_product.clone(), Arc::new(linked));
        cell.state.store(Arc::new(changed));
        Ok(warnings)
    }

    /// Checks a link against the account's form and the plugin's own rules.
    pub(crate) async fn check_link(
        &self,
        state: &ShopState,
        link: Link,
    ) -> Result<(Linked, Vec<FieldIssue>), SetupError> {
        if link.shop_product.is_empty() || link.vendor_product.is_empty() {
            return Err(invalid("vendor_product", "Name a product of the shop and a product of the vendor."));
        }
        let account = state.account(&link.account)?;
        if let Some(strategy) = &link.strategy.account {
            state.account(strategy)?;
        }
        let version = account.version().clone();
        let form = &version.plugin.about().form;
        let settings = product_settings(form, &link.settings, &version.settings, &account.secrets)?;
        let linked = Linked { link, settings };
        let mut warnings = Vec::new();
        if version.plugin.about().identity.strategies.is_empty() {
            return Err(invalid("account", format!("{} is no vendor plugin.", version.plugin.id())));
        }
        if version.plugin.worlds().contains(&crate::plugin::World::Vendor) {
            let context = context(&state.shop, account, &version, Some(&linked.settings), &Visitor::default());
            let association = linked.association();
            let (found, _) = self
                .guest(
                    Hook::ValidateAssociation,
                    state,
                    account,
                    &version.plugin,
                    0,
                    async |store, instance, interfaces| {
                        interfaces.products(store, instance)?.call_validate(store, &context, &association).await
                    },
                )
                .await?;
            let found =
                found.map_err(|error| crate::guest::answered(&version.plugin, Hook::ValidateAssociation, error))?;
            if found.iter().any(|issue| issue.blocking) {
                return Err(SetupError::Invalid(found));
            }
            warnings = found;
        }
        Ok((linked, warnings))
    }

    /// Asks a plugin whether an account's settings are good.
    pub(crate) async fn validate(&self, shop: &Shop, account: &Account) -> Result<(), SetupError> {
        let version = account.version();
        let problems = version.plugin.about().form.issues(&version.settings, &account.secrets);
        if problems.iter().any(|issue| issue.blocking) {
            return Err(SetupError::Invalid(problems));
        }
        let context = context(shop, account, version, None, &Visitor::default());
        let scope = self.scope(shop, account, &version.plugin);
        let interfaces = version.plugin.interfaces().clone();
        let options = CallOptions::new(Hook::ValidateSettings, Some(scope));
        let (found, _) = call(self.ticker(), &version.plugin, options, async |store, instance| {
            interfaces.settings(store, instance)?.call_validate(store, &context).await
        })
        .await?;
        if found.iter().any(|issue| issue.blocking) { Err(SetupError::Invalid(found)) } else { Ok(()) }
    }

    /// The plugin of this digest, unless it is revoked.
    pub(crate) fn usable(&self, digest: &Digest) -> Result<Arc<Plugin>, SetupError> {
        if read(self.revoked()).contains_key(digest) {
            return Err(SetupError::Revoked(*digest));
        }
        self.plugin(digest).ok_or(SetupError::NoPlugin(*digest))
    }

    pub(crate) fn shop_cell(&self, shop: &ShopId) -> Result<Arc<ShopCell>, SetupError> {
        read(self.shops()).get(shop).cloned().ok_or_else(|| SetupError::NoShop(shop.clone()))
    }

    /// The shop as it is now.
    pub(crate) fn shop_state(&self, shop: &ShopId) -> Result<Arc<ShopState>, SetupError> {
        Ok(self.shop_cell(shop)?.state.load_full())
    }

    /// What a call for this account may reach: made once for each version of the account's state.
    pub(crate) fn scope(&self, shop: &Shop, account: &Account, plugin: &Plugin) -> Arc<Scope> {
        match account.versions.get(&plugin.digest()) {
            Some(version) => version.scope.get_or_init(|| self.make_scope(shop, account, plugin)).clone(),
            None => self.make_scope(shop, account, plugin),
        }
    }

    fn make_scope(&self, shop: &Shop, account: &Account, plugin: &Plugin) -> Arc<Scope> {
        let settings = account.versions.get(&plugin.digest()).map(|version| &version.settings);
        self.scope_with(shop, account, plugin, account.grants.clone(), |field| settings.and_then(|all| all.get(field)))
    }

    /// The same for a durable call, which goes on with the settings that it began with, and never with more than what is granted
    /// by now.
    pub(crate) fn scope_of(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &Plugin,
        settings: &[Setting],
        personal_data: bool,
    ) -> Arc<Scope> {
        let value = |field: &str| settings.iter().find(|known| known.name == field).map(|known| &known.value);
        self.scope_with(shop, account, plugin, Grants { personal_data, ..account.grants.clone() }, value)
    }

    fn scope_with<'a>(
        &self,
        shop: &Shop,
        account: &Account,
        plugin: &'a Plugin,
        grants: Grants,
        value: impl Fn(&str) -> Option<&'a SettingValue>,
    ) -> Arc<Scope> {
        let form = &plugin.about().form;
        let host = |declared: &String| -> Option<String> {
            let Some(field) = declared.strip_prefix("setting:") else { return Some(declared.to_ascii_lowercase()) };
            match value(field).or_else(|| form.field(field)?.default.as_ref())? {
                SettingValue::Text(text) => egress::host_of(&url::Url::parse(text).ok()?),
                _ => None,
            }
        };
        Arc::new(Scope {
            platform: self.platform().clone(),
            shop: shop.id.clone(),
            account: account.id.clone(),
            currency: shop.currency.clone(),
            grants,
            declared: plugin.about().identity.hosts.iter().filter_map(host).collect(),
            secrets: account
                .secrets
                .iter()
                .filter_map(|(name, secret)| {
                    let field = form.field(name).filter(|field| field.kind == "secret")?;
                    Some((name.clone(), (secret.clone(), field.hosts.iter().filter_map(host).collect())))
                })
                .collect(),
        })
    }
}

/// A product's own settings: only fields that a product may override.
fn product_settings(
    form: &Form,
    values: &Map<String, Value>,
    account: &Settings,
    secrets: &Secrets,
) -> Result<Settings, SetupError> {
    for name in values.keys() {
        match form.field(name) {
            Some(field) if field.per_product && field.kind != "secret" => {}
            Some(_) => return Err(invalid(name, "A product cannot override this setting.")),
            None => return Err(invalid(name, "No such setting.")),
        }
    }
    // Read together with the account's values, because a field may be required or enabled by another.
    let (read, _) = match form.read(values, secrets) {
        Ok(read) => read,
        Err(issues) => {
            let own: Vec<FieldIssue> = issues.into_iter().filter(|issue| values.contains_key(&issue.field)).collect();
            if !own.is_empty() {
                return Err(SetupError::Invalid(own));
            }
            let optional: Form = Form(
                form.0
                    .iter()
                    .cloned()
                    .map(|mut field| {
                        field.required = false;
                        field
                    })
                    .collect(),
            );
            optional.read(values, secrets).map_err(SetupError::Invalid)?
        }
    };
    let mut merged = account.clone();
    merged.extend(read.clone());
    let issues = form.issues(&merged, secrets);
    if issues.iter().any(|issue| issue.blocking) { Err(SetupError::Invalid(issues)) } else { Ok(read) }
}

impl Linked {
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

/// What a call is told about the shop.
pub(crate) fn context(
    shop: &Shop,
    account: &Account,
    version: &AccountVersion,
    product: Option<&Settings>,
    visitor: &Visitor,
) -> Context {
    let none = Settings::new();
    let settings: Vec<Setting> =
        version.plugin.about().form.effective(&version.settings, product.unwrap_or(&none), &account.secrets);
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
        extra: Vec::new(),
    }
}

/// The moment, RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .round(jiff::Unit::Second)
        .map_or_else(|_| jiff::Timestamp::now().to_string(), |at| at.to_string())
}
