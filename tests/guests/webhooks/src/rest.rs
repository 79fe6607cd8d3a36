//! The interfaces that a vendor must export besides webhooks.

use std::hint::black_box;

use cartwright_plugin::exports::{account, cart, configuration, orders, page, plugin, products, settings};
use cartwright_plugin::http;
use cartwright_plugin::types::{
    Association, Context, FieldIssue, Item, Outage, Price, Setting, SettingValue, SkuQuery, Wanted,
};
use cartwright_plugin::{ContextExt, Error, FieldExt, field, message};

use crate::{SECRET, Webhooks};

/// The host that may receive the token.
const HOST: &str = "setting:api-url";
/// The host of the token endpoint.
const TOKEN_HOST: &str = "setting:token-url";
/// A secret that only the token endpoint may receive.
const NARROW: &str = "narrow-secret";
/// The version of the form. Another digit in the component's bytes makes another version of the plugin.
static FORM: &[u8; 13] = b"token's form1";

/// Returns the name of this version's token field. The second version has no such field; the third renames it. The
/// fourth also sends it to another server.
pub(crate) fn token() -> &'static str {
    match black_box(FORM)[12] {
        b'1' | b'4' => "token",
        b'2' => "key",
        _ => "renamed-token",
    }
}

/// Returns the server that only the fourth version sends its token to.
fn other_host() -> Option<&'static str> {
    (black_box(FORM)[12] == b'4').then_some("elsewhere.example")
}

/// Returns a field of a product with dynamic choices.
fn vendor_choice_field(name: &str, kind: &str, label: &str) -> settings::Field {
    settings::Field { choices: settings::ChoiceSource::Dynamic, ..field(name, kind, label).per_product() }
}

/// Returns all choices of a field.
fn choices(field: &str) -> Result<Vec<(String, String)>, Error> {
    let named =
        |all: &[(&str, &str)]| all.iter().map(|(value, label)| (value.to_string(), label.to_string())).collect();
    Ok(match field {
        "finish" => named(&[("m", "Matt"), ("g", "Gloss"), ("s", "Satin")]),
        "extras" => named(&[("b", "Box"), ("r", "Ribbon"), ("c", "Card")]),
        "colour" => (0..1_000).map(|number| (format!("c{number}"), format!("Colour {number}"))).collect(),
        _ => return Err(Error::Unsupported),
    })
}

impl plugin::Guest for Webhooks {
    fn describe() -> plugin::Identity {
        let identity =
            cartwright_plugin::identity("webhooks", "Webhooks", env!("CARGO_PKG_VERSION"), "Cartwright's tests");
        // Only a plugin with a strategy can be linked to products.
        let strategy = plugin::Strategy { name: "none".to_owned(), title: message("none", "None", &[]) };
        plugin::Identity {
            hosts: [HOST, TOKEN_HOST].into_iter().chain(other_host()).map(str::to_owned).collect(),
            strategies: vec![strategy],
            ..identity
        }
    }
}

impl settings::Guest for Webhooks {
    fn fields(_locale: String) -> Vec<settings::Field> {
        let mut secret = field(token(), "secret", "Token").outbound_host(HOST).outbound_host(TOKEN_HOST);
        if let Some(host) = other_host() {
            secret = secret.outbound_host(host);
        }
        vec![
            field(SECRET, "secret", "Signing secret"),
            field("script-url", "url", "Script").vendor_may_push(),
            field("name", "text", "Name"),
            field("api-url", "url", "Address").vendor_may_push(),
            secret,
            field("token-url", "url", "Token endpoint"),
            field(NARROW, "secret", "Secret of the token endpoint").outbound_host(TOKEN_HOST),
            vendor_choice_field("finish", "select", "Finish"),
            vendor_choice_field("colour", "select", "Colour"),
            vendor_choice_field("extras", "multi-select", "Extras"),
        ]
    }

    fn validate(_context: Context) -> Vec<FieldIssue> {
        Vec::new()
    }

    fn migrate(_from_version: String, mut values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        if token() == "renamed-token" && values.iter().any(|setting| setting.name == "token") {
            let value = SettingValue::Text("secret:token".to_owned());
            values.push(Setting { name: token().to_owned(), value });
        }
        Ok(values)
    }
}

impl account::Guest for Webhooks {
    /// Returns two choices at a time of a short list, a hundred of a long one. Fails if the setting `name` is "away".
    fn choices(
        context: Context,
        field: String,
        search: String,
        cursor: Option<String>,
    ) -> Result<account::PageOfChoices, Error> {
        if context.text("name") == Some("away") {
            return Err(Error::Unavailable(Outage { retry_after_seconds: None, detail: "as told".to_owned() }));
        }
        let mut all = choices(&field)?;
        all.retain(|(_, label)| label.to_lowercase().contains(&search.to_lowercase()));
        let at_once = if field == "colour" { 100 } else { 2 };
        let from: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let some = all.iter().skip(from).take(at_once);
        let choices = some.map(|(value, label)| settings::Choice {
            value: value.clone(),
            label: message(&format!("choice-{field}"), label.clone(), &[]),
        });
        let next = from + at_once;
        Ok(account::PageOfChoices { choices: choices.collect(), cursor: (next < all.len()).then(|| next.to_string()) })
    }

    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, Error> {
        let url = context.text("api-url").ok_or(Error::Unsupported)?;
        let mut request = http::Request::get(url);
        request.auth.push(match context.text("token-url") {
            None => http::Auth::Bearer(token().to_owned()),
            Some(token_url) => http::Auth::ClientCredentials(http::ClientCredentials {
                token_url: token_url.to_owned(),
                client_id: "shop".to_owned(),
                secret: if context.secret_is_set(NARROW) { NARROW } else { token() }.to_owned(),
                scope: Some("orders".to_owned()),
            }),
        });
        let passed = request.send()?.status == 200;
        Ok(vec![account::Diagnosis { check: message("asked", "It answers", &[]), passed, detail: None }])
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
    /// Does what a message says, like the endpoints; "resolve 100" queries the catalog a hundred times with different
    /// queries.
    fn handle(_context: Context, event: orders::Event, _state: Option<String>) -> Result<orders::Next, Error> {
        let orders::Kind::Message(message) = &event.kind else { return Ok(orders::Next::Done) };
        let words: Vec<&str> = message.json.split(' ').collect();
        if let ["resolve", times] = words[..] {
            for number in 0..times.parse().unwrap_or(0) {
                let query = SkuQuery { sku: format!("SKU-{number}"), within_product: None, ignore_case: false };
                cartwright_plugin::catalog::resolve(&[query])?;
            }
        }
        if let Some(recorded) = crate::outcome(&words) {
            cartwright_plugin::outcomes::emit(&recorded)?;
        }
        Ok(orders::Next::Done)
    }
}
