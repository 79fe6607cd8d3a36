//! The requests and responses of the ERP system.

use cartwright_plugin::http::HttpResponse;
use cartwright_plugin::types::{CallError, Order};
use cartwright_plugin::{internal, outage};
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
    materials: Vec<WireArticle<'a>>,
}

#[derive(Serialize)]
struct WireArticle<'a> {
    sku: &'a str,
    /// Exact decimal text: a JSON number could lose digits.
    quantity: &'a str,
}

#[derive(Deserialize)]
struct Accepted {
    reference: String,
}

#[derive(Deserialize)]
struct Status {
    state: String,
}

/// Returns the released lines of an order as JSON.
pub fn order(order: &Order) -> Result<Vec<u8>, CallError> {
    let lines = order.lines.iter().filter(|line| line.released).map(|line| WireLine {
        reference: &line.reference,
        quantity: line.cart_line.quantity,
        materials: line
            .bill_of_materials
            .iter()
            .map(|article| WireArticle { sku: &article.sku, quantity: &article.quantity })
            .collect(),
    });
    serde_json::to_vec(&WireOrder { reference: &order.reference, lines: lines.collect() })
        .map_err(|error| internal(error.to_string()))
}

/// Returns the reference under which an order was accepted.
pub fn accepted(response: HttpResponse) -> Result<String, CallError> {
    read::<Accepted>(response).map(|accepted| accepted.reference)
}

/// Returns the state of an order: "queued", "started", "done" or "failed".
pub fn status(response: HttpResponse) -> Result<String, CallError> {
    read::<Status>(response).map(|status| status.state)
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
