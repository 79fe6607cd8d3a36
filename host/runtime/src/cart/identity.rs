//! When two lines are the same: two configurations that differ never merge, two that are the same do.
//!
//! A line's key is the SHA-256 of canonical JSON (RFC 8785), so no joining of texts can collide. A member that is null is left
//! out: absent, null and the default are the same. Pictures, labels and prices are not part of it.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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

/// An item, as its fingerprint sees it.
#[derive(Serialize)]
struct Described<'a> {
    articles: Vec<(&'a str, &'a str, Option<&'a str>, Option<&'a str>)>,
    /// Id, whether the value has an id, and the value's id or text.
    attributes: Vec<(&'a str, bool, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    /// The digest of the state's canonical form.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Digest>,
    #[serde(rename = "vendor-product")]
    vendor_product: &'a str,
}

/// The fingerprint of an item together with the items below it: everything that makes it what it is.
pub(crate) fn fingerprint(items: &[&Item]) -> Result<Digest, NotCanonical> {
    let described = items.iter().map(|item| described(item)).collect::<Result<Vec<Described<'_>>, NotCanonical>>()?;
    Ok(digest(&described))
}

fn described(item: &Item) -> Result<Described<'_>, NotCanonical> {
    let mut attributes: Vec<_> = item
        .attributes
        .iter()
        .map(|attribute| {
            let value = attribute.value_id.as_ref().unwrap_or(&attribute.value);
            (attribute.id.as_str(), attribute.value_id.is_some(), value.as_str())
        })
        .collect();
    attributes.sort_unstable();
    let mut articles: Vec<_> = item
        .articles
        .iter()
        .map(|article| {
            let (price, material) = (article.price_sku.as_deref(), article.material_sku.as_deref());
            (article.sku.as_str(), article.quantity.as_str(), price, material)
        })
        .collect();
    articles.sort_unstable();
    let state = if item.state.is_empty() { Value::Null } else { parse(&item.state)? };
    Ok(Described {
        articles,
        attributes,
        reference: item.reference.as_deref(),
        sku: item.sku.as_deref(),
        // A `Value` always has a canonical form: its keys are texts and its numbers are finite.
        state: (!state.is_null()).then(|| Digest::of(&serde_json_canonicalizer::to_vec(&state).unwrap_or_default())),
        vendor_product: &item.vendor_product,
    })
}

/// What a line's key is made of.
#[derive(Serialize)]
pub(crate) struct KeyParts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<&'a str>,
    pub(crate) product: &'a str,
    pub(crate) shop: &'a ShopId,
    pub(crate) strategy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<&'a str>,
    /// The parts that were taken out of a bundle: it never becomes one with a whole one.
    #[serde(skip_serializing_if = "<[Digest]>::is_empty")]
    pub(crate) without: &'a [Digest],
}

/// A line's key: 64 hex digits.
pub(crate) fn line_key(parts: &KeyParts<'_>) -> String {
    digest(parts).to_string()
}

/// What the key of an offered line is made of.
#[derive(Serialize)]
pub(crate) struct OfferedKey<'a> {
    /// The key of the line that was asked about.
    pub(crate) key: &'a str,
    /// The quotation that offers it.
    pub(crate) quotation: &'a str,
}

/// The key of a line at the price that a quotation offers.
pub(crate) fn offered_key(parts: &OfferedKey<'_>) -> String {
    digest(parts).to_string()
}

/// What a part of a bundle is called by: what it buys.
#[derive(Serialize)]
pub(crate) struct PartName<'a> {
    pub(crate) product: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<&'a str>,
}

/// A part's name, in whichever bundle.
pub(crate) fn part_name(name: &PartName<'_>) -> Digest {
    digest(name)
}

/// The digest of a struct's JSON text. It is canonical without being sorted, because the structs here name their members in
/// canonical order and hold texts and truth values only; a test holds them to it.
fn digest(value: &impl Serialize) -> Digest {
    Digest::of(&serde_json::to_vec(value).unwrap_or_default())
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
        line_key(&KeyParts {
            shop: &shop,
            product,
            variant,
            text: None,
            fingerprint: None,
            strategy,
            parent: None,
            without: &[],
        })
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
    fn what_is_hashed_is_canonical_as_it_is_written() {
        let shop = "shop".parse().unwrap();
        let digest = Some(Digest::of(b"any"));
        let text = "\u{1}\t\"\\/\u{7f}\u{2028}é😀";
        let key = KeyParts {
            shop: &shop,
            product: text,
            variant: Some(text),
            text: Some(text),
            fingerprint: digest,
            strategy: text,
            parent: Some(text),
            without: &[Digest::of(b"any")],
        };
        let item = Described {
            articles: vec![(text, "1", Some(text), None)],
            attributes: vec![(text, true, text)],
            reference: Some(text),
            sku: Some(text),
            state: digest,
            vendor_product: text,
        };
        assert_eq!(serde_json::to_vec(&key).unwrap(), serde_json_canonicalizer::to_vec(&key).unwrap());
        let part = PartName { product: text, text: Some(text), variant: Some(text) };
        assert_eq!(serde_json::to_vec(&part).unwrap(), serde_json_canonicalizer::to_vec(&part).unwrap());
        let offered = OfferedKey { key: "k", quotation: "q" };
        assert_eq!(serde_json::to_vec(&offered).unwrap(), serde_json_canonicalizer::to_vec(&offered).unwrap());
        assert_eq!(serde_json::to_vec(&[&item]).unwrap(), serde_json_canonicalizer::to_vec(&[&item]).unwrap());
    }

    #[test]
    fn a_line_without_a_variant_is_not_one_with_an_empty_one() {
        assert_ne!(key("p", None, "s"), key("p", Some(""), "s"));
    }
}
