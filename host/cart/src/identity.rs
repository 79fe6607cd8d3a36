//! Identity of cart lines: different configurations never merge, and equal ones do.
//!
//! A line key is the SHA-256 of canonical JSON ([`canonical`](super::canonical)), so concatenated texts cannot
//! collide. Null members are left out: absent, null and the default are the same. Thumbnails, labels and prices are
//! not part of the key.

use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{Article, Attribute, Item};
use serde::Serialize;

use crate::canonical::{NotCanonical, canonical};
use crate::error::CartError;
use crate::money;
use crate::tree::ItemTree;

/// Kind of an attribute whose value is an option of the merchant, so that its label adds nothing to its id.
const OPTION_KIND: &str = "option";

/// The members of an item that its fingerprint covers.
#[derive(Serialize)]
struct FingerprintInput<'a> {
    articles: Vec<ArticleInput<'a>>,
    attributes: Vec<AttributeInput<'a>>,
    /// Fingerprints of the direct children, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    below: Vec<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    /// Digest of the state's canonical form.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Digest>,
    #[serde(rename = "vendor-product")]
    vendor_product: &'a str,
}

/// An attribute's id, the id of its value, and the value itself unless it is the label of an option.
type AttributeInput<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// An article's SKU, quantity, price SKU, material SKU, and the vendor's further data.
type ArticleInput<'a> = (&'a str, String, Option<&'a str>, Option<&'a str>, Vec<(&'a str, &'a str)>);

/// Returns the fingerprint of each item. It covers everything that makes an item what it is, with the items below it.
/// Each item is read once.
///
/// # Errors
/// Returns the index of an item whose state has no canonical form, and the reason.
#[allow(clippy::indexing_slicing, reason = "the tree was built from these items")]
pub(crate) fn fingerprints(items: &[Item], tree: &ItemTree) -> Result<Vec<Digest>, (usize, NotCanonical)> {
    let mut fingerprints: Vec<Option<Digest>> = vec![None; items.len()];
    // Children are hashed before their parents.
    for index in tree.parents_first.iter().rev().copied() {
        let below = tree.children[index].iter().filter_map(|child| fingerprints[*child]).collect();
        let fingerprint_input =
            fingerprint_input(&items[index], below).and_then(|fingerprint_input| digest(&fingerprint_input));
        fingerprints[index] = Some(fingerprint_input.map_err(|error| (index, error))?);
    }
    Ok(fingerprints.into_iter().flatten().collect())
}

fn fingerprint_input(item: &Item, below: Vec<Digest>) -> Result<FingerprintInput<'_>, NotCanonical> {
    let mut attributes: Vec<_> = item.attributes.iter().map(attribute_input).collect();
    attributes.sort_unstable();
    let mut articles: Vec<_> = item.articles.iter().map(article_input).collect();
    articles.sort_unstable();
    let state = if item.state.is_empty() { None } else { canonical(&item.state)? };
    Ok(FingerprintInput {
        articles,
        attributes,
        below,
        reference: item.reference.as_deref(),
        sku: item.sku.as_deref(),
        state: state.map(|state| Digest::of(&state)),
        vendor_product: &item.vendor_product,
    })
}

fn attribute_input(attribute: &Attribute) -> AttributeInput<'_> {
    // The label of an option depends on the shopper's language. A value that the shopper typed counts, even if it has
    // an id.
    let is_label = attribute.kind == OPTION_KIND && attribute.value_id.is_some();
    (&attribute.id, attribute.value_id.as_deref(), (!is_label).then_some(attribute.value.as_str()))
}

fn article_input(article: &Article) -> ArticleInput<'_> {
    let quantity = money::decimal(&article.quantity);
    let quantity = quantity.map_or_else(|_| article.quantity.clone(), |quantity| quantity.normalize().to_string());
    let extra = article.extra.iter().map(|extra| (extra.name.as_str(), extra.json.as_str())).collect();
    (&article.sku, quantity, article.price_sku.as_deref(), article.material_sku.as_deref(), extra)
}

/// The data that a line key covers.
#[derive(Serialize)]
pub(crate) struct LineKeyInput<'a> {
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
    /// The removed parts of a bundle, so that it never merges with a complete one.
    #[serde(skip_serializing_if = "<[Digest]>::is_empty")]
    pub(crate) without: &'a [Digest],
}

/// Returns a line key: 64 hex digits.
pub(crate) fn line_key(parts: &LineKeyInput<'_>) -> Result<String, CartError> {
    Ok(digest(parts)?.to_string())
}

/// The data that the key of a quoted line covers.
#[derive(Serialize)]
pub(crate) struct QuotedLineKey<'a> {
    /// Key of the line that the quote was requested for.
    pub(crate) key: &'a str,
    /// Id of the quote.
    pub(crate) quote: &'a str,
}

/// Returns the key of a line at the price of a quote.
pub(crate) fn quoted_line_key(parts: &QuotedLineKey<'_>) -> Result<String, CartError> {
    Ok(digest(parts)?.to_string())
}

/// The data that names a part of a bundle: what the part buys.
#[derive(Serialize)]
pub(crate) struct PartKeyInput<'a> {
    pub(crate) product: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<&'a str>,
}

/// Returns the name of a part, which is the same in every bundle.
pub(crate) fn part_name(name: &PartKeyInput<'_>) -> Result<Digest, CartError> {
    Ok(digest(name)?)
}

/// Returns the digest of a struct's JSON text. The text is canonical without sorting, because the structs in this
/// module declare their members in canonical order and contain only texts; a test checks this.
fn digest(value: &impl Serialize) -> Result<Digest, NotCanonical> {
    Ok(Digest::of(&serde_json::to_vec(value)?))
}

#[cfg(test)]
mod tests {
    use cartwright_contract::records::NamedJson;
    use proptest::prelude::*;

    use super::*;
    use crate::tree::item_tree;

    fn key(product: &str, variant: Option<&str>, strategy: &str) -> String {
        let shop = "shop".parse().unwrap();
        line_key(&LineKeyInput {
            shop: &shop,
            product,
            variant,
            text: None,
            fingerprint: None,
            strategy,
            parent: None,
            without: &[],
        })
        .unwrap()
    }

    proptest! {
        #[test]
        fn no_way_of_cutting_texts_gives_one_key(a in "[a-c:|-]{0,6}", b in "[a-c:|-]{0,6}", c in "[a-c:|-]{0,6}", d in "[a-c:|-]{0,6}") {
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(key(&a, Some(&b), "s") == key(&c, Some(&d), "s"), same);
        }
    }

    #[test]
    fn hashed_structs_serialize_canonically() {
        let shop = "shop".parse().unwrap();
        let digest = Some(Digest::of(b"any"));
        let text = "\u{1}\t\"\\/\u{7f}\u{2028}é😀";
        let key = LineKeyInput {
            shop: &shop,
            product: text,
            variant: Some(text),
            text: Some(text),
            fingerprint: digest,
            strategy: text,
            parent: Some(text),
            without: &[Digest::of(b"any")],
        };
        let item = FingerprintInput {
            articles: vec![(text, "1".to_owned(), Some(text), None, vec![(text, text)])],
            attributes: vec![(text, None, Some(text)), (text, Some(text), None)],
            below: vec![Digest::of(b"any")],
            reference: Some(text),
            sku: Some(text),
            state: digest,
            vendor_product: text,
        };
        assert_eq!(serde_json::to_vec(&key).unwrap(), serde_json_canonicalizer::to_vec(&key).unwrap());
        let part = PartKeyInput { product: text, text: Some(text), variant: Some(text) };
        assert_eq!(serde_json::to_vec(&part).unwrap(), serde_json_canonicalizer::to_vec(&part).unwrap());
        let offered = QuotedLineKey { key: "k", quote: "q" };
        assert_eq!(serde_json::to_vec(&offered).unwrap(), serde_json_canonicalizer::to_vec(&offered).unwrap());
        assert_eq!(serde_json::to_vec(&[&item]).unwrap(), serde_json_canonicalizer::to_vec(&[&item]).unwrap());
    }

    #[test]
    fn a_line_without_a_variant_is_not_one_with_an_empty_one() {
        assert_ne!(key("p", None, "s"), key("p", Some(""), "s"));
    }

    fn item(state: &str) -> Item {
        Item {
            id: None,
            parent: None,
            vendor_product: "1001".into(),
            attributes: vec![],
            articles: vec![],
            sku: None,
            reference: None,
            thumbnail: None,
            state: state.into(),
            unverified: None,
            extra: vec![],
        }
    }

    fn attribute(kind: &str, value: &str, value_id: Option<&str>) -> Attribute {
        Attribute {
            id: "13".into(),
            name: "Text".into(),
            value: value.into(),
            value_id: value_id.map(str::to_owned),
            key: None,
            hidden: false,
            kind: kind.into(),
        }
    }

    fn article(quantity: &str, extra: &[(&str, &str)]) -> Article {
        let named = |(name, json): &(&str, &str)| NamedJson { name: (*name).into(), json: (*json).into() };
        Article {
            sku: "PANEL".into(),
            quantity: quantity.into(),
            price_sku: None,
            price: None,
            material_sku: None,
            extra: extra.iter().map(named).collect(),
        }
    }

    /// Returns the fingerprint of the first of these items.
    fn first(items: &[Item]) -> Digest {
        fingerprints(items, &item_tree(items).unwrap()).unwrap()[0]
    }

    fn of_attribute(kind: &str, value: &str, value_id: Option<&str>) -> Digest {
        first(&[Item { attributes: vec![attribute(kind, value, value_id)], ..item("") }])
    }

    #[test]
    fn a_text_that_a_shopper_typed_counts_whatever_id_it_has() {
        assert_ne!(of_attribute("text", "Anna", Some("7")), of_attribute("text", "Tom", Some("7")));
        assert_ne!(of_attribute("file", "a.png", Some("7")), of_attribute("file", "b.png", Some("7")));
        assert_ne!(of_attribute("text", "Anna", None), of_attribute("text", "Tom", None));
        assert_ne!(of_attribute("text", "7", None), of_attribute("option", "7", Some("7")));
    }

    #[test]
    fn the_label_of_an_option_does_not_count() {
        assert_eq!(of_attribute("option", "Red", Some("7")), of_attribute("option", "Rood", Some("7")));
        assert_ne!(of_attribute("option", "Red", Some("7")), of_attribute("option", "Red", Some("8")));
        assert_ne!(of_attribute("option", "Red", None), of_attribute("option", "Rood", None));
    }

    #[test]
    fn further_data_of_an_article_counts_and_the_spelling_of_its_quantity_does_not() {
        let of =
            |quantity, extra: &[(&str, &str)]| first(&[Item { articles: vec![article(quantity, extra)], ..item("") }]);
        assert_eq!(of("1", &[]), of("1.00", &[]));
        assert_ne!(of("1", &[]), of("1.01", &[]));
        assert_ne!(of("1", &[("expivi:length", "600")]), of("1", &[("expivi:length", "601")]));
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_tell_states_apart() {
        let of = |number: &str| first(&[item(&format!("{{\"far\":{number}}}"))]);
        assert_eq!(of("3.4028234663852886e38"), of("3.4028234663852886E+38"));
        assert_ne!(of("1770000000123456789"), of("1770000000123456788"));
        assert_ne!(of("1.7976931348623157e308"), of("1.7976931348623155e308"));
    }

    #[test]
    fn the_structure_of_items_counts_and_their_ids_do_not() {
        let named = |id: &str, parent: Option<&str>, state: &str| Item {
            id: Some(id.into()),
            parent: parent.map(str::to_owned),
            ..item(state)
        };
        let side_by_side = [named("a", None, "1"), named("b", Some("a"), "2"), named("c", Some("a"), "3")];
        let chained = [named("a", None, "1"), named("b", Some("a"), "2"), named("c", Some("b"), "3")];
        let renamed = [named("x", None, "1"), named("y", Some("x"), "2"), named("z", Some("y"), "3")];
        let child_first = [named("c", Some("b"), "3"), named("b", Some("a"), "2"), named("a", None, "1")];
        assert_ne!(first(&side_by_side), first(&chained));
        assert_eq!(first(&chained), first(&renamed));
        let of_last = fingerprints(&child_first, &item_tree(&child_first).unwrap()).unwrap()[2];
        assert_eq!(first(&chained), of_last);
    }
}
