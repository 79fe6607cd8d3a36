//! What follows from an order's amounts, and an order without personal data.

use std::collections::BTreeSet;

use crate::records::{Article, NamedJson, Order, OrderLine};

/// Name of the entry of `order-line.extra` that lists the indexes of the display fields with texts that the shopper
/// wrote. It is there if the shopper wrote any text, whether or not a display field contains it.
pub const SHOPPER_TEXTS: &str = "shopper-texts";

impl Order {
    /// Returns whether the order is paid in full: what was paid and not paid back covers its total. An order that costs
    /// nothing is.
    pub fn is_paid(&self) -> bool {
        i128::from(self.paid.minor) - i128::from(self.refunded.minor) >= i128::from(self.total.minor)
            || self.total.minor == 0
    }

    /// Returns whether something was paid back, and nothing that was paid is left.
    pub fn is_refunded(&self) -> bool {
        self.refunded.minor > 0 && self.refunded.minor >= self.paid.minor
    }

    /// Removes what a plugin without the grant "personal-data" does not see: the addresses of the customer and the
    /// shopper's own texts. The pseudonym of the customer and the shop's own address stay.
    pub fn remove_personal_data(&mut self) {
        self.billing = None;
        self.delivery = None;
        self.lines.iter_mut().for_each(remove_shopper_texts);
    }
}

impl OrderLine {
    /// Returns whether the shopper wrote something into the product of this line.
    pub fn has_shopper_texts(&self) -> bool {
        self.extra.iter().any(|extra| extra.name == SHOPPER_TEXTS)
    }
}

fn remove_shopper_texts(line: &mut OrderLine) {
    let Some(place) = line.extra.iter().position(|extra| extra.name == SHOPPER_TEXTS) else { return };
    let NamedJson { json, .. } = line.extra.remove(place);
    match serde_json::from_str::<BTreeSet<usize>>(&json) {
        Ok(personal) => {
            let mut index = 0;
            line.display_fields.retain(|_| {
                index += 1;
                !personal.contains(&(index - 1))
            });
        }
        // Damaged marks hide everything.
        Err(_) => line.display_fields.clear(),
    }
}

/// Removes from a bill of materials what a plugin without the grant "personal-data" does not see: what vendors say of
/// articles beside their SKUs may contain what the shopper wrote. `line` is the order line, if it is known.
pub fn remove_shopper_texts_of_articles(articles: &mut [Article], line: Option<&OrderLine>) {
    if line.is_none_or(OrderLine::has_shopper_texts) {
        for article in articles {
            article.title = None;
            article.extra.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(paid: i64, refunded: i64, total: i64) -> Order {
        let euros = |minor: i64| json!({ "minor": minor, "scale": 2, "currency": "EUR" });
        let address = json!({
            "name": "Ann Lee", "first_name": null, "last_name": null, "email": "ann@example.com", "line1": "High Street 1",
            "line2": null, "zip": "1000", "city": "Brussels", "region": null, "country": "BE", "company": null, "vat": null,
            "phone": null, "extra": [],
        });
        let order = json!({
            "id": "1", "number": "#1", "locale": "en", "currency": "EUR", "reference": "i:s:1", "customer": "pseudonym",
            "test": false, "vendor_reference": null, "version": 1, "placed_at": "2026-03-01T09:30:00Z",
            "paid": euros(paid), "refunded": euros(refunded), "released": true, "cancelled": false, "total": euros(total),
            "tax_amount": null, "shipping": null, "billing": address, "delivery": address, "shop_address": address,
            "lines": [{
                "id": "1", "reference": "i:s:1:1", "account": "expivi",
                "cart_line": {
                    "key": "k", "product": "ring", "variant_id": null, "sku": null, "quantity": 1, "parent_key": null,
                    "unit_price": null, "configuration": null, "item": null,
                },
                "quantities": { "ordered": 1, "cancelled": 0, "refunded": 0, "shipped": 0 },
                "title": "Ring",
                "display_fields": [
                    { "name": "Metal", "value": "Gold" }, { "name": "Engraving", "value": "For Ann" },
                    { "name": "Size", "value": "17" },
                ],
                "configuration": null, "status": "ordered", "vendor_reference": null, "released": true,
                "total": null, "tax": "gross", "tax_amount": null,
                "extra": [{ "name": "shopper-texts", "json": "[1]" }],
            }],
            "extra": [],
        });
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn an_order_is_paid_when_what_was_kept_covers_its_total() {
        for (paid, refunded, total, expected) in [
            (0, 0, 4900, false),
            (4899, 0, 4900, false),
            (4900, 0, 4900, true),
            (5000, 100, 4900, true),
            (4900, 1, 4900, false),
            (0, 0, 0, true),
            (4900, 4900, 0, true),
            (i64::MAX, i64::MAX, i64::MAX, false),
        ] {
            assert_eq!(order(paid, refunded, total).is_paid(), expected, "{paid} - {refunded} of {total}");
        }
    }

    #[test]
    fn an_order_is_paid_back_when_nothing_of_what_was_paid_is_left() {
        for (paid, refunded, expected) in
            [(0, 0, false), (4900, 0, false), (4900, 4899, false), (4900, 4900, true), (1000, 1000, true), (0, 1, true)]
        {
            assert_eq!(order(paid, refunded, 4900).is_refunded(), expected, "{refunded} of {paid}");
        }
    }

    #[test]
    fn without_personal_data_there_are_no_addresses_and_no_texts_of_the_shopper() {
        let mut cut = order(4900, 0, 4900);
        cut.remove_personal_data();
        let text = serde_json::to_string(&Order { shop_address: None, ..cut.clone() }).unwrap();
        assert!(!text.contains("Ann") && !text.contains("ann@example.com") && !text.contains(SHOPPER_TEXTS), "{text}");
        let names: Vec<&str> = cut.lines[0].display_fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["Metal", "Size"]);
        assert!(cut.shop_address.is_some());
        assert_eq!(cut.customer.as_deref(), Some("pseudonym"));
        // A line without texts of the shopper stays as it is.
        let mut plain = order(4900, 0, 4900);
        plain.lines[0].extra.clear();
        plain.remove_personal_data();
        assert_eq!(plain.lines, {
            let mut same = order(4900, 0, 4900);
            same.lines[0].extra.clear();
            same.lines
        });
        // Marks that cannot be read hide everything.
        let mut damaged = order(4900, 0, 4900);
        damaged.lines[0].extra[0].json = "maybe".to_owned();
        damaged.remove_personal_data();
        assert!(damaged.lines[0].display_fields.is_empty());
    }

    #[test]
    fn articles_of_a_line_with_texts_of_the_shopper_have_no_extra() {
        let order = order(4900, 0, 4900);
        let engraved = &order.lines[0];
        let plain = OrderLine { extra: Vec::new(), ..engraved.clone() };
        for (line, count) in [(Some(engraved), 0), (Some(&plain), 1), (None, 0)] {
            let article = json!({
                "sku": "RING", "title": "Engraving For Ann", "quantity": "1", "price_sku": null, "price": null, "material_sku": null,
                "extra": [{ "name": "expivi/engraving", "json": "\"For Ann\"" }],
            });
            let mut articles: Vec<Article> = serde_json::from_value(json!([article])).unwrap();
            remove_shopper_texts_of_articles(&mut articles, line);
            assert_eq!((articles.len(), articles[0].extra.len()), (1, count));
            assert_eq!(articles[0].title.is_some(), count == 1);
        }
    }
}
