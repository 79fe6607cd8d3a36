//! The errors of orders and order events, and the limits that they name.

use cartwright_contract::error::SetupError;
use serde::Serialize;

use crate::budget::MAX_LINES;
use crate::error::SealError;
use crate::money::MAX_SCALE;

/// Maximum length in bytes of an id that a platform assigns: of an order, an order line or an event.
pub const MAX_ORDER_ID_BYTES: usize = 200;
/// Maximum length in bytes of any other text of an order: a line of an address, a number, a status.
pub const MAX_ORDER_TEXT_BYTES: usize = 1_000;
/// Maximum version of an order, because databases store it as a signed 64-bit integer.
pub const MAX_ORDER_VERSION: u64 = i64::MAX as u64;
/// First character of the ids that the host assigns to orders and events of its own. A platform's ids must not begin
/// with it, so that the two never collide.
pub const RESERVED_ID_PREFIX: char = '~';

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
        /// The cart line's key.
        key: String,
        /// The fault.
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
    /// A line of a set is reported without the set.
    #[error(
        "the line {line:?} belongs to the set {set}, whose line of that key the order does not contain; report the set with all its lines"
    )]
    MissingSet {
        /// Id of the line.
        line: String,
        /// Key of the set's line that names the configured product.
        set: String,
    },
    /// A set is incomplete.
    #[error(
        "the set of the line {line:?} is incomplete, or its lines were sealed for different quantities; report the set with all its lines, as the cart contains them"
    )]
    IncompleteSet {
        /// Id of the set's line that names the configured product.
        line: String,
    },
    /// A line of a set has pieces to make, although the set is cancelled.
    #[error(
        "the line {line:?} has the quantity {quantity}, but nothing is left of the configured product of its set; report its pieces as cancelled, or omit the quantities of this line"
    )]
    SetQuantity {
        /// Id of the line.
        line: String,
        /// The reported quantity.
        quantity: u32,
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
        "the line {line:?} is a part of a bundle and has the quantity {quantity}, but {bundles} of the bundle need {expected}; report {expected}, or omit the quantities of this line"
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
    /// More pieces of a line were cancelled, paid back or sent than there are.
    #[error(
        "the line {line:?} has {quantity} in `{member}`; at most {most} are possible: `cancelled` and `refunded` are together at most `ordered`, because a cancelled piece that was paid back counts as cancelled, and `shipped` is at most `ordered`"
    )]
    TooManyPieces {
        /// Id of the line.
        line: String,
        /// Member of the line's quantities.
        member: &'static str,
        /// The reported quantity.
        quantity: u32,
        /// The largest quantity that is possible.
        most: u32,
    },
    /// The quantity to make is not the one that follows from the line's quantities.
    #[error(
        "the line {line:?} has the quantity {quantity}, but {expected} of those ordered are to be made; create the line from its quantities"
    )]
    PiecesToMake {
        /// Id of the line.
        line: String,
        /// The quantity of the line.
        quantity: u32,
        /// The quantity that follows.
        expected: u32,
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
        /// The reason, for the shopper.
        reason: String,
    },
    /// An amount of a line is invalid.
    #[error("the `{member}` of the line {line:?}: {reason}")]
    LineMoney {
        /// Id of the line.
        line: String,
        /// Member of the line.
        member: &'static str,
        /// The reason.
        reason: String,
    },
    /// The order has another currency than the shop.
    #[error(
        "the order is in {found}, the shop sells in {expected}; report it in {expected}, or add {found} to the shop's currencies"
    )]
    OtherCurrency {
        /// Currency of the order.
        found: String,
        /// Currencies of the shop.
        expected: String,
    },
    /// A time is invalid.
    #[error(
        "{field} {value:?} is not a time such as 2026-03-01T09:30:00Z: UTC, to the second, between the years 1990 and 2199"
    )]
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
    /// A field names more pieces of a line than the line's quantities count.
    #[error(
        "{field} names {quantity} pieces of the line {line:?}, which has {counted} in {members}; report the quantities of the line as they are after the event"
    )]
    UncountedPieces {
        /// The field that refers to the line.
        field: &'static str,
        /// Id of the line.
        line: String,
        /// The named quantity.
        quantity: u32,
        /// The members of the line's quantities that count such pieces.
        members: &'static str,
        /// Their sum.
        counted: u32,
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
    /// The amount is not in the money of the order.
    #[error(
        "it is in {found}, the order in {expected}; report all amounts of an order in one currency, with the same number of decimals"
    )]
    Mixed {
        /// Currency and decimals of the amount.
        found: String,
        /// Currency and decimals of the order.
        expected: String,
    },
}
