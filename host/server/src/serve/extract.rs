//! What a request holds, read so that each mistake is answered with a problem that names its place.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use cartwright_store::Expected;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use tower_http::timeout::TimeoutError;

use super::problem::Problem;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        sent_as(request.headers(), "application/json")?;
        let Raw(bytes) = Raw::from_request(request, state).await?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.inner());
            // Some values that do not fit are told as if they were no JSON.
            let is_none = !inner.is_data() && serde_json::from_slice::<IgnoredAny>(&bytes).is_err();
            match is_none {
                false => Problem::unprocessable("body", format!("{path}: {inner}")),
                true => Problem::bad_request(format!("the body is no JSON: {inner}")),
            }
        })?;
        reader.end().map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))?;
        match holds_nul(&bytes) {
            true => Err(Problem::unprocessable("body", "a text in it holds a NUL (\\u0000)")),
            false => Ok(Self(read)),
        }
    }
}

/// Does a text of this JSON hold a NUL? It cannot stand there but by its escape. PostgreSQL takes none.
fn holds_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // What follows a backslash begins no escape.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// Is the body of this media type? A browser sends others to another site's server without asking it.
pub(crate) fn sent_as(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().map(str::trim) {
        Some(kind) if kind.eq_ignore_ascii_case(wanted) => Ok(()),
        _ => {
            let detail = format!("send the body as content-type: {wanted}");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail))
        }
    }
}

/// What a body came to that cannot be read: it did not go on, or is too large.
pub(crate) fn unread(error: &(dyn std::error::Error + 'static)) -> Problem {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|cause| cause.is::<TimeoutError>()) {
        let detail = "the body did not go on; send it without pauses";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", detail);
    }
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is larger than this operation takes")
}

/// A body as it came.
pub(crate) struct Raw(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // Of a connection that is gone nobody is told.
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| unread(&rejection))
    }
}

/// What stands in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // A name that cannot be one names nothing; PostgreSQL takes no NUL.
        if parts.uri.path().contains("%00") {
            return Err(Problem::not_found("no name holds a NUL"));
        }
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|rejection| Problem::not_found(rejection.body_text()))
    }
}

/// What stands behind the "?".
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::bad_request("the query holds a NUL"));
        }
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// The version of a thing that the caller has read, by `If-Match`, or that it should not exist, by `If-None-Match: *`.
pub(crate) struct Precondition(Option<String>, bool);

impl Precondition {
    pub(crate) fn expected(&self) -> Expected<'_> {
        match (&self.0, self.1) {
            (Some(version), _) => Expected::Version(version),
            (None, true) => Expected::Nothing,
            (None, false) => Expected::Anything,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = |name: HeaderName| header(&parts.headers, name);
        let version = match text(IF_MATCH)? {
            None => None,
            Some(tag) => match tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
                Some(version) if !version.contains('"') => Some(version.to_owned()),
                _ => return Err(Problem::bad_request("If-Match takes the one ETag that was read, in its quotes")),
            },
        };
        let absent = match text(IF_NONE_MATCH)?.as_deref() {
            None => false,
            Some("*") => true,
            Some(_) => return Err(Problem::bad_request("If-None-Match takes * here")),
        };
        Ok(Self(version, absent))
    }
}

pub(crate) fn header(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(&name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Problem::bad_request(format!("the header {name} is no text"))),
    }
}

/// A body with the version that names it.
pub(crate) struct Tagged<T>(pub(crate) String, pub(crate) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.1).into_response();
        tag(&mut response, &self.0);
        response
    }
}

/// Done; the version that names what is there now.
pub(crate) struct Written(pub(crate) String);

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        tag(&mut response, &self.0);
        response
    }
}

fn tag(response: &mut Response, version: &str) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::holds_nul;

    #[test]
    fn a_nul_is_found_where_it_is_one() {
        for (json, holds) in [
            (r#"{"id":"a\u0000"}"#, true),
            (r#"{"a\u0000":1}"#, true),
            (r#""\\\u0000""#, true),
            (r#""\\u0000""#, false),
            (r#""\u0001 \u00000""#, true),
            (r#""u0000 \n""#, false),
            ("", false),
            ("\\", false),
        ] {
            assert_eq!(holds_nul(json.as_bytes()), holds, "{json}");
        }
    }
}
