//! A vendor whose page gives only the id of a saved configuration: `{"id": "…"}`. Its server has the configuration at
//! `/configurations/{id}` below the setting `api-url`, and perhaps a picture of it. The ids "flood" and "nothing" stand
//! for results that the host refuses. There is no page: `reopening` refuses with the configuration that it was given, for
//! the tests to read.

use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::exports::{cart, configuration, metadata, page, prices, reopening, resolving, settings};
use cartwright_plugin::json::{self, Code, Optional, Problem};
use cartwright_plugin::types::*;
use cartwright_plugin::{
    CallError, ContextExt, FieldExt, blobs, field, http, internal, invalid_input, message, named_strategy,
    not_configured, plugin_metadata, rejected,
};
use serde::Deserialize;

/// The host of the vendor's server.
const HOST: &str = "setting:api-url";
/// The secret of the vendor's server.
const TOKEN: &str = "token";
/// Maximum size of a configuration.
const MAX_BYTES: usize = 8 << 20;

struct Resolving;

/// What the page gives.
#[derive(Deserialize)]
struct PageData<'a> {
    #[serde(borrow)]
    id: Code<'a>,
}

/// A configuration as the vendor's server returns it.
#[derive(Deserialize)]
struct Saved<'a> {
    #[serde(borrow)]
    id: Code<'a>,
    #[serde(borrow)]
    product: Code<'a>,
    #[serde(borrow)]
    color: Code<'a>,
    /// The vendor's price, if it has one.
    cents: Option<i64>,
    /// The path of its picture.
    #[serde(borrow, default)]
    picture: Optional<Code<'a>>,
}

/// The result of `resolve`.
#[derive(Deserialize)]
struct Resolved<'a> {
    #[serde(borrow)]
    saved: Saved<'a>,
    /// The digest of its picture.
    #[serde(borrow, default)]
    picture: Optional<Code<'a>>,
}

fn unreadable(problem: Problem) -> CallError {
    invalid_input(problem.path, message("unreadable", problem.reason, &[]))
}

fn unknown_id(id: &str) -> CallError {
    invalid_input("id", message("id-unknown", "The vendor has no such configuration.", &[("id", id)]))
}

impl metadata::Guest for Resolving {
    fn describe() -> metadata::PluginMetadata {
        metadata::PluginMetadata {
            outbound_hosts: vec![HOST.to_owned()],
            strategies: vec![named_strategy("plain", "One line")],
            ..plugin_metadata("resolving", "Resolving", env!("CARGO_PKG_VERSION"), "Cartwright's tests")
        }
    }
}

impl settings::Guest for Resolving {
    fn fields(_locale: String) -> Vec<settings::Field> {
        vec![
            field("api-url", "url", "Address").required(),
            field(TOKEN, "secret", "Token").outbound_host(HOST).secret_use("bearer"),
        ]
    }

    fn validate(_context: Context) -> Result<Vec<FieldIssue>, CallError> {
        Ok(Vec::new())
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
        Ok(values)
    }
}

impl page::Guest for Resolving {
    fn embed(_context: Context, _link: ProductLink) -> Result<page::EmbedData, CallError> {
        Err(rejected(message("not-here", "This plugin has no page.", &[])))
    }
}

impl reopening::Guest for Resolving {
    fn embed_again(_context: Context, _link: ProductLink, raw: String) -> Result<page::EmbedData, CallError> {
        let bytes = blobs::read(&raw)?;
        Err(rejected(message("not-here", String::from_utf8_lossy(&bytes), &[])))
    }
}

impl resolving::Guest for Resolving {
    fn resolve(context: Context, _link: ProductLink, raw: String) -> Result<Vec<u8>, CallError> {
        let sent = blobs::read(&raw)?;
        let PageData { id } = json::read(&sent).map_err(unreadable)?;
        let id = id.as_str();
        match id {
            "flood" => return Ok(vec![b' '; MAX_BYTES + 1]),
            "nothing" => return Ok(Vec::new()),
            _ => {}
        }
        // It becomes a part of the address.
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(unknown_id(id));
        }
        let missing = || not_configured("api-url", message("api-url-missing", "Enter the address.", &[]));
        let url = context.text("api-url").ok_or_else(missing)?;
        let response = http::HttpRequest::get(format!("{url}/configurations/{id}")).bearer(TOKEN).send()?;
        match response.status {
            401 => return Err(not_configured(TOKEN, message("token-refused", "The vendor refuses the token.", &[]))),
            404 => return Err(unknown_id(id)),
            _ => {}
        }
        let response = response.require_success("the vendor's server")?;
        let Saved { picture, .. } =
            json::read(response.bytes()).map_err(|problem| internal(format!("the vendor's response: {problem}")))?;
        let picture = match picture.as_str() {
            None => None,
            Some(path) => {
                let request = http::HttpRequest::get(format!("{url}{path}")).bearer(TOKEN).store_body();
                let http::Body::Stored(stored) = request.send()?.require_success("the vendor's server")?.body else {
                    return Err(internal("the host did not store the picture"));
                };
                Some(stored.digest)
            }
        };
        let mut resolved = br#"{"saved":"#.to_vec();
        resolved.extend_from_slice(response.bytes());
        if let Some(digest) = picture {
            resolved.extend_from_slice(format!(r#","picture":"{digest}""#).as_bytes());
        }
        resolved.push(b'}');
        Ok(resolved)
    }
}

impl configuration::Guest for Resolving {
    fn decode(_context: Context, _link: ProductLink, raw: Vec<u8>) -> Result<DecodeResult, CallError> {
        let Resolved { saved, picture } = json::read(&raw).map_err(unreadable)?;
        let item = Item {
            attributes: vec![Attribute::new("color", "Color", saved.color.as_str(), ChoiceKind::Chosen)],
            saved_id: Some(saved.id.as_str().to_owned()),
            thumbnail: picture.as_str().map(|digest| Thumbnail::Stored(digest.to_owned())),
            ..Item::new(saved.product.as_str())
        };
        let price_from = if saved.cents.is_some() { PriceSource::Vendor } else { PriceSource::Platform };
        Ok(DecodeResult { items: vec![item], price_from, warnings: Vec::new(), extra: Vec::new() })
    }
}

impl prices::Guest for Resolving {
    /// Returns the price in the configuration, which the vendor's server returned.
    fn price_items(
        context: Context,
        _link: ProductLink,
        raw: String,
        items: Vec<Item>,
        _line_requests: Vec<LineRequest>,
    ) -> Result<Vec<Option<Price>>, CallError> {
        let bytes = blobs::read(&raw)?;
        let Resolved { saved, .. } = json::read(&bytes).map_err(unreadable)?;
        let currency = context.currency().ok_or_else(|| internal("a cart has a currency"))?;
        let amount = |minor| Money { minor, scale: currency.scale, currency: currency.code.clone() };
        Ok(items.iter().map(|_| saved.cents.map(|cents| Price::new(amount(cents), TaxBasis::AsShop))).collect())
    }
}

impl cart::Guest for Resolving {
    fn plan(_context: Context, request: cart::PlanRequest) -> Result<cart::PlanResult, CallError> {
        let line = |line_request: &LineRequest| PlannedLine {
            target: Target::LinkedProduct,
            quantity: line_request.quantity,
            title: None,
            display_fields: None,
            price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
            item: line_request.item,
            extra: Vec::new(),
        };
        let entries = request.line_requests.iter().map(|line_request| PlanEntry::Line(line(line_request))).collect();
        Ok(cart::PlanResult { entries, warnings: Vec::new(), extra: Vec::new() })
    }
}

cartwright_plugin::export_vendor!(Resolving, reopening, resolving, prices, cart);
