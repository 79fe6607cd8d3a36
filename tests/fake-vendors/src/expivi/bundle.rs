//! `POST configured_product/bundle`: uploads configured products, from which print files are made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::State;
use super::answer::{Access, Refusal, object};
use super::price::{catalogue_id, check_product};
use crate::lock;

/// The uploads: uuid to numeric id.
#[derive(Default)]
pub(super) struct Uploads {
    ids: BTreeMap<String, u64>,
    next_id: u64,
}

impl Uploads {
    /// Returns the id of a uuid. A repeated upload keeps its id; whether the vendor does so is not documented.
    fn id_for(&mut self, uuid: &str) -> u64 {
        if let Some(id) = self.ids.get(uuid) {
            return *id;
        }
        self.next_id += 1;
        let id = 70_000 + self.next_id;
        self.ids.insert(uuid.to_owned(), id);
        id
    }

    pub(super) fn known(&self) -> &BTreeMap<String, u64> {
        &self.ids
    }

    pub(super) fn expire(&mut self) {
        self.ids.clear();
    }
}

/// Responds with an object, uuid to numeric id.
pub(super) async fn upload(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Write)?;
    let body = object(&headers, &body)?;
    match body.get("bundle_uuid") {
        Some(Value::Null) => {}
        Some(Value::String(uuid)) if !uuid.is_empty() => {}
        _ => return Err(Refusal::unprocessable("bundle_uuid must be null or a uuid, and be there.")),
    }
    let products = body.get("configured_products").and_then(Value::as_array).filter(|products| !products.is_empty());
    let products =
        products.ok_or_else(|| Refusal::unprocessable("configured_products must be a list with products."))?;
    let uuids = check_family(products)?;

    let mut book = lock(&state.state);
    for product in products {
        let id = catalogue_id(product);
        if !book.products.iter().any(|known| Some(known.catalogue_id) == id) {
            return Err(Refusal::unprocessable("A catalogue_id of the bundle is not in the catalogue."));
        }
    }
    let ids = uuids.into_iter().map(|uuid| (uuid.to_owned(), json!(book.uploads.id_for(uuid))));
    Ok(Json(Value::Object(ids.collect())))
}

/// Checks that each product has a unique uuid, and that parents and originals are products of the same bundle.
fn check_family(products: &[Value]) -> Result<BTreeSet<&str>, Refusal> {
    let mut uuids = BTreeSet::new();
    for product in products {
        check_product(product)?;
        let uuid = product.get("uuid").and_then(Value::as_str).filter(|uuid| !uuid.is_empty());
        let uuid = uuid.ok_or_else(|| Refusal::unprocessable("Each product of a bundle needs a uuid."))?;
        if !uuids.insert(uuid) {
            return Err(Refusal::unprocessable("Two products of the bundle have one uuid."));
        }
    }
    for product in products {
        for relative in ["parent_uuid", "original_uuid"] {
            let uuid = match product.get(relative) {
                None | Some(Value::Null) => continue,
                Some(uuid) => uuid.as_str(),
            };
            if !uuid.is_some_and(|uuid| uuids.contains(uuid)) {
                return Err(Refusal::unprocessable(format!("{relative} names no product of the bundle.")));
            }
        }
        if product.get("replication_type").is_some_and(|kind| kind == "REPLICA")
            && !product.get("original_uuid").is_some_and(Value::is_string)
        {
            return Err(Refusal::unprocessable("A replica needs its original_uuid."));
        }
    }
    Ok(uuids)
}
