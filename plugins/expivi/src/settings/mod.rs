//! The settings: names, form, checks and migration.
//!
//! Each name is defined here once. The host fills in defaults and rejects values that the form does not allow, so
//! reading needs no check; an unknown value reads as the safest known one.

mod check;
mod form;
mod migrate;

pub(crate) use check::{product_link as check_product_link, settings as check};
pub(crate) use form::fields;
pub(crate) use migrate::migrate;

use cartwright_plugin::ContextExt;
use cartwright_plugin::types::{Context, PriceSource, SettingValue, TaxBasis};

/// The public token of the viewer.
pub(crate) const VIEWER_TOKEN: &str = "viewer-token";
/// The secret token with write access.
pub(crate) const SERVER_TOKEN: &str = "server-token";
/// The base of the REST API.
pub(crate) const API_URL: &str = "api-url";
/// The base of finished files, if it differs from the API's.
pub(crate) const FILES_URL: &str = "files-url";
/// The default of [`API_URL`].
pub(crate) const DEFAULT_API_URL: &str = "https://expivi.net/api/";

/// How a configured product becomes cart lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderType {
    /// One line of the linked product.
    Simple,
    /// One line of the variant whose SKU the KEYs form.
    Variation,
    /// A bundle of the articles.
    Bundle,
}

impl OrderType {
    /// All order types, the default first.
    pub(crate) const ALL: [Self; 3] = [Self::Simple, Self::Variation, Self::Bundle];

    /// Returns its name in settings and requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Variation => "variation",
            Self::Bundle => "bundle",
        }
    }

    /// Returns the order type with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Returns the merchant's order type.
pub(crate) fn order_type(context: &Context) -> Option<OrderType> {
    OrderType::from_name(context.text("order-type")?)
}

/// Returns the price source of configured products.
pub(crate) fn price_source(context: &Context) -> PriceSource {
    match context.text("price-authority") {
        Some("vendor") => PriceSource::Vendor,
        Some("components") => PriceSource::Components,
        _ => PriceSource::Platform,
    }
}

/// Returns whether lines with unverified KEYs or articles are on hold, unless the merchant chose to sell them.
pub(crate) fn holds_unverified(context: &Context) -> bool {
    context.text("unconfirmed") != Some("sell")
}

/// Returns the texts of a list without empty ones.
pub(crate) fn lines<'a>(context: &'a Context, name: &str) -> Vec<&'a str> {
    context.texts(name).iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect()
}

/// The default members that may contain a KEY: a value's own KEY before an attribute's.
pub(crate) const KEY_FIELDS: [&str; 4] = ["attribute_value_key", "value_key", "key", "attribute_key"];
/// Maximum number of such members.
pub(crate) const MAX_KEY_FIELDS: usize = 16;

/// Returns the members that may contain a KEY, the most trusted first.
pub(crate) fn key_fields(context: &Context) -> Vec<&str> {
    let mut fields = lines(context, "key-fields");
    if fields.is_empty() {
        fields = KEY_FIELDS.to_vec();
    }
    fields.truncate(MAX_KEY_FIELDS);
    fields
}

/// Returns the separator between KEYs. An empty separator is a choice, and differs from an unset one.
pub(crate) fn sku_separator(context: &Context) -> &str {
    match context.setting("sku-separator") {
        Some(SettingValue::Text(text)) => text,
        _ => "-",
    }
}

/// Returns the tax basis of the vendor's prices, if it is configured.
pub(crate) fn price_tax(context: &Context) -> Option<TaxBasis> {
    match context.text("price-tax")? {
        "net" => Some(TaxBasis::Net),
        "gross" => Some(TaxBasis::Gross),
        "as-shop" => Some(TaxBasis::AsShop),
        _ => None,
    }
}

/// Returns the base of the REST API with a slash at its end.
pub(crate) fn api_url(context: &Context) -> String {
    let url = context.text(API_URL).unwrap_or(DEFAULT_API_URL).trim();
    if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }
}

/// Returns whether a switch is on.
pub(crate) fn is_enabled(context: &Context, name: &str) -> bool {
    context.boolean(name).unwrap_or(false)
}

#[cfg(test)]
mod tests;
