//! Rules that hold for every plan: the prices of lines and bundles, and linear cost in the length of each list of a
//! request.

use std::collections::{BTreeSet, HashMap};

use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{
    Adjustment, Article, Attribute, Bundle, BundleChild, ChildRemoval, Context, Item, LinePart, LinePrice, Message,
    Money, NewLine, Piece, Price, PriceBasis, PriceSource, PriceState, Rounding, SkuQuery, Target, TaxBasis,
    VariantInfo,
};
use cartwright_contract::settings::Secret;
use cartwright_test_growth::assert_linear;
use jiff::Timestamp;
use num_bigint::BigInt;
use proptest::prelude::*;

use super::canonical::canonical;
use super::error::SealError;
use super::identity::fingerprints;
use super::index::{CartIndex, RemovedParts, drop_unchanged};
use super::line::{CartLine, Pin};
use super::placement::Placement;
use super::plan::{ItemFacts, PlanCheck, key_of, queries};
use super::pricing::{Pricing, VendorPrice, convert};
use super::shop::Shop;
use super::tree::item_tree;
use super::*;

/// A shop with one configured product, and the data that its plans are checked against.
struct Counter {
    shop: ShopId,
    context: Context,
    items: Vec<Item>,
    facts: Vec<ItemFacts>,
    vendor: Vec<Option<VendorPrice>>,
    variants: Vec<VariantInfo>,
    price_from: PriceSource,
    wanted: u32,
    removed_parts: RemovedParts,
}

fn money(minor: i64, scale: u8) -> Money {
    Money { minor, scale, currency: "EUR".into() }
}

fn item(state: &str) -> Item {
    Item {
        id: None,
        parent: None,
        vendor_product: "1".into(),
        attributes: vec![],
        articles: vec![],
        sku: None,
        reference: None,
        thumbnail: None,
        state: state.into(),
        unverified: None,
        extra: vec![],
    }
}

fn article(sku: &str, quantity: &str) -> Article {
    Article {
        sku: sku.into(),
        quantity: quantity.into(),
        price_sku: Some(sku.into()),
        price: None,
        material_sku: None,
        extra: vec![],
    }
}

fn variant(sku: &str, price: Money) -> VariantInfo {
    VariantInfo {
        id: format!("id-{sku}"),
        product: format!("product-{sku}"),
        sku: sku.into(),
        title: sku.into(),
        price: Some(price),
        tax_class: None,
        purchasable: true,
        stock: None,
        weight_grams: None,
        minimum: 1,
        maximum: None,
    }
}

fn new_line(target: Target, quantity: u32, source: PriceSource, adjustments: Vec<Adjustment>) -> NewLine {
    NewLine {
        target,
        quantity,
        title: None,
        shown: None,
        price: LinePrice { source, adjustments, ignore_case: false },
        item: Some(0),
        extra: vec![],
    }
}

fn by_sku(sku: &str) -> Target {
    Target::Sku(SkuQuery { sku: sku.into(), within_product: None, ignore_case: false })
}

fn child(sku: &str, quantity: u32, on_top: bool) -> BundleChild {
    BundleChild {
        target: by_sku(sku),
        quantity,
        title: None,
        shown: None,
        on_top,
        removal: ChildRemoval::Repriced,
        extra: vec![],
    }
}

impl Counter {
    fn new(scale: u8, rounding: Rounding) -> Self {
        let context = Context {
            shop: "shop".into(),
            account: "vendor".into(),
            locale: "en".into(),
            currency: "EUR".into(),
            scale,
            country: None,
            customer_group: None,
            prices_include_tax: true,
            rounding,
            at: "2026-01-01T00:00:00Z".into(),
            settings: vec![],
            settings_revision: 1,
            grants: vec![],
            extra: vec![],
        };
        Self {
            shop: "shop".parse().unwrap(),
            context,
            items: vec![item("")],
            facts: vec![ItemFacts { descendants: vec![0], ..ItemFacts::default() }],
            vendor: vec![],
            variants: vec![],
            price_from: PriceSource::Platform,
            wanted: 1,
            removed_parts: RemovedParts::default(),
        }
    }

    fn with(items: Vec<Item>) -> Self {
        let counter = Self::new(2, Rounding::HalfUp);
        let tree = item_tree(&items).unwrap();
        let facts = tree
            .descendants
            .into_iter()
            .map(|below| ItemFacts { descendants: below, ..ItemFacts::default() })
            .collect();
        Self { facts, items, ..counter }
    }

    /// Checks a plan of one entry; the catalog contains the price of everything that is sold.
    fn sell(&self, piece: Piece) -> Result<Vec<CartLine>, CartError> {
        let all: HashMap<&str, &VariantInfo> =
            self.variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
        let pieces = [piece];
        let asked = queries(&pieces);
        let found = |sku: &str| all.get(sku).map(|variant| vec![(*variant).clone()]).unwrap_or_default();
        let by_query = asked.iter().map(|query| (key_of(query), found(&query.sku))).collect();
        let articles =
            self.items.iter().flat_map(|item| &item.articles).filter_map(|article| article.price_sku.as_deref());
        let components = articles.map(|sku| ((sku, false), found(sku))).collect();
        let wanted = HashMap::from([(Some(0), self.wanted)]);
        let grants = Grants { adjust_prices: true, choose_price_source: true, ..Grants::default() };
        let checking = PlanCheck {
            shop: &self.shop,
            linked_product: "product",
            configuration: None,
            facts: &self.facts,
            pricing: Pricing {
                context: &self.context,
                items: &self.items,
                vendor: &self.vendor,
                components: &components,
                wanted: &wanted,
            },
            price_from: self.price_from,
            quote: false,
            grants: &grants,
            pin: &pin(),
            removed_parts: &self.removed_parts,
            sell_unconfigured: false,
            expires: "2026-01-02T00:00:00Z",
            chosen_variant: None,
            linked_variants: &[],
            linked_by_id: &HashMap::new(),
            by_query: &by_query,
            by_id: &HashMap::new(),
        };
        let mut families = checking.check(&pieces)?;
        checking.below_minimum(&pieces, &families)?.check(&families[0][0].key)?;
        Ok(families.remove(0))
    }

    fn sell_line(&self, quantity: u32, source: PriceSource, adjustments: &[Money]) -> Result<CartLine, CartError> {
        let label = warning_text();
        let adjustments =
            adjustments.iter().map(|amount| Adjustment { label: label.clone(), amount: amount.clone() }).collect();
        let line = new_line(by_sku("RING"), quantity, source, adjustments);
        self.sell(Piece::Line(line)).map(|mut lines| lines.remove(0))
    }

    fn sell_bundle(
        &self,
        quantity: u32,
        source: PriceSource,
        children: Vec<BundleChild>,
    ) -> Result<Vec<CartLine>, CartError> {
        let parent = new_line(by_sku("RING"), quantity, source, vec![]);
        self.sell(Piece::Bundle(Bundle { parent, children }))
    }
}

fn warning_text() -> Message {
    Message { key: "adjusted".into(), parameters: vec![], text: "Adjusted".into() }
}

fn pin() -> Pin {
    Pin {
        account: "vendor".parse().unwrap(),
        plugin: "vendor".parse().unwrap(),
        digest: Digest::of(b"plugin"),
        strategy_account: "vendor".parse().unwrap(),
        strategy_digest: Digest::of(b"plugin"),
        strategy: "simple".into(),
    }
}

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
        converts in any::<bool>(),
    ) {
        let mut counter = Counter::new(scale, rounding);
        (counter.price_from, counter.wanted) = (source, quantity);
        counter.variants = vec![variant("RING", price.clone())];
        let mut exact = match source {
            PriceSource::Platform => fine(price.minor, price.scale) * quantity,
            PriceSource::Vendor => {
                let currency = if converts { "USD" } else { "EUR" };
                let amount = Money { currency: currency.into(), ..price.clone() };
                let (tax, state) = (TaxBasis::Gross, PriceState::Verified);
                let said = Price { amount, basis, tax, state, valid_until: None };
                let text = rust_decimal::Decimal::try_from_i128_with_scale(rate.0.into(), rate.1).unwrap().to_string();
                match convert(said, "it", Some(&text), &counter.context) {
                    Ok(price) => counter.vendor = vec![Some(price)],
                    // The amount is too large for a price.
                    Err(_) => return Ok(()),
                }
                let times = if basis == PriceBasis::Unit { quantity } else { 1 };
                let rate = if converts { rate } else { (1, 0) };
                fine(price.minor, price.scale) * rate.0 * times / BigInt::from(10).pow(rate.1)
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
        for (number, ((minor, scale), count, on_top, _)) in parts.iter().enumerate() {
            let sku = format!("PART-{number}");
            counter.variants.push(variant(&sku, money(*minor, *scale)));
            // At least one child is not on top of the bundle's price.
            children.push(child(&sku, *count, *on_top && number > 0));
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
            false => costs(fine(own.0, own.1) * quantity, &|number| children[number].on_top),
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
    let alone = counter.sell(Piece::Line(new_line(by_sku("SCREW"), 4, PriceSource::Platform, vec![])));
    assert!(matches!(&alone, Err(CartError::Quantity { minimum: 100, .. })), "{alone:?}");
}

fn shop() -> Shop {
    Shop::new("shop".parse().unwrap(), "EUR", 2, Secret::new("a key of the tests, 32 bytes long"))
}

/// Returns a sealed line of its own.
fn sealed(number: usize, shown: &str) -> CartLine {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.variants = vec![variant("RING", money(900, 2))];
    let mut planned = new_line(by_sku("RING"), 1, PriceSource::Platform, vec![]);
    planned.shown = Some(vec![LinePart { name: "Text".into(), value: shown.into() }]);
    let mut line = counter.sell(Piece::Line(planned)).unwrap().remove(0);
    line.key = format!("{number:064}");
    line.item = u32::try_from(number).ok();
    line.configuration = Some(Digest::of(b"configuration"));
    line.seal(&shop()).unwrap();
    line
}

#[test]
fn a_seal_holds_for_the_money_that_the_shop_sells_in() {
    let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let line = sealed(1, "Anna");
    assert_eq!(line.check_seal(&shop(), at), Ok(()));
    assert_eq!(line.check_seal(&Shop { currency: "JPY".into(), ..shop() }, at), Err(SealError::OtherMoney));
    assert_eq!(line.check_seal(&Shop { scale: 3, ..shop() }, at), Err(SealError::OtherMoney));
    let expired = at + jiff::SignedDuration::from_hours(24);
    assert_eq!(line.check_seal(&shop(), expired), Err(SealError::Expired));
    let forged = CartLine { configuration: None, ..line };
    assert_eq!(forged.check_seal(&Shop { currency: "JPY".into(), ..shop() }, at), Err(SealError::Forged));
}

#[test]
fn what_a_line_shows_is_readable_and_the_merchant_is_warned_of_what_was_cut() {
    let mut warnings = Vec::new();
    let mut line = sealed(1, "Anna\nTom");
    line.title = "x".repeat(5_000);
    line.sanitize_texts(&mut warnings).unwrap();
    assert_eq!(line.shown[0].value, "Anna Tom");
    assert!(line.title.chars().count() == 1_000 && line.title.ends_with('…'));
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.key == "text-cut" && warning.text.contains("5000 characters"), "{warning:?}");
    let mut zero = sealed(1, "a\0b");
    assert!(matches!(zero.sanitize_texts(&mut warnings), Err(CartError::Configuration(_))));
}

#[test]
fn a_cart_of_more_lines_than_a_plan_may_have_is_refused_with_the_limit() {
    let line = sealed(1, "Anna");
    let Err(error) = CartIndex::new(&vec![line; MAX_LINES + 1]) else { panic!("it is taken") };
    let text = error.to_string();
    assert!(
        matches!(error, CartError::OverBudget(_)) && text.contains("10001") && text.contains("limit cart_lines"),
        "{text}"
    );
}

fn nulls(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|number| format!("\"{number:x}\":null")).collect();
    format!("{{{}}}", members.join(","))
}

/// Returns a chain of items, each the parent of the next, with a state each.
fn chain(count: usize) -> Vec<Item> {
    let state = format!("[{}]", vec!["1"; 50].join(","));
    let named = |number: usize| Item {
        id: Some(number.to_string()),
        parent: number.checked_sub(1).map(|parent| parent.to_string()),
        articles: (0..10).map(|part| article(&format!("{number}-{part}"), "1")).collect(),
        ..item(&state)
    };
    (0..count).map(named).collect()
}

#[test]
fn states_cost_no_more_than_their_length() {
    assert_linear("members that are null", 8_000, nulls, |text| drop(canonical(text).unwrap()));
    let unsorted = |count: usize| {
        format!("{{{}}}", (0..count).rev().map(|number| format!("\"{number:06}\":[]")).collect::<Vec<_>>().join(","))
    };
    assert_linear("members", 8_000, unsorted, |text| drop(canonical(text).unwrap()));
    let numbers = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert_linear("numbers", 16_000, numbers, |text| drop(canonical(text).unwrap()));
    let digits = |count: usize| "9".repeat(count);
    assert_linear("digits of one number", 40_000, digits, |text| drop(canonical(text).unwrap()));
    let escapes = |count: usize| format!("\"{}\"", "\\ud83d".repeat(count));
    assert_linear("escapes", 16_000, escapes, |text| drop(canonical(text).unwrap()));
    let nested = |count: usize| {
        let one = format!("{}1{}", "{\"b\":".repeat(90), ",\"a\":1}".repeat(90));
        format!("[{}]", vec![one; count].join(","))
    };
    assert_linear("deep objects", 40, nested, |text| drop(canonical(text).unwrap()));
}

#[test]
fn a_chain_of_items_costs_no_more_than_its_length() {
    let fingerprint = |items: &Vec<Item>| drop(fingerprints(items, &item_tree(items).unwrap()).unwrap());
    assert_linear("items in a chain", 400, chain, fingerprint);
    let backwards = |count| {
        let mut items = chain(count);
        items.reverse();
        items
    };
    assert_linear("items in a chain, children first", 400, backwards, fingerprint);
}

#[test]
fn attributes_cost_no_more_than_their_number() {
    let counter = |count: usize| {
        let attribute = |number: usize| Attribute {
            id: number.to_string(),
            name: "Text".into(),
            value: "Anna".into(),
            value_id: None,
            key: None,
            hidden: false,
            kind: "text".into(),
        };
        let mut counter = Counter::with(vec![Item { attributes: (0..count).map(attribute).collect(), ..item("") }]);
        counter.variants = vec![variant("RING", money(900, 2))];
        counter
    };
    let sell = |counter: &Counter| {
        fingerprints(&counter.items, &item_tree(&counter.items).unwrap()).unwrap();
        let mut line = counter.sell_line(1, PriceSource::Platform, &[]).unwrap();
        line.sanitize_texts(&mut Vec::new()).unwrap();
        line.seal(&shop()).unwrap();
        assert_eq!(line.shown.len(), counter.items[0].attributes.len());
    };
    assert_linear("attributes", 2_000, counter, sell);
}

#[test]
fn bills_of_materials_cost_no_more_than_their_length() {
    let counter = |count| {
        let mut counter = Counter::with(chain(count));
        counter.variants = vec![variant("RING", money(900, 2))];
        counter
    };
    let sell = |counter: &Counter| {
        let line = counter.sell_line(1, PriceSource::Platform, &[]).unwrap();
        assert_eq!(line.bill_of_materials.len(), counter.items.len() * 10);
    };
    assert_linear("articles", 400, counter, sell);
    let priced = |count| {
        let mut counter = counter(count);
        counter.price_from = PriceSource::Components;
        let articles = counter.items.iter().flat_map(|item| &item.articles);
        counter.variants.extend(articles.map(|article| variant(&article.sku, money(1, 3))).collect::<Vec<_>>());
        counter
    };
    let sell = |counter: &Counter| drop(counter.sell_line(1, PriceSource::Components, &[]).unwrap());
    assert_linear("priced articles", 200, priced, sell);
}

#[test]
fn bundles_cost_no_more_than_their_parts_and_what_was_taken_out_of_them() {
    let bundle = |count: usize| {
        let mut counter = Counter::new(2, Rounding::HalfUp);
        counter.price_from = PriceSource::Components;
        let skus: Vec<String> = (0..count).map(|number| format!("PART-{number}")).collect();
        counter.items[0].articles = skus.iter().map(|sku| article(sku, "1")).collect();
        counter.variants = skus.iter().map(|sku| variant(sku, money(7, 3))).collect();
        counter.variants.push(variant("RING", money(900, 2)));
        let children: Vec<BundleChild> = skus.iter().map(|sku| child(sku, 1, false)).collect();
        let bundle = counter.sell_bundle(1, PriceSource::Components, children.clone()).unwrap();
        let out = bundle.iter().skip(2).filter_map(|line| line.part).collect();
        counter.removed_parts = RemovedParts(HashMap::from([(Some(0), out)]));
        (counter, children)
    };
    let sell = |(counter, children): &(Counter, Vec<BundleChild>)| {
        let rest = counter.sell_bundle(1, PriceSource::Components, children.clone()).unwrap();
        assert_eq!((rest.len(), rest[0].bill_of_materials.len()), (2, 1));
    };
    assert_linear("parts", 500, bundle, sell);
}

#[test]
fn carts_cost_no_more_than_their_lines() {
    let lines = |count: usize| {
        let line = sealed(0, "Anna");
        let numbered = |number: usize| {
            let item_id = number.is_multiple_of(2).then(|| number.to_string());
            CartLine { key: format!("{number:064}"), item: u32::try_from(number).ok(), item_id, ..line.clone() }
        };
        (0..count).map(numbered).collect::<Vec<CartLine>>()
    };
    let settle = |lines: &Vec<CartLine>| {
        let cart = CartIndex::new(lines).unwrap();
        let replace = |line: &CartLine| CartOperation::Replace { key: line.key.clone(), lines: vec![line.clone()] };
        assert_eq!(drop_unchanged(lines.iter().map(replace).collect(), &cart), []);
    };
    assert_linear("lines that are replaced", 1_000, lines, settle);
    let edited = |count: usize| {
        let lines = lines(count);
        let root = |line: &CartLine| Item { id: line.item_id.clone(), ..item("") };
        let items: Vec<Item> = lines.iter().map(root).collect();
        // Every item has changed its position.
        let families: Vec<Vec<CartLine>> = (0..count)
            .map(|at| {
                let key = lines[(at + 1) % count].key.clone();
                vec![CartLine { item: u32::try_from(at).ok(), key, ..lines[at].clone() }]
            })
            .collect();
        (lines, items, families)
    };
    let place = |(lines, items, families): &(Vec<CartLine>, Vec<Item>, Vec<Vec<CartLine>>)| {
        let (moves, gone) = Placement::of(&lines[0], 1, items, lines).moves(families.clone());
        assert!(moves.iter().all(|moved| moved.replaces.as_ref() == Some(&moved.lines[0].key)) && gone.is_empty());
    };
    assert_linear("lines that are edited together", 600, edited, place);
    let family = |count: usize| {
        let mut lines = lines(count);
        let key = lines[0].key.clone();
        lines.iter_mut().skip(1).for_each(|line| line.parent = Some(key.clone()));
        lines
    };
    let check = |lines: &Vec<CartLine>| {
        let cart = CartIndex::new(lines).unwrap();
        assert_eq!((cart.with_children(&lines[0]).len(), cart.keys(&lines[0].key).len()), (lines.len(), lines.len()));
    };
    assert_linear("children of a bundle", 1_000, family, check);
}
