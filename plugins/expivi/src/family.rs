//! How the configured products of one configuration hang together: parents and children, originals and replicas.
//!
//! All of it came through a browser. A parent or an original that does not exist, two products with one uuid and cycles are
//! errors here, because everything later walks along these links.

use std::collections::BTreeMap;

use cartwright_plugin::Error;

use crate::json::refused;
use crate::saved::Saved;

/// The order and the links of a configuration's products, by their place in the payload.
pub(crate) struct Family {
    /// Places in the payload, roots before their children.
    pub(crate) order: Vec<usize>,
    /// For each product, the one that it has its content from: itself, or a replica's last original.
    pub(crate) content: Vec<usize>,
}

/// Links the products. Roots of the product that the page was opened with (`linked`) come first, then other roots, then
/// children, generation by generation; within each as they were saved.
pub(crate) fn link(saved: &Saved<'_>, linked: u64) -> Result<Family, Error> {
    let products = &saved.products;
    let mut by_uuid: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, product) in products.iter().enumerate() {
        if let Some(uuid) = product.uuid.as_deref()
            && by_uuid.insert(uuid, place).is_some()
        {
            return Err(refused(saved.path(place, "uuid"), "another configured product has the same uuid"));
        }
    }
    let find = |place: usize, member: &str, uuid: &str| match by_uuid.get(uuid) {
        Some(found) => Ok(*found),
        None => Err(refused(saved.path(place, member), &format!("no configured product has the uuid {uuid:?}"))),
    };

    let mut parents = Vec::with_capacity(products.len());
    for (place, product) in products.iter().enumerate() {
        parents.push(product.parent_uuid.as_deref().map(|uuid| find(place, "parent_uuid", uuid)).transpose()?);
    }
    let mut depths = vec![0usize; products.len()];
    for (place, depth) in depths.iter_mut().enumerate() {
        let mut at = place;
        while let Some(parent) = parents[at] {
            *depth += 1;
            if *depth > products.len() {
                return Err(refused(saved.path(place, "parent_uuid"), "its parents form a cycle"));
            }
            at = parent;
        }
    }
    let mut order: Vec<usize> = (0..products.len()).collect();
    order.sort_by_key(|place| (depths[*place], depths[*place] == 0 && products[*place].catalogue_id != linked));

    let mut content = Vec::with_capacity(products.len());
    for place in 0..products.len() {
        let (mut at, mut steps) = (place, 0);
        while products[at].is_replica {
            let path = || saved.path(at, "original_uuid");
            let Some(uuid) = products[at].original_uuid.as_deref() else {
                return Err(refused(path(), "a replica names its original"));
            };
            let original = find(at, "original_uuid", uuid)?;
            if products[original].catalogue_id != products[at].catalogue_id {
                return Err(refused(path(), "a replica is of the same product as its original"));
            }
            steps += 1;
            if steps > products.len() {
                return Err(refused(path(), "its originals form a cycle"));
            }
            at = original;
        }
        content.push(at);
    }
    Ok(Family { order, content })
}
