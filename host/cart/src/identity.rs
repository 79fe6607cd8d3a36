//! Identity of cart lines: different configurations never merge, and equal ones do.
//!
//! A line key is the SHA-256 of canonical JSON ([`canonical`](super::canonical)), so concatenated texts cannot
//! collide. Null members are left out: absent, null and the default are the same. Thumbnails, labels and prices are
//! not part of the key.

use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{Attribute, BytesSource, ChoiceKind, Item};
use serde::Serialize;

use crate::articles::{ArticleInput, fingerprint_inputs};
use crate::canonical::{NotCanonical, canonical, digest};
use crate::error::CartError;
use crate::tree::ItemTree;

/// The members of an item that its fingerprint covers.
#[derive(Serialize)]
struct FingerprintInput<'a> {
    articles: Vec<ArticleInput<'a>>,
    attributes: Vec<AttributeInput<'a>>,
    /// Fingerprints of the direct children, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    below: Vec<Digest>,
    /// How many of the item one parent takes; absent for one.
    #[serde(skip_serializing_if = "is_one")]
    quantity: u32,
    #[serde(rename = "saved-id", skip_serializing_if = "Option::is_none")]
    saved_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    /// Digest of the state's canonical form.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Digest>,
    #[serde(rename = "vendor-product")]
    vendor_product: &'a str,
}

/// An attribute's id, the id of its value, the value itself unless it is the label of a choice, and the digest of its
/// file.
type AttributeInput<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<String>);

fn is_one(quantity: &u32) -> bool {
    *quantity == 1
}

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
    let state = if item.state.is_empty() { None } else { canonical(&item.state)? };
    Ok(FingerprintInput {
        articles: fingerprint_inputs(&item.articles)?,
        attributes,
        below,
        quantity: item.quantity,
        saved_id: item.saved_id.as_deref(),
        sku: item.sku.as_deref(),
        state: state.map(|state| Digest::of(&state)),
        vendor_product: &item.vendor_product,
    })
}

fn attribute_input(attribute: &Attribute) -> AttributeInput<'_> {
    // The label of a choice depends on the shopper's language. A value that the shopper typed counts, even if it has
    // an id.
    let is_label = attribute.kind == ChoiceKind::Chosen && attribute.value_id.is_some();
    let file = attribute.file.as_ref().map(|file| match file {
        BytesSource::Bytes(bytes) => Digest::of(bytes).to_string(),
        BytesSource::Stored(digest) => digest.clone(),
    });
    (&attribute.id, attribute.value_id.as_deref(), (!is_label).then_some(attribute.value.as_str()), file)
}

/// The data that a line key covers.
#[derive(Serialize)]
pub(crate) struct LineKeyInput<'a> {
    /// Of the lines of a set that buy the same, the number of the line; `None` for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<&'a str>,
    pub(crate) product: &'a str,
    /// For a line of a set that does not name the item: key of the line that does. Equal sets therefore have equal
    /// keys, and a line of one never merges with a line of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<&'a str>,
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

#[cfg(test)]
mod tests {
    use cartwright_contract::records::{Article, NamedJson};
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
            set: None,
            copy: None,
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
            set: Some(text),
            copy: Some(text),
            without: &[Digest::of(b"any")],
        };
        let item = FingerprintInput {
            articles: vec![(
                text,
                "1".to_owned(),
                Some(text),
                None,
                Some(text),
                vec![(text, text)],
                vec![Digest::of(b"any")],
            )],
            attributes: vec![(text, None, Some(text), None), (text, Some(text), None, Some(text.to_owned()))],
            below: vec![Digest::of(b"any")],
            quantity: 3,
            saved_id: Some(text),
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
            title: None,
            quantity: 1,
            attributes: vec![],
            articles: vec![],
            sku: None,
            saved_id: None,
            thumbnail: None,
            state: state.into(),
            unverified: None,
            valid_until: None,
            extra: vec![],
        }
    }

    fn attribute(kind: ChoiceKind, value: &str, value_id: Option<&str>) -> Attribute {
        Attribute {
            id: "13".into(),
            name: "Text".into(),
            value: value.into(),
            value_id: value_id.map(str::to_owned),
            key: None,
            hidden: false,
            kind,
            group: None,
            file: None,
            extra: vec![],
        }
    }

    fn article(quantity: &str, extra: &[(&str, &str)]) -> Article {
        let named = |(name, json): &(&str, &str)| NamedJson { name: (*name).into(), json: (*json).into() };
        Article {
            sku: "PANEL".into(),
            title: None,
            quantity: quantity.into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent: None,
            extra: extra.iter().map(named).collect(),
        }
    }

    /// Returns the fingerprint of the first of these items.
    fn first(items: &[Item]) -> Digest {
        fingerprints(items, &item_tree(items).unwrap()).unwrap()[0]
    }

    fn of_attribute(kind: ChoiceKind, value: &str, value_id: Option<&str>) -> Digest {
        first(&[Item { attributes: vec![attribute(kind, value, value_id)], ..item("") }])
    }

    #[test]
    fn a_text_that_a_shopper_typed_counts_whatever_id_it_has() {
        use ChoiceKind::{Chosen, File, Text};
        assert_ne!(of_attribute(Text, "Anna", Some("7")), of_attribute(Text, "Tom", Some("7")));
        assert_ne!(of_attribute(File, "a.png", Some("7")), of_attribute(File, "b.png", Some("7")));
        assert_ne!(of_attribute(Text, "Anna", None), of_attribute(Text, "Tom", None));
        assert_ne!(of_attribute(Text, "7", None), of_attribute(Chosen, "7", Some("7")));
    }

    #[test]
    fn the_label_of_a_choice_does_not_count() {
        use ChoiceKind::Chosen;
        assert_eq!(of_attribute(Chosen, "Red", Some("7")), of_attribute(Chosen, "Rood", Some("7")));
        assert_ne!(of_attribute(Chosen, "Red", Some("7")), of_attribute(Chosen, "Red", Some("8")));
        assert_ne!(of_attribute(Chosen, "Red", None), of_attribute(Chosen, "Rood", None));
    }

    #[test]
    fn the_bytes_of_a_file_count_wherever_they_are() {
        let of = |file: Option<BytesSource>| {
            first(&[Item {
                attributes: vec![Attribute { file, ..attribute(ChoiceKind::File, "a.png", None) }],
                ..item("")
            }])
        };
        let inline = |bytes: &[u8]| Some(BytesSource::Bytes(bytes.to_vec()));
        assert_ne!(of(inline(b"a")), of(inline(b"b")));
        assert_ne!(of(inline(b"a")), of(None));
        assert_eq!(of(inline(b"a")), of(Some(BytesSource::Stored(Digest::of(b"a").to_string()))));
    }

    #[test]
    fn what_is_for_display_does_not_count() {
        let named = || vec![NamedJson { name: "vendor/note".into(), json: "1".into() }];
        let shown =
            Attribute { group: Some("Wood".into()), extra: named(), ..attribute(ChoiceKind::Chosen, "Oak", None) };
        let displayed = Item {
            title: Some("Ring".into()),
            valid_until: Some("2026-03-01T09:30:00Z".into()),
            attributes: vec![shown],
            articles: vec![Article { title: Some("Panel".into()), ..article("1", &[]) }],
            extra: named(),
            ..item("")
        };
        let plain = Item {
            attributes: vec![attribute(ChoiceKind::Chosen, "Oak", None)],
            articles: vec![article("1", &[])],
            ..item("")
        };
        assert_eq!(first(&[displayed]), first(&[plain]));
    }

    #[test]
    fn how_many_of_a_part_a_product_takes_counts() {
        let of = |quantity: u32| {
            let root = Item { id: Some("table".into()), ..item("") };
            first(&[root, Item { parent: Some("table".into()), quantity, ..item("") }])
        };
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn further_data_of_an_article_counts_and_the_spelling_of_its_quantity_does_not() {
        let of =
            |quantity, extra: &[(&str, &str)]| first(&[Item { articles: vec![article(quantity, extra)], ..item("") }]);
        assert_eq!(of("1", &[]), of("1.00", &[]));
        assert_ne!(of("1", &[]), of("1.01", &[]));
        assert_ne!(of("1", &[("expivi/length", "600")]), of("1", &[("expivi/length", "601")]));
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
