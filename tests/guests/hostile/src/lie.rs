//! Strategies that return forbidden plans. The tests' shop sells in euros with two decimals.

use std::hash::{BuildHasher, RandomState};

use cartwright_plugin::strategy::{PlanRequest, PlanResult};
use cartwright_plugin::types::{
    Adjustment, Bundle, BundleChild, CallError, ChildRemoval, DisplayField, LinePrice, LineSet, Money, NamedJson,
    PlanEntry, PlannedLine, PriceSource, SkuQuery, Target,
};
use cartwright_plugin::{catalog, internal, message};

use crate::{entries, line, plan};

pub fn reduction(request: PlanRequest) -> Result<PlanResult, CallError> {
    adjusted(request, Money { minor: -1_000_000, scale: 2, currency: "EUR".to_owned() })
}

pub fn wrong_currency(request: PlanRequest) -> Result<PlanResult, CallError> {
    adjusted(request, Money { minor: 1, scale: 2, currency: "XTS".to_owned() })
}

pub fn wrong_scale(request: PlanRequest) -> Result<PlanResult, CallError> {
    adjusted(request, Money { minor: 1, scale: 9, currency: "EUR".to_owned() })
}

pub fn scale_too_large(request: PlanRequest) -> Result<PlanResult, CallError> {
    adjusted(request, Money { minor: i64::MIN, scale: u8::MAX, currency: "EUR".to_owned() })
}

/// Adds five euros for the engraving, which is allowed because the line states it.
pub fn engraving(request: PlanRequest) -> Result<PlanResult, CallError> {
    adjusted(request, Money { minor: 500, scale: 2, currency: "EUR".to_owned() })
}

fn adjusted(request: PlanRequest, amount: Money) -> Result<PlanResult, CallError> {
    let mut line = line(&request);
    line.price.adjustments.push(Adjustment { label: message("adjusted", "Adjusted", &[]), amount });
    plan(line)
}

pub fn other_price_source(request: PlanRequest) -> Result<PlanResult, CallError> {
    let mut line = line(&request);
    line.price.source = match request.price_from {
        PriceSource::Platform => PriceSource::Components,
        PriceSource::Vendor | PriceSource::Components => PriceSource::Platform,
    };
    plan(line)
}

pub fn no_item(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { item: None, ..line(&request) })
}

pub fn item_out_of_range(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { item: Some(u32::MAX), ..line(&request) })
}

pub fn text_line(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { target: Target::Text("For nothing".to_owned()), ..line(&request) })
}

pub fn text_parent(request: PlanRequest) -> Result<PlanResult, CallError> {
    let parent = PlannedLine { target: Target::Text("For nothing".to_owned()), ..line(&request) };
    entries(vec![PlanEntry::Bundle(bundle(parent, Vec::new()))])
}

pub fn unknown_variant(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { target: Target::VariantId("no-such-variant".to_owned()), ..line(&request) })
}

pub fn unknown_sku(request: PlanRequest) -> Result<PlanResult, CallError> {
    let query = SkuQuery { sku: "NO-SUCH-SKU".to_owned(), within_product: None, ignore_case: false };
    plan(PlannedLine { target: Target::Sku(query), ..line(&request) })
}

pub fn quantity_zero(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { quantity: 0, ..line(&request) })
}

pub fn quantity_largest(request: PlanRequest) -> Result<PlanResult, CallError> {
    plan(PlannedLine { quantity: u32::MAX, ..line(&request) })
}

pub fn child_quantity_zero(request: PlanRequest) -> Result<PlanResult, CallError> {
    entries(vec![PlanEntry::Bundle(bundle(line(&request), vec![text_child(0)]))])
}

/// Repeats a child: equal children are added up, and multiplied by the bundle's quantity.
pub fn quantity_overflow(request: PlanRequest) -> Result<PlanResult, CallError> {
    let parent = PlannedLine { quantity: u32::MAX, ..line(&request) };
    entries(vec![PlanEntry::Bundle(bundle(parent, vec![text_child(u32::MAX), text_child(u32::MAX)]))])
}

/// Names one product in two ways: a hinge by its SKU, and by its id.
pub fn one_child_by_two_names(request: PlanRequest) -> Result<PlanResult, CallError> {
    let query = SkuQuery { sku: "HINGE".to_owned(), within_product: None, ignore_case: false };
    let found = catalog::resolve(std::slice::from_ref(&query))?;
    let Some(hinge) = found.first().and_then(|found| found.first()) else {
        return Err(internal("the tests' shop sells hinges"));
    };
    let children =
        [(Target::Sku(query), 1), (Target::VariantId(hinge.id.clone()), 2)].map(|(target, quantity)| BundleChild {
            target,
            quantity,
            title: None,
            display_fields: None,
            priced_separately: false,
            removal: ChildRemoval::Refused,
            extra: Vec::new(),
        });
    entries(vec![PlanEntry::Bundle(bundle(line(&request), children.to_vec()))])
}

/// Adds an optional part, which is allowed: two hinges are included in the price, and a screw is priced separately and
/// can be removed.
pub fn gift_wrap(request: PlanRequest) -> Result<PlanResult, CallError> {
    let hinges = child("HINGE", 2, false, ChildRemoval::Refused);
    let screw = child("SCREW-4", 1, true, ChildRemoval::Repriced);
    entries(vec![PlanEntry::Bundle(bundle(line(&request), vec![hinges, screw]))])
}

/// Plans a set, which is allowed: the configured product, and two hinges for each of it on a line of their own.
pub fn set(request: PlanRequest) -> Result<PlanResult, CallError> {
    let item = line(&request);
    let hinges = PlannedLine {
        target: Target::Sku(SkuQuery { sku: "HINGE".to_owned(), within_product: None, ignore_case: false }),
        quantity: 2 * item.quantity,
        price: LinePrice { source: PriceSource::Platform, adjustments: Vec::new(), ignore_case: false },
        item: None,
        ..line(&request)
    };
    entries(vec![PlanEntry::Set(LineSet { lines: vec![hinges, item], extra: Vec::new() })])
}

/// Plans a line without an item beside the configured product.
pub fn line_beside(request: PlanRequest) -> Result<PlanResult, CallError> {
    let hinges = PlannedLine {
        target: Target::Sku(SkuQuery { sku: "HINGE".to_owned(), within_product: None, ignore_case: false }),
        item: None,
        ..line(&request)
    };
    entries(vec![PlanEntry::Line(line(&request)), PlanEntry::Line(hinges)])
}

pub fn set_of_one(request: PlanRequest) -> Result<PlanResult, CallError> {
    entries(vec![PlanEntry::Set(LineSet { lines: vec![line(&request)], extra: Vec::new() })])
}

pub fn unknown_target(request: PlanRequest) -> Result<PlanResult, CallError> {
    let other = NamedJson { name: "hostile.by-weight".to_owned(), json: "{not json".to_owned() };
    plan(PlannedLine { target: Target::Other(other), ..line(&request) })
}

/// Returns a bundle of the item's articles, each priced and removable as its SKU states, consistent or not:
/// "priced-separately", "repriced", "text".
pub fn as_marked(request: PlanRequest) -> Result<PlanResult, CallError> {
    let children = request.items[0].articles.iter().map(|article| {
        let removal = match article.sku.as_str() {
            "repriced" => ChildRemoval::Repriced,
            _ => ChildRemoval::Refused,
        };
        let quantity = article.quantity.parse().unwrap_or(1);
        match article.sku.as_str() {
            "text" => text_child(quantity),
            mark => {
                child(article.price_sku.as_deref().unwrap_or_default(), quantity, mark == "priced-separately", removal)
            }
        }
    });
    entries(vec![PlanEntry::Bundle(bundle(line(&request), children.collect()))])
}

pub fn more_than_asked(request: PlanRequest) -> Result<PlanResult, CallError> {
    let line = line(&request);
    entries(vec![PlanEntry::Line(line.clone()), PlanEntry::Line(line)])
}

pub fn unknown_entry(_: PlanRequest) -> Result<PlanResult, CallError> {
    let other = NamedJson { name: "hostile.give-away".to_owned(), json: "{not json".to_owned() };
    entries(vec![PlanEntry::Other(other)])
}

pub fn must_be_understood(request: PlanRequest) -> Result<PlanResult, CallError> {
    let extra = vec![NamedJson { name: "!sold-by-meter".to_owned(), json: "true".to_owned() }];
    plan(PlannedLine { extra, ..line(&request) })
}

pub fn different_every_time(request: PlanRequest) -> Result<PlanResult, CallError> {
    let title = RandomState::new().hash_one(()).to_string();
    plan(PlannedLine { title: Some(title), ..line(&request) })
}

/// Returns texts that attack a page which shows them unescaped.
pub fn markup(request: PlanRequest) -> Result<PlanResult, CallError> {
    let text = "<script>alert(1)</script>\u{202e}\u{7}\r\nX-Header: 1".to_owned();
    let display_fields = vec![DisplayField { name: text.clone(), value: text.clone() }];
    plan(PlannedLine { title: Some(text), display_fields: Some(display_fields), ..line(&request) })
}

fn bundle(parent: PlannedLine, children: Vec<BundleChild>) -> Bundle {
    Bundle { parent, children, extra: Vec::new() }
}

fn child(sku: &str, quantity: u32, priced_separately: bool, removal: ChildRemoval) -> BundleChild {
    BundleChild {
        target: Target::Sku(SkuQuery { sku: sku.to_owned(), within_product: None, ignore_case: false }),
        quantity,
        title: None,
        display_fields: None,
        priced_separately,
        removal,
        extra: Vec::new(),
    }
}

fn text_child(quantity: u32) -> BundleChild {
    BundleChild {
        target: Target::Text("Part".to_owned()),
        quantity,
        title: None,
        display_fields: None,
        priced_separately: false,
        removal: ChildRemoval::Refused,
        extra: Vec::new(),
    }
}
