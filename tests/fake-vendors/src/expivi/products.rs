//! The products a [`FakeExpivi`](super::FakeExpivi) sells, and the rule by which it prices them.
//!
//! Expivi's own rule is not public. This one is made to be checked by hand: base price, plus a surcharge for each chosen
//! value in `configuration.attributes`, times the country's percentage, in whole cents, rounded half up. It reads neither
//! `price` nor `articles`: those come from the browser.

use std::collections::BTreeMap;

use serde_json::Value;

/// One product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The catalogue id ("master product id" in the vendor's document).
    pub catalogue_id: u64,
    /// The name shown in the catalogue.
    pub name: String,
    /// The price without any choice, in cents.
    pub base_price: i64,
    /// What the shopper chooses.
    pub attributes: Vec<Attribute>,
}

/// One choice of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The attribute's id, unique within its product.
    pub id: u64,
    /// The JSON:API `attributes.type`. The vendor's list of types is not public; the fake has `option` and `text`.
    pub kind: String,
    /// Cents added for a value, by the value's name.
    pub surcharges: BTreeMap<String, i64>,
    /// Cents added for any text that is not empty.
    pub text_surcharge: i64,
}

impl Product {
    /// A product without attributes.
    pub fn new(catalogue_id: u64, name: &str, base_price: i64) -> Self {
        Self { catalogue_id, name: name.to_owned(), base_price, attributes: Vec::new() }
    }

    /// Adds a choice between values, each with its cents; a value not listed costs nothing.
    pub fn option(mut self, id: u64, surcharges: &[(&str, i64)]) -> Self {
        let surcharges = surcharges.iter().map(|(value, cents)| ((*value).to_owned(), *cents)).collect();
        self.attributes.push(Attribute { id, kind: "option".to_owned(), surcharges, text_surcharge: 0 });
        self
    }

    /// Adds a free text, with the cents it costs.
    pub fn text(mut self, id: u64, surcharge: i64) -> Self {
        let surcharges = BTreeMap::new();
        self.attributes.push(Attribute { id, kind: "text".to_owned(), surcharges, text_surcharge: surcharge });
        self
    }

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
    fn surcharge(&self, choice: &Value) -> i64 {
        let text = choice.pointer("/attribute_value/value").and_then(Value::as_str).unwrap_or_default();
        let value = choice.get("attribute_value_name").and_then(Value::as_str).unwrap_or_default();
        let for_text = if text.is_empty() { 0 } else { self.text_surcharge };
        for_text + self.surcharges.get(value).copied().unwrap_or(0)
    }
}

/// Applies a percentage to cents, rounding half up.
pub(crate) fn percent(cents: i64, percent: i64) -> i64 {
    (cents * percent + 50).div_euclid(100)
}

/// The products the samples configure, and 1010 for [`generated`](crate::samples::generated) ones.
pub fn sample_products() -> Vec<Product> {
    vec![
        Product::new(1001, "Ring", 19_900)
            .option(11, &[("Silver", 0), ("Gold", 20_000)])
            .option(12, &[("17 mm", 0), ("21 mm", 1_500)])
            .text(13, 1_250)
            .option(14, &[]),
        Product::new(1002, "Shirt", 2_495)
            .option(21, &[("Red", 0), ("Black", 200)])
            .option(22, &[("Large", 0), ("Extra large", 150)])
            .option(23, &[])
            .option(24, &[]),
        Product::new(1003, "Wardrobe", 18_995)
            .option(31, &[("Oak", 2_500), ("White", 0)])
            .option(32, &[("240 cm", 1_999)])
            .option(33, &[("Soft close", 995)]),
        Product::new(1004, "Table set", 31_900).option(41, &[("Walnut", 3_000)]).option(42, &[]),
        Product::new(1005, "Chair", 8_450).option(51, &[("Green", 500)]),
        Product::new(1010, "Product of any size", 1_000),
    ]
}
