//! `POST /orders/{integration-id}`.
//!
//! An order reserves its identifiers from the moment its request is accepted, so that a second request with the same
//! ones is rejected while the first still waits for the payment verification. An ignored order releases them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use serde_json::Value;

use super::codes::{Outcome, ResultCode};
use super::payload::{OrderPayload, signed};
use super::webhooks::{FaultyResponse, Verdict};
use super::{Call, State, TwikitState};
use crate::lock;

/// `IOrderItem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    /// The saved configuration.
    pub configuration_id: u64,
    /// The quantity to produce.
    pub amount: u64,
    /// The caller's identifier of the line.
    pub identifier: String,
}

/// The state of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// The payment verification is in progress.
    Verifying,
    /// Created and set to paid: code 1.
    Paid,
    /// Created, not started, and a person must look at it: code 2.
    Unhealthy(FaultyResponse),
}

/// An order at Twikit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The caller's identifier of the order.
    pub identifier: String,
    /// Its lines.
    pub items: Vec<OrderItem>,
    /// Its state.
    pub state: OrderState,
    /// The complete payload as it was sent: addresses, data.
    pub payload: Value,
}

pub(super) async fn create(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(integration): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Outcome {
    match place(&state, &integration, &headers, &body).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn place(state: &State, integration: &str, headers: &HeaderMap, body: &[u8]) -> Result<Outcome, Outcome> {
    state.admit(integration, Call::Order)?;
    let fields = signed(headers, body, "orderPayload", &state.config.payload_secret)?;
    let OrderPayload { identifier, items } = OrderPayload::read(&fields)?;
    let configuration_ids: Vec<u64> = items.iter().map(|item| item.configuration_id).collect();
    let data = fields.get("data").cloned().unwrap_or_default();
    let payload = Value::Object(fields);
    let order = Order { identifier: identifier.clone(), items, state: OrderState::Verifying, payload };
    lock(&state.state).accept(order)?;

    // No lock is held here: the caller's shop may send this fake requests before it responds.
    let verdict = state.verify(&identifier, &configuration_ids, data).await;
    let mut book = lock(&state.state);
    Ok(match verdict {
        Verdict::NotAsked | Verdict::Confirmed => {
            book.settle(&identifier, OrderState::Paid);
            Outcome::new(ResultCode::OrderCreatedSuccessfully, "The order was created.")
        }
        Verdict::Faulty(fault) => {
            let message = format!("The order was created but could not be verified: {fault}");
            book.settle(&identifier, OrderState::Unhealthy(fault));
            Outcome::new(ResultCode::OrderCreatedUnhealthy, message)
        }
        Verdict::Denied => {
            book.ignore(&identifier);
            Outcome::new(ResultCode::VerificationFailed, "The payment verification declared the order invalid.")
        }
    })
}

impl TwikitState {
    fn accept(&mut self, order: Order) -> Result<(), Outcome> {
        let exists = |what: &str, identifier: &str| {
            let message = format!("The {what} identifier `{identifier}` is already in use.");
            Err(Outcome::new(ResultCode::IdentifierAlreadyExists, message))
        };
        if self.orders.iter().any(|known| known.identifier == order.identifier) {
            return exists("order", &order.identifier);
        }
        let lines = self.orders.iter().flat_map(|order| &order.items);
        let mut used: BTreeSet<&str> = lines.map(|item| item.identifier.as_str()).collect();
        for item in &order.items {
            // A repetition within one order counts as in use too.
            if !used.insert(&item.identifier) {
                return exists("order item", &item.identifier);
            }
        }
        for item in &order.items {
            self.configuration(item.configuration_id)?;
        }
        self.orders.push(order);
        Ok(())
    }

    fn settle(&mut self, identifier: &str, state: OrderState) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.identifier == identifier) {
            order.state = state;
        }
    }

    fn ignore(&mut self, identifier: &str) {
        self.orders.retain(|order| order.identifier != identifier);
        self.ignored.push(identifier.to_owned());
    }
}
