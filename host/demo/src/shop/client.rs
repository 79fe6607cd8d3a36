//! A client of the host's HTTP API, as a shop's server uses it.

use std::time::Duration;

use axum::http::Method;
use cartwright_fake_vendors::client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Request timeout, longer than the host's own.
const TIMEOUT: Duration = Duration::from_secs(70);

/// The host's API with one access key.
#[derive(Clone)]
pub(crate) struct Host {
    /// The host's URL, without a slash at its end.
    pub(crate) url: String,
    pub(crate) key: String,
}

/// Why a request to the host failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// The host rejected the request with a problem.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The host does not respond, or not as its document describes.
    #[error("the host does not respond: {0}")]
    Unavailable(String),
}

/// The members of an RFC 9457 problem that a shop reads.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// For the operator of the shop.
    pub(crate) detail: String,
    /// For the shopper.
    #[serde(default)]
    pub(crate) shopper: Option<Message>,
}

/// A text. The host sends its key and parameters as well, for shops with their own wording.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Message {
    pub(crate) text: String,
}

impl HostError {
    /// Returns the text for the shopper. The merchant resolves everything else.
    pub(crate) fn shopper_text(&self) -> String {
        tracing::warn!(%self, "the host failed a request of the shop");
        match self {
            Self::Refused(Problem { shopper: Some(message), .. }) => message.text.clone(),
            _ => "Something went wrong. Please try again later.".to_owned(),
        }
    }
}

impl Host {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self { url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HostError> {
        read(self.send(Method::GET, path, None, None).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, HostError> {
        read(self.send(Method::POST, path, Some(body), None).await?)
    }

    /// Sends a POST request that succeeds only if the resource still has this version.
    pub(crate) async fn post_if<T: DeserializeOwned>(
        &self,
        path: &str,
        version: u64,
        body: &Value,
    ) -> Result<T, HostError> {
        read(self.send(Method::POST, path, Some(body), Some(version)).await?)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<(), HostError> {
        self.send(Method::PUT, path, Some(body), None).await.map(drop)
    }

    async fn send(
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
        let reply = client::send(method, &format!("{}{path}", self.url), &headers, bytes.into(), TIMEOUT).await;
        let reply = reply.map_err(|error| HostError::Unavailable(error.to_string()))?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.json());
        }
        Err(match serde_json::from_slice(&reply.body) {
            Ok(problem) => HostError::Refused(problem),
            Err(_) => HostError::Unavailable(format!("it responded with {}", reply.status)),
        })
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, HostError> {
    serde_json::from_value(answer).map_err(|error| HostError::Unavailable(format!("its response is invalid: {error}")))
}
