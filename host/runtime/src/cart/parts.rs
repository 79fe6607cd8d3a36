//! The parts of a bundle: what a part is called, whatever the strategy called it, and what is left when a shopper took some out.
//!
//! A strategy plans the whole bundle every time and knows nothing of what was taken out: the host leaves it out of each plan, by
//! name. So no strategy has to be written for it, and the price of what remains comes from its authority each time.

use std::collections::{BTreeSet, HashMap};

use super::CartError;
use super::identity::{PartName, part_name};
use super::line::{CartLine, Unconfirmed};
use super::plan::{Checking, broken, piece_count};
use super::pricing::{Priced, divided};
use crate::contract::{Bundle, BundleChild, ChildRemoval, Message, Target, VariantInfo};
use crate::ids::Digest;

/// A part of a bundle.
pub(super) struct Part {
    /// What it buys. The same in a bundle of another quantity, and in one that other parts were taken out of.
    pub(super) name: Digest,
    /// None for a text.
    pub(super) variant: Option<VariantInfo>,
    pub(super) text: Option<String>,
    /// As it was planned, with the quantity for one bundle. Of children that buy the same, the first.
    pub(super) child: BundleChild,
}

impl Part {
    /// By what SKU, or text in the place of one, a bill of materials may know the part.
    fn is_called(&self, sku: &str) -> bool {
        let planned = match &self.child.target {
            Target::Sku(query) if query.ignore_case => query.sku.eq_ignore_ascii_case(sku),
            Target::Sku(query) => query.sku == sku,
            _ => false,
        };
        planned || self.sku() == Some(sku)
    }

    fn sku(&self) -> Option<&str> {
        self.variant.as_ref().map(|variant| variant.sku.as_str()).or(self.text.as_deref())
    }
}

/// What was taken out of the bundle that is planned again.
#[derive(Debug, Clone, Default)]
pub(super) struct TakenOut {
    /// Which configured product the bundle stands for: a configuration may hold several.
    pub(super) item: Option<u32>,
    /// The names of the parts.
    pub(super) parts: Vec<Digest>,
}

impl TakenOut {
    /// The names of the parts that stay out of a planned bundle. None where the strategy no longer lets them go, or where nothing
    /// would be left; a name that no part has any more counts for nothing. The bundle then costs more, in the shopper's sight.
    pub(super) fn of(&self, bundle: &Bundle, parts: &[Part]) -> BTreeSet<Digest> {
        if bundle.parent.item != self.item {
            return BTreeSet::new();
        }
        let goes = |part: &&Part| part.child.removal == ChildRemoval::Repriced && self.parts.contains(&part.name);
        let out: BTreeSet<Digest> = parts.iter().filter(goes).map(|part| part.name).collect();
        if out.len() == parts.len() { BTreeSet::new() } else { out }
    }
}

/// Takes a part out of a bundle's parent: off its price and its bill of materials. The line then waits for the merchant, because
/// the saved configuration, which a vendor may produce from, still holds the part.
pub(super) fn leave_out(parent: &mut CartLine, part: &Part, share: &Priced) {
    if let Err(place) = parent.without.binary_search(&part.name) {
        parent.without.insert(place, part.name);
    }
    // A share is a part of the total, so the difference is a price.
    parent.price.total.minor -= share.total.minor;
    parent.price.unit = divided(&parent.price.total, parent.quantity);
    let is_priced_so = |sku: &Option<String>| sku.as_deref().is_some_and(|sku| part.is_called(sku));
    let by_price = parent.bill_of_materials.iter().any(|article| is_priced_so(&article.price_sku));
    parent.bill_of_materials.retain(|article| match by_price {
        true => !is_priced_so(&article.price_sku),
        false => !part.is_called(&article.sku),
    });
    let what = part.sku().unwrap_or_default();
    let (mut parameters, mut text) = match parent.unconfirmed.take() {
        Some(before) => (before.reason.parameters, format!("{} ", before.reason.text)),
        None => (Vec::new(), String::new()),
    };
    parameters.push(("part".to_owned(), what.to_owned()));
    text.push_str(&format!("The shopper took {what} out of the bundle; its saved configuration still holds it."));
    let reason = Message { key: "parts-taken-out".to_owned(), parameters, text };
    parent.unconfirmed = Some(Unconfirmed { reason, hold: true });
}

impl Checking<'_> {
    /// A bundle's children, found in the catalogue. Those that buy the same are added up, in the order in which they first stand: a
    /// SKU and an id may name one variant. Whoever says two things of them is refused: one of the two would be lost.
    pub(super) fn parts(&self, bundle: &Bundle) -> Result<Vec<Part>, CartError> {
        let Bundle { parent, children, .. } = bundle;
        let mut parts: Vec<Part> = Vec::with_capacity(children.len());
        let mut places: HashMap<Digest, usize> = HashMap::new();
        for child in children {
            piece_count(child.quantity.into(), || self.called_child(child, parent))?;
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
                    if (same.on_top, same.removal) != (child.on_top, child.removal) {
                        return broken(format!(
                            "it has {} twice, and differently: children that buy the same are added up, so both must say the same of \
                             `on-top` and `removal`",
                            self.called_child(child, parent)
                        ));
                    }
                    let sum = u64::from(same.quantity) + u64::from(child.quantity);
                    same.quantity = piece_count(sum, || self.called_child(child, parent))?;
                }
                None => {
                    places.insert(name, parts.len());
                    parts.push(Part { name, variant, text, child: child.clone() });
                }
            }
        }
        Ok(parts)
    }
}
