//! Descriptions of outcomes, journal entries and amounts in words. Only the sizes of bodies are included, because they
//! may contain personal data.

use cartwright::durable::{Answer, Entry, JournaledBody, JournaledBytes, ResponsibleParty};
use cartwright::types::{Audience, BytesSource, Money, Outcome, RetrySafety, WakeReason};
use cartwright::{describe, money, production_state, timestamp};

/// Describes an outcome, without personal data.
pub fn describe_outcome(outcome: &Outcome) -> String {
    let of = |line: &Option<String>| line.as_ref().map_or("the order".to_owned(), |line| format!("line {line}"));
    match outcome {
        Outcome::Note(message) => format!("note: {}", message.text),
        Outcome::VendorReference(named) => format!("vendor-reference: {} is {}", of(&named.line), named.reference),
        Outcome::LineStatus(status) => format!("line-status: line {} is {}", status.line, status.status),
        Outcome::Production(production) => {
            format!("production: {} is {}", of(&production.line), production_state(production.state))
        }
        Outcome::Shipment(shipment) => {
            let carrier = shipment.carrier.as_deref().unwrap_or("an unnamed carrier");
            format!("shipment: {} with {carrier}", shipment.tracking_id.as_deref().unwrap_or("untracked"))
        }
        Outcome::Document(document) => {
            let content = match &document.content {
                BytesSource::Bytes(bytes) => format!("{} bytes", bytes.len()),
                BytesSource::Stored(digest) => digest.clone(),
            };
            let audience = match document.audience {
                Audience::Shopper => "",
                Audience::Merchant => ", for the merchant only",
            };
            format!("document: {} {} of {}{audience}, {content}", document.kind, document.name, of(&document.line))
        }
        Outcome::BillOfMaterials(bill) => format!("bill-of-materials: of line {}", bill.line),
        Outcome::NeedsMerchant(message) => format!("needs-merchant: {}", message.text),
        Outcome::SetMemo(memo) => format!("set-memo: {}", memo.name),
        Outcome::PushSettings(settings) => {
            let names: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
            format!("push-settings: {}", names.join(", "))
        }
        Outcome::Forward(named) => format!("forward: {}", named.name),
        Outcome::Other(named) => format!("other: {}", named.name),
    }
}

/// Returns the kind of an entry, and its description.
pub fn describe_entry(entry: &Entry) -> (String, String) {
    match entry {
        Entry::RunStart(began) => {
            let personal = if began.personal_data { "granted" } else { "not granted" };
            ("began".to_owned(), format!("personal data {personal}"))
        }
        Entry::Intent { call, retry_safety, attempt } => {
            let retry_safety = match retry_safety {
                RetrySafety::NonIdempotent => "must not be sent twice",
                RetrySafety::Idempotent => "idempotent",
                RetrySafety::Safe => "may be sent again",
            };
            (call.to_string(), format!("attempt {attempt}, {retry_safety}"))
        }
        Entry::Responded { answer: Answer::Returned(response), .. } => {
            let body = match &response.body {
                JournaledBody::Inline(stored) => size(stored),
                JournaledBody::Stored(stored) => format!("{} bytes as {}", stored.size, stored.digest),
            };
            (format!("answered {}", response.status), format!("{body}, attempts {}", response.attempts))
        }
        Entry::Responded { answer: Answer::Failed(error), may_have_arrived } => {
            let arrived = if *may_have_arrived { "may have arrived" } else { "was not sent" };
            ("not answered".to_owned(), format!("{}; {arrived}", describe(error)))
        }
        Entry::Returned { call, answer: Answer::Returned(stored) } => (call.to_string(), size(stored)),
        Entry::Returned { call, answer: Answer::Failed(error) } => (call.to_string(), describe(error)),
        Entry::Emitted { outcome, .. } => ("outcomes.emit".to_owned(), describe_outcome(outcome)),
        Entry::SleepStarted { call, until } => (call.to_string(), format!("until {}", timestamp(*until))),
        Entry::SleepEnded { reason } => {
            let reason = match reason {
                WakeReason::Elapsed => "the time elapsed",
                WakeReason::EventWaiting => "another event of the order is waiting",
                WakeReason::JobCancelled => "the job was cancelled",
            };
            ("woke".to_owned(), reason.to_owned())
        }
        Entry::Retried { kept_calls } => ("retried".to_owned(), format!("from call {} on", kept_calls + 1)),
    }
}

fn size(journaled: &JournaledBytes) -> String {
    match journaled {
        JournaledBytes::Text(text) => format!("{} bytes", text.len()),
        JournaledBytes::Bytes(bytes) => format!("{} bytes", bytes.len()),
        JournaledBytes::Blob(digest) => digest.to_string(),
    }
}

/// Returns the party that can fix a stopped job, and what the problem may be.
pub fn responsible_text(actor: ResponsibleParty) -> &'static str {
    match actor {
        ResponsibleParty::Merchant => "the merchant: the order, a setting, or the account at the vendor",
        ResponsibleParty::Operator => "the operator of this host: a grant, a limit, a component, a shop's set-up",
        ResponsibleParty::PluginAuthor => "the author of the plugin",
    }
}

/// Formats an amount: "12.50 EUR".
pub fn amount(amount: &Money) -> String {
    match money::exact(amount) {
        Ok(exact) => format!("{exact} {}", amount.currency),
        Err(_) => format!("{}e-{} {}", amount.minor, amount.scale, amount.currency),
    }
}
