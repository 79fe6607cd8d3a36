//! The parts of a bundle: what a part is called, whatever the strategy called it.

use std::collections::HashMap;

use super::CartError;
use super::identity::{PartName, part_name};
use super::plan::{Checking, piece_count};
use crate::contract::{BundleChild, Target, VariantInfo};
use crate::ids::Digest;

/// A part of a bundle.
pub(super) struct Part {
    /// None for a text.
    pub(super) variant: Option<VariantInfo>,
    pub(super) text: Option<String>,
    /// As it was planned, with the quantity for one bundle. Of children that buy the same, the first.
    pub(super) child: BundleChild,
}

impl Checking<'_> {
    /// A bundle's children, found in the catalogue. Those that buy the same are added up, in the order in which they first stand:
    /// a SKU and an id may name one variant.
    pub(super) fn parts(&self, children: &[BundleChild]) -> Result<Vec<Part>, CartError> {
        let mut parts: Vec<Part> = Vec::with_capacity(children.len());
        let mut places: HashMap<Digest, usize> = HashMap::new();
        for child in children {
            piece_count(child.quantity.into(), "a bundle's child")?;
            let variant = self.variant(&child.target)?;
            let text = match &child.target {
                Target::Text(text) => Some(text.clone()),
                _ => None,
            };
            let name = part_name(&PartName {
                product: variant.as_ref().map_or(self.linked_product, |variant| &variant.product),
                text: text.as_deref(),
                variant: variant.as_ref().map(|variant| variant.id.as_str()),
            });
            match places.get(&name).and_then(|place| parts.get_mut(*place)) {
                Some(Part { child: same, .. }) => {
                    let sum = u64::from(same.quantity) + u64::from(child.quantity);
                    same.quantity = piece_count(sum, "a bundle's child")?;
                }
                None => {
                    places.insert(name, parts.len());
                    parts.push(Part { variant, text, child: child.clone() });
                }
            }
        }
        Ok(parts)
    }
}
