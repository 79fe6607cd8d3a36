//! The roots of a configuration with what hangs below them, and what must not be sold at the price of a root.

use std::collections::BTreeMap;

use cartwright_plugin::exports::cart::Request;
use cartwright_plugin::types::{Item, Message};
use cartwright_plugin::{Error, invalid_input, message};

use super::platform_prices;
use crate::settings::OrderType;

/// A root and all items below it, by index in the request.
pub(super) struct Root {
    pub(super) index: usize,
    pub(super) below: Vec<usize>,
}

impl Root {
    /// The root's index and then those below it.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.index).chain(self.below.iter().copied())
    }
}

/// The roots, in the items' order.
pub(super) fn roots(items: &[Item]) -> Result<Vec<Root>, Error> {
    let by_id: BTreeMap<&str, usize> =
        items.iter().enumerate().filter_map(|(index, item)| Some((item.id.as_deref()?, index))).collect();
    let mut roots: Vec<Root> = Vec::new();
    let mut place_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if item.parent.is_none() {
            place_of.insert(index, roots.len());
            roots.push(Root { index, below: Vec::new() });
        }
    }
    for (index, item) in items.iter().enumerate().filter(|(_, item)| item.parent.is_some()) {
        let wrong = |text: &str| invalid_input(format!("items[{index}].parent"), message("parent-wrong", text, &[]));
        let (mut at, mut steps) = (item, 0);
        let mut top = index;
        while let Some(parent) = &at.parent {
            top = *by_id.get(parent.as_str()).ok_or_else(|| wrong("No item has this id."))?;
            at = &items[top];
            steps += 1;
            if steps > items.len() {
                return Err(wrong("Its parents form a cycle."));
            }
        }
        if let Some(root) = place_of.get(&top).and_then(|place| roots.get_mut(*place)) {
            root.below.push(index);
        }
    }
    Ok(roots)
}

/// Why a root cannot be sold at the platform's price. A browser says which products a configuration holds: without this check a
/// cheap product could be priced and an expensive one delivered.
pub(super) fn refusal(request: &Request, strategy: OrderType, root: &Root) -> Option<Message> {
    if !platform_prices(request) {
        return None;
    }
    let linked = &request.association.vendor_product;
    let product = &request.items[root.index].vendor_product;
    // A variation is the product that its SKU names; the others would be sold as the linked product.
    if strategy != OrderType::Variation && product != linked {
        let text = format!(
            "The configuration also holds the product {product}, which has no price here. Configure it on its own page."
        );
        return Some(message("product-without-price", text, &[("product", product)]));
    }
    let listed = &request.association.other_vendor_products;
    let foreign =
        root.below.iter().map(|index| &request.items[*index].vendor_product).find(|other| !listed.contains(other))?;
    let text = format!(
        "The configuration holds the product {foreign} as a part, and the price of the whole does not list it among its parts."
    );
    Some(message("part-not-listed", text, &[("product", foreign)]))
}
