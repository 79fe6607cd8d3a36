//! Order lines for order hooks.

use cartwright_cart::order_error::OrderError;
use cartwright_cart::order_lines::{self, OrderedLine};
use cartwright_contract::ids::ShopId;
use cartwright_contract::records::{Money, OrderLine};

use crate::host::Cartwright;

impl Cartwright {
    /// Creates the lines of an order for order hooks, from all its lines and in their order. `total` is the order's
    /// total.
    ///
    /// A bundle is released as a whole, and so is a set: a line on hold puts all others of its bundle or set on hold. A
    /// bundle with removed parts is on hold until it is approved. Its bill of materials lacks those parts, but a vendor
    /// that produces from the saved configuration would make them all the same. A line with nothing to make is
    /// cancelled. An expired seal is accepted, because an order outlives it; [`check_cart`](Self::check_cart) checked
    /// the expiry before the order was placed.
    ///
    /// # Errors
    /// The [`OrderError`] names the line and what to do.
    pub fn order_lines(
        &self,
        shop: &ShopId,
        order: &str,
        total: &Money,
        lines: &[OrderedLine<'_>],
    ) -> Result<Vec<OrderLine>, OrderError> {
        let state = self.shop_state(shop)?;
        order_lines::order_lines(&state.shop, |line| self.reference(shop, order, Some(line)), order, total, lines)
    }
}
