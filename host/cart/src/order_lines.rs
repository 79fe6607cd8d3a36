//! Order lines: what a platform sold of a cart, held to the rules of a cart as a whole.
//!
//! [`order_lines`] is the only way from cart lines to order lines. A line alone is only as the host sealed it; whether a
//! bundle is whole, whether a line is sold twice and how many pieces a child has can be told of all lines of the order together.

use std::collections::{BTreeMap, BTreeSet};

use cartwright_contract::error::SetupError;
use cartwright_contract::records::{Address, Event, EventKind, LineQuantity, Money, Order, OrderLine};
use jiff::Timestamp;
use serde::Serialize;

use crate::budget::MAX_LINES;
use crate::check::is_bundle_consistent;
use crate::codes::{is_country, is_currency, is_language_tag};
use crate::error::SealError;
use crate::line::CartLine;
use crate::money::MAX_SCALE;
use crate::shop::Shop;

/// Maximum length of an id that a platform gives: of an order, of one of its lines, of an event.
pub const MAX_ORDER_ID_BYTES: usize = 200;
/// Maximum length of any other text of an order: a line of an address, a number, a status.
pub const MAX_ORDER_TEXT_BYTES: usize = 1_000;
/// Maximum version of an order: databases store it as a signed number of 64 bits.
pub const MAX_ORDER_VERSION: u64 = i64::MAX as u64;
/// The first character of the ids that the host gives orders and events of its own. A platform's ids never begin with it, so that
/// the two never meet.
pub const RESERVED_ID_PREFIX: char = '~';

/// The earliest and the latest year that an order may be placed in.
const PLACED_AT_YEARS: std::ops::RangeInclusive<i16> = 1990..=2199;
const PAYMENTS: [&str; 4] = ["none", "part", "full", "refunded"];

/// A line of an order, as the platform has it.
#[derive(Debug, Clone, Copy)]
pub struct OrderedLine<'a> {
    /// The platform's id of the order line.
    pub id: &'a str,
    /// The cart line that was sold, as the host sealed it.
    pub line: &'a CartLine,
    /// Pieces that are to be made, from 0 to those that were sealed. `None` stands for those that were sealed; for a child of a bundle,
    /// for as many as go with its parent's.
    pub quantity: Option<u32>,
    /// May the line be produced when the order may? `false` holds it back for the merchant.
    pub released: bool,
    /// Did the merchant approve what the host held back?
    pub approved: bool,
    /// How far the platform knows it to be; "ordered" unless it says so.
    pub status: Option<&'a str>,
}

impl<'a> OrderedLine<'a> {
    /// All pieces of a cart line, which the platform does not hold back.
    pub fn new(id: &'a str, line: &'a CartLine) -> Self {
        Self { id, line, quantity: None, released: true, approved: false, status: None }
    }
}

/// Why an order is refused. Nothing was recorded.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum OrderError {
    /// The shop is not set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An id cannot be one.
    #[error(
        "{field} {value:?} cannot be used: use 1 to {MAX_ORDER_ID_BYTES} bytes without control characters, and neither `.` nor `..`"
    )]
    Id {
        /// Which id.
        field: &'static str,
        /// The beginning of it.
        value: String,
    },
    /// An id is one of the host's own.
    #[error(
        "{field} {value:?} cannot be used: ids that begin with {RESERVED_ID_PREFIX:?} are the host's own; use another first character"
    )]
    ReservedId {
        /// Which id.
        field: &'static str,
        /// The id.
        value: String,
    },
    /// A text is too long.
    #[error("{field} has {length} bytes; at most {MAX_ORDER_TEXT_BYTES} are allowed")]
    Text {
        /// Which text.
        field: String,
        /// How long it is.
        length: usize,
    },
    /// The order has too many lines.
    #[error("the order has {0} lines; at most {MAX_LINES} are allowed")]
    TooManyLines(usize),
    /// Two lines have one id.
    #[error("duplicate line id {0:?}; give each line of the order its own id")]
    DuplicateId(String),
    /// A cart line was sold twice.
    #[error("the lines {first:?} and {second:?} are the same cart line {key}; report it once, with the pieces of both")]
    DuplicateLine {
        /// The first line's id.
        first: String,
        /// The second line's id.
        second: String,
        /// The cart line's key.
        key: String,
    },
    /// A line is not as the host sealed it: its reference and its bill of materials decide what is made.
    #[error("the line {line:?} ({key}): {fault}; report the cart line as the host gave it")]
    Seal {
        /// The line's id.
        line: String,
        /// The cart line's key.
        key: String,
        /// Why.
        fault: SealError,
    },
    /// A child is sold without its bundle.
    #[error(
        "the line {line:?} is a part of the bundle {parent}, which the order does not hold; report the bundle with all its lines"
    )]
    MissingBundle {
        /// The line's id.
        line: String,
        /// The parent's key.
        parent: String,
    },
    /// A bundle is not whole.
    #[error(
        "the bundle {line:?} is not whole, or its lines were sealed at different times; report the bundle with all its lines, as the cart holds them"
    )]
    IncompleteBundle {
        /// The id of the parent's line.
        line: String,
    },
    /// More pieces than were sealed.
    #[error(
        "the line {line:?} has the quantity {quantity}, its cart line was sealed for {sealed}; report at most {sealed}, or add a cart line of {quantity}"
    )]
    Quantity {
        /// The line's id.
        line: String,
        /// How many pieces were reported.
        quantity: u32,
        /// How many were sealed.
        sealed: u32,
    },
    /// A child's pieces do not go with its bundle's.
    #[error(
        "the line {line:?} is a part of a bundle and has {quantity} pieces; {bundles} of the bundle need {expected}: report {expected}, or leave out the quantity of this line"
    )]
    ChildQuantity {
        /// The line's id.
        line: String,
        /// How many pieces were reported.
        quantity: u32,
        /// How many bundles were reported.
        bundles: u32,
        /// How many pieces go with them.
        expected: u64,
    },
    /// A line is priced in another currency.
    #[error(
        "the line {line:?} is priced in {found}, the order in {expected}; nothing is converted: price the line anew in the cart"
    )]
    Currency {
        /// The line's id.
        line: String,
        /// The line's currency.
        found: String,
        /// The order's.
        expected: String,
    },
    /// An amount cannot be one.
    #[error("{field}: {reason}")]
    Money {
        /// Which amount.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// The order is in another currency than the shop.
    #[error(
        "the order is in {found}, the shop sells in {expected}; report it in {expected}, or set the shop's currency"
    )]
    OtherCurrency {
        /// The order's currency.
        found: String,
        /// The shop's.
        expected: String,
    },
    /// A time cannot be one.
    #[error("{field} {value:?} is not a time between the years 1990 and 2199 (RFC 3339, UTC)")]
    Time {
        /// Which time.
        field: &'static str,
        /// The beginning of it.
        value: String,
    },
    /// The number is one that nobody can read or find.
    #[error("the order's number is blank; leave it out, and the order's id stands in its place")]
    BlankNumber,
    /// The version is larger than what is stored.
    #[error("the order's version {0} is too large; use at most {MAX_ORDER_VERSION}")]
    Version(u64),
    /// The language is not a tag.
    #[error("the order's language {0:?} is not a language tag; use BCP 47, such as en or nl-BE")]
    Language(String),
    /// The country of an address is not a code.
    #[error(
        "the country {value:?} of the {owner} address is not a country; use an ISO 3166-1 alpha-2 code in capitals, such as NL"
    )]
    Country {
        /// Whose address.
        owner: &'static str,
        /// The beginning of it.
        value: String,
    },
    /// The payment is not a known word.
    #[error("the payment {0:?} is not one of \"none\", \"part\", \"full\" and \"refunded\"")]
    Payment(String),
    /// What happened cannot have left the order as it is reported.
    #[error(
        "the event says that the order was {kind}, and the order has {found}; report the order as it is after the event, with {expected}, or what else happened"
    )]
    Contradiction {
        /// What happened.
        kind: &'static str,
        /// What the order has.
        found: &'static str,
        /// What it would have.
        expected: &'static str,
    },
    /// Pieces of a line that the order does not have.
    #[error("{field} names the line {line:?}, which the order does not have; name a line of the order by its id")]
    UnknownLine {
        /// What names it.
        field: &'static str,
        /// The beginning of the line's id.
        line: String,
    },
    /// Pieces of one line twice.
    #[error("{field} names the line {line:?} twice; name it once, with all its pieces")]
    DuplicateLineQuantity {
        /// What names it.
        field: &'static str,
        /// The line's id.
        line: String,
    },
    /// Pieces of a line, and none of them.
    #[error("{field} names 0 pieces of the line {line:?}; name 1 or more, or leave the line out")]
    ZeroQuantity {
        /// What names it.
        field: &'static str,
        /// The line's id.
        line: String,
    },
    /// More pieces of a line than were sealed.
    #[error("{field} names {quantity} pieces of the line {line:?}, of which {sealed} were sold; name at most {sealed}")]
    QuantityTooLarge {
        /// What names it.
        field: &'static str,
        /// The line's id.
        line: String,
        /// How many pieces were reported.
        quantity: u32,
        /// How many were sealed.
        sealed: u32,
    },
}

/// Why an amount that a platform names cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// The currency is not a code.
    #[error("{0:?} is not a currency; use an ISO 4217 code in capitals, such as EUR")]
    Currency(String),
    /// The scale is not one.
    #[error("an amount has 0 to {MAX_SCALE} decimals, not {0}")]
    Scale(u8),
    /// The amount is below zero.
    #[error("an amount is not negative")]
    Negative,
}

/// Checks an amount that a platform names: a currency of three ASCII capitals, 0 to [`MAX_SCALE`] decimals, not below zero.
///
/// # Errors
/// [`MoneyFault`] says what is wrong.
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

/// Makes the lines of an order as `Cartwright::order_lines` does. `reference` gives the reference of a line by its id.
///
/// # Errors
/// [`OrderError`] names the line and what to do.
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
    let mut made: Vec<Option<OrderLine>> = lines.iter().map(|_| None).collect();
    for (parent, children) in families(lines, &keys)? {
        let family: Vec<usize> = std::iter::once(parent).chain(children).collect();
        let held = family.iter().any(|at| !lines[*at].released || is_on_hold(&lines[*at]));
        for (at, quantity) in family.iter().zip(pieces(lines, &family)?) {
            made[*at] = Some(order_line(&reference, &lines[*at], quantity, !held));
        }
    }
    Ok(made.into_iter().flatten().collect())
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
        cart_line: cartwright_contract::records::Line { quantity, ..line.as_contract() },
        title: line.title.clone(),
        shown: line.shown.clone(),
        configuration: line.configuration.map(|digest| digest.to_string()),
        status: status.to_owned(),
        vendor_reference: None,
        released: released && quantity > 0,
        bill_of_materials: line.bill_of_materials.clone(),
        extra: Vec::new(),
    }
}

fn is_on_hold(ordered: &OrderedLine<'_>) -> bool {
    ordered.line.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.hold) && !ordered.approved
}

/// Of each line that is no child, its place and those of its children. Every bundle is whole.
fn families(
    lines: &[OrderedLine<'_>],
    keys: &BTreeMap<&str, usize>,
) -> Result<BTreeMap<usize, Vec<usize>>, OrderError> {
    let tops = lines.iter().enumerate().filter(|(_, ordered)| ordered.line.parent.is_none());
    let mut families: BTreeMap<usize, Vec<usize>> = tops.map(|(at, _)| (at, Vec::new())).collect();
    for (at, OrderedLine { id, line, .. }) in lines.iter().enumerate() {
        let Some(parent) = &line.parent else { continue };
        let family = keys.get(parent.as_str()).and_then(|parent| families.get_mut(parent));
        let missing = || OrderError::MissingBundle { line: (*id).to_owned(), parent: parent.clone() };
        family.ok_or_else(missing)?.push(at);
    }
    for (parent, children) in &families {
        let family: Vec<&CartLine> = std::iter::once(parent).chain(children).map(|at| lines[*at].line).collect();
        if !is_bundle_consistent(&family) {
            return Err(OrderError::IncompleteBundle { line: lines[*parent].id.to_owned() });
        }
    }
    Ok(families)
}

/// How many pieces of each member of a family are to be made. The parent is the first.
fn pieces(lines: &[OrderedLine<'_>], family: &[usize]) -> Result<Vec<u32>, OrderError> {
    let mut bundles = 0;
    let mut pieces = Vec::with_capacity(family.len());
    for at in family {
        let OrderedLine { id, line, quantity, .. } = lines[*at];
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
            // At most what was sealed, which was a `u32`.
            _ => pieces.push(u32::try_from(expected).unwrap_or(line.quantity)),
        }
    }
    Ok(pieces)
}

/// Checks what a platform reports of an order beside its cart lines: ids, texts, money and times are within bounds, the event's id is
/// none of the host's own, its kind and the order's state agree, and pieces that were paid back or sent are of the order's lines: each line
/// is named once, with 1 to as many pieces as were sealed, however many are left to be made. `sealed` knows the pieces of a line's cart
/// line.
///
/// # Errors
/// [`OrderError`] names what is wrong.
pub fn check_event(event: &Event, sealed: impl Fn(&OrderLine) -> u32) -> Result<(), OrderError> {
    check_id("the event id", &event.id)?;
    if event.id.starts_with(RESERVED_ID_PREFIX) {
        return Err(OrderError::ReservedId { field: "the event id", value: event.id.clone() });
    }
    check_time("the event's time", &event.at)?;
    if let EventKind::Refunded(refund) = &event.kind
        && let Some(amount) = &refund.amount
    {
        check_amount("the amount that is paid back", amount)?;
        if amount.currency != event.order.total.currency {
            let reason = format!("it is in {}, the order in {}", amount.currency, event.order.total.currency);
            return Err(OrderError::Money { field: "the amount that is paid back", reason });
        }
    }
    check_order(&event.order)?;
    check_line_quantities(event, sealed)?;
    check_state(&event.kind, &event.order)
}

fn check_line_quantities(event: &Event, sealed: impl Fn(&OrderLine) -> u32) -> Result<(), OrderError> {
    let (field, named): (_, &[LineQuantity]) = match &event.kind {
        EventKind::Refunded(refund) => ("the refund", &refund.lines),
        EventKind::Fulfilled(shipment) => ("the shipment", &shipment.lines),
        _ => return Ok(()),
    };
    let mut lines = BTreeSet::new();
    for LineQuantity { line, quantity } in named {
        let unknown = || OrderError::UnknownLine { field, line: line.chars().take(80).collect() };
        let ordered = event.order.lines.iter().find(|ordered| ordered.id == *line).ok_or_else(unknown)?;
        let (sealed, quantity) = (sealed(ordered), *quantity);
        if !lines.insert(line) {
            return Err(OrderError::DuplicateLineQuantity { field, line: line.clone() });
        }
        if quantity == 0 {
            return Err(OrderError::ZeroQuantity { field, line: line.clone() });
        }
        if quantity > sealed {
            return Err(OrderError::QuantityTooLarge { field, line: line.clone(), quantity, sealed });
        }
    }
    Ok(())
}

/// Refuses an order that what happened to it cannot have left so. An order that costs nothing needs no payment, and a platform that
/// reports late tells of the order as it is by then: paid, and paid back since.
fn check_state(kind: &EventKind, order: &Order) -> Result<(), OrderError> {
    const UNPAID: &str = "the payment \"none\"";
    let is_unpaid = order.payment == "none" && order.total.minor > 0;
    let (kind, found, expected) = match kind {
        EventKind::Cancelled if !order.cancelled => ("cancelled", "`cancelled` false", "`cancelled` true"),
        EventKind::Paid if is_unpaid => ("paid", UNPAID, "\"full\", or \"part\""),
        EventKind::PartlyPaid if is_unpaid => ("paid in part", UNPAID, "\"part\""),
        EventKind::Refunded(_) if is_unpaid => {
            ("paid back", UNPAID, "\"refunded\", or with \"part\" or \"full\" where something stays paid")
        }
        _ => return Ok(()),
    };
    Err(OrderError::Contradiction { kind, found, expected })
}

/// Checks an order beside its cart lines, as [`check_event`] does.
///
/// # Errors
/// [`OrderError`] names what is wrong.
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
    // People find an order by its number without a "#" before it.
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

fn check_id(field: &'static str, id: &str) -> Result<(), OrderError> {
    // Browsers and proxies take these two out of an address.
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

fn check_amount(field: &'static str, amount: &Money) -> Result<(), OrderError> {
    check_money(amount).map_err(|fault| OrderError::Money { field, reason: fault.to_string() })
}

fn check_time(field: &'static str, text: &str) -> Result<(), OrderError> {
    let at = text.parse::<Timestamp>().ok();
    match at.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).year()) {
        Some(year) if PLACED_AT_YEARS.contains(&year) => Ok(()),
        _ => Err(OrderError::Time { field, value: text.chars().take(80).collect() }),
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
