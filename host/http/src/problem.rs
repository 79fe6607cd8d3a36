//! What a request that was not fulfilled is told: RFC 9457, with the host's typed error beside the words.
//!
//! An error may repeat what was sent. Every text that goes into a [`Problem`] is cut here ([`abridge`]), so that its size does not depend
//! on the request's.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use cartwright::types::{self, FieldIssue, Message};
use cartwright::{CartError, Failure, HookError, InstallError, OrderError, ProductLinkIssues, SetupError, abridge};
use cartwright_service::grants;
use cartwright_service::links_table::TableError;
use cartwright_store::{ChangeError, QuoteError, ReportError, StoreError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Why a request was not fulfilled; nothing was changed (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Names what kind it is: `urn:cartwright:problem:` and a word.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong and what to do, for the merchant.
    detail: String,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<FieldIssue>,
    /// A text for the shopper.
    #[serde(skip_serializing_if = "Option::is_none")]
    shopper: Option<Message>,
    /// The host's error with its members, as the runtime's types say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// What would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem of this kind, with what is wrong and what to do.
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

    /// Something in the request is not as documented.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// A value cannot be used.
    pub fn unprocessable(kind: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail)
    }

    /// There is nothing of that name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// Returns the word that names what kind it is.
    pub fn kind(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }

    /// What is wrong and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Each field that is wrong.
    pub fn issues(&self) -> &[FieldIssue] {
        &self.issues
    }

    /// In how many seconds to try again.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same for somebody in a browser: what is the merchant's to mend is not told to shoppers.
    pub(crate) fn for_shopper(mut self) -> Self {
        let text = self.shopper.as_ref().map(|message| message.text.clone());
        self.detail = text.unwrap_or_else(|| "This cannot be done now. The shop can see why.".to_owned());
        (self.error, self.help) = (None, None);
        self.issues.clear();
        self
    }

    /// The same with each field that is wrong.
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

    /// With when to try again, in seconds.
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
            tracing::error!(kind = self.kind, detail = self.detail, "a request failed");
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
        // For pages, which draw it.
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
            // Here fields stand after their link's product; each alone is in `error`.
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
        use types::Error;
        let (status, kind) = match &error.failure {
            Failure::PluginError(answer) => match answer {
                Error::InvalidInput(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-input"),
                Error::NotConfigured(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not-configured"),
                Error::Rejected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
                Error::Denied(_) => (StatusCode::UNPROCESSABLE_ENTITY, "denied"),
                Error::LimitExceeded(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit-exceeded"),
                Error::Unsupported => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported"),
                Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "vendor-unavailable"),
                Error::Internal(_) => (StatusCode::BAD_GATEWAY, "plugin-failed"),
            },
            Failure::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Failure::NotExported(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported"),
            Failure::Limit(_) | Failure::Trap(_) | Failure::UnansweredRequest(_) | Failure::ContractViolation(_) => {
                (StatusCode::BAD_GATEWAY, "plugin-failed")
            }
        };
        let mut problem = Self::new(status, kind, error.to_string()).with_error(&error);
        match error.failure {
            Failure::PluginError(Error::InvalidInput(issue) | Error::NotConfigured(issue)) => {
                problem = problem.with_issues(vec![issue]);
            }
            Failure::PluginError(Error::Rejected(message)) => problem.shopper = Some(message),
            Failure::PluginError(Error::Unavailable(outage)) => {
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
                let text = "This was offered as it is. Take it out of the cart to buy it otherwise.".to_owned();
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
            QuoteError::State { .. } => (StatusCode::CONFLICT, "quotation-state"),
            QuoteError::Expired { .. } => (StatusCode::CONFLICT, "offer-expired"),
        };
        Self::new(status, kind, error.to_string())
    }
}

/// What every operation may answer instead.
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::response::Response>> {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
        let what = [
            ("400", "The request is not as documented."),
            ("401", "There is no valid access key."),
            ("403", "The key's role does not allow this."),
            ("404", "There is no such thing, or the key is not for it."),
            ("408", "The body did not go on."),
            ("409", "It contradicts what is there."),
            ("410", "It was erased."),
            ("412", "It was changed since it was read."),
            ("413", "The body is too large."),
            ("415", "The body is of another media type."),
            ("422", "A value cannot be used, or a plugin refuses it."),
            ("429", "Too many requests."),
            ("500", "The host's own fault."),
            ("502", "A plugin failed."),
            ("503", "The database, the vendor or a place for the call is not there now; try again."),
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
