//! Changes of a cart: refresh, quantity, removal and merge.

use std::collections::HashSet;

use cartwright_cart::change::{CartChange, CartOperation};
use cartwright_cart::check::{check_complete, to_owned_lines};
use cartwright_cart::error::{CartError, PLANNED_DIFFERENTLY, SealError};
use cartwright_cart::index::CartIndex;
use cartwright_cart::line::CartLine;
use cartwright_cart::quote::{quoted_line, refuse_quoted_line};
use cartwright_cart::shop::Visitor;
use cartwright_contract::ids::ShopId;
use cartwright_contract::records::ChildRemoval;

use super::request::CartRequest;
use crate::host::Cartwright;

impl Cartwright {
    /// Replans and reprices a line from its stored configuration, by its pin. Any line of a set stands for the set. The
    /// change is empty if nothing changed, or if the line has the price of a valid quote in the visitor's currency.
    ///
    /// # Errors
    /// The same as [`add_to_cart`](Self::add_to_cart); also if the line was changed after it was sealed, or must be
    /// configured again.
    pub async fn refresh_line(
        &self,
        shop: &ShopId,
        key: &str,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let request = CartRequest::new(self, shop, lines, visitor)?;
        let line = request.line_or_set(key)?;
        let is_quoted = quoted_line(&self.shop_state(shop)?.shop, line, &request.cart).is_some();
        if is_quoted && line.is_priced_in(&request.currency) {
            return Ok(CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() });
        }
        request.replan(line, line.requested_quantity).await
    }

    /// Changes the quantity of a line and reprices it. Any line of a set stands for the set, and the quantity is that
    /// of the set: the quantity that is requested of the strategy, which plans every line of the set for it.
    ///
    /// # Errors
    /// The same as [`refresh_line`](Self::refresh_line); also for a line of a quote, which has a fixed quantity, and
    /// for a child, whose quantity follows its bundle's.
    pub async fn change_quantity(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: u32,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let request = CartRequest::new(self, shop, lines, visitor)?;
        let line = match request.line_or_set(key) {
            Err(CartError::UnknownLine(_)) if lines.iter().any(|line| line.key == key && line.parent.is_some()) => {
                return Err(CartError::BundleChild(key.to_owned()));
            }
            line => line?,
        };
        refuse_quoted_line(&self.shop_state(shop)?.shop, line, &request.cart)?;
        request.replan(line, quantity).await
    }

    /// Removes a line from the cart. A parent is removed with its children, and a line of a set with the whole set. A
    /// child is removed only if the strategy allows it: the bundle is replanned and repriced without it, as a line with
    /// another key that replaces the old one, and the child stays removed whenever that line is replanned. If the cart
    /// contains the resulting bundle already, its quantity increases; a bundle without its last child is removed.
    ///
    /// # Errors
    /// Returns an error if there is no such line, the child cannot be removed, or the bundle was changed after it was
    /// sealed; and those of [`refresh_line`](Self::refresh_line) for a child.
    pub async fn remove_line(
        &self,
        shop: &ShopId,
        key: &str,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let state = self.shop_state(shop)?;
        let request = CartRequest::new(self, shop, lines, visitor)?;
        let line = lines.iter().find(|line| line.key == key).ok_or_else(|| CartError::UnknownLine(key.to_owned()))?;
        let Some(parent) = &line.parent else { return Ok(request.remove_family(line.top_key().unwrap_or(key))) };
        let parent = request.cart.top_lines(parent).ok_or_else(|| CartError::UnknownLine(parent.clone()))?;
        let stays = || CartError::BundleChild(key.to_owned());
        if line.child_removal != Some(ChildRemoval::Repriced) {
            return Err(stays());
        }
        // The rest of an incomplete bundle cannot be determined.
        check_complete(&state.shop, &request.cart.family(parent), &[SealError::Forged])?;
        let part = line.part.ok_or_else(stays)?;
        refuse_quoted_line(&state.shop, parent, &request.cart)?;
        if parent.children.len() == 1 {
            return Ok(request.remove_family(&parent.key));
        }
        let without = [&parent.without[..], &[part]].concat();
        let quantity = parent.requested_quantity;
        let mut replan = request.replan_without(parent, quantity, &without).await?;
        if replan.lines.is_empty() {
            return Err(CartError::MustReconfigure { key: parent.key.clone(), reason: PLANNED_DIFFERENTLY.to_owned() });
        }
        match replan.lines.iter().find(|line| line.part == Some(part)) {
            None => {}
            // Nothing else is left of the bundle.
            Some(line) if line.child_removal == Some(ChildRemoval::Repriced) => {
                return Ok(request.remove_family(&parent.key));
            }
            Some(_) => return Err(stays()),
        }
        let operations = request.replace_line(parent, &mut replan).await?;
        Ok(replan.pipeline.finish(operations))
    }

    /// Merges the anonymous cart into the customer's cart. Lines with equal contents become one with the sum of both
    /// quantities, priced for the sum; all others stay separate, and those in another currency are priced again. A line of a quote is bought once: if both carts
    /// contain it, the customer's stays. The result is the change of the customer's cart.
    ///
    /// # Errors
    /// The same as [`refresh_line`](Self::refresh_line); both carts are unchanged then.
    pub async fn merge_carts(
        &self,
        shop: &ShopId,
        guest: &[CartLine],
        customer: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let state = self.shop_state(shop)?;
        let customer_request = CartRequest::new(self, shop, customer, visitor)?;
        let guests = CartRequest {
            cart: CartIndex::new(guest)?,
            budget_usage: customer_request.budget_usage.clone(),
            prepared: customer_request.prepared.clone(),
            ..CartRequest::new(self, shop, &[], visitor)?
        };
        let mut merged = CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() };
        let mut merged_keys = HashSet::new();
        for line in guest.iter().filter(|line| line.top_key().is_none()) {
            if !merged_keys.insert(&line.key) {
                continue;
            }
            // A line is taken over unchanged only if it is complete.
            let as_it_is = || {
                let family = guests.cart.family(line);
                check_complete(&state.shop, &family, &[SealError::Forged])?;
                let operations = vec![CartOperation::Add { lines: to_owned_lines(&family) }];
                Ok::<_, CartError>(CartChange { operations, warnings: Vec::new(), stages: Vec::new() })
            };
            let (existing, quantity) =
                (customer_request.cart.top_lines(&line.key), guests.cart.total_quantity(&line.key));
            let change = match existing {
                Some(_) if line.price.offer.is_some() => continue,
                Some(existing) => {
                    let quantity = customer_request.cart.total_quantity(&line.key).saturating_add(quantity);
                    customer_request.replan(customer_request.genuine_duplicate(existing, line)?, quantity).await?
                }
                // A line in another currency is priced again, because a cart is in one.
                None if line.price.offer.is_some() => as_it_is()?,
                None if quantity == line.requested_quantity && line.is_priced_in(&customer_request.currency) => {
                    as_it_is()?
                }
                None => guests.join_duplicates(&line.key, quantity).await?,
            };
            merged.operations.extend(change.operations);
            merged.warnings.extend(change.warnings);
            merged.stages.extend(change.stages);
        }
        Ok(merged)
    }
}
