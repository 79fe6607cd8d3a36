//! `order-book`: orders as the platform knows them, cut down to what the asking account may see.

use crate::capability::Capability;
use crate::contract::order_book::Host;
use crate::contract::{Error, Order, Outage};
use crate::durable::Call;
use crate::guest::GuestState;

impl Host for GuestState {
    async fn find(&mut self, reference: String) -> wasmtime::Result<Result<Option<Order>, Error>> {
        let scope = match self.permit(Capability::OrderBook)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        let find = async || match scope.platform.order_book.find(&scope.shop, &scope.account, &reference).await {
            Ok(order) => Ok(order.map(|mut order| {
                if !scope.grants.personal_data {
                    order.billing = None;
                    order.delivery = None;
                }
                order
            })),
            Err(error) => Err(Error::Unavailable(Outage {
                retry_after_seconds: None,
                detail: format!("the order book: {error}"),
            })),
        };
        let found = match &mut self.durable {
            Some(cursor) => cursor.ask(Call::new("order-book.find", &reference, &reference), find()).await?,
            None => find().await,
        };
        if let Ok(Some(order)) = &found {
            self.readable.extend(order.lines.iter().filter_map(|line| line.configuration.clone()));
        }
        Ok(found)
    }
}
