//! The requests of a fake with its responses. Tests judge the caller by this record, and not by the caller's own data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::request::Parts;

use crate::lock;

/// The response to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// In progress, or waiting for a delay.
    Pending,
    /// A response with this HTTP status was passed to the connection.
    Status(u16),
    /// The connection was closed without a response.
    Dropped {
        /// The status that the response would have had if the work was done; `None` if the request was not handled.
        lost: Option<u16>,
    },
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The part after the `?`, undecoded.
    pub query: Option<String>,
    /// Every header in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the body. Hashes cover bytes, so a parsed form would not suffice.
    pub body: Vec<u8>,
    /// The response.
    pub reply: Reply,
}

impl Received {
    /// Returns the first header of that name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON, or `null` if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// Each with a number, since [`Record::clear`] may run during a response.
    list: Vec<(u64, Received)>,
}

/// The requests that a fake received, oldest first. All clones share the same list.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Entries>>);

impl Record {
    /// Returns all requests received so far.
    pub fn all(&self) -> Vec<Received> {
        lock(&self.0).list.iter().map(|(_, received)| received.clone()).collect()
    }

    /// Returns the requests whose path starts with `prefix`.
    pub fn on_path(&self, prefix: &str) -> Vec<Received> {
        self.all().into_iter().filter(|received| received.path.starts_with(prefix)).collect()
    }

    /// Returns the latest request.
    pub fn last(&self) -> Option<Received> {
        lock(&self.0).list.last().map(|(_, received)| received.clone())
    }

    /// Returns the number of requests.
    pub fn len(&self) -> usize {
        lock(&self.0).list.len()
    }

    /// Returns whether no request was received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clears the record.
    pub fn clear(&self) {
        lock(&self.0).list.clear();
    }

    /// Waits until at least `count` requests were received. Returns `false` after `patience`.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let enough = async {
            while self.len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(patience, enough).await.is_ok()
    }

    pub(crate) fn push(&self, parts: &Parts, body: &[u8]) -> u64 {
        let headers = parts.headers.iter();
        let received = Received {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: body.to_vec(),
            reply: Reply::Pending,
        };
        let mut entries = lock(&self.0);
        entries.next += 1;
        let number = entries.next;
        entries.list.push((number, received));
        number
    }

    pub(crate) fn reply(&self, number: u64, reply: Reply) {
        let mut entries = lock(&self.0);
        if let Some((_, received)) = entries.list.iter_mut().find(|(n, _)| *n == number) {
            received.reply = reply;
        }
    }
}
