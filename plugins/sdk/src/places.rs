//! Which line of the cart each configured product takes the place of.

use crate::strategy::{Intent, Request};
use crate::types::Line;

/// Where the roots of a request go. See [`places`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// One for each root.
    pub roots: Vec<Place>,
    /// Lines that no root stands for any more: they are removed.
    pub gone: Vec<String>,
}

/// Where one root goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line whose place it takes; none adds it.
    pub key: Option<String>,
    /// How many.
    pub quantity: u32,
}

/// Follows the rule of the contract's `intent.replace` for the roots with these indices in the request's items. With any other
/// intent every root is added.
pub fn places(request: &Request, roots: &[usize]) -> Places {
    let mut places =
        Places { roots: vec![Place { key: None, quantity: request.quantity }; roots.len()], gone: Vec::new() };
    let Intent::Replace(edited) = &request.intent else { return places };
    let configuration =
        request.lines.iter().find(|line| line.key == *edited).and_then(|line| line.configuration.as_ref());
    let is_edited = |line: &Line| line.key == *edited;
    let mut siblings: Vec<&Line> = request
        .lines
        .iter()
        .filter(|line| line.parent_key.is_none())
        .filter(|line| is_edited(line) || (configuration.is_some() && line.configuration.as_ref() == configuration))
        .collect();
    for (place, root) in places.roots.iter_mut().zip(roots) {
        // The same product may be in the cart twice, once bought again: the edited one is meant then.
        let at = siblings
            .iter()
            .position(|line| is_edited(line) && stands_for(line, request, *root))
            .or_else(|| siblings.iter().position(|line| stands_for(line, request, *root)));
        if let Some(at) = at {
            let line = siblings.remove(at);
            place.key = Some(line.key.clone());
            if !is_edited(line) {
                place.quantity = line.quantity.max(1);
            }
        }
    }
    let taken = |places: &Places, key: &String| places.roots.iter().any(|place| place.key.as_ref() == Some(key));
    if !taken(&places, edited)
        && let Some(free) = places.roots.iter_mut().find(|place| place.key.is_none())
    {
        free.key = Some(edited.clone());
    }
    places.gone = siblings.iter().map(|line| line.key.clone()).filter(|key| !taken(&places, key)).collect();
    places
}

/// Is the line's configured product this root?
fn stands_for(line: &Line, request: &Request, root: usize) -> bool {
    let (Some(held), Some(item)) = (&line.item, request.items.get(root)) else { return false };
    match (&held.id, &item.id) {
        (Some(held), Some(id)) => held == id,
        _ => held.index as usize == root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Association, Item, ItemReference, PriceSource};

    fn item(id: Option<&str>) -> Item {
        Item {
            id: id.map(str::to_owned),
            parent: None,
            vendor_product: "1".to_owned(),
            attributes: vec![],
            articles: vec![],
            sku: None,
            reference: None,
            thumbnail: None,
            state: String::new(),
            unverified: None,
            extra: vec![],
        }
    }

    fn line(key: &str, configuration: &str, index: u32, id: Option<&str>, quantity: u32) -> Line {
        let item = ItemReference {
            index,
            id: id.map(str::to_owned),
            vendor_product: "1".to_owned(),
            reference: None,
            fingerprint: String::new(),
        };
        Line {
            key: key.to_owned(),
            product: "p".to_owned(),
            variant_id: None,
            sku: None,
            quantity,
            parent_key: None,
            unit_price: None,
            configuration: Some(configuration.to_owned()),
            item: Some(item),
        }
    }

    fn request(intent: Intent, items: Vec<Item>, lines: Vec<Line>) -> Request {
        Request {
            intent,
            strategy: "s".to_owned(),
            association: Association {
                shop_product: "p".to_owned(),
                vendor_product: "1".to_owned(),
                other_vendor_products: vec![],
                preset: None,
                allowed_skus: vec![],
            },
            items,
            prices: vec![],
            price_from: PriceSource::Platform,
            quantity: 7,
            chosen_variant: None,
            lines,
            extra: vec![],
        }
    }

    fn of(places: &Places) -> Vec<(Option<&str>, u32)> {
        places.roots.iter().map(|place| (place.key.as_deref(), place.quantity)).collect()
    }

    #[test]
    fn an_addition_replaces_nothing() {
        let lines = vec![line("a", "c", 0, Some("x"), 1)];
        let places = places(&request(Intent::Add, vec![item(Some("x"))], lines), &[0]);
        assert_eq!((of(&places), places.gone.len()), (vec![(None, 7)], 0));
    }

    #[test]
    fn siblings_keep_their_quantity_and_what_is_gone_is_removed() {
        let lines = vec![
            line("a", "c", 0, Some("x"), 2),
            line("b", "c", 1, Some("y"), 5),
            line("z", "c", 2, Some("z"), 1),
            line("other", "d", 0, Some("y"), 9),
        ];
        let items = vec![item(Some("y")), item(Some("x")), item(Some("new"))];
        let places = places(&request(Intent::Replace("a".to_owned()), items, lines), &[0, 1, 2]);
        assert_eq!(of(&places), [(Some("b"), 5), (Some("a"), 7), (None, 7)]);
        assert_eq!(places.gone, ["z"]);
    }

    #[test]
    fn products_without_ids_are_told_by_their_place() {
        let lines = vec![line("a", "c", 0, None, 2), line("b", "c", 1, None, 5)];
        let places = places(&request(Intent::Replace("b".to_owned()), vec![item(None), item(None)], lines), &[0, 1]);
        assert_eq!(of(&places), [(Some("a"), 2), (Some("b"), 7)]);
    }

    #[test]
    fn a_wholly_new_configuration_takes_the_edited_place() {
        let lines = vec![line("a", "c", 0, Some("x"), 2)];
        let items = vec![item(Some("n")), item(Some("m"))];
        let places = places(&request(Intent::Replace("a".to_owned()), items, lines), &[0, 1]);
        assert_eq!(of(&places), [(Some("a"), 7), (None, 7)]);
        assert!(places.gone.is_empty());
    }
}
