//! What a platform asks for: add, edit, ask for an offer, buy again.

use std::collections::BTreeMap;

use super::line::CartLine;
use super::offer::refuse_holding;
use super::places::{Places, roots};
use super::walk::Walk;
use super::{AddToCart, CartChange, CartError, CartOperation};
use crate::contract::{Item, Wanted};
use crate::host::Cartwright;
use crate::ids::ShopId;
use crate::shop::Visitor;

/// Why a line must be configured again that was left for too long.
pub(super) const NOT_STORED: &str = "its configuration is no longer stored";

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
        walk.told = add.stages.clone();
        if let Some(past) = past {
            walk.leave_out(past.item, &past.without);
        }
        let raw = add.configuration.as_deref();
        // One configuration may have become several lines; one of them is bought again.
        let is_meant = |item: &Option<u32>| past.is_none_or(|past| past.item == *item);
        let all = |items: &[Item]| {
            roots(items).into_iter().filter(is_meant).map(|item| Wanted { item, quantity: add.quantity }).collect()
        };
        let families = walk.plan(all, raw, &add.lines).await?;
        // What the configuration or the cart holds twice becomes more of one line, priced anew for the whole quantity.
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        families.iter().filter_map(|family| family.first()).for_each(|first| {
            *times.entry(first.key.clone()).or_default() += 1;
        });
        let mut more: BTreeMap<String, Wanted> = BTreeMap::new();
        for first in families.iter().filter_map(|family| family.first()) {
            let times = times[&first.key];
            if times > 1 || held_line(&add.lines, &first.key).is_some() {
                let quantity = asked_of(&add.lines, &first.key).saturating_add(add.quantity.saturating_mul(times));
                more.entry(first.key.clone()).or_insert(Wanted { item: first.item, quantity });
            }
        }
        // All at once: a configuration of many that are held asks the vendor twice, not once for each.
        let mut again = match more.is_empty() {
            true => Vec::new(),
            false => walk.plan(|_| more.values().cloned().collect(), raw, &add.lines).await?,
        };
        let mut operations = Vec::with_capacity(families.len());
        for family in families {
            let Some(key) = family.first().map(|first| first.key.clone()) else { continue };
            if times.remove(&key).is_none() {
                continue;
            }
            let anew = again.iter().position(|again| again.first().is_some_and(|again| again.key == key));
            let lines = anew.filter(|_| more.contains_key(&key)).map_or(family, |at| again.swap_remove(at));
            operations.push(match held_line(&add.lines, &key) {
                Some(_) => CartOperation::Replace { key, lines },
                None => CartOperation::Add { lines },
            });
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
    /// As [`add_to_cart`](Self::add_to_cart), and for a line that was offered as it is; the old line stays then.
    pub async fn edit_line(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: Option<u32>,
        add: AddToCart,
    ) -> Result<CartChange, CartError> {
        let old = held_line(&add.lines, key).ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        if old.linked_product != add.product {
            return Err(CartError::OtherProduct {
                key: key.to_owned(),
                held: old.linked_product.clone(),
                given: add.product.clone(),
            });
        }
        refuse_holding(&self.shop_state(shop)?.shop, old, &add.lines)?;
        let quantity = quantity.unwrap_or(old.asked_quantity);
        let mut walk = match add.strategy.clone() {
            Some(choice) => Walk::begin(self, shop, &add.product, Some(choice), &add.visitor)?,
            None => Walk::begin_pinned(self, shop, old, &add.visitor)?,
        };
        walk.chosen_variant = add.variant.clone().or_else(|| old.chosen_variant.clone());
        walk.told = add.stages.clone();
        let mut places = Places::default();
        let wanted = |items: &[Item]| {
            places = Places::of(old, quantity, items, &add.lines);
            places.wanted.clone()
        };
        let families = walk.plan(wanted, add.configuration.as_deref(), &add.lines).await?;
        let (moves, gone) = places.moves(families);
        let operations = self.settled(shop, moves, gone, &add.lines, &add.visitor).await?;
        Ok(walk.end(operations))
    }

    /// Asks the merchant for an offer instead of buying.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart).
    pub async fn request_quotation(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        let mut walk = Walk::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        walk.chosen_variant = add.variant.clone();
        walk.told = add.stages.clone();
        walk.quotation = true;
        let all =
            |items: &[Item]| roots(items).into_iter().map(|item| Wanted { item, quantity: add.quantity }).collect();
        let families = walk.plan(all, add.configuration.as_deref(), &add.lines).await?;
        let lines = families.into_iter().flatten().collect();
        Ok(walk.end(vec![CartOperation::RequestQuotation { lines }]))
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
            stages: None,
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
            None => Err(CartError::MustReconfigure { key: line.key.clone(), why: NOT_STORED.to_owned() }),
        }
    }
}

pub(super) fn held_line<'l>(lines: &'l [CartLine], key: &str) -> Option<&'l CartLine> {
    lines.iter().find(|line| line.key == key && line.parent.is_none())
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
    shown.price.adjustments.clone_from(&new.price.adjustments);
    shown.price.country.clone_from(&new.price.country);
    shown.price.customer_group.clone_from(&new.price.customer_group);
    shown == *new
}
