//! What a vendor must have beside webhooks.

use cartwright_plugin::exports::{account, cart, configuration, orders, page, plugin, products, settings};
use cartwright_plugin::types::{Association, Context, FieldIssue, Item, Price, Setting, SkuQuery, Wanted};
use cartwright_plugin::{Error, field};

use crate::{SECRET, Webhooks};

impl plugin::Guest for Webhooks {
    fn describe() -> plugin::Identity {
        cartwright_plugin::identity("webhooks", "Webhooks", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
    }
}

impl settings::Guest for Webhooks {
    fn fields(_locale: String) -> Vec<settings::Field> {
        let script = settings::Field { vendor_may_push: true, ..field("script-url", "url", "Script") };
        vec![field(SECRET, "secret", "Signing secret"), script, field("name", "text", "Name")]
    }

    fn validate(_context: Context) -> Vec<FieldIssue> {
        Vec::new()
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        Ok(values)
    }
}

impl account::Guest for Webhooks {
    fn choices(
        _context: Context,
        _field: String,
        _search: String,
        _cursor: Option<String>,
    ) -> Result<account::PageOfChoices, Error> {
        Err(Error::Unsupported)
    }

    fn test_connection(_context: Context) -> Result<Vec<account::Diagnosis>, Error> {
        Err(Error::Unsupported)
    }
}

impl products::Guest for Webhooks {
    fn search(_context: Context, _text: String, _cursor: Option<String>) -> Result<products::PageOfProducts, Error> {
        Err(Error::Unsupported)
    }

    fn validate(_context: Context, _association: Association) -> Result<Vec<FieldIssue>, Error> {
        Ok(Vec::new())
    }
}

impl page::Guest for Webhooks {
    fn embed(_context: Context, _association: Association, _reopen: Option<Vec<u8>>) -> Result<page::EmbedData, Error> {
        Err(Error::Unsupported)
    }
}

impl configuration::Guest for Webhooks {
    fn decode(_context: Context, _link: Association, _raw: Vec<u8>) -> Result<configuration::Decoded, Error> {
        Err(Error::Unsupported)
    }

    fn price_items(
        _context: Context,
        _association: Association,
        _raw: Vec<u8>,
        _items: Vec<Item>,
        _wanted: Vec<Wanted>,
    ) -> Result<Vec<Option<Price>>, Error> {
        Err(Error::Unsupported)
    }
}

impl cart::Guest for Webhooks {
    fn plan(_context: Context, _request: cart::Request) -> Result<cart::Planned, Error> {
        Err(Error::Unsupported)
    }
}

impl orders::Guest for Webhooks {
    /// Says what a message asks for, as the endpoints do; "resolve 100" asks the catalogue a hundred times, each time for something
    /// else.
    fn handle(_context: Context, event: orders::Event, _state: Option<String>) -> Result<orders::Next, Error> {
        let orders::Kind::Message(message) = &event.kind else { return Ok(orders::Next::Done) };
        let words: Vec<&str> = message.json.split(' ').collect();
        if let ["resolve", times] = words[..] {
            for number in 0..times.parse().unwrap_or(0) {
                let query = SkuQuery { sku: format!("SKU-{number}"), within_product: None, ignore_case: false };
                cartwright_plugin::catalog::resolve(&[query])?;
            }
        }
        if let Some(said) = crate::outcome(&words) {
            cartwright_plugin::outcomes::emit(&said)?;
        }
        Ok(orders::Next::Done)
    }
}
