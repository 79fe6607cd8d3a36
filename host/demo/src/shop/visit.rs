//! A shopper's visit to a shop, and the middleware of every request.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use maud::Markup;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::layout;
use super::line::Line;
use super::platform::{Platform, ShopperData};
use super::profile::Shop;
use crate::shops::random_key;

/// The name of the cookie that identifies a shopper. Cookies are shared by all ports of a machine, so the name must be
/// unique.
const COOKIE: &str = "cartwright_demo_shopper";

/// A shopper's visit to a shop.
pub(super) struct ShopVisit {
    pub(super) platform: Platform,
    at: usize,
    shopper: Option<String>,
}

impl ShopVisit {
    #[allow(clippy::indexing_slicing, reason = "the position was found in this list, which never changes")]
    pub(super) fn shop(&self) -> &Shop {
        &self.platform.shops()[self.at]
    }

    /// Locks the shopper's data. Held during requests to the host, so that two pages of one shopper do not overwrite
    /// each other's changes.
    pub(super) async fn data(&self) -> OwnedMutexGuard<ShopperData> {
        match &self.shopper {
            None => Arc::<Mutex<ShopperData>>::default().lock_owned().await,
            Some(shopper) => self.platform.shopper_data(self.shop(), shopper).await,
        }
    }

    /// Draws a page of the shop.
    pub(super) fn page(&self, title: &str, cart: &[Line], content: Markup) -> Response {
        layout::page(self.shop(), title, cart, content)
    }

    pub(super) fn not_found(&self, what: &str) -> Response {
        let content = maud::html! { h1 { "Page not found" } p { (what) } };
        (StatusCode::NOT_FOUND, self.page("Page not found", &[], content)).into_response()
    }

    pub(super) fn redirect(&self, rest: &str) -> Redirect {
        Redirect::to(&self.shop().path(rest))
    }
}

impl FromRequestParts<Platform> for ShopVisit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self, Response> {
        let path = RawPathParams::from_request_parts(parts, platform).await.map_err(IntoResponse::into_response)?;
        let id = path.iter().find(|(name, _)| *name == "shop").map(|(_, id)| id);
        let at = platform.shops().iter().position(|shop| Some(shop.id) == id);
        let at = at.ok_or_else(|| (StatusCode::NOT_FOUND, "There is no such shop.\n").into_response())?;
        let shopper = CookieJar::from_headers(&parts.headers).get(COOKIE).map(|cookie| cookie.value().to_owned());
        Ok(Self { platform: platform.clone(), at, shopper })
    }
}

/// Rejects forms of other sites.
pub(super) async fn reject_other_sites(request: Request, next: Next) -> Response {
    let from = request.headers().get("sec-fetch-site").and_then(|from| from.to_str().ok());
    match (request.method(), from) {
        (&Method::POST, Some(from)) if from != "same-origin" => {
            (StatusCode::FORBIDDEN, "This request must come from the shop's own pages.\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// Gives a new shopper an unguessable id.
pub(super) async fn set_shopper_cookie(jar: CookieJar, request: Request, next: Next) -> Response {
    if jar.get(COOKIE).is_some() {
        return next.run(request).await;
    }
    let Ok(name) = random_key() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let cookie = Cookie::build((COOKIE, name)).path("/").http_only(true).same_site(SameSite::Lax);
    (jar.add(cookie), next.run(request).await).into_response()
}

/// The parameters of a path.
pub(super) type PathParameters = Path<HashMap<String, String>>;

/// Returns a parameter of a path, or an empty text if there is none.
pub(super) fn parameter<'a>(path: &'a HashMap<String, String>, name: &str) -> &'a str {
    path.get(name).map(String::as_str).unwrap_or_default()
}
