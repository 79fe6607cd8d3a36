//! What follows from an order's amounts.

use crate::types::Order;

/// Returns whether something was paid back, and nothing that was paid is left: production that has not begun does not
/// begin.
pub fn is_refunded(order: &Order) -> bool {
    order.refunded.minor > 0 && order.refunded.minor >= order.paid.minor
}
