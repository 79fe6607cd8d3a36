//! Variants and exchange rates, as a platform pushes them.

use cartwright::types::Money;
use serde::{Deserialize, Serialize};

/// Maximum number of variants that one call stores or removes.
pub const MAX_VARIANTS: usize = 10_000;

/// A variant of a platform's catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CatalogVariant {
    /// Product id of the platform.
    pub product: String,
    /// Variant id of the platform, unique within the product.
    pub id: String,
    /// SKU, unique in the shop; empty if there is none.
    #[serde(default)]
    pub sku: String,
    /// Title of the variant.
    pub title: String,
    /// Unit price in each currency that the variant is sold in. It has no price in any other: nothing is converted.
    #[serde(default)]
    pub prices: Vec<Money>,
    /// Tax class of the platform.
    #[serde(default)]
    pub tax_class: Option<String>,
    /// Whether the variant can be bought now.
    pub purchasable: bool,
    /// Quantity in stock, if the platform counts it.
    #[serde(default)]
    pub stock: Option<i64>,
    /// Weight of one piece in grams, as exact decimal text.
    #[serde(default)]
    pub weight_grams: Option<String>,
    /// Minimum quantity of a line; 1 by default.
    #[serde(default = "one")]
    pub minimum: u32,
    /// Maximum quantity of a line.
    #[serde(default)]
    pub maximum: Option<u32>,
}

fn one() -> u32 {
    1
}

/// The key of a variant in a shop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VariantKey {
    /// Product id of the platform.
    pub product: String,
    /// Variant id of the platform.
    pub id: String,
}

/// An exchange rate of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExchangeRate {
    /// Currency to convert from, ISO 4217 in capitals.
    pub from: String,
    /// Currency to convert to, ISO 4217 in capitals.
    pub to: String,
    /// Units of `to` for one unit of `from`, as exact decimal text.
    pub rate: String,
}
