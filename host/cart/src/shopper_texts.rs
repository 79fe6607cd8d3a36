//! What a shopper wrote into a configured product. It may be personal: an engraving names people.

use cartwright_contract::records::{Attribute, ChoiceKind, DisplayField, Item};

use crate::tree::Descendant;

/// Maximum number of texts that are searched for in what a line shows. With more of them, everything that the line shows
/// counts as written by the shopper.
const MAX_TEXTS: usize = 64;

/// The texts of an item and the items below it.
pub(crate) struct ShopperTexts<'a>(Vec<&'a str>);

impl<'a> ShopperTexts<'a> {
    /// Collects the texts of a configured product: those of an item and the items below it.
    pub(crate) fn of(items: &'a [Item], descendants: &[Descendant]) -> Self {
        let items = descendants.iter().filter_map(|below| items.get(below.index));
        let attributes = items.flat_map(|item| &item.attributes);
        let texts = attributes.filter(|attribute| is_written(attribute)).map(|attribute| attribute.value.trim());
        Self(texts.filter(|text| !text.is_empty()).collect())
    }

    /// Returns the indexes of the details that contain a text, or `None` if there is nothing to mark. A configured line
    /// is marked even if no detail contains a text, because its bill of materials may.
    pub(crate) fn within(&self, shown: &[DisplayField], is_configured: bool) -> Option<Vec<u32>> {
        if self.0.is_empty() {
            return None;
        }
        let contains = |detail: &DisplayField| {
            self.0.len() > MAX_TEXTS
                || self.0.iter().any(|text| detail.value.contains(text) || detail.name.contains(text))
        };
        let personal: Vec<u32> =
            (0..).zip(shown).filter(|(_, detail)| contains(detail)).map(|(index, _)| index).collect();
        (is_configured || !personal.is_empty()).then_some(personal)
    }
}

/// Returns whether the value of an attribute is the shopper's own, and not one of the merchant's.
fn is_written(attribute: &Attribute) -> bool {
    matches!(attribute.kind, ChoiceKind::Text | ChoiceKind::File)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FIRST: Descendant = Descendant { index: 0, count: 1 };

    fn attribute(kind: &str, value: &str, hidden: bool) -> Value {
        json!({
            "id": value, "name": "A choice", "value": value, "value_id": null, "key": null, "hidden": hidden, "kind": kind,
            "group": null, "file": null,
        })
    }

    fn items(attributes: &[Value]) -> Vec<Item> {
        let item = json!({
            "id": null, "parent": null, "vendor_product": "1", "title": null, "quantity": 1, "attributes": attributes,
            "articles": [], "sku": null, "saved_id": null, "thumbnail": null, "state": "", "unverified": null,
            "valid_until": null,
        });
        serde_json::from_value(json!([item])).unwrap()
    }

    fn shown(values: &[&str]) -> Vec<DisplayField> {
        values.iter().map(|value| DisplayField { name: "A detail".into(), value: (*value).into() }).collect()
    }

    #[test]
    fn details_with_what_the_shopper_wrote_are_marked_however_they_are_composed() {
        let items = items(&[
            attribute("chosen", "Gold", false),
            attribute("text", " For Ann ", false),
            attribute("text", "secret", true),
            attribute("file", "ann.svg", false),
            attribute("text", "", false),
        ]);
        let texts = ShopperTexts::of(&items, &[FIRST]);
        let shown = shown(&["Gold", "For Ann", "For Ann (Arial)", "Size 17", "File ann.svg", "a secret"]);
        assert_eq!(texts.within(&shown, true), Some(vec![1, 2, 4, 5]));
        assert_eq!(texts.within(&shown[..1], true), Some(vec![]), "the bill of materials may hold them");
        assert_eq!(texts.within(&shown[..1], false), None);
        let named = [DisplayField { name: "For Ann".into(), value: "Gold".into() }];
        assert_eq!(texts.within(&named, false), Some(vec![0]));
    }

    #[test]
    fn a_line_of_the_merchant_s_own_choices_has_no_marks() {
        let items = items(&[attribute("chosen", "Gold", false), attribute("number", "17", false)]);
        assert_eq!(ShopperTexts::of(&items, &[FIRST]).within(&shown(&["Gold", "17"]), true), None);
        assert_eq!(ShopperTexts::of(&items, &[]).within(&shown(&["Gold"]), true), None);
    }

    #[test]
    fn too_many_texts_to_search_for_mark_everything() {
        let attributes: Vec<Value> =
            (0..=MAX_TEXTS).map(|number| attribute("text", &format!("text {number}"), false)).collect();
        let items = items(&attributes);
        assert_eq!(ShopperTexts::of(&items, &[FIRST]).within(&shown(&["Gold", "17"]), true), Some(vec![0, 1]));
    }
}
