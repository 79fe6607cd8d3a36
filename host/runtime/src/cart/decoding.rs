//! The decode, products, identify and price stages: the items of a raw configuration, the check of their vendor
//! products, their fingerprints, and the vendor's prices. What a page sent is resolved before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright_cart::budget::{Budget, INLINE_STATE_BYTES};
use cartwright_cart::decoding::{check_contract, check_names, check_quantities, fingerprint_items, hashed_bytes};
use cartwright_cart::error::{CartError, issue};
use cartwright_cart::plan::ItemFacts;
use cartwright_cart::price_cache::VendorPrices;
use cartwright_cart::pricing::{VendorPrice, check_prices, convert};
use cartwright_cart::vendor_cache::Lookup;
use cartwright_contract::error::{Breach, Failure, HookError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{self, Context, Item, LineRequest, PriceRole, PriceSource, ProductLink};
use cartwright_contract::text;
use cartwright_engine::{CallOptions, DecodeResult, Interface, PluginVersion, PriceItemsResult};
use jiff::Timestamp;
use serde::Serialize;

use super::pipeline::PlanPipeline;
use super::prepared::{PreparationKey, Prepared, RawConfiguration, drop_hashed_bytes};

impl PlanPipeline<'_> {
    /// Resolves a configuration that came from a page, decodes it, checks its products and fingerprints its items.
    ///
    /// # Errors
    /// Returns [`CartError::NeedsConfiguration`] without a configuration, unless the shop sells unconfigured;
    /// otherwise an error that describes the fault of the configuration.
    pub(super) async fn prepare(&mut self, raw: Option<RawConfiguration>) -> Result<Arc<Prepared>, CartError> {
        let prepared = self.prepare_configuration(raw).await;
        if let Err(error) = &prepared {
            self.record_failure(error);
        }
        prepared.map(Arc::new)
    }

    /// Continues with a configuration that another pipeline of the request prepared. Its warnings become this
    /// pipeline's as well.
    pub(super) fn reuse(&mut self, prepared: &Prepared) {
        self.warnings.extend(prepared.decoded.warnings.iter().cloned().map(text::message));
    }

    async fn prepare_configuration(&mut self, raw: Option<RawConfiguration>) -> Result<Prepared, CartError> {
        self.stage_started = Instant::now();
        let resolves = self.version.plugin.has(Interface::Resolving);
        let (raw, is_verified) = match raw {
            Some(RawConfiguration::FromPage(raw)) if resolves && !raw.is_empty() => {
                (self.begin_stage("resolve").resolve(raw).await?, true)
            }
            Some(RawConfiguration::FromPage(raw) | RawConfiguration::Stored(raw)) => (Arc::new(raw), false),
            None if self.state.shop.sell_unconfigured => (Arc::default(), false),
            None => return Err(CartError::NeedsConfiguration(self.product_link.shop_product.clone())),
        };
        self.begin_stage("decode");
        self.budget_usage.begin(raw.len())?;
        self.check_size(&raw, Hook::Decode)?;
        let configuration = (!raw.is_empty()).then(|| Digest::of(&raw));
        let mut decoded = self.decode(&raw, configuration).await?;
        self.begin_stage("products").check_products(&decoded.items)?;
        let facts = self.begin_stage("identify").facts(&mut decoded.items).await?;
        if decoded.price_from != PriceSource::Vendor {
            drop_hashed_bytes(&mut decoded.items);
        }
        Ok(Prepared::new(raw, configuration, is_verified, decoded, facts, self.preparation_key()))
    }

    /// Returns the key of the configurations that this pipeline prepares.
    pub(super) fn preparation_key(&self) -> PreparationKey {
        PreparationKey {
            state: self.state.clone(),
            linked: self.linked.clone(),
            vendor: self.vendor.clone(),
            version: self.version.clone(),
        }
    }

    /// Checks that bytes are not larger than what a hook may be given.
    pub(super) fn check_size(&self, raw: &[u8], hook: Hook) -> Result<(), CartError> {
        let allowed = self.host.limits().bytes_in;
        if raw.len() > allowed {
            let failure = Failure::Limit(Breach::BytesIn { given: raw.len(), allowed });
            return Err(CartError::Hook(HookError::new(self.version.plugin.id(), hook, failure)));
        }
        Ok(())
    }

    async fn decode(&mut self, raw: &[u8], digest: Option<Digest>) -> Result<records::DecodeResult, CartError> {
        let Some(digest) = digest else {
            return Ok(records::DecodeResult {
                items: Vec::new(),
                price_from: PriceSource::Platform,
                warnings: Vec::new(),
                extra: Vec::new(),
            });
        };
        let plugin = self.version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin);
        let options = CallOptions::new(scope).seed(*digest.as_bytes());
        let called = self.host.engine().decode(&plugin, options, &self.context, &self.product_link, raw);
        let DecodeResult { mut decoded, log } = called.await?;
        self.log = log;
        if decoded.items.is_empty() {
            let text = "it contains no configured product".to_owned();
            return Err(CartError::Configuration(issue("items", "items-number", text)));
        }
        let articles: usize = decoded.items.iter().map(|item| item.articles.len()).sum();
        let attributes: usize = decoded.items.iter().map(|item| item.attributes.len()).sum();
        Budget::Items.check(decoded.items.len())?;
        Budget::Articles.check(articles)?;
        Budget::Attributes.check(attributes)?;
        Budget::StateBytes.check(decoded.items.iter().map(|item| item.state.len()).sum())?;
        self.budget_usage.items(decoded.items.len())?;
        let breach = |text: String| CartError::Hook(contract_violation(&plugin, Hook::Decode, text));
        check_contract(&decoded.items).map_err(breach)?;
        if decoded.price_from == PriceSource::Vendor && !plugin.has(Interface::Prices) {
            let text = "`price-from` is `vendor`, but the plugin does not export the interface `prices`";
            return Err(breach(text.to_owned()));
        }
        for (index, item) in decoded.items.iter_mut().enumerate() {
            check_names(index, item).map_err(CartError::Configuration)?;
            check_quantities(index, item)?;
        }
        self.warnings.extend(decoded.warnings.iter().cloned().map(text::message));
        let result = format!(
            "{} configured products, {attributes} attributes, {articles} articles; priced by {}",
            decoded.items.len(),
            match decoded.price_from {
                PriceSource::Platform => "the platform",
                PriceSource::Vendor => "the vendor",
                PriceSource::Components => "components",
            }
        );
        self.record_stage(result);
        Ok(decoded)
    }

    /// Checks the vendor products. The root's must be the linked one; others must be listed in the link, or linked in
    /// this shop by the same account.
    fn check_products(&mut self, items: &[Item]) -> Result<(), CartError> {
        let mut others: Option<HashSet<&str>> = None;
        for (index, item) in items.iter().enumerate() {
            let vendor_product = &item.vendor_product;
            if *vendor_product == self.product_link.vendor_product {
                continue;
            }
            let may_be_with = others.get_or_insert_with(|| {
                let links = self.state.links.values().map(|other| &other.link);
                let linked =
                    links.filter(|link| link.account == self.linked.link.account).map(|link| &link.vendor_product);
                linked.chain(&self.product_link.additional_vendor_products).map(String::as_str).collect()
            });
            // A configuration may have several roots; the first is the product that the page was opened with.
            if index == 0 || !may_be_with.contains(vendor_product.as_str()) {
                return Err(CartError::NotLinked {
                    found: vendor_product.clone(),
                    shop_product: self.product_link.shop_product.clone(),
                    linked: self.product_link.vendor_product.clone(),
                });
            }
        }
        if !items.is_empty() {
            self.record_stage(format!("{} is the linked vendor product", self.product_link.vendor_product));
        }
        Ok(())
    }

    /// Computes fingerprints and the tree of items.
    async fn facts(&mut self, items: &mut Vec<Item>) -> Result<Vec<ItemFacts>, CartError> {
        let (fingerprints, below) = if hashed_bytes(items) <= INLINE_STATE_BYTES {
            fingerprint_items(items)?
        } else {
            let owned_items = std::mem::take(items);
            let fingerprinted =
                self.host.work().run(&self.state.shop.id, move || (fingerprint_items(&owned_items), owned_items)).await;
            let (fingerprinted, owned_items) = fingerprinted
                .ok_or_else(|| CartError::Unserializable("its fingerprint could not be computed".to_owned()))?;
            *items = owned_items;
            fingerprinted?
        };
        let mut facts = Vec::with_capacity(items.len());
        for (fingerprint, below) in fingerprints.into_iter().zip(below) {
            facts.push(ItemFacts { fingerprint: Some(fingerprint), descendants: below });
        }
        self.record_stage(format!("{} fingerprints", facts.len()));
        Ok(facts)
    }

    /// Returns the vendor's prices of the items if the vendor is the price source, from the cache or from the plugin.
    pub(super) async fn prices(
        &mut self,
        prepared: &Prepared,
        line_requests: &[LineRequest],
    ) -> Result<Vec<Option<VendorPrice>>, CartError> {
        let decoded = &prepared.decoded;
        let Some(configuration) = prepared.configuration.filter(|_| decoded.price_from == PriceSource::Vendor) else {
            return Ok(Vec::new());
        };
        let host = self.host;
        let key = self.price_key(configuration, line_requests)?;
        let max_age = Duration::from_secs(self.state.shop.seal_seconds.into()) / 2;
        let (quote, from) = match host.prices().get(key, max_age, Timestamp::now()).await {
            Lookup::Hit(quote) => (quote, "earlier"),
            Lookup::Miss(asking) => {
                let (quote, may_be_remembered) = self.fetch_prices(prepared, configuration, line_requests).await?;
                (if may_be_remembered { asking.remember(quote) } else { Arc::new(quote) }, "now")
            }
        };
        self.priced_at = Some(quote.requested_at);
        let prices = quote.prices.clone();
        let mut in_shop = Vec::with_capacity(prices.len());
        for (index, price) in prices.into_iter().enumerate() {
            let Some(price) = price else {
                in_shop.push(None);
                continue;
            };
            let from = price.amount.currency.clone();
            if from != self.currency.code && !self.exchange_rates.contains_key(&from) {
                let catalog = &self.host.platform().catalog;
                let rate = catalog.exchange_rate(&self.state.shop.id, &from, &self.currency.code).await;
                let rate = rate.map_err(|error| CartError::Platform(error.to_string()))?;
                self.exchange_rates.insert(from.clone(), rate);
            }
            let rate = self.exchange_rates.get(&from).and_then(Option::as_deref);
            #[allow(clippy::indexing_slicing, reason = "there is one price for each item, see `fetch_prices`")]
            let what = format!("the item {index} ({})", decoded.items[index].vendor_product);
            in_shop.push(Some(convert(price, &what, rate, &self.currency, self.state.shop.rounding)?));
        }
        let priced = || in_shop.iter().flatten();
        let is_surcharge = priced().any(|price| price.price.role == PriceRole::Surcharge);
        let role = if is_surcharge { ", as surcharges on the platform's prices" } else { "" };
        self.record_stage(format!("the vendor priced {} items{role}, asked {from}", priced().count()));
        Ok(in_shop)
    }

    /// Returns the cache key of a vendor's price: everything that its plugin is given, except the time.
    fn price_key(&self, configuration: Digest, line_requests: &[LineRequest]) -> Result<Digest, CartError> {
        #[derive(Serialize)]
        struct PriceQuery<'a> {
            plugin: Digest,
            context: Context,
            product_link: &'a ProductLink,
            configuration: Digest,
            line_requests: &'a [LineRequest],
        }
        let query = PriceQuery {
            plugin: self.version.plugin.digest(),
            context: Context { now: String::new(), ..self.context.clone() },
            product_link: &self.product_link,
            configuration,
            line_requests,
        };
        // Serializing texts alone cannot fail; all of them are part of the key.
        let text = serde_json::to_vec(&query).map_err(|error| CartError::Platform(error.to_string()))?;
        Ok(Digest::of(&text))
    }

    /// Fetches prices from the vendor. They must not be cached if the plugin also queried the platform's catalog,
    /// which changes independently of the vendor.
    async fn fetch_prices(
        &mut self,
        prepared: &Prepared,
        configuration: Digest,
        line_requests: &[LineRequest],
    ) -> Result<(VendorPrices, bool), CartError> {
        let requested_at = Timestamp::now();
        let plugin = self.version.plugin.clone();
        let scope = self.host.scope(&self.state.shop, &self.vendor, &plugin);
        let options = CallOptions::new(scope).lines(prepared.items().len()).client(self.visitor.client.as_ref());
        let (context, product_link, items) = (&self.context, &self.product_link, prepared.items());
        let raw = (configuration, prepared.raw.clone());
        let called = self.host.engine().price_items(&plugin, options, context, product_link, raw, items, line_requests);
        let PriceItemsResult { prices, used_catalog, log } = called.await?;
        self.log = log;
        let breach = |text: String| CartError::Hook(contract_violation(&plugin, Hook::PriceItems, text));
        if prices.len() != items.len() {
            return Err(breach(format!("price-items returned {} prices for {} items", prices.len(), items.len())));
        }
        check_prices(&prices, prepared.facts.iter().map(|facts| facts.descendants.as_slice())).map_err(breach)?;
        Ok((VendorPrices { prices, requested_at }, !used_catalog))
    }
}

fn contract_violation(plugin: &PluginVersion, hook: Hook, text: String) -> HookError {
    HookError::new(plugin.id(), hook, Failure::ContractViolation(text))
}
