//! A request as it arrived from the network.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use cartwright_contract::records::WebhookRequest;
use http::{HeaderMap, Method};

/// An unverified request.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// The HTTP method.
    pub method: Method,
    /// The headers, byte for byte.
    pub headers: HeaderMap,
    /// The query string after the "?".
    pub query: String,
    /// The body, byte for byte. A body that was parsed and serialized again has another signature.
    pub body: Bytes,
    /// The sender's IP address. Behind a trusted proxy it is the one that the proxy reports; `None` if it is unknown.
    pub from: Option<IpAddr>,
    /// When the request arrived.
    pub at: SystemTime,
}

impl IncomingRequest {
    /// Returns the number of bytes in the headers and the query.
    pub(crate) fn head_bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        headers.sum::<usize>() + self.query.len()
    }

    /// Converts to the contract's request. Invalid UTF-8 in headers is replaced, because the contract's headers are
    /// texts.
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
