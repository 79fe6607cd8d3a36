//! Rules that hold for every plan: the prices of lines, bundles and sets, and linear cost in the length of each list of
//! a request.

mod growth;
mod items;
mod prices;
mod sets;

use std::collections::HashMap;

use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{Digest, ShopId};
use cartwright_contract::records::{
    self, Adjustment, Article, Bundle, BundleChild, ChildRemoval, Currency, DisplayField, Item, LinePrice, Message,
    Money, PlanEntry, PlannedLine, PriceSource, Rounding, SkuQuery, Target, VariantInfo,
};
use cartwright_contract::settings::Secret;
use jiff::Timestamp;

use super::error::SealError;
use super::index::{CartIndex, RemovedParts};
use super::line::{CartLine, Pin};
use super::plan::{Descendant, ItemFacts, PlanCheck, key_of, queries};
use super::pricing::{Pricing, VendorPrice};
use super::quote::{check_quote_lines, quote_lines};
use super::shop::{Currencies, Shop, Visitor};
use super::tree::item_tree;
use super::*;

/// A shop with one configured product, and the data that its plans are checked against.
struct Counter {
    shop_id: ShopId,
    shop: records::Shop,
    currency: Currency,
    items: Vec<Item>,
    facts: Vec<ItemFacts>,
    vendor: Vec<Option<VendorPrice>>,
    variants: Vec<VariantInfo>,
    price_from: PriceSource,
    wanted: u32,
    removed_parts: RemovedParts,
    grants: Grants,
}

fn money(minor: i64, scale: u8) -> Money {
    Money { minor, scale, currency: "EUR".into() }
}

pub(crate) fn item(state: &str) -> Item {
    Item {
        id: None,
        parent: None,
        vendor_product: "1".into(),
        title: None,
        quantity: 1,
        attributes: vec![],
        articles: vec![],
        sku: None,
        saved_id: None,
        thumbnail: None,
        state: state.into(),
        unverified: None,
        valid_until: None,
        extra: vec![],
    }
}

pub(crate) fn article(sku: &str, quantity: &str) -> Article {
    Article {
        sku: sku.into(),
        title: None,
        quantity: quantity.into(),
        unit: None,
        price_sku: Some(sku.into()),
        price: None,
        material_sku: None,
        parent: None,
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
        in_stock: None,
        weight_grams: None,
        minimum: 1,
        maximum: None,
        extra: Vec::new(),
    }
}

fn planned_line(target: Target, quantity: u32, source: PriceSource, adjustments: Vec<Adjustment>) -> PlannedLine {
    PlannedLine {
        target,
        quantity,
        title: None,
        display_fields: None,
        price: LinePrice { source, adjustments, ignore_case: false },
        item: Some(0),
        extra: vec![],
    }
}

fn by_sku(sku: &str) -> Target {
    Target::Sku(SkuQuery { sku: sku.into(), within_product: None, ignore_case: false })
}

fn child(sku: &str, quantity: u32, priced_separately: bool) -> BundleChild {
    BundleChild {
        target: by_sku(sku),
        quantity,
        title: None,
        display_fields: None,
        priced_separately,
        removal: ChildRemoval::Repriced,
        extra: vec![],
    }
}

fn text_child(text: &str) -> BundleChild {
    BundleChild { target: Target::Text(text.into()), ..child("", 1, false) }
}

impl Counter {
    fn new(scale: u8, rounding: Rounding) -> Self {
        let currency = Currency { code: "EUR".into(), scale };
        let shop = records::Shop {
            id: "shop".into(),
            currencies: vec![currency.clone()],
            base_country: None,
            prices_include_tax: true,
            rounding,
            time_zone: None,
        };
        Self {
            shop_id: "shop".parse().unwrap(),
            shop,
            currency,
            items: vec![item("")],
            facts: vec![ItemFacts { descendants: vec![Descendant { index: 0, count: 1 }], ..ItemFacts::default() }],
            vendor: vec![],
            variants: vec![],
            price_from: PriceSource::Platform,
            wanted: 1,
            removed_parts: RemovedParts::default(),
            grants: Grants { adjust_prices: true, choose_price_source: true, ..Grants::default() },
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

    /// Checks a plan of one entry.
    fn sell(&self, entry: PlanEntry) -> Result<Vec<CartLine>, CartError> {
        self.check(&[entry]).map(|mut families| families.remove(0))
    }

    /// Checks a plan; the catalog contains the price of everything that is sold.
    fn check(&self, entries: &[PlanEntry]) -> Result<Vec<Vec<CartLine>>, CartError> {
        let all: HashMap<&str, &VariantInfo> =
            self.variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
        let requested = queries(entries);
        let found = |sku: &str| all.get(sku).map(|variant| vec![(*variant).clone()]).unwrap_or_default();
        let by_query = requested.iter().map(|query| (key_of(query), found(&query.sku))).collect();
        let articles =
            self.items.iter().flat_map(|item| &item.articles).filter_map(|article| article.price_sku.as_deref());
        let components = articles.map(|sku| ((sku, false), found(sku))).collect();
        let requested_quantities = HashMap::from([(Some(0), self.wanted)]);
        let checking = PlanCheck {
            shop: &self.shop_id,
            linked_product: "product",
            configuration: None,
            facts: &self.facts,
            pricing: Pricing {
                shop: &self.shop,
                currency: &self.currency,
                items: &self.items,
                vendor: &self.vendor,
                components: &components,
                requested_quantities: &requested_quantities,
            },
            price_from: self.price_from,
            quote: false,
            grants: &self.grants,
            pin: &pin(),
            removed_parts: &self.removed_parts,
            sell_unconfigured: false,
            now: "2026-01-01T00:00:00Z",
            expires: "2026-01-02T00:00:00Z",
            chosen_variant: None,
            linked_variants: &[],
            linked_by_id: &HashMap::new(),
            by_query: &by_query,
            by_id: &HashMap::new(),
        };
        let families = checking.check(entries)?;
        let below_minimum = checking.below_minimum(entries, &families)?;
        families.iter().try_for_each(|family| below_minimum.check(&family[0].key))?;
        Ok(families)
    }

    fn sell_line(&self, quantity: u32, source: PriceSource, adjustments: &[Money]) -> Result<CartLine, CartError> {
        let label = warning_text();
        let adjustments =
            adjustments.iter().map(|amount| Adjustment { label: label.clone(), amount: amount.clone() }).collect();
        let line = planned_line(by_sku("RING"), quantity, source, adjustments);
        self.sell(PlanEntry::Line(line)).map(|mut lines| lines.remove(0))
    }

    fn sell_bundle(
        &self,
        quantity: u32,
        source: PriceSource,
        children: Vec<BundleChild>,
    ) -> Result<Vec<CartLine>, CartError> {
        let parent = planned_line(by_sku("RING"), quantity, source, vec![]);
        self.sell(PlanEntry::Bundle(Bundle { parent, children, extra: vec![] }))
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

fn shop() -> Shop {
    Shop::new("shop".parse().unwrap(), "EUR", 2, Secret::new("a key of the tests, 32 bytes long"))
}

/// Returns a sealed line of its own.
fn sealed(number: usize, shown: &str) -> CartLine {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.variants = vec![variant("RING", money(900, 2))];
    let mut planned = planned_line(by_sku("RING"), 1, PriceSource::Platform, vec![]);
    planned.display_fields = Some(vec![DisplayField { name: "Text".into(), value: shown.into() }]);
    let mut line = counter.sell(PlanEntry::Line(planned)).unwrap().remove(0);
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
    let sells_in = |currencies: &[(&str, u8)]| {
        let list = currencies.iter().map(|(code, scale)| Currency { code: (*code).into(), scale: *scale });
        Shop { currencies: list.collect::<Vec<_>>().try_into().unwrap(), ..shop() }
    };
    assert_eq!(line.check_seal(&shop(), at), Ok(()));
    assert_eq!(line.check_seal(&sells_in(&[("JPY", 0), ("EUR", 2)]), at), Ok(()));
    assert_eq!(line.check_seal(&sells_in(&[("JPY", 0)]), at), Err(SealError::OtherMoney));
    assert_eq!(line.check_seal(&sells_in(&[("EUR", 3)]), at), Err(SealError::OtherMoney));
    let expired = at + jiff::SignedDuration::from_hours(24);
    assert_eq!(line.check_seal(&shop(), expired), Err(SealError::Expired));
    let forged = CartLine { configuration: None, ..line };
    assert_eq!(forged.check_seal(&sells_in(&[("JPY", 0)]), at), Err(SealError::Forged));
}

#[test]
fn a_price_holds_for_the_visitor_that_it_was_made_for() {
    let mut line = sealed(1, "Anna");
    let euro = Currency { code: "EUR".into(), scale: 2 };
    let visitor = Visitor {
        country: Some("NL".into()),
        region: Some("NB".into()),
        customer_groups: vec!["vip".to_owned(), "b2b".to_owned()].into(),
        ..Visitor::default()
    };
    line.price.country.clone_from(&visitor.country);
    line.price.region.clone_from(&visitor.region);
    line.price.customer_groups = vec!["b2b".to_owned(), "vip".to_owned()].into();
    assert!(line.is_priced_for(&visitor, &euro), "the order of the groups means nothing");
    for other in [
        Visitor { country: Some("BE".into()), ..visitor.clone() },
        Visitor { region: None, ..visitor.clone() },
        Visitor { customer_groups: vec!["b2b".to_owned()].into(), ..visitor.clone() },
    ] {
        assert!(!line.is_priced_for(&other, &euro), "{other:?}");
    }
    assert!(!line.is_priced_for(&visitor, &Currency { code: "USD".into(), scale: 2 }));
    assert!(!line.is_priced_for(&visitor, &Currency { code: "EUR".into(), scale: 3 }));
    line.price.offer = Some("quote".into());
    assert!(line.is_priced_for(&Visitor::default(), &euro), "an offer holds for the customer that it was made to");
    assert!(!line.is_priced_for(&visitor, &Currency { code: "USD".into(), scale: 2 }));
}

#[test]
fn a_seal_covers_what_the_price_was_made_for() {
    let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let line = sealed(1, "Anna");
    let changes: [fn(&mut CartLine); 4] = [
        |line| line.price.country = Some("NL".into()),
        |line| line.price.region = Some("NB".into()),
        |line| line.price.customer_groups = vec!["vip".to_owned()].into(),
        |line| line.price.total.currency = "USD".into(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = line.clone();
        change(&mut changed);
        assert_eq!(changed.check_seal(&shop(), at), Err(SealError::Forged), "{number}");
    }
}

#[test]
fn an_adjustment_in_another_currency_fails_and_names_the_line_and_the_currency_to_enter() {
    let mut counter = Counter::new(2, Rounding::HalfUp);
    counter.variants = vec![variant("RING", money(900, 2))];
    let dollars = Money { currency: "USD".into(), ..money(500, 2) };
    let CartError::Price { what, reason } =
        counter.sell_line(1, PriceSource::Platform, &[dollars]).expect_err("another currency")
    else {
        panic!("another error")
    };
    assert!(what.contains("RING"), "{what}");
    assert!(reason.contains("is in USD, the cart in EUR") && reason.contains("enter that in EUR"), "{reason}");
}

#[test]
fn a_quote_has_one_currency_and_is_offered_in_it() {
    let dollars = {
        let mut line = sealed(2, "Tom");
        line.price.total.currency = "USD".into();
        line.price.unit = None;
        line
    };
    let both = Shop {
        currencies: vec![Currency { code: "EUR".into(), scale: 2 }, Currency { code: "USD".into(), scale: 2 }]
            .try_into()
            .unwrap(),
        ..shop()
    };
    let mut lines = [sealed(1, "Anna"), dollars];
    lines.iter_mut().for_each(|line| line.seal(&both).unwrap());
    let refused = check_quote_lines(&both, &lines).unwrap_err();
    assert!(
        matches!(&refused, CartError::Seal { key, fault: SealError::OtherMoney } if *key == lines[1].key),
        "{refused}"
    );
    check_quote_lines(&both, &lines[1..]).unwrap();
    let offer = |currency: &str| QuoteOffer {
        quote: "quote".into(),
        prices: [(lines[1].key.clone(), Money { currency: currency.into(), ..money(700, 2) })].into(),
        until: std::time::SystemTime::UNIX_EPOCH,
    };
    let offered = quote_lines(&both, &lines[1..], &offer("USD")).unwrap();
    assert_eq!(offered[0].price.total, Money { currency: "USD".into(), ..money(700, 2) });
    let refused = quote_lines(&both, &lines[1..], &offer("EUR")).unwrap_err();
    assert!(matches!(refused, CartError::OfferMoney { .. }), "{refused}");
    let yen = Shop { currencies: Currencies::one("JPY", 0), ..shop() };
    let refused = quote_lines(&yen, &lines[1..], &offer("USD")).unwrap_err();
    assert!(matches!(refused, CartError::QuoteMoney { .. }), "{refused}");
}

#[test]
fn displayed_texts_are_sanitized_and_the_merchant_is_warned_of_truncation() {
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
