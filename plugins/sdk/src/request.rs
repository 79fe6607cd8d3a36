//! A short way to write http requests and to read what came back.

use crate::constructors::{message, outage, rejected};
use crate::http::{Auth, Body, NamedSecret, Repeat, Request, Response, send};
use crate::types::{BytesSource, Error};

impl Request {
    /// A request that reads: it may be sent again.
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

    /// A request that sends JSON. It is never sent again, unless it is [`idempotency_key`](Self::idempotency_key).
    pub fn post_json(url: impl Into<String>, body: Vec<u8>) -> Self {
        let request = Self {
            method: "POST".to_owned(),
            body: BytesSource::Inline(body),
            repeat: Repeat::Never,
            ..Self::get(url)
        };
        request.header("Content-Type", "application/json")
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With `Authorization: Bearer` and the value of this secret setting.
    pub fn bearer(mut self, secret: &str) -> Self {
        self.auth.push(Auth::Bearer(secret.to_owned()));
        self
    }

    /// With a header of this name that holds the value of a secret setting.
    pub fn secret_header(mut self, name: &str, secret: &str) -> Self {
        self.auth.push(Auth::Header(NamedSecret { name: name.to_owned(), secret: secret.to_owned() }));
        self
    }

    /// With another method than GET or POST; may it be sent again?
    pub fn method(mut self, method: &str, repeat: Repeat) -> Self {
        (self.method, self.repeat) = (method.to_owned(), repeat);
        self
    }

    /// With a header that holds an identifier by which the other side knows the request again: it may be sent again.
    pub fn idempotency_key(mut self, header: &str, key: &str) -> Self {
        self.repeat = Repeat::Keyed;
        self.header(header, key)
    }

    /// Puts a successful answer's body into the document store.
    pub fn store_body(mut self) -> Self {
        self.store_body = true;
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// See the WIT's `http.send`. An answer of any status is no error; see [`Response::require_success`].
    pub fn send(&self) -> Result<Response, Error> {
        send(self)
    }
}

impl Response {
    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body's bytes; none of one that was stored.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Inline(bytes) => bytes,
            Body::Stored(_) => &[],
        }
    }

    /// The answer, if its status says success.
    ///
    /// # Errors
    /// `unavailable` for 408, 429 and 5xx, with the time that the other side gave; `rejected` for every other status. `who` is
    /// named in the text.
    pub fn require_success(self, who: &str) -> Result<Self, Error> {
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
