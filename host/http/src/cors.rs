//! Which pages may ask from a browser: those of a shop's origins, about that shop.

use std::time::Duration;

use axum::http::header::{ETAG, RETRY_AFTER};
use axum::http::{HeaderValue, Method};
use cartwright::ShopId;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::node::Node;

/// For how long a browser need not ask whether it may ask.
const REMEMBERED: Duration = Duration::from_secs(600);

pub(crate) fn layer(node: Node) -> CorsLayer {
    let allowed_origin = AllowOrigin::async_predicate(move |origin: HeaderValue, parts| {
        let shop = shop(parts.uri.path());
        async move {
            let (Some(shop), Ok(origin)) = (shop, origin.to_str()) else { return false };
            // While the database is away nothing else works either.
            node.store().shops().origins(&shop).await.is_ok_and(|origins| origins.contains(origin))
        }
    });
    CorsLayer::new()
        .allow_origin(allowed_origin)
        .allow_methods([Method::GET, Method::POST])
        // Whatever a page of an allowed origin wants to send: tracers and monitors add headers of their own. No header lends a page
        // rights that it lacks, because a browser adds none of its own accord here: credentials are not allowed, so no cookie is sent
        // and no answer that needed one is readable, and the access key is what the page itself holds.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([ETAG, RETRY_AFTER])
        .max_age(REMEMBERED)
}

fn shop(path: &str) -> Option<ShopId> {
    path.strip_prefix("/v1/shops/")?.split('/').next()?.parse().ok()
}
