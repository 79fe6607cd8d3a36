//! What a platform asks for: add, edit, ask for an offer, buy again.

use std::collections::BTreeMap;

use super::line::CartLine;
use super::plan::with_children;
use super::walk::Walk;
use super::{AddToCart, CartChange, CartError, CartOperation};
use crate::contract::Intent;
use crate::host::Cartwright;
use crate::ids::ShopId;
use crate::shop::Visitor;

impl Cartwright {
    /// Puts a configuration into the cart. A line that would hold what another holds already raises that line's quantity.
    ///
    /// # Errors
    /// Says what is wrong and whose it is to mend; nothing is changed then.
    pub async fn add_to_cart(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        self.add(shop, add, None).await
    }

    /// Adds, as a past line was where there is one.
    async fn add(&self, shop: &ShopId, add: AddToCart, past: Option<&CartLine>) -> Result<CartChange, CartError> {
        let mut walk = Walk::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        walk.chosen_variant = add.variant.clone();
        if let Some(past) = past {
            walk.leave_out(past.item, &past.without);
        }
        let mut operations = walk.plan(Intent::Add, add.configuration.as_deref(), add.quantity, &add.lines).await?;
        if let Some(past) = past {
            // One configuration may have become several lines; one of them is bought again.
            operations.retain(|operation| match operation {
                CartOperation::Add { lines } => lines.first().is_some_and(|first| first.item == past.item),
                _ => false,
            });
        }
        // What the configuration or the cart holds twice becomes more of one line, priced anew for the whole quantity.
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        operations.retain(|operation| match brings(operation) {
            Some(key) => {
                let times = times.entry(key.clone()).or_default();
                *times += 1;
                *times == 1
            }
            None => true,
        });
        for operation in &mut operations {
            let Some(key) = brings(operation).cloned() else { continue };
            let (held, times) = (held_line(&add.lines, &key), times.get(&key).copied().unwrap_or(1));
            if held.is_none() && times == 1 {
                continue;
            }
            let quantity = asked_of(&add.lines, &key).saturating_add(add.quantity.saturating_mul(times));
            let again = walk.plan(Intent::Add, add.configuration.as_deref(), quantity, &add.lines).await?;
            let same = again.into_iter().find_map(|operation| match operation {
                CartOperation::Add { lines } if lines.first().is_some_and(|line| line.key == key) => Some(lines),
                _ => None,
            });
            if let Some(lines) = same {
                *operation = match held {
                    Some(_) => CartOperation::Replace { key, lines },
                    None => CartOperation::Add { lines },
                };
            }
        }
        // A bundle whose children are not those in the cart is replaced: an update brings no child.
        Ok(walk.end(without_no_changes(operations, &add.lines)))
    }

    /// Puts a configuration in the place of a line or bundle. The quantity stays unless another is given; the new line is
    /// checked whole before the old one goes. The key says which version of the line is meant: a line that changed meanwhile
    /// has another. The line's own version plans, unless another strategy is chosen. What was taken out of a bundle is of the old
    /// configuration; the new one starts whole.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart); the old line stays then.
    pub async fn edit_line(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: Option<u32>,
        add: AddToCart,
    ) -> Result<CartChange, CartError> {
        let old = held_line(&add.lines, key).ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        if old.linked_product != add.product {
            return Err(CartError::NotLinked {
                found: add.product.clone(),
                shop_product: old.linked_product.clone(),
                linked: key.to_owned(),
            });
        }
        let quantity = quantity.unwrap_or(old.asked_quantity);
        let mut walk = match add.strategy.clone() {
            Some(choice) => Walk::begin(self, shop, &add.product, Some(choice), &add.visitor)?,
            None => Walk::begin_pinned(self, shop, old, &add.visitor)?,
        };
        walk.chosen_variant = add.variant.clone().or_else(|| old.chosen_variant.clone());
        let intent = Intent::Replace(key.to_owned());
        let operations = walk.plan(intent, add.configuration.as_deref(), quantity, &add.lines).await?;
        let operations = self.settled(shop, in_their_places(operations, &add.lines), &add.lines, &add.visitor).await?;
        Ok(walk.end(operations))
    }

    /// Lets what a plan brings twice, or what another line of the cart holds already, become more of one line.
    async fn settled(
        &self,
        shop: &ShopId,
        operations: Vec<CartOperation>,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<Vec<CartOperation>, CartError> {
        let leaving: Vec<String> = operations.iter().filter_map(leaves).map(str::to_owned).collect();
        let mut settled: Vec<CartOperation> = Vec::with_capacity(operations.len());
        for operation in operations {
            let (line, new) = match operation {
                CartOperation::Replace { key, lines: new } => (held_line(lines, &key), new),
                CartOperation::Add { lines: new } => (None, new),
                other => {
                    settled.push(other);
                    continue;
                }
            };
            let same = |earlier: &&mut CartOperation| {
                brings(earlier).is_some() && brings(earlier) == new.first().map(|new| &new.key)
            };
            if let Some(CartOperation::Replace { lines: earlier, .. } | CartOperation::Add { lines: earlier }) =
                settled.iter_mut().find(same)
                && let (Some(first), Some(twin)) = (earlier.first().cloned(), new.first())
            {
                let quantity = first.asked_quantity.saturating_add(twin.asked_quantity);
                let placed = [lines, earlier].concat();
                (_, *earlier) = self.planned_again(shop, &first, quantity, &first.without, &placed, visitor).await?;
                settled.extend(line.map(|line| CartOperation::Remove { keys: with_children(lines, &line.key) }));
                continue;
            }
            // A line that this plan itself replaces or removes takes nothing up.
            let stays = |other: &&CartLine| {
                let top = other.parent.as_ref().unwrap_or(&other.key);
                line.is_some_and(|line| line.key == *top) || !leaving.contains(top)
            };
            let staying: Vec<CartLine> = lines.iter().filter(stays).cloned().collect();
            settled.extend(self.in_place_of(shop, line, new, &staying, visitor).await?);
        }
        Ok(settled)
    }

    /// Asks the merchant for an offer instead of buying.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart).
    pub async fn request_quotation(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        let mut walk = Walk::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        walk.chosen_variant = add.variant.clone();
        let operations = walk.plan(Intent::Quotation, add.configuration.as_deref(), add.quantity, &add.lines).await?;
        Ok(walk.end(operations))
    }

    /// Buys again what a past order held, priced as of now and planned by the current versions. What was taken out of a bundle
    /// stays out.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart), and when the line's configuration is no longer stored.
    pub async fn reorder(
        &self,
        shop: &ShopId,
        past: &CartLine,
        lines: Vec<CartLine>,
        visitor: Visitor,
    ) -> Result<CartChange, CartError> {
        let configuration = self.stored_configuration(shop, past).await?;
        let add = AddToCart {
            product: past.linked_product.clone(),
            configuration,
            variant: past.chosen_variant.clone(),
            quantity: past.asked_quantity,
            strategy: None,
            lines,
            visitor,
        };
        self.add(shop, add, Some(past)).await
    }

    /// The raw configuration of a line, from the blob store.
    pub(super) async fn stored_configuration(
        &self,
        shop: &ShopId,
        line: &CartLine,
    ) -> Result<Option<Vec<u8>>, CartError> {
        let Some(digest) = line.configuration else { return Ok(None) };
        let stored = self.platform().blobs.get(shop, &digest).await;
        match stored.map_err(|error| CartError::Platform(error.to_string()))? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(CartError::MustReconfigure {
                key: line.key.clone(),
                why: "its configuration is no longer stored".to_owned(),
            }),
        }
    }
}

pub(super) fn held_line<'l>(lines: &'l [CartLine], key: &str) -> Option<&'l CartLine> {
    lines.iter().find(|line| line.key == key && line.parent.is_none())
}

/// The key of the line that an operation brings.
fn brings(operation: &CartOperation) -> Option<&String> {
    match operation {
        CartOperation::Add { lines } | CartOperation::Replace { lines, .. } => lines.first().map(|first| &first.key),
        _ => None,
    }
}

/// The line that an operation takes out of the cart.
fn leaves(operation: &CartOperation) -> Option<&str> {
    match operation {
        CartOperation::Replace { key, .. } => Some(key),
        CartOperation::Remove { keys } => keys.first().map(String::as_str),
        _ => None,
    }
}

/// Where two products of a configuration changed places, each line would be replaced by what the other one held, and a platform
/// that goes through the operations one by one would not know which of two lines of one key is meant: what is in the cart
/// already takes its own place.
fn in_their_places(mut operations: Vec<CartOperation>, held: &[CartLine]) -> Vec<CartOperation> {
    for at in 0..operations.len() {
        let CartOperation::Replace { key, lines } = &operations[at] else { continue };
        let Some(own) = lines.first().map(|first| first.key.clone()).filter(|own| own != key) else { continue };
        let key = key.clone();
        let Some(other) = operations.iter().position(|other| leaves(other) == Some(&own)) else { continue };
        match &mut operations[other] {
            CartOperation::Replace { key: theirs, .. } => theirs.clone_from(&key),
            CartOperation::Remove { keys } => *keys = with_children(held, &key),
            _ => {}
        }
        if let CartOperation::Replace { key, .. } = &mut operations[at] {
            *key = own;
        }
    }
    operations
}

/// How many of a line a cart asks for. A replacement takes the place of every copy of its line, so all of them count.
pub(super) fn asked_of(lines: &[CartLine], key: &str) -> u32 {
    let copies = lines.iter().filter(|line| line.key == key && line.parent.is_none());
    copies.fold(0, |sum, line| sum.saturating_add(line.asked_quantity))
}

/// A replacement by the same lines changes nothing; by the same keys it is an update.
pub(super) fn without_no_changes(operations: Vec<CartOperation>, held: &[CartLine]) -> Vec<CartOperation> {
    operations
        .into_iter()
        .filter_map(|operation| match operation {
            CartOperation::Replace { key, lines } => {
                // Every copy of the line counts: an update of a line that stands twice would leave it twice.
                let goes = |line: &&CartLine| line.key == key || line.parent.as_ref() == Some(&key);
                let mut old: Vec<String> = held.iter().filter(goes).map(|line| line.key.clone()).collect();
                let mut new: Vec<String> = lines.iter().map(|line| line.key.clone()).collect();
                old.sort();
                new.sort();
                if old != new {
                    return Some(CartOperation::Replace { key, lines });
                }
                let same = lines.iter().all(|line| held.iter().any(|old| same_line(old, line)));
                (!same).then_some(CartOperation::Update { lines })
            }
            other => Some(other),
        })
        .collect()
}

/// The same line at the same price; a later expiry alone is no change, and what is only shown is none either.
pub(super) fn same_line(old: &CartLine, new: &CartLine) -> bool {
    let mut shown = old.clone();
    (shown.title, shown.shown, shown.thumbnail) = (new.title.clone(), new.shown.clone(), new.thumbnail);
    (shown.price.expires, shown.price.seal) = (new.price.expires.clone(), new.price.seal.clone());
    shown == *new
}
