//! Errors of a guest call, by what the caller does next.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::hook::Hook;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::records::{self, FieldIssue, Message, Outcome};
use crate::text::TextFault;

/// A call of a plugin failed.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{plugin} failed in {hook}: {failure}")]
pub struct HookError {
    /// Which plugin.
    pub plugin: PluginId,
    /// In which function of the contract.
    pub hook: Hook,
    /// The failure.
    pub failure: Failure,
    /// What an order hook emitted before it failed. It stays applied.
    #[serde(skip_serializing_if = "EmittedOutcomes::is_empty")]
    pub outcomes: Box<EmittedOutcomes>,
}

/// What an order hook emitted and logged before it failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmittedOutcomes {
    /// What came of the event, in order.
    pub outcomes: Vec<Outcome>,
    /// What it logged.
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
    /// "debug", "info", "warn", "error", or "output" for stdout and stderr.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub level: Cow<'static, str>,
    /// The line.
    pub text: String,
}

/// A limit that a call broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum Breach {
    /// The guest computed too long.
    #[error("the guest computed longer than {allowed_ms} ms (limit guest_cpu)")]
    GuestCpu {
        /// What was allowed.
        allowed_ms: u64,
    },
    /// The call took too long.
    #[error("the call took longer than {allowed_ms} ms (limit deadline)")]
    Deadline {
        /// What was allowed.
        allowed_ms: u64,
    },
    /// The guest's memories grew too large.
    #[error("the guest asked for {asked} bytes of memory, {allowed} are allowed (limit memory)")]
    Memory {
        /// What all memories together would have taken.
        asked: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest's tables grew too large.
    #[error("the guest asked for {asked} table elements, {allowed} are allowed (limit table_elements)")]
    TableElements {
        /// What all tables together would have taken.
        asked: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest recursed too deep.
    #[error("the guest used up its stack of {allowed} bytes (limit stack)")]
    Stack {
        /// What was allowed.
        allowed: usize,
    },
    /// The guest called the host too often.
    #[error("the guest called the host more than {allowed} times (limit host_calls)")]
    HostCalls {
        /// What was allowed.
        allowed: u32,
    },
    /// The guest handed over too much.
    #[error("the guest handed over more than {allowed} bytes at once (limit bytes_out)")]
    BytesOut {
        /// What was allowed.
        allowed: usize,
    },
    /// The guest would have been given too much.
    #[error("{given} bytes were to be given to the guest, {allowed} are allowed (limit bytes_in)")]
    BytesIn {
        /// How many bytes there were.
        given: usize,
        /// What was allowed.
        allowed: usize,
    },
    /// The guest logged too much.
    #[error("the guest logged more than {allowed} bytes (limit log_bytes)")]
    LogBytes {
        /// What was allowed.
        allowed: usize,
    },
}

/// How a guest call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "failure", content = "detail", rename_all = "kebab-case")]
pub enum Failure {
    /// The plugin answered with one of the contract's errors.
    #[error("{}", describe(.0))]
    PluginError(records::Error),
    /// The call broke a limit of the host.
    #[error("{0}")]
    Limit(Breach),
    /// The guest trapped. The text is for the plugin's author.
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
        /// How long the call waited for one.
        waited_ms: u64,
    },
    /// The plugin does not export this interface.
    #[error("the plugin does not export {0}")]
    NotExported(String),
    /// The plugin's answer breaks the contract.
    #[error("the plugin's answer breaks the contract: {0}")]
    ContractViolation(String),
}

impl HookError {
    /// An error of this plugin, without anything that was said before.
    pub fn new(plugin: &PluginId, hook: Hook, failure: Failure) -> Self {
        Self { plugin: plugin.clone(), hook, failure, outcomes: Box::default() }
    }

    /// Returns whether a retry may succeed without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.failure, Failure::Busy { .. } | Failure::PluginError(records::Error::Unavailable(_)))
    }
}

/// Why a shop could not be changed. The shop is as it was.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "setup", content = "detail", rename_all = "kebab-case")]
pub enum SetupError {
    /// No such shop.
    #[error("shop {0} not found")]
    UnknownShop(ShopId),
    /// No such account.
    #[error("the shop has no vendor account {0}")]
    UnknownAccount(AccountId),
    /// No such link.
    #[error("the product {0:?} is linked to no vendor product")]
    NotLinked(String),
    /// No such plugin.
    #[error("no plugin with the digest {0} is installed")]
    UnknownPlugin(Digest),
    /// It is there already.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// A version swap must stay with the same plugin.
    #[error("the account runs {current}, the component is {offered}; another vendor is set up as another account")]
    PluginMismatch {
        /// What runs.
        current: PluginId,
        /// What was offered.
        offered: PluginId,
    },
    /// Values are missing or wrong.
    #[error("{}", issues(.0))]
    Invalid(Vec<FieldIssue>),
    /// Links are wrong, or do not go with the version or the settings that an account is to have. Change these, then try again.
    #[error("{}; change these links, then try again", misfits(.0))]
    Links(Vec<ProductLinkIssues>),
    /// The plugin failed while it was asked.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A revoked version cannot be used.
    #[error("the version {0} is revoked")]
    Revoked(Digest),
}

/// What there is to say of a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductLinkIssues {
    /// The platform's product id.
    pub shop_product: String,
    /// Each field.
    pub issues: Vec<FieldIssue>,
}

fn misfits(links: &[ProductLinkIssues]) -> String {
    let texts: Vec<String> =
        links.iter().map(|link| format!("the product {:?}: {}", link.shop_product, issues(&link.issues))).collect();
    texts.join("; ")
}

fn issues(issues: &[FieldIssue]) -> String {
    let texts: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.field, issue.message.text)).collect();
    texts.join("; ")
}

/// Refuses one value of a set-up.
pub fn invalid(field: &str, text: impl Into<String>) -> SetupError {
    SetupError::Invalid(vec![setup_issue(field, text)])
}

/// Refuses a text that cannot be stored.
pub fn unstorable(field: &str, fault: TextFault) -> SetupError {
    invalid(field, format!("This cannot be stored: {fault}."))
}

/// What is wrong with one value of a set-up.
pub fn setup_issue(field: &str, text: impl Into<String>) -> FieldIssue {
    FieldIssue {
        field: field.to_owned(),
        message: Message { key: "setup-invalid".into(), parameters: vec![], text: text.into() },
        blocking: true,
    }
}

/// An error of the contract in words.
pub fn describe(error: &records::Error) -> String {
    use records::Error;
    match error {
        Error::InvalidInput(issue) => format!("invalid input at {}: {}", issue.field, issue.message.text),
        Error::NotConfigured(issue) => format!("setting {} needs the merchant: {}", issue.field, issue.message.text),
        Error::Unavailable(outage) => match outage.retry_after_seconds {
            Some(seconds) => format!("unavailable, try again in {seconds} s: {}", outage.detail),
            None => format!("unavailable: {}", outage.detail),
        },
        Error::Rejected(message) => format!("rejected: {}", message.text),
        Error::Denied(what) => format!("denied: {what}"),
        Error::LimitExceeded(limit) => format!("limit exceeded: {limit}"),
        Error::Unsupported => "not supported by this plugin".to_owned(),
        Error::Internal(text) => format!("the plugin's own fault: {text}"),
    }
}
