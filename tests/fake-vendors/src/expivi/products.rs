//! The products of a [`FakeExpivi`](super::FakeExpivi), and its price rule.
//!
//! Expivi's own rule is not public. This one can be checked by hand: base price, plus a surcharge for each chosen value
//! in `configuration.attributes`, times the country's percentage, in whole cents, rounded half up. It reads neither
//! `price` nor `articles`, because those come from the browser. The viewer's script draws and prices from the same
//! data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One product of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The catalogue id ("master product id" in the vendor's document).
    pub catalogue_id: u64,
    /// The title in the catalog.
    pub name: String,
    /// The price without any choice, in cents.
    pub base_price: i64,
    /// The name of the viewer's drawing. The viewer draws a box for an unknown name.
    pub drawing: String,
    /// The attributes that the shopper chooses.
    #[serde(default)]
    pub attributes: Vec<Attribute>,
    /// The bill of materials.
    #[serde(default)]
    pub articles: Vec<Article>,
    /// Products that are configured together with it. If there are any, the viewer saves the envelope with a
    /// `bundle_uuid`.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// One attribute of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The attribute's id, unique within its product.
    pub id: u64,
    /// The name shown to the shopper.
    pub name: String,
    /// The JSON:API `attributes.type`. The vendor's list of types is not public; the fake has `option` and `text`.
    #[serde(rename = "type", default = "option")]
    pub kind: String,
    /// Whether it is hidden from the shopper and appears in `configuration.attributes` only.
    #[serde(default)]
    pub hidden: bool,
    /// The values to choose from; the first is the default.
    #[serde(default)]
    pub values: Vec<Choice>,
    /// Cents added for any text that is not empty.
    #[serde(default)]
    pub text_surcharge: i64,
    /// The fonts of a text.
    #[serde(default)]
    pub fonts: Vec<String>,
}

/// One value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The name shown to the shopper.
    pub name: String,
    /// Its KEY, which only `include_keys` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Surcharge in cents.
    #[serde(default)]
    pub surcharge: i64,
    /// The color of its drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// One entry of the bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// The number of its repetitions: articles have no quantity.
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
    /// The product's catalog id.
    pub catalogue_id: u64,
    /// The number of pieces; all after the first are replicas.
    pub count: u32,
}

fn option() -> String {
    "option".to_owned()
}

fn once() -> u32 {
    1
}

impl Product {
    /// Returns the price in cents by the rule above, before the country's percentage. Unknown attributes cost nothing.
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

/// Returns the products that the samples configure, and 1010 for [`generated`](crate::samples::generated) ones.
pub fn sample_products() -> Vec<Product> {
    serde_json::from_str(include_str!("products.json")).expect("products.json holds products")
}
