//! Wording messages and errors.

use crate::strategy::{Identity, NamedStrategy};
use crate::types::{Error, FieldIssue, Message, Outage, Outcome, RememberedText};

/// A sentence for a person: a stable key, the English text, and what it mentions.
pub fn message(key: &str, text: impl Into<String>, parameters: &[(&str, &str)]) -> Message {
    Message {
        key: key.to_owned(),
        parameters: parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        text: text.into(),
    }
}

/// The input is wrong at this field or path.
pub fn invalid_input(field: impl Into<String>, message: Message) -> Error {
    Error::InvalidInput(FieldIssue { field: field.into(), message, blocking: true })
}

/// This setting is missing or wrong.
pub fn not_configured(field: impl Into<String>, message: Message) -> Error {
    Error::NotConfigured(FieldIssue { field: field.into(), message, blocking: true })
}

/// The other side cannot be reached or is not ready.
pub fn outage(detail: impl Into<String>, retry_after_seconds: Option<u32>) -> Error {
    Error::Unavailable(Outage { retry_after_seconds, detail: detail.into() })
}

/// The other side understood and refused.
pub fn rejected(message: Message) -> Error {
    Error::Rejected(message)
}

/// Something to know at the next event of the order.
pub fn remember(name: &str, value: impl Into<String>) -> Outcome {
    Outcome::Remember(RememberedText { name: name.to_owned(), value: value.into() })
}

/// The plugin's own fault.
pub fn internal(text: impl Into<String>) -> Error {
    Error::Internal(text.into())
}

/// The identity of a plugin, to be completed with `..identity(…)`: no hosts, no strategies, no grants.
pub fn identity(id: &str, name: &str, version: &str, vendor: &str) -> Identity {
    Identity {
        id: id.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        vendor: vendor.to_owned(),
        hosts: Vec::new(),
        strategies: Vec::new(),
        capabilities: Vec::new(),
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

/// The identity of a plugin that is one cart strategy and nothing else: the strategy has the plugin's id and name.
pub fn strategy_identity(id: &str, name: &str, version: &str, vendor: &str) -> Identity {
    let strategies = vec![NamedStrategy { name: id.to_owned(), title: message(id, name, &[]) }];
    Identity { strategies, ..identity(id, name, version, vendor) }
}
