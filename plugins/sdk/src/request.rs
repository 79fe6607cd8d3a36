//! Builders for HTTP requests, and accessors for responses.

use crate::constructors::{message, outage, rejected};
use crate::http::{Auth, Body, HeaderSecret, HttpRequest, HttpResponse, RetrySafety, send};
use crate::multipart::Multipart;
use crate::types::{BytesSource, CallError};

impl HttpRequest {
    /// Returns a request that reads. It is safe to repeat.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            auth: Vec::new(),
            timeout_ms: None,
            retry_safety: RetrySafety::Safe,
            store_body: false,
            extra: Vec::new(),
        }
    }

    /// Returns a request that sends a body, whose sources the host sends one after the other. It is never repeated,
    /// unless it has an [`idempotency_key`](Self::idempotency_key) or another
    /// [`retry_safety`](Self::retry_safety).
    pub fn post(url: impl Into<String>, media_type: &str, body: Vec<BytesSource>) -> Self {
        let retry_safety = RetrySafety::NonIdempotent;
        let request = Self { method: "POST".to_owned(), body, retry_safety, ..Self::get(url) };
        request.header("Content-Type", media_type)
    }

    /// Returns a [`post`](Self::post) of JSON.
    pub fn post_json(url: impl Into<String>, body: Vec<u8>) -> Self {
        Self::post(url, "application/json", vec![BytesSource::Bytes(body)])
    }

    /// Returns a [`post`](Self::post) of a form with files.
    pub fn post_multipart(url: impl Into<String>, form: Multipart) -> Self {
        let (media_type, body) = form.finish();
        Self::post(url, &media_type, body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds `Authorization: Bearer` with the value of this secret setting.
    pub fn bearer(mut self, secret: &str) -> Self {
        self.auth.push(Auth::Bearer(secret.to_owned()));
        self
    }

    /// Adds a header with the value of a secret setting after a prefix, which may be empty.
    pub fn secret_header(mut self, name: &str, prefix: &str, secret: &str) -> Self {
        let (name, prefix, secret) = (name.to_owned(), prefix.to_owned(), secret.to_owned());
        self.auth.push(Auth::Header(HeaderSecret { name, prefix, secret }));
        self
    }

    /// Sets a method other than GET or POST, and whether the request may be repeated.
    pub fn method(mut self, method: &str, retry_safety: RetrySafety) -> Self {
        self.method = method.to_owned();
        self.retry_safety(retry_safety)
    }

    /// Sets whether the request may be repeated.
    pub fn retry_safety(mut self, retry_safety: RetrySafety) -> Self {
        self.retry_safety = retry_safety;
        self
    }

    /// Adds a header with an identifier by which the server recognizes a repetition, so that the request may be
    /// repeated.
    pub fn idempotency_key(self, header: &str, key: &str) -> Self {
        self.retry_safety(RetrySafety::Idempotent).header(header, key)
    }

    /// Stores the body of a successful response as a blob.
    pub fn store_body(mut self) -> Self {
        self.store_body = true;
        self
    }

    /// Sends the request.
    ///
    /// # Errors
    /// See `http.send` in the WIT. A response of any status is not an error; see [`HttpResponse::require_success`].
    pub fn send(&self) -> Result<HttpResponse, CallError> {
        send(self)
    }
}

impl HttpResponse {
    /// Returns the first header of this name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns the bytes of the body; empty if the body was stored.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Bytes(bytes) => bytes,
            Body::Stored(_) => &[],
        }
    }

    /// Returns the response if its status means success.
    ///
    /// # Errors
    /// `unavailable` for 408, 429 and 5xx, with the delay that the server requested; `rejected` for every other status.
    /// The text names `who`.
    pub fn require_success(self, who: &str) -> Result<Self, CallError> {
        match self.status {
            200..300 => Ok(self),
            408 | 429 | 500.. => {
                let after = self.header("retry-after").and_then(|value| value.parse().ok());
                Err(outage(format!("{who} answered {}", self.status), after))
            }
            status => {
                let status = status.to_string();
                Err(rejected(message("refused", format!("{who} answered {status}."), &[("status", &status)])))
            }
        }
    }
}
