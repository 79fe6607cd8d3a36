//! Two small shops, as platforms that use HTTP: their servers call the host with a `backend` key, their pages with a
//! `storefront` key and `cartwright.js`. They share no code or state with the host, and store their data in memory.

mod cart;
mod checkout;
mod client;
mod layout;
mod line;
mod order;
mod orders;
mod pictures;
mod platform;
mod products;
mod profile;
mod quotes;
mod setup;
mod visit;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};

use self::platform::Platform;
use self::visit::{ShopVisit, reject_other_sites, set_shopper_cookie};

pub(crate) use self::setup::open;

/// Large enough for a configuration with its picture.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Returns the routes of both shops.
pub(crate) fn router(platform: Platform) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/assets/{name}", get(layout::asset))
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route("/{shop}", get(async |visit: ShopVisit| visit.redirect("")))
        .route("/{shop}/", get(products::list))
        .route("/{shop}/products/{product}", get(products::show).post(products::submit))
        .route("/{shop}/cart", get(cart::show))
        .route("/{shop}/cart/quantity", post(cart::quantity))
        .route("/{shop}/cart/remove", post(cart::remove))
        .route("/{shop}/offers", get(quotes::show))
        .route("/{shop}/offers/{quote}/{step}", post(quotes::respond))
        .route("/{shop}/checkout", get(checkout::show).post(checkout::order))
        .route("/{shop}/orders", get(orders::list))
        .route("/{shop}/orders/{order}", get(orders::show))
        .route("/{shop}/orders/{order}/{step}", post(orders::advance))
        .route("/{shop}/orders/{order}/documents/{outcome}", get(orders::document))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(reject_other_sites))
        .layer(from_fn(set_shopper_cookie))
        .with_state(platform)
}

async fn index(State(platform): State<Platform>) -> Response {
    layout::index(platform.shops())
}
