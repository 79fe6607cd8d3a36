//! An index of cart lines by key, so that no loop over lines contains another one.

use std::collections::{BTreeSet, HashMap};

use cartwright_contract::ids::Digest;

use crate::budget::Budget;
use crate::change::CartOperation;
use crate::error::CartError;
use crate::line::CartLine;

/// The lines that a platform sent, by key. They are not verified: seals may be invalid, and keys may occur twice.
pub struct CartIndex<'l> {
    lines: &'l [CartLine],
    top_lines: HashMap<&'l str, Vec<&'l CartLine>>,
    members: HashMap<&'l str, Vec<&'l CartLine>>,
}

impl<'l> CartIndex<'l> {
    /// Indexes the lines of a cart.
    ///
    /// # Errors
    /// Returns an error for more lines than [`Budget::CartLines`] allows.
    pub fn new(lines: &'l [CartLine]) -> Result<Self, CartError> {
        Budget::CartLines.check(lines.len())?;
        let mut cart = Self { lines, top_lines: HashMap::with_capacity(lines.len()), members: HashMap::new() };
        for line in lines {
            match line.top_key() {
                None => cart.top_lines.entry(&line.key).or_default().push(line),
                Some(top) => cart.members.entry(top).or_default().push(line),
            }
        }
        Ok(cart)
    }

    /// Returns all lines of the cart, in its order.
    pub fn lines(&self) -> &'l [CartLine] {
        self.lines
    }

    /// Returns the first [top line](CartLine::top_key) with this key.
    pub fn top_lines(&self, key: &str) -> Option<&'l CartLine> {
        self.copies(key).first().copied()
    }

    /// Returns all [top lines](CartLine::top_key) with this key.
    pub fn copies(&self, key: &str) -> &[&'l CartLine] {
        self.top_lines.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns the top line of the family that the line with this key belongs to.
    pub fn top_of(&self, key: &str) -> Option<&'l CartLine> {
        let member = || self.lines.iter().find(|line| line.key == key)?.top_key();
        self.top_lines(key).or_else(|| self.top_lines(member()?))
    }

    /// Returns the lines that belong to the top lines with this key: the children of a bundle, the other lines of a
    /// set.
    pub fn members(&self, key: &str) -> &[&'l CartLine] {
        self.members.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns a top line and the lines that belong to it.
    pub fn family(&self, line: &'l CartLine) -> Vec<&'l CartLine> {
        std::iter::once(line).chain(self.members(&line.key).iter().copied()).collect()
    }

    /// Returns the total quantity of a key. A replacement takes the place of every copy of its line, so all copies
    /// count.
    pub fn total_quantity(&self, key: &str) -> u32 {
        self.copies(key).iter().fold(0, |sum, line| sum.saturating_add(line.requested_quantity))
    }

    /// Returns the key of a top line and the keys of the lines that belong to it.
    pub fn keys(&self, key: &str) -> Vec<String> {
        let members = self.members(key).iter().map(|line| line.key.clone());
        std::iter::once(key.to_owned()).chain(members).collect()
    }
}

/// Names of removed parts for the bundles that are replanned, by the item that a bundle stands for.
#[derive(Debug, Clone, Default)]
pub struct RemovedParts(pub HashMap<Option<u32>, BTreeSet<Digest>>);

/// Drops replacements by equal lines, and turns replacements with the same keys into updates.
pub fn drop_unchanged(operations: Vec<CartOperation>, cart: &CartIndex<'_>) -> Vec<CartOperation> {
    operations
        .into_iter()
        .filter_map(|operation| match operation {
            CartOperation::Replace { key, lines } => {
                // Every copy of the line counts: an update of a line that occurs twice would leave both copies.
                let old: Vec<&CartLine> = cart.copies(&key).iter().chain(cart.members(&key)).copied().collect();
                let keys = |lines: &mut dyn Iterator<Item = &CartLine>| {
                    let mut keys: Vec<String> = lines.map(|line| line.key.clone()).collect();
                    keys.sort();
                    keys
                };
                if keys(&mut old.iter().copied()) != keys(&mut lines.iter()) {
                    return Some(CartOperation::Replace { key, lines });
                }
                (!all_present(&old, &lines)).then_some(CartOperation::Update { lines })
            }
            other => Some(other),
        })
        .collect()
}

/// Returns whether each of these lines is among the existing ones, at the same price.
pub(crate) fn all_present(existing: &[&CartLine], lines: &[CartLine]) -> bool {
    let mut by_key: HashMap<&str, Vec<&CartLine>> = HashMap::with_capacity(existing.len());
    for line in existing {
        by_key.entry(&line.key).or_default().push(line);
    }
    lines.iter().all(|line| {
        by_key.get(line.key.as_str()).is_some_and(|same| same.iter().any(|existing| same_line(existing, line)))
    })
}

/// Returns whether two lines are the same at the same price. A later expiry and display texts do not count as changes.
fn same_line(old: &CartLine, new: &CartLine) -> bool {
    let mut shown = old.clone();
    (shown.title, shown.shown, shown.thumbnail) = (new.title.clone(), new.shown.clone(), new.thumbnail);
    shown.shopper_texts.clone_from(&new.shopper_texts);
    (shown.price.expires, shown.price.seal) = (new.price.expires.clone(), new.price.seal.clone());
    shown.price.adjustments.clone_from(&new.price.adjustments);
    shown.price.country.clone_from(&new.price.country);
    shown.price.region.clone_from(&new.price.region);
    shown.price.customer_groups.clone_from(&new.price.customer_groups);
    shown == *new
}
