//! Twikit's products for product links. Twikit has no call that lists products: the list is a setting that the merchant
//! fills from the publisher and that the Website Publication webhook keeps up to date.

use cartwright_plugin::exports::products::{Product, ProductList};
use cartwright_plugin::types::{Context, FieldIssue, ProductLink};
use cartwright_plugin::{CallError, invalid_input, message};

use crate::decode::no_allowed_skus;
use crate::settings::{Settings, UnverifiedSku};

const PAGE: usize = 100;

/// Finds products by a part of their key.
pub fn search(context: &Context, text: &str, cursor: Option<&str>) -> Result<ProductList, CallError> {
    let start = match cursor.map(str::parse::<usize>) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => {
            let text = "This cursor is not from a previous search.";
            return Err(invalid_input("cursor", message("cursor-unknown", text, &[])));
        }
    };
    let remaining_quantity = text.trim().to_lowercase();
    let mut found: Vec<&str> = Settings(context)
        .product_keys()
        .into_iter()
        .filter(|key| key.to_lowercase().contains(&remaining_quantity))
        .collect();
    found.sort_unstable();
    let products = found.iter().skip(start).take(PAGE);
    // Twikit sends nothing about a product but its key (Webhooks, Website Publication: IProduct).
    let product =
        |key: &&str| Product { id: (*key).to_owned(), title: (*key).to_owned(), thumbnail: None, extra: Vec::new() };
    let next = start.saturating_add(PAGE);
    Ok(ProductList {
        products: products.map(product).collect(),
        cursor: (next < found.len()).then(|| next.to_string()),
    })
}

/// Returns the issues of a product link.
pub fn validate(context: &Context, product_link: &ProductLink) -> Vec<FieldIssue> {
    let settings = Settings(context);
    let mut issues = Vec::new();
    let mut add = |field: &str, message, blocking| {
        issues.push(FieldIssue { field: field.to_owned(), message, blocking });
    };
    let key = product_link.vendor_product.as_str();
    let line_list = settings.product_keys();
    if key.trim().is_empty() {
        add("vendor-product", message("product-key-missing", "Enter the product key from the publisher.", &[]), true);
    } else if !line_list.contains(&key) && (settings.strict_check() || !line_list.is_empty()) {
        let text = format!("\"{key}\" is not among the product keys in the settings.");
        add("vendor-product", message("product-key-unlisted", text, &[("key", key)]), settings.strict_check());
    }
    let skus: std::collections::BTreeSet<&str> =
        product_link.allowed_skus.iter().map(String::as_str).filter(|sku| !sku.trim().is_empty()).collect();
    if skus.is_empty() {
        add("allowed-skus", no_allowed_skus(), true);
    } else if skus.len() > 1 && settings.unverified_sku() == UnverifiedSku::Refuse {
        let text = "The settings reject a SKU chosen in the browser, so a link with several SKUs can never be bought.";
        add("allowed-skus", message("several-skus-refused", text, &[]), true);
    }
    if !product_link.additional_vendor_products.is_empty() {
        let text = "A Twikit configuration contains one product; additional products have no effect.";
        add("additional-vendor-products", message("further-products", text, &[]), false);
    }
    if product_link.preset.is_some() {
        add("preset", message("no-presets", "Twikit documents no presets; it has no effect.", &[]), false);
    }
    issues
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fields::{PRODUCT_KEYS, STRICT_CHECK, UNVERIFIED_SKU};
    use crate::testing::{context, context_with, product_link};
    use cartwright_plugin::types::{Setting, SettingValue};

    fn keys(issues: &[FieldIssue]) -> Vec<(&str, bool)> {
        issues.iter().map(|issue| (issue.message.key.as_str(), issue.blocking)).collect()
    }

    #[test]
    fn the_picker_lists_what_twikit_published() {
        let page = search(&context(), "RING", None).unwrap();
        assert_eq!(page.products.iter().map(|product| product.id.as_str()).collect::<Vec<_>>(), ["plain-ring"]);
        assert_eq!(page.cursor, None);
        assert_eq!(search(&context_with(&[(PRODUCT_KEYS, "")]), "", None).unwrap().products, []);
    }

    #[test]
    fn a_long_list_comes_in_pages() {
        let many: Vec<String> = (0..250).map(|number| format!("key-{number:03}")).collect();
        let context = context_with(&[(PRODUCT_KEYS, &many.join("\n"))]);
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let page = search(&context, "", cursor.as_deref()).unwrap();
            found.extend(page.products.into_iter().map(|product| product.id));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, many);
        assert!(search(&context, "", Some("x")).is_err());
        assert_eq!(search(&context, "", Some(&u64::MAX.to_string())).unwrap().products, []);
    }

    #[test]
    fn a_product_that_is_not_listed_is_a_warning_or_with_the_strict_check_an_error() {
        let other = ProductLink { vendor_product: "unheard-of".into(), ..product_link(&["RING-S"]) };
        assert_eq!(keys(&validate(&context(), &other)), [("product-key-unlisted", false)]);
        assert_eq!(keys(&validate(&context_with(&[(PRODUCT_KEYS, "")]), &other)), []);
        let mut strict = context();
        strict.settings.push(Setting { name: STRICT_CHECK.into(), value: SettingValue::Boolean(true) });
        assert_eq!(keys(&validate(&strict, &other)), [("product-key-unlisted", true)]);
    }

    #[test]
    fn a_link_names_at_least_one_sku() {
        assert_eq!(keys(&validate(&context(), &product_link(&[]))), [("no-allowed-skus", true)]);
        assert_eq!(keys(&validate(&context(), &product_link(&["RING-S"]))), []);
    }

    #[test]
    fn several_skus_contradict_refusing_unverified_ones() {
        let refusing = context_with(&[(UNVERIFIED_SKU, "refuse")]);
        assert_eq!(keys(&validate(&refusing, &product_link(&["RING-S", "RING-L"]))), [("several-skus-refused", true)]);
    }
}
