//! Sets of lines: what a plan may say of them, their identity, and their completeness; and the entries of a plan.

use std::time::{Duration, SystemTime};

use cartwright_contract::records::{LineSet, NamedJson};

use super::*;
use crate::check::is_family_complete;
use crate::quote::{check_quote_lines, quote_lines};

fn counter() -> Counter {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    let prices = [("RING", 9_000), ("CASE", 500), ("CARD", 250)];
    counter.variants = prices.iter().map(|(sku, cents)| variant(sku, money(*cents, 2))).collect();
    counter
}

fn ring(quantity: u32) -> PlannedLine {
    planned_line(by_sku("RING"), quantity, PriceSource::Platform, vec![])
}

/// Returns a line that does not name the item.
fn other(sku: &str, quantity: u32) -> PlannedLine {
    PlannedLine { item: None, ..planned_line(by_sku(sku), quantity, PriceSource::Platform, vec![]) }
}

fn set(lines: Vec<PlannedLine>) -> PlanEntry {
    PlanEntry::Set(LineSet { lines, extra: vec![] })
}

/// Returns the lines of a set of this many rings, each with two cases.
fn rings(quantity: u32) -> Vec<CartLine> {
    let counter = Counter { wanted: quantity, ..counter() };
    counter.sell(set(vec![other("CASE", 2 * quantity), ring(quantity)])).unwrap()
}

fn sealed_rings(quantity: u32) -> Vec<CartLine> {
    let mut lines = rings(quantity);
    lines.iter_mut().for_each(|line| line.seal(&shop()).unwrap());
    lines
}

#[track_caller]
fn refused(counter: &Counter, entries: &[PlanEntry], says: &str) {
    match counter.check(entries) {
        Err(CartError::Plan(text)) => assert!(text.contains(says), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_line_of_a_set_has_its_own_price_and_the_one_that_names_the_item_comes_first() {
    let lines = rings(3);
    let sold: Vec<(&str, u32, i64)> =
        lines.iter().map(|line| (line.sku.as_deref().unwrap(), line.quantity, line.price.total.minor)).collect();
    assert_eq!(sold, [("RING", 3, 27_000), ("CASE", 6, 3_000)]);
    let id = lines[0].key.clone();
    assert!(lines.iter().all(|line| line.set.as_ref() == Some(&id) && line.requested_quantity == 3));
    assert_eq!((&lines[0].set_lines[..], lines[0].top_key()), (&[lines[1].key.clone()][..], None));
    assert_eq!((lines[1].item, lines[1].top_key(), lines[1].price.included_in_parent), (None, Some(&*id), false));
}

#[test]
fn a_set_has_two_lines_at_least_and_exactly_one_names_the_item() {
    let counter = counter();
    refused(&counter, &[set(vec![])], "entry 1 is a set of fewer than two lines");
    refused(&counter, &[set(vec![ring(1)])], "entry 1 is a set of fewer than two lines");
    refused(
        &counter,
        &[set(vec![other("CASE", 1), other("CARD", 1)])],
        "no line names the item; exactly one line must",
    );
    refused(&counter, &[set(vec![ring(1), ring(1)])], "several lines name an item; exactly one line must");
}

#[test]
fn the_other_lines_of_a_set_buy_something_else_at_the_platforms_price() {
    let counter = counter();
    refused(&counter, &[set(vec![ring(1), other("RING", 1)])], "buys RING twice");
    for source in [PriceSource::Vendor, PriceSource::Components] {
        let mut case = other("CASE", 1);
        case.price.source = source;
        refused(&counter, &[set(vec![ring(1), case])], "costs the platform's price");
    }
    let text = PlannedLine { target: Target::Text("Engraving".into()), ..other("", 1) };
    refused(&counter, &[set(vec![ring(1), text])], "must buy a product");
}

#[test]
fn the_merchants_price_source_holds_for_the_line_of_a_set_that_names_the_item() {
    let mut counter = Counter { price_from: PriceSource::Components, grants: Grants::default(), ..counter() };
    counter.items[0].articles = vec![article("CARD", "2")];
    let mut line = ring(1);
    line.price.source = PriceSource::Components;
    let lines = counter.sell(set(vec![line.clone(), other("CASE", 1)])).unwrap();
    assert_eq!((lines[0].price.total.minor, lines[1].price.total.minor), (500, 500));
    refused(&counter, &[set(vec![ring(1), other("CASE", 1)])], "the merchant chose `components`");
}

#[test]
fn the_lines_of_a_set_are_sealed_no_longer_than_the_configured_product() {
    let mut counter = counter();
    counter.items[0].valid_until = Some("2026-01-01T06:00:00Z".into());
    let lines = counter.sell(set(vec![ring(1), other("CASE", 1)])).unwrap();
    assert!(lines.iter().all(|line| line.price.expires == "2026-01-01T06:00:00Z"), "{lines:?}");
    assert!(lines.iter().all(|line| line.valid_until == lines[0].valid_until), "{lines:?}");
}

#[test]
fn a_minimum_and_a_maximum_hold_for_every_line_of_a_set() {
    for (minimum, maximum) in [(10, None), (1, Some(3))] {
        let mut counter = counter();
        counter.variants[1] = VariantInfo { minimum, maximum, ..variant("CASE", money(500, 2)) };
        let refused = counter.sell(set(vec![ring(1), other("CASE", 4)]));
        assert!(matches!(refused, Err(CartError::Quantity { quantity: 4, .. })), "{refused:?}");
    }
}

#[test]
fn equal_sets_have_equal_keys_and_those_of_other_items_do_not() {
    let keys = |counter: &Counter| -> Vec<String> {
        let lines = counter.sell(set(vec![ring(1), other("CASE", 1), other("CARD", 1)])).unwrap();
        lines.into_iter().map(|line| line.key).collect()
    };
    let first = keys(&counter());
    assert_eq!(first, keys(&counter()));
    let mut engraved = counter();
    engraved.facts[0].fingerprint = Some(Digest::of(b"Anna"));
    assert!(keys(&engraved).iter().all(|key| !first.contains(key)));
    let alone =
        counter().sell(PlanEntry::Line(planned_line(by_sku("CASE"), 1, PriceSource::Platform, vec![]))).unwrap();
    assert!(!first.contains(&alone[0].key), "a line of a set does not join a line of its own");
}

#[test]
fn a_line_of_a_set_says_which_of_its_details_the_shopper_wrote() {
    let mut counter = counter();
    let engraving = serde_json::json!({
        "id": "engraving", "name": "Engraving", "value": "For Ann", "value_id": null, "key": null, "hidden": false,
        "kind": "text",
    });
    counter.items[0].attributes = vec![serde_json::from_value(engraving).unwrap()];
    let detail = |name: &str, value: &str| DisplayField { name: name.into(), value: value.into() };
    let details = vec![detail("Size", "L"), detail("Embossed", "For Ann")];
    let case = PlannedLine { display_fields: Some(details), ..other("CASE", 1) };
    let lines = counter.sell(set(vec![ring(1), case, other("CARD", 1)])).unwrap();
    let marked: Vec<Option<Vec<u32>>> = lines.into_iter().map(|line| line.shopper_texts).collect();
    assert_eq!(marked, [Some(vec![0]), Some(vec![1]), None]);
}

#[test]
fn lines_of_a_set_that_buy_the_same_stay_apart() {
    let lines = counter().sell(set(vec![ring(1), other("CASE", 1), other("CASE", 2), other("CASE", 3)])).unwrap();
    let keys: Vec<&String> = lines.iter().map(|line| &line.key).collect();
    assert_eq!((keys.len(), lines[3].quantity), (4, 3));
    assert!(keys.iter().enumerate().all(|(at, key)| !keys[at + 1..].contains(key)));
}

#[test]
fn a_set_is_complete_only_with_all_its_lines_for_one_quantity() {
    let (one, two) = (rings(1), rings(2));
    let is_complete: fn(&[&CartLine]) -> bool = is_family_complete;
    assert!(is_complete(&[&two[0], &two[1]]) && is_complete(&[&two[1], &two[0]]));
    assert!(!is_complete(&[&two[0]]));
    assert!(!is_complete(&[&two[1]]));
    assert!(!is_complete(&[&two[0], &two[1], &two[1]]));
    assert!(!is_complete(&[&two[0], &one[1]]), "the cases of one ring do not complete a set of two");
    let alone = CartLine { set_lines: vec![], ..two[0].clone() };
    assert!(!is_complete(&[&alone]));
}

#[test]
fn what_makes_a_set_is_sealed() {
    let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let lines = sealed_rings(2);
    assert!(lines.iter().all(|line| line.check_seal(&shop(), at).is_ok()));
    for forged in [
        CartLine { set: None, ..lines[1].clone() },
        CartLine { set: None, ..lines[0].clone() },
        CartLine { set_lines: vec![], ..lines[0].clone() },
        CartLine { requested_quantity: 1, ..lines[1].clone() },
    ] {
        assert_eq!(forged.check_seal(&shop(), at), Err(SealError::Forged));
    }
}

#[test]
fn a_cart_finds_removes_and_replaces_a_set_as_a_whole() {
    let cart = [rings(2), vec![sealed(7, "Anna")]].concat();
    let index = CartIndex::new(&cart).unwrap();
    let (ring, case) = (&cart[0].key, &cart[1].key);
    assert_eq!(index.top_of(case).map(|line| &line.key), Some(ring));
    assert!(index.top_lines(case).is_none());
    assert_eq!(index.keys(ring), [ring.clone(), case.clone()]);
    let lines = vec![sealed(8, "Tom")];
    let replace = CartOperation::Replace { key: ring.clone(), lines: lines.clone() };
    let change = CartChange { operations: vec![replace], warnings: vec![], stages: vec![] };
    let mut replaced = cart.clone();
    change.apply(&mut replaced);
    assert_eq!(replaced, [lines, cart[2..].to_vec()].concat());
}

#[test]
fn a_set_is_quoted_as_a_whole_with_a_price_for_each_line() {
    let (shop, lines) = (shop(), sealed_rings(2));
    check_quote_lines(&shop, &lines).unwrap();
    let parted = check_quote_lines(&shop, &lines[..1]);
    assert!(matches!(parted, Err(CartError::Seal { fault: SealError::Forged, .. })), "{parted:?}");
    let parted = check_quote_lines(&shop, &lines[1..]);
    assert!(matches!(parted, Err(CartError::UnknownLine(_))), "{parted:?}");
    let mut offer = QuoteOffer {
        quote: "q".into(),
        prices: [(lines[0].key.clone(), money(8_000, 2)), (lines[1].key.clone(), money(100, 2))].into(),
        until: SystemTime::now() + Duration::from_secs(3_600),
    };
    let offered = quote_lines(&shop, &lines, &offer).unwrap();
    let totals: Vec<i64> = offered.iter().map(|line| line.price.total.minor).collect();
    assert_eq!(totals, [2 * 8_000, 4 * 100]);
    assert!(is_family_complete(&offered.iter().collect::<Vec<_>>()));
    assert!(offered.iter().all(|line| line.set.as_ref() == Some(&offered[0].key)) && offered[0].key != lines[0].key);
    offer.prices.remove(&lines[1].key);
    let missing = quote_lines(&shop, &lines, &offer);
    assert!(matches!(missing, Err(CartError::Price { .. })), "{missing:?}");
}

#[test]
fn a_second_entry_for_a_configured_product_is_refused_with_what_to_plan_instead() {
    let counter = counter();
    let instead =
        "a configured product becomes one entry; put what belongs to it into a bundle's children or a set's lines";
    let entries = [PlanEntry::Line(ring(1)), PlanEntry::Line(other("CASE", 1))];
    refused(&counter, &entries, &format!("entry 2 (CASE) names no item: {instead}"));
    let entries = [PlanEntry::Line(ring(1)), PlanEntry::Line(ring(1))];
    refused(&counter, &entries, &format!("entry 2 (RING) is the second entry for the item 0: {instead}"));
    let another = PlannedLine { item: Some(7), ..ring(1) };
    refused(&counter, &[PlanEntry::Line(another)], "entry 1 (RING) sells the item 7, which was not requested");
}

#[test]
fn an_entry_and_a_target_of_a_later_version_are_refused_by_name() {
    let later = || NamedJson { name: "sold-by-metre".into(), json: "{}".into() };
    refused(&counter(), &[PlanEntry::Other(later())], "does not know the plan entry \"sold-by-metre\"");
    let line = PlannedLine { target: Target::Other(later()), ..ring(1) };
    refused(&counter(), &[PlanEntry::Line(line.clone())], "does not know the target \"sold-by-metre\"");
    refused(&counter(), &[set(vec![ring(1), PlannedLine { item: None, ..line }])], "\"sold-by-metre\"");
    let child = BundleChild { target: Target::Other(later()), ..child("", 1, false) };
    let bundle = Bundle { parent: ring(1), children: vec![child], extra: vec![] };
    refused(&counter(), &[PlanEntry::Bundle(bundle)], "does not know the target \"sold-by-metre\"");
}
