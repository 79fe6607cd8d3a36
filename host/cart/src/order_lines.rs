//! Order lines, checked against the rules of a cart as a whole.
//!
//! [`order_lines`] is the only way from cart lines to order lines. One line alone can only be checked against its seal.
//! Whether a bundle or a set is complete, a line is sold twice or a child's quantity is right depends on all lines of
//! the order.

use std::collections::BTreeMap;

use cartwright_contract::records::{Address, Money, Order, OrderLine};
use jiff::Timestamp;

use crate::budget::MAX_LINES;
use crate::check::is_family_complete;
use crate::codes::{is_country, is_currency, is_language_tag};
use crate::error::SealError;
use crate::line::CartLine;
use crate::money::MAX_SCALE;
use crate::order_error::{MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION, MoneyFault, OrderError};
use crate::shop::Shop;

/// Years in which an order may be placed.
const PLACED_AT_YEARS: std::ops::RangeInclusive<i16> = 1990..=2199;
const PAYMENTS: [&str; 4] = ["none", "part", "full", "refunded"];

/// A line of an order as the platform reports it.
#[derive(Debug, Clone, Copy)]
pub struct OrderedLine<'a> {
    /// The platform's id of the order line.
    pub id: &'a str,
    /// The cart line that was sold, as the host sealed it.
    pub line: &'a CartLine,
    /// Number of pieces to produce, from 0 to the sealed quantity. `None` means the sealed quantity; for a child of a
    /// bundle, the quantity that follows from its parent's; for a line of a set that does not name the configured
    /// product, its share of the sealed quantity, rounded up, by what is left of the line that does.
    pub quantity: Option<u32>,
    /// Whether the line may be produced once the order is released. `false` puts it on hold for the merchant.
    pub released: bool,
    /// Whether the merchant approved a line that the host put on hold.
    pub approved: bool,
    /// The platform's status of the line; "ordered" unless given.
    pub status: Option<&'a str>,
}

impl<'a> OrderedLine<'a> {
    /// Creates an order line with all pieces of a cart line, not on hold by the platform.
    pub fn new(id: &'a str, line: &'a CartLine) -> Self {
        Self { id, line, quantity: None, released: true, approved: false, status: None }
    }
}

/// Checks an amount of a platform: a currency of three ASCII capitals, 0 to [`MAX_SCALE`] decimals, not negative.
///
/// # Errors
/// Returns the [`MoneyFault`].
pub fn check_money(amount: &Money) -> Result<(), MoneyFault> {
    if !is_currency(&amount.currency) {
        return Err(MoneyFault::Currency(amount.currency.chars().take(40).collect()));
    }
    match amount {
        Money { scale, .. } if *scale > MAX_SCALE => Err(MoneyFault::Scale(*scale)),
        Money { minor: ..0, .. } => Err(MoneyFault::Negative),
        _ => Ok(()),
    }
}

/// Creates the lines of an order; `Cartwright::order_lines` documents the rules. `reference` returns the reference of
/// a line, given its id.
///
/// # Errors
/// The [`OrderError`] names the line and what to do.
#[allow(clippy::indexing_slicing, reason = "the indexes are positions of `lines`")]
pub fn order_lines(
    shop: &Shop,
    reference: impl Fn(&str) -> String,
    order: &str,
    total: &Money,
    lines: &[OrderedLine<'_>],
) -> Result<Vec<OrderLine>, OrderError> {
    check_id("the order id", order)?;
    if lines.len() > MAX_LINES {
        return Err(OrderError::TooManyLines(lines.len()));
    }
    let (mut ids, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (at, OrderedLine { id, line, status, .. }) in lines.iter().enumerate() {
        check_id("the line id", id)?;
        check_text("the status of a line", status.unwrap_or_default())?;
        match line.check_seal(shop, Timestamp::now()) {
            Ok(()) | Err(SealError::Expired | SealError::OtherMoney) => {}
            Err(fault) => {
                return Err(OrderError::Seal { line: (*id).to_owned(), key: line.key.clone(), fault });
            }
        }
        if ids.insert(*id, at).is_some() {
            return Err(OrderError::DuplicateId((*id).to_owned()));
        }
        if let Some(first) = keys.insert(line.key.as_str(), at) {
            let (first, second) = (lines[first].id.to_owned(), (*id).to_owned());
            return Err(OrderError::DuplicateLine { first, second, key: line.key.clone() });
        }
        if line.price.total.currency != total.currency {
            let (found, expected) = (line.price.total.currency.clone(), total.currency.clone());
            return Err(OrderError::Currency { line: (*id).to_owned(), found, expected });
        }
    }
    let mut by_position: Vec<Option<OrderLine>> = lines.iter().map(|_| None).collect();
    for (top, members) in families(lines, &keys)? {
        let family: Vec<usize> = std::iter::once(top).chain(members).collect();
        let on_hold = family.iter().any(|at| !lines[*at].released || is_on_hold(&lines[*at]));
        for (at, quantity) in family.iter().zip(pieces(lines, &family)?) {
            by_position[*at] = Some(order_line(&reference, &lines[*at], quantity, !on_hold));
        }
    }
    Ok(by_position.into_iter().flatten().collect())
}

fn order_line(
    reference: &impl Fn(&str) -> String,
    OrderedLine { id, line, status, .. }: &OrderedLine<'_>,
    quantity: u32,
    released: bool,
) -> OrderLine {
    let status = if quantity == 0 { "cancelled" } else { status.unwrap_or("ordered") };
    OrderLine {
        id: (*id).to_owned(),
        reference: reference(id),
        account: line.vendor_product.as_ref().map(|_| line.pin.account.to_string()),
        cart_line: cartwright_contract::records::CartLine { quantity, ..line.as_contract() },
        title: line.title.clone(),
        shown: line.shown.clone(),
        configuration: line.configuration.map(|digest| digest.to_string()),
        status: status.to_owned(),
        vendor_reference: None,
        released: released && quantity > 0,
        extra: Vec::new(),
    }
}

fn is_on_hold(ordered: &OrderedLine<'_>) -> bool {
    ordered.line.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.hold) && !ordered.approved
}

/// Returns the index of each top line with the indexes of the lines that belong to it, and checks that every bundle and
/// every set is complete.
#[allow(clippy::indexing_slicing, reason = "the indexes are positions of `lines`")]
fn families(
    lines: &[OrderedLine<'_>],
    keys: &BTreeMap<&str, usize>,
) -> Result<BTreeMap<usize, Vec<usize>>, OrderError> {
    let tops = lines.iter().enumerate().filter(|(_, ordered)| ordered.line.top_key().is_none());
    let mut families: BTreeMap<usize, Vec<usize>> = tops.map(|(at, _)| (at, Vec::new())).collect();
    for (at, OrderedLine { id, line, .. }) in lines.iter().enumerate() {
        let Some(top) = line.top_key() else { continue };
        let family = keys.get(top).and_then(|top| families.get_mut(top));
        let missing = || match &line.parent {
            Some(parent) => OrderError::MissingBundle { line: (*id).to_owned(), parent: parent.clone() },
            None => OrderError::MissingSet { line: (*id).to_owned(), set: top.to_owned() },
        };
        family.ok_or_else(missing)?.push(at);
    }
    for (top, members) in &families {
        let family: Vec<&CartLine> = std::iter::once(top).chain(members).map(|at| lines[*at].line).collect();
        if !is_family_complete(&family) {
            let line = lines[*top].id.to_owned();
            return Err(match lines[*top].line.set {
                Some(_) => OrderError::IncompleteSet { line },
                None => OrderError::IncompleteBundle { line },
            });
        }
    }
    Ok(families)
}

/// Returns the quantity to produce of each line of a family. The top line comes first.
#[allow(clippy::indexing_slicing, reason = "a family consists of positions of `lines`")]
fn pieces(lines: &[OrderedLine<'_>], family: &[usize]) -> Result<Vec<u32>, OrderError> {
    let mut bundles = 0;
    let mut pieces = Vec::with_capacity(family.len());
    for at in family {
        let OrderedLine { id, line, quantity, .. } = lines[*at];
        if line.parent.is_none() && line.top_key().is_some() {
            pieces.push(set_pieces(&lines[*at], lines[family[0]].line.quantity, bundles)?);
            continue;
        }
        let Some(per_bundle) = line.per_bundle.filter(|_| line.parent.is_some()) else {
            bundles = quantity.unwrap_or(line.quantity);
            if bundles > line.quantity {
                let (line, sealed) = (id.to_owned(), line.quantity);
                return Err(OrderError::Quantity { line, quantity: bundles, sealed });
            }
            pieces.push(bundles);
            continue;
        };
        let expected = u64::from(per_bundle) * u64::from(bundles);
        match quantity {
            Some(quantity) if u64::from(quantity) != expected => {
                return Err(OrderError::ChildQuantity { line: id.to_owned(), quantity, bundles, expected });
            }
            // At most the sealed quantity, which was a `u32`.
            _ => pieces.push(u32::try_from(expected).unwrap_or(line.quantity)),
        }
    }
    Ok(pieces)
}

/// Returns the quantity to produce of a line of a set, of which `left` of `sealed` remain of the line that names the
/// configured product. The strategy may plan packs, or one of something for any quantity, so the rest is rounded up.
fn set_pieces(ordered: &OrderedLine<'_>, sealed: u32, left: u32) -> Result<u32, OrderError> {
    let OrderedLine { id, line, quantity, .. } = ordered;
    match quantity {
        Some(quantity) if *quantity > line.quantity => {
            Err(OrderError::Quantity { line: (*id).to_owned(), quantity: *quantity, sealed: line.quantity })
        }
        Some(quantity) if *quantity > 0 && left == 0 => {
            Err(OrderError::SetQuantity { line: (*id).to_owned(), quantity: *quantity })
        }
        Some(quantity) => Ok(*quantity),
        None => {
            let share = (u64::from(line.quantity) * u64::from(left)).div_ceil(u64::from(sealed.max(1)));
            // At most the sealed quantity, which was a `u32`.
            Ok(u32::try_from(share).unwrap_or(line.quantity))
        }
    }
}

/// Checks an order beside its cart lines, as [`check_event`](crate::check_event) does.
///
/// # Errors
/// The [`OrderError`] names what is wrong.
pub fn check_order(order: &Order) -> Result<(), OrderError> {
    check_id("the order id", &order.id)?;
    if order.lines.len() > MAX_LINES {
        return Err(OrderError::TooManyLines(order.lines.len()));
    }
    let mut ids = BTreeMap::new();
    for line in &order.lines {
        check_id("the line id", &line.id)?;
        check_text("the status of a line", &line.status)?;
        if ids.insert(line.id.as_str(), ()).is_some() {
            return Err(OrderError::DuplicateId(line.id.clone()));
        }
    }
    check_text("the order's number", &order.number)?;
    // Searches ignore a "#" before an order number.
    if order.number.trim().trim_start_matches('#').is_empty() {
        return Err(OrderError::BlankNumber);
    }
    if !is_language_tag(&order.locale) {
        return Err(OrderError::Language(order.locale.chars().take(80).collect()));
    }
    if order.version > MAX_ORDER_VERSION {
        return Err(OrderError::Version(order.version));
    }
    check_time("the time when the order was placed", &order.placed_at)?;
    if !PAYMENTS.contains(&order.payment.as_str()) {
        return Err(OrderError::Payment(order.payment.chars().take(80).collect()));
    }
    check_amount("the order's total", &order.total)?;
    let addresses = [("billing", &order.billing), ("delivery", &order.delivery), ("shop's", &order.shop_address)];
    addresses
        .into_iter()
        .try_for_each(|(owner, address)| address.as_ref().map_or(Ok(()), |held| check_address(owner, held)))
}

fn check_address(owner: &'static str, address: &Address) -> Result<(), OrderError> {
    let Address { first_name, last_name, email, line1, line2, zip, city, region, country, company, vat, phone } =
        address;
    if !is_country(country) {
        return Err(OrderError::Country { owner, value: country.chars().take(80).collect() });
    }
    let texts = [first_name, last_name, line1, zip, city].into_iter();
    let mut texts = texts.chain([email, line2, region, company, vat, phone].into_iter().flatten());
    texts.try_for_each(|text| check_text(&format!("a line of the {owner} address"), text))
}

pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), OrderError> {
    // Browsers and proxies remove these two path segments from a URL.
    let is_dots = matches!(id, "." | "..");
    if (1..=MAX_ORDER_ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) && !is_dots {
        return Ok(());
    }
    Err(OrderError::Id { field, value: id.chars().take(80).collect() })
}

fn check_text(field: &str, text: &str) -> Result<(), OrderError> {
    match text.len() {
        0..=MAX_ORDER_TEXT_BYTES => Ok(()),
        length => Err(OrderError::Text { field: field.to_owned(), length }),
    }
}

pub(crate) fn check_amount(field: &'static str, amount: &Money) -> Result<(), OrderError> {
    check_money(amount).map_err(|fault| OrderError::Money { field, reason: fault.to_string() })
}

pub(crate) fn check_time(field: &'static str, text: &str) -> Result<(), OrderError> {
    let at = text.parse::<Timestamp>().ok();
    match at.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).year()) {
        Some(year) if PLACED_AT_YEARS.contains(&year) => Ok(()),
        _ => Err(OrderError::Time { field, value: text.chars().take(80).collect() }),
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
