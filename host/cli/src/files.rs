//! The files that a command reads: JSON, and a shop's catalog.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use cartwright::types::{Rounding, VariantInfo};
use cartwright::{ReleasePolicy, Secret, Shop};
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

/// The currency and the variants of a shop.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    currency: String,
    scale: u8,
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
    /// The price as a merchant types it, see [`typed::amount`].
    price: Option<String>,
    #[serde(default = "yes")]
    purchasable: bool,
    #[serde(default = "one")]
    minimum: u32,
    maximum: Option<u32>,
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
        Self { currency, scale, locale: Some(locale), prices_include_tax: false, variants: Vec::new() }
    }

    /// Returns the variants.
    pub(crate) fn variants(&self) -> anyhow::Result<Vec<VariantInfo>> {
        self.variants
            .iter()
            .map(|entry| {
                let price = entry.price.as_deref().map(|text| {
                    let amount = input::amount(text, &self.currency, self.scale);
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
                    stock: None,
                    weight_grams: None,
                    minimum: entry.minimum,
                    maximum: entry.maximum,
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
            currency: self.currency.clone(),
            scale: self.scale,
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
