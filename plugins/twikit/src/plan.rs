//! Plans a configured item: one line, sold as the variant of the linked product with the chosen SKU, at the platform's
//! price of that variant.

use cartwright_plugin::exports::cart::{PlanRequest, PlanResult};
use cartwright_plugin::types::{LinePrice, LineRequest, PlanEntry, PlannedLine, PriceSource, SkuQuery, Target};
use cartwright_plugin::{CallError, invalid_input, message, rejected};

/// The only strategy. Its name is Twikit's word: a variation is a group of configurations with the same price and SKU.
pub const VARIATION: &str = "variation";

/// Plans one request.
pub fn plan(request: PlanRequest) -> Result<PlanResult, CallError> {
    if request.strategy != VARIATION {
        let text = format!("Unknown strategy \"{}\"; the only strategy is \"{VARIATION}\".", request.strategy);
        return Err(invalid_input("strategy", message("strategy-unknown", text, &[("strategy", &request.strategy)])));
    }
    let ([item], [LineRequest { item: Some(0), quantity, .. }]) =
        (request.items.as_slice(), request.line_requests.as_slice())
    else {
        let text = "A Twikit configuration contains one product.";
        return Err(invalid_input("items", message("not-one-item", text, &[])));
    };
    let Some(sku) = item.sku.as_deref().filter(|sku| !sku.is_empty()) else {
        let text = "The configuration names no SKU.";
        return Err(invalid_input("items[0].sku", message("sku-missing", text, &[])));
    };
    if !request.link.allowed_skus.iter().any(|allowed| allowed == sku) {
        // Planning runs again long after decoding, and the merchant may have removed the SKU from the link.
        let text = format!("\"{sku}\" can no longer be bought with this product. Please configure it again.");
        return Err(rejected(message("sku-not-allowed", text, &[("sku", sku)])));
    }
    let line = PlannedLine {
        target: Target::Sku(SkuQuery {
            sku: sku.to_owned(),
            within_product: Some(request.link.shop_product.clone()),
            ignore_case: false,
        }),
        quantity: *quantity,
        title: None,
        display_fields: None,
        price: LinePrice { source: PriceSource::Platform, adjustments: Vec::new(), ignore_case: false },
        item: Some(0),
        extra: Vec::new(),
    };
    Ok(PlanResult { entries: vec![PlanEntry::Line(line)], warnings: Vec::new(), extra: Vec::new() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{item, product_link};

    fn request(sku: Option<&str>) -> PlanRequest {
        PlanRequest {
            strategy: VARIATION.into(),
            link: product_link(&["RING-S", "RING-L"]),
            items: vec![cartwright_plugin::types::Item { sku: sku.map(str::to_owned), ..item(7) }],
            line_requests: vec![LineRequest { item: Some(0), quantity: 3, extra: Vec::new() }],
            prices: Vec::new(),
            price_from: PriceSource::Platform,
            chosen_variant: None,
            cart_lines: Vec::new(),
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_configuration_becomes_one_line_of_its_variant_within_the_linked_product() {
        let planned = plan(request(Some("RING-L"))).unwrap();
        let [PlanEntry::Line(line)] = planned.entries.as_slice() else { panic!("{planned:?}") };
        let query = SkuQuery { sku: "RING-L".into(), within_product: Some("shop-ring".into()), ignore_case: false };
        assert_eq!(line.target, Target::Sku(query));
        assert_eq!((line.quantity, line.item, line.price.source), (3, Some(0), PriceSource::Platform));
    }

    #[test]
    fn a_sku_that_was_taken_off_the_link_is_refused_with_a_text_for_the_shopper() {
        let refused = plan(request(Some("RING-XL"))).unwrap_err();
        assert!(matches!(&refused, CallError::Rejected(message) if message.key == "sku-not-allowed"), "{refused:?}");
    }

    #[test]
    fn what_cannot_be_planned_names_its_field() {
        let field = |request| match plan(request) {
            Err(CallError::InvalidInput(issue)) => issue.field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(request(None)), "items[0].sku");
        assert_eq!(field(PlanRequest { items: Vec::new(), ..request(None) }), "items");
        assert_eq!(field(PlanRequest { strategy: "bundle".into(), ..request(None) }), "strategy");
    }

    #[test]
    fn planning_again_gives_the_same_plan() {
        let again = || plan(request(Some("RING-L"))).unwrap();
        assert_eq!(again(), again());
    }
}
