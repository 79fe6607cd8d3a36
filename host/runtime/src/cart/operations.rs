//! The operations that use the plan pipeline: add, edit, request a quote, reorder.

use std::collections::{BTreeMap, HashMap};

use cartwright_cart::change::{AddToCart, CartChange, CartOperation};
use cartwright_cart::error::CartError;
use cartwright_cart::index::{CartIndex, drop_unchanged};
use cartwright_cart::line::CartLine;
use cartwright_cart::placement::{Placement, roots};
use cartwright_cart::quote::refuse_quoted_line;
use cartwright_cart::shop::Visitor;
use cartwright_contract::ids::ShopId;
use cartwright_contract::records::LineRequest;

use super::pipeline::PlanPipeline;
use super::prepared::RawConfiguration;
use super::request::CartRequest;
use crate::host::Cartwright;

impl Cartwright {
    /// Adds a configuration to the cart. If the cart has a line with equal contents, that line's quantity increases.
    ///
    /// # Errors
    /// The error says what is wrong and who can fix it; nothing is changed then.
    pub async fn add_to_cart(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        self.add(shop, add, None).await
    }

    /// Adds a configuration; for a reorder, in the form of the past line.
    async fn add(&self, shop: &ShopId, add: AddToCart, past: Option<&CartLine>) -> Result<CartChange, CartError> {
        let mut pipeline = PlanPipeline::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        pipeline.chosen_variant = add.variant.clone();
        pipeline.stage_sender = add.stages.clone();
        if let Some(past) = past {
            pipeline.leave_out(past.item, &past.without);
            pipeline.past_thumbnail = past.thumbnail;
        }
        let cart = CartIndex::new(&add.lines)?;
        let raw_configuration = match past {
            Some(_) => RawConfiguration::Stored,
            None => RawConfiguration::FromPage,
        };
        let prepared = pipeline.prepare(add.configuration.map(raw_configuration)).await?;
        // One configuration may have become several lines; only one of them is reordered.
        let is_meant = |item: &Option<u32>| past.is_none_or(|past| past.item == *item);
        let items = roots(prepared.items()).into_iter().filter(is_meant);
        let line_requests = items.map(|item| LineRequest { item, quantity: add.quantity, extra: Vec::new() }).collect();
        pipeline.may_join = true;
        let families = pipeline.plan(&prepared, line_requests, &cart).await?;
        let below_minimum = std::mem::take(&mut pipeline.below_minimum);
        pipeline.may_join = false;
        // Items that the configuration or the cart contains twice become one line with a larger quantity, repriced for
        // it.
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        families.iter().filter_map(|family| family.first()).for_each(|first| {
            *times.entry(first.key.clone()).or_default() += 1;
        });
        let mut increased: BTreeMap<String, LineRequest> = BTreeMap::new();
        for first in families.iter().filter_map(|family| family.first()) {
            #[allow(clippy::indexing_slicing, reason = "the key of every family was counted")]
            let times = times[&first.key];
            if times > 1 || cart.top_lines(&first.key).is_some() {
                let quantity = cart.total_quantity(&first.key).saturating_add(add.quantity.saturating_mul(times));
                let line_request = LineRequest { item: first.item, quantity, extra: Vec::new() };
                increased.entry(first.key.clone()).or_insert(line_request);
            }
        }
        // All are planned together: a configuration of many existing items asks the vendor twice, not once for each
        // item.
        let replanned = match increased.is_empty() {
            true => Vec::new(),
            false => pipeline.plan(&prepared, increased.values().cloned().collect(), &cart).await?,
        };
        let by_key = |family: Vec<CartLine>| family.first().map(|first| first.key.clone()).map(|key| (key, family));
        let mut replanned: HashMap<String, Vec<CartLine>> = replanned.into_iter().filter_map(by_key).collect();
        let mut answered = Vec::with_capacity(families.len());
        for family in families {
            let Some(key) = family.first().map(|first| first.key.clone()) else { continue };
            if times.remove(&key).is_none() {
                continue;
            }
            answered.push(match replanned.remove(&key).filter(|_| increased.contains_key(&key)) {
                Some(lines) => lines,
                None => below_minimum.check(&key).map(|()| family)?,
            });
        }
        pipeline.seal(&prepared, &mut answered).await?;
        let operation = |lines: Vec<CartLine>| match lines.first().and_then(|first| cart.top_lines(&first.key)) {
            Some(line) => CartOperation::Replace { key: line.key.clone(), lines },
            None => CartOperation::Add { lines },
        };
        let operations = answered.into_iter().map(operation).collect();
        // A bundle whose children differ from those in the cart is replaced, because an update adds no child.
        Ok(pipeline.finish(drop_unchanged(operations, &cart)))
    }

    /// Replaces a line, bundle or set by a new configuration; any line of a set stands for the set. The quantity stays
    /// unless another is given, and the new line is checked completely before the old one is removed. The key
    /// identifies the version of the line: a line that changed meanwhile has another key. The line's pinned version
    /// plans, unless another strategy is chosen. Removed parts belong to the old configuration; the new bundle starts
    /// complete.
    ///
    /// # Errors
    /// The same as [`add_to_cart`](Self::add_to_cart); also for a line that has the price of a quote. The old line
    /// stays then.
    pub async fn edit_line(
        &self,
        shop: &ShopId,
        key: &str,
        quantity: Option<u32>,
        add: AddToCart,
    ) -> Result<CartChange, CartError> {
        let request = CartRequest::new(self, shop, &add.lines, &add.visitor)?;
        let old = request.line_or_set(key)?;
        if old.linked_product != add.product {
            return Err(CartError::OtherProduct {
                key: key.to_owned(),
                current: old.linked_product.clone(),
                given: add.product.clone(),
            });
        }
        refuse_quoted_line(&self.shop_state(shop)?.shop, old, &request.cart)?;
        let quantity = quantity.unwrap_or(old.requested_quantity);
        let mut pipeline = match add.strategy.clone() {
            Some(choice) => PlanPipeline::begin(self, shop, &add.product, Some(choice), &add.visitor)?,
            None => PlanPipeline::begin_pinned(self, shop, old, &add.visitor)?,
        };
        pipeline.chosen_variant = add.variant.clone().or_else(|| old.chosen_variant.clone());
        pipeline.stage_sender = add.stages.clone();
        pipeline.budget_usage = request.budget_usage.clone();
        pipeline.may_join = true;
        let prepared = pipeline.prepare(add.configuration.map(RawConfiguration::FromPage)).await?;
        request.prepared.keep(&prepared);
        let placement = Placement::of(old, quantity, prepared.items(), request.cart.lines());
        let families = pipeline.plan(&prepared, placement.line_requests.clone(), &request.cart).await?;
        let (moves, removed) = placement.moves(families);
        let operations = request.merge_into(&mut pipeline, &prepared, moves, removed).await?;
        Ok(pipeline.finish(operations))
    }

    /// Requests a quote from the merchant instead of buying.
    ///
    /// # Errors
    /// The same as [`add_to_cart`](Self::add_to_cart).
    pub async fn request_quote(&self, shop: &ShopId, add: AddToCart) -> Result<CartChange, CartError> {
        let mut pipeline = PlanPipeline::begin(self, shop, &add.product, add.strategy.clone(), &add.visitor)?;
        pipeline.chosen_variant = add.variant.clone();
        pipeline.stage_sender = add.stages.clone();
        pipeline.quote = true;
        let cart = CartIndex::new(&add.lines)?;
        let prepared = pipeline.prepare(add.configuration.map(RawConfiguration::FromPage)).await?;
        let roots = roots(prepared.items()).into_iter();
        let line_requests = roots.map(|item| LineRequest { item, quantity: add.quantity, extra: Vec::new() }).collect();
        let mut families = pipeline.plan(&prepared, line_requests, &cart).await?;
        pipeline.seal(&prepared, &mut families).await?;
        let lines = families.into_iter().flatten().collect();
        Ok(pipeline.finish(vec![CartOperation::RequestQuote { lines }]))
    }

    /// Reorders a line of a past order, planned by the current versions at current prices. Removed parts stay removed.
    /// The line of a set that names the configured product stands for the set.
    ///
    /// # Errors
    /// The same as [`add_to_cart`](Self::add_to_cart); also if the line's configuration is no longer stored, and
    /// [`CartError::SetLine`] for another line of a set.
    pub async fn reorder(
        &self,
        shop: &ShopId,
        past: &CartLine,
        lines: Vec<CartLine>,
        visitor: Visitor,
    ) -> Result<CartChange, CartError> {
        if let (None, Some(top)) = (&past.parent, past.top_key()) {
            return Err(CartError::SetLine { key: past.key.clone(), top: top.to_owned() });
        }
        let configuration = self.stored_configuration(&self.shop_state(shop)?.shop, past).await?;
        let add = AddToCart {
            product: past.linked_product.clone(),
            configuration,
            variant: past.chosen_variant.clone(),
            quantity: past.requested_quantity,
            strategy: None,
            lines,
            visitor,
            stages: None,
        };
        self.add(shop, add, Some(past)).await
    }
}
