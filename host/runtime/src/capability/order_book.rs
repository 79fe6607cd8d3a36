//! `order-book`: orders as the platform knows them, cut down to what the asking account may see.

use crate::capability::Capability;
use crate::contract::order_book::Host;
use crate::contract::{Error, Order, Outage};
use crate::guest::GuestState;

impl Host for GuestState {
    async fn find(&mut self, reference: String) -> wasmtime::Result<Result<Option<Order>, Error>> {
        let scope = match self.permit(Capability::OrderBook)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        match scope.platform.order_book.find(&scope.shop, &scope.account, &reference).await {
            Ok(order) => Ok(Ok(order.map(|mut order| {
                if !scope.grants.personal_data {
                    order.billing = None;
                    order.delivery = None;
                }
                self.readable.extend(order.lines.iter().filter_map(|line| line.configuration.clone()));
                order
            }))),
            Err(error) => Ok(Err(Error::Unavailable(Outage {
                retry_after_seconds: None,
                detail: format!("the order book: {error}"),
            }))),
        }
    }
}
