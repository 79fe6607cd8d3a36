//! The identifiers of orders at Twikit, and how to resolve them.
//!
//! "Twikit will only process an order once. If you send two orders with the same identifier, they will be considered
//! the same." Yet an order of the shop may reach Twikit in parts, if a line is on hold and released later. So the first
//! part has the order's own reference as identifier, and every later part the reference of its first line followed by
//! [`LATER_PART_SUFFIX`]. This identifier is stable across repetitions, unique to the part (a line is in one part
//! only), and different from the identifier of the line itself, since Twikit's code 9 may refer to either.
//!
//! Before a part is sent, each of its lines gets the part's identifier as its vendor reference. While Twikit creates an
//! order, it asks whether the order is valid; the query names the part and its configurations but no lines. Through the
//! vendor reference the response finds the lines of exactly this part, whatever was released in the meantime.

use cartwright_plugin::types::{Order, OrderLine};
use cartwright_plugin::{CallError, invalid_input, is_refunded, json, message};
use serde::{Deserialize, Deserializer};

use crate::ledger::Ledger;

/// The suffix of a line's reference in the identifier of a later part.
pub const LATER_PART_SUFFIX: &str = "~order";

/// The largest whole number that a JavaScript number represents exactly, 2^53 - 1. No page can send a larger one.
const MAX_ID: u64 = (1 << 53) - 1;

/// Twikit's id of a configuration, documented as a number. The same digits as a text are the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigurationId(pub u64);

impl<'de> Deserialize<'de> for ConfigurationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::text_or_number(deserializer, |text| match text.parse() {
            Ok(id @ 1..=MAX_ID) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(id)),
            _ => Err(format!("it must be a whole number from 1 to {MAX_ID}")),
        })
    }
}

/// An order line with a Twikit configuration.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// The line.
    pub line: &'a OrderLine,
    /// Twikit's id of its configuration.
    pub configuration: u64,
}

/// Returns the order's lines with a configuration id: "only items with a twikit configuration ID should be sent to our
/// API".
pub fn configured_lines(order: &Order) -> Result<Vec<Configured<'_>>, CallError> {
    let mut lines = Vec::new();
    for line in &order.lines {
        let Some(saved_id) = line.cart_line.item.as_ref().and_then(|item| item.saved_id.as_deref()) else { continue };
        let Ok(configuration) = saved_id.parse() else {
            // `decode` wrote it as digits. Without an error the line would be paid for and never made.
            let text =
                format!("The line {} has the configuration id \"{saved_id}\", which is no number.", line.reference);
            return Err(invalid_input(
                format!("order.lines.{}.item.saved-id", line.id),
                message("configuration-id-unreadable", text, &[("line", &line.reference)]),
            ));
        };
        lines.push(Configured { line, configuration });
    }
    Ok(lines)
}

/// Returns the identifier of the part that these lines form.
pub fn identifier_of(order: &Order, ledger: &Ledger, lines: &[Configured<'_>]) -> String {
    match lines.first() {
        Some(first) if ledger.created(&order.reference) => format!("{}{LATER_PART_SUFFIX}", first.line.reference),
        _ => order.reference.clone(),
    }
}

/// Looks a reference up in the order book.
pub type Find<'a> = &'a dyn Fn(&str) -> Result<Option<Order>, CallError>;

/// Returns the order of an identifier.
pub fn find_order(identifier: &str, find: Find<'_>) -> Result<Option<Order>, CallError> {
    if let Some(order) = find(identifier)? {
        return Ok(Some(order));
    }
    match identifier.strip_suffix(LATER_PART_SUFFIX) {
        Some(line) => find(line),
        None => Ok(None),
    }
}

/// Returns the lines of an identifier: the line with this reference; else the lines of the part; else, if the order
/// book does not show the vendor references yet, the released lines without a part.
pub fn lines_of<'a>(order: &'a Order, identifier: &str) -> Result<Vec<Configured<'a>>, CallError> {
    let configured = configured_lines(order)?;
    let among = |remaining_quantity: &dyn Fn(&OrderLine) -> bool| -> Vec<Configured<'a>> {
        configured.iter().filter(|configured| remaining_quantity(configured.line)).copied().collect()
    };
    let own = among(&|line| line.reference == identifier);
    if !own.is_empty() {
        return Ok(own);
    }
    let part = among(&|line| line.vendor_reference.as_deref() == Some(identifier));
    if !part.is_empty() {
        return Ok(part);
    }
    Ok(among(&|line| line.vendor_reference.is_none() && line.released && line.status != "cancelled"))
}

/// Returns whether the order can be produced: it is released, and neither cancelled nor fully refunded. A refund by
/// amount names no lines and is not a cancellation.
pub fn is_producible(order: &Order) -> bool {
    order.released && !order.cancelled && !is_refunded(order)
}

/// Formats the lines for people: reference and configuration.
pub fn line_list(lines: &[Configured<'_>]) -> String {
    let line = |line: &Configured<'_>| format!("{} (configuration {})", line.line.reference, line.configuration);
    lines.iter().map(line).collect::<Vec<_>>().join(", ")
}
