//! Errors of a guest call, grouped by what the caller does next.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::hook::Hook;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::records::{self, FieldIssue, Message, Outcome, Refusal};
use crate::text::TextFault;

/// The error of a failed guest call.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{plugin} failed in {hook}: {failure}")]
pub struct HookError {
    /// The plugin.
    pub plugin: PluginId,
    /// The function of the contract that was called.
    pub hook: Hook,
    /// The failure.
    pub failure: Failure,
    /// Outcomes and log lines that an order hook emitted before it failed. The outcomes stay applied.
    #[serde(skip_serializing_if = "EmittedOutcomes::is_empty")]
    pub emitted: Box<EmittedOutcomes>,
}

/// Outcomes and log lines that an order hook emitted before it failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmittedOutcomes {
    /// The outcomes, in the order of their emission.
    pub outcomes: Vec<Outcome>,
    /// The log lines.
    pub log: Vec<LogLine>,
}

impl EmittedOutcomes {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.log.is_empty()
    }
}

/// A line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// The level: `debug`, `info`, `warn` or `error`; `output` for standard output and standard error.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub level: Cow<'static, str>,
    /// The text of the line.
    pub text: String,
}

/// A limit that a guest call exceeded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum Breach {
    /// The guest exceeded its computing time.
    #[error("the guest computed longer than {allowed_ms} ms (limit guest_cpu)")]
    GuestCpu {
        /// The limit in milliseconds.
        allowed_ms: u64,
    },
    /// The call exceeded its deadline.
    #[error("the call took longer than {allowed_ms} ms (limit deadline)")]
    Deadline {
        /// The limit in milliseconds.
        allowed_ms: u64,
    },
    /// The guest requested too much memory.
    #[error("the guest requested {requested} bytes of memory; at most {allowed} are allowed (limit memory)")]
    Memory {
        /// The requested size of all memories together, in bytes.
        requested: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The guest requested too many table elements.
    #[error("the guest requested {requested} table elements; at most {allowed} are allowed (limit table_elements)")]
    TableElements {
        /// The requested number of elements of all tables together.
        requested: usize,
        /// The limit in elements.
        allowed: usize,
    },
    /// The guest exhausted its stack.
    #[error("the guest exhausted its stack of {allowed} bytes (limit stack)")]
    Stack {
        /// The limit in bytes.
        allowed: usize,
    },
    /// The guest made too many host calls.
    #[error("the guest called the host more than {allowed} times (limit host_calls)")]
    HostCalls {
        /// The maximum number of host calls.
        allowed: u32,
    },
    /// The guest passed too much data to the host in one call.
    #[error("the guest passed more than {allowed} bytes in one call (limit bytes_out)")]
    BytesOut {
        /// The limit in bytes.
        allowed: usize,
    },
    /// The data for the guest is too large.
    #[error("the data for the guest has {given} bytes; at most {allowed} are allowed (limit bytes_in)")]
    BytesIn {
        /// The size of the data in bytes.
        given: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The guest logged too much.
    #[error("the guest logged more than {allowed} bytes (limit log_bytes)")]
    LogBytes {
        /// The limit in bytes.
        allowed: usize,
    },
}

/// Why a guest call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "failure", content = "detail", rename_all = "kebab-case")]
pub enum Failure {
    /// The plugin returned an error of the contract.
    #[error("{}", describe(.0))]
    PluginError(records::CallError),
    /// The call exceeded a limit of the host.
    #[error("{0}")]
    Limit(Breach),
    /// The guest trapped. The text is meant for the plugin author.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// A request that must not be sent twice may have arrived without a response. A person must check before a retry.
    #[error(
        "a request that must not be sent twice may have arrived: {0}; check in the vendor's back office before you retry"
    )]
    UnansweredRequest(String),
    /// No slot became free in time. A retry may succeed.
    #[error("the host is busy: no call slot became free within {waited_ms} ms; try again")]
    Busy {
        /// How long the call waited for a slot, in milliseconds.
        waited_ms: u64,
    },
    /// The plugin does not export this interface.
    #[error("the plugin does not export {0}")]
    NotExported(String),
    /// The result of the plugin violates the contract.
    #[error("the plugin's result violates the contract: {0}")]
    ContractViolation(String),
}

impl HookError {
    /// Creates an error without emitted outcomes.
    pub fn new(plugin: &PluginId, hook: Hook, failure: Failure) -> Self {
        Self { plugin: plugin.clone(), hook, failure, emitted: Box::default() }
    }

    /// Returns whether a retry may succeed without intervention.
    pub fn is_retryable(&self) -> bool {
        matches!(self.failure, Failure::Busy { .. } | Failure::PluginError(records::CallError::Unavailable(_)))
    }
}

/// Why the embed data of a product page was refused. No page receives any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "page", content = "detail", rename_all = "kebab-case")]
pub enum PageError {
    /// The embed data breaks the contract. The plugin's author must fix it.
    #[error("the page of {plugin} is refused: {member}: {reason}; report it to the plugin's author")]
    Malformed {
        /// The plugin.
        plugin: PluginId,
        /// The member of the embed data, such as `scripts[0].url`.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// An origin is on a host that the account may not reach. The reason names the setting with which an operator allows it.
    #[error("the page of {plugin} is refused: {member}: {reason}")]
    NotGranted {
        /// The plugin.
        plugin: PluginId,
        /// The member of the embed data.
        member: String,
        /// What is not granted.
        reason: String,
    },
}

/// Why a change of a shop was refused. The shop is unchanged.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "setup", content = "detail", rename_all = "kebab-case")]
pub enum SetupError {
    /// The shop does not exist.
    #[error("shop {0} not found")]
    UnknownShop(ShopId),
    /// The account does not exist.
    #[error("the shop has no account {0}")]
    UnknownAccount(AccountId),
    /// The product link does not exist.
    #[error("the product {0:?} is not linked to a vendor product")]
    NotLinked(String),
    /// The plugin version is not installed.
    #[error("no plugin with the digest {0} is installed")]
    UnknownPlugin(Digest),
    /// The resource exists already.
    #[error("{0} already exists")]
    AlreadyExists(String),
    /// A version switch names a version of another plugin.
    #[error("the account runs {current}, the component is {offered}; set up another vendor as another account")]
    PluginMismatch {
        /// The plugin of the account.
        current: PluginId,
        /// The plugin of the requested version.
        offered: PluginId,
    },
    /// Values are missing or invalid.
    #[error("{}", issues(.0))]
    Invalid(Vec<FieldIssue>),
    /// Product links are invalid, or do not fit the new plugin version or the new settings of the account.
    #[error("{}; change these links, then try again", link_issues(.0))]
    Links(Vec<ProductLinkIssues>),
    /// The plugin failed during a check.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The plugin version is revoked.
    #[error("the version {0} is revoked")]
    Revoked(Digest),
}

/// The issues of one product link.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductLinkIssues {
    /// The platform's product id.
    pub shop_product: String,
    /// The issues, by field.
    pub issues: Vec<FieldIssue>,
}

fn link_issues(links: &[ProductLinkIssues]) -> String {
    let texts: Vec<String> =
        links.iter().map(|link| format!("the product {:?}: {}", link.shop_product, issues(&link.issues))).collect();
    texts.join("; ")
}

fn issues(issues: &[FieldIssue]) -> String {
    let texts: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.field, issue.message.text)).collect();
    texts.join("; ")
}

/// Returns the error that refuses one value of a set-up.
pub fn invalid(field: &str, text: impl Into<String>) -> SetupError {
    SetupError::Invalid(vec![setup_issue(field, text)])
}

/// Returns the error that refuses a text that cannot be stored.
pub fn unstorable(field: &str, fault: TextFault) -> SetupError {
    invalid(field, format!("This cannot be stored: {fault}."))
}

/// Returns an issue with one value of a set-up.
pub fn setup_issue(field: &str, text: impl Into<String>) -> FieldIssue {
    FieldIssue {
        field: field.to_owned(),
        message: Message { key: "setup-invalid".into(), parameters: vec![], text: text.into() },
        blocking: true,
    }
}

/// Describes an error of the contract in words.
pub fn describe(error: &records::CallError) -> String {
    use records::CallError;
    match error {
        CallError::InvalidInput(issue) => format!("invalid input at {}: {}", issue.field, issue.message.text),
        CallError::NotConfigured(issue) => {
            format!("the merchant must correct the setting {}: {}", issue.field, issue.message.text)
        }
        CallError::Unavailable(outage) => match outage.retry_after_seconds {
            Some(seconds) => format!("unavailable, try again in {seconds} s: {}", outage.detail),
            None => format!("unavailable: {}", outage.detail),
        },
        CallError::Rejected(message) => format!("rejected: {}", message.text),
        CallError::Denied(refusal) => format!("denied: {}", refusal.text),
        CallError::LimitExceeded(refusal) => format!("limit exceeded: {}", refusal.text),
        CallError::Internal(text) => format!("the plugin reports a fault of its own: {text}"),
        // A later version of the contract may say more; to this host it is a fault of the plugin.
        CallError::Other(named) => {
            format!("the plugin reports an error that this host does not know, {:?}: {}", named.name, named.json)
        }
    }
}

/// Returns the error for input that is wrong and stays wrong.
pub fn invalid_input(field: &str, key: &str, text: impl Into<String>) -> records::CallError {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text: text.into() };
    records::CallError::InvalidInput(FieldIssue { field: field.to_owned(), message, blocking: true })
}

/// Returns the error for what the host does not allow. `what` names it for programs: see `host/LIMITS.md`.
pub fn denied(what: impl Into<String>, text: impl Into<String>) -> records::CallError {
    records::CallError::Denied(Refusal { what: what.into(), text: text.into() })
}

/// Returns the error for a limit of the host. `limit` is its name.
pub fn limit_exceeded(limit: &str, text: impl Into<String>) -> records::CallError {
    records::CallError::LimitExceeded(Refusal { what: format!("limit:{}", limit.replace('_', "-")), text: text.into() })
}
