//! The tree of items.

use std::collections::HashMap;

use cartwright_contract::records::Item;

use crate::budget::MAX_LINE_QUANTITY;
use crate::error::{CartError, issue};

/// An item of a configured product: the product itself, or an item below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descendant {
    /// Its index among the items.
    pub index: usize,
    /// How many of it one configured product takes; 1 for the product itself.
    pub count: u32,
}

/// The parents and children of a configuration's items, computed in one pass.
pub(crate) struct ItemTree {
    /// For each item, the indexes of its direct children.
    pub(crate) children: Vec<Vec<usize>>,
    /// All items, every parent before its children.
    pub(crate) parents_first: Vec<usize>,
    /// For each root, the root and all items below it. Empty for every other item, because only roots are sold.
    pub(crate) descendants: Vec<Vec<Descendant>>,
}

/// Builds the tree of items.
///
/// # Errors
/// Returns an error if two items have the same id, a parent does not exist, parents form a cycle, or a product takes too
/// many of an item.
#[allow(
    clippy::indexing_slicing,
    reason = "every index is a position of `items`, and every list has an entry for each item"
)]
pub(crate) fn item_tree(items: &[Item]) -> Result<ItemTree, CartError> {
    let wrong = |index: usize, key: &str, text: String| {
        Err(CartError::Configuration(issue(&format!("[{index}].parent"), key, text)))
    };
    let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if let Some(id) = &item.id
            && by_id.insert(id, index).is_some()
        {
            return wrong(index, "id-twice", format!("duplicate item id {id:?}"));
        }
    }
    let mut children = vec![Vec::new(); items.len()];
    let mut parents_first = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match &item.parent {
            None => parents_first.push(index),
            Some(parent) => match by_id.get(parent.as_str()) {
                Some(above) => children[*above].push(index),
                None => return wrong(index, "parent-unknown", format!("no item has the id {parent:?}")),
            },
        }
    }
    let mut root_of: Vec<Option<usize>> = vec![None; items.len()];
    let mut counts: Vec<u32> = vec![1; items.len()];
    let mut next = 0;
    while let Some(index) = parents_first.get(next).copied() {
        let root = root_of[index].unwrap_or(index);
        root_of[index] = Some(root);
        for child in &children[index] {
            root_of[*child] = Some(root);
            counts[*child] = piece_count(counts[index], items[*child].quantity).ok_or_else(|| {
                let text = format!("one configured product takes more than {MAX_LINE_QUANTITY} of it");
                CartError::Configuration(issue(&format!("[{child}].quantity"), "quantity-too-large", text))
            })?;
            parents_first.push(*child);
        }
        next += 1;
    }
    let mut descendants: Vec<Vec<Descendant>> = vec![Vec::new(); items.len()];
    let counted = |index: usize| Descendant { index, count: counts[index] };
    for (index, root) in root_of.iter().enumerate() {
        match root {
            None => return wrong(index, "parent-cycle", "its parents form a cycle".to_owned()),
            // The root comes first, whatever its index.
            Some(root) if descendants[*root].is_empty() && index != *root => {
                descendants[*root].extend([counted(*root), counted(index)]);
            }
            Some(root) if index != *root || descendants[*root].is_empty() => descendants[*root].push(counted(index)),
            Some(_) => {}
        }
    }
    Ok(ItemTree { children, parents_first, descendants })
}

/// Returns how many of an item one configured product takes, unless they are too many.
fn piece_count(of_parent: u32, in_parent: u32) -> Option<u32> {
    of_parent.checked_mul(in_parent).filter(|count| *count <= MAX_LINE_QUANTITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(parents: &[Option<usize>]) -> Vec<Item> {
        let item = |(index, parent): (usize, &Option<usize>)| Item {
            id: Some(index.to_string()),
            parent: parent.map(|parent| parent.to_string()),
            vendor_product: "1".into(),
            title: None,
            quantity: 1,
            attributes: vec![],
            articles: vec![],
            sku: None,
            saved_id: None,
            thumbnail: None,
            state: String::new(),
            unverified: None,
            valid_until: None,
            extra: vec![],
        };
        parents.iter().enumerate().map(item).collect()
    }

    fn refusal(items: &[Item]) -> String {
        match item_tree(items) {
            Err(CartError::Configuration(issue)) => issue.message.key,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it is taken"),
        }
    }

    #[test]
    fn each_root_has_its_descendants_wherever_it_stands() {
        let tree = item_tree(&items(&[Some(1), None, Some(0), None, Some(1)])).unwrap();
        let indexes = |descendants: &Vec<Descendant>| descendants.iter().map(|item| item.index).collect::<Vec<_>>();
        let descendants: Vec<Vec<usize>> = tree.descendants.iter().map(indexes).collect();
        assert_eq!(descendants, [vec![], vec![1, 0, 2, 4], vec![], vec![3], vec![]]);
        assert_eq!(tree.parents_first, [1, 3, 0, 4, 2]);
    }

    #[test]
    fn a_product_takes_as_many_of_an_item_as_all_its_parents_do() {
        let mut nested = items(&[Some(1), Some(2), None]);
        (nested[0].quantity, nested[1].quantity) = (3, 4);
        let counts = |items: &[Item]| {
            item_tree(items)
                .map(|tree| tree.descendants[2].iter().map(|item| (item.index, item.count)).collect::<Vec<_>>())
        };
        assert_eq!(counts(&nested).unwrap(), [(2, 1), (0, 12), (1, 4)]);
        (nested[0].quantity, nested[1].quantity) = (1_000, 1_001);
        assert_eq!(refusal(&nested), "quantity-too-large");
        (nested[0].quantity, nested[1].quantity) = (u32::MAX, u32::MAX);
        assert_eq!(refusal(&nested), "quantity-too-large");
    }

    #[test]
    fn cycles_unknown_parents_and_ids_that_are_there_twice_are_refused() {
        assert_eq!(refusal(&items(&[None, Some(2), Some(1)])), "parent-cycle");
        assert_eq!(refusal(&items(&[Some(0)])), "parent-cycle");
        assert_eq!(refusal(&items(&[Some(7)])), "parent-unknown");
        let mut twice = items(&[None, None]);
        twice[1].id = Some("0".into());
        assert_eq!(refusal(&twice), "id-twice");
    }
}
