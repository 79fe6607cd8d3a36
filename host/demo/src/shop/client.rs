//! The host's HTTP API, as the server of a shop asks it.

use std::time::Duration;

use axum::http::Method;
use cartwright_fake_vendors::client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The host ends a request of its own accord before this.
const PATIENCE: Duration = Duration::from_secs(70);

/// The host, with one of its access keys.
#[derive(Clone)]
pub(crate) struct Host {
    /// Its address, without a slash at its end.
    pub(crate) url: String,
    pub(crate) key: String,
}

/// Why the host did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// It says why.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// It does not answer, or not as its document says.
    #[error("the host does not answer: {0}")]
    Unavailable(String),
}

/// RFC 9457, as far as a shop reads it.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// For whoever runs the shop.
    pub(crate) detail: String,
    /// For the shopper.
    #[serde(default)]
    pub(crate) shopper: Option<Message>,
}

/// A text; the host gives its key and parameters too, for shops that word it themselves.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Message {
    pub(crate) text: String,
}

impl HostError {
    /// What a shopper is told. The rest is the merchant's to mend.
    pub(crate) fn shopper_text(&self) -> String {
        tracing::warn!(%self, "the host did not do what the shop asked");
        match self {
            Self::Refused(Problem { shopper: Some(message), .. }) => message.text.clone(),
            _ => "This cannot be done now. Please try again later.".to_owned(),
        }
    }
}

impl Host {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self { url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HostError> {
        read(self.ask(Method::GET, path, None, None).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, HostError> {
        read(self.ask(Method::POST, path, Some(body), None).await?)
    }

    /// The same, if what it is about is in this version still.
    pub(crate) async fn post_if<T: DeserializeOwned>(
        &self,
        path: &str,
        version: u64,
        body: &Value,
    ) -> Result<T, HostError> {
        read(self.ask(Method::POST, path, Some(body), Some(version)).await?)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<(), HostError> {
        self.ask(Method::PUT, path, Some(body), None).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<u64>,
    ) -> Result<Value, HostError> {
        let tag = version.map(|version| format!("\"{version}\""));
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(body.map(|_| ("content-type", "application/json")));
        headers.extend(tag.as_deref().map(|tag| ("if-match", tag)));
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let reply = client::send(method, &format!("{}{path}", self.url), &headers, bytes.into(), PATIENCE).await;
        let reply = reply.map_err(|error| HostError::Unavailable(error.to_string()))?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.json());
        }
        Err(match serde_json::from_slice(&reply.body) {
            Ok(problem) => HostError::Refused(problem),
            Err(_) => HostError::Unavailable(format!("it answered {}", reply.status)),
        })
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, HostError> {
    serde_json::from_value(answer).map_err(|error| HostError::Unavailable(format!("its answer is another: {error}")))
}
