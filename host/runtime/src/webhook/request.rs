//! A request as it arrived from the network.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use cartwright_contract::records::WebhookRequest;
use cartwright_contract::text::header_text;
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

    /// Converts to the contract's request, whose headers are texts.
    pub(crate) fn request(&self) -> WebhookRequest {
        let text = |value: &http::HeaderValue| header_text(value.as_bytes());
        WebhookRequest {
            method: self.method.as_str().to_owned(),
            headers: self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            query: self.query.clone(),
            body: self.body.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_header_that_is_not_utf_8_reaches_the_plugin_as_latin_1() {
        let city = HeaderValue::from_bytes(b"M\xe2con").expect("a header's value");
        let request = IncomingRequest {
            method: Method::POST,
            headers: HeaderMap::from_iter([(http::HeaderName::from_static("x-city"), city)]),
            query: String::new(),
            body: Bytes::new(),
            from: None,
            at: UNIX_EPOCH,
        };
        assert_eq!(request.request().headers, [("x-city".to_owned(), "Mâcon".to_owned())]);
    }
}
