//! The requests and responses of the ERP system.

use cartwright_plugin::http::HttpResponse;
use cartwright_plugin::types::{Article, CallError, Order, ProductionState};
use cartwright_plugin::{internal, order_book, outage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct WireOrder<'a> {
    reference: &'a str,
    lines: Vec<WireLine<'a>>,
}

#[derive(Serialize)]
struct WireLine<'a> {
    reference: &'a str,
    quantity: u32,
    /// The bill of materials of one piece.
    materials: Vec<WireArticle>,
}

#[derive(Serialize)]
struct WireArticle {
    sku: String,
    /// Exact decimal text: a JSON number could lose digits.
    quantity: String,
}

#[derive(Deserialize)]
struct Accepted {
    reference: String,
}

#[derive(Deserialize)]
struct Status {
    state: WireState,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireState {
    Queued,
    Started,
    Done,
    Failed,
}

/// Returns the released lines of an order as JSON, with the bill of materials of each.
pub fn order(order: &Order) -> Result<Vec<u8>, CallError> {
    let lines = order.lines.iter().filter(|line| line.released);
    let lines = lines.map(|line| {
        let articles = order_book::bill_of_materials(&line.reference)?;
        Ok(WireLine {
            reference: &line.reference,
            quantity: line.cart_line.quantity,
            materials: articles
                .into_iter()
                .map(|Article { sku, quantity, .. }| WireArticle { sku, quantity })
                .collect(),
        })
    });
    let lines = lines.collect::<Result<Vec<_>, CallError>>()?;
    serde_json::to_vec(&WireOrder { reference: &order.reference, lines }).map_err(|error| internal(error.to_string()))
}

/// Returns the reference under which an order was accepted.
pub fn accepted(response: HttpResponse) -> Result<String, CallError> {
    read::<Accepted>(response).map(|accepted| accepted.reference)
}

/// Returns the state of an order.
pub fn status(response: HttpResponse) -> Result<ProductionState, CallError> {
    Ok(match read::<Status>(response)?.state {
        WireState::Queued => ProductionState::Queued,
        WireState::Started => ProductionState::Started,
        WireState::Done => ProductionState::Done,
        WireState::Failed => ProductionState::Failed,
    })
}

/// Escapes everything that is not unreserved (RFC 3986, 2.3).
pub fn path_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn read<T: DeserializeOwned>(response: HttpResponse) -> Result<T, CallError> {
    let response = response.require_success("the ERP system")?;
    serde_json::from_slice(response.bytes())
        .map_err(|error| outage(format!("the ERP system's response is invalid: {error}"), None))
}
