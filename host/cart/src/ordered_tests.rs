use cartwright_contract::records::{LineQuantity, OrderEvent, OrderEventKind, Refund, Shipment};
use cartwright_contract::settings::Secret;
use serde_json::{Value, json};

use super::*;
use crate::order_event::check_event;

/// Returns a shop that sells in euros.
fn shop() -> Shop {
    Shop::new("shop".parse().unwrap(), "EUR", 2, Secret::new("k".repeat(64)))
}

fn euros(minor: i64) -> Money {
    Money { minor, scale: 2, currency: "EUR".into() }
}

/// Returns a sealed cart line with these members beside the usual ones.
fn line(shop: &Shop, key: &str, quantity: u32, members: &Value) -> CartLine {
    let digest = "0".repeat(64);
    let mut line = json!({
        "key": key, "product": "ring", "variant_id": "1", "sku": "RING", "title": "Ring", "quantity": quantity, "parent": null,
        "per_bundle": null, "child_removal": null, "children": [], "part": null, "without": [], "shown": [],
        "price": {
            "unit": null, "total": { "minor": 0, "scale": 2, "currency": "EUR" }, "tax": "as-shop", "source": "platform",
            "state": "verified", "included_in_parent": false, "expires": "2026-01-01T00:00:00Z", "seal": "",
        },
        "configuration": null, "item": null, "item_id": null, "fingerprint": null, "thumbnail": null,
        "bill_of_materials": [], "vendor_product": null, "reference": null, "unconfirmed": null, "linked_product": "ring",
        "requested_quantity": quantity, "chosen_variant": null,
        "pin": {
            "account": "expivi", "plugin": "expivi", "digest": digest, "strategy_account": "expivi",
            "strategy_digest": digest, "strategy": "simple",
        },
    });
    line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut line: CartLine = serde_json::from_value(line).unwrap();
    line.seal(shop).unwrap();
    line
}

/// Returns a bundle of panels and screws in this quantity.
fn bundle(shop: &Shop, quantity: u32) -> Vec<CartLine> {
    let child =
        |key: &str, per: u32| line(shop, key, per * quantity, &json!({ "parent": "bundle", "per_bundle": per }));
    let parent = line(shop, "bundle", quantity, &json!({ "children": ["panel", "screw"] }));
    vec![parent, child("panel", 3), child("screw", 4)]
}

/// Returns the lines with their keys as ids.
fn all(lines: &[CartLine]) -> Vec<OrderedLine<'_>> {
    lines.iter().map(|line| OrderedLine::new(&line.key, line)).collect()
}

fn order_lines_of(shop: &Shop, lines: &[OrderedLine<'_>]) -> Result<Vec<OrderLine>, OrderError> {
    order_lines(shop, |line| format!("local:shop:7001:{line}"), "7001", &euros(4900), lines)
}

/// Returns the quantities of a line with this many ordered pieces, none of which was cancelled, refunded or shipped.
fn ordered(ordered: u32) -> LineQuantities {
    LineQuantities { ordered, cancelled: 0, refunded: 0, shipped: 0 }
}

fn pieces_of(lines: &[OrderLine]) -> Vec<u32> {
    lines.iter().map(|line| line.cart_line.quantity).collect()
}

#[test]
fn an_order_has_all_sealed_pieces_or_fewer_and_never_more() {
    let shop = shop();
    let ring = line(&shop, "ring", 3, &json!({}));
    for (reported, expected) in [(None, 3), (Some(3), 3), (Some(2), 2), (Some(1), 1)] {
        let quantities = reported.map(ordered);
        let lines = order_lines_of(&shop, &[OrderedLine { quantities, ..OrderedLine::new("1", &ring) }]).unwrap();
        assert_eq!((pieces_of(&lines), lines[0].released, lines[0].status.as_str()), (vec![expected], true, "ordered"));
    }
    for more in [4, u32::MAX] {
        let quantities = Some(ordered(more));
        let refused = order_lines_of(&shop, &[OrderedLine { quantities, ..OrderedLine::new("1", &ring) }]);
        assert!(matches!(refused, Err(OrderError::Quantity { sealed: 3, .. })), "{refused:?}");
    }
}

#[test]
fn a_line_without_pieces_is_cancelled_and_not_made() {
    let shop = shop();
    let ring = line(&shop, "ring", 3, &json!({}));
    for nothing in
        [ordered(0), LineQuantities { cancelled: 3, ..ordered(3) }, LineQuantities { refunded: 3, ..ordered(3) }]
    {
        let line =
            OrderedLine { quantities: Some(nothing), status: Some("in-production"), ..OrderedLine::new("1", &ring) };
        let lines = order_lines_of(&shop, &[line]).unwrap();
        assert_eq!((pieces_of(&lines), lines[0].released, lines[0].status.as_str()), (vec![0], false, "cancelled"));
        assert_eq!(lines[0].quantities, nothing);
    }
}

#[test]
fn what_is_to_be_made_lacks_what_was_cancelled_or_paid_back_and_never_what_was_sent() {
    let shop = shop();
    let ring = line(&shop, "ring", 5, &json!({}));
    for ([ordered, cancelled, refunded, shipped], expected) in [
        ([5, 0, 0, 0], 5),
        ([5, 1, 0, 0], 4),
        ([5, 1, 2, 0], 2),
        ([5, 1, 2, 2], 2),
        // One of those sent was paid back as well.
        ([5, 1, 2, 3], 3),
        ([5, 0, 5, 5], 5),
        ([5, 5, 0, 5], 5),
        ([4, 0, 0, 0], 4),
    ] {
        let quantities = LineQuantities { ordered, cancelled, refunded, shipped };
        let lines = [OrderedLine { quantities: Some(quantities), ..OrderedLine::new("1", &ring) }];
        let lines = order_lines_of(&shop, &lines).unwrap();
        assert_eq!((pieces_of(&lines), lines[0].quantities), (vec![expected], quantities));
    }
}

#[test]
fn no_more_pieces_are_cancelled_paid_back_or_sent_than_were_ordered() {
    let shop = shop();
    let ring = line(&shop, "ring", 5, &json!({}));
    for ([cancelled, refunded, shipped], expected) in [
        ([4, 0, 0], ("cancelled", 4, 3)),
        ([0, 4, 0], ("refunded", 4, 3)),
        ([2, 2, 0], ("refunded", 2, 1)),
        ([0, 0, 4], ("shipped", 4, 3)),
        ([u32::MAX; 3], ("cancelled", u32::MAX, 3)),
    ] {
        let quantities = Some(LineQuantities { ordered: 3, cancelled, refunded, shipped });
        match order_lines_of(&shop, &[OrderedLine { quantities, ..OrderedLine::new("1", &ring) }]) {
            Err(OrderError::TooManyPieces { line, member, quantity, most }) => {
                assert_eq!((line.as_str(), (member, quantity, most)), ("1", expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn children_share_what_became_of_their_bundles() {
    let shop = shop();
    let lines = bundle(&shop, 2);
    let mut reported = all(&lines);
    reported[0].quantities = Some(LineQuantities { ordered: 2, cancelled: 1, refunded: 0, shipped: 1 });
    let shared: Vec<LineQuantities> =
        order_lines_of(&shop, &reported).unwrap().iter().map(|line| line.quantities).collect();
    let times = |count: u32| LineQuantities { ordered: 2 * count, cancelled: count, refunded: 0, shipped: count };
    assert_eq!(shared, [times(1), times(3), times(4)]);
}

#[test]
fn a_line_has_the_total_that_the_platform_reports() {
    let shop = shop();
    let price = json!({
        "unit": { "minor": 1000, "scale": 2, "currency": "EUR" }, "total": { "minor": 3000, "scale": 2, "currency": "EUR" },
        "tax": "as-shop", "source": "platform", "state": "verified", "included_in_parent": false,
        "expires": "2026-01-01T00:00:00Z", "seal": "",
    });
    let ring = line(&shop, "ring", 3, &json!({ "price": price }));
    let ordered = |total, tax| OrderedLine { total, tax, ..OrderedLine::new("1", &ring) };
    let plain = order_lines_of(&shop, &[ordered(None, None)]).unwrap().remove(0);
    assert_eq!((plain.total, plain.tax, plain.cart_line.unit_price), (None, TaxBasis::AsShop, Some(euros(1000))));
    // The shop enters its prices without tax.
    let total = euros(2999);
    let net = order_lines_of(&shop, &[ordered(Some(&total), Some(TaxBasis::Net))]).unwrap().remove(0);
    assert_eq!((net.total, net.tax, net.cart_line.unit_price), (Some(euros(2999)), TaxBasis::Net, Some(euros(1000))));
    // A unit price without tax beside a total with it would be misread.
    let gross = order_lines_of(&shop, &[ordered(Some(&total), Some(TaxBasis::Gross))]).unwrap().remove(0);
    assert_eq!((gross.tax, gross.cart_line.unit_price), (TaxBasis::Gross, None));
}

#[test]
fn a_line_says_which_of_its_details_the_shopper_wrote() {
    let shop = shop();
    let shown = json!([{ "name": "Metal", "value": "Gold" }, { "name": "Engraving", "value": "For Ann" }]);
    let engraved = line(&shop, "ring", 1, &json!({ "shown": shown, "shopper_texts": [1] }));
    let mut lines = order_lines_of(&shop, &[OrderedLine::new("1", &engraved)]).unwrap();
    assert_eq!(lines[0].extra, [NamedJson { name: SHOPPER_TEXTS.into(), json: "[1]".into() }]);
    let mut order = event().order;
    order.lines = std::mem::take(&mut lines);
    order.remove_personal_data();
    assert_eq!(order.lines[0].display_fields.len(), 1);
    let forged = CartLine { shopper_texts: None, ..engraved };
    let refused = order_lines_of(&shop, &[OrderedLine::new("1", &forged)]);
    assert!(matches!(refused, Err(OrderError::Seal { fault: SealError::Forged, .. })), "{refused:?}");
}

#[test]
fn children_have_as_many_pieces_as_go_with_their_bundles() {
    let shop = shop();
    let lines = bundle(&shop, 2);
    let order = |parent: Option<u32>, panel: Option<u32>| {
        let mut reported = all(&lines);
        (reported[0].quantities, reported[1].quantities) = (parent.map(ordered), panel.map(ordered));
        order_lines_of(&shop, &reported).map(|lines| pieces_of(&lines))
    };
    assert_eq!(order(None, None).unwrap(), [2, 6, 8]);
    assert_eq!(order(Some(1), None).unwrap(), [1, 3, 4]);
    assert_eq!(order(Some(1), Some(3)).unwrap(), [1, 3, 4]);
    assert_eq!(order(Some(0), None).unwrap(), [0, 0, 0]);
    for (parent, panel) in [(None, 5), (Some(1), 6), (Some(2), 4)] {
        let refused = order(parent, Some(panel));
        assert!(matches!(refused, Err(OrderError::ChildQuantity { .. })), "{refused:?}");
    }
}

/// Returns a set of rings in this quantity, each with two cases and all with one card.
fn set(shop: &Shop, quantity: u32) -> Vec<CartLine> {
    let ring = line(shop, "ring", quantity, &json!({ "set": "ring", "set_lines": ["case", "card"] }));
    let other =
        |key: &str, pieces: u32| line(shop, key, pieces, &json!({ "set": "ring", "requested_quantity": quantity }));
    vec![ring, other("case", 2 * quantity), other("card", 1)]
}

#[test]
fn the_other_lines_of_a_set_have_their_share_of_what_is_left_of_it() {
    let shop = shop();
    let lines = set(&shop, 3);
    let order = |ring: Option<u32>, case: Option<u32>| {
        let mut reported = all(&lines);
        (reported[0].quantities, reported[1].quantities) = (ring.map(ordered), case.map(ordered));
        order_lines_of(&shop, &reported).map(|lines| pieces_of(&lines))
    };
    assert_eq!(order(None, None).unwrap(), [3, 6, 1]);
    assert_eq!(order(Some(1), None).unwrap(), [1, 2, 1]);
    assert_eq!(order(Some(1), Some(5)).unwrap(), [1, 5, 1], "the platform knows what was kept");
    assert_eq!(order(None, Some(0)).unwrap(), [3, 0, 1]);
    assert_eq!(order(Some(0), None).unwrap(), [0, 0, 0]);
    assert_eq!(order(Some(0), Some(0)).unwrap(), [0, 0, 0]);
    let refused = order(Some(0), Some(1));
    assert!(matches!(refused, Err(OrderError::SetQuantity { quantity: 1, .. })), "{refused:?}");
    let refused = order(None, Some(7));
    assert!(matches!(refused, Err(OrderError::Quantity { sealed: 6, .. })), "{refused:?}");
}

#[test]
fn the_other_lines_of_a_set_share_what_became_of_it() {
    let shop = shop();
    let lines = set(&shop, 3);
    let order = |ring: LineQuantities, case: Option<LineQuantities>| {
        let mut reported = all(&lines);
        (reported[0].quantities, reported[1].quantities) = (Some(ring), case);
        order_lines_of(&shop, &reported)
    };
    let of =
        |[ordered, cancelled, refunded, shipped]: [u32; 4]| LineQuantities { ordered, cancelled, refunded, shipped };
    for (ring, case, card) in [
        ([3, 0, 0, 0], [6, 0, 0, 0], [1, 0, 0, 0]),
        ([3, 1, 0, 0], [6, 2, 0, 0], [1, 0, 0, 0]),
        // The card goes with the first parcel, and is kept while a ring is.
        ([3, 1, 1, 1], [6, 2, 2, 2], [1, 0, 0, 1]),
        ([3, 3, 0, 0], [6, 6, 0, 0], [1, 1, 0, 0]),
        ([3, 1, 2, 0], [6, 2, 4, 0], [1, 0, 1, 0]),
        ([3, 0, 3, 3], [6, 0, 6, 6], [1, 0, 1, 1]),
        ([2, 0, 0, 2], [4, 0, 0, 4], [1, 0, 0, 1]),
    ] {
        let shared: Vec<LineQuantities> = order(of(ring), None).unwrap().iter().map(|line| line.quantities).collect();
        assert_eq!(shared, [ring, case, card].map(of), "{ring:?}");
    }
    // What is reported of a line counts. What was sent before the set was cancelled was made.
    let sent = of([6, 2, 0, 4]);
    let reported = order(of([3, 3, 0, 0]), Some(sent)).unwrap();
    assert_eq!((reported[1].quantities, reported[1].cart_line.quantity), (sent, 4));
    let refused = order(of([3, 3, 0, 0]), Some(of([6, 1, 0, 4])));
    assert!(matches!(refused, Err(OrderError::SetQuantity { quantity: 5, .. })), "{refused:?}");
}

#[test]
fn a_set_is_ordered_and_held_as_a_whole() {
    let shop = shop();
    let (one, two) = (set(&shop, 1), set(&shop, 2));
    let order = |lines: &[&CartLine]| {
        let lines: Vec<CartLine> = lines.iter().map(|line| (*line).clone()).collect();
        order_lines_of(&shop, &all(&lines))
    };
    assert_eq!(pieces_of(&order(&[&two[2], &two[0], &two[1]]).unwrap()), [1, 2, 4]);
    for lines in [&[&two[1], &two[2]][..], &[&two[1]]] {
        let refused = order(lines);
        assert!(matches!(&refused, Err(OrderError::MissingSet { set, .. }) if set == "ring"), "{refused:?}");
    }
    for lines in [&[&two[0]][..], &[&two[0], &two[1]], &[&two[0], &one[1], &two[2]]] {
        let refused = order(lines);
        assert!(matches!(&refused, Err(OrderError::IncompleteSet { line }) if line == "ring"), "{refused:?}");
    }
    for held in 0..3 {
        let mut ordered = all(&two);
        ordered[held].released = false;
        let lines = order_lines_of(&shop, &ordered).unwrap();
        assert!(lines.iter().all(|line| !line.released), "{held}");
    }
}

#[test]
fn a_bundle_is_whole_and_each_line_is_sold_once() {
    let shop = shop();
    let (one, two) = (bundle(&shop, 1), bundle(&shop, 2));
    let lines = |parts: &[&CartLine]| parts.iter().map(|line| (*line).clone()).collect::<Vec<_>>();
    // The order of the lines does not matter.
    assert!(order_lines_of(&shop, &all(&lines(&[&one[2], &one[0], &one[1]]))).is_ok());
    for (what, lines) in [
        ("a child without its bundle", lines(&[&one[1]])),
        ("a child of a child", {
            let grandchild = line(&shop, "nail", 1, &json!({ "parent": "panel", "per_bundle": 1 }));
            [&one[..], &[grandchild]].concat()
        }),
    ] {
        let refused = order_lines_of(&shop, &all(&lines));
        assert!(matches!(refused, Err(OrderError::MissingBundle { .. })), "{what}: {refused:?}");
    }
    for (what, lines) in [
        ("a bundle without its children", lines(&[&one[0]])),
        ("a bundle without one child", lines(&[&one[0], &one[1]])),
        ("children of one under a parent of two", lines(&[&two[0], &one[1], &one[2]])),
        ("one child of another bundle's quantity", lines(&[&two[0], &two[1], &one[2]])),
    ] {
        let refused = order_lines_of(&shop, &all(&lines));
        assert!(matches!(refused, Err(OrderError::IncompleteBundle { .. })), "{what}: {refused:?}");
    }
    let ring = line(&shop, "ring", 1, &json!({}));
    let twice = order_lines_of(&shop, &[OrderedLine::new("1", &ring), OrderedLine::new("2", &ring)]);
    assert!(matches!(&twice, Err(OrderError::DuplicateLine { key, .. }) if key == "ring"), "{twice:?}");
    let same_id = [OrderedLine::new("1", &ring), OrderedLine::new("1", &one[0])];
    let same_id = order_lines_of(&shop, &same_id);
    assert!(matches!(same_id, Err(OrderError::DuplicateId(_))), "{same_id:?}");
}

#[test]
fn a_bundle_is_held_and_released_as_a_whole() {
    let shop = shop();
    let mut lines = bundle(&shop, 1);
    lines.push(line(&shop, "ring", 1, &json!({})));
    let released = |change: &dyn Fn(&mut Vec<OrderedLine<'_>>), lines: &[CartLine]| {
        let mut ordered = all(lines);
        change(&mut ordered);
        order_lines_of(&shop, &ordered).unwrap().iter().map(|line| line.released).collect::<Vec<_>>()
    };
    assert_eq!(released(&|_| {}, &lines), [true; 4]);
    for at in 0..3 {
        assert_eq!(released(&|ordered| ordered[at].released = false, &lines), [false, false, false, true]);
    }
    // A bundle on hold is released with its parts when the merchant approves it.
    let reason = json!({ "key": "parts-taken-out", "parameters": [], "text": "" });
    let held = json!({ "children": ["panel", "screw"], "unconfirmed": { "reason": reason, "hold": true } });
    lines[0] = line(&shop, "bundle", 1, &held);
    assert_eq!(released(&|_| {}, &lines), [false, false, false, true]);
    assert_eq!(released(&|ordered| ordered[0].approved = true, &lines), [true; 4]);
}

#[test]
fn lines_are_as_they_were_sealed_and_in_the_order_s_currency() {
    let shop = shop();
    let ring = line(&shop, "ring", 1, &json!({}));
    let forged = CartLine { bill_of_materials: Vec::new(), reference: Some("4711".into()), ..ring.clone() };
    let refused = order_lines_of(&shop, &[OrderedLine::new("1", &forged)]);
    assert!(matches!(refused, Err(OrderError::Seal { fault: SealError::Forged, .. })), "{refused:?}");
    let yen = Money { minor: 4900, scale: 0, currency: "JPY".into() };
    let refused = order_lines(&shop, |line| format!("local:shop:1:{line}"), "1", &yen, &[OrderedLine::new("1", &ring)]);
    assert!(matches!(refused, Err(OrderError::Currency { .. })), "{refused:?}");
}

#[test]
fn an_amount_has_a_currency_in_capitals_few_decimals_and_is_not_negative() {
    for good in [euros(4900), euros(0), Money { scale: 9, ..euros(1) }] {
        assert_eq!(check_money(&good), Ok(()));
    }
    for currency in ["", "eur", "EU", "EURO", "€", "ÄÖÜ", "EU ", "E1R"] {
        let amount = Money { currency: currency.into(), ..euros(1) };
        assert_eq!(check_money(&amount), Err(MoneyFault::Currency(currency.into())));
    }
    assert_eq!(check_money(&Money { scale: 10, ..euros(1) }), Err(MoneyFault::Scale(10)));
    assert_eq!(check_money(&euros(-1)), Err(MoneyFault::Negative));
}

fn event() -> OrderEvent {
    let shop = shop();
    let ring = line(&shop, "ring", 1, &json!({}));
    let order = json!({
        "id": "7001", "number": "7001", "locale": "en", "currency": "EUR", "reference": "local:shop:7001", "customer": null,
        "test": false, "vendor_reference": null, "version": 1, "placed_at": "2026-11-01T09:00:00Z", "paid": euros(0),
        "refunded": euros(0), "released": false, "cancelled": false, "total": euros(4900), "tax_amount": null,
        "shipping": null, "billing": null, "delivery": null, "shop_address": null, "lines": [], "extra": [],
    });
    let mut order: Order = serde_json::from_value(order).unwrap();
    order.lines = order_lines_of(&shop, &[OrderedLine::new("1", &ring)]).unwrap();
    OrderEvent {
        id: "e1".into(),
        at: "2026-11-01T09:00:00Z".into(),
        kind: OrderEventKind::Placed,
        order,
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    }
}

/// Checks an event whose lines have all their pieces left.
fn check(event: &OrderEvent) -> Result<(), OrderError> {
    check_event(event)
}

fn address(country: &str) -> Address {
    serde_json::from_value(json!({
        "name": null, "first_name": "Ann", "last_name": "Lee", "email": null, "line1": "High Street 1", "line2": null, "zip": "1000",
        "city": "Brussels", "region": null, "country": country, "company": null, "vat": null, "phone": null, "extra": [],
    }))
    .unwrap()
}

#[test]
fn ids_texts_money_and_times_of_an_order_are_within_bounds() {
    let good = event();
    check(&good).unwrap();
    let longest = "o".repeat(MAX_ORDER_ID_BYTES);
    let changes: [fn(&mut OrderEvent); 5] = [
        |event| event.order.version = MAX_ORDER_VERSION,
        |event| event.order.shop_address = Some(address("BE")),
        |event| event.order.total.minor = 0,
        |event| event.order.id = "~quotation-1".into(),
        |event| event.order.lines[0].status = "lost at sea".into(),
    ];
    for change in changes {
        let mut event = good.clone();
        change(&mut event);
        (event.id, event.order.lines[0].id) = (longest.clone(), longest.clone());
        check(&event).unwrap();
    }
    type Spoil = fn(&mut OrderEvent);
    let refuse: [(&str, Spoil); 37] = [
        ("an event without an id", |event| event.id.clear()),
        ("a long event id", |event| event.id = "i".repeat(201)),
        ("an event id of the host's", |event| event.id = "~released:e1".into()),
        ("an order without an id", |event| event.order.id.clear()),
        ("a long order id", |event| event.order.id = "o".repeat(100_000)),
        ("an order id that addresses lose", |event| event.order.id = "..".into()),
        ("a NUL in an order id", |event| event.order.id = "1\0".into()),
        ("a long line id", |event| event.order.lines[0].id = "l".repeat(201)),
        ("a line end in a line id", |event| event.order.lines[0].id = "1\n".into()),
        ("two lines of one id", |event| event.order.lines.push(event.order.lines[0].clone())),
        ("a long number", |event| event.order.number = "n".repeat(1_001)),
        ("a blank number", |event| event.order.number.clear()),
        ("a number that is a sign", |event| event.order.number = " # ".into()),
        ("a version that no database stores", |event| event.order.version = 1 << 63),
        ("a long language", |event| event.order.locale = "l".repeat(1_001)),
        ("a language that is not a tag", |event| event.order.locale = "en_US".into()),
        ("a country that is not a code", |event| event.order.shop_address = Some(address("Belgium"))),
        ("a long status", |event| event.order.lines[0].status = "s".repeat(1_001)),
        ("a total below nothing", |event| event.order.total.minor = -1),
        ("a currency in small letters", |event| event.order.total.currency = "eur".into()),
        ("a scale of 10", |event| event.order.total.scale = 10),
        ("less than nothing paid", |event| event.order.paid.minor = -1),
        ("less than nothing paid back", |event| event.order.refunded.minor = -1),
        ("a payment in another currency", |event| event.order.paid.currency = "JPY".into()),
        ("a refund of other decimals", |event| event.order.refunded.scale = 3),
        ("another currency than the total's", |event| event.order.currency = "JPY".into()),
        ("tax in another currency", |event| {
            event.order.tax_amount = Some(Money { currency: "JPY".into(), ..euros(1) })
        }),
        ("shipping below nothing", |event| event.order.shipping = Some(shipping("Post", -1))),
        ("a long shipping method", |event| event.order.shipping = Some(shipping(&"s".repeat(1_001), 1))),
        ("a long customer", |event| event.order.customer = Some("c".repeat(1_001))),
        ("a long name", |event| event.order.billing = Some(Address { name: Some("n".repeat(1_001)), ..address("BE") })),
        ("more pieces cancelled than ordered", |event| event.order.lines[0].quantities.cancelled = 2),
        ("more to make than is left", |event| event.order.lines[0].cart_line.quantity = 2),
        ("a time of no year", |event| event.order.placed_at = "yesterday".into()),
        ("a time of the Romans", |event| event.order.placed_at = "0044-03-15T12:00:00Z".into()),
        ("a time of nobody's", |event| event.at = "9999-01-01T00:00:00Z".into()),
        ("a refund below nothing", |event| {
            let amount = Some(Money { minor: -4900, scale: 2, currency: "EUR".into() });
            event.kind = OrderEventKind::Refunded(Refund { lines: Vec::new(), amount, extra: Vec::new() });
        }),
    ];
    for (what, change) in refuse {
        let mut event = good.clone();
        change(&mut event);
        assert!(check(&event).is_err(), "{what} is taken");
    }
    let yen = Money { minor: 4900, scale: 0, currency: "JPY".into() };
    let mut other = good.clone();
    other.kind = OrderEventKind::Refunded(Refund { lines: Vec::new(), amount: Some(yen.clone()), extra: Vec::new() });
    assert!(matches!(check(&other), Err(OrderError::Money { .. })));
    type SetAmount = fn(&mut OrderLine, Option<Money>);
    let members: [(&str, SetAmount); 2] =
        [("total", |line, amount| line.total = amount), ("tax_amount", |line, amount| line.tax_amount = amount)];
    for (member, spoil) in members {
        let mut other = good.clone();
        spoil(&mut other.order.lines[0], Some(euros(4800)));
        check(&other).unwrap();
        for amount in [yen.clone(), euros(-1), Money { scale: 3, ..euros(1) }] {
            spoil(&mut other.order.lines[0], Some(amount));
            let refused = check(&other);
            assert!(
                matches!(&refused, Err(OrderError::LineMoney { line, member: found, .. }) if line == "1" && *found == member),
                "{refused:?}"
            );
        }
    }
}

fn shipping(title: &str, minor: i64) -> Charge {
    Charge { title: title.to_owned(), amount: euros(minor), tax: TaxBasis::Gross }
}

#[test]
fn amounts_that_a_platform_alone_can_explain_are_taken() {
    let mut event = event();
    // A gift card lowered the total, and more was paid back than was paid.
    event.order.lines[0].total = Some(euros(9900));
    (event.order.paid, event.order.refunded) = (euros(1000), euros(2000));
    event.order.shipping = Some(shipping("Post", 500));
    event.order.tax_amount = Some(euros(850));
    event.order.customer = Some("ann@example.com".into());
    check(&event).unwrap();
}

fn refund(lines: &[(&str, u32)]) -> OrderEventKind {
    OrderEventKind::Refunded(Refund { lines: named(lines), amount: None, extra: Vec::new() })
}

fn shipment(lines: &[(&str, u32)]) -> OrderEventKind {
    let (id, carrier, at, tracking_url, tracking_id) = (None, None, None, None, None);
    OrderEventKind::Fulfilled(Shipment {
        id,
        lines: named(lines),
        carrier,
        at,
        tracking_url,
        tracking_id,
        extra: Vec::new(),
    })
}

fn named(lines: &[(&str, u32)]) -> Vec<LineQuantity> {
    lines.iter().map(|(line, quantity)| LineQuantity { line: (*line).to_owned(), quantity: *quantity }).collect()
}

#[test]
fn an_event_agrees_with_the_state_of_its_order() {
    let placed = event();
    let checked = |kind: &OrderEventKind, [paid, refunded, total]: [i64; 3], cancelled: bool| {
        let mut event = OrderEvent { kind: kind.clone(), ..placed.clone() };
        (event.order.paid, event.order.refunded, event.order.total) = (euros(paid), euros(refunded), euros(total));
        event.order.cancelled = cancelled;
        check(&event)
    };
    let back = refund(&[]);
    let back_of =
        |minor| OrderEventKind::Refunded(Refund { lines: Vec::new(), amount: Some(euros(minor)), extra: Vec::new() });
    for (kind, amounts) in [
        (&OrderEventKind::Paid, [0, 0, 4900]),
        (&OrderEventKind::Paid, [4899, 0, 4900]),
        (&OrderEventKind::PartlyPaid, [0, 0, 4900]),
        (&back, [4900, 0, 4900]),
        (&back_of(1000), [4900, 999, 4900]),
        // The total fell with what was taken out, and the refund is missing.
        (&back_of(1000), [4900, 0, 0]),
    ] {
        let refused = checked(kind, amounts, false);
        assert!(matches!(refused, Err(OrderError::Contradiction { .. })), "{kind:?} {amounts:?}: {refused:?}");
    }
    for (kind, amounts) in [
        (&OrderEventKind::Paid, [4900, 0, 4900]),
        (&OrderEventKind::Paid, [5000, 0, 4900]),
        (&OrderEventKind::PartlyPaid, [1, 0, 4900]),
        (&back, [4900, 1, 4900]),
        (&back_of(1000), [4900, 1000, 4900]),
        (&back_of(0), [4900, 0, 4900]),
        // A late report has the order in its present state.
        (&OrderEventKind::Paid, [4900, 4900, 4900]),
        (&OrderEventKind::PartlyPaid, [4900, 4900, 4900]),
        // An order that costs nothing needs no payment.
        (&OrderEventKind::Paid, [0, 0, 0]),
        (&OrderEventKind::PartlyPaid, [0, 0, 0]),
        (&back, [0, 0, 0]),
    ] {
        assert!(checked(kind, amounts, false).is_ok(), "{kind:?} {amounts:?}");
    }
    for amounts in [[0, 0, 4900], [1000, 0, 4900], [4900, 0, 4900], [4900, 4900, 4900]] {
        let refused = checked(&OrderEventKind::Cancelled, amounts, false);
        assert!(
            matches!(refused, Err(OrderError::Contradiction { kind: "cancelled", .. })),
            "{amounts:?}: {refused:?}"
        );
        assert!(checked(&OrderEventKind::Cancelled, amounts, true).is_ok(), "{amounts:?}");
        assert!(checked(&OrderEventKind::Placed, amounts, true).is_ok(), "it was cancelled since");
    }
}

#[test]
fn pieces_that_are_paid_back_or_sent_are_counted_by_their_line() {
    let mut good = event();
    (good.order.paid, good.order.refunded) = (euros(4900), euros(1000));
    let shop = shop();
    let rings = line(&shop, "ring", 5, &json!({}));
    // A cancelled piece may be paid back.
    let quantities = Some(LineQuantities { ordered: 5, cancelled: 1, refunded: 2, shipped: 3 });
    good.order.lines = order_lines_of(&shop, &[OrderedLine { quantities, ..OrderedLine::new("1", &rings) }]).unwrap();
    for kind in [refund, shipment] {
        let checked = |lines: &[(&str, u32)]| check_event(&OrderEvent { kind: kind(lines), ..good.clone() });
        for lines in [&[][..], &[("1", 1)], &[("1", 3)]] {
            assert!(checked(lines).is_ok(), "{lines:?}");
        }
        let refused = checked(&[("9", 1)]);
        assert!(matches!(&refused, Err(OrderError::UnknownLine { line, .. }) if line == "9"), "{refused:?}");
        let refused = checked(&[("1", 1), ("1", 1)]);
        assert!(matches!(&refused, Err(OrderError::DuplicateLineQuantity { line, .. }) if line == "1"), "{refused:?}");
        let refused = checked(&[("1", 0)]);
        assert!(matches!(refused, Err(OrderError::ZeroQuantity { .. })), "{refused:?}");
        for quantity in [4, u32::MAX] {
            let refused = checked(&[("1", quantity)]);
            assert!(matches!(refused, Err(OrderError::UncountedPieces { counted: 3, .. })), "{quantity}: {refused:?}");
        }
    }
}
