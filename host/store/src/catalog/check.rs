//! Validation of catalogs: what a cart could not use is refused here.

use std::collections::BTreeSet;

use cartwright::money::{MAX_SCALE, decimal};
use cartwright::types::{FieldIssue, Message, Money};
use cartwright::{MAX_NAME_BYTES, check_name, check_text, is_currency};
use rust_decimal::Decimal;

use super::error::CatalogError;
use super::variant::{CatalogVariant, MAX_VARIANTS};

/// Maximum number of issues that are listed.
const MAX_ISSUES: usize = 100;

struct Issues(Vec<FieldIssue>);

impl Issues {
    fn require(&mut self, fits: bool, field: impl FnOnce() -> String, key: &str, text: &str) {
        if !fits && self.0.len() < MAX_ISSUES {
            let message = Message { key: key.to_owned(), parameters: Vec::new(), text: text.to_owned() };
            self.0.push(FieldIssue { field: field(), message, blocking: true });
        }
    }

    fn result(self) -> Result<(), CatalogError> {
        if self.0.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(self.0)) }
    }
}

pub(super) fn at_most(count: usize) -> Result<(), CatalogError> {
    let mut issues = Issues(Vec::new());
    let text = format!("At most {MAX_VARIANTS} variants at once; send several lists.");
    issues.require(count <= MAX_VARIANTS, String::new, "too-many", &text);
    issues.result()
}

pub(super) fn variants(variants: &[CatalogVariant]) -> Result<(), CatalogError> {
    let (mut issues, mut known) = (Issues(Vec::new()), BTreeSet::new());
    for (at, variant) in variants.iter().enumerate() {
        let CatalogVariant { product, id, sku, title, prices, tax_class, weight_grams, minimum, maximum, .. } = variant;
        let new = known.insert((product, id));
        issues.require(new, || format!("[{at}].id"), "twice", "This variant of the product is in the list twice.");
        for (name, text) in [("product", product), ("id", id)] {
            issues.require(!text.is_empty(), || format!("[{at}].{name}"), "missing", "This must not be empty.");
        }
        let texts = [("product", product), ("id", id), ("sku", sku), ("title", title)];
        let texts = texts.into_iter().chain(tax_class.iter().map(|class| ("tax_class", class)));
        for (name, text) in texts {
            // A title may have several lines; ids and SKUs are a single one.
            let checked = if name == "title" { check_text(text, MAX_NAME_BYTES) } else { check_name(text) };
            if let Err(fault) = checked {
                issues.require(false, || format!("[{at}].{name}"), "text", &format!("This cannot be stored: {fault}."));
            }
        }
        let mut currencies = BTreeSet::new();
        for (number, price) in prices.iter().enumerate() {
            let Money { minor, scale, currency } = price;
            let field = |name: &str| format!("[{at}].prices[{number}].{name}");
            issues.require(is_currency(currency), || field("currency"), "currency", CURRENCY);
            issues.require(
                currencies.insert(currency),
                || field("currency"),
                "twice",
                "There are two prices in this currency.",
            );
            issues.require(*scale <= MAX_SCALE, || field("scale"), "scale", "Use 0 to 9 decimals.");
            issues.require(*minor >= 0, || field("minor"), "negative", "A price must not be negative.");
        }
        let weighs = weight_grams.as_ref().is_none_or(|grams| decimal(grams).is_ok_and(|grams| grams >= Decimal::ZERO));
        issues.require(weighs, || format!("[{at}].weight_grams"), "decimal", "Use a decimal number such as 12.5.");
        issues.require(*minimum >= 1, || format!("[{at}].minimum"), "range", "The minimum must be at least 1.");
        let room = maximum.is_none_or(|maximum| maximum >= *minimum);
        issues.require(room, || format!("[{at}].maximum"), "range", "The maximum must not be less than the minimum.");
    }
    issues.result()
}

pub(super) fn exchange_rate(from: &str, to: &str, rate: Option<&str>) -> Result<(), CatalogError> {
    let mut issues = Issues(Vec::new());
    issues.require(is_currency(from), || "from".to_owned(), "currency", CURRENCY);
    issues.require(is_currency(to), || "to".to_owned(), "currency", CURRENCY);
    issues.require(from != to, || "to".to_owned(), "same", "Name two currencies.");
    let fits = rate.is_none_or(|rate| decimal(rate).is_ok_and(|rate| rate > Decimal::ZERO));
    issues.require(fits, || "rate".to_owned(), "decimal", "Use a decimal number above 0, such as 1.0842.");
    issues.result()
}

const CURRENCY: &str = "Use an ISO 4217 code in capitals, such as EUR.";
