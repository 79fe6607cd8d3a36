//! Shops, their vendor accounts, and the links between their products and the vendors'.
//!
//! A shop's state is one immutable value behind one atomic pointer: a call takes it once and works with it to its end, a change
//! makes a new value and moves the pointer. So a swap never waits for calls, and no call sees half a change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::capability::Scope;
use crate::contract::{Association, Context, FieldIssue, Rounding, Setting};
use crate::error::HookError;
use crate::grants::Grants;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::plugin::Plugin;
use crate::settings::{Secret, Secrets, Settings};

/// What a shop is like.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// Its id.
    pub id: ShopId,
    /// The currency of its carts, ISO 4217 in capitals.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// How many decimals its prices have.
    #[cfg_attr(feature = "openapi", schema(maximum = 9))]
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
    /// How long a sealed price holds, in seconds; at most 366 days. One day unless given.
    #[serde(default = "one_day")]
    #[cfg_attr(feature = "openapi", schema(maximum = 31_622_400))]
    pub seal_seconds: u32,
    /// For how long after its seal's end a cart's line goes to the version of the plugin that it is pinned to, in seconds; later it
    /// goes to the current one. At most five years; 30 days unless given.
    #[serde(default = "thirty_days")]
    #[cfg_attr(feature = "openapi", schema(maximum = 158_112_000))]
    pub pin_seconds: u32,
    /// May a linked product be bought without a configuration?
    #[serde(default)]
    pub sell_unconfigured: bool,
    /// When its orders may be produced.
    #[serde(default)]
    pub release: Release,
    /// Largest body of a request with a storefront's key over HTTP, in bytes; the node's own setting unless given. A configuration
    /// that holds pictures needs more than others. At most [`MAX_STOREFRONT_BODY_BYTES`].
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 16_777_216))]
    pub max_storefront_body_bytes: Option<u32>,
}

/// Maximum that a shop can set as the largest body of a storefront's request: 16 MiB, as much as its server may send.
pub const MAX_STOREFRONT_BODY_BYTES: u32 = 16 << 20;

impl Shop {
    /// A shop with the usual values.
    pub fn new(id: ShopId, currency: impl Into<String>, scale: u8, seal_key: Secret) -> Self {
        Self {
            id,
            currency: currency.into(),
            scale,
            locale: english(),
            prices_include_tax: false,
            rounding: half_up(),
            seal_key,
            seal_seconds: one_day(),
            pin_seconds: thirty_days(),
            sell_unconfigured: false,
            release: Release::default(),
            max_storefront_body_bytes: None,
        }
    }
}

/// When an order may be produced. Lines that are held for the merchant's approval wait for that too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// When it is paid in full.
    #[default]
    Paid,
    /// When it is placed.
    Placed,
    /// When the platform says that it is released.
    ByHand,
}

fn english() -> String {
    "en".to_owned()
}

fn half_up() -> Rounding {
    Rounding::HalfUp
}

fn thirty_days() -> u32 {
    30 * 86_400
}

fn one_day() -> u32 {
    24 * 3600
}

/// A vendor account as it is set up.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountSetup {
    /// Its id within the shop.
    pub id: AccountId,
    /// The settings and secrets that the merchant entered, by field name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AnyObject))]
    pub settings: Map<String, Value>,
    /// What the operator grants it.
    #[serde(default)]
    pub grants: Grants,
}

/// Which strategy plans the cart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StrategyChoice {
    /// The account of another plugin that plans; none = the vendor's own.
    pub account: Option<AccountId>,
    /// The strategy's name; none = what the account's setting `order-type` says, else the plugin's first.
    pub name: Option<String>,
}

/// A link between a product of the shop and one of a vendor, as it is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AnyObject))]
    pub settings: Map<String, Value>,
    /// Which strategy plans the cart.
    #[serde(default)]
    pub strategy: StrategyChoice,
    /// Where that is another account's: the settings of its plugin that this product overrides.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AnyObject))]
    pub strategy_settings: Map<String, Value>,
}

/// Why a shop could not be changed. The shop is as it was.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Links are wrong, or do not go with the version or the settings that an account is to have. Change these, then try again.
    #[error("{}; change these links, then try again", misfits(.0))]
    Links(Vec<LinkIssues>),
    /// The plugin failed while it was asked.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A revoked version cannot be used.
    #[error("the version {0} is revoked")]
    Revoked(Digest),
}

/// What there is to say of a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkIssues {
    /// The platform's product id.
    pub shop_product: String,
    /// Each field.
    pub issues: Vec<FieldIssue>,
}

fn misfits(links: &[LinkIssues]) -> String {
    let texts: Vec<String> =
        links.iter().map(|link| format!("the product {:?}: {}", link.shop_product, issues(&link.issues))).collect();
    texts.join("; ")
}

fn issues(issues: &[FieldIssue]) -> String {
    let texts: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.field, issue.message.text)).collect();
    texts.join("; ")
}

pub(crate) fn invalid(field: &str, text: impl Into<String>) -> SetupError {
    SetupError::Invalid(vec![setup_issue(field, text)])
}

pub(crate) fn setup_issue(field: &str, text: impl Into<String>) -> FieldIssue {
    FieldIssue {
        field: field.to_owned(),
        message: crate::contract::Message { key: "setup-invalid".into(), parameters: vec![], text: text.into() },
        blocking: true,
    }
}

/// A version of a plugin with the settings in its form. Lines keep going to the version they are pinned to.
pub(crate) struct AccountVersion {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) settings: Settings,
    pub(crate) scope: OnceLock<Arc<Scope>>,
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
    pub(crate) strategy_settings: Settings,
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Visitor {
    /// The language, BCP 47; the shop's unless given.
    pub locale: Option<String>,
    /// ISO 3166-1 alpha-2 code, in capitals, of the country that is delivered to.
    pub country: Option<String>,
    /// The customer group.
    pub customer_group: Option<String>,
    /// Who the shopper is: an address, or an id of the session. A vendor's turns and a shop's storage are shared out by it, so that
    /// one shopper does not take those of all. No plugin sees it. Without it, shoppers are not told apart.
    pub client: Option<String>,
}

impl Visitor {
    /// Checks that the language and the country are codes, and that the names are bounded. Every call that takes a visitor does so.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] names the field.
    pub fn check(&self) -> Result<(), SetupError> {
        crate::setup::check_visitor(self)
    }
}

impl Linked {
    /// What the product overrides of the settings of this account, whose strategy plans.
    pub(crate) fn settings_of(&self, strategist: &AccountId) -> Option<&Settings> {
        (self.link.strategy.account.as_ref() == Some(strategist)).then_some(&self.strategy_settings)
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
        grants: account.grants.names(),
        extra: Vec::new(),
    }
}

/// The moment, RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .round(jiff::Unit::Second)
        .map_or_else(|_| jiff::Timestamp::now().to_string(), |at| at.to_string())
}
