//! Order lines for order hooks.

use cartwright_cart::order_error::OrderError;
use cartwright_cart::order_lines::{self, OrderedLine};
use cartwright_contract::ids::ShopId;
use cartwright_contract::records::{Money, OrderLine};

use crate::host::Cartwright;

impl Cartwright {
    /// Makes the lines of an order, for order hooks, of all its lines, in their order. `total` is what the order costs.
    ///
    /// A bundle is released as a whole: a member that is held holds its parent and all children. A bundle that parts were taken out of is
    /// held until it is approved: its bill of materials is without them, but a vendor that makes what the saved configuration says would
    /// make them all the same. A line without pieces is cancelled. That a seal's time is over is no fault: an order outlives it, and
    /// [`check_cart`](Self::check_cart) looked at the time before the order was taken.
    ///
    /// # Errors
    /// [`OrderError`] names the line and what to do.
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
