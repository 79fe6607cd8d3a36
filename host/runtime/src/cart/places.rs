//! Where an edited configuration goes: which line each of its products takes the place of.
//!
//! Products that were saved together became lines side by side. When one of them is edited, the others are moved along: each keeps
//! its line and its quantity, and one that the new configuration no longer holds goes.

use super::line::CartLine;
use super::path::{asked_of, held_line, without_no_changes};
use super::plan::with_children;
use super::{CartError, CartOperation};
use crate::contract::{Item, Wanted};
use crate::host::Cartwright;
use crate::ids::ShopId;
use crate::shop::Visitor;

/// The roots of a configuration; none of its items where there is no configuration.
pub(super) fn roots(items: &[Item]) -> Vec<Option<u32>> {
    if items.is_empty() {
        return vec![None];
    }
    let roots = items.iter().enumerate().filter(|(_, item)| item.parent.is_none());
    roots.map(|(index, _)| u32::try_from(index).ok()).collect()
}

/// What is wanted in the place of which lines.
#[derive(Default)]
pub(super) struct Places {
    pub(super) wanted: Vec<Wanted>,
    /// For each of them the line that goes.
    takes: Vec<Option<String>>,
    /// Lines that nothing takes the place of.
    gone: Vec<String>,
}

/// A family of lines that comes into the cart, and the line whose place it takes.
pub(super) struct Move {
    pub(super) takes: Option<String>,
    pub(super) lines: Vec<CartLine>,
}

impl Places {
    /// For an edited line, the new configuration's items, and the cart.
    pub(super) fn of(edited: &CartLine, quantity: u32, items: &[Item], lines: &[CartLine]) -> Self {
        let mut siblings = siblings(edited, lines);
        let roots = roots(items);
        let mut takes: Vec<Option<&CartLine>> = vec![None; roots.len()];
        for (place, root) in takes.iter_mut().zip(&roots) {
            *place = Some(edited).filter(|edited| stands_for(edited, items, *root));
        }
        // Where two roots could be the edited one, the first is.
        let mut seen = false;
        for place in &mut takes {
            if place.is_some() && std::mem::replace(&mut seen, true) {
                *place = None;
            }
        }
        for (place, root) in takes.iter_mut().zip(&roots).filter(|(place, _)| place.is_none()) {
            if let Some(at) = siblings.iter().position(|line| stands_for(line, items, *root)) {
                *place = Some(siblings.remove(at));
            }
        }
        if !seen && let Some(free) = takes.iter_mut().find(|place| place.is_none()) {
            *free = Some(edited);
            seen = true;
        }
        let asked = |place: &Option<&CartLine>| match place {
            Some(line) if line.key != edited.key => line.asked_quantity,
            _ => quantity,
        };
        let wanted = roots.iter().zip(&takes).map(|(item, place)| Wanted { item: *item, quantity: asked(place) });
        let mut gone: Vec<String> = siblings.iter().map(|line| line.key.clone()).collect();
        if !seen {
            gone.push(edited.key.clone());
        }
        Self {
            wanted: wanted.collect(),
            takes: takes.iter().map(|place| place.map(|line| line.key.clone())).collect(),
            gone,
        }
    }

    /// Where the planned families go, and which lines go without one. What is in the cart already takes its own place: where two
    /// products changed places, a platform that goes through the operations one by one would not know which of two lines of one
    /// key is meant.
    pub(super) fn moves(mut self, families: Vec<Vec<CartLine>>) -> (Vec<Move>, Vec<String>) {
        let mut moves = Vec::with_capacity(families.len());
        for lines in families {
            let item = lines.first().and_then(|first| first.item);
            let place = self.wanted.iter().position(|wanted| wanted.item == item);
            moves.push(Move { takes: place.and_then(|place| self.takes[place].take()), lines });
        }
        let mut gone = self.gone;
        gone.extend(self.takes.into_iter().flatten());
        for at in 0..moves.len() {
            let Some(own) = moves[at].lines.first().map(|first| first.key.clone()) else { continue };
            let (is_own, old) = (moves[at].takes.as_ref() == Some(&own), moves[at].takes.clone());
            if is_own {
                continue;
            }
            if let Some(other) = moves.iter().position(|other| other.takes.as_ref() == Some(&own)) {
                moves[other].takes = old;
            } else if let Some(other) = gone.iter().position(|key| *key == own) {
                gone.remove(other);
                gone.extend(old);
            } else {
                continue;
            }
            moves[at].takes = Some(own);
        }
        (moves, gone)
    }
}

/// The lines that were saved together with a line: those of its configuration that stand for other products. One that was put in
/// separately, for another variant, by another strategy or as it was offered, is none.
fn siblings<'l>(edited: &CartLine, lines: &'l [CartLine]) -> Vec<&'l CartLine> {
    let mut siblings: Vec<&CartLine> = Vec::new();
    let strategy = |line: &CartLine| (line.pin.strategy_account.clone(), line.pin.strategy.clone());
    let other = |line: &&CartLine| line.parent.is_none() && line.price.offer.is_none() && line.item != edited.item;
    for line in lines.iter().filter(other) {
        let saved_together = edited.configuration.is_some()
            && line.configuration == edited.configuration
            && line.linked_product == edited.linked_product
            && line.chosen_variant == edited.chosen_variant
            && strategy(line) == strategy(edited);
        if saved_together && siblings.iter().all(|sibling| sibling.item != line.item) {
            siblings.push(line);
        }
    }
    siblings
}

/// Is this root the line's configured product? By the vendor's id; where either has none, by its place.
fn stands_for(line: &CartLine, items: &[Item], root: Option<u32>) -> bool {
    let item = root.and_then(|root| items.get(root as usize));
    match (&line.item_id, item.and_then(|item| item.id.as_ref())) {
        (Some(held), Some(id)) => held == id,
        _ => line.item == root,
    }
}

impl Cartwright {
    /// Puts families of lines into a cart. What comes twice, or what another line of the cart holds already, becomes more of one
    /// line: two lines of one key would each be priced for fewer than are bought.
    pub(super) async fn settled(
        &self,
        shop: &ShopId,
        moves: Vec<Move>,
        mut gone: Vec<String>,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<Vec<CartOperation>, CartError> {
        let leaving: Vec<String> = moves.iter().filter_map(|moved| moved.takes.clone()).chain(gone.clone()).collect();
        let mut operations: Vec<CartOperation> = Vec::with_capacity(moves.len());
        for Move { takes, lines: family } in moves {
            let Some(first) = family.first() else { continue };
            let (key, asked) = (first.key.clone(), first.asked_quantity);
            let earlier = operations.iter_mut().find_map(|operation| match operation {
                CartOperation::Add { lines } | CartOperation::Replace { lines, .. }
                    if lines.first().is_some_and(|first| first.key == key) =>
                {
                    Some(lines)
                }
                _ => None,
            });
            if let Some(earlier) = earlier
                && let Some(twin) = earlier.first().cloned()
            {
                let quantity = twin.asked_quantity.saturating_add(asked);
                (_, *earlier) = self.planned_again(shop, &twin, quantity, &twin.without, lines, visitor).await?;
                gone.extend(takes);
                continue;
            }
            // A line that leaves takes nothing up.
            if let Some(twin) = held_line(lines, &key).filter(|_| !leaving.contains(&key)) {
                let quantity = asked_of(lines, &key).saturating_add(asked);
                let (_, more) = self.planned_again(shop, twin, quantity, &twin.without, lines, visitor).await?;
                if more.first().is_some_and(|more| more.key == key) {
                    operations.push(CartOperation::Replace { key, lines: more });
                    gone.extend(takes);
                    continue;
                }
            }
            operations.push(match takes {
                Some(key) => CartOperation::Replace { key, lines: family },
                None => CartOperation::Add { lines: family },
            });
        }
        let mut operations = without_no_changes(operations, lines);
        operations.extend(gone.iter().map(|key| CartOperation::Remove { keys: with_children(lines, key) }));
        Ok(operations)
    }
}
