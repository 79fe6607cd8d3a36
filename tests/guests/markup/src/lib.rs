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

use cartwright_plugin::exports::account::{Diagnosis, Verdict};
use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::exports::{
    account, cart, choices, configuration, metadata, page, prices, product_links, products,
};
use cartwright_plugin::log::{Level, write};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, ContextExt, blobs, message, outage, plugin_metadata, rejected};

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

impl metadata::Guest for Markup {
    fn describe() -> metadata::PluginMetadata {
        let strategy = |name: &str, title| metadata::Strategy {
            name: name.to_owned(),
            title: markup_message(title),
            extra: Vec::new(),
        };
        metadata::PluginMetadata {
            strategies: vec![strategy("plain", "strategy-title"), strategy("other", "strategy-title-2")],
            grants: vec!["personal-data".to_owned()],
            ..plugin_metadata(
                "markup",
                &markup_text("plugin-name"),
                env!("CARGO_PKG_VERSION"),
                &markup_text("plugin-publisher"),
            )
        }
    }
}

impl choices::Guest for Markup {
    fn search(
        _context: Context,
        _field: String,
        _text: String,
        _cursor: Option<String>,
    ) -> Result<choices::ChoiceList, CallError> {
        Ok(choices::ChoiceList { choices: vec![form::choice("asked")], cursor: None })
    }
}

impl account::Guest for Markup {
    fn test_connection(context: Context) -> Result<Vec<Diagnosis>, CallError> {
        write(Level::Warn, &markup_text("log-line"));
        eprintln!("{}", markup_text("standard-error"));
        if context.text("mood") == Some("refuse") {
            return Err(rejected(markup_message("test-error")));
        }
        let diagnosis = |verdict, check, detail| Diagnosis {
            check: markup_message(check),
            verdict,
            detail: Some(markup_message(detail)),
        };
        Ok(vec![
            diagnosis(Verdict::Passed, "check-passed", "detail-passed"),
            diagnosis(Verdict::Failed, "check-failed", "detail-failed"),
            diagnosis(Verdict::NotTried, "check-not-tried", "detail-not-tried"),
        ])
    }
}

impl products::Guest for Markup {
    fn search(_context: Context, text: String, _cursor: Option<String>) -> Result<products::ProductList, CallError> {
        if text == "refuse" {
            return Err(outage(markup_text("search-error"), None));
        }
        let found = products::Product {
            id: markup_text("product-id"),
            title: markup_text("product-title"),
            thumbnail: Some(format!("https://pictures.example/{}", markup_text("product-picture"))),
            extra: Vec::new(),
        };
        Ok(products::ProductList { products: vec![found], cursor: Some(markup_text("product-cursor")) })
    }
}

impl product_links::Guest for Markup {
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
    fn embed(_context: Context, _link: ProductLink) -> Result<page::EmbedData, CallError> {
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
        _line_requests: Vec<LineRequest>,
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
    fn plan(_context: Context, request: cart::PlanRequest) -> Result<cart::PlanResult, CallError> {
        let line = |line_request: &LineRequest| PlannedLine {
            target: Target::LinkedProduct,
            quantity: line_request.quantity,
            title: Some(markup_text("line-title")),
            display_fields: Some(vec![DisplayField {
                name: markup_text("part-name"),
                value: markup_text("part-value"),
            }]),
            price: LinePrice { source: request.price_from, adjustments: Vec::new(), ignore_case: false },
            item: line_request.item,
            extra: Vec::new(),
        };
        let entries = request.line_requests.iter().map(|line_request| PlanEntry::Line(line(line_request))).collect();
        Ok(cart::PlanResult { entries, warnings: vec![markup_message("plan-warning")], extra: Vec::new() })
    }
}

cartwright_plugin::export_vendor!(Markup, choices, account, products, product_links, prices, cart, orders, webhooks);
