//! Problem details (RFC 9457), the response to a request that failed, with the host's typed error beside the text.
//!
//! An error may repeat what was sent. Every text of a [`Problem`] is cut here ([`abridge`]), so that its size does not
//! depend on the request's.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use cartwright::types::{self, FieldIssue, Message};
use cartwright::{CartError, Failure, HookError, InstallError, OrderError, ProductLinkIssues, SetupError, abridge};
use cartwright_service::access_keys::AccessKeyError;
use cartwright_service::accounts::SetAccountError;
use cartwright_service::actor::GrantRefused;
use cartwright_service::grants;
use cartwright_service::links_table::TableError;
use cartwright_service::notifications::SetEndpointError;
use cartwright_service::shops::OriginsError;
use cartwright_service::webhooks::WebhookUrlError;
use cartwright_store::{ChangeError, QuoteError, ReportError, StoreError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Why a request failed; it changed nothing (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Kind of problem: `urn:cartwright:problem:` and a code.
    #[serde(rename = "type")]
    kind: String,
    /// Standard phrase of the status.
    title: String,
    /// HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong and how to fix it, for the merchant or the caller's developer.
    detail: String,
    /// Issues of single fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<FieldIssue>,
    /// Text for the shopper.
    #[serde(skip_serializing_if = "Option::is_none")]
    shopper: Option<Message>,
    /// Host's typed error with its members, as the runtime's types define it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// Configuration that would allow the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    /// Creates a problem of this kind, with what is wrong and how to fix it.
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:cartwright:problem:{kind}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: abridge(detail.into()),
            issues: Vec::new(),
            shopper: None,
            error: None,
            help: None,
            retry_after: None,
        }
    }

    /// Creates the problem of a malformed request.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// Creates the problem of a value that cannot be used.
    pub fn unprocessable(kind: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail)
    }

    /// Creates the problem of something that does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// Returns the code that names the kind of problem.
    pub fn kind(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }

    /// Returns what is wrong and how to fix it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the issues of single fields.
    pub fn issues(&self) -> &[FieldIssue] {
        &self.issues
    }

    /// Returns the time after which to retry, in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Reduces the problem to what a shopper may see: what the merchant must fix is removed.
    pub(crate) fn for_shopper(mut self) -> Self {
        let text = self.shopper.as_ref().map(|message| message.text.clone());
        self.detail = text.unwrap_or_else(|| "This is not possible at the moment. The shop can see why.".to_owned());
        (self.error, self.help) = (None, None);
        self.issues.clear();
        self
    }

    /// Adds issues of single fields.
    pub fn with_issues(mut self, issues: Vec<FieldIssue>) -> Self {
        self.issues = issues
            .into_iter()
            .map(|FieldIssue { field, message, blocking }| FieldIssue {
                field: abridge(field),
                message: Message { text: abridge(message.text), ..message },
                blocking,
            })
            .collect();
        self
    }

    /// Adds the time after which to retry, in seconds.
    pub(crate) fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    fn with_error(mut self, error: &impl Serialize) -> Self {
        self.error = serde_json::to_value(error).ok().map(abridge_texts);
        self.help = grants::suggested_flag(&self.detail)
            .map(|suggested_flag| format!("grant it to the account: {suggested_flag}"));
        self
    }
}

/// Cuts each text of a value.
fn abridge_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(abridge(text)),
        Value::Array(values) => values.into_iter().map(abridge_texts).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (abridge(name), abridge_texts(value))).collect()
        }
        value => value,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status(), self.retry_after);
        if status.is_server_error() {
            tracing::error!(kind = self.kind, detail = self.detail, "request failed");
        }
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        // For the admin pages, which render the problem.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, kind) = match &error {
            StoreError::Unavailable(_) | StoreError::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "database"),
            StoreError::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            StoreError::Erased(_) => (StatusCode::GONE, "erased"),
            StoreError::EventIdTaken { .. } => (StatusCode::CONFLICT, "event-id"),
            StoreError::SameVersion { .. } => (StatusCode::CONFLICT, "same-version"),
            StoreError::Text { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "text"),
            StoreError::Conflict(_) | StoreError::LeaseLost(_) => (StatusCode::CONFLICT, "conflict"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "database"),
        };
        let mut problem = Self::new(status, kind, error.to_string());
        problem.retry_after = error.is_retryable().then_some(5);
        problem
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        let status = match &error {
            TableError::Read(_) => StatusCode::UNPROCESSABLE_ENTITY,
            TableError::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, "csv", error.to_string())
    }
}

impl From<SetupError> for Problem {
    fn from(error: SetupError) -> Self {
        let (status, kind) = match &error {
            SetupError::UnknownShop(_)
            | SetupError::UnknownAccount(_)
            | SetupError::NotLinked(_)
            | SetupError::UnknownPlugin(_) => (StatusCode::NOT_FOUND, "not-found"),
            SetupError::AlreadyExists(_) => (StatusCode::CONFLICT, "exists"),
            SetupError::PluginMismatch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "other-plugin"),
            SetupError::Revoked(_) => (StatusCode::UNPROCESSABLE_ENTITY, "revoked"),
            SetupError::Invalid(_) | SetupError::Links(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            SetupError::Hook(error) => return error.clone().into(),
        };
        let problem = Self::new(status, kind, error.to_string()).with_error(&error);
        match error {
            SetupError::Invalid(issues) => problem.with_issues(issues),
            // Here a field's path begins with its link's product; without it, the field is in `error`.
            SetupError::Links(links) => problem.with_issues(
                links
                    .into_iter()
                    .flat_map(|ProductLinkIssues { shop_product, issues }| {
                        issues
                            .into_iter()
                            .map(move |issue| FieldIssue { field: format!("{shop_product}.{}", issue.field), ..issue })
                    })
                    .collect(),
            ),
            _ => problem,
        }
    }
}

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        use types::CallError;
        let (status, kind) = match &error.failure {
            Failure::PluginError(answer) => match answer {
                CallError::InvalidInput(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-input"),
                CallError::NotConfigured(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not-configured"),
                CallError::Rejected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
                CallError::Denied(_) => (StatusCode::UNPROCESSABLE_ENTITY, "denied"),
                CallError::LimitExceeded(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit-exceeded"),
                CallError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "vendor-unavailable"),
                CallError::Internal(_) | CallError::Other(_) => (StatusCode::BAD_GATEWAY, "plugin-failed"),
            },
            Failure::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Failure::NotExported(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported"),
            Failure::Limit(_) | Failure::Trap(_) | Failure::UnansweredRequest(_) | Failure::ContractViolation(_) => {
                (StatusCode::BAD_GATEWAY, "plugin-failed")
            }
        };
        let mut problem = Self::new(status, kind, error.to_string()).with_error(&error);
        match error.failure {
            Failure::PluginError(CallError::InvalidInput(issue) | CallError::NotConfigured(issue)) => {
                problem = problem.with_issues(vec![issue]);
            }
            Failure::PluginError(CallError::Rejected(message)) => problem.shopper = Some(message),
            Failure::PluginError(CallError::Unavailable(outage)) => {
                problem.retry_after = Some(outage.retry_after_seconds.unwrap_or(5));
            }
            Failure::Busy { .. } => problem.retry_after = Some(1),
            _ => {}
        }
        problem
    }
}

impl From<CartError> for Problem {
    fn from(error: CartError) -> Self {
        let kind = match &error {
            CartError::Setup(error) => return error.clone().into(),
            CartError::Hook(error) => return error.clone().into(),
            CartError::Platform(_) => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "platform", error.to_string())
                    .with_error(&error)
                    .with_retry_after(5);
            }
            CartError::Unserializable(_) => {
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unwritable", error.to_string())
                    .with_error(&error);
            }
            CartError::OverBudget(_) => "over-budget",
            CartError::Quantity { .. } => "quantity",
            CartError::NeedsConfiguration(_) => "needs-configuration",
            CartError::Configuration(_) => "configuration",
            CartError::NotLinked { .. } => "not-linked",
            CartError::OtherProduct { .. } => "other-product",
            CartError::Sku { .. } => "sku",
            CartError::Product { .. } => "product",
            CartError::Variant { .. } => "variant",
            CartError::NotPurchasable(_) => "not-purchasable",
            CartError::Price { .. } => "price",
            CartError::OfferMoney { .. } | CartError::AskedMoney { .. } => "money",
            CartError::UnknownStrategy { .. } => "no-strategy",
            CartError::Plan(_) => "plan",
            CartError::Rejected(_) => "rejected",
            CartError::UnknownLine(_) => "no-line",
            CartError::DuplicateLine(_) => "twice",
            CartError::QuotedLine { .. } => "offered",
            CartError::Seal { .. } => "seal",
            CartError::BundleChild(_) => "child-of-bundle",
            CartError::MustReconfigure { .. } => "must-reconfigure",
        };
        let mut problem = Self::unprocessable(kind, error.to_string()).with_error(&error);
        match error {
            CartError::Rejected(message) => problem.shopper = Some(message),
            CartError::QuotedLine { .. } => {
                let text = "This was offered as it is. Remove it from the cart to buy it differently.".to_owned();
                problem.shopper = Some(Message { key: "offered".to_owned(), parameters: Vec::new(), text });
            }
            CartError::Configuration(issue) => problem = problem.with_issues(vec![issue]),
            _ => {}
        }
        problem
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        Self::unprocessable("install", error.to_string()).with_error(&error)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Setup(error) => error.into(),
            ChangeError::Install(error) => error.into(),
            ChangeError::Store(error) => error.into(),
            ChangeError::Exists(_) => Self::new(StatusCode::PRECONDITION_FAILED, "exists", error.to_string()),
            ChangeError::Changed(_) => Self::new(StatusCode::PRECONDITION_FAILED, "changed", error.to_string()),
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let kind = match &error {
            OrderError::Setup(error) => return error.clone().into(),
            OrderError::Seal { .. } => "seal",
            OrderError::DuplicateId(_)
            | OrderError::DuplicateLine { .. }
            | OrderError::DuplicateLineQuantity { .. } => "twice",
            OrderError::MissingBundle { .. } | OrderError::IncompleteBundle { .. } => "bundle",
            OrderError::Quantity { .. }
            | OrderError::ChildQuantity { .. }
            | OrderError::ZeroQuantity { .. }
            | OrderError::QuantityTooLarge { .. } => "quantity",
            OrderError::Currency { .. } | OrderError::OtherCurrency { .. } | OrderError::Money { .. } => "money",
            OrderError::Id { .. }
            | OrderError::ReservedId { .. }
            | OrderError::Text { .. }
            | OrderError::TooManyLines(_)
            | OrderError::Time { .. }
            | OrderError::BlankNumber
            | OrderError::Version(_)
            | OrderError::Language(_)
            | OrderError::Country { .. }
            | OrderError::Payment(_)
            | OrderError::Contradiction { .. }
            | OrderError::UnknownLine { .. } => "order",
        };
        Self::unprocessable(kind, error.to_string()).with_error(&error)
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            ReportError::Order(error) => error.into(),
            ReportError::UnknownShop(_) => Self::not_found(error.to_string()),
            ReportError::ConfigurationGone { .. } => Self::unprocessable("configuration-gone", error.to_string()),
            ReportError::Older { .. } => Self::new(StatusCode::CONFLICT, "older", error.to_string()),
            _ => Self::unprocessable("order", error.to_string()),
        }
    }
}

impl From<QuoteError> for Problem {
    fn from(error: QuoteError) -> Self {
        let (status, kind) = match error {
            QuoteError::Cart(error) => return error.into(),
            QuoteError::Order(error) => return error.into(),
            QuoteError::Report(error) => return error.into(),
            QuoteError::Store(error) => return error.into(),
            QuoteError::Id(_) | QuoteError::End => (StatusCode::UNPROCESSABLE_ENTITY, "quote"),
            QuoteError::Exists(_) => (StatusCode::CONFLICT, "exists"),
            QuoteError::Changed(_) => (StatusCode::PRECONDITION_FAILED, "changed"),
            QuoteError::State { .. } => (StatusCode::CONFLICT, "quote-state"),
            QuoteError::Expired { .. } => (StatusCode::CONFLICT, "offer-expired"),
        };
        Self::new(status, kind, error.to_string())
    }
}

impl From<GrantRefused> for Problem {
    fn from(error: GrantRefused) -> Self {
        Self::new(StatusCode::FORBIDDEN, "grants", error.to_string())
    }
}

impl From<SetAccountError> for Problem {
    fn from(error: SetAccountError) -> Self {
        match error {
            SetAccountError::Grants(error) => error.into(),
            SetAccountError::Change(error) => error.into(),
        }
    }
}

impl From<SetEndpointError> for Problem {
    fn from(error: SetEndpointError) -> Self {
        match error {
            SetEndpointError::Setup(error) => error.into(),
            SetEndpointError::Grants(error) => error.into(),
            SetEndpointError::Endpoint(error) => error.into(),
            SetEndpointError::Store(error) => error.into(),
        }
    }
}

impl From<AccessKeyError> for Problem {
    fn from(error: AccessKeyError) -> Self {
        let kind = match error {
            AccessKeyError::Store(error) => return error.into(),
            AccessKeyError::Label => "label",
            AccessKeyError::Overlap => "overlap_seconds",
        };
        Self::unprocessable(kind, error.to_string())
    }
}

impl From<WebhookUrlError> for Problem {
    fn from(error: WebhookUrlError) -> Self {
        match error {
            WebhookUrlError::Setup(error) => error.into(),
            WebhookUrlError::Store(error) => error.into(),
            WebhookUrlError::UnknownEndpoint { .. } => Self::unprocessable("endpoint", error.to_string()),
            WebhookUrlError::UnknownUrl(_) => Self::not_found(error.to_string()),
        }
    }
}

impl From<OriginsError> for Problem {
    fn from(error: OriginsError) -> Self {
        match error {
            OriginsError::Setup(error) => error.into(),
            OriginsError::Change(error) => error.into(),
            OriginsError::TooMany | OriginsError::Invalid(_) => Self::unprocessable("origins", error.to_string()),
        }
    }
}

impl From<getrandom::Error> for Problem {
    fn from(error: getrandom::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "random", error.to_string())
    }
}

/// The error responses of every operation.
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::response::Response>> {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
        let what = [
            ("400", "The request is malformed."),
            ("401", "There is no valid access key."),
            ("403", "The role of the access key does not allow the operation."),
            ("404", "The resource does not exist, or the access key is not valid for it."),
            ("408", "The body stalled."),
            ("409", "The request conflicts with the current state."),
            ("410", "The resource was erased."),
            ("412", "The resource changed since it was read."),
            ("413", "The body is too large."),
            ("415", "The body has an unsupported media type."),
            ("422", "A value cannot be used, or a plugin refuses it."),
            ("429", "Too many requests."),
            ("500", "The host failed."),
            ("502", "A plugin failed."),
            ("503", "The database, the vendor or the host has no capacity now; try again."),
        ];
        what.into_iter()
            .map(|(status, text)| {
                let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
                let response = ResponseBuilder::new().description(text).content("application/problem+json", content);
                (status.to_owned(), response.build().into())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_repeats_little_of_a_long_input_and_still_says_what_is_wrong() {
        let long = "\u{1}".repeat(4 << 20);
        let issue = |field: String, text: String| FieldIssue {
            field,
            message: Message { key: "setting-unknown".to_owned(), parameters: Vec::new(), text },
            blocking: true,
        };
        for (problem, end) in [
            (Problem::from(SetupError::NotLinked(long.clone())), "is not linked to a vendor product"),
            (
                Problem::from(SetupError::Invalid(vec![issue(long.clone(), format!("{long} is unknown."))])),
                "is unknown.",
            ),
            (
                Problem::from(CartError::Configuration(issue("size".to_owned(), format!("{long} is unknown.")))),
                "is unknown.",
            ),
        ] {
            assert!(problem.detail().contains(end), "{}", &problem.detail()[problem.detail().len() - 100..]);
            let body = serde_json::to_string(&problem).expect("JSON");
            assert!(body.len() < 200_000, "{} bytes", body.len());
        }
    }
}
