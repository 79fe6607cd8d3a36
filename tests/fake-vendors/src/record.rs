//! What a fake was asked, and what it answered. Tests judge the caller by this, not by the caller's own account.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::request::Parts;

use crate::lock;

/// What came back for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Still at work, or waiting out a delay.
    Pending,
    /// An answer with this HTTP status was handed to the connection.
    Status(u16),
    /// The connection was closed without an answer.
    Dropped {
        /// The status the answer would have had, when the work was done; `None` when the request was not looked at.
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
    /// What stood after the `?`, undecoded.
    pub query: Option<String>,
    /// Every header in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's exact bytes: hashes are over bytes, so that a parsed form would prove nothing.
    pub body: Vec<u8>,
    /// What came back.
    pub reply: Reply,
}

impl Received {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// Each with a number, since [`Record::clear`] may run while a request is still being answered.
    list: Vec<(u64, Received)>,
}

/// The requests a fake received, oldest first. Clones share the same list.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Entries>>);

impl Record {
    /// Everything received so far.
    pub fn all(&self) -> Vec<Received> {
        lock(&self.0).list.iter().map(|(_, received)| received.clone()).collect()
    }

    /// The requests whose path starts with `prefix`.
    pub fn on_path(&self, prefix: &str) -> Vec<Received> {
        self.all().into_iter().filter(|received| received.path.starts_with(prefix)).collect()
    }

    /// The latest request.
    pub fn last(&self) -> Option<Received> {
        lock(&self.0).list.last().map(|(_, received)| received.clone())
    }

    /// How many requests were received.
    pub fn len(&self) -> usize {
        lock(&self.0).list.len()
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what was received so far.
    pub fn clear(&self) {
        lock(&self.0).list.clear();
    }

    /// Waits until at least `count` requests were received; false when they were not within `patience`.
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
