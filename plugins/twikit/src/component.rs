//! The component: each exported interface delegates to its module.

use cartwright_plugin::exports::{
    account, cart, configuration, metadata, orders, page, product_links, products, settings, webhooks,
};
use cartwright_plugin::types::{Association, Context, FieldIssue, Item, LineRequest, Price, Setting};
use cartwright_plugin::{Error, order_book};

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

    fn validate(context: Context) -> Result<Vec<FieldIssue>, Error> {
        Ok(crate::settings::validate(&context))
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        Ok(crate::settings::migrate(values))
    }
}

impl account::Guest for Twikit {
    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, Error> {
        Ok(crate::account::diagnoses(&context, |bytes| Imports.digest(bytes)))
    }
}

impl products::Guest for Twikit {
    fn search(context: Context, text: String, cursor: Option<String>) -> Result<products::ProductList, Error> {
        crate::products::search(&context, &text, cursor.as_deref())
    }
}

impl product_links::Guest for Twikit {
    fn validate(context: Context, association: Association) -> Result<Vec<FieldIssue>, Error> {
        Ok(crate::products::validate(&context, &association))
    }
}

impl page::Guest for Twikit {
    fn embed(context: Context, association: Association) -> Result<page::EmbedData, Error> {
        crate::page::embed(&context, &association)
    }
}

impl configuration::Guest for Twikit {
    fn decode(context: Context, association: Association, raw: Vec<u8>) -> Result<configuration::Decoded, Error> {
        crate::decode::decode(&context, &association, &raw)
    }

    fn price_items(
        _context: Context,
        _association: Association,
        _raw: Vec<u8>,
        _items: Vec<Item>,
        _line_requests: Vec<LineRequest>,
    ) -> Result<Vec<Option<Price>>, Error> {
        // Twikit shows a price to the browser only; `decode` makes the platform the price source.
        Err(Error::Unsupported)
    }
}

impl cart::Guest for Twikit {
    fn plan(_context: Context, request: cart::PlanRequest) -> Result<cart::PlanResult, Error> {
        crate::plan::plan(request)
    }
}

impl orders::Guest for Twikit {
    fn handle(context: Context, event: orders::OrderEvent, state: Option<String>) -> Result<orders::Next, Error> {
        crate::orders::handle(&mut Imports, &context, &event, state.as_deref())
    }
}

impl webhooks::Guest for Twikit {
    fn endpoints(_context: Context) -> Result<Vec<webhooks::WebhookEndpoint>, Error> {
        Ok(crate::webhooks::endpoints())
    }

    fn receive(
        context: Context,
        endpoint: String,
        request: webhooks::WebhookRequest,
    ) -> Result<webhooks::WebhookResult, Error> {
        crate::webhooks::receive(&context, &endpoint, &request, &|reference| order_book::find(reference))
    }
}
