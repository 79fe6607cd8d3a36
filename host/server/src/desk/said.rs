//! What plugins said, in a line.

use cartwright::types::{BytesSource, Outcome};
use cartwright_store::StoredOutcome;

use crate::documents::moment;

/// An outcome, without anything personal.
pub(super) fn said(outcome: &Outcome) -> String {
    let of = |line: &Option<String>| line.as_ref().map_or("the order".to_owned(), |line| format!("line {line}"));
    match outcome {
        Outcome::Note(message) => format!("note: {}", message.text),
        Outcome::VendorReference(named) => format!("vendor-reference: {} is {}", of(&named.line), named.reference),
        Outcome::LineStatus(status) => format!("line-status: line {} is {}", status.line, status.status),
        Outcome::Production(production) => format!("production: {} is {}", of(&production.line), production.state),
        Outcome::Shipment(shipment) => {
            let carrier = shipment.carrier.as_deref().unwrap_or("an unnamed carrier");
            format!("shipment: {} with {carrier}", shipment.tracking_id.as_deref().unwrap_or("untracked"))
        }
        Outcome::Document(document) => {
            let content = match &document.content {
                BytesSource::Inline(bytes) => format!("{} bytes", bytes.len()),
                BytesSource::Stored(digest) => digest.clone(),
            };
            format!("document: {} {} of {}, {content}", document.kind, document.name, of(&document.line))
        }
        Outcome::BillOfMaterials(materials) => format!("bill-of-materials: of line {}", materials.line),
        Outcome::NeedsMerchant(message) => format!("needs-merchant: {}", message.text),
        Outcome::Remember(text) => format!("remember: {}", text.name),
        Outcome::PushSettings(settings) => {
            let names: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
            format!("push-settings: {}", names.join(", "))
        }
        Outcome::HandOn(named) => format!("hand-on: {}", named.name),
        Outcome::Other(named) => format!("other: {}", named.name),
    }
}

pub(super) fn print(outcomes: &[StoredOutcome]) {
    for outcome in outcomes {
        let held = if outcome.held { ", waits for a person" } else { "" };
        say!("  {} {} {}{held}", moment(outcome.at), outcome.account, said(&outcome.outcome));
    }
}
