//! Routes without an access key: the script of product pages, webhook URLs, document URLs, and thumbnails of cart
//! lines.
//!
//! Vendors and plugins made most of these bytes, and they are served in the origin of the admin pages. So none of them
//! can act as a page there: whatever headers a response has, its policy lets nothing run ([`SANDBOX`]), its type is not
//! guessed, and what is not an image of a kind without code is downloaded instead of shown.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use cartwright::types::WebhookResponse;
use cartwright::webhook::{Destination, IncomingRequest, WebhookDeliveryStoreError, WebhookError, WebhookToken};
use cartwright::{Blobs as _, Digest, ShopId};
use cartwright_store::{DocumentUrl, DocumentUrlError};
use tower_http::set_header::SetResponseHeaderLayer;

use super::SANDBOX;
use super::body::{self, UncountedBody, read};
use super::extract::body_problem;
use super::limits::MAX_WEBHOOK_BYTES;
use super::node::Node;
use super::problem::Problem;
use super::static_file::StaticFile;

/// Image types that cannot contain code. An SVG may contain scripts.
const SAFE_PICTURES: [&str; 5] = ["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"];

/// Returns the routes without an access key.
pub fn routes() -> Router<Node> {
    let script = StaticFile::new(
        "text/javascript; charset=utf-8",
        "public, max-age=3600",
        include_str!("../assets/cartwright.js"),
    );
    let webhook = any(receive).layer(from_fn_with_state(MAX_WEBHOOK_BYTES, body::allow));
    Router::new()
        .route("/webhooks/{address}", webhook)
        .route("/documents/{shop}/{outcome}", get(document))
        .route("/pictures/{shop}/{digest}", get(picture))
        .layer(SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, SANDBOX))
        // The script that turns a page's embed data into a running configurator.
        .route("/cartwright.js", get(async move |headers: HeaderMap| script.response(&headers)))
}

async fn receive(State(node): State<Node>, Path(address): Path<String>, request: Request) -> Response {
    let from = node.client_ip(&request);
    // Before the body is read, so that an unknown URL costs no memory.
    let to = match destination(&node, &address).await {
        Ok(to) => to,
        Err(error) => return webhook_response(error.response()),
    };
    if let Err(wait) = node.limits().check_webhook(&to) {
        return Problem::from(wait).into_response();
    }
    let url = node.received_webhook_url(&address, request.uri().query());
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return body_problem(&error).into_response(),
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (method, headers) = (parts.method, parts.headers);
    let incoming = IncomingRequest { method, url, headers, query, body, from, at: node.now() };
    let answer = node.host().receive_webhook(&to, &incoming, node.store()).await;
    webhook_response(answer.unwrap_or_else(|error| error.response()))
}

/// Converts the plugin's response, of which the runtime has already filtered the type and headers.
fn webhook_response(WebhookResponse { status, headers, body }: WebhookResponse) -> Response {
    let mut response = Response::new(Bytes::from(body).into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn destination(node: &Node, address: &str) -> Result<Destination, WebhookError> {
    let address: WebhookToken = address.parse()?;
    let known = node.store().webhooks().webhook_url(address.selector()).await;
    let known = known.map_err(|error| WebhookDeliveryStoreError::Failed(error.to_string()))?;
    Ok(address.resolve(known.as_ref().map(|(stored, held)| (stored, *held)), node.now())?)
}

async fn document(State(node): State<Node>, uri: Uri) -> Result<Response, Problem> {
    let found = async {
        let url: DocumentUrl = uri.to_string().parse()?;
        node.store().documents().document(&url, node.now()).await
    };
    match found.await {
        Ok(file) => {
            let disposition = file.content_disposition();
            let headers = [
                (CONTENT_TYPE, file.media_type),
                (CONTENT_DISPOSITION, disposition),
                (CACHE_CONTROL, "private, no-store".to_owned()),
            ];
            let mut response = (headers, file.bytes).into_response();
            response.extensions_mut().insert(UncountedBody);
            Ok(response)
        }
        Err(error @ (DocumentUrlError::Malformed | DocumentUrlError::WrongSignature)) => {
            Err(Problem::new(StatusCode::FORBIDDEN, "document-url", error.to_string()))
        }
        Err(error @ DocumentUrlError::Expired) => {
            Err(Problem::new(StatusCode::GONE, "document-url", error.to_string()))
        }
        Err(DocumentUrlError::Store(error)) => Err(error.into()),
    }
}

/// Returns a thumbnail of a cart line by its digest. A client that knows the digest has seen the line.
async fn picture(State(node): State<Node>, Path((shop, digest)): Path<(String, String)>) -> Result<Response, Problem> {
    let missing = || Problem::not_found("thumbnail not found");
    let (shop, digest): (ShopId, Digest) = shop.parse().ok().zip(digest.parse().ok()).ok_or_else(missing)?;
    let info = node.store().blobs().blob_info(&shop, &digest).await?.ok_or_else(missing)?;
    // Other blobs with a digest are not public.
    if !info.is_thumbnail || !SAFE_PICTURES.contains(&info.media_type.as_str()) {
        return Err(missing());
    }
    let bytes = node.store().get(&shop, &digest).await;
    let bytes = bytes.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", error.to_string()))?;
    let headers = [(CONTENT_TYPE, info.media_type.as_str()), (CACHE_CONTROL, "public, max-age=86400, immutable")];
    Ok((headers, bytes.ok_or_else(missing)?).into_response())
}
