//! Changing a cart: refresh, change of quantity, removal, and joining two carts.

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
    /// Plans and prices a line again from its stored configuration, by its pin. No operation when nothing changed, and for a line
    /// whose offer holds.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart), when the line is not as it was sealed, and when it must be configured again.
    pub async fn refresh_line(
        &self,
        shop: &ShopId,
        key: &str,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let request = CartRequest::new(self, shop, lines, visitor)?;
        let line = request.cart.top_lines(key).ok_or_else(|| CartError::UnknownLine(key.to_owned()))?;
        if quoted_line(&self.shop_state(shop)?.shop, line, &request.cart).is_some() {
            return Ok(CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() });
        }
        request.plan_again(line, line.requested_quantity).await
    }

    /// Changes how many of a line are wanted, which prices it again.
    ///
    /// # Errors
    /// As [`refresh_line`](Self::refresh_line), and for a line that was offered in its quantity; a child's quantity follows its bundle's
    /// and is not changed by itself.
    pub async fn change_quantity(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: u32,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let request = CartRequest::new(self, shop, lines, visitor)?;
        let Some(line) = request.cart.top_lines(key) else {
            return Err(match lines.iter().any(|line| line.key == key) {
                true => CartError::BundleChild(key.to_owned()),
                false => CartError::UnknownLine(key.to_owned()),
            });
        };
        refuse_quoted_line(&self.shop_state(shop)?.shop, line, &request.cart)?;
        request.plan_again(line, quantity).await
    }

    /// Takes a line out of the cart. A parent takes its children with it; a child goes only where the strategy allows. The bundle
    /// is then planned and priced again without it, as a line of another key that replaces the old one, and the child stays out
    /// whenever that line is planned again. A bundle that the cart holds already so becomes more; a bundle without its last child
    /// goes.
    ///
    /// # Errors
    /// When there is no such line, or the child belongs to its bundle, or the bundle is not as it was sealed; and as
    /// [`refresh_line`](Self::refresh_line) when a child is taken out.
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
        let Some(parent) = &line.parent else { return Ok(request.without_family(key)) };
        let parent = request.cart.top_lines(parent).ok_or_else(|| CartError::UnknownLine(parent.clone()))?;
        let stays = || CartError::BundleChild(key.to_owned());
        if line.child_removal != Some(ChildRemoval::Repriced) {
            return Err(stays());
        }
        // Of a bundle that is not whole nobody can say what is to be left of it.
        check_complete(&state.shop, &request.cart.with_children(parent), &[SealError::Forged])?;
        let part = line.part.ok_or_else(stays)?;
        refuse_quoted_line(&state.shop, parent, &request.cart)?;
        if parent.children.len() == 1 {
            return Ok(request.without_family(&parent.key));
        }
        let without = [&parent.without[..], &[part]].concat();
        let quantity = parent.requested_quantity;
        let mut replan = request.replan_without(parent, quantity, &without).await?;
        if replan.lines.is_empty() {
            return Err(CartError::MustReconfigure { key: parent.key.clone(), reason: PLANNED_DIFFERENTLY.to_owned() });
        }
        match replan.lines.iter().find(|line| line.part == Some(part)) {
            None => {}
            // Nothing else is left of it by now.
            Some(line) if line.child_removal == Some(ChildRemoval::Repriced) => {
                return Ok(request.without_family(&parent.key));
            }
            Some(_) => return Err(stays()),
        }
        let operations = request.in_place_of(parent, &mut replan).await?;
        Ok(replan.pipeline.finish(operations))
    }

    /// Joins a guest's cart with a customer's. Lines that hold the same become one with the sum of both quantities, priced for
    /// it; all others stand side by side. What a quotation offers is bought once: where both hold it, the customer's stays. The result is
    /// what changes in the customer's cart.
    ///
    /// # Errors
    /// As [`refresh_line`](Self::refresh_line); both carts stay as they are then.
    pub async fn merge_carts(
        &self,
        shop: &ShopId,
        guest: &[CartLine],
        customer: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let state = self.shop_state(shop)?;
        let theirs = CartRequest::new(self, shop, customer, visitor)?;
        let guests = CartRequest {
            cart: CartIndex::new(guest)?,
            budget_usage: theirs.budget_usage.clone(),
            prepared: theirs.prepared.clone(),
            ..CartRequest::new(self, shop, &[], visitor)?
        };
        let mut merged = CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() };
        let mut seen = HashSet::new();
        for line in guest.iter().filter(|line| line.parent.is_none()) {
            if !seen.insert(&line.key) {
                continue;
            }
            // As it is, a line is taken over only whole.
            let as_it_is = || {
                let family = guests.cart.with_children(line);
                check_complete(&state.shop, &family, &[SealError::Forged])?;
                let operations = vec![CartOperation::Add { lines: to_owned_lines(&family) }];
                Ok::<_, CartError>(CartChange { operations, warnings: Vec::new(), stages: Vec::new() })
            };
            let (held, wanted) = (theirs.cart.top_lines(&line.key), guests.cart.total_quantity(&line.key));
            let change = match held {
                Some(_) if line.price.offer.is_some() => continue,
                Some(held) => {
                    let quantity = theirs.cart.total_quantity(&line.key).saturating_add(wanted);
                    theirs.plan_again(theirs.genuine_duplicate(held, line)?, quantity).await?
                }
                None if line.price.offer.is_some() || wanted == line.requested_quantity => as_it_is()?,
                None => guests.joined(&line.key, wanted).await?,
            };
            merged.operations.extend(change.operations);
            merged.warnings.extend(change.warnings);
            merged.stages.extend(change.stages);
        }
        Ok(merged)
    }
}
