//! Twikit's query whether an order is valid (Webhooks, Payment Verification): "You must check that the order is indeed
//! in a status of being confirmed." It arrives while the order is being created.
//!
//! The three responses have different consequences: after an error the order is "unhealthy" and people must resolve it;
//! with `success: false` Twikit ignores the order; with `success: true` production starts. So the response is "no" only
//! if it is certain.

use cartwright_plugin::exports::webhooks::WebhookResult;
use cartwright_plugin::json::{self, Name, Optional, Problem, RawValue, Text};
use cartwright_plugin::types::{Order, Outcome, Report};
use cartwright_plugin::{is_refunded, message};
use serde::Deserialize;
use serde_json::json;

use crate::identifiers::{ConfigurationId, Find, find_order, is_producible, lines_of};
use crate::ledger;
use crate::webhooks::reply;

/// The query. Unknown members are ignored: "More fields may be added".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(borrow, default)]
    identifier: Optional<Text<'a>>,
    configuration_ids: Vec<ConfigurationId>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The data that this plugin sent along, "sent back for validation".
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    reference: Text<'a>,
}

/// Answers the query.
pub fn answer(body: &[u8], find: Find<'_>) -> Result<WebhookResult, Problem> {
    let question: Question<'_> = json::read(body)?;
    let identifier = identifier(&question)?;
    let mut queried: Vec<u64> = question.configuration_ids.iter().map(|id| id.0).collect();
    let order = match find_order(&identifier, find) {
        Ok(Some(order)) => order,
        Ok(None) => return Ok(decision(false, Vec::new())),
        Err(_) => return Ok(unknown("The shop's orders are unavailable at the moment.")),
    };
    let Ok(lines) = lines_of(&order, &identifier) else {
        return Ok(unknown("The shop's order is invalid."));
    };
    let mut ours: Vec<u64> = lines.iter().map(|line| line.configuration).collect();
    queried.sort_unstable();
    ours.sort_unstable();
    let lines_in_order = lines.iter().all(|line| line.line.released && line.line.status != "cancelled");
    let valid = is_producible(&order) && !ours.is_empty() && lines_in_order && queried == ours;
    let outcome = if valid { ledger::verified(&identifier) } else { refusal(&order, &identifier, queried == ours) };
    Ok(decision(valid, vec![Report::about_reference(order.reference, outcome)]))
}

/// Returns the identifier, "copied over from the original request". A file export's request has none; its `data`
/// contains the reference instead, as it was sent or as its JSON text.
fn identifier(question: &Question<'_>) -> Result<String, Problem> {
    if let Some(identifier) = question.identifier.as_str() {
        return Ok(identifier.to_owned());
    }
    let reference = |data: &RawValue| {
        if data.get().starts_with('"') {
            let Name(text) = json::read_part(data)?;
            return json::read(text.as_bytes()).map(|data: Data<'_>| data.reference.to_string());
        }
        json::read_part(data).map(|data: Data<'_>| data.reference.to_string())
    };
    let found = question.data.and_then(|data| reference(data).ok());
    found.ok_or_else(|| Problem::new("identifier", "missing member"))
}

fn decision(success: bool, reports: Vec<Report>) -> WebhookResult {
    let response = reply(200, &json!({ "error": "", "success": success }));
    WebhookResult { response, reports, extra: Vec::new() }
}

fn unknown(error: &str) -> WebhookResult {
    let response = reply(503, &json!({ "error": error, "success": false }));
    WebhookResult { response, reports: Vec::new(), extra: Vec::new() }
}

fn refusal(order: &Order, identifier: &str, same: bool) -> Outcome {
    let why = match (order.cancelled, order.released) {
        (true, _) => "the order is cancelled",
        _ if is_refunded(order) => "the order was refunded",
        (_, false) => "the order is not released",
        _ if !same => "the configurations differ from those of the order",
        _ => "a line is not released",
    };
    let text = format!("Twikit asked whether the order {identifier} is valid, and the response was no: {why}.");
    Outcome::Note(message("verification-refused", text, &[("identifier", identifier)]))
}
