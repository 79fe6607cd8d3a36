//! The world `vendor`: each exported interface delegates to its module.

use cartwright_plugin::exports::configuration::Decoded;
use cartwright_plugin::exports::plugin::{Identity, Strategy};
use cartwright_plugin::exports::{account, cart, configuration, orders, page, plugin, products, settings, webhooks};
use cartwright_plugin::types::{Association, Context, FieldIssue, Item, Price, Setting, Wanted};
use cartwright_plugin::{Error, message};

use crate::host::Imports;
use crate::settings::OrderType;
use crate::{prices, products as catalogue, settings as form};

/// The component.
pub struct Expivi;

impl plugin::Guest for Expivi {
    fn describe() -> Identity {
        let titles = ["Custom product", "Variation by KEYs", "Bundle of articles"];
        let strategies = OrderType::ALL.iter().zip(titles).map(|(kind, title)| Strategy {
            name: kind.name().to_owned(),
            title: message(&format!("strategy-{}", kind.name()), title, &[]),
        });
        let capabilities = ["product-search", "preset", "reopen", "vendor-price", "documents"];
        Identity {
            id: "expivi".to_owned(),
            name: "Expivi".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            vendor: "Expivi".to_owned(),
            hosts: vec!["setting:api-url".to_owned(), "setting:files-url".to_owned()],
            strategies: strategies.collect(),
            capabilities: capabilities.map(str::to_owned).into(),
            grants: Vec::new(),
            extra: Vec::new(),
        }
    }
}

impl settings::Guest for Expivi {
    fn fields(_locale: String) -> Vec<settings::Field> {
        form::fields()
    }

    fn validate(context: Context) -> Vec<FieldIssue> {
        form::check(&context)
    }

    fn migrate(from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        form::migrate(&from_version, values)
    }
}

impl account::Guest for Expivi {
    fn choices(
        _context: Context,
        _field: String,
        _search: String,
        _cursor: Option<String>,
    ) -> Result<account::PageOfChoices, Error> {
        // No field has dynamic choices: Expivi documents no list of presets or media.
        Err(Error::Unsupported)
    }

    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, Error> {
        catalogue::diagnose(&mut Imports, &context)
    }
}

impl products::Guest for Expivi {
    fn search(context: Context, text: String, _cursor: Option<String>) -> Result<products::PageOfProducts, Error> {
        catalogue::search(&mut Imports, &context, &text)
    }

    fn validate(context: Context, association: Association) -> Result<Vec<FieldIssue>, Error> {
        Ok(form::check_association(&context, &association))
    }
}

impl page::Guest for Expivi {
    fn embed(context: Context, association: Association, reopen: Option<Vec<u8>>) -> Result<page::EmbedData, Error> {
        crate::page::embed(&context, &association, reopen.as_deref())
    }
}

impl configuration::Guest for Expivi {
    fn decode(context: Context, association: Association, raw: Vec<u8>) -> Result<Decoded, Error> {
        crate::decode(&context, &association, &raw)
    }

    fn price_items(
        context: Context,
        association: Association,
        raw: Vec<u8>,
        items: Vec<Item>,
        _wanted: Vec<Wanted>,
    ) -> Result<Vec<Option<Price>>, Error> {
        prices::price_items(&mut Imports, &context, &association, &raw, &items)
    }
}

impl cart::Guest for Expivi {
    fn plan(context: Context, request: cart::Request) -> Result<cart::Planned, Error> {
        crate::plan(&context, request)
    }
}

impl orders::Guest for Expivi {
    fn handle(context: Context, event: orders::Event, state: Option<String>) -> Result<orders::Next, Error> {
        crate::orders::handle(&mut Imports, &context, &event, state.as_deref())
    }
}

impl webhooks::Guest for Expivi {
    fn endpoints(_context: Context) -> Result<Vec<webhooks::WebhookEndpoint>, Error> {
        // Expivi documents no webhooks.
        Ok(Vec::new())
    }

    fn receive(
        _context: Context,
        _endpoint: String,
        _request: webhooks::WebhookRequest,
    ) -> Result<webhooks::WebhookResult, Error> {
        Err(Error::Unsupported)
    }
}
