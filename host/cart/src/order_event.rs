//! The rules of order events: what happened, and the order that it left behind, agree.

use std::collections::BTreeSet;

use cartwright_contract::records::{Event, EventKind, LineQuantity, Order, OrderLine};

use crate::order_error::{OrderError, RESERVED_ID_PREFIX};
use crate::order_lines::{check_amount, check_id, check_order, check_time};

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
