//! The webhook endpoints that Twikit calls (Webhooks), and their common parts.
//!
//! Twikit signs nothing: only the unguessable URL keeps strangers out, and every id is checked against the order. "If
//! error is filled in, or the status code is not 200" Twikit treats a response as faulty. The response to a faulty
//! delivery has another status *and* an error: the host repeats the response of a successful delivery, whereas Twikit's
//! single repetition after five minutes must be handled again.

use cartwright_plugin::exports::webhooks::{
    Authentication, WebhookEndpoint, WebhookMode, WebhookRequest, WebhookResponse, WebhookResult,
};
use cartwright_plugin::json::Problem;
use cartwright_plugin::types::{Context, Report};
use cartwright_plugin::{CallError, invalid_input, message};
use serde_json::{Value, json};

use crate::identifiers::Find;
use crate::{verification, webhook_deliveries};

/// Payment Verification.
pub const PAYMENT_VERIFICATION: &str = "payment-verification";
/// Production Completion.
pub const PRODUCTION_COMPLETION: &str = "production-completion";
/// Order Completion.
pub const ORDER_COMPLETION: &str = "order-completion";
/// Website Publication.
pub const WEBSITE_PUBLICATION: &str = "website-publication";

/// Returns the four endpoints, titled as in Twikit's user interface. They are the same under all settings.
pub fn endpoints() -> Vec<WebhookEndpoint> {
    let endpoint = |name: &str, title: &str, mode| WebhookEndpoint {
        name: name.to_owned(),
        title: message(name, title, &[]),
        mode,
        authentication: Authentication::AddressOnly,
        delivery_id_header: None,
        networks: Vec::new(),
        extra: Vec::new(),
    };
    vec![
        endpoint(PAYMENT_VERIFICATION, "Payment Verification", WebhookMode::Query),
        endpoint(PRODUCTION_COMPLETION, "Production Completion", WebhookMode::Delivery),
        endpoint(ORDER_COMPLETION, "Order Completion", WebhookMode::Delivery),
        endpoint(WEBSITE_PUBLICATION, "Website Publication", WebhookMode::Delivery),
    ]
}

/// Handles one request.
pub fn receive(
    context: &Context,
    endpoint: &str,
    request: &WebhookRequest,
    find: Find<'_>,
) -> Result<WebhookResult, CallError> {
    if !endpoints().iter().any(|known| known.name == endpoint) {
        let text = format!("Unknown endpoint \"{endpoint}\".");
        return Err(invalid_input("endpoint", message("endpoint-unknown", text, &[("endpoint", endpoint)])));
    }
    if request.method != "POST" {
        let mut refused = faulty(405, "Use POST.");
        refused.response.headers.push(("allow".to_owned(), "POST".to_owned()));
        return Ok(refused);
    }
    let body = request.body.as_slice();
    let received = match endpoint {
        PAYMENT_VERIFICATION => verification::answer(body, find),
        PRODUCTION_COMPLETION => webhook_deliveries::production_completion(body, find),
        ORDER_COMPLETION => webhook_deliveries::order_completion(context, body, find),
        _ => webhook_deliveries::website_publication(body),
    };
    Ok(received.unwrap_or_else(|problem| malformed(&problem)))
}

fn malformed(problem: &Problem) -> WebhookResult {
    faulty(400, &format!("The request is invalid: {problem}."))
}

/// Returns a response with an error and without reports.
pub fn faulty(status: u16, error: &str) -> WebhookResult {
    WebhookResult { response: reply(status, &json!({ "error": error })), reports: Vec::new(), extra: Vec::new() }
}

/// Returns a successful response.
pub fn accepted(reports: Vec<Report>) -> WebhookResult {
    WebhookResult { response: reply(200, &json!({ "error": "" })), reports, extra: Vec::new() }
}

/// Returns a response.
pub fn reply(status: u16, body: &Value) -> WebhookResponse {
    WebhookResponse {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
