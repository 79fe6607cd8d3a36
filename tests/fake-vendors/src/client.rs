//! A plain HTTP client for one request at a time, which sends the fakes' webhooks and their tests' requests. It has no
//! connection pool, follows no redirects and supports no TLS, because each would hide what a test must see.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, Request, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Timeout of a request of [`get`] or [`post_json`].
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A response of any status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The exact bytes of the body.
    pub body: Bytes,
}

impl Reply {
    /// Returns the body as JSON, or `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns a header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL is not an absolute `http://` URL.
    #[error("not an absolute http:// URL: {0}")]
    Url(String),
    /// The connection failed.
    #[error("no connection")]
    Connect(#[source] std::io::Error),
    /// A header or the request line cannot be written.
    #[error("the request cannot be built")]
    Request(#[from] axum::http::Error),
    /// The connection broke or closed before the response was complete.
    #[error("the connection ended without a whole answer")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request timed out.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Sends a GET request.
///
/// # Errors
/// If there is no response. A response with an error status is not an error.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> Result<Reply, SendError> {
    send(Method::GET, url, headers, Bytes::new(), PATIENCE).await
}

/// Sends a POST request with a JSON body and its content type.
///
/// # Errors
/// If there is no response. A response with an error status is not an error.
pub async fn post_json(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<Reply, SendError> {
    let mut all = vec![(CONTENT_TYPE.as_str(), "application/json")];
    all.extend_from_slice(headers);
    send(Method::POST, url, &all, Bytes::from(body.to_string()), PATIENCE).await
}

/// Sends a request with exactly these headers (and `Host`) and bytes.
///
/// # Errors
/// If there is no response. A response with an error status is not an error.
pub async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
    patience: Duration,
) -> Result<Reply, SendError> {
    let whole = exchange(method, url, headers, body);
    tokio::time::timeout(patience, whole).await.unwrap_or(Err(SendError::TimedOut(patience)))
}

async fn exchange(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Reply, SendError> {
    let not_a_url = || SendError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| not_a_url())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(not_a_url)?;
    let target = uri.path_and_query().map_or("/", |path| path.as_str());

    let mut request = Request::builder().method(method).uri(target).header(HOST, authority.as_str());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body))?;

    let port = authority.port_u16().unwrap_or(80);
    // A Uri contains an IPv6 host with its brackets, which the resolver does not accept.
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port)).await.map_err(SendError::Connect)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| SendError::Broken(error.into()))?;
    let driver = tokio::spawn(connection);
    let reply = async {
        let (parts, body) = sender.send_request(request).await.map_err(|e| SendError::Broken(e.into()))?.into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.map_err(|e| SendError::Broken(e.into()))?;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
    .await;
    driver.abort();
    reply
}
