//! Builders for HTTP requests, and accessors for responses.

use crate::constructors::{message, outage, rejected};
use crate::http::{Auth, Body, NamedSecret, Repeat, Request, Response, send};
use crate::types::{BytesSource, CallError};

impl Request {
    /// Returns a request that reads. It is safe to repeat.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: BytesSource::Inline(Vec::new()),
            auth: Vec::new(),
            timeout_ms: None,
            repeat: Repeat::Safe,
            store_body: false,
        }
    }

    /// Returns a request that sends JSON. It is never repeated, unless it has an
    /// [`idempotency_key`](Self::idempotency_key).
    pub fn post_json(url: impl Into<String>, body: Vec<u8>) -> Self {
        let request = Self {
            method: "POST".to_owned(),
            body: BytesSource::Inline(body),
            repeat: Repeat::Never,
            ..Self::get(url)
        };
        request.header("Content-Type", "application/json")
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

    /// Adds a header with the value of a secret setting.
    pub fn secret_header(mut self, name: &str, secret: &str) -> Self {
        self.auth.push(Auth::Header(NamedSecret { name: name.to_owned(), secret: secret.to_owned() }));
        self
    }

    /// Sets a method other than GET or POST, and whether the request may be repeated.
    pub fn method(mut self, method: &str, repeat: Repeat) -> Self {
        (self.method, self.repeat) = (method.to_owned(), repeat);
        self
    }

    /// Adds a header with an identifier by which the server recognizes a repetition, so that the request may be
    /// repeated.
    pub fn idempotency_key(mut self, header: &str, key: &str) -> Self {
        self.repeat = Repeat::Keyed;
        self.header(header, key)
    }

    /// Stores the body of a successful response as a blob.
    pub fn store_body(mut self) -> Self {
        self.store_body = true;
        self
    }

    /// Sends the request.
    ///
    /// # Errors
    /// See `http.send` in the WIT. A response of any status is not an error; see [`Response::require_success`].
    pub fn send(&self) -> Result<Response, CallError> {
        send(self)
    }
}

impl Response {
    /// Returns the first header of this name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns the bytes of the body; empty if the body was stored.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Inline(bytes) => bytes,
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
