//! "bundle": the linked product as the parent, the articles of the bill of materials as its children.
//!
//! A child is the variant that its `price_sku` names: the documents speak of "the SKUs in the articles", and code that
//! sells such bundles reads `price_sku`. A setting selects `models_sku` instead. The articles of all descendants of a
//! root belong to the root's bundle.

use std::collections::BTreeMap;

use cartwright_plugin::exports::cart::PlanRequest;
use cartwright_plugin::types::{
    Article, Bundle, BundleChild, ChildRemoval, Context, LineRequest, Message, SkuQuery, Target,
};
use cartwright_plugin::{CallError, ContextExt, invalid_input, message, rejected};

use super::tree::Root;
use super::{SkuLookup, simple};
use crate::decimal::Decimal;
use crate::settings;

/// Returns the bundle of one root.
pub(super) fn bundle(
    context: &Context,
    request: &PlanRequest,
    line_request: &LineRequest,
    root: &Root,
    found: SkuLookup<'_>,
    warnings: &mut Vec<Message>,
) -> Result<Bundle, CallError> {
    let parts = parts(context, request, root)?;
    if parts.is_empty() {
        let text = "The configuration has no article with a SKU, so there is no bundle to sell.";
        return Err(invalid_input(format!("items[{}].articles", root.index), message("articles-missing", text, &[])));
    }
    let ignore_case = settings::is_enabled(context, "ignore-case");
    let query = |sku: &str| SkuQuery { sku: sku.to_owned(), within_product: None, ignore_case };
    let policy = context.text("unknown-sku").unwrap_or("reject");
    let counts = match policy {
        // The host rejects an unknown SKU with its name, so no lookup is needed here.
        "text" | "drop" => found(&parts.iter().map(|part| query(part.sku)).collect::<Vec<_>>())?,
        _ => Vec::new(),
    };
    let removal = match context.text("child-removal") {
        Some("repriced") => ChildRemoval::Repriced,
        _ => ChildRemoval::Refused,
    };
    let mut children = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        // A SKU with several variants is not unknown: the host rejects it.
        let unknown = counts.get(index) == Some(&0);
        let target = match policy {
            "text" if unknown => Target::Text(part.sku.to_owned()),
            "drop" if unknown => {
                let text = format!("The shop does not have the article {}; it is omitted from the bundle.", part.sku);
                warnings.push(message("article-dropped", text, &[("sku", part.sku)]));
                continue;
            }
            _ => Target::Sku(query(part.sku)),
        };
        if let Target::Text(sku) = &target {
            let text = format!("The shop does not have the article {sku}; it is included as text, without a price.");
            warnings.push(message("article-as-text", text, &[("sku", sku)]));
        }
        children.push(BundleChild {
            target,
            quantity: part.quantity,
            title: None,
            display_fields: None,
            priced_separately: false,
            removal,
            extra: Vec::new(),
        });
    }
    // A bundle of texts alone would be free where the parts determine the price.
    if !children.iter().any(|child| matches!(child.target, Target::Sku(_))) {
        let text = "The shop has none of the articles of this configuration.";
        return Err(rejected(message("articles-unknown", text, &[])));
    }
    let parent = super::line(request, line_request, Target::LinkedProduct, simple::display_fields(request, root));
    Ok(Bundle { parent, children, extra: Vec::new() })
}

/// A part of the bundle.
struct Part<'a> {
    sku: &'a str,
    quantity: u32,
}

/// Returns the parts in order of first occurrence, with equal SKUs added up exactly. What is part of an article is bought
/// with it.
#[allow(clippy::indexing_slicing, reason = "roots are built from the items of the request")]
fn parts<'a>(context: &Context, request: &'a PlanRequest, root: &Root) -> Result<Vec<Part<'a>>, CallError> {
    let by_model = context.text("bundle-sku") == Some("models-sku");
    let sku_of = |article: &'a Article| {
        let sku = if by_model { Some(&article.sku) } else { article.price_sku.as_ref() };
        sku.map(String::as_str).filter(|sku| !sku.is_empty() && article.parent.is_none())
    };
    let mut sums: Vec<(&str, Decimal, String)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, count) in root.counted() {
        for (number, article) in request.items[index].articles.iter().enumerate() {
            let Some(sku) = sku_of(article) else { continue };
            let path = format!("items[{index}].articles[{number}].quantity");
            let quantity = Decimal::parse(&article.quantity).filter(|quantity| !quantity.is_negative());
            let quantity = quantity.ok_or_else(|| wrong_quantity(&path, sku, &article.quantity))?;
            let quantity = quantity.times(count).ok_or_else(|| wrong_quantity(&path, sku, "too many"))?;
            match places.get(sku).and_then(|place| sums.get_mut(*place)) {
                Some((_, sum, _)) => *sum = sum.plus(quantity).ok_or_else(|| wrong_quantity(&path, sku, "too many"))?,
                None => {
                    places.insert(sku, sums.len());
                    sums.push((sku, quantity, path));
                }
            }
        }
    }
    sums.into_iter()
        .map(|(sku, sum, path)| {
            let whole = sum.whole().and_then(|whole| u32::try_from(whole).ok()).filter(|whole| *whole > 0);
            let quantity = whole.ok_or_else(|| wrong_quantity(&path, sku, "not a positive whole number"))?;
            Ok(Part { sku, quantity })
        })
        .collect()
}

fn wrong_quantity(path: &str, sku: &str, found: &str) -> CallError {
    let text = format!("The quantity of the article {sku} is invalid: {found}. A bundle needs whole quantities.");
    invalid_input(path, message("article-quantity", text, &[("sku", sku)]))
}
