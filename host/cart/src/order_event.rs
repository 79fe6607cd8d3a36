//! The rules of order events: the event and the reported order must agree.

use std::collections::BTreeSet;

use cartwright_contract::records::{LineQuantity, Order, OrderEvent, OrderEventKind, OrderLine};

use crate::order_error::{OrderError, RESERVED_ID_PREFIX};
use crate::order_lines::{check_amount, check_id, check_order, check_time};

/// Checks the data of an order event beside its cart lines. Ids, texts, amounts and times must be within bounds, the
/// event's id must not be reserved for the host, and its kind must agree with the order's state. Quantities of a
/// refund or shipment must refer to lines of the order, each line once, with 1 to the sealed quantity, whatever
/// quantity is left to produce. `sealed` returns the sealed quantity of a line.
///
/// # Errors
/// The [`OrderError`] names what is wrong.
pub fn check_event(event: &OrderEvent, sealed: impl Fn(&OrderLine) -> u32) -> Result<(), OrderError> {
    check_id("the event id", &event.id)?;
    if event.id.starts_with(RESERVED_ID_PREFIX) {
        return Err(OrderError::ReservedId { field: "the event id", value: event.id.clone() });
    }
    check_time("the event's time", &event.at)?;
    if let OrderEventKind::Refunded(refund) = &event.kind
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

fn check_line_quantities(event: &OrderEvent, sealed: impl Fn(&OrderLine) -> u32) -> Result<(), OrderError> {
    let (field, named): (_, &[LineQuantity]) = match &event.kind {
        OrderEventKind::Refunded(refund) => ("the refund", &refund.lines),
        OrderEventKind::Fulfilled(shipment) => ("the shipment", &shipment.lines),
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
fn check_state(kind: &OrderEventKind, order: &Order) -> Result<(), OrderError> {
    const UNPAID: &str = "the payment \"none\"";
    let is_unpaid = order.payment == "none" && order.total.minor > 0;
    let (kind, found, expected) = match kind {
        OrderEventKind::Cancelled if !order.cancelled => ("cancelled", "`cancelled` false", "`cancelled` true"),
        OrderEventKind::Paid if is_unpaid => ("paid", UNPAID, "\"full\", or \"part\""),
        OrderEventKind::PartlyPaid if is_unpaid => ("paid in part", UNPAID, "\"part\""),
        OrderEventKind::Refunded(_) if is_unpaid => {
            ("refunded", UNPAID, "\"refunded\", or with \"part\" or \"full\" if something stays paid")
        }
        _ => return Ok(()),
    };
    Err(OrderError::Contradiction { kind, found, expected })
}
