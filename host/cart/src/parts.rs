//! The parts of a bundle: their names, which do not depend on the strategy, and the parts that remain after removals.
//!
//! A strategy always plans the complete bundle and does not know of removed parts; the host leaves them out of each
//! plan, by name. Strategies therefore need no support for removals, and the price of the remaining parts comes from
//! its price source each time.

use std::collections::{BTreeSet, HashMap, HashSet};

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Bundle, BundleChild, ChildRemoval, Message, Target, VariantInfo};

use crate::articles::retain;
use crate::error::CartError;
use crate::identity::{PartKeyInput, part_name};
use crate::index::RemovedParts;
use crate::line::{CartLine, UnverifiedLine};
use crate::plan::{PlanCheck, piece_count, plan_error};

/// A part of a bundle.
pub(crate) struct Part {
    /// Digest of what the part buys. It is the same for every quantity of the bundle, and whichever other parts were
    /// removed.
    pub(crate) name: Digest,
    /// The variant; `None` for a text.
    pub(crate) variant: Option<VariantInfo>,
    pub(crate) text: Option<String>,
    /// The child as planned, with the quantity for one bundle. Of children that buy the same, the first.
    pub(crate) child: BundleChild,
    /// The quantity in all bundles together.
    pub(crate) pieces: u32,
}

impl Part {
    /// Returns the SKUs, or texts in their place, by which a bill of materials may refer to the part.
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

/// A SKU in the forms that are compared with those of articles.
#[derive(PartialEq, Eq, Hash)]
enum ArticleName {
    Exact(String),
    /// In lower case, as the catalog compares SKUs.
    CaseInsensitive(String),
}

impl ArticleName {
    /// Returns both forms of a SKU.
    fn of(sku: &str) -> [Self; 2] {
        [Self::Exact(sku.to_owned()), Self::CaseInsensitive(sku.to_lowercase())]
    }
}

impl RemovedParts {
    /// Returns the names of the parts to leave out of a planned bundle. Parts that the strategy no longer makes
    /// removable stay in, and so do all parts if nothing would be left; unknown names are ignored. The bundle then
    /// costs more, which the shopper sees.
    pub(crate) fn of(&self, bundle: &Bundle, parts: &[Part]) -> BTreeSet<Digest> {
        let Some(removed_parts) = self.0.get(&bundle.parent.item) else { return BTreeSet::new() };
        let is_removed =
            |part: &&Part| part.child.removal == ChildRemoval::Repriced && removed_parts.contains(&part.name);
        let removed_names: BTreeSet<Digest> = parts.iter().filter(is_removed).map(|part| part.name).collect();
        if removed_names.len() == parts.len() { BTreeSet::new() } else { removed_names }
    }
}

/// Removes parts from a bundle's parent. Their articles are removed from its bill of materials, matched by price SKU,
/// or otherwise by SKU. The line is put on hold, because the saved configuration, from which a vendor may produce,
/// still contains the parts.
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
        texts.push(format!("The shopper removed {what} from the bundle; its saved configuration still contains it."));
    }
    parent.without = without.into_iter().collect();
    let is_removed_sku =
        |names: &HashSet<ArticleName>, sku: &str| ArticleName::of(sku).iter().any(|name| names.contains(name));
    retain(&mut parent.bill_of_materials, |article| {
        !article.price_sku.as_deref().is_some_and(|sku| is_removed_sku(&by_price, sku))
            && !is_removed_sku(&by_sku, &article.sku)
    });
    let reason = Message { key: "parts-taken-out".to_owned(), parameters, text: texts.join(" ") };
    parent.unconfirmed = Some(UnverifiedLine { reason, hold: true });
}

impl PlanCheck<'_> {
    /// Resolves a bundle's children in the catalog. Children that buy the same are added up, in order of first
    /// occurrence, because a SKU and an id may name the same variant. Contradicting children are refused, because one
    /// of the two would be lost.
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
                    if (same.priced_separately, same.removal) != (child.priced_separately, child.removal) {
                        return plan_error(format!(
                            "it contains {} twice with different values: children that buy the same are added up, so they must agree on \
                             `priced-separately` and `removal`",
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
