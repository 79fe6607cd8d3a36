//! The component: each exported interface delegates to its module.

use cartwright_plugin::exports::{account, cart, configuration, orders, page, plugin, products, settings, webhooks};
use cartwright_plugin::types::{Association, Context, FieldIssue, Item, Price, Setting, Wanted};
use cartwright_plugin::{Error, order_book};

use crate::Twikit;
use crate::host::{Host, Imports};

impl plugin::Guest for Twikit {
    fn describe() -> plugin::Identity {
        crate::identity::describe()
    }
}

impl settings::Guest for Twikit {
    fn fields(_locale: String) -> Vec<settings::Field> {
        crate::fields::fields()
    }

    fn validate(context: Context) -> Vec<FieldIssue> {
        crate::settings::validate(&context)
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        Ok(crate::settings::migrate(values))
    }
}

impl account::Guest for Twikit {
    fn choices(
        _context: Context,
        _field: String,
        _search: String,
        _cursor: Option<String>,
    ) -> Result<account::PageOfChoices, Error> {
        // No field of the form has dynamic choices.
        Err(Error::Unsupported)
    }

    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, Error> {
        Ok(crate::account::diagnoses(&context, |bytes| Imports.digest(bytes)))
    }
}

impl products::Guest for Twikit {
    fn search(context: Context, text: String, cursor: Option<String>) -> Result<products::PageOfProducts, Error> {
        crate::products::search(&context, &text, cursor.as_deref())
    }

    fn validate(context: Context, association: Association) -> Result<Vec<FieldIssue>, Error> {
        Ok(crate::products::validate(&context, &association))
    }
}

impl page::Guest for Twikit {
    fn embed(context: Context, association: Association, reopen: Option<Vec<u8>>) -> Result<page::EmbedData, Error> {
        crate::page::embed(&context, &association, reopen.is_some())
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
        _wanted: Vec<Wanted>,
    ) -> Result<Vec<Option<Price>>, Error> {
        // Twikit shows a price to the browser only; `decode` makes the platform the price source.
        Err(Error::Unsupported)
    }
}

impl cart::Guest for Twikit {
    fn plan(_context: Context, request: cart::Request) -> Result<cart::Planned, Error> {
        crate::plan::plan(request)
    }
}

impl orders::Guest for Twikit {
    fn handle(context: Context, event: orders::Event, state: Option<String>) -> Result<orders::Next, Error> {
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
