//! The assets of a product page: the viewer's and the options' scripts, their style sheet, and their data.
//!
//! Expivi's own scripts and their requests are not public; only their documented calls matter here. These scripts load
//! their data from their own origin, with the viewer's token.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::State;
use super::answer::{Access, Refusal};
use crate::lock;

const VIEWER: &str = include_str!("viewer.js");
const OPTIONS: &str = include_str!("options.js");
const STYLE: &str = include_str!("options.css");

pub(super) fn routes() -> Router<Arc<State>> {
    let script = |text: &'static str| get(async move || ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], text));
    let style = async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE);
    Router::new()
        .route("/viewer/latest/viewer.js", script(VIEWER))
        .route("/options/latest/js/app.js", script(OPTIONS))
        .route("/options/latest/css/app.css", get(style))
        .route("/viewer/products/{catalogue_id}", get(product).options(async || StatusCode::NO_CONTENT))
        .layer(map_response(from_any_page))
}

/// Adds CORS headers: shops are other origins, and a page may pin a script by its digest.
async fn from_any_page(response: Response) -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization")),
    ];
    (headers, response).into_response()
}

/// Returns a product, with the products that are configured together with it.
async fn product(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Read)?;
    let book = lock(&state.state);
    let find = |id| book.products.iter().find(|product| product.catalogue_id == id);
    let product = find(id).ok_or_else(|| Refusal::not_found("There is no such catalogue product."))?;
    let parts: Vec<_> = product.parts.iter().filter_map(|part| find(part.catalogue_id)).collect();
    Ok(Json(json!({ "product": product, "parts": parts })))
}
