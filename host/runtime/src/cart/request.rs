//! A request about a cart, and the replanning of its lines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cartwright_cart::change::{CartChange, CartOperation, Stage};
use cartwright_cart::check::check_seals;
use cartwright_cart::error::{CartError, PLANNED_DIFFERENTLY, SealError};
use cartwright_cart::index::{CartIndex, drop_unchanged};
use cartwright_cart::line::CartLine;
use cartwright_cart::placement::LineMove;
use cartwright_cart::shop::Visitor;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{Currency, LineRequest};
use jiff::Timestamp;

use super::budget_usage::BudgetUsage;
use super::pipeline::PlanPipeline;
use super::prepared::{Prepared, PreparedConfigurations, RawConfiguration};
use super::stored_configuration::authorized_configuration;
use crate::host::Cartwright;

/// A request about a cart: its shop, visitor and lines, the budgets that planning has used so far, and the
/// configurations that it prepared.
pub(super) struct CartRequest<'a> {
    pub(super) host: &'a Cartwright,
    pub(super) shop: &'a ShopId,
    pub(super) visitor: &'a Visitor,
    /// The currency that the visitor sees prices in.
    pub(super) currency: Currency,
    pub(super) cart: CartIndex<'a>,
    pub(super) budget_usage: Arc<BudgetUsage>,
    pub(super) prepared: Arc<PreparedConfigurations>,
}

impl<'a> CartRequest<'a> {
    /// Creates a request.
    ///
    /// # Errors
    /// Returns an error for more lines than a cart may have, and for a visitor whose country or language is not a
    /// code, or whose currency the shop does not sell in.
    pub(super) fn new(
        host: &'a Cartwright,
        shop: &'a ShopId,
        lines: &'a [CartLine],
        visitor: &'a Visitor,
    ) -> Result<Self, CartError> {
        let currency = visitor.check(&host.shop_state(shop)?.shop)?.clone();
        let cart = CartIndex::new(lines)?;
        Ok(Self { host, shop, visitor, currency, cart, budget_usage: Arc::default(), prepared: Arc::default() })
    }

    /// Returns the top line with this key, or the line of a set that names the item if the key is of another line of
    /// the set.
    ///
    /// # Errors
    /// Returns [`CartError::UnknownLine`] if there is none.
    pub(super) fn line_or_set(&self, key: &str) -> Result<&'a CartLine, CartError> {
        let line = self.cart.top_of(key).filter(|top| top.key == key || top.set.is_some());
        line.ok_or_else(|| CartError::UnknownLine(key.to_owned()))
    }

    pub(super) async fn replan(&self, line: &CartLine, quantity: u32) -> Result<CartChange, CartError> {
        let mut replan = self.replan_without(line, quantity, &line.without).await?;
        let operations = match replan.lines.is_empty() {
            true => Vec::new(),
            false => self.replace_line(line, &mut replan).await?,
        };
        Ok(replan.pipeline.finish(operations))
    }

    /// Replaces a line by its replanned lines.
    pub(super) async fn replace_line(
        &self,
        line: &CartLine,
        replan: &mut Replan<'a>,
    ) -> Result<Vec<CartOperation>, CartError> {
        let moved = LineMove { replaces: Some(line.key.clone()), lines: std::mem::take(&mut replan.lines) };
        self.merge_into(&mut replan.pipeline, &replan.prepared, vec![moved], Vec::new()).await
    }

    /// Replans a line without these parts, from its stored configuration and by its pin.
    pub(super) async fn replan_without(
        &self,
        line: &CartLine,
        quantity: u32,
        without: &[Digest],
    ) -> Result<Replan<'a>, CartError> {
        let (mut pipeline, prepared) = self.prepare_line(line).await?;
        pipeline.leave_out(line.item, without);
        if line.check_seal(&pipeline.state.shop, Timestamp::now()) != Err(SealError::Forged) {
            pipeline.keep_picture(line);
        }
        let line_request = LineRequest { item: line.item, quantity, extra: Vec::new() };
        let lines = pipeline.plan_item(&prepared, line_request, &self.cart).await?;
        Ok(Replan { pipeline, prepared, lines })
    }

    /// Returns a line and the lines that belong to it in another quantity, sealed. The result is empty if the plan no
    /// longer contains the line.
    pub(super) async fn replan_sealed(&self, line: &CartLine, quantity: u32) -> Result<Vec<CartLine>, CartError> {
        let mut replan = self.replan_without(line, quantity, &line.without).await?;
        replan.seal().await?;
        Ok(replan.lines)
    }

    /// Prepares a line's configuration with the versions of its pin, and returns it with the pipeline that plans it.
    /// Lines with the same configuration and pin share the prepared configuration.
    pub(super) async fn prepare_line(&self, line: &CartLine) -> Result<(PlanPipeline<'a>, Arc<Prepared>), CartError> {
        let state = self.host.shop_state(self.shop)?;
        let configuration = authorized_configuration(&state.shop, line)?;
        let mut pipeline = PlanPipeline::begin_pinned(self.host, self.shop, line, self.visitor)?;
        pipeline.budget_usage = self.budget_usage.clone();
        if let Some(prepared) = configuration.and_then(|digest| self.prepared.get(digest, &pipeline.preparation_key()))
        {
            pipeline.reuse(&prepared);
            return Ok((pipeline, prepared));
        }
        let raw = self.host.stored_configuration(&state.shop, line).await?;
        let prepared = pipeline.prepare(raw.map(RawConfiguration::Stored)).await?;
        self.prepared.keep(&prepared);
        Ok((pipeline, prepared))
    }

    /// Returns the second of two lines with equal contents if the first was changed after it was sealed, because a
    /// changed line opens no configuration.
    pub(super) fn genuine_duplicate<'l>(
        &self,
        first: &'l CartLine,
        second: &'l CartLine,
    ) -> Result<&'l CartLine, CartError> {
        Ok(if self.is_forged(first)? { second } else { first })
    }

    fn is_forged(&self, line: &CartLine) -> Result<bool, CartError> {
        let state = self.host.shop_state(self.shop)?;
        Ok(line.check_seal(&state.shop, Timestamp::now()) == Err(SealError::Forged))
    }

    /// Joins the copies of a line into one. It is unknown which of the other lines belong to which copy, so everything
    /// is replanned; only the copies' quantities are used, and those are sealed.
    pub(super) async fn join_duplicates(&self, key: &str, quantity: u32) -> Result<CartChange, CartError> {
        let state = self.host.shop_state(self.shop)?;
        let copies = self.cart.copies(key);
        check_seals(&state.shop, copies, &[SealError::Forged])?;
        let first = copies.first().ok_or_else(|| CartError::UnknownLine(key.to_owned()))?;
        let mut replan = self.replan_without(first, quantity, &first.without).await?;
        if replan.lines.first().is_none_or(|again| again.key != key) {
            return Err(CartError::MustReconfigure { key: key.to_owned(), reason: PLANNED_DIFFERENTLY.to_owned() });
        }
        replan.seal().await?;
        let lines = std::mem::take(&mut replan.lines);
        Ok(replan.pipeline.finish(vec![CartOperation::Add { lines }]))
    }

    /// Returns the change that removes a top line and the lines that belong to it.
    pub(super) fn remove_family(&self, key: &str) -> CartChange {
        let keys = self.cart.keys(key);
        let result = format!("{} lines", keys.len());
        let stage = Stage { stage: "remove".into(), duration_micros: 0, result, log: Vec::new() };
        CartChange { operations: vec![CartOperation::Remove { keys }], warnings: Vec::new(), stages: vec![stage] }
    }

    /// Merges families of lines that a pipeline planned from one configuration into a cart. Families that occur twice,
    /// or that another line of the cart equals, become one line with a larger quantity: two lines with one key would
    /// each be priced for less than is bought. Lines that join no other must reach their minimum quantity. All lines
    /// that the cart receives are sealed.
    pub(super) async fn merge_into(
        &self,
        pipeline: &mut PlanPipeline<'a>,
        prepared: &Prepared,
        moves: Vec<LineMove>,
        mut removed: Vec<String>,
    ) -> Result<Vec<CartOperation>, CartError> {
        let below_minimum = std::mem::take(&mut pipeline.below_minimum);
        pipeline.may_join = false;
        let leaving: HashSet<String> =
            moves.iter().filter_map(|moved| moved.replaces.clone()).chain(removed.iter().cloned()).collect();
        // Families with the same key are one, with the sum of their quantities.
        let mut matched: Vec<(LineMove, u32)> = Vec::with_capacity(moves.len());
        let mut positions: HashMap<String, usize> = HashMap::with_capacity(moves.len());
        for moved in moves {
            let Some(first) = moved.lines.first() else { continue };
            match positions.get(&first.key).and_then(|position| matched.get_mut(*position)) {
                Some((_, quantity)) => {
                    *quantity = quantity.saturating_add(first.requested_quantity);
                    removed.extend(moved.replaces);
                }
                None => {
                    positions.insert(first.key.clone(), matched.len());
                    let quantity = first.requested_quantity;
                    matched.push((moved, quantity));
                }
            }
        }
        // For each operation, the line that it replaces with its sealed duplicate, and the family to be sealed if
        // there is no duplicate.
        let mut placed: Vec<(Option<String>, Vec<CartLine>)> = Vec::with_capacity(matched.len());
        let mut families: Vec<Vec<CartLine>> = Vec::with_capacity(matched.len());
        for (LineMove { replaces, lines: family }, joined_quantity) in matched {
            let Some(first) = family.first() else { continue };
            let (key, item, requested_quantity) = (first.key.clone(), first.item, first.requested_quantity);
            // A line that is removed cannot be joined.
            if let Some(duplicate) = self.cart.top_lines(&key).filter(|_| !leaving.contains(&key)) {
                let quantity = self.cart.total_quantity(&key).saturating_add(joined_quantity);
                let line_request = LineRequest { item, quantity, extra: Vec::new() };
                let (sealed, more) = match self.is_forged(duplicate)? {
                    // The existing line opens no configuration, so the planned line gets the larger quantity instead.
                    true => (Vec::new(), pipeline.plan_item(prepared, line_request, &self.cart).await?),
                    false => (self.replan_sealed(duplicate, quantity).await?, Vec::new()),
                };
                if sealed.first().or(more.first()).is_some_and(|more| more.key == key) {
                    placed.push((Some(key), sealed));
                    families.push(more);
                    removed.extend(replaces);
                    continue;
                }
            }
            families.push(match joined_quantity == requested_quantity {
                true => below_minimum.check(&key).map(|()| family)?,
                false => {
                    let line_request = LineRequest { item, quantity: joined_quantity, extra: Vec::new() };
                    pipeline.plan_item(prepared, line_request, &self.cart).await?
                }
            });
            placed.push((replaces, Vec::new()));
        }
        pipeline.seal(prepared, &mut families).await?;
        let mut operations = Vec::with_capacity(placed.len());
        for ((replaces, sealed), family) in placed.into_iter().zip(families) {
            let lines = if sealed.is_empty() { family } else { sealed };
            operations.push(match replaces {
                Some(key) => CartOperation::Replace { key, lines },
                None => CartOperation::Add { lines },
            });
        }
        let mut operations = drop_unchanged(operations, &self.cart);
        operations.extend(removed.iter().map(|key| CartOperation::Remove { keys: self.cart.keys(key) }));
        Ok(operations)
    }
}

/// A replanned line. Its lines are sealed once it is known that they are returned.
pub(super) struct Replan<'a> {
    pub(super) pipeline: PlanPipeline<'a>,
    prepared: Arc<Prepared>,
    /// The line and the lines that belong to it. Empty if the plan no longer contains the line.
    pub(super) lines: Vec<CartLine>,
}

impl Replan<'_> {
    /// Seals the lines and adds their thumbnails.
    pub(super) async fn seal(&mut self) -> Result<(), CartError> {
        let mut families = [std::mem::take(&mut self.lines)];
        self.pipeline.seal(&self.prepared, &mut families).await?;
        [self.lines] = families;
        Ok(())
    }
}
