//! Which items belong to which.

use std::collections::{BTreeSet, HashMap};

use super::CartError;
use super::decoding::issue;
use crate::contract::Item;

/// For each item, it and all items below it. Ids are unique, parents exist and come round to no cycle.
pub(super) fn trees(items: &[Item]) -> Result<Vec<Vec<usize>>, CartError> {
    let wrong = |index: usize, key: &str, text: String| {
        Err(CartError::Configuration(issue(&format!("[{index}].parent"), key, text)))
    };
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(id) = &item.id
            && by_id.insert(id, index).is_some()
        {
            return wrong(index, "id-twice", format!("the id {id:?} stands twice"));
        }
    }
    let mut trees: Vec<Vec<usize>> = (0..items.len()).map(|index| vec![index]).collect();
    for index in 0..items.len() {
        let (mut at, mut seen) = (index, BTreeSet::from([index]));
        while let Some(parent) = &items[at].parent {
            let Some(above) = by_id.get(parent.as_str()) else {
                return wrong(index, "parent-unknown", format!("no item has the id {parent:?}"));
            };
            if !seen.insert(*above) {
                return wrong(index, "parent-cycle", "its parents form a cycle".to_owned());
            }
            trees[*above].push(index);
            at = *above;
        }
    }
    Ok(trees)
}
