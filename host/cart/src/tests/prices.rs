//! The prices of lines and bundles.

use std::collections::{BTreeSet, HashMap};

use cartwright_contract::ids::Digest;
use cartwright_contract::records::{
    BundleChild, Money, PlanEntry, Price, PriceBasis, PriceRole, PriceSource, PriceState, Rounding, TaxBasis,
    VariantInfo,
};
use num_bigint::BigInt;
use proptest::prelude::*;

use super::{Counter, article, by_sku, child, money, planned_line, text_child, variant};
use crate::error::CartError;
use crate::index::RemovedParts;
use crate::line::CartLine;
use crate::pricing::convert;

/// Returns an amount in units of 10^-40, in which every value of these tests is an integer.
fn fine(minor: i64, scale: u8) -> BigInt {
    BigInt::from(minor) * BigInt::from(10).pow(40 - u32::from(scale))
}

/// Returns the difference between a total and its exact value, in units of 10^-40.
fn off(total: &Money, exact: &BigInt) -> BigInt {
    let off = fine(total.minor, total.scale) - exact;
    if off < BigInt::ZERO { -off } else { off }
}

/// Returns half a minor unit, in units of 10^-40.
fn half(scale: u8) -> BigInt {
    BigInt::from(5) * BigInt::from(10).pow(39 - u32::from(scale))
}

/// Checks the rules of a line that is sold by itself.
fn holds(line: &CartLine, exact: &BigInt) -> Result<(), TestCaseError> {
    let total = &line.price.total;
    prop_assert!(off(total, exact) <= half(total.scale), "{exact} as {total:?}");
    let exact_unit = total.minor % i64::from(line.quantity) == 0;
    prop_assert_eq!(line.price.unit.is_some(), exact_unit);
    if let Some(unit) = &line.price.unit {
        prop_assert_eq!(unit.minor * i64::from(line.quantity), total.minor);
    }
    Ok(())
}

/// Returns a verified price of one piece, as the shop enters its own.
pub(super) fn vendor_price(amount: Money) -> Price {
    Price {
        amount,
        basis: PriceBasis::Unit,
        role: PriceRole::Whole,
        tax: TaxBasis::AsShop,
        state: PriceState::Verified,
        period: None,
        valid_until: None,
        extra: vec![],
    }
}

fn prices() -> impl Strategy<Value = Money> {
    (0i64..10_000_000_000, 0u8..=9).prop_map(|(minor, scale)| money(minor, scale))
}

fn roundings() -> impl Strategy<Value = Rounding> {
    prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven])
}

proptest! {
    #[test]
    fn a_line_is_at_most_half_a_minor_unit_off_whatever_its_source(
        scale in 0u8..=4,
        rounding in roundings(),
        price in prices(),
        quantity in 1u32..=1_000_000,
        parts in prop::collection::vec((0i64..1_000_000, 0u8..=6), 1..5),
        adjustments in prop::collection::vec((0i64..1_000_000, 0u8..=9), 0..3),
        rate in (1i64..1_000_000_000_000, 0u32..=12),
        source in prop::sample::select(vec![PriceSource::Platform, PriceSource::Vendor, PriceSource::Components]),
        basis in prop::sample::select(vec![PriceBasis::Unit, PriceBasis::Total]),
        role in prop::sample::select(vec![PriceRole::Whole, PriceRole::Surcharge]),
        own in prices(),
        converts in any::<bool>(),
    ) {
        let mut counter = Counter::new(scale, rounding);
        (counter.price_from, counter.wanted) = (source, quantity);
        let platform = if source == PriceSource::Vendor { own } else { price.clone() };
        counter.variants = vec![variant("RING", platform.clone())];
        let mut exact = match source {
            PriceSource::Platform => fine(price.minor, price.scale) * quantity,
            PriceSource::Vendor => {
                let currency = if converts { "USD" } else { "EUR" };
                let amount = Money { currency: currency.into(), ..price.clone() };
                let offered = Price { basis, role, tax: TaxBasis::Gross, ..vendor_price(amount) };
                let text = rust_decimal::Decimal::try_from_i128_with_scale(rate.0.into(), rate.1).unwrap().to_string();
                match convert(offered, "it", Some(&text), &counter.currency, rounding) {
                    Ok(price) => counter.vendor = vec![Some(price)],
                    // The amount is too large for a price.
                    Err(_) => return Ok(()),
                }
                let times = if basis == PriceBasis::Unit { quantity } else { 1 };
                let rate = if converts { rate } else { (1, 0) };
                let base = if role == PriceRole::Surcharge { fine(platform.minor, platform.scale) } else { BigInt::ZERO };
                fine(price.minor, price.scale) * rate.0 * times / BigInt::from(10).pow(rate.1) + base * quantity
            }
            PriceSource::Components => {
                let mut one = BigInt::ZERO;
                for (number, (count, count_scale)) in parts.iter().enumerate() {
                    let text = rust_decimal::Decimal::new(*count, (*count_scale).into()).to_string();
                    counter.items[0].articles.push(article(&format!("PART-{number}"), &text));
                    counter.variants.push(variant(&format!("PART-{number}"), price.clone()));
                    one += fine(price.minor, price.scale) * *count / BigInt::from(10).pow((*count_scale).into());
                }
                one * quantity
            }
        };
        let adjustments: Vec<Money> = adjustments.into_iter().map(|(minor, scale)| money(minor, scale)).collect();
        for adjustment in &adjustments {
            exact += fine(adjustment.minor, adjustment.scale) * quantity;
        }
        match counter.sell_line(quantity, source, &adjustments) {
            Ok(line) => holds(&line, &exact)?,
            Err(CartError::Price { reason, .. }) => prop_assert!(reason.contains("too large"), "{reason}"),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn the_parts_of_a_bundle_sum_to_it_and_it_is_at_most_half_a_minor_unit_off(
        scale in 0u8..=4,
        rounding in roundings(),
        own in (0i64..10_000_000, 0u8..=9),
        quantity in 1u32..=1_000,
        parts in prop::collection::vec(((0i64..1_000_000, 0u8..=9), 1u32..=50, any::<bool>(), any::<bool>()), 1..12),
        by_parts in any::<bool>(),
    ) {
        let mut counter = Counter::new(scale, rounding);
        let source = if by_parts { PriceSource::Components } else { PriceSource::Platform };
        (counter.price_from, counter.wanted) = (source, quantity);
        counter.variants = vec![variant("RING", money(own.0, own.1))];
        let mut children = vec![];
        for (number, ((minor, scale), count, priced_separately, _)) in parts.iter().enumerate() {
            let sku = format!("PART-{number}");
            counter.variants.push(variant(&sku, money(*minor, *scale)));
            // At least one child shares in the bundle's price.
            children.push(child(&sku, *count, *priced_separately && number > 0));
        }
        let bundle = counter.sell_bundle(quantity, source, children.clone()).unwrap();
        let costs = |own: BigInt, counts: &dyn Fn(usize) -> bool| {
            let mut exact = own;
            for (_, ((minor, scale), count, ..)) in parts.iter().enumerate().filter(|(number, _)| counts(*number)) {
                exact += fine(*minor, *scale) * *count * quantity;
            }
            exact
        };
        let exact = match by_parts {
            true => costs(BigInt::ZERO, &|_| true),
            false => costs(fine(own.0, own.1) * quantity, &|number| children[number].priced_separately),
        };
        holds(&bundle[0], &exact)?;
        let sum = |lines: &[CartLine]| lines[1..].iter().map(|line| line.price.total.minor).sum::<i64>();
        prop_assert_eq!(sum(&bundle), bundle[0].price.total.minor);
        prop_assert!(bundle[1..].iter().all(|line| line.price.total.minor >= 0));
        if by_parts {
            for (line, ((minor, scale), count, ..)) in bundle[1..].iter().zip(&parts) {
                let own = fine(*minor, *scale) * *count * quantity;
                prop_assert!(off(&line.price.total, &own) < half(line.price.total.scale) * 2, "{line:?}");
            }
        }
        // The parts that remain after removals.
        let goes = |number: usize| number > 0 && parts[number].3;
        let names = (1..parts.len()).filter(|number| goes(*number)).filter_map(|number| bundle[number + 1].part);
        let out: BTreeSet<Digest> = names.collect();
        if out.is_empty() {
            return Ok(());
        }
        counter.removed_parts = RemovedParts(HashMap::from([(Some(0), out)]));
        let rest = counter.sell_bundle(quantity, source, children.clone()).unwrap();
        prop_assert_eq!(sum(&rest), rest[0].price.total.minor);
        match by_parts {
            true => holds(&rest[0], &costs(BigInt::ZERO, &|number| !goes(number)))?,
            false => {
                let kept = rest[1..].iter().all(|line| bundle.iter().any(|old| old.part == line.part && old.price == line.price));
                prop_assert!(kept, "what remains costs what it cost");
            }
        }
    }
}

fn total(price: (i64, u8), quantity: u32) -> (i64, Option<i64>) {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    (counter.wanted, counter.variants) = (quantity, vec![variant("RING", money(price.0, price.1))]);
    let price = counter.sell_line(quantity, PriceSource::Platform, &[]).unwrap().price;
    (price.total.minor, price.unit.map(|unit| unit.minor))
}

#[test]
fn prices_below_a_minor_unit_are_multiplied_before_they_are_rounded() {
    assert_eq!(total((4, 3), 1_000_000), (400_000, None));
    assert_eq!(total((5, 3), 1_000_000), (500_000, None));
    assert_eq!(total((15, 4), 1_000), (150, None));
    assert_eq!(total((125, 3), 4), (50, None));
    assert_eq!(total((3333, 4), 3), (100, None));
    assert_eq!(total((1005, 3), 2), (201, None));
    assert_eq!(total((1999, 2), 7), (13_993, Some(1999)));
    assert_eq!(total((4, 3), 1), (0, Some(0)));
}

#[test]
fn a_minimum_of_a_part_by_itself_does_not_hold_in_a_bundle_and_a_maximum_does() {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.price_from = PriceSource::Components;
    let screw = VariantInfo { minimum: 100, maximum: Some(200), ..variant("SCREW", money(15, 2)) };
    counter.variants = vec![variant("RING", money(900, 2)), screw];
    let lines = counter.sell_bundle(1, PriceSource::Components, vec![child("SCREW", 4, false)]).unwrap();
    assert_eq!(lines[0].price.total.minor, 60);
    let much = counter.sell_bundle(1, PriceSource::Components, vec![child("SCREW", 201, false)]);
    assert!(matches!(&much, Err(CartError::Quantity { quantity: 201, .. })), "{much:?}");
    let alone = counter.sell(PlanEntry::Line(planned_line(by_sku("SCREW"), 4, PriceSource::Platform, vec![])));
    assert!(matches!(&alone, Err(CartError::Quantity { minimum: 100, .. })), "{alone:?}");
}

/// Returns the shares of the children in a bundle of a ring for 90.00, and the bundle's price.
fn shares(children: Vec<BundleChild>) -> (Vec<i64>, i64) {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    let prices = [("RING", 9_000), ("CHAIN", 1_000), ("STONE", 2_000), ("SAMPLE", 0), ("CARD", 0)];
    counter.variants = prices.iter().map(|(sku, cents)| variant(sku, money(*cents, 2))).collect();
    let lines = counter.sell_bundle(1, PriceSource::Platform, children).unwrap();
    assert!(lines[1..].iter().all(|line| line.price.included_in_parent));
    (lines[1..].iter().map(|line| line.price.total.minor).collect(), lines[0].price.total.minor)
}

#[test]
fn a_bundles_price_is_dealt_out_in_proportion_to_what_each_child_costs_by_itself() {
    assert_eq!(shares(vec![child("CHAIN", 1, false), child("STONE", 1, false)]), (vec![3_000, 6_000], 9_000));
    assert_eq!(shares(vec![child("CHAIN", 2, false), child("STONE", 1, false)]), (vec![4_500, 4_500], 9_000));
    assert_eq!(shares(vec![child("STONE", 1, false)]), (vec![9_000], 9_000));
}

#[test]
fn a_text_and_a_child_without_a_price_count_as_nothing_beside_a_child_that_costs_something() {
    assert_eq!(shares(vec![text_child("Engraving"), child("STONE", 1, false)]), (vec![0, 9_000], 9_000));
    assert_eq!(shares(vec![child("SAMPLE", 3, false), child("STONE", 1, false)]), (vec![0, 9_000], 9_000));
}

#[test]
fn children_that_all_cost_nothing_have_equal_shares_that_sum_to_the_price() {
    assert_eq!(shares(vec![text_child("Engraving"), child("SAMPLE", 1, false)]), (vec![4_500, 4_500], 9_000));
    let three = vec![child("SAMPLE", 1, false), child("CARD", 5, false), text_child("Engraving")];
    assert_eq!(shares(three), (vec![3_000, 3_000, 3_000], 9_000));
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.variants = vec![variant("RING", money(10_000, 2))];
    let texts = ["a", "b", "c"].map(text_child).to_vec();
    let lines = counter.sell_bundle(1, PriceSource::Platform, texts).unwrap();
    let dealt: Vec<i64> = lines[1..].iter().map(|line| line.price.total.minor).collect();
    assert_eq!((dealt, lines[0].price.total.minor), (vec![3_334, 3_333, 3_333], 10_000));
}

#[test]
fn a_further_child_makes_a_bundle_no_dearer_unless_it_is_priced_separately() {
    assert_eq!(shares(vec![child("CHAIN", 1, false)]).1, 9_000);
    assert_eq!(shares(vec![child("CHAIN", 1, false), child("STONE", 4, false)]).1, 9_000);
    assert_eq!(shares(vec![child("CHAIN", 1, false), child("STONE", 4, true)]), (vec![9_000, 8_000], 17_000));
}

#[test]
fn a_free_gift_is_priced_separately_at_nothing_beside_a_text() {
    assert_eq!(shares(vec![text_child("A ring"), child("SAMPLE", 1, true)]), (vec![9_000, 0], 9_000));
}

#[test]
fn one_child_at_least_shares_in_a_bundles_price() {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.variants = vec![variant("RING", money(9_000, 2)), variant("SAMPLE", money(0, 2))];
    let refused = counter.sell_bundle(1, PriceSource::Platform, vec![child("SAMPLE", 1, true)]);
    assert!(matches!(&refused, Err(CartError::Plan(text)) if text.contains("a text will do")), "{refused:?}");
}
