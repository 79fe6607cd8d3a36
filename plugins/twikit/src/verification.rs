//! Twikit's question whether an order is valid (Webhooks, Payment Verification): "You must check that the order is indeed in a
//! status of being confirmed." It comes while the order is being created.
//!
//! Three answers, three consequences: an error makes the order "unhealthy" and people talk; `success: false` makes Twikit ignore
//! the order; `success: true` starts production. So "no" is only said when it is certain.

use cartwright_plugin::exports::webhooks::Received;
use cartwright_plugin::message;
use cartwright_plugin::types::{Order, Outcome};
use serde_json::json;

use crate::identifiers::{Find, lines_of, locate};
use crate::json::{self, At, Json, Problem};
use crate::ledger;
use crate::webhooks::reply;

/// Answers the question.
pub fn answer(body: &At<'_>, find: Find<'_>) -> Result<Received, Problem> {
    let identifier = identifier(body)?;
    let mut asked = body.member("configurationIds")?.list()?.iter().map(At::id).collect::<Result<Vec<_>, _>>()?;
    let order = match locate(&identifier, find) {
        Ok(Some(order)) => order,
        Ok(None) => return Ok(decided(false, Vec::new())),
        Err(_) => return Ok(unsure("The shop's orders cannot be looked at now.")),
    };
    let Ok(lines) = lines_of(&order, &identifier) else {
        return Ok(unsure("The shop's order cannot be read."));
    };
    let mut ours: Vec<u64> = lines.iter().map(|line| line.configuration).collect();
    asked.sort_unstable();
    ours.sort_unstable();
    let in_order = order.released && !order.cancelled && !ours.is_empty();
    let lines_in_order = lines.iter().all(|line| line.line.released && line.line.status != "cancelled");
    let valid = in_order && lines_in_order && asked == ours;
    let outcome = if valid { ledger::verified(&identifier) } else { refused(&order, &identifier, asked == ours) };
    Ok(decided(valid, vec![(Some(order.reference), outcome)]))
}

/// The identifier, "copied over from the original request". A file export's request has none; the reference that was sent
/// along with it as `data`, "sent back for validation", stands in where it comes back.
fn identifier(body: &At<'_>) -> Result<String, Problem> {
    let at = body.member("identifier")?;
    if let Some(identifier) = at.optional_text()? {
        return Ok(identifier.to_owned());
    }
    let missing = || at.problem("is missing");
    let data = body.member("data")?;
    let written = match data.json() {
        Json::Text(text) => Some(json::parse(text.as_bytes()).map_err(|_| missing())?),
        _ => None,
    };
    let data = written.as_ref().map_or(data, At::root);
    let reference = data.member("reference").ok().and_then(|reference| reference.text().ok()).map(str::to_owned);
    reference.ok_or_else(missing)
}

fn decided(success: bool, outcomes: Vec<(Option<String>, Outcome)>) -> Received {
    Received { response: reply(200, &json!({ "error": "", "success": success })), outcomes }
}

fn unsure(error: &str) -> Received {
    Received { response: reply(503, &json!({ "error": error, "success": false })), outcomes: Vec::new() }
}

fn refused(order: &Order, identifier: &str, same: bool) -> Outcome {
    let why = match (order.cancelled, order.released) {
        (true, _) => "the order is cancelled",
        (_, false) => "the order is not released",
        _ if !same => "the configurations it named are not those of the order",
        _ => "a line is not released",
    };
    let text = format!("Twikit asked whether the order {identifier} is valid and was told no: {why}.");
    Outcome::Note(message("verification-refused", text, &[("identifier", identifier)]))
}
