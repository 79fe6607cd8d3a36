//! Strategies that return forbidden plans. The tests' shop sells in euros with two decimals.

use std::hash::{BuildHasher, RandomState};

use cartwright_plugin::strategy::{Planned, Request};
use cartwright_plugin::types::{
    Adjustment, Bundle, BundleChild, CallError, ChildRemoval, LinePart, Money, NamedJson, NewLine, Piece, PriceSource,
    SkuQuery, Target,
};
use cartwright_plugin::{catalog, internal, message};

use crate::{line, pieces, plan};

pub fn reduction(request: Request) -> Result<Planned, CallError> {
    adjusted(request, Money { minor: -1_000_000, scale: 2, currency: "EUR".to_owned() })
}

pub fn wrong_currency(request: Request) -> Result<Planned, CallError> {
    adjusted(request, Money { minor: 1, scale: 2, currency: "XTS".to_owned() })
}

pub fn wrong_scale(request: Request) -> Result<Planned, CallError> {
    adjusted(request, Money { minor: 1, scale: 9, currency: "EUR".to_owned() })
}

pub fn scale_too_large(request: Request) -> Result<Planned, CallError> {
    adjusted(request, Money { minor: i64::MIN, scale: u8::MAX, currency: "EUR".to_owned() })
}

/// Adds five euros for the engraving, which is allowed because the line states it.
pub fn engraving(request: Request) -> Result<Planned, CallError> {
    adjusted(request, Money { minor: 500, scale: 2, currency: "EUR".to_owned() })
}

fn adjusted(request: Request, amount: Money) -> Result<Planned, CallError> {
    let mut line = line(&request);
    line.price.adjustments.push(Adjustment { label: message("adjusted", "Adjusted", &[]), amount });
    plan(line)
}

pub fn other_price_source(request: Request) -> Result<Planned, CallError> {
    let mut line = line(&request);
    line.price.source = match request.price_from {
        PriceSource::Platform => PriceSource::Components,
        PriceSource::Vendor | PriceSource::Components => PriceSource::Platform,
    };
    plan(line)
}

pub fn no_item(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { item: None, ..line(&request) })
}

pub fn item_out_of_range(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { item: Some(u32::MAX), ..line(&request) })
}

pub fn text_line(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { target: Target::Text("For nothing".to_owned()), ..line(&request) })
}

pub fn text_parent(request: Request) -> Result<Planned, CallError> {
    let parent = NewLine { target: Target::Text("For nothing".to_owned()), ..line(&request) };
    pieces(vec![Piece::Bundle(bundle(parent, Vec::new()))])
}

pub fn unknown_variant(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { target: Target::VariantId("no-such-variant".to_owned()), ..line(&request) })
}

pub fn unknown_sku(request: Request) -> Result<Planned, CallError> {
    let query = SkuQuery { sku: "NO-SUCH-SKU".to_owned(), within_product: None, ignore_case: false };
    plan(NewLine { target: Target::Sku(query), ..line(&request) })
}

pub fn quantity_zero(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { quantity: 0, ..line(&request) })
}

pub fn quantity_largest(request: Request) -> Result<Planned, CallError> {
    plan(NewLine { quantity: u32::MAX, ..line(&request) })
}

pub fn child_quantity_zero(request: Request) -> Result<Planned, CallError> {
    pieces(vec![Piece::Bundle(bundle(line(&request), vec![text_child(0)]))])
}

/// Repeats a child: equal children are added up, and multiplied by the bundle's quantity.
pub fn quantity_overflow(request: Request) -> Result<Planned, CallError> {
    let parent = NewLine { quantity: u32::MAX, ..line(&request) };
    pieces(vec![Piece::Bundle(bundle(parent, vec![text_child(u32::MAX), text_child(u32::MAX)]))])
}

/// Names one product in two ways: a hinge by its SKU, and by its id.
pub fn one_child_by_two_names(request: Request) -> Result<Planned, CallError> {
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
            shown: None,
            on_top: false,
            removal: ChildRemoval::Refused,
            extra: Vec::new(),
        });
    pieces(vec![Piece::Bundle(bundle(line(&request), children.to_vec()))])
}

/// Adds an optional part, which is allowed: two hinges are included in the price, and a screw is priced separately and
/// can be removed.
pub fn gift_wrap(request: Request) -> Result<Planned, CallError> {
    let hinges = child("HINGE", 2, false, ChildRemoval::Refused);
    let screw = child("SCREW-4", 1, true, ChildRemoval::Repriced);
    pieces(vec![Piece::Bundle(bundle(line(&request), vec![hinges, screw]))])
}

/// Returns a bundle of the item's articles, each priced and removable as its SKU states, consistent or not: "on-top",
/// "repriced", "text".
pub fn as_marked(request: Request) -> Result<Planned, CallError> {
    let children = request.items[0].articles.iter().map(|article| {
        let removal = match article.sku.as_str() {
            "repriced" => ChildRemoval::Repriced,
            _ => ChildRemoval::Refused,
        };
        let quantity = article.quantity.parse().unwrap_or(1);
        match article.sku.as_str() {
            "text" => text_child(quantity),
            mark => child(article.price_sku.as_deref().unwrap_or_default(), quantity, mark == "on-top", removal),
        }
    });
    pieces(vec![Piece::Bundle(bundle(line(&request), children.collect()))])
}

pub fn more_than_asked(request: Request) -> Result<Planned, CallError> {
    let line = line(&request);
    pieces(vec![Piece::Line(line.clone()), Piece::Line(line)])
}

pub fn unknown_piece(_: Request) -> Result<Planned, CallError> {
    let other = NamedJson { name: "hostile.give-away".to_owned(), json: "{not json".to_owned() };
    pieces(vec![Piece::Other(other)])
}

pub fn must_be_understood(request: Request) -> Result<Planned, CallError> {
    let extra = vec![NamedJson { name: "!sold-by-meter".to_owned(), json: "true".to_owned() }];
    plan(NewLine { extra, ..line(&request) })
}

pub fn different_every_time(request: Request) -> Result<Planned, CallError> {
    let title = RandomState::new().hash_one(()).to_string();
    plan(NewLine { title: Some(title), ..line(&request) })
}

/// Returns texts that attack a page which shows them unescaped.
pub fn markup(request: Request) -> Result<Planned, CallError> {
    let text = "<script>alert(1)</script>\u{202e}\u{7}\r\nX-Header: 1".to_owned();
    let shown = vec![LinePart { name: text.clone(), value: text.clone() }];
    plan(NewLine { title: Some(text), shown: Some(shown), ..line(&request) })
}

fn bundle(parent: NewLine, children: Vec<BundleChild>) -> Bundle {
    Bundle { parent, children }
}

fn child(sku: &str, quantity: u32, on_top: bool, removal: ChildRemoval) -> BundleChild {
    BundleChild {
        target: Target::Sku(SkuQuery { sku: sku.to_owned(), within_product: None, ignore_case: false }),
        quantity,
        title: None,
        shown: None,
        on_top,
        removal,
        extra: Vec::new(),
    }
}

fn text_child(quantity: u32) -> BundleChild {
    BundleChild {
        target: Target::Text("Part".to_owned()),
        quantity,
        title: None,
        shown: None,
        on_top: false,
        removal: ChildRemoval::Refused,
        extra: Vec::new(),
    }
}
