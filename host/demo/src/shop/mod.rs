//! Two small shops, as platforms that speak HTTP: their servers ask the host with a `backend` key, their pages with a `storefront`
//! key and `cartwright.js`, and nothing of them reaches into the host. What they keep is in memory.

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

/// Names a shopper. Cookies know no ports: it must not be called as another server's of this machine.
const COOKIE: &str = "cartwright_demo_shopper";

/// A configuration holds a picture.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Everything that the shops' server has.
#[derive(Clone)]
pub(crate) struct Platform(Arc<ShopState>);

/// By shop and shopper.
type ShopperStore = HashMap<(String, String), Arc<tokio::sync::Mutex<ShopperData>>>;

struct ShopState {
    shops: Vec<Shop>,
    books: Mutex<ShopperStore>,
    /// The number of the order or quotation that was the last.
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
    /// The host's id of it, and its part of each address.
    id: &'static str,
    title: &'static str,
    /// Who makes its configurators.
    vendor: &'static str,
    about: &'static str,
    currency: &'static str,
    products: Vec<Product>,
    /// The host, for the server.
    host: Host,
    /// The key that stands in the pages.
    storefront: String,
}

/// Something that can be configured.
struct Product {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    from: Money,
}

/// What a shop keeps of a shopper.
#[derive(Default)]
struct ShopperData {
    cart: Vec<Line>,
    /// The quotations that were asked for, by the ids that the shop gave them.
    quotes: Vec<String>,
    orders: Vec<orders::Order>,
}

impl Shop {
    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.id)
    }

    /// An address of the host's about this shop.
    fn at(&self, rest: &str) -> String {
        format!("/v1/shops/{}/{rest}", self.id)
    }

    fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }
}

/// A shopper in a shop.
struct ShopVisit {
    platform: Platform,
    at: usize,
    shopper: Option<String>,
}

impl ShopVisit {
    fn shop(&self) -> &Shop {
        &self.platform.0.shops[self.at]
    }

    /// Held while the host is asked, so that two pages of one shopper lose nothing of each other's.
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

    /// A page of the shop.
    fn page(&self, title: &str, cart: &[Line], content: Markup) -> Response {
        layout::page(self.shop(), title, cart, content)
    }

    fn not_found(&self, what: &str) -> Response {
        let content = maud::html! { h1 { "Not here" } p { (what) } };
        (StatusCode::NOT_FOUND, self.page("Not here", &[], content)).into_response()
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

/// Everything that the shops serve.
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

/// Another site's page may not order here.
async fn own_pages_only(request: Request, next: Next) -> Response {
    let from = request.headers().get("sec-fetch-site").and_then(|from| from.to_str().ok());
    match (request.method(), from) {
        (&Method::POST, Some(from)) if from != "same-origin" => {
            (StatusCode::FORBIDDEN, "This is done from the shop's own pages.\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// Gives who comes for the first time a name that cannot be guessed.
async fn named(jar: CookieJar, request: Request, next: Next) -> Response {
    if jar.get(COOKIE).is_some() {
        return next.run(request).await;
    }
    let Ok(name) = random_key() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let cookie = Cookie::build((COOKIE, name)).path("/").http_only(true).same_site(SameSite::Lax);
    (jar.add(cookie), next.run(request).await).into_response()
}

/// The words of a path, beside the shop's.
type Named = Path<HashMap<String, String>>;

fn word<'a>(path: &'a HashMap<String, String>, name: &str) -> &'a str {
    path.get(name).map(String::as_str).unwrap_or_default()
}
