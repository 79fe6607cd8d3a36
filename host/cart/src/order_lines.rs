//! Order lines, checked against the rules of a cart as a whole.
//!
//! [`order_lines`] is the only way from cart lines to order lines. One line alone can only be checked against its
//! seal. Whether a bundle is complete, a line is sold twice or a child's quantity is right depends on all lines of the
//! order.

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

/// Maximum length in bytes of an id that a platform assigns: of an order, an order line or an event.
pub const MAX_ORDER_ID_BYTES: usize = 200;
/// Maximum length in bytes of any other text of an order: a line of an address, a number, a status.
pub const MAX_ORDER_TEXT_BYTES: usize = 1_000;
/// Maximum version of an order, because databases store it as a signed 64-bit integer.
pub const MAX_ORDER_VERSION: u64 = i64::MAX as u64;
/// First character of the ids that the host assigns to orders and events of its own. A platform's ids must not begin
/// with it, so that the two never collide.
pub const RESERVED_ID_PREFIX: char = '~';

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
    /// bundle, the quantity that follows from its parent's.
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

/// Why an order is refused. Nothing was recorded.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum OrderError {
    /// The shop is not set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The id is malformed.
    #[error(
        "{field} {value:?} cannot be used: use 1 to {MAX_ORDER_ID_BYTES} bytes without control characters, and neither `.` nor `..`"
    )]
    Id {
        /// The field that contains the id.
        field: &'static str,
        /// Beginning of the id.
        value: String,
    },
    /// The id is reserved for the host.
    #[error(
        "{field} {value:?} cannot be used: ids that begin with {RESERVED_ID_PREFIX:?} are the host's own; use another first character"
    )]
    ReservedId {
        /// The field that contains the id.
        field: &'static str,
        /// The id.
        value: String,
    },
    /// The text is too long.
    #[error("{field} has {length} bytes; at most {MAX_ORDER_TEXT_BYTES} are allowed")]
    Text {
        /// The field that contains the text.
        field: String,
        /// Length of the text in bytes.
        length: usize,
    },
    /// The order has too many lines.
    #[error("the order has {0} lines; at most {MAX_LINES} are allowed")]
    TooManyLines(usize),
    /// Two lines have the same id.
    #[error("duplicate line id {0:?}; give each line of the order its own id")]
    DuplicateId(String),
    /// Two lines report the same cart line.
    #[error(
        "the lines {first:?} and {second:?} are the same cart line {key}; report it once, with the sum of both quantities"
    )]
    DuplicateLine {
        /// The first line's id.
        first: String,
        /// The second line's id.
        second: String,
        /// The cart line's key.
        key: String,
    },
    /// A line was changed after the host sealed it. This matters because its reference and its bill of materials
    /// decide what is produced.
    #[error("the line {line:?} ({key}): {fault}; report the cart line as the host returned it")]
    Seal {
        /// Id of the line.
        line: String,
        /// Key of the cart line.
        key: String,
        /// The fault of the seal.
        fault: SealError,
    },
    /// A child is reported without its bundle.
    #[error(
        "the line {line:?} is a part of the bundle {parent}, which the order does not contain; report the bundle with all its lines"
    )]
    MissingBundle {
        /// Id of the line.
        line: String,
        /// Key of the parent.
        parent: String,
    },
    /// A bundle is incomplete.
    #[error(
        "the bundle {line:?} is incomplete, or its lines were sealed at different times; report the bundle with all its lines, as the cart contains them"
    )]
    IncompleteBundle {
        /// Id of the parent's line.
        line: String,
    },
    /// The quantity is larger than the sealed quantity.
    #[error(
        "the line {line:?} has the quantity {quantity}, its cart line was sealed for {sealed}; report at most {sealed}, or add a cart line of {quantity}"
    )]
    Quantity {
        /// Id of the line.
        line: String,
        /// The reported quantity.
        quantity: u32,
        /// The sealed quantity.
        sealed: u32,
    },
    /// A child's quantity does not match its bundle's.
    #[error(
        "the line {line:?} is a part of a bundle and has the quantity {quantity}, but {bundles} of the bundle need {expected}; report {expected}, or omit the quantity of this line"
    )]
    ChildQuantity {
        /// Id of the line.
        line: String,
        /// The reported quantity.
        quantity: u32,
        /// The reported quantity of the bundle.
        bundles: u32,
        /// The quantity that matches it.
        expected: u64,
    },
    /// A line has another currency than the order.
    #[error(
        "the line {line:?} is priced in {found}, the order in {expected}, and amounts are not converted; refresh the line in the cart"
    )]
    Currency {
        /// Id of the line.
        line: String,
        /// Currency of the line.
        found: String,
        /// Currency of the order.
        expected: String,
    },
    /// An amount is invalid.
    #[error("{field}: {reason}")]
    Money {
        /// The field that contains the amount.
        field: &'static str,
        /// The reason.
        reason: String,
    },
    /// The order has another currency than the shop.
    #[error(
        "the order is in {found}, the shop sells in {expected}; report it in {expected}, or set the shop's currency"
    )]
    OtherCurrency {
        /// Currency of the order.
        found: String,
        /// Currency of the shop.
        expected: String,
    },
    /// A time is invalid.
    #[error("{field} {value:?} is not a time between the years 1990 and 2199 (RFC 3339, UTC)")]
    Time {
        /// The field that contains the time.
        field: &'static str,
        /// Beginning of the value.
        value: String,
    },
    /// The order number is blank, so that it can be neither read nor searched.
    #[error("the order's number is blank; omit it to use the order's id")]
    BlankNumber,
    /// The version is larger than databases can store.
    #[error("the order's version {0} is too large; use at most {MAX_ORDER_VERSION}")]
    Version(u64),
    /// The language is not a language tag.
    #[error("the order's language {0:?} is not a language tag; use BCP 47, such as en or nl-BE")]
    Language(String),
    /// The country of an address is not a country code.
    #[error(
        "the country {value:?} of the {owner} address is not a country; use an ISO 3166-1 alpha-2 code in capitals, such as NL"
    )]
    Country {
        /// Which address: "billing", "delivery" or "shop's".
        owner: &'static str,
        /// Beginning of the value.
        value: String,
    },
    /// The payment is not a known value.
    #[error("the payment {0:?} is not one of \"none\", \"part\", \"full\" and \"refunded\"")]
    Payment(String),
    /// The kind of the event contradicts the state of the order.
    #[error(
        "the event says that the order was {kind}, but the order has {found}; report the order as it is after the event, with {expected}, or report another event"
    )]
    Contradiction {
        /// The event in words.
        kind: &'static str,
        /// The state that the order has.
        found: &'static str,
        /// The state that the event implies.
        expected: &'static str,
    },
    /// A quantity refers to a line that the order does not have.
    #[error("{field} names the line {line:?}, which the order does not have; name a line of the order by its id")]
    UnknownLine {
        /// The field that refers to the line.
        field: &'static str,
        /// Beginning of the line's id.
        line: String,
    },
    /// A field names the same line twice.
    #[error("{field} names the line {line:?} twice; name it once, with the sum of both quantities")]
    DuplicateLineQuantity {
        /// The field that refers to the line.
        field: &'static str,
        /// Id of the line.
        line: String,
    },
    /// A field names a line with the quantity 0.
    #[error("{field} names 0 pieces of the line {line:?}; name 1 or more, or omit the line")]
    ZeroQuantity {
        /// The field that refers to the line.
        field: &'static str,
        /// Id of the line.
        line: String,
    },
    /// A field names a larger quantity than was sealed.
    #[error("{field} names {quantity} pieces of the line {line:?}, of which {sealed} were sold; name at most {sealed}")]
    QuantityTooLarge {
        /// The field that refers to the line.
        field: &'static str,
        /// Id of the line.
        line: String,
        /// The reported quantity.
        quantity: u32,
        /// The sealed quantity.
        sealed: u32,
    },
}

/// Why an amount of a platform is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// The currency is not a currency code.
    #[error("{0:?} is not a currency; use an ISO 4217 code in capitals, such as EUR")]
    Currency(String),
    /// The scale is out of range.
    #[error("an amount has 0 to {MAX_SCALE} decimals, not {0}")]
    Scale(u8),
    /// The amount is negative.
    #[error("an amount must not be negative")]
    Negative,
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

/// Returns the index of each top line with the indexes of its children, and checks that every bundle is complete.
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

/// Returns the quantity to produce of each member of a family. The parent comes first.
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
            // At most the sealed quantity, which was a `u32`.
            _ => pieces.push(u32::try_from(expected).unwrap_or(line.quantity)),
        }
    }
    Ok(pieces)
}

/// Checks the data of an order event beside its cart lines. Ids, texts, amounts and times must be within bounds, the
/// event's id must not be reserved for the host, and its kind must agree with the order's state. Quantities of a
/// refund or shipment must refer to lines of the order, each line once, with 1 to the sealed quantity, whatever
/// quantity is left to produce. `sealed` returns the sealed quantity of a line.
///
/// # Errors
/// The [`OrderError`] names what is wrong.
pub fn check_event(event: &Event, sealed: impl Fn(&OrderLine) -> u32) -> Result<(), OrderError> {
    check_id("the event id", &event.id)?;
    if event.id.starts_with(RESERVED_ID_PREFIX) {
        return Err(OrderError::ReservedId { field: "the event id", value: event.id.clone() });
    }
    check_time("the event's time", &event.at)?;
    if let EventKind::Refunded(refund) = &event.kind
        && let Some(amount) = &refund.amount
    {
        check_amount("the refunded amount", amount)?;
        if amount.currency != event.order.total.currency {
            let reason = format!("it is in {}, the order in {}", amount.currency, event.order.total.currency);
            return Err(OrderError::Money { field: "the refunded amount", reason });
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

/// Refuses an order whose state contradicts the event. An order that costs nothing needs no payment. A platform that
/// reports late sends the order in its present state, for example paid and refunded since.
fn check_state(kind: &EventKind, order: &Order) -> Result<(), OrderError> {
    const UNPAID: &str = "the payment \"none\"";
    let is_unpaid = order.payment == "none" && order.total.minor > 0;
    let (kind, found, expected) = match kind {
        EventKind::Cancelled if !order.cancelled => ("cancelled", "`cancelled` false", "`cancelled` true"),
        EventKind::Paid if is_unpaid => ("paid", UNPAID, "\"full\", or \"part\""),
        EventKind::PartlyPaid if is_unpaid => ("paid in part", UNPAID, "\"part\""),
        EventKind::Refunded(_) if is_unpaid => {
            ("refunded", UNPAID, "\"refunded\", or with \"part\" or \"full\" if something stays paid")
        }
        _ => return Ok(()),
    };
    Err(OrderError::Contradiction { kind, found, expected })
}

/// Checks an order beside its cart lines, as [`check_event`] does.
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

fn check_id(field: &'static str, id: &str) -> Result<(), OrderError> {
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
