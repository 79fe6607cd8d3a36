//! The rules of order events: the event and the reported order must agree.

use std::collections::BTreeSet;

use cartwright_contract::records::{LineQuantities, LineQuantity, Order, OrderEvent, OrderEventKind};

use crate::order_error::{OrderError, RESERVED_ID_PREFIX};
use crate::order_lines::{check_amount_of, check_id, check_order, check_time};

/// Checks the data of an order event beside its cart lines. Ids, texts, amounts and times must be within bounds, the
/// event's id must not be reserved for the host, and its kind must agree with the order's state. The pieces of a refund
/// must be cancelled or refunded by the quantities of their lines, those of a shipment shipped; each line is named once,
/// with 1 or more.
///
/// # Errors
/// The [`OrderError`] names what is wrong.
pub fn check_event(event: &OrderEvent) -> Result<(), OrderError> {
    check_id("the event id", &event.id)?;
    if event.id.starts_with(RESERVED_ID_PREFIX) {
        return Err(OrderError::ReservedId { field: "the event id", value: event.id.clone() });
    }
    check_time("the event's time", &event.at)?;
    check_order(&event.order)?;
    if let OrderEventKind::Refunded(refund) = &event.kind
        && let Some(amount) = &refund.amount
    {
        check_amount_of("the amount of the refund", amount, &event.order.total)?;
    }
    check_pieces(event)?;
    check_state(&event.kind, &event.order)
}

fn check_pieces(event: &OrderEvent) -> Result<(), OrderError> {
    let (field, named): (_, &[LineQuantity]) = match &event.kind {
        OrderEventKind::Refunded(refund) => ("the refund", &refund.lines),
        OrderEventKind::Fulfilled(shipment) => ("the shipment", &shipment.lines),
        _ => return Ok(()),
    };
    let mut lines = BTreeSet::new();
    for LineQuantity { line, quantity } in named {
        let unknown = || OrderError::UnknownLine { field, line: line.chars().take(80).collect() };
        let ordered = event.order.lines.iter().find(|ordered| ordered.id == *line).ok_or_else(unknown)?;
        let LineQuantities { cancelled, refunded, shipped, .. } = ordered.quantities;
        let (members, counted) = match &event.kind {
            OrderEventKind::Fulfilled(_) => ("`shipped`", shipped),
            _ => ("`cancelled` and `refunded`", cancelled.saturating_add(refunded)),
        };
        if !lines.insert(line) {
            return Err(OrderError::DuplicateLineQuantity { field, line: line.clone() });
        }
        if *quantity == 0 {
            return Err(OrderError::ZeroQuantity { field, line: line.clone() });
        }
        if *quantity > counted {
            let (line, quantity) = (line.clone(), *quantity);
            return Err(OrderError::UncountedPieces { field, line, quantity, members, counted });
        }
    }
    Ok(())
}

/// Refuses an order whose state contradicts the event. An order that costs nothing needs no payment. A platform that
/// reports late sends the order in its present state, for example paid and refunded since.
fn check_state(kind: &OrderEventKind, order: &Order) -> Result<(), OrderError> {
    let has_price = order.total.minor > 0;
    let (kind, found, expected) = match kind {
        OrderEventKind::Cancelled if !order.cancelled => ("cancelled", "`cancelled` false", "`cancelled` true"),
        OrderEventKind::Paid if order.paid.minor < order.total.minor => {
            ("paid in full", "`paid` below `total`", "all payments in `paid`")
        }
        OrderEventKind::PartlyPaid if has_price && order.paid.minor == 0 => {
            ("paid in part", "0 in `paid`", "all payments in `paid`")
        }
        // A refund without an amount paid something back all the same.
        OrderEventKind::Refunded(refund)
            if order.refunded.minor < refund.amount.as_ref().map_or(i64::from(has_price), |amount| amount.minor) =>
        {
            ("refunded", "less than the refund in `refunded`", "all refunds in `refunded`")
        }
        _ => return Ok(()),
    };
    Err(OrderError::Contradiction { kind, found, expected })
}
