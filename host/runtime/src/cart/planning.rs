//! The plan and check stages: calls the strategy, and collects the data that its plan is checked against.

use std::collections::HashMap;
use std::sync::Arc;

use cartwright_cart::error::CartError;
use cartwright_cart::line::CartLine;
use cartwright_cart::plan::{PlanCheck, key_of, queries};
use cartwright_cart::planning::{component_queries, expiry};
use cartwright_cart::pricing::{Pricing, VendorPrice};
use cartwright_contract::error::Failure;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{self, CallError, LineRequest, PlanEntry, PlanRequest, VariantInfo};
use cartwright_engine::{CallOptions, PlanResult};

use super::pipeline::PlanPipeline;
use super::prepared::Prepared;
use crate::shop::context;

impl PlanPipeline<'_> {
    pub(super) async fn call_strategy(
        &mut self,
        request: PlanRequest,
    ) -> Result<(records::PlanResult, HashMap<String, VariantInfo>), CartError> {
        let plugin = self.strategy_version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.strategy_plugin, &plugin);
        let articles: usize = request.items.iter().map(|item| item.articles.len()).sum();
        let lines = request.items.len() + request.cart_lines.len() + articles;
        let mut options = CallOptions::new(scope).lines(lines);
        if let Some(seed) = request.items.first().map(|item| Digest::of(item.vendor_product.as_bytes())) {
            options = options.seed(*seed.as_bytes());
        }
        let own;
        let context = if Arc::ptr_eq(&self.vendor, &self.strategy_plugin) {
            &self.context
        } else {
            let product = self.linked.settings_of(&self.strategy_plugin.id);
            let visitor = Some((self.visitor, &self.currency));
            own = context(&self.state.shop, &self.strategy_plugin, &self.strategy_version, product, visitor);
            &own
        };
        let called = self.host.engine().plan(&plugin, options, context, request).await;
        let PlanResult { planned, variants, log } = called.map_err(|error| match error.failure {
            Failure::PluginError(CallError::Rejected(message)) => {
                self.log.clone_from(&error.emitted.log);
                CartError::Rejected(message)
            }
            _ => CartError::Hook(error),
        })?;
        self.log = log;
        self.record_stage(format!("{} by {}/{}", describe_entries(&planned), plugin.id(), self.strategy));
        Ok((planned, variants.into_iter().map(|variant| (variant.id.clone(), variant)).collect()))
    }

    pub(super) async fn check(
        &mut self,
        prepared: &Prepared,
        line_requests: &[LineRequest],
        entries: &[PlanEntry],
        prices: &[Option<VendorPrice>],
        by_id: &HashMap<String, VariantInfo>,
    ) -> Result<Vec<Vec<CartLine>>, CartError> {
        let Prepared { configuration, decoded, facts, .. } = prepared;
        let catalog = &self.host.platform().catalog;
        let (shop, currency) = (&self.state.shop.id, self.currency.code.as_str());
        let platform = |error: cartwright_contract::platform::PlatformError| CartError::Platform(error.to_string());
        let linked = match &self.linked_variants {
            Some(linked) => linked.clone(),
            None => {
                let product = &self.product_link.shop_product;
                let mut linked = catalog.variants(shop, currency, product).await.map_err(platform)?;
                if let Some(chosen) = &self.chosen_variant {
                    linked.retain(|variant| variant.id == *chosen);
                    if linked.is_empty() {
                        return Err(CartError::Variant { variant: chosen.clone(), product: product.clone() });
                    }
                }
                self.linked_variants.insert(Arc::new(linked)).clone()
            }
        };
        let mut catalog_queries = queries(entries);
        let plan_query_count = catalog_queries.len();
        catalog_queries.extend(component_queries(&decoded.items, facts, entries));
        let answers = if catalog_queries.is_empty() {
            Vec::new()
        } else {
            catalog.resolve(shop, currency, &catalog_queries).await.map_err(platform)?
        };
        if answers.len() != catalog_queries.len() {
            return Err(CartError::Platform(format!(
                "{} results for {} queries",
                answers.len(),
                catalog_queries.len()
            )));
        }
        let mut answers = catalog_queries.iter().zip(answers);
        let by_query = answers.by_ref().take(plan_query_count).map(|(query, found)| (key_of(query), found)).collect();
        let components = answers.map(|(query, found)| ((query.sku.as_str(), query.ignore_case), found)).collect();
        let requested_quantities = line_requests.iter().map(|request| (request.item, request.quantity)).collect();
        let linked_by_id = linked.iter().map(|variant| (variant.id.as_str(), variant)).collect();
        let pin = self.pin();
        let expires =
            expiry(self.priced_at, self.state.shop.seal_seconds, prices.iter().flatten().map(|price| &price.price))?;
        let grants = self.strategy_plugin.grants.limited_to(&self.strategy_version.plugin.metadata().identity.grants);
        let checking = PlanCheck {
            shop,
            linked_product: &self.product_link.shop_product,
            configuration: *configuration,
            facts,
            pricing: Pricing {
                shop: &self.context.shop,
                currency: &self.currency,
                items: &decoded.items,
                vendor: prices,
                components: &components,
                requested_quantities: &requested_quantities,
            },
            price_from: decoded.price_from,
            quote: self.quote,
            grants: &grants,
            pin: &pin,
            removed_parts: &self.removed_parts,
            sell_unconfigured: self.state.shop.sell_unconfigured,
            now: &self.context.now,
            expires: &expires,
            chosen_variant: self.chosen_variant.as_deref(),
            linked_variants: &linked,
            linked_by_id: &linked_by_id,
            by_query: &by_query,
            by_id,
        };
        let checked = checking.check(entries)?;
        self.below_minimum = checking.below_minimum(entries, &checked)?;
        Ok(checked)
    }
}

fn describe_entries(planned: &records::PlanResult) -> String {
    let names: Vec<String> = planned
        .entries
        .iter()
        .take(8)
        .map(|entry| match entry {
            PlanEntry::Line(_) => "line".to_owned(),
            PlanEntry::Bundle(bundle) => format!("bundle of {}", bundle.children.len()),
            PlanEntry::Set(set) => format!("set of {}", set.lines.len()),
            PlanEntry::Other(other) => other.name.clone(),
        })
        .collect();
    names.join(", ")
}
