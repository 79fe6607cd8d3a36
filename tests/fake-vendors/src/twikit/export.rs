//! `POST /configuration/{integration-id}/export`: a ZIP with production files, and an internal order without
//! deduplication: the payload has no identifier, so a second export is a second order.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::codes::Outcome;
use super::payload::{ExportPayload, signed};
use super::zip::stored;
use super::{Call, State};
use crate::lock;

/// The order that an export creates at Twikit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalOrder {
    /// Twikit's own number.
    pub number: u64,
    /// The exported configuration.
    pub configuration_id: u64,
    /// The quantity to be produced from the files.
    pub amount: u64,
}

pub(super) async fn export(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(integration): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Outcome> {
    state.admit(&integration, Call::Export)?;
    let fields = signed(&headers, &body, "payload", &state.config.payload_secret)?;
    let ExportPayload { configuration_id, amount } = ExportPayload::read(&fields)?;

    let mut book = lock(&state.state);
    let product_key = book.configuration(configuration_id)?.product_key.clone();
    let number = 9_001 + book.internal.len() as u64;
    book.internal.push(InternalOrder { number, configuration_id, amount });

    let mesh = format!("solid configuration-{configuration_id}\nendsolid configuration-{configuration_id}\n");
    let note = format!("order {number}\nproduct {product_key}\namount {amount}\n");
    let zip =
        stored(&[(&format!("configuration-{configuration_id}.stl"), mesh.as_bytes()), ("order.txt", note.as_bytes())]);
    let name = format!("attachment; filename=\"configuration-{configuration_id}.zip\"");
    Ok(([(CONTENT_TYPE, "application/zip"), (CONTENT_DISPOSITION, name.as_str())], zip).into_response())
}
