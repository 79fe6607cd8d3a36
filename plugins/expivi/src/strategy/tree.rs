//! The roots of a configuration with their descendants, and checks of what must not be sold at the price of a root.

use std::collections::{BTreeMap, BTreeSet};

use cartwright_plugin::exports::cart::PlanRequest;
use cartwright_plugin::types::{Item, Message};
use cartwright_plugin::{CallError, invalid_input, message};

use super::platform_prices;
use crate::product_tree::{ChainEnd, follow_links};
use crate::settings::OrderType;

/// A root and its descendants, by index in the request.
pub(super) struct Root {
    pub(super) index: usize,
    pub(super) descendants: Vec<usize>,
    /// How many of each descendant the root takes.
    counts: Vec<u64>,
}

impl Root {
    /// Returns the index of the root, then those of its descendants.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.index).chain(self.descendants.iter().copied())
    }

    /// Returns the index of the root and those of its descendants, each with how many of it the root takes.
    pub(super) fn counted(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.indices().zip(std::iter::once(1).chain(self.counts.iter().copied()))
    }
}

/// Returns the roots in the order of the items.
pub(super) fn roots(items: &[Item]) -> Result<Vec<Root>, CallError> {
    let by_id: BTreeMap<&str, usize> =
        items.iter().enumerate().filter_map(|(index, item)| Some((item.id.as_deref()?, index))).collect();
    let wrong =
        |index: usize, text: &str| invalid_input(format!("items[{index}].parent"), message("parent-wrong", text, &[]));
    let mut parents = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let parent = item.parent.as_deref().map(|parent| by_id.get(parent).copied());
        parents.push(match parent {
            Some(None) => return Err(wrong(index, "No item has this id.")),
            Some(parent) => parent,
            None => None,
        });
    }
    let tops = follow_links(&parents).map_err(|index| wrong(index, "Its parents form a cycle."))?;
    let counts = counts(items, &parents, &tops);
    let mut roots: BTreeMap<usize, Root> = BTreeMap::new();
    for (index, (top, count)) in tops.into_iter().zip(counts).enumerate() {
        let new = || Root { index: top.place, descendants: Vec::new(), counts: Vec::new() };
        let root = roots.entry(top.place).or_insert_with(new);
        if top.place != index {
            root.descendants.push(index);
            root.counts.push(count);
        }
    }
    Ok(roots.into_values().collect())
}

/// Returns how many of each item its root takes. More than can be counted are the most that can.
#[allow(clippy::indexing_slicing, reason = "all lists have an entry for each item")]
fn counts(items: &[Item], parents: &[Option<usize>], tops: &[ChainEnd]) -> Vec<u64> {
    let mut counts = vec![1; items.len()];
    let mut parents_first: Vec<usize> = (0..items.len()).collect();
    parents_first.sort_by_key(|index| tops[*index].steps);
    for index in parents_first {
        if let Some(parent) = parents[index] {
            counts[index] = u64::saturating_mul(counts[parent], items[index].quantity.into());
        }
    }
    counts
}

/// Returns why a root cannot be sold at the platform's price. A browser decides which products a configuration
/// contains: without this check a cheap product could be priced and an expensive one delivered.
#[allow(clippy::indexing_slicing, reason = "roots are built from the items of the request")]
pub(super) fn refusal(
    request: &PlanRequest,
    strategy: OrderType,
    root: &Root,
    listed: &BTreeSet<&str>,
) -> Option<Message> {
    if !platform_prices(request) {
        return None;
    }
    let linked = &request.link.vendor_product;
    let product = &request.items[root.index].vendor_product;
    // A variation is the product that its SKU names; other strategies sell the linked product.
    if strategy != OrderType::Variation && product != linked {
        let text = format!(
            "The configuration also contains the product {product}, which has no price here. Configure it on its own page."
        );
        return Some(message("product-without-price", text, &[("product", product)]));
    }
    let mut parts = root.descendants.iter().map(|index| request.items[*index].vendor_product.as_str());
    let foreign = parts.find(|other| !listed.contains(other))?;
    let text = format!(
        "The configuration contains the product {foreign} as a part, and the price of the whole does not list it among its parts."
    );
    Some(message("part-not-listed", text, &[("product", foreign)]))
}
