//! Two small shops, as platforms that use HTTP: their servers call the host with a `backend` key, their pages with a
//! `storefront` key and `cartwright.js`. They share no code or state with the host, and store their data in memory.

mod cart;
mod checkout;
mod client;
mod layout;
mod line;
mod orders;
mod pictures;
mod products;
mod quotes;
mod setup;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use maud::Markup;

use self::client::Host;
use self::line::{Line, Money};
use super::shops::random_key;

pub(crate) use self::setup::open;

/// The name of the cookie that identifies a shopper. Cookies are shared by all ports of a machine, so the name must be
/// unique.
const COOKIE: &str = "cartwright_demo_shopper";

/// Large enough for a configuration with its picture.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The state of the shops' server.
#[derive(Clone)]
pub(crate) struct Platform(Arc<ShopState>);

/// The data of each shopper, by shop and shopper.
type ShopperStore = HashMap<(String, String), Arc<tokio::sync::Mutex<ShopperData>>>;

struct ShopState {
    shops: Vec<Shop>,
    books: Mutex<ShopperStore>,
    /// The last number given to an order or a quote.
    last_number: AtomicU64,
}

impl Platform {
    fn new(shops: Vec<Shop>) -> Self {
        Self(Arc::new(ShopState { shops, books: Mutex::default(), last_number: AtomicU64::new(1000) }))
    }

    fn next_number(&self) -> u64 {
        self.0.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A shop.
pub(crate) struct Shop {
    /// The host's id of the shop, and its segment of each path.
    id: &'static str,
    title: &'static str,
    /// The vendor of its configurators.
    vendor: &'static str,
    about: &'static str,
    currency: &'static str,
    products: Vec<Product>,
    /// The host's API with the server's key.
    host: Host,
    /// The key that the pages contain.
    storefront: String,
}

/// A configurable product.
struct Product {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    from: Money,
}

/// The data of a shopper in a shop.
#[derive(Default)]
struct ShopperData {
    cart: Vec<Line>,
    /// The requested quotes, by the ids that the shop gave them.
    quotes: Vec<String>,
    orders: Vec<orders::Order>,
}

impl Shop {
    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.id)
    }

    /// Returns the URL of a resource of this shop at the host.
    fn at(&self, rest: &str) -> String {
        format!("/v1/shops/{}/{rest}", self.id)
    }

    fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }
}

/// A shopper's visit to a shop.
struct ShopVisit {
    platform: Platform,
    at: usize,
    shopper: Option<String>,
}

impl ShopVisit {
    #[allow(clippy::indexing_slicing, reason = "the position was found in this list, which never changes")]
    fn shop(&self) -> &Shop {
        &self.platform.0.shops[self.at]
    }

    /// Locks the shopper's data. Held during requests to the host, so that two pages of one shopper do not overwrite
    /// each other's changes.
    async fn book(&self) -> tokio::sync::OwnedMutexGuard<ShopperData> {
        let book = match &self.shopper {
            None => Arc::default(),
            Some(shopper) => {
                let mut books = self.platform.0.books.lock().unwrap_or_else(PoisonError::into_inner);
                books.entry((self.shop().id.to_owned(), shopper.clone())).or_default().clone()
            }
        };
        book.lock_owned().await
    }

    /// Draws a page of the shop.
    fn page(&self, title: &str, cart: &[Line], content: Markup) -> Response {
        layout::page(self.shop(), title, cart, content)
    }

    fn not_found(&self, what: &str) -> Response {
        let content = maud::html! { h1 { "Page not found" } p { (what) } };
        (StatusCode::NOT_FOUND, self.page("Page not found", &[], content)).into_response()
    }

    fn redirect(&self, rest: &str) -> Redirect {
        Redirect::to(&self.shop().path(rest))
    }
}

impl FromRequestParts<Platform> for ShopVisit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self, Response> {
        let path = RawPathParams::from_request_parts(parts, platform).await.map_err(IntoResponse::into_response)?;
        let id = path.iter().find(|(name, _)| *name == "shop").map(|(_, id)| id);
        let at = platform.0.shops.iter().position(|shop| Some(shop.id) == id);
        let at = at.ok_or_else(|| (StatusCode::NOT_FOUND, "There is no such shop.\n").into_response())?;
        let shopper = CookieJar::from_headers(&parts.headers).get(COOKIE).map(|cookie| cookie.value().to_owned());
        Ok(Self { platform: platform.clone(), at, shopper })
    }
}

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
        .layer(from_fn(own_pages_only))
        .layer(from_fn(named))
        .with_state(platform)
}

async fn index(State(platform): State<Platform>) -> Response {
    layout::index(&platform.0.shops)
}

/// Rejects forms of other sites.
async fn own_pages_only(request: Request, next: Next) -> Response {
    let from = request.headers().get("sec-fetch-site").and_then(|from| from.to_str().ok());
    match (request.method(), from) {
        (&Method::POST, Some(from)) if from != "same-origin" => {
            (StatusCode::FORBIDDEN, "This request must come from the shop's own pages.\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// Gives a new shopper an unguessable id.
async fn named(jar: CookieJar, request: Request, next: Next) -> Response {
    if jar.get(COOKIE).is_some() {
        return next.run(request).await;
    }
    let Ok(name) = random_key() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let cookie = Cookie::build((COOKIE, name)).path("/").http_only(true).same_site(SameSite::Lax);
    (jar.add(cookie), next.run(request).await).into_response()
}

/// The parameters of a path, besides the shop.
type Named = Path<HashMap<String, String>>;

fn word<'a>(path: &'a HashMap<String, String>, name: &str) -> &'a str {
    path.get(name).map(String::as_str).unwrap_or_default()
}
