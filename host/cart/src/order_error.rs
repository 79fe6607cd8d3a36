//! Why an order or an order event is refused, and the limits that the reasons name.

use cartwright_contract::error::SetupError;
use serde::Serialize;

use crate::budget::MAX_LINES;
use crate::error::SealError;
use crate::money::MAX_SCALE;

/// Maximum length of an id that a platform gives: of an order, of one of its lines, of an event.
pub const MAX_ORDER_ID_BYTES: usize = 200;
/// Maximum length of any other text of an order: a line of an address, a number, a status.
pub const MAX_ORDER_TEXT_BYTES: usize = 1_000;
/// Maximum version of an order: databases store it as a signed number of 64 bits.
pub const MAX_ORDER_VERSION: u64 = i64::MAX as u64;
/// The first character of the ids that the host gives orders and events of its own. A platform's ids never begin with it, so that
/// the two never meet.
pub const RESERVED_ID_PREFIX: char = '~';

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
