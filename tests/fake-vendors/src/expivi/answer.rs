//! Expivi's error responses: authentication, requirements on bodies, and the JSON of an error.
//!
//! The vendor's error bodies are not public. Here they are `{ "message": "…" }` with the status; a caller should rely
//! on the status alone.

use axum::Json;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::State;

/// A response other than success.
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Returns the response to a valid request with wrong content.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "message": self.message }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The kind of a call, which determines the token that it needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Catalog and price: either token.
    Read,
    /// Uploads and print files: the server's token. It is undocumented whether print files need it; this is the
    /// stricter reading.
    Write,
}

impl State {
    /// Checks the authentication, which precedes all other checks.
    pub(super) fn admit(&self, headers: &HeaderMap, access: Access) -> Result<(), Refusal> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !token.is_empty() && token == self.config.server_token {
            return Ok(());
        }
        if token.is_empty() || token != self.config.viewer_token {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Unauthenticated."));
        }
        match access {
            Access::Read => Ok(()),
            Access::Write => Err(Refusal::new(StatusCode::FORBIDDEN, "This token has no write access.")),
        }
    }
}

/// Returns the body as a JSON object: 415 for another content type, 400 for other bytes, 422 for other JSON.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be application/json."));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::unprocessable("The body must be a JSON object.")),
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "The body is not JSON.")),
    }
}

pub(super) async fn no_such_route() -> Refusal {
    Refusal::not_found("There is no such call.")
}

pub(super) async fn wrong_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "This call has another method.")
}
