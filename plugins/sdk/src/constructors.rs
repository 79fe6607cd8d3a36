//! Constructors of messages, errors and metadata.

use crate::strategy::{NamedStrategy, PluginMetadata};
use crate::types::{CallError, FieldIssue, Memo, Message, Outage, Outcome};

/// Returns a message for people: a stable key, the English text, and its parameters.
pub fn message(key: &str, text: impl Into<String>, parameters: &[(&str, &str)]) -> Message {
    Message {
        key: key.to_owned(),
        parameters: parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        text: text.into(),
    }
}

/// Returns an error about a wrong input, with its field or path.
pub fn invalid_input(field: impl Into<String>, message: Message) -> CallError {
    CallError::InvalidInput(FieldIssue { field: field.into(), message, blocking: true })
}

/// Returns an error about a missing or wrong setting.
pub fn not_configured(field: impl Into<String>, message: Message) -> CallError {
    CallError::NotConfigured(FieldIssue { field: field.into(), message, blocking: true })
}

/// Returns an error about a server that cannot be reached or is not ready.
pub fn outage(detail: impl Into<String>, retry_after_seconds: Option<u32>) -> CallError {
    CallError::Unavailable(Outage { retry_after_seconds, detail: detail.into() })
}

/// Returns an error about a request that the server understood and rejected.
pub fn rejected(message: Message) -> CallError {
    CallError::Rejected(message)
}

/// Returns the outcome that stores a memo for the next events of the order.
pub fn set_memo(name: &str, value: impl Into<String>) -> Outcome {
    Outcome::SetMemo(Memo { name: name.to_owned(), value: value.into() })
}

/// Returns an error of the plugin itself.
pub fn internal(text: impl Into<String>) -> CallError {
    CallError::Internal(text.into())
}

/// Returns the metadata of a plugin without outbound hosts, strategies and grants, to be completed with
/// `..plugin_metadata(…)`.
pub fn plugin_metadata(id: &str, name: &str, version: &str, publisher: &str) -> PluginMetadata {
    PluginMetadata {
        id: id.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        publisher: publisher.to_owned(),
        outbound_hosts: Vec::new(),
        strategies: Vec::new(),
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

/// Returns a strategy that the metadata lists, with its English title.
pub fn named_strategy(name: &str, title: &str) -> NamedStrategy {
    NamedStrategy { name: name.to_owned(), title: message(&format!("strategy-{name}"), title, &[]), extra: Vec::new() }
}

/// Returns the metadata of a plugin that is a single cart strategy, which has the plugin's id and name.
pub fn strategy_metadata(id: &str, name: &str, version: &str, publisher: &str) -> PluginMetadata {
    PluginMetadata { strategies: vec![named_strategy(id, name)], ..plugin_metadata(id, name, version, publisher) }
}
