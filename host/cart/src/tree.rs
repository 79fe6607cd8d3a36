//! The tree of items.

use std::collections::HashMap;

use cartwright_contract::records::Item;

use crate::error::{CartError, issue};

/// The parents and children of a configuration's items, computed in one pass.
pub(crate) struct ItemTree {
    /// For each item, the indexes of its direct children.
    pub(crate) children: Vec<Vec<usize>>,
    /// All items, every parent before its children.
    pub(crate) parents_first: Vec<usize>,
    /// For each root, the indexes of the root and of all items below it. Empty for every other item, because only
    /// roots are sold.
    pub(crate) descendants: Vec<Vec<usize>>,
}

/// Builds the tree of items.
///
/// # Errors
/// Returns an error if two items have the same id, a parent does not exist, or parents form a cycle.
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
    let mut next = 0;
    while let Some(index) = parents_first.get(next).copied() {
        let root = root_of[index].unwrap_or(index);
        root_of[index] = Some(root);
        for child in &children[index] {
            root_of[*child] = Some(root);
            parents_first.push(*child);
        }
        next += 1;
    }
    let mut descendants = vec![Vec::new(); items.len()];
    for (index, root) in root_of.iter().enumerate() {
        match root {
            None => return wrong(index, "parent-cycle", "its parents form a cycle".to_owned()),
            // The root comes first, whatever its index.
            Some(root) if descendants[*root].is_empty() && index != *root => descendants[*root].extend([*root, index]),
            Some(root) if index != *root || descendants[*root].is_empty() => descendants[*root].push(index),
            Some(_) => {}
        }
    }
    Ok(ItemTree { children, parents_first, descendants })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(parents: &[Option<usize>]) -> Vec<Item> {
        let item = |(index, parent): (usize, &Option<usize>)| Item {
            id: Some(index.to_string()),
            parent: parent.map(|parent| parent.to_string()),
            vendor_product: "1".into(),
            attributes: vec![],
            articles: vec![],
            sku: None,
            reference: None,
            thumbnail: None,
            state: String::new(),
            unverified: None,
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
        assert_eq!(tree.descendants, [vec![], vec![1, 0, 2, 4], vec![], vec![3], vec![]]);
        assert_eq!(tree.parents_first, [1, 3, 0, 4, 2]);
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
