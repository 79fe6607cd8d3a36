//! A request as it arrived from the network.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use cartwright_contract::clock::timestamp;
use cartwright_contract::records::WebhookRequest;
use cartwright_contract::settings::Secret;
use cartwright_contract::text::header_text;
use http::{HeaderMap, Method};

/// An unverified request.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// The HTTP method.
    pub method: Method,
    /// The whole URL as the vendor was given it, with the query of this request. Some vendors sign it. It contains the
    /// token of the webhook URL, which is why it is secret.
    pub url: Secret,
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

    /// Converts to the contract's request with this id, whose headers are texts. `secret_header` is left out, because
    /// neither a plugin nor a store may see what it contains.
    pub(crate) fn request(&self, id: String, secret_header: Option<&str>) -> WebhookRequest {
        let is_visible = |name: &str| !secret_header.is_some_and(|secret| secret.eq_ignore_ascii_case(name));
        let headers = self.headers.iter().filter(|(name, _)| is_visible(name.as_str()));
        let text = |value: &http::HeaderValue| header_text(value.as_bytes());
        WebhookRequest {
            id,
            received_at: timestamp(self.at),
            method: self.method.as_str().to_owned(),
            headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            query: self.query.clone(),
            body: self.body.to_vec(),
            extra: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn incoming(headers: &[(&'static str, &[u8])]) -> IncomingRequest {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (http::HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        IncomingRequest {
            method: Method::POST,
            url: Secret::new("https://shop.example/webhooks/token?a=b"),
            headers: headers.iter().map(pair).collect(),
            query: "a=b".to_owned(),
            body: Bytes::new(),
            from: None,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_header_that_is_not_utf_8_reaches_the_plugin_as_latin_1() {
        let headers = [("x-utf-8", "Zoë".as_bytes()), ("x-city", b"M\xe2con"), ("x-neither", b"\xc3\x28\xff")];
        let request = incoming(&headers).request("1".to_owned(), None);
        let values: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["Zoë", "Mâcon", "Ã(ÿ"]);
        assert_eq!((request.id.as_str(), request.received_at.as_str()), ("1", "1970-01-01T00:00:00Z"));
    }

    #[test]
    fn a_header_that_holds_a_secret_is_left_out_however_often_it_occurs() {
        let mut incoming = incoming(&[("authorization", b"Bearer s3cret"), ("x-id", b"7")]);
        incoming.headers.append("authorization", HeaderValue::from_static("Bearer again"));
        let request = incoming.request("1".to_owned(), Some("Authorization"));
        assert_eq!(request.headers, [("x-id".to_owned(), "7".to_owned())]);
        assert!(!format!("{incoming:?}").contains("token"), "the URL is secret");
    }
}
