//! The component: each exported interface delegates to its module.

use cartwright_plugin::exports::{
    account, cart, configuration, metadata, orders, page, product_links, products, settings, webhooks,
};
use cartwright_plugin::types::{Context, FieldIssue, ProductLink, Setting};
use cartwright_plugin::{CallError, order_book};

use crate::Twikit;
use crate::host::{Host, Imports};

impl metadata::Guest for Twikit {
    fn describe() -> metadata::PluginMetadata {
        crate::metadata::describe()
    }
}

impl settings::Guest for Twikit {
    fn fields(_locale: String) -> Vec<settings::Field> {
        crate::fields::fields()
    }

    fn validate(context: Context) -> Result<Vec<FieldIssue>, CallError> {
        Ok(crate::settings::validate(&context))
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
        Ok(crate::settings::migrate(values))
    }
}

impl account::Guest for Twikit {
    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, CallError> {
        Ok(crate::account::diagnoses(&context, |bytes| Imports.digest(bytes)))
    }
}

impl products::Guest for Twikit {
    fn search(context: Context, text: String, cursor: Option<String>) -> Result<products::ProductList, CallError> {
        crate::products::search(&context, &text, cursor.as_deref())
    }
}

impl product_links::Guest for Twikit {
    fn validate(context: Context, product_link: ProductLink) -> Result<Vec<FieldIssue>, CallError> {
        Ok(crate::products::validate(&context, &product_link))
    }
}

impl page::Guest for Twikit {
    fn embed(context: Context, product_link: ProductLink) -> Result<page::EmbedData, CallError> {
        crate::page::embed(&context, &product_link)
    }
}

impl configuration::Guest for Twikit {
    fn decode(
        context: Context,
        product_link: ProductLink,
        raw: Vec<u8>,
    ) -> Result<configuration::DecodeResult, CallError> {
        crate::decode::decode(&context, &product_link, &raw)
    }
}

impl cart::Guest for Twikit {
    fn plan(_context: Context, request: cart::PlanRequest) -> Result<cart::PlanResult, CallError> {
        crate::plan::plan(request)
    }
}

impl orders::Guest for Twikit {
    fn handle(context: Context, event: orders::OrderEvent, state: Option<String>) -> Result<orders::Next, CallError> {
        crate::orders::handle(&mut Imports, &context, &event, state.as_deref())
    }
}

impl webhooks::Guest for Twikit {
    fn endpoints(_context: Context) -> Result<Vec<webhooks::WebhookEndpoint>, CallError> {
        Ok(crate::webhooks::endpoints())
    }

    fn receive(
        context: Context,
        endpoint: String,
        request: webhooks::WebhookRequest,
    ) -> Result<webhooks::WebhookResult, CallError> {
        crate::webhooks::receive(&context, &endpoint, &request, &|reference| order_book::find(reference))
    }
}
