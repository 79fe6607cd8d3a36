//! `order-book`: orders as the platform knows them, cut to what the account may see.

use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::records::{Error, Order, Outage};

use crate::bindings::order_book::Host;
use crate::bindings::{to_guest, types};
use crate::durable::Call;
use crate::state::GuestState;

impl Host for GuestState {
    async fn find(&mut self, reference: String) -> wasmtime::Result<Result<Option<types::Order>, types::Error>> {
        Ok(to_guest(self.find_order(reference).await?, |order| order.map(Into::into)))
    }
}

impl GuestState {
    async fn find_order(&mut self, reference: String) -> wasmtime::Result<Result<Option<Order>, Error>> {
        let scope = match self.permit(Capability::OrderBook)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        // A webhook may name an order that the platform cannot find yet, because it is being placed or has not been
        // reported.
        let doubtful = self.hook == Hook::ReceiveWebhook;
        let find = async || match scope.platform.order_book.find(&scope.shop, &scope.account, &reference).await {
            Ok(None) if doubtful => {
                match scope.platform.order_book.may_exist(&scope.shop, &scope.account, &reference).await {
                    Ok(false) => Ok(None),
                    Ok(true) => Err(unavailable(&"it is uncertain whether the order exists")),
                    Err(error) => Err(unavailable(&error)),
                }
            }
            Ok(order) => Ok(order.map(|mut order| {
                if !scope.grants.personal_data {
                    order.remove_personal_data();
                }
                order
            })),
            Err(error) => Err(unavailable(&error)),
        };
        let found = match &mut self.durable {
            Some(cursor) => cursor.ask(Call::new("order-book.find", &reference, &reference)?, find()).await?,
            None => find().await,
        };
        self.record_doubt(&found);
        if let Ok(Some(order)) = &found {
            self.readable.extend(order.lines.iter().filter_map(|line| line.configuration.clone()));
        }
        Ok(found)
    }
}

fn unavailable(reason: &dyn std::fmt::Display) -> Error {
    Error::Unavailable(Outage { retry_after_seconds: None, detail: format!("the order book: {reason}") })
}
