//! `order-book`: orders as the platform knows them, cut to what the account may see.

use cartwright_contract::hook::{Capability, Hook};
use cartwright_contract::order::remove_shopper_texts_of_articles;
use cartwright_contract::records::{Article, CallError, FieldIssue, Message, Order, Outage};

use crate::bindings::order_book::Host;
use crate::bindings::{convert_list, to_guest, types};
use crate::durable::Call;
use crate::state::GuestState;

impl Host for GuestState {
    async fn find(&mut self, reference: String) -> wasmtime::Result<Result<Option<types::Order>, types::CallError>> {
        Ok(to_guest(self.find_order(reference).await?, |order| order.map(Into::into)))
    }

    async fn bill_of_materials(
        &mut self,
        line_reference: String,
    ) -> wasmtime::Result<Result<Vec<types::Article>, types::CallError>> {
        Ok(to_guest(self.line_bill_of_materials(line_reference).await?, convert_list))
    }
}

impl GuestState {
    async fn find_order(&mut self, reference: String) -> wasmtime::Result<Result<Option<Order>, CallError>> {
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

    async fn line_bill_of_materials(
        &mut self,
        line_reference: String,
    ) -> wasmtime::Result<Result<Vec<Article>, CallError>> {
        let scope = match self.permit(Capability::OrderBook)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        let book = &scope.platform.order_book;
        let ask = async || {
            let mut articles = match book.bill_of_materials(&scope.shop, &scope.account, &line_reference).await {
                Ok(Some(articles)) => articles,
                Ok(None) => return Err(unknown_line(&line_reference)),
                Err(error) => return Err(unavailable(&error)),
            };
            if !scope.grants.personal_data {
                let order = book.find(&scope.shop, &scope.account, &line_reference).await;
                let order = order.map_err(|error| unavailable(&error))?;
                let mut lines = order.iter().flat_map(|order| &order.lines);
                let line = lines.find(|line| line.reference == line_reference);
                remove_shopper_texts_of_articles(&mut articles, line);
            }
            Ok(articles)
        };
        let found = match &mut self.durable {
            Some(cursor) => {
                let call = Call::new("order-book.bill-of-materials", &line_reference, &line_reference)?;
                cursor.ask(call, ask()).await?
            }
            None => ask().await,
        };
        self.record_doubt(&found);
        Ok(found)
    }
}

/// Returns the error of a line that [`GuestState::find_order`] would not find.
fn unknown_line(reference: &str) -> CallError {
    let shown: String = reference.chars().take(200).collect();
    CallError::InvalidInput(FieldIssue {
        field: "line-reference".to_owned(),
        message: Message {
            key: "line-unknown".to_owned(),
            text: format!("No order line that concerns this account has the reference {shown:?}."),
            parameters: vec![("reference".to_owned(), shown)],
        },
        blocking: true,
    })
}

fn unavailable(reason: &dyn std::fmt::Display) -> CallError {
    CallError::Unavailable(Outage { retry_after_seconds: None, detail: format!("the order book: {reason}") })
}
