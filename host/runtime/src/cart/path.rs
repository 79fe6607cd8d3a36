//! What a platform asks for: add, edit, ask for an offer, buy again.

use super::line::CartLine;
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
        // What the cart holds already becomes more of it, priced anew for the whole quantity.
        for operation in &mut operations {
            let CartOperation::Add { lines } = operation else { continue };
            let Some(held) = lines.first().and_then(|new| held_line(&add.lines, &new.key)) else { continue };
            let quantity = asked_of(&add.lines, &held.key).saturating_add(add.quantity);
            let again = walk.plan(Intent::Add, add.configuration.as_deref(), quantity, &add.lines).await?;
            let same = again.into_iter().find_map(|operation| match operation {
                CartOperation::Add { lines } if lines.first().is_some_and(|line| line.key == held.key) => Some(lines),
                _ => None,
            });
            if let Some(lines) = same {
                *operation = CartOperation::Replace { key: held.key.clone(), lines };
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
        Ok(walk.end(without_no_changes(operations, &add.lines)))
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
