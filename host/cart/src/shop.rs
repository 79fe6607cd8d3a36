//! The settings of a shop and the facts about a shopper that carts depend on.

use cartwright_contract::error::{SetupError, invalid, unstorable};
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::records::Rounding;
use cartwright_contract::settings::Secret;
use cartwright_contract::text::check_name;
use serde::{Deserialize, Serialize};

use crate::codes::{is_country, is_currency, is_language_tag};
use crate::money::MAX_SCALE;

/// Maximum validity of a sealed price in seconds: a leap year.
pub(crate) const MAX_SEAL_SECONDS: u32 = 366 * 86_400;
/// Maximum time in seconds for which a cart line may stay with the version that it is pinned to: five years.
pub(crate) const MAX_PIN_SECONDS: u32 = 5 * 366 * 86_400;

/// Settings of a shop.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// Id of the shop.
    pub id: ShopId,
    /// The currency of its carts: an ISO 4217 code in capitals.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// Number of decimals of its prices.
    #[cfg_attr(feature = "openapi", schema(maximum = 9))]
    pub scale: u8,
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

/// Upper bound of a shop's setting for the body size of a storefront request: 16 MiB, the maximum that its server may
/// send.
pub const MAX_STOREFRONT_BODY_BYTES: u32 = 16 << 20;

impl Shop {
    /// Creates a shop with the default settings.
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
            release: ReleasePolicy::default(),
            max_storefront_body_bytes: None,
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
    /// The country of delivery: an ISO 3166-1 alpha-2 code in capitals.
    pub country: Option<String>,
    /// The customer group.
    pub customer_group: Option<String>,
    /// The client id: an IP address or a session id. A vendor's request queue and a shop's storage are shared fairly
    /// by it, so that one shopper cannot use up those of all. Plugins do not see it. Without it, shoppers are not
    /// distinguished.
    pub client: Option<String>,
}

impl Visitor {
    /// Checks that the language and the country are codes, and that the names are bounded. Every call that takes a
    /// visitor does so.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] names the field.
    pub fn check(&self) -> Result<(), SetupError> {
        check_visitor(self)
    }
}

const LANGUAGE_TAG: &str = "Use a BCP 47 language tag, such as en or nl-BE.";

/// Checks the data of a visitor that plugins receive and that a line's price stores.
fn check_visitor(visitor: &Visitor) -> Result<(), SetupError> {
    let Visitor { locale, country, customer_group, client } = visitor;
    if locale.as_deref().is_some_and(|locale| !is_language_tag(locale)) {
        return Err(invalid("visitor.locale", LANGUAGE_TAG));
    }
    if country.as_deref().is_some_and(|country| !is_country(country)) {
        return Err(invalid("visitor.country", "Use an ISO 3166-1 alpha-2 code in capitals, such as NL."));
    }
    for (field, name) in [("visitor.customer_group", customer_group), ("visitor.client", client)] {
        name.as_deref().map_or(Ok(()), check_name).map_err(|fault| unstorable(field, fault))?;
    }
    Ok(())
}

/// Checks the settings of a shop.
///
/// # Errors
/// Returns [`SetupError::Invalid`] with the first setting that cannot be used.
pub fn check_shop(shop: &Shop) -> Result<(), SetupError> {
    if !is_currency(&shop.currency) {
        return Err(invalid("currency", "Use an ISO 4217 code in capitals, such as EUR."));
    }
    if shop.scale > MAX_SCALE {
        return Err(invalid("scale", "Use 0 to 9 decimals."));
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

    #[test]
    fn settings_of_a_shop_are_bounded() {
        let good = Shop::new("shop".parse().unwrap(), "EUR", 2, Secret::new("a key of the tests, 32 bytes long"));
        let longest = Shop {
            seal_seconds: MAX_SEAL_SECONDS,
            pin_seconds: MAX_PIN_SECONDS,
            locale: "en-abcdefgh-abcdefgh-abcdefgh-abcde".into(),
            ..good.clone()
        };
        check_shop(&longest).unwrap();
        for (wrong, names) in [
            (Shop { seal_seconds: u32::MAX, ..good.clone() }, "seal_seconds: Use at most 31622400 seconds (366 days)"),
            (Shop { pin_seconds: MAX_PIN_SECONDS + 1, ..good.clone() }, "pin_seconds: Use at most 158112000 seconds"),
            (Shop { scale: 10, ..good.clone() }, "scale"),
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
            customer_group: Some("trade".to_owned()),
            client: Some("192.0.2.1".to_owned()),
        };
        check_visitor(&Visitor::default()).unwrap();
        for locale in ["en", "nl-BE", "zh-Hant-TW", "es-419"] {
            check_visitor(&visitor(locale, "BE")).unwrap();
        }
        let long = Some("x".repeat(1_001));
        for (wrong, names) in [
            (visitor("en", "Belgium"), "visitor.country: Use an ISO 3166-1 alpha-2 code"),
            (visitor("en", "be"), "visitor.country"),
            (visitor("en", ""), "visitor.country"),
            (visitor("nl_BE", "BE"), "visitor.locale: Use a BCP 47 language tag"),
            (visitor("e", "BE"), "visitor.locale"),
            (visitor("nl-", "BE"), "visitor.locale"),
            (Visitor { customer_group: long.clone(), ..Visitor::default() }, "visitor.customer_group"),
            (Visitor { client: long, ..Visitor::default() }, "visitor.client"),
        ] {
            let error = check_visitor(&wrong).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }
}
