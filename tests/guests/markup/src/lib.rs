//! A vendor that puts markup into every text that it returns, each under its own name, so that a test can distinguish
//! the texts on a page and check that all are escaped. Otherwise the setting `mood`, the link and the raw configuration
//! control it; each may be "refuse" or "warn".

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod form;
mod outcomes;

use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::exports::{account, cart, configuration, page, plugin, prices, products};
use cartwright_plugin::log::{Level, write};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, ContextExt, blobs, identity, message, outage, rejected};

struct Markup;

/// Returns markup that runs in a browser if a page shows it unescaped, inside an element or an attribute.
fn markup_text(name: &str) -> String {
    format!("<script>{name}()</script>\"><img src=x onerror={name}()>")
}

/// Returns such markup as a message of the contract, with its key and its parameters.
fn markup_message(name: &str) -> Message {
    message(&markup_text("key"), markup_text(name), &[("it", &markup_text("parameter"))])
}

fn issue(field: &str, name: &str, blocking: bool) -> FieldIssue {
    FieldIssue { field: field.to_owned(), message: markup_message(name), blocking }
}

impl plugin::Guest for Markup {
    fn describe() -> plugin::Identity {
        let strategy = |name: &str, title| plugin::Strategy { name: name.to_owned(), title: markup_message(title) };
        plugin::Identity {
            strategies: vec![
                strategy("plain", "strategy-title"),
                strategy(&markup_text("strategy-name"), "strategy-title-2"),
            ],
            capabilities: vec!["product-search".to_owned(), "preset".to_owned(), markup_text("capability")],
            grants: vec!["personal-data".to_owned(), markup_text("grant")],
            ..identity("markup", &markup_text("plugin-name"), env!("CARGO_PKG_VERSION"), &markup_text("plugin-vendor"))
        }
    }
}

impl account::Guest for Markup {
    fn choices(
        _context: Context,
        _field: String,
        _search: String,
        _cursor: Option<String>,
    ) -> Result<account::PageOfChoices, CallError> {
        Ok(account::PageOfChoices { choices: vec![form::choice("asked")], cursor: None })
    }

    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, CallError> {
        write(Level::Warn, &markup_text("log-line"));
        eprintln!("{}", markup_text("standard-error"));
        if context.text("mood") == Some("refuse") {
            return Err(rejected(markup_message("test-error")));
        }
        let tried = |check, passed, detail| account::Diagnosis {
            check: markup_message(check),
            passed,
            detail: Some(markup_message(detail)),
        };
        Ok(vec![tried("check-passed", true, "detail-passed"), tried("check-failed", false, "detail-failed")])
    }
}

impl products::Guest for Markup {
    fn search(_context: Context, text: String, _cursor: Option<String>) -> Result<products::PageOfProducts, CallError> {
        if text == "refuse" {
            return Err(outage(markup_text("search-error"), None));
        }
        let found = products::Product {
            id: markup_text("product-id"),
            title: markup_text("product-title"),
            thumbnail: Some(format!("https://pictures.example/{}", markup_text("product-picture"))),
        };
        Ok(products::PageOfProducts { products: vec![found], cursor: Some(markup_text("product-cursor")) })
    }

    fn validate(_context: Context, product_link: ProductLink) -> Result<Vec<FieldIssue>, CallError> {
        Ok(match product_link.vendor_product.as_str() {
            "refuse" => {
                vec![
                    issue("vendor-product", "link-refused", true),
                    issue(&markup_text("link-field"), "link-elsewhere", true),
                ]
            }
            "warn" => vec![issue("vendor-product", "link-warning", false), issue("preset", "preset-warning", false)],
            _ => Vec::new(),
        })
    }
}

impl page::Guest for Markup {
    fn embed(_context: Context, _link: ProductLink, _reopen: Option<Vec<u8>>) -> Result<page::EmbedData, CallError> {
        Err(rejected(markup_message("embed-error")))
    }
}

impl configuration::Guest for Markup {
    fn decode(_context: Context, link: ProductLink, raw: Vec<u8>) -> Result<DecodeResult, CallError> {
        write(Level::Info, &markup_text("decode-log"));
        match &*raw {
            b"refuse" => return Err(rejected(markup_message("decode-rejected"))),
            b"invalid" => {
                return Err(CallError::InvalidInput(issue(&markup_text("decode-field"), "decode-invalid", true)));
            }
            b"fault" => return Err(CallError::Internal(markup_text("decode-fault"))),
            _ => {}
        }
        let attribute = Attribute {
            group: Some(markup_text("attribute-group")),
            ..Attribute::new(
                markup_text("attribute-id"),
                markup_text("attribute-name"),
                markup_text("attribute-value"),
                ChoiceKind::Other,
            )
        };
        let article = Article {
            title: Some(markup_text("article-title")),
            unit: Some(markup_text("article-unit")),
            ..Article::new(markup_text("article-sku"), "1")
        };
        let item = Item {
            title: Some(markup_text("item-title")),
            attributes: vec![attribute],
            articles: vec![article],
            saved_id: Some(markup_text("configuration-reference")),
            unverified: Some(UnverifiedData { reason: markup_message("unverified"), hold: true }),
            valid_until: match &*raw {
                b"gone" => Some("2020-01-01T00:00:00Z".to_owned()),
                b"someday" => Some("someday".to_owned()),
                _ => None,
            },
            ..Item::new(link.vendor_product)
        };
        Ok(DecodeResult {
            items: vec![item],
            price_from: PriceSource::Vendor,
            warnings: vec![markup_message("decode-warning")],
            extra: Vec::new(),
        })
    }
}

impl prices::Guest for Markup {
    /// Returns prices with a text about why they are unverified. The configuration says what else they are.
    fn price_items(
        context: Context,
        _link: ProductLink,
        raw: String,
        items: Vec<Item>,
        _wanted: Vec<Wanted>,
    ) -> Result<Vec<Option<Price>>, CallError> {
        let raw = blobs::read(&raw)?;
        let currency = context.currency().expect("a shop has a currency");
        let amount = Money { minor: 1_000, scale: currency.scale, currency: currency.code.clone() };
        let price = Price {
            state: PriceState::Unverified(markup_text("price-state")),
            role: if raw == b"surcharge" { PriceRole::Surcharge } else { PriceRole::Whole },
            period: match &*raw {
                b"monthly" => Some("P1M".to_owned()),
                b"often" => Some("often".to_owned()),
                _ => None,
            },
            ..Price::new(amount, TaxBasis::AsShop)
        };
        Ok(items.iter().map(|_| Some(price.clone())).collect())
    }
}

impl cart::Guest for Markup {
    fn plan(_context: Context, request: cart::Request) -> Result<cart::Planned, CallError> {
        let line = |line_request: &Wanted| NewLine {
            target: Target::LinkedProduct,
            quantity: line_request.quantity,
            title: Some(markup_text("line-title")),
            shown: Some(vec![LinePart { name: markup_text("part-name"), value: markup_text("part-value") }]),
            price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
            item: line_request.item,
            extra: Vec::new(),
        };
        let pieces = request.wanted.iter().map(|line_request| Piece::Line(line(line_request))).collect();
        Ok(cart::Planned { pieces, warnings: vec![markup_message("plan-warning")] })
    }
}

cartwright_plugin::export_vendor!(Markup, prices);
