//! The result codes of the vendor's document, and the response with a code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The documented result codes. The document announces further ones; [`ForcedResult`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ResultCode {
    /// The catch-all.
    UnexpectedError = 0,
    /// The order was created and set to paid.
    OrderCreatedSuccessfully = 1,
    /// The order was created but could not be verified. HTTP 200 too.
    OrderCreatedUnhealthy = 2,
    /// The payment verification declared the order invalid.
    VerificationFailed = 3,
    /// The payload is not a JSON object.
    OrderPayloadParsingFailed = 4,
    /// The hash was empty.
    HashParameterEmpty = 5,
    /// The hash does not match the payload.
    Md5HashMismatch = 6,
    /// The payload parameter itself is missing. In the document the names and explanations of 7 and 8 contradict each
    /// other ("something went wrong creating the order" and "is missing a required parameter"); this fake follows the
    /// names: 7 is about the request's parameter, 8 about its content.
    OrderPayloadParameterMissing = 7,
    /// Something in the payload is missing or of the wrong type.
    OrderPayloadValidationFailed = 8,
    /// The order's or a line's identifier is in use.
    IdentifierAlreadyExists = 9,
    /// A configuration could not be found.
    CouldNotFindConfig = 10,
}

impl ResultCode {
    /// Returns the number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Returns the `resultCodeName`: the variant's name is the document's.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Returns 200 for the two created codes only; the others are "usually 400 or 500".
    fn status(self) -> StatusCode {
        match self {
            Self::OrderCreatedSuccessfully | Self::OrderCreatedUnhealthy => StatusCode::OK,
            Self::UnexpectedError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A result that a test forces for any request: code 0, or a code that no document has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedResult {
    /// The HTTP status.
    pub status: u16,
    /// The `resultCode`.
    pub code: u16,
    /// The `resultCodeName`.
    pub name: String,
    /// The `resultMessage`.
    pub message: String,
}

/// One response: code, message and HTTP status.
pub(super) struct Outcome {
    status: StatusCode,
    code: u16,
    name: String,
    message: String,
}

impl Outcome {
    pub(super) fn new(code: ResultCode, message: impl Into<String>) -> Self {
        Self { status: code.status(), code: code.number(), name: code.name(), message: message.into() }
    }

    /// Returns the same code with another HTTP status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl From<ForcedResult> for Outcome {
    fn from(forced: ForcedResult) -> Self {
        let status = StatusCode::from_u16(forced.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: forced.code, name: forced.name, message: forced.message }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let body = json!({ "resultMessage": self.message, "resultCode": self.code, "resultCodeName": self.name });
        (self.status, Json(body)).into_response()
    }
}
