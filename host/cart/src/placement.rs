//! Where an edited configuration goes: which line each of its products takes the place of.
//!
//! Products that were saved together became lines side by side. When one of them is edited, the others are moved along: each keeps
//! its line and its quantity, and one that the new configuration no longer holds goes.

use std::collections::{HashMap, HashSet};

use cartwright_contract::records::{Item, Wanted};

use crate::line::CartLine;

/// The roots of a configuration; none of its items where there is no configuration.
pub fn roots(items: &[Item]) -> Vec<Option<u32>> {
    if items.is_empty() {
        return vec![None];
    }
    let roots = items.iter().enumerate().filter(|(_, item)| item.parent.is_none());
    roots.map(|(index, _)| u32::try_from(index).ok()).collect()
}

/// What is wanted in the place of which lines.
pub struct Placement {
    pub wanted: Vec<Wanted>,
    /// For each of them the line that goes.
    replaces: Vec<Option<String>>,
    /// Lines that nothing takes the place of.
    removed: Vec<String>,
}

/// A family of lines that comes into the cart, and the line whose place it takes.
pub struct LineMove {
    pub replaces: Option<String>,
    pub lines: Vec<CartLine>,
}

impl Placement {
    /// For an edited line, the new configuration's items, and the cart.
    pub fn of(edited: &CartLine, quantity: u32, items: &[Item], lines: &[CartLine]) -> Self {
        let mut siblings = Siblings::of(edited, lines);
        let roots = roots(items);
        let mut replaces: Vec<Option<&CartLine>> = vec![None; roots.len()];
        // Where two roots could be the edited one, the first is.
        let own = roots.iter().position(|root| is_root_of(edited, items, *root));
        let mut seen = own.is_some();
        if let Some(own) = own {
            replaces[own] = Some(edited);
        }
        for (place, root) in replaces.iter_mut().zip(&roots).filter(|(place, _)| place.is_none()) {
            *place = siblings.take(items, *root);
        }
        if !seen && let Some(free) = replaces.iter_mut().find(|place| place.is_none()) {
            *free = Some(edited);
            seen = true;
        }
        let asked = |place: &Option<&CartLine>| match place {
            Some(line) if line.key != edited.key => line.requested_quantity,
            _ => quantity,
        };
        let wanted = roots.iter().zip(&replaces).map(|(item, place)| Wanted { item: *item, quantity: asked(place) });
        let mut removed: Vec<String> = siblings.remaining().map(|line| line.key.clone()).collect();
        if !seen {
            removed.push(edited.key.clone());
        }
        Self {
            wanted: wanted.collect(),
            replaces: replaces.iter().map(|place| place.map(|line| line.key.clone())).collect(),
            removed,
        }
    }

    /// Where the planned families go, and which lines go without one. What is in the cart already takes its own place: where two
    /// products changed places, a platform that goes through the operations one by one would not know which of two lines of one
    /// key is meant.
    pub fn moves(mut self, families: Vec<Vec<CartLine>>) -> (Vec<LineMove>, Vec<String>) {
        let mut place_of: HashMap<Option<u32>, usize> = HashMap::with_capacity(self.wanted.len());
        for (place, wanted) in self.wanted.iter().enumerate() {
            place_of.entry(wanted.item).or_insert(place);
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

/// The lines that were saved together with an edited one, and that no root has taken the place of yet.
struct Siblings<'l> {
    lines: Vec<Option<&'l CartLine>>,
    /// The places of those with an id, by it.
    by_id: HashMap<&'l str, Vec<usize>>,
    by_item: HashMap<Option<u32>, usize>,
    /// The places of those without an id.
    without_id: HashMap<Option<u32>, usize>,
}

impl<'l> Siblings<'l> {
    fn of(edited: &CartLine, lines: &'l [CartLine]) -> Self {
        let lines = siblings(edited, lines);
        let mut found =
            Self { lines: Vec::new(), by_id: HashMap::new(), by_item: HashMap::new(), without_id: HashMap::new() };
        for (at, line) in lines.into_iter().enumerate() {
            found.lines.push(Some(line));
            found.by_item.insert(line.item, at);
            match &line.item_id {
                Some(id) => found.by_id.entry(id).or_default().push(at),
                None => {
                    found.without_id.insert(line.item, at);
                }
            }
        }
        // Taken from the end, the first comes first.
        found.by_id.values_mut().for_each(|places| places.reverse());
        found
    }

    /// Takes the line that a root stands for, see [`is_root_of`].
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

/// The lines that were saved together with a line: those of its configuration that stand for other products. One that was put in
/// separately, for another variant, by another strategy or as it was offered, is none.
fn siblings<'l>(edited: &CartLine, lines: &'l [CartLine]) -> Vec<&'l CartLine> {
    let mut siblings: Vec<&CartLine> = Vec::new();
    let mut items: HashSet<Option<u32>> = HashSet::new();
    let strategy = |line: &CartLine| (line.pin.strategy_account.clone(), line.pin.strategy.clone());
    let other = |line: &&CartLine| line.parent.is_none() && line.price.offer.is_none() && line.item != edited.item;
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

/// Is this root the line's configured product? By the vendor's id; where either has none, by its place.
fn is_root_of(line: &CartLine, items: &[Item], root: Option<u32>) -> bool {
    let item = root.and_then(|root| items.get(root as usize));
    match (&line.item_id, item.and_then(|item| item.id.as_ref())) {
        (Some(held), Some(id)) => held == id,
        _ => line.item == root,
    }
}
