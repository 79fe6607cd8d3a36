//! When two lines are the same: two configurations that differ never merge, two that are the same do.
//!
//! A line's key is the SHA-256 of canonical JSON (RFC 8785), so no joining of texts can collide. A member that is null is left
//! out: absent, null and the default are the same. Pictures, labels and prices are not part of it.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use crate::contract::Item;
use crate::ids::{Digest, ShopId};

/// The largest whole number that JSON numbers hold exactly (RFC 8785 says so of IEEE 754 doubles).
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
/// How deep a configuration's state may be nested.
const DEEPEST: usize = 100;

/// A JSON text that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state is no JSON with one meaning: {0}")]
pub struct NotCanonical(String);

/// The fingerprint of an item together with the items below it: everything that makes it what it is.
pub(crate) fn fingerprint(items: &[&Item]) -> Result<Digest, NotCanonical> {
    let described = items.iter().map(|item| described(item)).collect::<Result<Vec<Value>, NotCanonical>>()?;
    Ok(digest(&Value::Array(described)))
}

fn described(item: &Item) -> Result<Value, NotCanonical> {
    let mut attributes: Vec<Value> = item
        .attributes
        .iter()
        .map(|attribute| match &attribute.value_id {
            Some(id) => json!([attribute.id, 1, id]),
            None => json!([attribute.id, 0, attribute.value]),
        })
        .collect();
    attributes.sort_by_cached_key(Value::to_string);
    let mut articles: Vec<Value> = item
        .articles
        .iter()
        .map(|article| json!([article.sku, article.quantity, article.price_sku, article.material_sku]))
        .collect();
    articles.sort_by_cached_key(Value::to_string);
    let state = if item.state.is_empty() { Value::Null } else { parse(&item.state)? };
    let mut members = Map::new();
    members.insert("vendor-product".into(), json!(item.vendor_product));
    members.insert("attributes".into(), Value::Array(attributes));
    members.insert("articles".into(), Value::Array(articles));
    if let Some(sku) = &item.sku {
        members.insert("sku".into(), json!(sku));
    }
    if let Some(reference) = &item.reference {
        members.insert("reference".into(), json!(reference));
    }
    if !state.is_null() {
        members.insert("state".into(), state);
    }
    Ok(Value::Object(members))
}

/// What a line's key is made of.
pub(crate) struct KeyParts<'a> {
    pub(crate) shop: &'a ShopId,
    pub(crate) product: &'a str,
    pub(crate) variant: Option<&'a str>,
    pub(crate) text: Option<&'a str>,
    pub(crate) fingerprint: Option<Digest>,
    pub(crate) strategy: &'a str,
    pub(crate) parent: Option<&'a str>,
}

/// A line's key: 64 hex digits.
pub(crate) fn line_key(parts: &KeyParts<'_>) -> String {
    let mut members = Map::new();
    let mut member = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), Value::String(value));
        }
    };
    member("shop", Some(parts.shop.to_string()));
    member("product", Some(parts.product.to_owned()));
    member("variant", parts.variant.map(str::to_owned));
    member("text", parts.text.map(str::to_owned));
    member("fingerprint", parts.fingerprint.map(|digest| digest.to_string()));
    member("strategy", Some(parts.strategy.to_owned()));
    member("parent", parts.parent.map(str::to_owned));
    digest(&Value::Object(members)).to_string()
}

/// The digest of a value's canonical form.
pub(crate) fn digest(value: &Value) -> Digest {
    // A `Value` always has a canonical form: its keys are texts and its numbers are finite.
    let canonical = serde_json_canonicalizer::to_vec(value).unwrap_or_default();
    Digest::of(&canonical)
}

/// Reads JSON in which everything has one meaning: no member twice, no number that a double does not hold, not too deep.
/// Members that are null are left out.
pub(crate) fn parse(text: &str) -> Result<Value, NotCanonical> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(|error| NotCanonical(error.to_string()))?;
    deserializer.end().map_err(|error| NotCanonical(error.to_string()))?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEEPEST {
            return Err(D::Error::custom(format!("nested deeper than {DEEPEST}")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        whole(value as f64, value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        whole(value as f64, value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) if value.abs() <= LARGEST_EXACT => Ok(Value::Number(number)),
            _ => Err(E::custom("a number that cannot be held exactly")),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Strict { depth: self.depth + 1 })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let mut nulls = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { depth: self.depth + 1 })?;
            if members.contains_key(&name) || nulls.contains(&name) {
                return Err(A::Error::custom(format!("the member {name:?} stands twice")));
            }
            if value.is_null() {
                nulls.push(name);
            } else {
                members.insert(name, value);
            }
        }
        Ok(Value::Object(members))
    }
}

fn whole<E: serde::de::Error>(approximate: f64, number: Number) -> Result<Value, E> {
    if approximate.abs() < LARGEST_EXACT {
        Ok(Value::Number(number))
    } else {
        Err(E::custom("a whole number that cannot be held exactly"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        serde_json_canonicalizer::to_string(&parse(text).unwrap()).unwrap()
    }

    #[test]
    fn absent_null_and_spelling_make_no_difference() {
        assert_eq!(canonical(r#"{"b": 1.0, "a": null, "c": [1e1]}"#), canonical(r#"{"c":[10],"b":1}"#));
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":null,"a":1}"#, "12345678901234567890", "1e400", "[1] 2", "{\"a\":", ""]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    fn key(product: &str, variant: Option<&str>, strategy: &str) -> String {
        let shop = "shop".parse().unwrap();
        line_key(&KeyParts { shop: &shop, product, variant, text: None, fingerprint: None, strategy, parent: None })
    }

    proptest! {
        #[test]
        fn no_way_of_cutting_texts_gives_one_key(a in "[a-c:|-]{0,6}", b in "[a-c:|-]{0,6}", c in "[a-c:|-]{0,6}", d in "[a-c:|-]{0,6}") {
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(key(&a, Some(&b), "s") == key(&c, Some(&d), "s"), same);
        }

        #[test]
        fn the_order_of_members_makes_no_difference(values in prop::collection::btree_map("[a-z]{1,8}", any::<i32>(), 0..8)) {
            let forward: Vec<String> = values.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            let backward: Vec<String> = forward.iter().rev().cloned().collect();
            prop_assert_eq!(
                canonical(&format!("{{{}}}", forward.join(","))),
                canonical(&format!("{{{}}}", backward.join(" , ")))
            );
        }
    }

    #[test]
    fn a_line_without_a_variant_is_not_one_with_an_empty_one() {
        assert_ne!(key("p", None, "s"), key("p", Some(""), "s"));
    }
}
