//! What the strategy plans, and what the plan is checked against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};

use super::CartError;
use super::line::CartLine;
use super::plan::{Checking, ItemFacts, key_of, queries};
use super::pricing::Pricing;
use super::walk::Walk;
use crate::contract::{Error, Item, Piece, PlanRequest, Planned, Price, PriceSource, SkuQuery, VariantInfo};
use crate::guest::{CallOptions, Hook, call};
use crate::ids::Digest;
use crate::shop::context;

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
            Error::Rejected(message) => CartError::Rejected(message),
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
        asked.extend(component_queries(&request.items, request.price_from, pieces));
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
        let components = answers
            .filter_map(|(query, mut found)| (found.len() == 1).then(|| (query.sku.clone(), found.remove(0))))
            .collect();
        let pin = self.pin();
        let expires = expiry(self.priced_at, self.state.shop.seal_seconds, &request.prices);
        let checking = Checking {
            shop,
            linked_product: &self.association.shop_product,
            configuration,
            facts,
            pricing: Pricing {
                context: &self.context,
                items: &request.items,
                vendor: &request.prices,
                components: &components,
                wanted: &request.wanted,
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
            by_query: &by_query,
            by_id,
        };
        let checked = checking.check(pieces)?;
        self.done("every piece holds".to_owned());
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

/// The articles whose prices a plan needs.
fn component_queries(items: &[Item], price_from: PriceSource, pieces: &[Piece]) -> Vec<SkuQuery> {
    let by_components = price_from == PriceSource::Components
        || pieces.iter().any(|piece| match piece {
            Piece::Line(line) => line.price.source == PriceSource::Components,
            _ => false,
        });
    if !by_components {
        return Vec::new();
    }
    let skus: BTreeSet<&String> =
        items.iter().flat_map(|item| &item.articles).filter_map(|article| article.price_sku.as_ref()).collect();
    skus.into_iter().map(|sku| SkuQuery { sku: sku.clone(), within_product: None, ignore_case: false }).collect()
}

/// A seal ends when the shop says, or when the first of the vendor's prices does. A price that was remembered holds no longer for it:
/// the shop's time counts from when the vendor was asked.
fn expiry(priced_at: Option<Timestamp>, seconds: u32, prices: &[Option<Price>]) -> String {
    let now = priced_at.unwrap_or_else(Timestamp::now);
    let ours = now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(now);
    let ours = ours.round(Unit::Second).unwrap_or(ours);
    let theirs =
        prices.iter().flatten().filter_map(|price| price.valid_until.as_ref()?.parse::<Timestamp>().ok()).min();
    theirs.map_or(ours, |theirs| theirs.min(ours)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Money, PriceBasis, PriceState, TaxBasis};

    #[test]
    fn a_seal_over_a_remembered_price_ends_as_if_the_vendor_was_asked_for_it() {
        let asked: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(expiry(Some(asked), 3600, &[]), "2026-01-01T13:00:00Z");
        let price = |until: &str| {
            let amount = Money { minor: 1, scale: 2, currency: "EUR".to_owned() };
            let (basis, tax, state) = (PriceBasis::Unit, TaxBasis::AsShop, PriceState::Verified);
            Some(Price { amount, basis, tax, state, valid_until: Some(until.to_owned()) })
        };
        let until = |until: &str| expiry(Some(asked), 3600, &[None, price(until)]);
        assert_eq!(until("2026-01-01T12:30:00Z"), "2026-01-01T12:30:00Z");
        assert_eq!(until("2026-01-02T12:30:00Z"), "2026-01-01T13:00:00Z");
        let now = expiry(None, 3600, &[]).parse::<Timestamp>().unwrap();
        assert!(now > Timestamp::now());
    }
}
