//! A request as the network gave it.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use cartwright_contract::records::WebhookRequest;
use http::{HeaderMap, Method};

/// A request of which nothing is believed yet.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// Its method.
    pub method: Method,
    /// Its headers, byte for byte.
    pub headers: HeaderMap,
    /// What stood behind the "?".
    pub query: String,
    /// Its body, byte for byte: a body that was parsed and written again has another signature.
    pub body: Bytes,
    /// The sender's address. Behind a proxy this is what the proxy says, if the server trusts it; none when nobody knows.
    pub from: Option<IpAddr>,
    /// When it came.
    pub at: SystemTime,
}

impl IncomingRequest {
    /// How many bytes the headers and the query have.
    pub(crate) fn head_bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        headers.sum::<usize>() + self.query.len()
    }

    /// As a plugin is given it. What is no UTF-8 in a header is replaced there: the contract's headers are texts.
    pub(crate) fn request(&self) -> WebhookRequest {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        WebhookRequest {
            method: self.method.as_str().to_owned(),
            headers: self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            query: self.query.clone(),
            body: self.body.to_vec(),
        }
    }
}
