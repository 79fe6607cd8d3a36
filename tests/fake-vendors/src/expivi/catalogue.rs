//! The catalog, in JSON:API. Its ids are texts, and an unknown query parameter is an error, as JSON:API requires; no
//! paging is documented, so a caller that assumes one fails here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::State;
use super::answer::{Access, Refusal};
use super::products::Product;
use crate::lock;

type Shared = axum::extract::State<Arc<State>>;

/// `GET catalogue`
pub(super) async fn list(
    axum::extract::State(state): Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Read)?;
    if let Some(parameter) = parameters(query.as_deref()).next() {
        return Err(unknown(parameter));
    }
    let data: Vec<_> = lock(&state.state).products.iter().map(resource).collect();
    Ok(Json(json!({ "data": data })))
}

/// `GET catalogue/{id}?include=attributes`
pub(super) async fn one(
    axum::extract::State(state): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Read)?;
    let mut include = false;
    for parameter in parameters(query.as_deref()) {
        if parameter != "include=attributes" {
            return Err(unknown(parameter));
        }
        include = true;
    }
    let book = lock(&state.state);
    let product = book.products.iter().find(|product| product.catalogue_id.to_string() == id);
    let product = product.ok_or_else(|| Refusal::not_found("There is no such catalogue product."))?;
    let mut answer = json!({ "data": resource(product) });
    if include {
        let included = product.attributes.iter().map(|attribute| {
            let id = attribute.id.to_string();
            json!({ "type": "attribute", "id": id, "attributes": { "type": attribute.kind } })
        });
        answer["included"] = included.collect();
    }
    Ok(Json(answer))
}

fn resource(product: &Product) -> Value {
    json!({ "type": "catalogue", "id": product.catalogue_id.to_string(), "attributes": { "name": product.name } })
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = &str> {
    query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty())
}

fn unknown(parameter: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("The query parameter `{parameter}` is not known."))
}
