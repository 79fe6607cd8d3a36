//! The settings of a shop and the facts about a shopper that carts depend on.

use std::collections::HashSet;

use cartwright_contract::error::{SetupError, invalid, unstorable};
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::records::{self, Currency, Rounding};
use cartwright_contract::settings::Secret;
use cartwright_contract::text::check_name;
use serde::{Deserialize, Serialize};

use crate::codes::{is_country, is_currency, is_language_tag, is_time_zone};
use crate::money::MAX_SCALE;

/// Maximum validity of a sealed price in seconds: a leap year.
pub(crate) const MAX_SEAL_SECONDS: u32 = 366 * 86_400;
/// Maximum number of currencies of a shop.
const MAX_CURRENCIES: usize = 200;
/// Maximum number of customer groups of a visitor.
const MAX_CUSTOMER_GROUPS: usize = 50;
/// Maximum time in seconds for which a cart line may stay with the version that it is pinned to: five years.
pub(crate) const MAX_PIN_SECONDS: u32 = 5 * 366 * 86_400;

/// Settings of a shop.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// Id of the shop.
    pub id: ShopId,
    /// The currencies that it sells in, at least one, its main one first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Currency>, min_items = 1))]
    pub currencies: Currencies,
    /// The country that it sells from: an ISO 3166-1 alpha-2 code in capitals.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{2}$"))]
    pub base_country: Option<String>,
    /// Its time zone: a name of the IANA database, such as `Europe/Amsterdam`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The language of its texts, BCP 47.
    #[serde(default = "english")]
    pub locale: String,
    /// Whether its prices include tax.
    #[serde(default)]
    pub prices_include_tax: bool,
    /// How amounts are rounded.
    #[serde(default = "half_up")]
    pub rounding: Rounding,
    /// Key that signs cart lines: at least 32 bytes, different for each shop.
    pub seal_key: Secret,
    /// Validity of a sealed price in seconds, at most 366 days. Default: one day.
    #[serde(default = "one_day")]
    #[cfg_attr(feature = "openapi", schema(maximum = 31_622_400))]
    pub seal_seconds: u32,
    /// How long after its seal's expiry a cart line still goes to the plugin version that it is pinned to, in seconds;
    /// later it goes to the current version. At most five years. Default: 30 days.
    #[serde(default = "thirty_days")]
    #[cfg_attr(feature = "openapi", schema(maximum = 158_112_000))]
    pub pin_seconds: u32,
    /// Whether a linked product may be bought without a configuration.
    #[serde(default)]
    pub sell_unconfigured: bool,
    /// When orders are released to production.
    #[serde(default)]
    pub release: ReleasePolicy,
    /// Maximum body size of an HTTP request with a storefront key, in bytes. Default: the node's setting.
    /// Configurations that contain images need more. At most [`MAX_STOREFRONT_BODY_BYTES`].
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 16_777_216))]
    pub max_storefront_body_bytes: Option<u32>,
}

/// The currencies that a shop sells in, with the decimals of its prices. There is at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Currency>", into = "Vec<Currency>")]
pub struct Currencies {
    main: Currency,
    others: Vec<Currency>,
}

impl Currencies {
    /// Creates the list of one currency.
    pub fn one(code: impl Into<String>, scale: u8) -> Self {
        Self { main: Currency { code: code.into(), scale }, others: Vec::new() }
    }

    /// Returns the shop's main currency.
    pub fn main(&self) -> &Currency {
        &self.main
    }

    /// Returns the currencies, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = &Currency> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// Returns the currencies as a list, the main one first.
    pub fn to_vec(&self) -> Vec<Currency> {
        self.iter().cloned().collect()
    }

    /// Returns the currency with this code.
    pub fn get(&self, code: &str) -> Option<&Currency> {
        self.iter().find(|currency| currency.code == code)
    }

    /// Returns the currencies in words, such as "EUR with 2 decimals or JPY with 0 decimals".
    pub(crate) fn words(&self) -> String {
        let words: Vec<String> = self.iter().map(|known| money_words(&known.code, known.scale)).collect();
        words.join(" or ")
    }
}

impl TryFrom<Vec<Currency>> for Currencies {
    type Error = NoCurrency;

    fn try_from(list: Vec<Currency>) -> Result<Self, NoCurrency> {
        let mut list = list.into_iter();
        let main = list.next().ok_or(NoCurrency)?;
        Ok(Self { main, others: list.collect() })
    }
}

impl From<Currencies> for Vec<Currency> {
    fn from(currencies: Currencies) -> Self {
        currencies.to_vec()
    }
}

/// The error of a shop without a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shop sells in at least one currency")]
pub struct NoCurrency;

/// Describes the currency and scale of an amount in words.
pub(crate) fn money_words(currency: &str, scale: u8) -> String {
    format!("{currency} with {scale} decimals")
}

/// Upper bound of a shop's setting for the body size of a storefront request: 16 MiB, the maximum that its server may
/// send.
pub const MAX_STOREFRONT_BODY_BYTES: u32 = 16 << 20;

impl Shop {
    /// Creates a shop with the default settings that sells in one currency.
    pub fn new(id: ShopId, currency: impl Into<String>, scale: u8, seal_key: Secret) -> Self {
        Self {
            id,
            currencies: Currencies::one(currency, scale),
            base_country: None,
            time_zone: None,
            locale: english(),
            prices_include_tax: false,
            rounding: half_up(),
            seal_key,
            seal_seconds: one_day(),
            pin_seconds: thirty_days(),
            sell_unconfigured: false,
            release: ReleasePolicy::default(),
            max_storefront_body_bytes: None,
        }
    }

    /// Converts to the contract's `shop`.
    pub fn as_contract(&self) -> records::Shop {
        records::Shop {
            id: self.id.to_string(),
            currencies: self.currencies.to_vec(),
            base_country: self.base_country.clone(),
            prices_include_tax: self.prices_include_tax,
            rounding: self.rounding,
            time_zone: self.time_zone.clone(),
        }
    }
}

/// When an order is released. Lines on hold wait for the merchant's approval as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ReleasePolicy {
    /// When the order is fully paid.
    #[default]
    Paid,
    /// When the order is placed.
    Placed,
    /// When the platform releases the order.
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

/// The strategy that plans the cart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StrategyChoice {
    /// The account of another plugin that plans; `None` for the vendor's own.
    pub account: Option<AccountId>,
    /// Name of the strategy. `None` for the value of the account's setting `order-type`, or otherwise the plugin's
    /// first strategy.
    pub name: Option<String>,
}

/// Facts about the shopper of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Visitor {
    /// The language (BCP 47). Default: the shop's.
    pub locale: Option<String>,
    /// The currency of the cart or page, an ISO 4217 code: one of the shop's. Default: the shop's main one.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
    /// The country of delivery: an ISO 3166-1 alpha-2 code in capitals.
    pub country: Option<String>,
    /// The region within the country: the part of its ISO 3166-2 code after the country, or its name.
    pub region: Option<String>,
    /// The customer groups, at most 50.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub customer_groups: CustomerGroups,
    /// The client id: an IP address or a session id. A vendor's request queue and a shop's storage are shared fairly
    /// by it, so that one shopper cannot use up those of all. Plugins do not see it. Without it, shoppers are not
    /// distinguished.
    pub client: Option<String>,
}

/// The customer groups of a visitor. They are sorted and distinct, so that equal groups are equal texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct CustomerGroups(Vec<String>);

impl CustomerGroups {
    /// Returns the groups.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<String>> for CustomerGroups {
    fn from(mut groups: Vec<String>) -> Self {
        groups.sort();
        groups.dedup();
        Self(groups)
    }
}

impl From<CustomerGroups> for Vec<String> {
    fn from(groups: CustomerGroups) -> Self {
        groups.0
    }
}

impl Visitor {
    /// Checks that the language and the country are codes, that the shop sells in the currency, and that the names are
    /// bounded. Every call that takes a visitor does so. Returns the currency that the visitor sees prices in.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] names the field.
    pub fn check<'s>(&self, shop: &'s Shop) -> Result<&'s Currency, SetupError> {
        self.check_codes()?;
        let Some(code) = &self.currency else { return Ok(shop.currencies.main()) };
        shop.currencies.get(code).ok_or_else(|| {
            let known: Vec<&str> = shop.currencies.iter().map(|known| known.code.as_str()).collect();
            invalid("visitor.currency", format!("The shop does not sell in this currency. Use {}.", known.join(" or ")))
        })
    }

    /// Checks all that does not depend on the shop.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] names the field.
    pub fn check_codes(&self) -> Result<(), SetupError> {
        check_visitor(self)
    }

    /// Converts to the contract's `visitor`.
    pub fn as_contract(&self, currency: &Currency) -> records::Visitor {
        records::Visitor {
            currency: currency.clone(),
            country: self.country.clone(),
            region: self.region.clone(),
            customer_groups: self.customer_groups.as_slice().to_vec(),
        }
    }
}

const CURRENCY: &str = "Use an ISO 4217 code in capitals, such as EUR.";
const COUNTRY: &str = "Use an ISO 3166-1 alpha-2 code in capitals, such as NL.";
const LANGUAGE_TAG: &str = "Use a BCP 47 language tag, such as en or nl-BE.";

/// Checks the data of a visitor that plugins receive and that a line's price stores.
fn check_visitor(visitor: &Visitor) -> Result<(), SetupError> {
    let Visitor { locale, currency, country, region, customer_groups, client } = visitor;
    if locale.as_deref().is_some_and(|locale| !is_language_tag(locale)) {
        return Err(invalid("visitor.locale", LANGUAGE_TAG));
    }
    if currency.as_deref().is_some_and(|currency| !is_currency(currency)) {
        return Err(invalid("visitor.currency", CURRENCY));
    }
    if country.as_deref().is_some_and(|country| !is_country(country)) {
        return Err(invalid("visitor.country", COUNTRY));
    }
    if customer_groups.as_slice().len() > MAX_CUSTOMER_GROUPS {
        return Err(invalid("visitor.customer_groups", format!("Use at most {MAX_CUSTOMER_GROUPS} customer groups.")));
    }
    let named = [("visitor.region", region), ("visitor.client", client)];
    let named = named.into_iter().filter_map(|(field, name)| Some((field, name.as_ref()?)));
    let groups = customer_groups.as_slice().iter().map(|name| ("visitor.customer_groups", name));
    for (field, name) in named.chain(groups) {
        check_name(name).map_err(|fault| unstorable(field, fault))?;
    }
    Ok(())
}

/// Checks the settings of a shop.
///
/// # Errors
/// Returns [`SetupError::Invalid`] with the first setting that cannot be used.
pub fn check_shop(shop: &Shop) -> Result<(), SetupError> {
    if shop.currencies.iter().count() > MAX_CURRENCIES {
        return Err(invalid("currencies", format!("Use at most {MAX_CURRENCIES} currencies.")));
    }
    let mut codes = HashSet::new();
    for (index, Currency { code, scale }) in shop.currencies.iter().enumerate() {
        if !is_currency(code) {
            return Err(invalid(&format!("currencies[{index}].code"), CURRENCY));
        }
        if *scale > MAX_SCALE {
            return Err(invalid(&format!("currencies[{index}].scale"), "Use 0 to 9 decimals."));
        }
        if !codes.insert(code) {
            return Err(invalid(&format!("currencies[{index}].code"), "Use each currency once."));
        }
    }
    if shop.base_country.as_deref().is_some_and(|country| !is_country(country)) {
        return Err(invalid("base_country", COUNTRY));
    }
    if shop.time_zone.as_deref().is_some_and(|zone| !is_time_zone(zone)) {
        return Err(invalid("time_zone", "Use a name of the IANA time zone database, such as Europe/Amsterdam."));
    }
    for (field, seconds, most) in
        [("seal_seconds", shop.seal_seconds, MAX_SEAL_SECONDS), ("pin_seconds", shop.pin_seconds, MAX_PIN_SECONDS)]
    {
        if seconds > most {
            return Err(invalid(field, format!("Use at most {most} seconds ({} days).", most / 86_400)));
        }
    }
    if !is_language_tag(&shop.locale) {
        return Err(invalid("locale", LANGUAGE_TAG));
    }
    if shop.seal_key.expose().len() < 32 {
        return Err(invalid("seal_key", "Use at least 32 random bytes."));
    }
    if shop.max_storefront_body_bytes.is_some_and(|bytes| !(1..=MAX_STOREFRONT_BODY_BYTES).contains(&bytes)) {
        return Err(invalid("max_storefront_body_bytes", "Use 1 to 16777216 bytes (16 MiB)."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currencies(codes: &[&str]) -> Currencies {
        let list: Vec<Currency> = codes.iter().map(|code| Currency { code: (*code).to_owned(), scale: 2 }).collect();
        list.try_into().unwrap()
    }

    #[test]
    fn a_shop_has_at_least_one_currency_and_the_first_is_its_main_one() {
        assert_eq!(serde_json::from_str::<Currencies>("[]").unwrap_err().to_string(), NoCurrency.to_string());
        let json = r#"[{"code":"EUR","scale":2},{"code":"JPY","scale":0}]"#;
        let read: Currencies = serde_json::from_str(json).unwrap();
        assert_eq!((read.main().code.as_str(), read.get("JPY").unwrap().scale), ("EUR", 0));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }

    #[test]
    fn a_visitor_sees_prices_in_one_of_the_shops_currencies() {
        let key = Secret::new("a key of the tests, 32 bytes long");
        let shop =
            Shop { currencies: currencies(&["EUR", "USD"]), ..Shop::new("shop".parse().unwrap(), "EUR", 2, key) };
        let visitor = |code: Option<&str>| Visitor { currency: code.map(str::to_owned), ..Visitor::default() };
        assert_eq!(visitor(None).check(&shop).unwrap().code, "EUR");
        assert_eq!(visitor(Some("USD")).check(&shop).unwrap().code, "USD");
        let error = visitor(Some("JPY")).check(&shop).unwrap_err().to_string();
        assert_eq!(error, "visitor.currency: The shop does not sell in this currency. Use EUR or USD.");
    }

    #[test]
    fn customer_groups_are_sorted_and_distinct() {
        let read: Visitor = serde_json::from_str(r#"{"customer_groups":["vip","b2b","vip"]}"#).unwrap();
        assert_eq!(read.customer_groups.as_slice(), ["b2b", "vip"]);
        assert_eq!(read.customer_groups, CustomerGroups::from(vec!["b2b".to_owned(), "vip".to_owned()]));
    }

    #[test]
    fn settings_of_a_shop_are_bounded() {
        let good = Shop::new("shop".parse().unwrap(), "EUR", 2, Secret::new("a key of the tests, 32 bytes long"));
        let longest = Shop {
            seal_seconds: MAX_SEAL_SECONDS,
            pin_seconds: MAX_PIN_SECONDS,
            locale: "en-abcdefgh-abcdefgh-abcdefgh-abcde".into(),
            currencies: currencies(&["EUR", "USD"]),
            base_country: Some("NL".into()),
            time_zone: Some("Europe/Amsterdam".into()),
            ..good.clone()
        };
        check_shop(&longest).unwrap();
        for (wrong, names) in [
            (Shop { seal_seconds: u32::MAX, ..good.clone() }, "seal_seconds: Use at most 31622400 seconds (366 days)"),
            (Shop { pin_seconds: MAX_PIN_SECONDS + 1, ..good.clone() }, "pin_seconds: Use at most 158112000 seconds"),
            (Shop { currencies: Currencies::one("EUR", 10), ..good.clone() }, "currencies[0].scale"),
            (Shop { currencies: Currencies::one("euro", 2), ..good.clone() }, "currencies[0].code"),
            (Shop { currencies: currencies(&["EUR", "USD", "EUR"]), ..good.clone() }, "currencies[2].code: Use each"),
            (Shop { base_country: Some("Netherlands".into()), ..good.clone() }, "base_country"),
            (Shop { time_zone: Some("CET+1 (Paris)".into()), ..good.clone() }, "time_zone"),
            (Shop { locale: "en-abcdefgh-abcdefgh-abcdefgh-abcdef".into(), ..good.clone() }, "locale"),
            (Shop { locale: "en_US".into(), ..good.clone() }, "locale: Use a BCP 47 language tag"),
            (Shop { locale: "e\0n".into(), ..good.clone() }, "locale"),
        ] {
            let error = check_shop(&wrong).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }

    #[test]
    fn a_visitors_country_and_language_are_codes_and_its_names_are_bounded() {
        let visitor = |locale: &str, country: &str| Visitor {
            locale: Some(locale.to_owned()),
            country: Some(country.to_owned()),
            currency: Some("EUR".to_owned()),
            region: Some("VLG".to_owned()),
            customer_groups: vec!["trade".to_owned()].into(),
            client: Some("192.0.2.1".to_owned()),
        };
        check_visitor(&Visitor::default()).unwrap();
        for locale in ["en", "nl-BE", "zh-Hant-TW", "es-419"] {
            check_visitor(&visitor(locale, "BE")).unwrap();
        }
        let long = Some("x".repeat(1_001));
        let groups = |groups: Vec<String>| Visitor { customer_groups: groups.into(), ..Visitor::default() };
        for (wrong, names) in [
            (visitor("en", "Belgium"), "visitor.country: Use an ISO 3166-1 alpha-2 code"),
            (visitor("en", "be"), "visitor.country"),
            (visitor("en", ""), "visitor.country"),
            (visitor("nl_BE", "BE"), "visitor.locale: Use a BCP 47 language tag"),
            (visitor("e", "BE"), "visitor.locale"),
            (visitor("nl-", "BE"), "visitor.locale"),
            (Visitor { currency: Some("eur".into()), ..Visitor::default() }, "visitor.currency"),
            (Visitor { region: long.clone(), ..Visitor::default() }, "visitor.region"),
            (groups(vec!["x".repeat(1_001)]), "visitor.customer_groups"),
            (groups((0..=50).map(|group| group.to_string()).collect()), "visitor.customer_groups: Use at most 50"),
            (Visitor { client: long, ..Visitor::default() }, "visitor.client"),
        ] {
            let error = check_visitor(&wrong).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }
}
