//! `POST price_manager/price/{catalogue_id}`: the price of one configured product, by [`super::products`]'s rule.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::State;
use super::answer::{Access, Refusal, object};
use super::products::percent;
use crate::lock;

/// Responds with `{ "price": number }`: without currency and tax, as the vendor does.
pub(super) async fn price(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Read)?;
    let no_product = || Refusal::not_found("There is no such catalogue product.");
    let id: u64 = id.parse().map_err(|_| no_product())?;
    let body = object(&headers, &body)?;
    let country = country(&headers)?;
    let configured = body.get("configured_product").filter(|value| value.is_object());
    let configured = configured.ok_or_else(|| Refusal::unprocessable("configured_product must be an object."))?;
    check_product(configured)?;
    if catalogue_id(configured) != Some(id) {
        return Err(Refusal::unprocessable("configured_product.catalogue_id is not the product of the address."));
    }
    let cents = state.price(id, configured, country.as_deref()).ok_or_else(no_product)?;
    // Cents over a hundred is the closest double, which prints with at most two decimals.
    Ok(Json(json!({ "price": cents as f64 / 100.0 })))
}

impl State {
    pub(super) fn price(&self, id: u64, configured: &Value, country: Option<&str>) -> Option<i64> {
        let book = lock(&self.state);
        let product = book.products.iter().find(|product| product.catalogue_id == id)?;
        let rate = country.and_then(|country| self.config.country_percent.get(country)).copied().unwrap_or(100);
        Some(percent(product.price(configured), rate))
    }
}

/// Reads the optional header, known as `nl`: two lower-case letters. Any other value is rejected rather than ignored,
/// because ignoring a country sells at another country's price.
fn country(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("locale-country") else { return Ok(None) };
    match value.to_str() {
        Ok(text) if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase()) => Ok(Some(text.to_owned())),
        _ => Err(Refusal::unprocessable("Locale-Country must be two lower-case letters.")),
    }
}

/// Reads the id. The documented type is a text; public code also handles numbers.
pub(super) fn catalogue_id(configured: &Value) -> Option<u64> {
    match configured.get("catalogue_id")? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// Checks the documented types of a configured product. Additional fields are accepted, since public code has more.
pub(super) fn check_product(configured: &Value) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::unprocessable(format!("configured_product.{what}")));
    let Some(fields) = configured.as_object() else { return wrong(" must be an object.") };
    if !fields.get("version").is_some_and(Value::is_string) {
        return wrong("version must be a text.");
    }
    if catalogue_id(configured).is_none() {
        return wrong("catalogue_id must be a catalogue id.");
    }
    if fields.get("thumbnail").is_some_and(|thumbnail| !thumbnail.is_string()) {
        return wrong("thumbnail must be a text when it is there.");
    }
    let state = configured.pointer("/configuration/attributes").and_then(Value::as_array);
    let shown = fields.get("attributes").and_then(Value::as_array);
    let (Some(state), Some(shown)) = (state, shown) else {
        return wrong("attributes and configuration.attributes must be lists.");
    };
    if !state.iter().chain(shown).all(|attribute| attribute.get("attribute_id").is_some_and(Value::is_u64)) {
        return wrong("attributes: each needs a number as its attribute_id.");
    }
    match fields.get("articles") {
        None => Ok(()),
        Some(Value::Array(articles)) if articles.iter().all(is_article) => Ok(()),
        Some(_) => wrong("articles: each needs models_sku and price_fields of numbers, and texts as its SKUs."),
    }
}

fn is_article(article: &Value) -> bool {
    let Some(fields) = article.as_object() else { return false };
    let text = |name: &str, needed: bool| fields.get(name).map_or(!needed, Value::is_string);
    let prices = fields.get("price_fields").and_then(Value::as_object);
    let numbers = |prices: &Map<String, Value>| prices.values().all(Value::is_number);
    text("models_sku", true)
        && text("material_group_sku", false)
        && text("price_sku", false)
        && prices.is_some_and(numbers)
}
