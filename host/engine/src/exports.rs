//! The functions of the contract that the host calls, as typed methods of the engine. `metadata.describe` and
//! `settings.fields` are called at installation, and `orders.handle` by a durable run.

use std::sync::Arc;

use cartwright_contract::error::{Breach, Failure, HookError, LogLine};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{
    self, ChoiceList, Context, Diagnosis, EmbedData, FeedPage, FieldIssue, Item, LineRequest, PlanRequest, Price,
    ProductLink, ProductList, Report, Setting, VariantInfo, WebhookEndpoint, WebhookRequest, WebhookResponse,
    WebhookResult,
};

use crate::bindings::{self, convert_list, from_guest, types};
use crate::call::plugin_error;
use crate::engine::Engine;
use crate::options::CallOptions;
use crate::plugin::PluginVersion;

/// The result of `resolving.resolve`.
#[derive(Debug)]
pub struct ResolveResult {
    /// The configuration that the vendor's server returned.
    pub bytes: Vec<u8>,
    /// Number of requests that the call sent.
    pub requests: u32,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
}

/// The result of `configuration.decode`.
#[derive(Debug)]
pub struct DecodeResult {
    /// The decoded configuration.
    pub decoded: records::DecodeResult,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
}

/// The result of `prices.price-items`.
#[derive(Debug)]
pub struct PriceItemsResult {
    /// The price of each item, in the order of the items.
    pub prices: Vec<Option<Price>>,
    /// Whether the plugin queried the platform's catalog, which changes independently of the vendor.
    pub used_catalog: bool,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
}

/// The result of `cart.plan`.
#[derive(Debug)]
pub struct PlanResult {
    /// The plan.
    pub planned: records::PlanResult,
    /// The variants that the catalog returned to the strategy, in no particular order.
    pub variants: Vec<VariantInfo>,
    /// What the strategy logged.
    pub log: Vec<LogLine>,
}

/// The result of `webhooks.receive`.
#[derive(Debug)]
pub struct ReceiveResult {
    /// The plugin's response.
    pub response: WebhookResponse,
    /// What it reported.
    pub reports: Vec<Report>,
    /// What the host could not determine for the plugin, if anything. The response may be wrong then.
    pub uncertainty: Option<String>,
    /// The blobs whose digests the plugin received.
    pub readable: Vec<records::Digest>,
}

/// The result of `feed.poll`.
#[derive(Debug)]
pub struct PollResult {
    /// The page.
    pub page: FeedPage,
    /// The blobs whose digests the plugin received.
    pub readable: Vec<records::Digest>,
}

impl Engine {
    /// Calls `settings.validate`. Returns the issues that the plugin found.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn validate_settings(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
    ) -> Result<Vec<FieldIssue>, HookError> {
        let context = types::Context::from(context.clone());
        let called =
            self.call(Hook::ValidateSettings, plugin, options.currency_of(&context), async |store, instance| {
                let issues = plugin.interfaces().settings(store, instance)?.call_validate(store, &context).await?;
                from_guest(plugin, issues, convert_list::<_, FieldIssue>)
            });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::ValidateSettings, error))
    }

    /// Calls `settings.migrate`: converts values of the form of version `from` into the form of this one.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn migrate_settings(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        from: &str,
        values: &[Setting],
    ) -> Result<Vec<Setting>, HookError> {
        let values = convert_list::<_, types::Setting>(values.to_vec());
        let called = self.call(Hook::Migrate, plugin, options, async |store, instance| {
            let migrated = plugin.interfaces().settings(store, instance)?.call_migrate(store, from, &values).await?;
            from_guest(plugin, migrated, convert_list::<_, Setting>)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::Migrate, error))
    }

    /// Calls `choices.search`: returns a part of a field's choices.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn search_choices(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        field: &str,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<ChoiceList, HookError> {
        let context = types::Context::from(context.clone());
        let called = self.call(Hook::SearchChoices, plugin, options.currency_of(&context), async |store, instance| {
            let choices = plugin.interfaces().choices(store, instance)?;
            let list = choices.call_search(store, &context, field, text, cursor).await?;
            from_guest(plugin, list, ChoiceList::from)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::SearchChoices, error))
    }

    /// Calls `account.test-connection`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn test_connection(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
    ) -> Result<Vec<Diagnosis>, HookError> {
        let context = types::Context::from(context.clone());
        let called = self.call(Hook::TestConnection, plugin, options.currency_of(&context), async |store, instance| {
            let account = plugin.interfaces().account(store, instance)?;
            from_guest(plugin, account.call_test_connection(store, &context).await?, convert_list::<_, Diagnosis>)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::TestConnection, error))
    }

    /// Calls `products.search`: returns a part of the vendor's products.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn search_products(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<ProductList, HookError> {
        let context = types::Context::from(context.clone());
        let called = self.call(Hook::SearchProducts, plugin, options.currency_of(&context), async |store, instance| {
            let products = plugin.interfaces().products(store, instance)?;
            from_guest(plugin, products.call_search(store, &context, text, cursor).await?, ProductList::from)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::SearchProducts, error))
    }

    /// Calls `product-links.validate`. Returns the issues that the plugin found.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn validate_link(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
    ) -> Result<Vec<FieldIssue>, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let called = self.call(Hook::ValidateLink, plugin, options.currency_of(&context), async |store, instance| {
            let links = plugin.interfaces().product_links(store, instance)?;
            let issues = links.call_validate(store, &context, &product_link).await?;
            from_guest(plugin, issues, convert_list::<_, FieldIssue>)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::ValidateLink, error))
    }

    /// Calls `page.embed`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn embed(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
    ) -> Result<EmbedData, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let called = self.call(Hook::Embed, plugin, options.currency_of(&context), async |store, instance| {
            let page = plugin.interfaces().page(store, instance)?;
            from_guest(plugin, page.call_embed(store, &context, &product_link).await?, EmbedData::from)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::Embed, error))
    }

    /// Calls `reopening.embed-again`. `raw` is the digest of the raw configuration to continue from, which the call may read.
    ///
    /// # Errors
    /// Returns an error if the plugin does not export the interface, the call fails, or the plugin returns one.
    pub async fn embed_again(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
        raw: &Digest,
    ) -> Result<EmbedData, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let options = options.currency_of(&context).blob(*raw, None);
        let raw = raw.to_string();
        let called = self.call(Hook::EmbedAgain, plugin, options, async |store, instance| {
            let reopening = plugin.interfaces().reopening(store, instance)?;
            let embedded = reopening.call_embed_again(store, &context, &product_link, &raw).await?;
            from_guest(plugin, embedded, EmbedData::from)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::EmbedAgain, error))
    }

    /// Calls `resolving.resolve`. `raw` is what came from the page, which the plugin may read as a blob.
    ///
    /// # Errors
    /// Returns an error if the call fails, the plugin returns one, or its result is empty or larger than a raw
    /// configuration may be; the error contains the log.
    pub async fn resolve(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
        raw: (Digest, Arc<Vec<u8>>),
    ) -> Result<ResolveResult, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let (digest, bytes) = raw;
        let options = options.currency_of(&context).blob(digest, Some(bytes));
        let digest = digest.to_string();
        let called = self.call(Hook::Resolve, plugin, options, async |store, instance| {
            let resolving = plugin.interfaces().resolving(&mut *store, instance)?;
            let resolved = resolving.call_resolve(&mut *store, &context, &product_link, &digest).await?;
            Ok((resolved.map_err(records::CallError::from), store.data().requests))
        });
        let (bytes, requests, log) = match called.await? {
            ((Ok(bytes), requests), log) => (bytes, requests, log),
            ((Err(error), _), log) => return Err(logged_error(plugin, Hook::Resolve, error, log)),
        };
        let allowed = self.limits().bytes_in;
        let failure = match bytes.len() {
            0 => Failure::ContractViolation("resolve returned no bytes".to_owned()),
            given if given > allowed => Failure::Limit(Breach::BytesIn { given, allowed }),
            _ => return Ok(ResolveResult { bytes, requests, log }),
        };
        let mut error = HookError::new(plugin.id(), Hook::Resolve, failure);
        error.emitted.log = log;
        Err(error)
    }

    /// Calls `configuration.decode`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one; the error contains the log.
    pub async fn decode(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
        raw: &[u8],
    ) -> Result<DecodeResult, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let called = self.call(Hook::Decode, plugin, options.currency_of(&context), async |store, instance| {
            let configuration = plugin.interfaces().configuration(store, instance)?;
            let decoded = configuration.call_decode(store, &context, &product_link, raw).await?;
            from_guest(plugin, decoded, records::DecodeResult::from)
        });
        match called.await? {
            (Ok(decoded), log) => Ok(DecodeResult { decoded, log }),
            (Err(error), log) => Err(logged_error(plugin, Hook::Decode, error, log)),
        }
    }

    /// Calls `prices.price-items`. `raw` is the configuration, which the plugin may read as a blob.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one; the error contains the log.
    #[allow(clippy::too_many_arguments)]
    pub async fn price_items(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        product_link: &ProductLink,
        raw: (Digest, Arc<Vec<u8>>),
        items: &[Item],
        line_requests: &[LineRequest],
    ) -> Result<PriceItemsResult, HookError> {
        let context = types::Context::from(context.clone());
        let product_link = types::ProductLink::from(product_link.clone());
        let items = convert_list::<_, types::Item>(items.to_vec());
        let line_requests = convert_list::<_, types::LineRequest>(line_requests.to_vec());
        let (digest, bytes) = raw;
        let options = options.currency_of(&context).blob(digest, Some(bytes));
        let digest = digest.to_string();
        let called = self.call(Hook::PriceItems, plugin, options, async |store, instance| {
            let interface = plugin.interfaces().prices(&mut *store, instance)?;
            let prices = interface
                .call_price_items(&mut *store, &context, &product_link, &digest, &items, &line_requests)
                .await?;
            let prices = from_guest(plugin, prices, |prices| {
                prices.into_iter().map(|price| price.map(Price::from)).collect::<Vec<_>>()
            })?;
            Ok((prices, !store.data().catalog.is_empty()))
        });
        match called.await? {
            ((Ok(prices), used_catalog), log) => Ok(PriceItemsResult { prices, used_catalog, log }),
            ((Err(error), _), log) => Err(logged_error(plugin, Hook::PriceItems, error, log)),
        }
    }

    /// Calls `cart.plan`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the strategy returns one; the error contains the log.
    pub async fn plan(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        request: PlanRequest,
    ) -> Result<PlanResult, HookError> {
        let context = types::Context::from(context.clone());
        let request = bindings::exports::cart::PlanRequest::from(request);
        let called = self.call(Hook::Plan, plugin, options.currency_of(&context), async |store, instance| {
            let cart = plugin.interfaces().cart(store, instance)?;
            let planned = cart.call_plan(&mut *store, &context, &request).await?;
            let planned = from_guest(plugin, planned, records::PlanResult::from)?;
            Ok((planned, std::mem::take(&mut store.data_mut().catalog)))
        });
        match called.await? {
            ((Ok(planned), catalog), log) => {
                Ok(PlanResult { planned, variants: catalog.into_values().flatten().collect(), log })
            }
            ((Err(error), _), log) => Err(logged_error(plugin, Hook::Plan, error, log)),
        }
    }

    /// Calls `webhooks.endpoints`: returns the endpoints under the settings of `context`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn endpoints(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
    ) -> Result<Vec<WebhookEndpoint>, HookError> {
        let context = types::Context::from(context.clone());
        let called = self.call(Hook::Endpoints, plugin, options, async |store, instance| {
            let webhooks = plugin.interfaces().webhooks(store, instance)?;
            let endpoints = webhooks.call_endpoints(store, &context).await?;
            from_guest(plugin, endpoints, convert_list::<_, WebhookEndpoint>)
        });
        called.await?.0.map_err(|error| plugin_error(plugin, Hook::Endpoints, error))
    }

    /// Calls `webhooks.receive`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn receive(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        endpoint: &str,
        request: WebhookRequest,
    ) -> Result<ReceiveResult, HookError> {
        let context = types::Context::from(context.clone());
        let request = bindings::exports::webhooks::WebhookRequest::from(request);
        let called = self.call(Hook::ReceiveWebhook, plugin, options.currency_of(&context), async |store, instance| {
            let webhooks = plugin.interfaces().webhooks(store, instance)?;
            let received = webhooks.call_receive(&mut *store, &context, endpoint, &request).await?;
            let (received, state) = (from_guest(plugin, received, WebhookResult::from)?, store.data_mut());
            Ok((received, state.uncertainty.take(), std::mem::take(&mut state.readable)))
        });
        let ((received, uncertainty, readable), _) = called.await?;
        let WebhookResult { response, reports, extra: _ } =
            received.map_err(|error| plugin_error(plugin, Hook::ReceiveWebhook, error))?;
        Ok(ReceiveResult { response, reports, uncertainty, readable })
    }

    /// Calls `feed.poll`: fetches what happened since `cursor`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the plugin returns one.
    pub async fn poll_feed(
        &self,
        plugin: &PluginVersion,
        options: CallOptions,
        context: &Context,
        cursor: Option<&str>,
    ) -> Result<PollResult, HookError> {
        let context = types::Context::from(context.clone());
        let called = self.call(Hook::Poll, plugin, options.currency_of(&context), async |store, instance| {
            let feed = plugin.interfaces().feed(&mut *store, instance)?;
            let page = from_guest(plugin, feed.call_poll(&mut *store, &context, cursor).await?, FeedPage::from)?;
            Ok((page, std::mem::take(&mut store.data_mut().readable)))
        });
        let (page, readable) = called.await?.0;
        let page = page.map_err(|error| plugin_error(plugin, Hook::Poll, error))?;
        Ok(PollResult { page, readable })
    }
}

/// Converts an error of the contract into an error of the host, with what the plugin logged before.
fn logged_error(plugin: &PluginVersion, hook: Hook, error: records::CallError, log: Vec<LogLine>) -> HookError {
    let mut error = plugin_error(plugin, hook, error);
    error.emitted.log = log;
    error
}
