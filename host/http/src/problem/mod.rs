//! Problem details (RFC 9457), the response to a request that failed, with the host's typed error beside the text.
//!
//! An error may repeat what was sent. Every text of a [`Problem`] is cut here ([`abridge`]), so that its size does not
//! depend on the request's.
//!
//! The errors of one subject become problems in the file of its operations, in `api/`; those of several in a file here.

mod hook;
mod setup;
mod store;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use cartwright::abridge;
use cartwright::types::{FieldIssue, Message};
use cartwright_service::grants;
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

    /// Adds the text for the shopper.
    pub(crate) fn with_shopper_message(mut self, message: Message) -> Self {
        self.shopper = Some(message);
        self
    }

    /// Adds the host's typed error, and the configuration that would allow the request.
    pub(crate) fn with_error(mut self, error: &impl Serialize) -> Self {
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
    use cartwright::{CartError, SetupError};

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
