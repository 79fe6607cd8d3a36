//! The products a [`FakeExpivi`](super::FakeExpivi) sells, and the rule by which it prices them.
//!
//! Expivi's own rule is not public. This one is made to be checked by hand: base price, plus a surcharge for each chosen
//! value in `configuration.attributes`, times the country's percentage, in whole cents, rounded half up. It reads neither
//! `price` nor `articles`: those come from the browser. The viewer's script draws and prices from the same data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The catalogue id ("master product id" in the vendor's document).
    pub catalogue_id: u64,
    /// The name shown in the catalogue.
    pub name: String,
    /// The price without any choice, in cents.
    pub base_price: i64,
    /// What the viewer draws; it draws a box for a word that it does not know.
    pub drawing: String,
    /// What the shopper chooses.
    #[serde(default)]
    pub attributes: Vec<Attribute>,
    /// The bill of materials.
    #[serde(default)]
    pub articles: Vec<Article>,
    /// Products that are configured together with it. With any, the viewer saves the envelope with a `bundle_uuid`.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// One choice of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The attribute's id, unique within its product.
    pub id: u64,
    /// The name shown to the shopper.
    pub name: String,
    /// The JSON:API `attributes.type`. The vendor's list of types is not public; the fake has `option` and `text`.
    #[serde(rename = "type", default = "option")]
    pub kind: String,
    /// Kept from the shopper: stands in `configuration.attributes` alone.
    #[serde(default)]
    pub hidden: bool,
    /// What can be chosen; the first is chosen at the start.
    #[serde(default)]
    pub values: Vec<Choice>,
    /// Cents added for any text that is not empty.
    #[serde(default)]
    pub text_surcharge: i64,
    /// The fonts of a text.
    #[serde(default)]
    pub fonts: Vec<String>,
}

/// One value of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The name shown to the shopper.
    pub name: String,
    /// Its KEY, which only `include_keys` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Cents added for it.
    #[serde(default)]
    pub surcharge: i64,
    /// What it is drawn in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// One entry of the bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// How many times it stands there: articles have no quantity.
    #[serde(default = "once")]
    pub count: u32,
    /// The values that must be chosen for it, by attribute.
    #[serde(default)]
    pub when: BTreeMap<u64, String>,
    /// The documented members.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
}

/// A product that is configured together with another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which product.
    pub catalogue_id: u64,
    /// How many; those after the first are replicas of it.
    pub count: u32,
}

fn option() -> String {
    "option".to_owned()
}

fn once() -> u32 {
    1
}

impl Product {
    /// The price in cents by the rule above, before the country's percentage. Attributes it does not know cost nothing.
    pub(crate) fn price(&self, configured: &Value) -> i64 {
        let chosen = configured.pointer("/configuration/attributes").and_then(Value::as_array);
        let surcharges = chosen.into_iter().flatten().map(|choice| {
            let id = choice.get("attribute_id").and_then(Value::as_u64);
            let attribute = self.attributes.iter().find(|attribute| Some(attribute.id) == id);
            attribute.map_or(0, |attribute| attribute.surcharge(choice))
        });
        self.base_price + surcharges.sum::<i64>()
    }
}

impl Attribute {
    fn surcharge(&self, chosen: &Value) -> i64 {
        let text = chosen.pointer("/attribute_value/value").and_then(Value::as_str).unwrap_or_default();
        let name = chosen.get("attribute_value_name").and_then(Value::as_str).unwrap_or_default();
        let for_text = if text.is_empty() { 0 } else { self.text_surcharge };
        for_text + self.values.iter().find(|value| value.name == name).map_or(0, |value| value.surcharge)
    }
}

/// Applies a percentage to cents, rounding half up.
pub(crate) fn percent(cents: i64, percent: i64) -> i64 {
    (cents * percent + 50).div_euclid(100)
}

/// The products the samples configure, and 1010 for [`generated`](crate::samples::generated) ones.
pub fn sample_products() -> Vec<Product> {
    serde_json::from_str(include_str!("products.json")).expect("products.json holds products")
}
