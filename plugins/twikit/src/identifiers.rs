//! Which identifier an order has at Twikit's, and the way back from it.
//!
//! "Twikit will only process an order once. If you send two orders with the same identifier, they will be considered the same."
//! Yet an order of the shop may reach Twikit in parts, when a line is held for approval and released later. So the first part
//! goes under the order's own reference, and every later part under the reference of its first line followed by [`LATER_PART_SUFFIX`]:
//! stable however often it is sent, used by no other part (a line is in one part only), and not equal to the identifier that
//! the line itself is sent with, since Twikit's code 9 may speak of both in one breath.
//!
//! Before a part is sent, each of its lines is given the part's identifier as its vendor reference. Twikit asks whether an order
//! is valid while that order is being created, and its question names the part and its configurations but no lines: the
//! vendor reference is how the answer knows the lines of exactly this part, whatever was released in the meantime.

use cartwright_plugin::types::{Order, OrderLine};
use cartwright_plugin::{Error, invalid_input, json, message};
use serde::{Deserialize, Deserializer};

use crate::ledger::Ledger;

/// What stands behind a line's reference in the identifier of a later part.
pub const LATER_PART_SUFFIX: &str = "~order";

/// The largest whole number that a JavaScript number holds exactly, 2^53 - 1: nothing larger can have come from a page.
const MAX_ID: u64 = (1 << 53) - 1;

/// Twikit's id of a configuration, documented as a number; the same digits as a text are the same id.
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

/// A line with a configuration of Twikit's.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// The line.
    pub line: &'a OrderLine,
    /// Twikit's id of its configuration.
    pub configuration: u64,
}

/// The order's lines with a configuration id: "only items with a twikit configuration ID should be sent to our API".
pub fn configured_lines(order: &Order) -> Result<Vec<Configured<'_>>, Error> {
    let mut lines = Vec::new();
    for line in &order.lines {
        let Some(reference) = line.cart_line.item.as_ref().and_then(|item| item.reference.as_deref()) else { continue };
        let Ok(configuration) = reference.parse() else {
            // `decode` wrote it as digits. Left out silently, the line would be paid and never made.
            let text =
                format!("The line {} has the configuration id \"{reference}\", which is no number.", line.reference);
            return Err(invalid_input(
                format!("order.lines.{}.item.reference", line.id),
                message("configuration-id-unreadable", text, &[("line", &line.reference)]),
            ));
        };
        lines.push(Configured { line, configuration });
    }
    Ok(lines)
}

/// The identifier of the part that these lines make.
pub fn identifier_of(order: &Order, ledger: &Ledger, lines: &[Configured<'_>]) -> String {
    match lines.first() {
        Some(first) if ledger.created(&order.reference) => format!("{}{LATER_PART_SUFFIX}", first.line.reference),
        _ => order.reference.clone(),
    }
}

/// Looks a reference up in the order book.
pub type Find<'a> = &'a dyn Fn(&str) -> Result<Option<Order>, Error>;

/// The order that an identifier belongs to.
pub fn find_order(identifier: &str, find: Find<'_>) -> Result<Option<Order>, Error> {
    if let Some(order) = find(identifier)? {
        return Ok(Some(order));
    }
    match identifier.strip_suffix(LATER_PART_SUFFIX) {
        Some(line) => find(line),
        None => Ok(None),
    }
}

/// The lines that an identifier stands for: one line by its own reference, else those of the part, else, from an order book that
/// does not show the vendor references yet, those that are released and in no part.
pub fn lines_of<'a>(order: &'a Order, identifier: &str) -> Result<Vec<Configured<'a>>, Error> {
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

/// Is there something to be produced of this order at all: it is released, and neither cancelled nor paid back in full? A refund
/// by amount names no lines and is no cancellation; the order's payment is all that says so.
pub fn is_producible(order: &Order) -> bool {
    order.released && !order.cancelled && !is_paid_back(order)
}

/// Was the order paid back in full?
pub fn is_paid_back(order: &Order) -> bool {
    order.payment == "refunded"
}

/// The lines for a person: reference and configuration.
pub fn line_list(lines: &[Configured<'_>]) -> String {
    let line = |line: &Configured<'_>| format!("{} (configuration {})", line.line.reference, line.configuration);
    lines.iter().map(line).collect::<Vec<_>>().join(", ")
}
