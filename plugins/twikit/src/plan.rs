//! From a configured item to the cart: one line, sold as the variant of the linked product whose SKU was chosen, at the
//! platform's price of that variant.

use cartwright_plugin::exports::cart::{Intent, Planned, Request};
use cartwright_plugin::types::{LinePrice, LineReplacement, NewLine, Operation, PriceSource, SkuQuery, Target};
use cartwright_plugin::{Error, invalid_input, message};

/// The one strategy. Twikit's own word: a variation is a group of configurations of one price and SKU.
pub const VARIATION: &str = "variation";

/// Plans one request.
pub fn plan(request: Request) -> Result<Planned, Error> {
    if request.strategy != VARIATION {
        let text = format!("There is no strategy \"{}\"; the only one is \"{VARIATION}\".", request.strategy);
        return Err(invalid_input("strategy", message("strategy-unknown", text, &[("strategy", &request.strategy)])));
    }
    let [item] = request.items.as_slice() else {
        let text = "A Twikit configuration is one product.";
        return Err(invalid_input("items", message("not-one-item", text, &[])));
    };
    let Some(sku) = item.sku.as_deref().filter(|sku| !sku.is_empty()) else {
        let text = "The configuration names no SKU.";
        return Err(invalid_input("items[0].sku", message("sku-missing", text, &[])));
    };
    if !request.association.allowed_skus.iter().any(|allowed| allowed == sku) {
        // Planning runs again long after decoding, and the merchant may have taken the SKU off the link.
        let text = format!("\"{sku}\" can no longer be bought with this product. Please configure it anew.");
        let reject = Operation::Reject(message("sku-not-allowed", text, &[("sku", sku)]));
        return Ok(Planned { operations: vec![reject], warnings: Vec::new() });
    }
    let line = NewLine {
        target: Target::Sku(SkuQuery {
            sku: sku.to_owned(),
            within_product: Some(request.association.shop_product.clone()),
            ignore_case: false,
        }),
        quantity: request.quantity,
        title: None,
        shown: None,
        price: LinePrice { source: PriceSource::Platform, adjustments: Vec::new() },
        item: Some(0),
    };
    let operation = match request.intent {
        Intent::Add | Intent::Quotation => Operation::AddLine(line),
        // Twikit cannot reopen a configuration: editing is starting again, and the new one takes the old line's place.
        Intent::Replace(key) => Operation::ReplaceLine(LineReplacement { key, line }),
    };
    Ok(Planned { operations: vec![operation], warnings: Vec::new() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fixtures::{association, item};

    fn request(intent: Intent, sku: Option<&str>) -> Request {
        Request {
            intent,
            strategy: VARIATION.into(),
            association: association(&["RING-S", "RING-L"]),
            items: vec![cartwright_plugin::types::Item { sku: sku.map(str::to_owned), ..item(7) }],
            prices: Vec::new(),
            price_from: PriceSource::Platform,
            quantity: 3,
            chosen_variant: None,
            lines: Vec::new(),
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_configuration_becomes_one_line_of_its_variant_within_the_linked_product() {
        let planned = plan(request(Intent::Add, Some("RING-L"))).unwrap();
        let [Operation::AddLine(line)] = planned.operations.as_slice() else { panic!("{planned:?}") };
        let query = SkuQuery { sku: "RING-L".into(), within_product: Some("shop-ring".into()), ignore_case: false };
        assert_eq!(line.target, Target::Sku(query));
        assert_eq!((line.quantity, line.item, line.price.source), (3, Some(0), PriceSource::Platform));
    }

    #[test]
    fn a_new_configuration_takes_the_old_lines_place() {
        let planned = plan(request(Intent::Replace("key-1".into()), Some("RING-S"))).unwrap();
        assert!(matches!(&planned.operations[..], [Operation::ReplaceLine(replacement)] if replacement.key == "key-1"));
    }

    #[test]
    fn a_quotation_asks_for_the_same_line() {
        let planned = plan(request(Intent::Quotation, Some("RING-S"))).unwrap();
        assert!(matches!(&planned.operations[..], [Operation::AddLine(_)]));
    }

    #[test]
    fn a_sku_that_was_taken_off_the_link_is_refused_with_a_text_for_the_shopper() {
        let planned = plan(request(Intent::Add, Some("RING-XL"))).unwrap();
        assert!(matches!(&planned.operations[..], [Operation::Reject(message)] if message.key == "sku-not-allowed"));
    }

    #[test]
    fn what_cannot_be_planned_names_its_field() {
        let field = |request| match plan(request) {
            Err(Error::InvalidInput(issue)) => issue.field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(request(Intent::Add, None)), "items[0].sku");
        assert_eq!(field(Request { items: Vec::new(), ..request(Intent::Add, None) }), "items");
        assert_eq!(field(Request { strategy: "bundle".into(), ..request(Intent::Add, None) }), "strategy");
    }

    #[test]
    fn planning_again_gives_the_same_plan() {
        let again = || plan(request(Intent::Add, Some("RING-L"))).unwrap();
        assert_eq!(again(), again());
    }
}
