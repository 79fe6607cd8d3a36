//! The assets of a product page: the published script, its save call, and the preview pictures.
//!
//! How Twikit's script saves is not public; only its documented calls matter here.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use crate::lock;

type Shared = axum::extract::State<Arc<State>>;

const SCRIPT: &str = include_str!("viewer.js");

pub(super) fn routes() -> Router<Arc<State>> {
    let script = async || ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT);
    Router::new()
        .route("/scripts/{publication}/twikit.js", get(script))
        .route("/viewer/configurations", post(save).options(async || StatusCode::NO_CONTENT))
        .route("/previews/{name}", get(preview))
        .layer(map_response(from_any_page))
}

/// Adds CORS headers: shops are other origins, and a page may pin a script by its digest.
async fn from_any_page(response: Response) -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type")),
    ];
    (headers, response).into_response()
}

/// The script's request for "Twikit will store this data for you and generate a customized image".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saving {
    product_key: String,
    sku: String,
    price: f64,
    preview: String,
}

/// Responds with `ISaveData`.
async fn save(axum::extract::State(state): Shared, Json(saving): Json<Saving>) -> Result<Json<Value>, StatusCode> {
    let picture = STANDARD.decode(saving.preview).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let saved = state.save(&saving.product_key, &saving.sku, saving.price);
    lock(&state.state).previews.insert(saved.configuration_id, picture);
    Ok(Json(json!({ "configurationId": saved.configuration_id, "previewUrl": saved.preview_url })))
}

/// Returns the picture that the script drew, or a sample for a configuration that a test saved.
async fn preview(axum::extract::State(state): Shared, Path(name): Path<String>) -> Response {
    let id = name.strip_suffix(".png").and_then(|id| id.parse::<u64>().ok());
    let drawn = id.and_then(|id| lock(&state.state).previews.get(&id).cloned());
    let picture = drawn.unwrap_or_else(|| crate::samples::PNG.to_vec());
    ([(CONTENT_TYPE, "image/png")], picture).into_response()
}
