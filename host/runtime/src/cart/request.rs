//! A request about a cart, and the replanning of its lines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cartwright_cart::change::{CartChange, CartOperation, Stage};
use cartwright_cart::check::check_seals;
use cartwright_cart::error::{CartError, PLANNED_DIFFERENTLY, SealError};
use cartwright_cart::index::{CartIndex, drop_unchanged};
use cartwright_cart::line::CartLine;
use cartwright_cart::placement::{LineMove, roots};
use cartwright_cart::plan::BelowMinimum;
use cartwright_cart::shop::Visitor;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{Item, Wanted};
use jiff::Timestamp;

use super::pipeline::{BudgetUsage, PlanPipeline};
use crate::host::Cartwright;

/// A request about a cart: its shop, visitor and lines, and the budgets that planning has used so far.
pub(super) struct CartRequest<'a> {
    pub(super) host: &'a Cartwright,
    pub(super) shop: &'a ShopId,
    pub(super) visitor: &'a Visitor,
    pub(super) cart: CartIndex<'a>,
    pub(super) budget_usage: Arc<BudgetUsage>,
}

impl<'a> CartRequest<'a> {
    /// Creates a request.
    ///
    /// # Errors
    /// Returns an error for more lines than a cart may have, and for a visitor whose country or language is not a
    /// code.
    pub(super) fn new(
        host: &'a Cartwright,
        shop: &'a ShopId,
        lines: &'a [CartLine],
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        visitor.check()?;
        Ok(Self { host, shop, visitor, cart: CartIndex::new(lines)?, budget_usage: Arc::default() })
    }

    pub(super) async fn plan_again(&self, line: &CartLine, quantity: u32) -> Result<CartChange, CartError> {
        let (mut change, again) = self.replan_without(line, quantity, &line.without).await?;
        if !again.is_empty() {
            change.operations = self.in_place_of(line, again).await?;
        }
        Ok(change)
    }

    /// Replaces a line by replanned lines.
    pub(super) async fn in_place_of(
        &self,
        line: &CartLine,
        again: Vec<CartLine>,
    ) -> Result<Vec<CartOperation>, CartError> {
        let moved = LineMove { replaces: Some(line.key.clone()), lines: again };
        self.merge_into(vec![moved], Vec::new(), &BelowMinimum::default()).await
    }

    /// Replans and seals a line and its children without these parts. The result is empty if the plan no longer
    /// contains the line.
    pub(super) async fn replan_without(
        &self,
        line: &CartLine,
        quantity: u32,
        without: &[Digest],
    ) -> Result<(CartChange, Vec<CartLine>), CartError> {
        let state = self.host.shop_state(self.shop)?;
        let configuration = self.host.stored_configuration(&state.shop, line).await?;
        let mut walk = PlanPipeline::begin_pinned(self.host, self.shop, line, self.visitor)?;
        walk.leave_out(line.item, without);
        if line.check_seal(&state.shop, Timestamp::now()) != Err(SealError::Forged) {
            walk.keep_picture(line);
        }
        walk.budget_usage = self.budget_usage.clone();
        let wanted = Wanted { item: line.item, quantity };
        // An item that the new configuration no longer contains is not requested.
        let wanted = |items: &[Item]| roots(items).contains(&wanted.item).then_some(wanted).into_iter().collect();
        let families = walk.plan(wanted, configuration.as_deref(), &self.cart).await?;
        let meant = families.into_iter().find(|family| family.first().is_some_and(|first| first.item == line.item));
        Ok((walk.finish(Vec::new()), meant.unwrap_or_default()))
    }

    /// Returns the second of two lines with equal contents if the first was changed after it was sealed, because a
    /// changed line opens no configuration.
    pub(super) fn genuine_duplicate<'l>(
        &self,
        held: &'l CartLine,
        other: &'l CartLine,
    ) -> Result<&'l CartLine, CartError> {
        let state = self.host.shop_state(self.shop)?;
        let is_forged = held.check_seal(&state.shop, Timestamp::now()) == Err(SealError::Forged);
        Ok(if is_forged { other } else { held })
    }

    /// Joins the copies of a line into one. It is unknown which children belong to which copy, so everything is
    /// replanned; only the copies' quantities are used, and those are sealed.
    pub(super) async fn joined(&self, key: &str, quantity: u32) -> Result<CartChange, CartError> {
        let state = self.host.shop_state(self.shop)?;
        let copies = self.cart.copies(key);
        check_seals(&state.shop, copies, &[SealError::Forged])?;
        let first = copies.first().ok_or_else(|| CartError::UnknownLine(key.to_owned()))?;
        let (mut change, again) = self.replan_without(first, quantity, &first.without).await?;
        if again.first().is_none_or(|again| again.key != key) {
            return Err(CartError::MustReconfigure { key: key.to_owned(), reason: PLANNED_DIFFERENTLY.to_owned() });
        }
        change.operations = vec![CartOperation::Add { lines: again }];
        Ok(change)
    }

    /// Returns the change that removes a line and its children.
    pub(super) fn without_family(&self, key: &str) -> CartChange {
        let keys = self.cart.keys(key);
        let result = format!("{} lines", keys.len());
        let stage = Stage { stage: "remove".into(), micros: 0, result, log: Vec::new() };
        CartChange { operations: vec![CartOperation::Remove { keys }], warnings: Vec::new(), stages: vec![stage] }
    }

    /// Merges families of lines into a cart. Families that occur twice, or that another line of the cart equals,
    /// become one line with a larger quantity: two lines with one key would each be priced for less than is bought.
    /// Lines that join no other must reach their minimum quantity.
    pub(super) async fn merge_into(
        &self,
        moves: Vec<LineMove>,
        mut gone: Vec<String>,
        below_minimum: &BelowMinimum,
    ) -> Result<Vec<CartOperation>, CartError> {
        let leaving: HashSet<String> =
            moves.iter().filter_map(|moved| moved.replaces.clone()).chain(gone.iter().cloned()).collect();
        // Families with the same key are one, with the sum of their quantities.
        let mut matched: Vec<(LineMove, u32)> = Vec::with_capacity(moves.len());
        let mut places: HashMap<String, usize> = HashMap::with_capacity(moves.len());
        for moved in moves {
            let Some(first) = moved.lines.first() else { continue };
            match places.get(&first.key) {
                Some(place) => {
                    matched[*place].1 = matched[*place].1.saturating_add(first.requested_quantity);
                    gone.extend(moved.replaces);
                }
                None => {
                    places.insert(first.key.clone(), matched.len());
                    let asked = first.requested_quantity;
                    matched.push((moved, asked));
                }
            }
        }
        let mut operations: Vec<CartOperation> = Vec::with_capacity(matched.len());
        for (LineMove { replaces, lines: family }, asked) in matched {
            let Some(first) = family.first() else { continue };
            let key = first.key.clone();
            // A line that is removed cannot be joined.
            if let Some(twin) = self.cart.top_lines(&key).filter(|_| !leaving.contains(&key)) {
                let quantity = self.cart.total_quantity(&key).saturating_add(asked);
                let twin = self.genuine_duplicate(twin, first)?;
                let (_, more) = self.replan_without(twin, quantity, &twin.without).await?;
                if more.first().is_some_and(|more| more.key == key) {
                    operations.push(CartOperation::Replace { key, lines: more });
                    gone.extend(replaces);
                    continue;
                }
            }
            let lines = match asked == first.requested_quantity {
                true => below_minimum.check(&key).map(|()| family)?,
                false => self.replan_without(first, asked, &first.without).await?.1,
            };
            operations.push(match replaces {
                Some(key) => CartOperation::Replace { key, lines },
                None => CartOperation::Add { lines },
            });
        }
        let mut operations = drop_unchanged(operations, &self.cart);
        operations.extend(gone.iter().map(|key| CartOperation::Remove { keys: self.cart.keys(key) }));
        Ok(operations)
    }
}
