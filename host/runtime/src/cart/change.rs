//! Changing a cart: refresh, change of quantity, removal, and joining two carts.

use jiff::Timestamp;

use super::check::{check_seals, check_whole, family};
use super::line::{CartLine, SealFault};
use super::offer::{holding, refuse_holding};
use super::path::{asked_of, held_line};
use super::places::{Move, roots};
use super::plan::with_children;
use super::walk::Walk;
use super::{CartChange, CartError, CartOperation, Stage};
use crate::contract::{ChildRemoval, Item, Wanted};
use crate::host::Cartwright;
use crate::ids::{Digest, ShopId};
use crate::shop::Visitor;

/// Why a line whose configuration no longer gives it must be configured again.
pub(super) const OTHERWISE: &str = "it is planned as something else now";

impl Cartwright {
    /// Plans and prices a line again from its stored configuration, by its pin. No operation when nothing changed, and for a line
    /// whose offer holds.
    ///
    /// # Errors
    /// As [`add_to_cart`](Self::add_to_cart), and when the line must be configured again.
    pub async fn refresh_line(
        &self,
        shop: &ShopId,
        key: &str,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let line = held_line(lines, key).ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        if holding(&self.shop_state(shop)?.shop, line, lines).is_some() {
            return Ok(CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() });
        }
        self.plan_again(shop, line, line.asked_quantity, lines, visitor).await
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
        let Some(line) = held_line(lines, key) else {
            return Err(match lines.iter().any(|line| line.key == key) {
                true => CartError::ChildOfBundle(key.to_owned()),
                false => CartError::NoLine(key.to_owned()),
            });
        };
        refuse_holding(&self.shop_state(shop)?.shop, line, lines)?;
        self.plan_again(shop, line, quantity, lines, visitor).await
    }

    async fn plan_again(
        &self,
        shop: &ShopId,
        line: &CartLine,
        quantity: u32,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let (mut change, again) = self.planned_again(shop, line, quantity, &line.without, lines, visitor).await?;
        if !again.is_empty() {
            change.operations = self.in_place_of(shop, line, again, lines, visitor).await?;
        }
        Ok(change)
    }

    /// Puts what was planned in the place of a line.
    async fn in_place_of(
        &self,
        shop: &ShopId,
        line: &CartLine,
        again: Vec<CartLine>,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<Vec<CartOperation>, CartError> {
        let moved = Move { takes: Some(line.key.clone()), lines: again };
        self.settled(shop, vec![moved], Vec::new(), lines, visitor).await
    }

    /// A line and its children, planned and sealed again without these parts. Empty when the plan holds no such line any more.
    pub(super) async fn planned_again(
        &self,
        shop: &ShopId,
        line: &CartLine,
        quantity: u32,
        without: &[Digest],
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<(CartChange, Vec<CartLine>), CartError> {
        let configuration = self.stored_configuration(shop, line).await?;
        let mut walk = Walk::begin_pinned(self, shop, line, visitor)?;
        walk.leave_out(line.item, without);
        let state = self.shop_state(shop)?;
        if line.check_seal(shop, &state.shop.seal_key, Timestamp::now()) != Err(SealFault::Forged) {
            walk.keep_picture(line);
        }
        let wanted = Wanted { item: line.item, quantity };
        // Nothing is wanted of a product that the configuration no longer holds.
        let wanted = |items: &[Item]| roots(items).contains(&wanted.item).then_some(wanted).into_iter().collect();
        let families = walk.plan(wanted, configuration.as_deref(), lines).await?;
        let meant = families.into_iter().find(|family| family.first().is_some_and(|first| first.item == line.item));
        Ok((walk.end(Vec::new()), meant.unwrap_or_default()))
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
        let line = lines.iter().find(|line| line.key == key).ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        let Some(parent) = &line.parent else { return Ok(without_family(lines, key)) };
        let parent = held_line(lines, parent).ok_or_else(|| CartError::NoLine(parent.clone()))?;
        let stays = || CartError::ChildOfBundle(key.to_owned());
        if line.child_removal != Some(ChildRemoval::Repriced) {
            return Err(stays());
        }
        // Of a bundle that is not whole nobody can say what is to be left of it.
        check_whole(&state.shop, &family(lines, parent), &[SealFault::Forged])?;
        let part = line.part.ok_or_else(stays)?;
        refuse_holding(&state.shop, parent, lines)?;
        if parent.children.len() == 1 {
            return Ok(without_family(lines, &parent.key));
        }
        let without = [&parent.without[..], &[part]].concat();
        let quantity = parent.asked_quantity;
        let (mut change, again) = self.planned_again(shop, parent, quantity, &without, lines, visitor).await?;
        if again.is_empty() {
            return Err(CartError::MustReconfigure { key: parent.key.clone(), why: OTHERWISE.to_owned() });
        }
        match again.iter().find(|line| line.part == Some(part)) {
            None => {}
            // Nothing else is left of it by now.
            Some(line) if line.child_removal == Some(ChildRemoval::Repriced) => {
                return Ok(without_family(lines, &parent.key));
            }
            Some(_) => return Err(stays()),
        }
        change.operations = self.in_place_of(shop, parent, again, lines, visitor).await?;
        Ok(change)
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
        let mut merged = CartChange { operations: Vec::new(), warnings: Vec::new(), stages: Vec::new() };
        for (place, line) in guest.iter().enumerate().filter(|(_, line)| line.parent.is_none()) {
            if guest[..place].iter().any(|earlier| earlier.parent.is_none() && earlier.key == line.key) {
                continue;
            }
            if line.price.offer.is_some() {
                if held_line(customer, &line.key).is_none() {
                    let family = family(guest, line);
                    check_whole(&state.shop, &family, &[SealFault::Forged])?;
                    merged.operations.push(CartOperation::Add { lines: family });
                }
                continue;
            }
            let wanted = asked_of(guest, &line.key);
            let change = match held_line(customer, &line.key) {
                Some(held) => {
                    let quantity = asked_of(customer, &line.key).saturating_add(wanted);
                    self.plan_again(shop, held, quantity, customer, visitor).await?
                }
                None if wanted == line.asked_quantity => {
                    let family = family(guest, line);
                    check_whole(&state.shop, &family, &[SealFault::Forged])?;
                    let operations = vec![CartOperation::Add { lines: family }];
                    CartChange { operations, warnings: Vec::new(), stages: Vec::new() }
                }
                None => self.joined(shop, &line.key, wanted, guest, visitor).await?,
            };
            merged.operations.extend(change.operations);
            merged.warnings.extend(change.warnings);
            merged.stages.extend(change.stages);
        }
        Ok(merged)
    }

    /// A line that stands in a cart more than once, as one line. Whose children are whose cannot be told, so all is planned anew;
    /// only the copies' quantities count, and those are sealed.
    async fn joined(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: u32,
        lines: &[CartLine],
        visitor: &Visitor,
    ) -> Result<CartChange, CartError> {
        let state = self.shop_state(shop)?;
        let copies: Vec<CartLine> =
            lines.iter().filter(|line| line.parent.is_none() && line.key == key).cloned().collect();
        check_seals(&state.shop, &copies, &[SealFault::Forged])?;
        let first = copies.first().ok_or_else(|| CartError::NoLine(key.to_owned()))?;
        let (mut change, again) = self.planned_again(shop, first, quantity, &first.without, lines, visitor).await?;
        if again.first().is_none_or(|again| again.key != key) {
            return Err(CartError::MustReconfigure { key: key.to_owned(), why: OTHERWISE.to_owned() });
        }
        change.operations = vec![CartOperation::Add { lines: again }];
        Ok(change)
    }
}

/// A cart without a line and its children.
fn without_family(lines: &[CartLine], key: &str) -> CartChange {
    let keys = with_children(lines, key);
    let stage = Stage { stage: "remove".into(), micros: 0, result: format!("{} lines", keys.len()), log: Vec::new() };
    CartChange { operations: vec![CartOperation::Remove { keys }], warnings: Vec::new(), stages: vec![stage] }
}
