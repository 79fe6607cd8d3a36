//! Checks of settings and product links that the form's fields cannot express.

use std::collections::BTreeSet;

use cartwright_plugin::types::{Context, FieldIssue, PriceSource, ProductLink};
use cartwright_plugin::{ContextExt, message};

use super::{API_URL, OrderType, SERVER_TOKEN, VIEWER_TOKEN};
use crate::saved::is_catalogue_id;

/// Options of the viewer that this plugin sets itself.
const RESERVED_OPTIONS: [&str; 8] = [
    "catalogueId",
    "token",
    "viewerContainer",
    "optionContainer",
    "priceSelectors",
    "configuration",
    "bundle_uuid",
    "__proto__",
];

struct Issues(Vec<FieldIssue>);

impl Issues {
    fn add(&mut self, field: &str, key: &str, text: impl Into<String>, blocking: bool) {
        self.0.push(FieldIssue { field: field.to_owned(), message: message(key, text, &[]), blocking });
    }

    fn error(&mut self, field: &str, key: &str, text: impl Into<String>) {
        self.add(field, key, text, true);
    }

    fn warn(&mut self, field: &str, key: &str, text: impl Into<String>) {
        self.add(field, key, text, false);
    }
}

/// Returns the issues of an account's settings.
pub(crate) fn settings(context: &Context) -> Vec<FieldIssue> {
    let mut issues = Issues(Vec::new());
    if context.text(VIEWER_TOKEN).is_some_and(|token| token.to_ascii_lowercase().starts_with("bearer")) {
        issues.error(VIEWER_TOKEN, "token-with-scheme", "Enter the token alone, without \"Bearer\".");
    }
    for name in ["viewer-script", "options-script", "options-style", API_URL, super::FILES_URL] {
        if context.text(name).is_some_and(|url| !url.starts_with("https://")) {
            issues.warn(
                name,
                "not-https",
                "Browsers block plain http on an https page, and the token would be sent unencrypted.",
            );
        }
    }
    prices(context, &mut issues);
    cart(context, &mut issues);
    page(context, &mut issues);
    production(context, &mut issues);
    issues.0
}

fn prices(context: &Context, issues: &mut Issues) {
    if super::price_source(context) != PriceSource::Vendor {
        return;
    }
    for (name, known) in [
        ("price-currency", context.text("price-currency").is_some()),
        ("price-scale", context.integer("price-scale").is_some()),
        ("price-tax", super::price_tax(context).is_some()),
    ] {
        if !known {
            let text = "Expivi's response does not state this, and it is never assumed: set it, or choose another price source.";
            issues.error(name, "price-needs", text);
        }
    }
}

fn cart(context: &Context, issues: &mut Issues) {
    let order_type = super::order_type(context);
    if order_type == Some(OrderType::Variation) && super::sku_separator(context).is_empty() {
        let text = "Without a separator different KEYs can spell one SKU: A and BC, AB and C.";
        issues.warn("sku-separator", "separator-empty", text);
    }
    if order_type == Some(OrderType::Bundle)
        && context.text("child-removal") == Some("repriced")
        && super::price_source(context) != PriceSource::Components
    {
        let text =
            "The price is not the sum of the articles: after a removal the remaining parts cost their share of it.";
        issues.warn("child-removal", "removal-share", text);
    }
    if super::lines(context, "key-fields").len() > super::MAX_KEY_FIELDS {
        issues.error("key-fields", "too-many", format!("At most {} names.", super::MAX_KEY_FIELDS));
    }
    for name in super::lines(context, "key-fields") {
        if matches!(name, "attribute_id" | "attribute_name" | "attribute_value_name" | "attribute_value") {
            issues.error("key-fields", "key-field-taken", format!("{name} does not contain a KEY."));
        }
    }
    for field in ["attribute-order", "key-fields"] {
        let mut seen = BTreeSet::new();
        for name in super::lines(context, field) {
            if !seen.insert(name) {
                issues.error(field, "named-twice", format!("duplicate name {name:?}."));
            }
        }
    }
}

fn page(context: &Context, issues: &mut Issues) {
    for (name, _) in context.pairs("viewer-options") {
        if RESERVED_OPTIONS.contains(&name.as_str()) {
            issues.error("viewer-options", "option-own", format!("{name} is set by the plugin."));
        }
    }
    for (name, option) in context.pairs("preference-names") {
        if !matches!(name.as_str(), "hover-icon" | "auto-rotate" | "progress-bar") {
            let text = format!("{name:?} is not one of hover-icon, auto-rotate, progress-bar.");
            issues.error("preference-names", "preference-unknown", text);
        }
        if option.is_empty() || RESERVED_OPTIONS.contains(&option.as_str()) {
            issues.error(
                "preference-names",
                "option-own",
                format!("{option:?} is not a valid option of a preference."),
            );
        }
    }
    if context.text("preset-option").is_some_and(|option| RESERVED_OPTIONS.contains(&option)) {
        issues.error("preset-option", "option-own", "This option is set by the plugin.");
    }
}

fn production(context: &Context, issues: &mut Issues) {
    let has_token = context.secret_is_set(SERVER_TOKEN);
    let uploads = super::is_enabled(context, "upload-bundles");
    if uploads && !has_token {
        issues.warn("upload-bundles", "upload-off", "Inactive until a server token is set.");
    }
    for (product, media) in context.pairs("media-ids") {
        if !is_catalogue_id(product) || !is_catalogue_id(media) {
            let text = format!("{product:?} = {media:?}: both must be positive whole numbers.");
            issues.error("media-ids", "media-id-wrong", text);
        }
    }
    if !super::is_enabled(context, "print-files") {
        return;
    }
    if !has_token {
        issues.error(SERVER_TOKEN, "print-needs-token", "Print files need the server token.");
    }
    if !uploads {
        issues.error("upload-bundles", "print-needs-upload", "Print files are made from uploaded configurations.");
    }
    if context.integer("media-id").is_none() && context.pairs("media-ids").is_empty() {
        issues.error("media-id", "print-needs-media", "Print files need a media id.");
    }
    if context.integer("print-dpi").is_some() && context.integer("print-resolution").is_some() {
        issues.error("print-resolution", "dpi-or-resolution", "Set dots per inch or a resolution, not both.");
    }
}

/// Returns the issues of a product link.
pub(crate) fn product_link(context: &Context, product_link: &ProductLink) -> Vec<FieldIssue> {
    let mut issues = Issues(Vec::new());
    let number = "Expivi's product ids are positive whole numbers, as its back office shows them.";
    if !is_catalogue_id(&product_link.vendor_product) {
        issues.error("vendor-product", "product-id-wrong", number);
    }
    let mut seen = BTreeSet::new();
    for other in &product_link.additional_vendor_products {
        if !is_catalogue_id(other) {
            issues.error("additional-vendor-products", "product-id-wrong", format!("{other:?}: {number}"));
        } else if !seen.insert(other) {
            issues.warn("additional-vendor-products", "named-twice", format!("duplicate product {other}."));
        }
    }
    match product_link.preset.as_deref() {
        Some("") => issues.error("preset", "preset-empty", "Omit the preset, or enter its id."),
        Some(preset) if !is_catalogue_id(preset) => {
            issues.warn(
                "preset",
                "preset-no-number",
                "Known preset ids are whole numbers; this one is passed as text.",
            );
        }
        _ => {}
    }
    if !product_link.allowed_skus.is_empty() && super::order_type(context) != Some(OrderType::Variation) {
        issues.warn("allowed-skus", "skus-unused", "Only the order type \"variation\" uses allowed SKUs.");
    }
    issues.0
}
