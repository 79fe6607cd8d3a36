//! The structure of a configuration's products: parents and children, originals and replicas.
//!
//! All of it came through a browser. A missing parent or original, two products with one uuid, and cycles are errors
//! here, because all later code follows these links.

use std::collections::BTreeMap;

use cartwright_plugin::CallError;

use crate::saved::{Saved, invalid};

/// The order and the links of a configuration's products, by their index in the payload.
pub(crate) struct ProductTree {
    /// Indices into the payload, roots before their children.
    pub(crate) order: Vec<usize>,
    /// For each product, the index of the product with its content: itself, or for a replica its last original.
    pub(crate) content_source: Vec<usize>,
}

/// Builds the tree. Roots of the product that the page was opened with (`linked`) come first, then other roots, then
/// children, generation by generation, each in saved order.
#[allow(clippy::indexing_slicing, reason = "every index is a position of the products")]
pub(crate) fn link(saved: &Saved<'_>, linked: Option<u64>) -> Result<ProductTree, CallError> {
    let products = &saved.products;
    let mut by_uuid: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, product) in products.iter().enumerate() {
        if let Some(uuid) = product.uuid.as_str()
            && by_uuid.insert(uuid, place).is_some()
        {
            return Err(invalid(saved.path(place, "uuid"), "another configured product has the same uuid"));
        }
    }
    let find = |place: usize, member: &str, uuid: &str| match by_uuid.get(uuid) {
        Some(found) => Ok(*found),
        None => Err(invalid(saved.path(place, member), &format!("no configured product has the uuid {uuid:?}"))),
    };

    let (mut parents, mut originals) = (Vec::with_capacity(products.len()), Vec::with_capacity(products.len()));
    for (place, product) in products.iter().enumerate() {
        parents.push(product.parent_uuid.as_str().map(|uuid| find(place, "parent_uuid", uuid)).transpose()?);
        if !product.is_replica() {
            originals.push(None);
            continue;
        }
        let path = || saved.path(place, "original_uuid");
        let Some(uuid) = product.original_uuid.as_str() else {
            return Err(invalid(path(), "a replica must have an original"));
        };
        let original = find(place, "original_uuid", uuid)?;
        if products[original].catalogue_id != product.catalogue_id {
            return Err(invalid(path(), "a replica must be of the same product as its original"));
        }
        originals.push(Some(original));
    }
    let generations = follow_links(&parents)
        .map_err(|place| invalid(saved.path(place, "parent_uuid"), "its parents form a cycle"))?;
    let mut order: Vec<usize> = (0..products.len()).collect();
    order.sort_by_key(|place| {
        let depth = generations[*place].steps;
        (depth, depth == 0 && Some(products[*place].catalogue_id.0) != linked)
    });
    let content_source = follow_links(&originals)
        .map_err(|place| invalid(saved.path(place, "original_uuid"), "its originals form a cycle"))?;
    Ok(ProductTree { order, content_source: content_source.into_iter().map(|end| end.place).collect() })
}

/// The end of a chain of links, and its number of steps.
#[derive(Clone, Copy)]
pub(crate) struct ChainEnd {
    pub(crate) place: usize,
    pub(crate) steps: usize,
}

/// Follows the links from each index to their ends, each link once.
///
/// # Errors
/// An index whose links form a cycle.
#[allow(clippy::indexing_slicing, reason = "every link is an index of `next`, and `known` has the same length")]
pub(crate) fn follow_links(next: &[Option<usize>]) -> Result<Vec<ChainEnd>, usize> {
    let mut known: Vec<Option<ChainEnd>> = vec![None; next.len()];
    for start in 0..next.len() {
        let (mut path, mut at) = (Vec::new(), start);
        let mut end = loop {
            if let Some(end) = known[at] {
                break end;
            }
            // Without a cycle no chain is longer than the number of products.
            if path.len() > next.len() {
                return Err(start);
            }
            match next[at] {
                None => {
                    let end = ChainEnd { place: at, steps: 0 };
                    known[at] = Some(end);
                    break end;
                }
                Some(following) => {
                    path.push(at);
                    at = following;
                }
            }
        };
        while let Some(place) = path.pop() {
            end.steps += 1;
            known[place] = Some(end);
        }
    }
    // Every index has been a start.
    Ok(known.into_iter().flatten().collect())
}
