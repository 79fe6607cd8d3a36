//! What the strategy plans, and what the plan is checked against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};

use super::error::CartError;
use super::line::CartLine;
use super::plan::{Checking, ItemFacts, key_of, queries};
use super::pricing::{Pricing, VendorPrice};
use super::walk::Walk;
use crate::contract::{Error, Item, Piece, PlanRequest, Planned, Price, PriceSource, SkuQuery, VariantInfo};
use crate::guest::{CallOptions, call};
use crate::hook::Hook;
use crate::ids::Digest;
use crate::shop::context;
use crate::text;

impl Walk<'_> {
    pub(super) async fn ask_strategy(
        &mut self,
        request: &PlanRequest,
    ) -> Result<(Planned, HashMap<String, VariantInfo>), CartError> {
        let plugin = self.strategy_version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.strategist, &plugin);
        let articles: usize = request.items.iter().map(|item| item.articles.len()).sum();
        let lines = request.items.len() + request.lines.len() + articles;
        let mut options = CallOptions::new(Hook::Plan, Some(scope)).lines(lines);
        if let Some(seed) = request.items.first().map(|item| Digest::of(item.vendor_product.as_bytes())) {
            options = options.seed(*seed.as_bytes());
        }
        let own;
        let context = if Arc::ptr_eq(&self.vendor, &self.strategist) {
            &self.context
        } else {
            let product = self.linked.settings_of(&self.strategist.id);
            own = context(&self.state.shop, &self.strategist, &self.strategy_version, product, self.visitor);
            &own
        };
        let interfaces = plugin.interfaces();
        let ((planned, known), trace) = call(self.host.ticker(), &plugin, options, async |store, instance| {
            let cart = interfaces.cart(store, instance)?;
            let planned = cart.call_plan(&mut *store, context, request).await?;
            Ok((planned, std::mem::take(&mut store.data_mut().catalogue)))
        })
        .await?;
        self.log = trace.log;
        let planned = planned.map_err(|error| match error {
            Error::Rejected(message) => CartError::Rejected(text::message(message)),
            error => CartError::Hook(self.answered(&plugin, Hook::Plan, error)),
        })?;
        self.done(format!("{} by {}/{}", pieces(&planned), plugin.id(), self.strategy));
        Ok((planned, known.into_values().flatten().map(|variant| (variant.id.clone(), variant)).collect()))
    }

    pub(super) async fn check(
        &mut self,
        request: &PlanRequest,
        pieces: &[Piece],
        facts: &[ItemFacts],
        prices: &[Option<VendorPrice>],
        configuration: Option<Digest>,
        by_id: &HashMap<String, VariantInfo>,
    ) -> Result<Vec<Vec<CartLine>>, CartError> {
        let catalogue = &self.host.platform().catalogue;
        let (shop, currency) = (&self.state.shop.id, self.context.currency.as_str());
        let platform = |error: crate::platform::PlatformError| CartError::Platform(error.to_string());
        let mut linked = catalogue.variants(shop, currency, &self.association.shop_product).await.map_err(platform)?;
        if let Some(chosen) = &self.chosen_variant {
            linked.retain(|variant| variant.id == *chosen);
            if linked.is_empty() {
                let product = self.association.shop_product.clone();
                return Err(CartError::Variant { variant: chosen.clone(), product });
            }
        }
        let mut asked = queries(pieces);
        let planned = asked.len();
        asked.extend(component_queries(&request.items, facts, pieces));
        let answers = if asked.is_empty() {
            Vec::new()
        } else {
            catalogue.resolve(shop, currency, &asked).await.map_err(platform)?
        };
        if answers.len() != asked.len() {
            return Err(CartError::Platform(format!("{} answers to {} queries", answers.len(), asked.len())));
        }
        let mut answers = asked.iter().zip(answers);
        let by_query = answers.by_ref().take(planned).map(|(query, found)| (key_of(query), found)).collect();
        let components = answers.map(|(query, found)| ((query.sku.as_str(), query.ignore_case), found)).collect();
        let wanted = request.wanted.iter().map(|wanted| (wanted.item, wanted.quantity)).collect();
        let linked_by_id = linked.iter().map(|variant| (variant.id.as_str(), variant)).collect();
        let pin = self.pin();
        let expires = expiry(self.priced_at, self.state.shop.seal_seconds, &request.prices)?;
        let checking = Checking {
            shop,
            linked_product: &self.association.shop_product,
            configuration,
            facts,
            pricing: Pricing {
                context: &self.context,
                items: &request.items,
                vendor: prices,
                components: &components,
                wanted: &wanted,
            },
            price_from: request.price_from,
            quotation: self.quotation,
            grants: &self.strategist.grants,
            pin: &pin,
            taken_out: &self.taken_out,
            sell_unconfigured: self.state.shop.sell_unconfigured,
            expires: &expires,
            chosen_variant: self.chosen_variant.as_deref(),
            linked: &linked,
            linked_by_id: &linked_by_id,
            by_query: &by_query,
            by_id,
        };
        let checked = checking.check(pieces)?;
        self.too_few = checking.too_few(pieces, &checked)?;
        Ok(checked)
    }
}

fn pieces(planned: &Planned) -> String {
    let names: Vec<String> = planned
        .pieces
        .iter()
        .take(8)
        .map(|piece| match piece {
            Piece::Line(_) => "line".to_owned(),
            Piece::Bundle(bundle) => format!("bundle of {}", bundle.children.len()),
            Piece::Other(other) => other.name.clone(),
        })
        .collect();
    names.join(", ")
}

/// The articles whose prices a plan needs: those of lines that cost what their articles cost. A bundle's children are in the plan.
fn component_queries(items: &[Item], facts: &[ItemFacts], pieces: &[Piece]) -> Vec<SkuQuery> {
    let mut skus: BTreeSet<(&String, bool)> = BTreeSet::new();
    for piece in pieces {
        let Piece::Line(line) = piece else { continue };
        let facts = line.item.and_then(|item| facts.get(item as usize));
        if let (PriceSource::Components, Some(facts)) = (line.price.source, facts) {
            let articles = facts.below.iter().filter_map(|index| items.get(*index)).flat_map(|item| &item.articles);
            skus.extend(articles.filter_map(|article| Some((article.price_sku.as_ref()?, line.price.ignore_case))));
        }
    }
    let query = |(sku, ignore_case): (&String, bool)| SkuQuery { sku: sku.clone(), within_product: None, ignore_case };
    skus.into_iter().map(query).collect()
}

/// A seal ends when the shop says, or when the first of the vendor's prices does. A price that was remembered holds no longer for it:
/// the shop's time counts from when the vendor was asked.
///
/// # Errors
/// When the end is beyond all calendars.
fn expiry(priced_at: Option<Timestamp>, seconds: u32, prices: &[Option<Price>]) -> Result<String, CartError> {
    let ours = priced_at.unwrap_or_else(Timestamp::now).checked_add(SignedDuration::from_secs(seconds.into()));
    let ours =
        ours.and_then(|ours| ours.round(Unit::Second)).map_err(|error| CartError::Unwritable(error.to_string()))?;
    let theirs =
        prices.iter().flatten().filter_map(|price| price.valid_until.as_ref()?.parse::<Timestamp>().ok()).min();
    Ok(theirs.map_or(ours, |theirs| theirs.min(ours)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Money, PriceBasis, PriceState, TaxBasis};

    #[test]
    fn a_seal_over_a_remembered_price_ends_as_if_the_vendor_was_asked_for_it() {
        let asked: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(expiry(Some(asked), 3600, &[]).unwrap(), "2026-01-01T13:00:00Z");
        let price = |until: &str| {
            let amount = Money { minor: 1, scale: 2, currency: "EUR".to_owned() };
            let (basis, tax, state) = (PriceBasis::Unit, TaxBasis::AsShop, PriceState::Verified);
            Some(Price { amount, basis, tax, state, valid_until: Some(until.to_owned()) })
        };
        let until = |until: &str| expiry(Some(asked), 3600, &[None, price(until)]).unwrap();
        assert_eq!(until("2026-01-01T12:30:00Z"), "2026-01-01T12:30:00Z");
        assert_eq!(until("2026-01-02T12:30:00Z"), "2026-01-01T13:00:00Z");
        let now = expiry(None, 3600, &[]).unwrap().parse::<Timestamp>().unwrap();
        assert!(now > Timestamp::now());
    }
}
