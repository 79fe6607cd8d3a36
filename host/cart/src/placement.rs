//! Placement of an edited configuration: the line that each of its items replaces.
//!
//! Items that were saved together became separate lines. When one of them is edited, the others follow: each keeps its
//! line and its quantity, and a line whose item is missing from the new configuration is removed.

use std::collections::{HashMap, HashSet};

use cartwright_contract::records::{Item, LineRequest};

use crate::line::CartLine;

/// Returns the roots of a configuration, or a single `None` without a configuration.
pub fn roots(items: &[Item]) -> Vec<Option<u32>> {
    if items.is_empty() {
        return vec![None];
    }
    let roots = items.iter().enumerate().filter(|(_, item)| item.parent.is_none());
    roots.map(|(index, _)| u32::try_from(index).ok()).collect()
}

/// The line requests for an edited configuration, and the lines that they replace.
pub struct Placement {
    /// The line requests, one for each root of the configuration.
    pub line_requests: Vec<LineRequest>,
    /// For each line request, the key of the line that it replaces.
    replaces: Vec<Option<String>>,
    /// Keys of lines that are removed without a replacement.
    removed: Vec<String>,
}

/// A family of lines to be added, and the line that it replaces.
pub struct LineMove {
    /// Key of the line that the family replaces. `None` for a new line.
    pub replaces: Option<String>,
    /// The family: a line, followed by its children.
    pub lines: Vec<CartLine>,
}

impl Placement {
    /// Computes the placement from the edited line, the items of the new configuration, and the cart.
    #[allow(clippy::indexing_slicing, reason = "`replaces` has an entry for each root")]
    pub fn of(edited: &CartLine, quantity: u32, items: &[Item], lines: &[CartLine]) -> Self {
        let mut siblings = Siblings::of(edited, lines);
        let roots = roots(items);
        let mut replaces: Vec<Option<&CartLine>> = vec![None; roots.len()];
        // If two roots could be the edited one, the first is chosen.
        let edited_root = roots.iter().position(|root| is_root_of(edited, items, *root));
        let mut is_placed = edited_root.is_some();
        if let Some(edited_root) = edited_root {
            replaces[edited_root] = Some(edited);
        }
        for (place, root) in replaces.iter_mut().zip(&roots).filter(|(place, _)| place.is_none()) {
            *place = siblings.take(items, *root);
        }
        if !is_placed && let Some(free) = replaces.iter_mut().find(|place| place.is_none()) {
            *free = Some(edited);
            is_placed = true;
        }
        let quantity_of = |place: &Option<&CartLine>| match place {
            Some(line) if line.key != edited.key => line.requested_quantity,
            _ => quantity,
        };
        let line_requests = roots.iter().zip(&replaces).map(|(item, place)| LineRequest {
            item: *item,
            quantity: quantity_of(place),
            extra: Vec::new(),
        });
        let mut removed: Vec<String> = siblings.remaining().map(|line| line.key.clone()).collect();
        if !is_placed {
            removed.push(edited.key.clone());
        }
        Self {
            line_requests: line_requests.collect(),
            replaces: replaces.iter().map(|place| place.map(|line| line.key.clone())).collect(),
            removed,
        }
    }

    /// Returns the replacement of each planned family, and the lines that are removed. A family that the cart contains
    /// already replaces its own line: if two items swapped their positions, a platform that applies operations one by
    /// one could not tell which of two lines with one key is meant.
    #[allow(
        clippy::indexing_slicing,
        reason = "the indexes are positions of `line_requests`, `moves` and `removed`, which do not shrink"
    )]
    pub fn moves(mut self, families: Vec<Vec<CartLine>>) -> (Vec<LineMove>, Vec<String>) {
        let mut place_of: HashMap<Option<u32>, usize> = HashMap::with_capacity(self.line_requests.len());
        for (place, line_request) in self.line_requests.iter().enumerate() {
            place_of.entry(line_request.item).or_insert(place);
        }
        let mut moves: Vec<LineMove> = Vec::with_capacity(families.len());
        for lines in families {
            let place = place_of.get(&lines.first().and_then(|first| first.item));
            moves.push(LineMove { replaces: place.and_then(|place| self.replaces[*place].take()), lines });
        }
        let mut removed: Vec<Option<String>> =
            self.removed.into_iter().chain(self.replaces.into_iter().flatten()).map(Some).collect();
        let mut taken_by: HashMap<String, usize> = HashMap::with_capacity(moves.len());
        for (at, moved) in moves.iter().enumerate() {
            if let Some(key) = &moved.replaces {
                taken_by.entry(key.clone()).or_insert(at);
            }
        }
        let mut gone_at: HashMap<String, usize> = HashMap::with_capacity(removed.len());
        for (at, key) in removed.iter().enumerate() {
            if let Some(key) = key {
                gone_at.entry(key.clone()).or_insert(at);
            }
        }
        for at in 0..moves.len() {
            let Some(own) = moves[at].lines.first().map(|first| first.key.clone()) else { continue };
            if moves[at].replaces.as_ref() == Some(&own) {
                continue;
            }
            let old = moves[at].replaces.clone();
            if let Some(other) = taken_by.get(&own).copied() {
                moves[other].replaces.clone_from(&old);
                if let Some(old) = old {
                    taken_by.insert(old, other);
                }
            } else if let Some(other) = gone_at.remove(&own) {
                removed[other] = None;
                if let Some(old) = old {
                    taken_by.remove(&old);
                    gone_at.insert(old.clone(), removed.len());
                    removed.push(Some(old));
                }
            } else {
                continue;
            }
            taken_by.insert(own.clone(), at);
            moves[at].replaces = Some(own);
        }
        (moves, removed.into_iter().flatten().collect())
    }
}

/// The lines that were saved together with an edited one and are not yet replaced by a root.
struct Siblings<'l> {
    lines: Vec<Option<&'l CartLine>>,
    /// Indexes of lines with an item id, by that id.
    by_id: HashMap<&'l str, Vec<usize>>,
    by_item: HashMap<Option<u32>, usize>,
    /// Indexes of lines without an item id.
    without_id: HashMap<Option<u32>, usize>,
}

impl<'l> Siblings<'l> {
    fn of(edited: &CartLine, lines: &'l [CartLine]) -> Self {
        let lines = siblings(edited, lines);
        let mut index =
            Self { lines: Vec::new(), by_id: HashMap::new(), by_item: HashMap::new(), without_id: HashMap::new() };
        for (at, line) in lines.into_iter().enumerate() {
            index.lines.push(Some(line));
            index.by_item.insert(line.item, at);
            match &line.item_id {
                Some(id) => index.by_id.entry(id).or_default().push(at),
                None => {
                    index.without_id.insert(line.item, at);
                }
            }
        }
        // Entries are taken from the end, so the first line is taken first.
        index.by_id.values_mut().for_each(|places| places.reverse());
        index
    }

    /// Takes the line that a root replaces, see [`is_root_of`].
    #[allow(clippy::indexing_slicing, reason = "the maps contain positions of `lines`, which does not shrink")]
    fn take(&mut self, items: &[Item], root: Option<u32>) -> Option<&'l CartLine> {
        let id = root.and_then(|root| items.get(root as usize)).and_then(|item| item.id.as_deref());
        let Some(id) = id else { return self.lines[*self.by_item.get(&root)?].take() };
        while let Some(at) = self.by_id.get_mut(id).and_then(Vec::pop) {
            if let Some(line) = self.lines[at].take() {
                return Some(line);
            }
        }
        self.lines[*self.without_id.get(&root)?].take()
    }

    fn remaining(&self) -> impl Iterator<Item = &'l CartLine> + '_ {
        self.lines.iter().copied().flatten()
    }
}

/// Returns the lines that were saved together with a line: the lines of its configuration for other items. A line that
/// was added separately, for another variant, by another strategy or from a quote, does not count.
fn siblings<'l>(edited: &CartLine, lines: &'l [CartLine]) -> Vec<&'l CartLine> {
    let mut siblings: Vec<&CartLine> = Vec::new();
    let mut items: HashSet<Option<u32>> = HashSet::new();
    let strategy = |line: &CartLine| (line.pin.strategy_account.clone(), line.pin.strategy.clone());
    let other = |line: &&CartLine| line.top_key().is_none() && line.price.offer.is_none() && line.item != edited.item;
    for line in lines.iter().filter(other) {
        let saved_together = edited.configuration.is_some()
            && line.configuration == edited.configuration
            && line.linked_product == edited.linked_product
            && line.chosen_variant == edited.chosen_variant
            && strategy(line) == strategy(edited);
        if saved_together && items.insert(line.item) {
            siblings.push(line);
        }
    }
    siblings
}

/// Returns whether a root is the line's item, by the vendor's item id, or by index if either has no id.
fn is_root_of(line: &CartLine, items: &[Item], root: Option<u32>) -> bool {
    let item = root.and_then(|root| items.get(root as usize));
    match (&line.item_id, item.and_then(|item| item.id.as_ref())) {
        (Some(held), Some(id)) => held == id,
        _ => line.item == root,
    }
}
