//! The failures of a vendor. Each can be switched while the fake runs, because a test of recovery needs both states.
//!
//! Whether the work was done matters to a caller: an outage and a 429 precede the work; a lost response, a malformed
//! response and a delay follow it. Counted faults are used up one request at a time, in that order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::lock;

/// The kind of an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outage {
    /// 503 with a JSON body.
    Unavailable {
        /// The `Retry-After` header's value, seconds or an HTTP date, sent unchanged.
        retry_after: Option<String>,
    },
    /// The request is read, then the connection closes without a response; no work is done.
    Dropped,
}

/// How a response is damaged after the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The body's first half, under the original status and content type.
    Truncated,
    /// 200 with an HTML page, like that of a proxy or a maintenance page.
    Html,
    /// The same JSON shape with other types: texts become numbers, numbers and booleans become texts.
    WrongTypes,
}

#[derive(Default)]
struct Switches {
    delay: Duration,
    path_prefix: Option<String>,
    outage: Option<Outage>,
    limited_requests: u32,
    limited_retry_after: Option<String>,
    lost_replies: u32,
    malformed: Option<(Malformed, u32)>,
}

/// The switches of one fake, which all clones share.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Switches>>);

impl Faults {
    /// Delays responses until set to zero. The work is done before the delay, so that a caller that times out has
    /// caused it nevertheless.
    pub fn delay(&self, delay: Duration) {
        lock(&self.0).delay = delay;
    }

    /// Starts an outage until [`Faults::clear`] or [`Faults::recover`].
    pub fn outage(&self, outage: Outage) {
        lock(&self.0).outage = Some(outage);
    }

    /// Ends an outage and leaves the other switches.
    pub fn recover(&self) {
        lock(&self.0).outage = None;
    }

    /// Rejects the next `requests` with 429, before any work. `retry_after` is sent unchanged.
    pub fn limit(&self, requests: u32, retry_after: Option<&str>) {
        let mut switches = lock(&self.0);
        switches.limited_requests = requests;
        switches.limited_retry_after = retry_after.map(str::to_owned);
    }

    /// Handles the next `requests`, then closes each connection without a response.
    pub fn lose_replies(&self, requests: u32) {
        lock(&self.0).lost_replies = requests;
    }

    /// Handles the next `requests`, then responds with garbage.
    pub fn malform(&self, how: Malformed, requests: u32) {
        lock(&self.0).malformed = Some((how, requests));
    }

    /// Restricts every switch to paths that start with `prefix`; `None` lifts the restriction.
    pub fn only_on(&self, prefix: Option<&str>) {
        lock(&self.0).path_prefix = prefix.map(str::to_owned);
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        *lock(&self.0) = Switches::default();
    }

    /// Decides how a request fails on its arrival, and uses up counted faults.
    pub(crate) fn take_fault(&self, path: &str) -> RequestFault {
        let mut switches = lock(&self.0);
        if switches.path_prefix.as_ref().is_some_and(|prefix| !path.starts_with(prefix.as_str())) {
            return RequestFault { delay: Duration::ZERO, kind: FaultKind::Normal };
        }
        RequestFault { delay: switches.delay, kind: switches.kind() }
    }
}

impl Switches {
    fn kind(&mut self) -> FaultKind {
        if let Some(outage) = &self.outage {
            return match outage {
                Outage::Dropped => FaultKind::Drop,
                Outage::Unavailable { retry_after } => {
                    FaultKind::Refuse(StatusCode::SERVICE_UNAVAILABLE, retry_after.clone())
                }
            };
        }
        if self.limited_requests > 0 {
            self.limited_requests -= 1;
            return FaultKind::Refuse(StatusCode::TOO_MANY_REQUESTS, self.limited_retry_after.clone());
        }
        if self.lost_replies > 0 {
            self.lost_replies -= 1;
            return FaultKind::Lose;
        }
        if let Some((how, left)) = &mut self.malformed
            && *left > 0
        {
            *left -= 1;
            return FaultKind::Malform(*how);
        }
        FaultKind::Normal
    }
}

pub(crate) struct RequestFault {
    pub(crate) delay: Duration,
    pub(crate) kind: FaultKind,
}

pub(crate) enum FaultKind {
    Normal,
    /// Close before the work.
    Drop,
    /// Answer with this status before the work.
    Refuse(StatusCode, Option<String>),
    /// Close after the work.
    Lose,
    Malform(Malformed),
}

pub(crate) fn refusal(status: StatusCode, retry_after: Option<String>) -> Response {
    let mut response = Response::new(Body::from(json!({ "message": status.canonical_reason() }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

pub(crate) async fn malform(response: Response, how: Malformed) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    let spoilt = match how {
        Malformed::Truncated => bytes.slice(..bytes.len() / 2),
        Malformed::Html => {
            parts.status = StatusCode::OK;
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            Bytes::from_static(b"<!doctype html><title>Be right back</title><p>We are down for maintenance.")
        }
        Malformed::WrongTypes => {
            let value = serde_json::from_slice(&bytes).map(change_types).unwrap_or_else(|_| json!([]));
            Bytes::from(value.to_string())
        }
    };
    Response::from_parts(parts, Body::from(spoilt))
}

fn change_types(value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(yes) => json!(if yes { "yes" } else { "no" }),
        Value::Number(_) => json!("not a number"),
        Value::String(text) => json!(text.len()),
        Value::Array(items) => items.into_iter().map(change_types).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, change_types(value))).collect(),
    }
}
