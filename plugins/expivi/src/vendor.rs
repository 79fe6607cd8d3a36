//! The component: each exported interface delegates to its module.

use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::exports::metadata::PluginMetadata;
use cartwright_plugin::exports::{
    account, cart, configuration, metadata, orders, page, prices, product_links, products, reopening, settings,
};
use cartwright_plugin::types::{Context, Digest, FieldIssue, Item, LineRequest, Price, ProductLink, Setting};
use cartwright_plugin::{CallError, named_strategy, plugin_metadata};

use crate::host::{Host as _, Imports};
use crate::settings::OrderType;
use crate::{prices as price, products as catalogue, settings as form};

/// The component.
pub struct Expivi;

impl metadata::Guest for Expivi {
    fn describe() -> PluginMetadata {
        let titles = ["Custom product", "Variation by KEYs", "Bundle of articles"];
        let strategies = OrderType::ALL.iter().zip(titles).map(|(kind, title)| named_strategy(kind.name(), title));
        PluginMetadata {
            // A page loads from the hosts of the scripts and the style sheet; this plugin itself never does.
            outbound_hosts: ["api-url", "files-url", "viewer-script", "options-script", "options-style"]
                .map(|name| format!("setting:{name}"))
                .into(),
            strategies: strategies.collect(),
            ..plugin_metadata("expivi", "Expivi", env!("CARGO_PKG_VERSION"), "Expivi")
        }
    }
}

impl settings::Guest for Expivi {
    fn fields(_locale: String) -> Vec<settings::Field> {
        form::fields()
    }

    fn validate(context: Context) -> Result<Vec<FieldIssue>, CallError> {
        Ok(form::check(&context))
    }

    fn migrate(from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
        form::migrate(&from_version, values)
    }
}

impl account::Guest for Expivi {
    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, CallError> {
        catalogue::diagnose(&mut Imports, &context)
    }
}

impl products::Guest for Expivi {
    fn search(context: Context, text: String, _cursor: Option<String>) -> Result<products::ProductList, CallError> {
        catalogue::search(&mut Imports, &context, &text)
    }
}

impl product_links::Guest for Expivi {
    fn validate(context: Context, product_link: ProductLink) -> Result<Vec<FieldIssue>, CallError> {
        Ok(form::check_product_link(&context, &product_link))
    }
}

impl page::Guest for Expivi {
    fn embed(context: Context, product_link: ProductLink) -> Result<page::EmbedData, CallError> {
        crate::page::embed(&context, &product_link, None)
    }
}

impl reopening::Guest for Expivi {
    fn embed_again(context: Context, product_link: ProductLink, raw: Digest) -> Result<page::EmbedData, CallError> {
        crate::page::embed(&context, &product_link, Some(&Imports.read(&raw)?))
    }
}

impl configuration::Guest for Expivi {
    fn decode(context: Context, product_link: ProductLink, raw: Vec<u8>) -> Result<DecodeResult, CallError> {
        crate::decode(&context, &product_link, &raw)
    }
}

impl prices::Guest for Expivi {
    fn price_items(
        context: Context,
        product_link: ProductLink,
        raw: String,
        items: Vec<Item>,
        _line_requests: Vec<LineRequest>,
    ) -> Result<Vec<Option<Price>>, CallError> {
        price::price_items(&mut Imports, &context, &product_link, &raw, &items)
    }
}

impl cart::Guest for Expivi {
    fn plan(context: Context, request: cart::PlanRequest) -> Result<cart::PlanResult, CallError> {
        crate::plan(&context, request)
    }
}

impl orders::Guest for Expivi {
    fn handle(context: Context, event: orders::OrderEvent, state: Option<String>) -> Result<orders::Next, CallError> {
        crate::orders::handle(&mut Imports, &context, &event, state.as_deref())
    }
}
