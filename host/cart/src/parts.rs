//! The parts of a bundle: what a part is called, whatever the strategy called it, and what is left when a shopper took some out.
//!
//! A strategy plans the whole bundle every time and knows nothing of what was taken out: the host leaves it out of each plan, by
//! name. So no strategy has to be written for it, and the price of what remains comes from its authority each time.

use std::collections::{BTreeSet, HashMap, HashSet};

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Bundle, BundleChild, ChildRemoval, Message, Target, VariantInfo};

use crate::error::CartError;
use crate::identity::{PartKeyInput, part_name};
use crate::index::RemovedParts;
use crate::line::{CartLine, UnverifiedLine};
use crate::plan::{PlanCheck, piece_count, plan_error};

/// A part of a bundle.
pub(crate) struct Part {
    /// What it buys. The same in a bundle of another quantity, and in one that other parts were taken out of.
    pub(crate) name: Digest,
    /// None for a text.
    pub(crate) variant: Option<VariantInfo>,
    pub(crate) text: Option<String>,
    /// As it was planned, with the quantity for one bundle. Of children that buy the same, the first.
    pub(crate) child: BundleChild,
    /// How many there are in all bundles together.
    pub(crate) pieces: u32,
}

impl Part {
    /// By what SKUs, or texts in the place of one, a bill of materials may know the part.
    fn names(&self) -> impl Iterator<Item = ArticleName> + '_ {
        let planned = match &self.child.target {
            Target::Sku(query) if query.ignore_case => Some(ArticleName::CaseInsensitive(query.sku.to_lowercase())),
            Target::Sku(query) => Some(ArticleName::Exact(query.sku.clone())),
            _ => None,
        };
        planned.into_iter().chain(self.sku().map(|sku| ArticleName::Exact(sku.to_owned())))
    }

    fn sku(&self) -> Option<&str> {
        self.variant.as_ref().map(|variant| variant.sku.as_str()).or(self.text.as_deref())
    }
}

/// A SKU as it is compared with those of articles.
#[derive(PartialEq, Eq, Hash)]
enum ArticleName {
    Exact(String),
    /// In small letters, as the catalogue compares them.
    CaseInsensitive(String),
}

impl ArticleName {
    /// Both ways in which an article of this SKU may be known.
    fn of(sku: &str) -> [Self; 2] {
        [Self::Exact(sku.to_owned()), Self::CaseInsensitive(sku.to_lowercase())]
    }
}

impl RemovedParts {
    /// The names of the parts that stay out of a planned bundle. None where the strategy no longer lets them go, or where nothing
    /// would be left; a name that no part has any more counts for nothing. The bundle then costs more, in the shopper's sight.
    pub(crate) fn of(&self, bundle: &Bundle, parts: &[Part]) -> BTreeSet<Digest> {
        let Some(removed_parts) = self.0.get(&bundle.parent.item) else { return BTreeSet::new() };
        let goes = |part: &&Part| part.child.removal == ChildRemoval::Repriced && removed_parts.contains(&part.name);
        let out: BTreeSet<Digest> = parts.iter().filter(goes).map(|part| part.name).collect();
        if out.len() == parts.len() { BTreeSet::new() } else { out }
    }
}

/// Takes parts out of a bundle's parent: off its bill of materials, by the SKU that articles are priced by, or else by their own. The
/// line then waits for the merchant, because the saved configuration, which a vendor may produce from, still holds the parts.
pub(crate) fn remove<'p>(parent: &mut CartLine, parts: impl Iterator<Item = &'p Part>) {
    let prices = parent.bill_of_materials.iter().filter_map(|article| article.price_sku.as_deref());
    let prices: HashSet<ArticleName> = prices.flat_map(ArticleName::of).collect();
    let (mut by_price, mut by_sku) = (HashSet::new(), HashSet::new());
    let (mut parameters, mut texts) = match parent.unconfirmed.take() {
        Some(before) => (before.reason.parameters, vec![before.reason.text]),
        None => (Vec::new(), Vec::new()),
    };
    let mut without: BTreeSet<Digest> = parent.without.iter().copied().collect();
    for part in parts {
        without.insert(part.name);
        let is_priced_so = part.names().any(|name| prices.contains(&name));
        if is_priced_so { &mut by_price } else { &mut by_sku }.extend(part.names());
        let what = part.sku().unwrap_or_default();
        parameters.push(("part".to_owned(), what.to_owned()));
        texts.push(format!("The shopper took {what} out of the bundle; its saved configuration still holds it."));
    }
    parent.without = without.into_iter().collect();
    let goes = |names: &HashSet<ArticleName>, sku: &str| ArticleName::of(sku).iter().any(|name| names.contains(name));
    parent.bill_of_materials.retain(|article| {
        !article.price_sku.as_deref().is_some_and(|sku| goes(&by_price, sku)) && !goes(&by_sku, &article.sku)
    });
    let reason = Message { key: "parts-taken-out".to_owned(), parameters, text: texts.join(" ") };
    parent.unconfirmed = Some(UnverifiedLine { reason, hold: true });
}

impl PlanCheck<'_> {
    /// A bundle's children, found in the catalogue. Those that buy the same are added up, in the order in which they first stand: a
    /// SKU and an id may name one variant. Whoever says two things of them is refused: one of the two would be lost.
    pub(crate) fn parts(&self, bundle: &Bundle, bundles: u32) -> Result<Vec<Part>, CartError> {
        let Bundle { parent, children, .. } = bundle;
        let mut parts: Vec<Part> = Vec::with_capacity(children.len());
        let mut places: HashMap<Digest, usize> = HashMap::new();
        for child in children {
            piece_count(child.quantity.into(), || self.describe_child(child, parent))?;
            let variant = self.variant(&child.target)?;
            let text = match &child.target {
                Target::Text(text) => Some(text.clone()),
                _ => None,
            };
            let name = part_name(&PartKeyInput {
                product: variant.as_ref().map_or(self.linked_product, |variant| &variant.product),
                text: text.as_deref(),
                variant: variant.as_ref().map(|variant| variant.id.as_str()),
            })?;
            match places.get(&name).and_then(|place| parts.get_mut(*place)) {
                Some(Part { child: same, .. }) => {
                    if (same.on_top, same.removal) != (child.on_top, child.removal) {
                        return plan_error(format!(
                            "it has {} twice, and differently: children that buy the same are added up, so both must say the same of \
                             `on-top` and `removal`",
                            self.describe_child(child, parent)
                        ));
                    }
                    let sum = u64::from(same.quantity) + u64::from(child.quantity);
                    same.quantity = piece_count(sum, || self.describe_child(child, parent))?;
                }
                None => {
                    places.insert(name, parts.len());
                    parts.push(Part { name, variant, text, child: child.clone(), pieces: 0 });
                }
            }
        }
        for part in &mut parts {
            let pieces = u64::from(part.child.quantity) * u64::from(bundles);
            part.pieces = piece_count(pieces, || self.describe_child(&part.child, parent))?;
        }
        Ok(parts)
    }
}
