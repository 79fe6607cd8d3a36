//! What items and their vendor's prices say: quantities, surcharges, recurring prices, and times.

use std::collections::BTreeMap;

use cartwright_contract::records::{
    Article, Item, Money, Price, PriceBasis, PriceRole, PriceSource, PriceState, Rounding, TaxBasis,
};

use super::prices::vendor_price;
use super::{Counter, article, child, item, money, shop, variant};
use crate::error::CartError;
use crate::plan::Descendant;
use crate::pricing::{VendorPrice, check_prices, convert};
use crate::quote::{QuoteOffer, quote_lines};
use crate::tree::item_tree;

/// Returns a table that takes `legs` legs, each with felt and two feet.
fn table(legs: u32) -> Vec<Item> {
    let named = |id: &str, parent: Option<&str>, quantity: u32, articles: Vec<Article>| Item {
        id: Some(id.into()),
        parent: parent.map(str::to_owned),
        quantity,
        articles,
        ..item("")
    };
    let felt = Article { unit: Some("MTK".into()), ..article("FELT", "0.25") };
    let thread = Article { price_sku: None, parent: Some(0), ..article("THREAD", "3") };
    vec![
        named("table", None, 1, vec![article("TOP", "1"), article("SCREW", "2")]),
        named("leg", Some("table"), legs, vec![felt]),
        named("foot", Some("leg"), 2, vec![article("SCREW", "1"), thread]),
    ]
}

fn counter(items: Vec<Item>, source: PriceSource) -> Counter {
    let mut counter = Counter::with(items);
    counter.price_from = source;
    counter.variants = vec![
        variant("RING", money(10_000, 2)),
        variant("TOP", money(5_000, 2)),
        variant("SCREW", money(15, 2)),
        variant("FELT", money(101, 2)),
    ];
    counter
}

fn in_shop(price: Price, counter: &Counter) -> Option<VendorPrice> {
    Some(convert(price, "it", None, &counter.currency, counter.shop.rounding).unwrap())
}

fn surcharge(minor: i64) -> Price {
    Price { role: PriceRole::Surcharge, ..vendor_price(money(minor, 2)) }
}

/// Sells these pieces of a ring at the vendor's price.
fn sell_at(prices: Vec<Price>, items: Vec<Item>, quantity: u32) -> Result<(Money, TaxBasis), CartError> {
    let mut counter = counter(items, PriceSource::Vendor);
    counter.wanted = quantity;
    counter.vendor = prices.into_iter().map(|price| in_shop(price, &counter)).collect();
    counter.sell_line(quantity, PriceSource::Vendor, &[]).map(|line| (line.price.total, line.price.tax))
}

#[test]
fn a_part_counts_in_prices_and_materials_as_many_times_as_a_product_takes_it() {
    let counter = counter(table(4), PriceSource::Components);
    let line = counter.sell_line(3, PriceSource::Components, &[]).unwrap();
    let materials: Vec<_> = line
        .bill_of_materials
        .iter()
        .map(|article| (article.sku.as_str(), article.quantity.as_str(), article.parent))
        .collect();
    // A screw with thread is not one without.
    let expected =
        [("TOP", "1", None), ("SCREW", "2", None), ("FELT", "1", None), ("SCREW", "8", None), ("THREAD", "3", Some(3))];
    assert_eq!(materials, expected);
    assert_eq!(line.bill_of_materials[2].unit.as_deref(), Some("MTK"));
    assert_eq!(line.price.total.minor, 3 * (5_000 + 10 * 15 + 101));
}

#[test]
fn the_vendors_price_of_a_part_counts_as_many_times_as_a_product_takes_it() {
    let prices = || vec![vendor_price(money(1_000, 2)), vendor_price(money(100, 2)), vendor_price(money(1, 2))];
    assert_eq!(sell_at(prices(), table(4), 3).unwrap().0, money(3 * (1_000 + 4 * 100 + 8), 2));
    // A total is for all of them already.
    let mut totals = prices();
    totals[1].basis = PriceBasis::Total;
    assert_eq!(sell_at(totals, table(4), 3).unwrap().0, money(3 * (1_000 + 8) + 100, 2));
}

#[test]
fn a_surcharge_comes_on_top_of_the_platforms_price() {
    let items = || vec![item("")];
    assert_eq!(sell_at(vec![surcharge(250)], items(), 3).unwrap(), (money(3 * 10_250, 2), TaxBasis::AsShop));
    let total = Price { basis: PriceBasis::Total, ..surcharge(250) };
    assert_eq!(sell_at(vec![total], items(), 3).unwrap().0, money(30_250, 2));
    assert_eq!(sell_at(vec![surcharge(-250)], items(), 1).unwrap().0, money(9_750, 2));
    assert!(matches!(sell_at(vec![surcharge(-10_001)], items(), 1), Err(CartError::Price { .. })));
    // It is added before the total is rounded, once.
    let fine = Price { amount: money(4, 3), ..surcharge(0) };
    assert_eq!(sell_at(vec![fine], items(), 3).unwrap().0, money(30_001, 2));
}

#[test]
fn a_surcharge_is_taxed_as_the_price_that_it_comes_on_top_of() {
    // The shop of these tests enters its prices with tax.
    let of = |tax: TaxBasis| sell_at(vec![Price { tax, ..surcharge(250) }], vec![item("")], 1);
    assert_eq!(of(TaxBasis::Gross).unwrap(), (money(10_250, 2), TaxBasis::AsShop));
    let Err(CartError::Price { reason, .. }) = of(TaxBasis::Net) else { panic!("it is sold") };
    assert!(reason.contains("surcharge is without tax") && reason.contains("with tax"), "{reason}");
}

#[test]
fn a_surcharge_that_is_not_confirmed_is_sold_as_such_and_one_that_differs_is_not() {
    let mut counter = counter(vec![item("")], PriceSource::Vendor);
    let state = PriceState::Unverified("no answer".into());
    counter.vendor = vec![in_shop(Price { state: state.clone(), ..surcharge(250) }, &counter)];
    let line = counter.sell_line(1, PriceSource::Vendor, &[]).unwrap();
    assert_eq!((line.price.total.minor, line.price.state), (10_250, state));
    let differs = Price { state: PriceState::Mismatch(money(300, 2)), ..surcharge(250) };
    assert!(matches!(sell_at(vec![differs], vec![item("")], 1), Err(CartError::Price { .. })));
}

#[test]
fn a_bundle_deals_out_the_platforms_price_and_the_surcharge_together() {
    let mut counter = counter(vec![item("")], PriceSource::Vendor);
    counter.vendor = vec![in_shop(surcharge(250), &counter)];
    let lines =
        counter.sell_bundle(1, PriceSource::Vendor, vec![child("TOP", 1, false), child("SCREW", 2, false)]).unwrap();
    assert_eq!(lines[0].price.total.minor, 10_250);
    assert_eq!(lines[1..].iter().map(|line| line.price.total.minor).sum::<i64>(), 10_250);
}

#[test]
fn a_recurring_price_is_refused_with_its_period_and_the_product() {
    let monthly = Price { period: Some("P1M".into()), ..vendor_price(money(900, 2)) };
    let error = sell_at(vec![monthly], vec![item("")], 1).unwrap_err();
    assert!(
        matches!(&error, CartError::RecurringPrice { product, period } if product == "RING" && period == "P1M"),
        "{error}"
    );
}

/// Returns the contract violation that the author of these prices reads. The second item is part of the first.
fn violation(prices: &[Price]) -> String {
    let prices: Vec<Option<Price>> = prices.iter().cloned().map(Some).collect();
    let below = [Descendant { index: 0, count: 1 }, Descendant { index: 1, count: 1 }];
    check_prices(&prices, [&below[..], &[]]).err().unwrap_or_default()
}

#[test]
fn prices_of_one_product_have_the_same_role() {
    let whole = vendor_price(money(900, 2));
    assert!(violation(&[whole.clone(), surcharge(1)]).contains("different roles"));
    assert_eq!(violation(&[surcharge(1), surcharge(2)]), "");
    // The third item is another product.
    assert_eq!(violation(&[whole.clone(), whole, surcharge(1)]), "");
}

#[test]
fn a_period_is_a_duration_and_the_end_of_a_price_a_timestamp() {
    let period = |period: &str| violation(&[Price { period: Some(period.into()), ..vendor_price(money(900, 2)) }]);
    for duration in ["P1M", "P1Y6M", "P2W", "PT36H", "P1Y2M10DT2H30M1S"] {
        assert_eq!(period(duration), "", "{duration}");
    }
    for text in [
        "", "P", "PT", "1M", "P1", "PM", "P1M1Y", "P1H", "P1MT", "P-1M", "P1.5M", "P1W1D", "monthly", "p1m", "P1\u{b5}",
    ] {
        assert!(period(text).contains("ISO 8601 duration"), "{text}");
    }
    let until = |until: &str| violation(&[Price { valid_until: Some(until.into()), ..vendor_price(money(900, 2)) }]);
    assert_eq!(until("2026-03-01T09:30:00Z"), "");
    assert!(until("2026-03-01").contains("timestamp"));
}

#[test]
fn a_seal_ends_with_the_saved_configuration_of_any_item_of_the_line() {
    // The shop's seals of these tests end on 2026-01-02, and it is 2026-01-01.
    let sell = |until: &str| {
        let mut items = table(1);
        items[1].valid_until = Some(until.into());
        counter(items, PriceSource::Platform).sell_line(1, PriceSource::Platform, &[])
    };
    assert_eq!(sell("2026-01-01T06:00:00Z").unwrap().price.expires, "2026-01-01T06:00:00Z");
    assert_eq!(sell("2026-02-01T00:00:00Z").unwrap().price.expires, "2026-01-02T00:00:00Z");
    for past in ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"] {
        let refused = sell(past);
        assert!(matches!(&refused, Err(CartError::ConfigurationExpired { until, .. }) if until == past), "{refused:?}");
    }
}

#[test]
fn an_offer_ends_with_the_saved_configuration() {
    let mut items = vec![item("")];
    items[0].valid_until = Some("2026-01-01T06:00:00Z".into());
    let lines = vec![counter(items, PriceSource::Platform).sell_line(1, PriceSource::Platform, &[]).unwrap()];
    let offered = |until: &str| {
        let offer = QuoteOffer {
            quote: "q".into(),
            prices: BTreeMap::from([(lines[0].key.clone(), money(100, 2))]),
            until: until.parse::<jiff::Timestamp>().unwrap().into(),
        };
        quote_lines(&shop(), &lines, &offer).unwrap().remove(0).price.expires
    };
    assert_eq!(offered("2026-02-01T00:00:00Z"), "2026-01-01T06:00:00Z");
    assert_eq!(offered("2026-01-01T03:00:00Z"), "2026-01-01T03:00:00Z");
}

#[test]
fn the_parts_of_a_bundle_are_sealed_no_longer_than_the_bundle() {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.items[0].valid_until = Some("2026-01-01T06:00:00Z".into());
    counter.variants = vec![variant("RING", money(10_000, 2)), variant("TOP", money(5_000, 2))];
    let lines = counter.sell_bundle(1, PriceSource::Platform, vec![child("TOP", 1, false)]).unwrap();
    assert!(lines.iter().all(|line| line.price.expires == "2026-01-01T06:00:00Z"), "{lines:?}");
}

#[test]
fn a_child_that_no_product_could_take_is_refused() {
    assert!(matches!(item_tree(&table(500_001)), Err(CartError::Configuration(_))));
}
