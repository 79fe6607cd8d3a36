//! Cross-origin access (CORS): the pages of a shop's allowed origins may send requests about that shop.

use std::time::Duration;

use axum::http::header::{ETAG, RETRY_AFTER};
use axum::http::{HeaderValue, Method};
use cartwright::ShopId;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::node::Node;

/// Time for which a browser may cache a preflight response.
const REMEMBERED: Duration = Duration::from_secs(600);

pub(crate) fn layer(node: Node) -> CorsLayer {
    let allowed_origin = AllowOrigin::async_predicate(move |origin: HeaderValue, parts| {
        let shop = shop(parts.uri.path());
        async move {
            let (Some(shop), Ok(origin)) = (shop, origin.to_str()) else { return false };
            // While the database is unavailable, all other operations fail too.
            node.store().shops().origins(&shop).await.is_ok_and(|origins| origins.contains(origin))
        }
    });
    CorsLayer::new()
        .allow_origin(allowed_origin)
        .allow_methods([Method::GET, Method::POST])
        // All headers that a page of an allowed origin sends are accepted, because tracers and monitors add their own.
        // No header gives a page rights that it lacks: a browser adds none by itself, since credentials are not
        // allowed. So no cookie is sent, no response that required one is readable, and the page itself holds the
        // access key.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([ETAG, RETRY_AFTER])
        .max_age(REMEMBERED)
}

fn shop(path: &str) -> Option<ShopId> {
    path.strip_prefix("/v1/shops/")?.split('/').next()?.parse().ok()
}
