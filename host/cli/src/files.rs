//! The files that a command reads: JSON, and a shop's catalog.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use cartwright::types::{Rounding, VariantInfo};
use cartwright::{Currencies, ReleasePolicy, Secret, Shop};
use cartwright_service::input;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads a JSON file.
pub(crate) fn json_file<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is invalid", path.display()))
}

/// Parses JSON of one of the contract's types, and rejects unknown members. The types themselves ignore them, so that a
/// host can read what a later version wrote; in a file written by hand an unknown member is a misspelling.
///
/// # Errors
/// A missing member, a member of another type, or the path of every unknown member.
pub(crate) fn parse_strict<T: DeserializeOwned + Serialize>(text: &str) -> anyhow::Result<T> {
    let taken: T = serde_json::from_str(text)?;
    let mut unknown = Vec::new();
    unknown_members(&serde_json::from_str(text)?, &serde_json::to_value(&taken)?, "", &mut unknown);
    match unknown.is_empty() {
        true => Ok(taken),
        false => bail!("unknown member {}: see wit/0.1/types.wit; member names are in snake_case", unknown.join(", ")),
    }
}

/// Collects the paths of the members of `given` that parsing did not read into `taken`.
fn unknown_members(input: &Value, parsed: &Value, path: &str, unknown: &mut Vec<String>) {
    match (input, parsed) {
        (Value::Object(input), Value::Object(parsed)) => {
            for (name, input) in input {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match parsed.get(name) {
                    Some(parsed) => unknown_members(input, parsed, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(input), Value::Array(parsed)) => {
            for (at, (input, parsed)) in input.iter().zip(parsed).enumerate() {
                unknown_members(input, parsed, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

/// The currencies and the variants of a shop.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    currencies: Currencies,
    #[serde(default)]
    base_country: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    prices_include_tax: bool,
    variants: Vec<VariantEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantEntry {
    sku: String,
    /// The product id. Default: the SKU.
    product: Option<String>,
    /// The variant id. Default: the SKU.
    id: Option<String>,
    /// The title. Default: the SKU.
    title: Option<String>,
    /// The price.
    price: Option<PriceEntry>,
    #[serde(default = "yes")]
    purchasable: bool,
    #[serde(default = "one")]
    minimum: u32,
    maximum: Option<u32>,
}

/// A price as a merchant types it, see [`input::amount`].
#[derive(Deserialize)]
#[serde(untagged)]
enum PriceEntry {
    /// In the main currency.
    Main(String),
    /// By currency.
    ByCurrency(BTreeMap<String, String>),
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

impl Catalog {
    /// Returns a catalog without variants.
    pub(crate) fn empty(currency: String, scale: u8, locale: String) -> Self {
        Self {
            currencies: Currencies::one(currency, scale),
            base_country: None,
            time_zone: None,
            locale: Some(locale),
            prices_include_tax: false,
            variants: Vec::new(),
        }
    }

    /// Returns the variants, with their prices in this currency; the main one by default.
    pub(crate) fn variants(&self, currency: Option<&str>) -> anyhow::Result<Vec<VariantInfo>> {
        let main = self.currencies.main();
        // The host reports a currency that the shop does not sell in.
        let currency = currency.and_then(|code| self.currencies.get(code)).unwrap_or(main);
        self.variants
            .iter()
            .map(|entry| {
                let text = match &entry.price {
                    Some(PriceEntry::Main(text)) => Some(text).filter(|_| currency.code == main.code),
                    Some(PriceEntry::ByCurrency(prices)) => prices.get(&currency.code),
                    None => None,
                };
                let price = text.map(|text| {
                    let amount = input::amount(text, &currency.code, currency.scale);
                    amount.map_err(|reason| anyhow!("the price of {}: {reason}", entry.sku))
                });
                Ok(VariantInfo {
                    id: entry.id.clone().unwrap_or_else(|| entry.sku.clone()),
                    product: entry.product.clone().unwrap_or_else(|| entry.sku.clone()),
                    sku: entry.sku.clone(),
                    title: entry.title.clone().unwrap_or_else(|| entry.sku.clone()),
                    price: price.transpose()?,
                    tax_class: None,
                    purchasable: entry.purchasable,
                    in_stock: None,
                    weight_grams: None,
                    minimum: entry.minimum,
                    maximum: entry.maximum,
                    extra: Vec::new(),
                })
            })
            .collect()
    }

    /// Returns the shop.
    pub(crate) fn shop(&self) -> anyhow::Result<Shop> {
        // A random key suffices: no later run checks the seals of this one.
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("cannot get random numbers")?;
        Ok(Shop {
            id: "shop".parse()?,
            currencies: self.currencies.clone(),
            base_country: self.base_country.clone(),
            time_zone: self.time_zone.clone(),
            locale: self.locale.clone().unwrap_or_else(|| "en".to_owned()),
            prices_include_tax: self.prices_include_tax,
            rounding: Rounding::HalfUp,
            seal_key: Secret::new(hex::encode(key)),
            seal_seconds: 3600,
            pin_seconds: 86_400,
            sell_unconfigured: false,
            release: ReleasePolicy::Paid,
            max_storefront_body_bytes: None,
        })
    }
}
