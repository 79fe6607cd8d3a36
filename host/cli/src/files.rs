//! The files that a command is given: JSON, and the catalogue of a shop.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use cartwright::types::{Rounding, VariantInfo};
use cartwright::{ReleasePolicy, Secret, Shop};
use cartwright_service::input;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file's JSON.
pub(crate) fn json_file<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    read(path, |text| Ok(serde_json::from_str(text)?))
}

/// The same, [`parse_strict`].
pub(crate) fn strict_json_file<T: DeserializeOwned + Serialize>(path: &Path) -> anyhow::Result<T> {
    read(path, parse_strict)
}

fn read<T>(path: &Path, taken: impl FnOnce(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    taken(&text).with_context(|| format!("{} is not what is wanted", path.display()))
}

/// JSON of one of the contract's types, with nothing beside it. The types themselves pass over members that they do not know, so that a
/// host can read what a later version wrote; whoever writes one by hand has misspelt it.
///
/// # Errors
/// What is missing or of another type, and the path of every member that is not the type's.
pub(crate) fn parse_strict<T: DeserializeOwned + Serialize>(text: &str) -> anyhow::Result<T> {
    let taken: T = serde_json::from_str(text)?;
    let mut unknown = Vec::new();
    unknown_members(&serde_json::from_str(text)?, &serde_json::to_value(&taken)?, "", &mut unknown);
    match unknown.is_empty() {
        true => Ok(taken),
        false => bail!("there is no {}: see wit/types.wit, in JSON names are in snake_case", unknown.join(", ")),
    }
}

/// What of `given` is not in what was `taken` of it.
fn unknown_members(given: &Value, taken: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, taken) {
        (Value::Object(given), Value::Object(taken)) => {
            for (name, given) in given {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match taken.get(name) {
                    Some(taken) => unknown_members(given, taken, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(taken)) => {
            for (at, (given, taken)) in given.iter().zip(taken).enumerate() {
                unknown_members(given, taken, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

/// The shop's currency and variants.
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
    /// The SKU, unless given.
    product: Option<String>,
    /// The SKU, unless given.
    id: Option<String>,
    /// The SKU, unless given.
    title: Option<String>,
    /// As it is typed, see [`typed::amount`].
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
    /// A shop that sells nothing.
    pub(crate) fn empty(currency: String, scale: u8, locale: String) -> Self {
        Self { currency, scale, locale: Some(locale), prices_include_tax: false, variants: Vec::new() }
    }

    /// What the shop sells.
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

    /// The shop.
    pub(crate) fn shop(&self) -> anyhow::Result<Shop> {
        // Seals of one run mean nothing to the next.
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("no random numbers can be had")?;
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
