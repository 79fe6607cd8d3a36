//! Print files: requested, polled, fetched.
//!
//! The format of `files[]` is not public, so it can be switched ([`FilesShape`]); a caller must accept each. The files
//! are served without a token, at a URL that only the response contains.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::State;
use super::answer::{Access, Refusal, object};
use crate::lock;

/// How a conversion ends after its polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversionOutcome {
    /// `complete`, with files.
    Complete,
    /// `failed`.
    Failed,
    /// `not_processing` at the first poll, as if the vendor never started it.
    NotProcessing,
}

/// The format of an entry of `files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesShape {
    /// `{ "name": "print.pdf", "url": "http://…" }`
    Objects,
    /// The URL alone.
    Urls,
}

pub(super) struct Conversions {
    pub(super) outcome: ConversionOutcome,
    pub(super) polls: u32,
    pub(super) shape: FilesShape,
    jobs: BTreeMap<String, Job>,
}

struct Job {
    format: &'static Format,
    polls_left: u32,
}

impl Conversions {
    pub(super) fn new(polls: u32) -> Self {
        let (outcome, shape) = (ConversionOutcome::Complete, FilesShape::Objects);
        Self { outcome, polls, shape, jobs: BTreeMap::new() }
    }
}

struct Format {
    name: &'static str,
    content_type: &'static str,
    /// A tiny real file of the format.
    bytes: &'static [u8],
}

static FORMATS: [Format; 6] = [
    Format { name: "png", content_type: "image/png", bytes: crate::samples::PNG },
    Format { name: "jpg", content_type: "image/jpeg", bytes: crate::samples::JPEG },
    Format { name: "webp", content_type: "image/webp", bytes: include_bytes!("../../assets/print.webp") },
    Format { name: "tiff", content_type: "image/tiff", bytes: include_bytes!("../../assets/print.tiff") },
    Format { name: "pdf", content_type: "application/pdf", bytes: include_bytes!("../../assets/print.pdf") },
    Format { name: "svg", content_type: "image/svg+xml", bytes: include_bytes!("../../assets/print.svg") },
];

/// `POST svg/conversion/request/{format}`
pub(super) async fn request(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(format): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Write)?;
    let format = FORMATS.iter().find(|known| known.name == format);
    let format =
        format.ok_or_else(|| Refusal::unprocessable("The format must be png, jpg, webp, tiff, pdf or svg."))?;
    let body = object(&headers, &body)?;
    check_request(&state, &body)?;

    let mut book = lock(&state.state);
    let conversions = &mut book.conversions;
    let hash = hex::encode(Md5::digest(format!("conversion {} {}", conversions.jobs.len(), format.name)));
    let job = Job { format, polls_left: conversions.polls };
    conversions.jobs.insert(hash.clone(), job);
    Ok(Json(json!({ "hash": hash, "status": "in_progress", "files": [] })))
}

/// `GET svg/conversion/check/{hash}`
pub(super) async fn check(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    state.admit(&headers, Access::Write)?;
    let mut book = lock(&state.state);
    let Conversions { outcome, shape, jobs, .. } = &mut book.conversions;
    let job = jobs.get_mut(&hash).ok_or_else(|| Refusal::not_found("There is no such conversion."))?;
    let (status, files) = match outcome {
        ConversionOutcome::NotProcessing => ("not_processing", json!([])),
        _ if job.polls_left > 0 => {
            job.polls_left -= 1;
            ("in_progress", json!([]))
        }
        ConversionOutcome::Failed => ("failed", json!([])),
        ConversionOutcome::Complete => {
            let name = format!("print.{}", job.format.name);
            let url = format!("{}/files/{hash}/{name}", state.base_url);
            let file = match shape {
                FilesShape::Objects => json!({ "name": name, "url": url }),
                FilesShape::Urls => json!(url),
            };
            ("complete", json!([file]))
        }
    };
    Ok(Json(json!({ "hash": hash, "status": status, "files": files })))
}

/// Returns the bytes of a finished file.
pub(super) async fn file(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    Path((hash, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let book = lock(&state.state);
    let conversions = &book.conversions;
    let job = conversions.jobs.get(&hash).filter(|job| {
        let done = job.polls_left == 0 && conversions.outcome == ConversionOutcome::Complete;
        done && name == format!("print.{}", job.format.name)
    });
    let job = job.ok_or_else(|| Refusal::not_found("There is no such file."))?;
    Ok(([(CONTENT_TYPE, job.format.content_type)], job.format.bytes).into_response())
}

/// Checks that `dpi` and `resolution` are not both present, and that nothing else is missing.
fn check_request(state: &State, body: &Map<String, Value>) -> Result<(), Refusal> {
    let configured = body.get("configured_product_id").and_then(Value::as_u64);
    let uploaded = lock(&state.state).uploads.known().values().any(|id| Some(*id) == configured);
    if !uploaded {
        return Err(Refusal::unprocessable("configured_product_id is not an uploaded product."));
    }
    let media = body.get("media_id").and_then(Value::as_u64);
    if !media.is_some_and(|media| state.config.media_ids.contains(&media)) {
        return Err(Refusal::unprocessable("media_id is not a known medium."));
    }
    for name in ["hide_print_marks", "hide_placeholders"] {
        if !body.get(name).is_some_and(Value::is_boolean) {
            return Err(Refusal::unprocessable(format!("{name} must be true or false.")));
        }
    }
    if !matches!(body.get("attribute_payload").and_then(Value::as_str), Some("visible" | "all")) {
        return Err(Refusal::unprocessable("attribute_payload must be visible or all."));
    }
    let (dpi, resolution) = (body.get("dpi"), body.get("resolution"));
    if dpi.is_some() && resolution.is_some() {
        return Err(Refusal::unprocessable("dpi and resolution exclude each other."));
    }
    let positive = |value: &Value| value.as_u64().is_some_and(|number| number > 0);
    if !dpi.or(resolution).is_none_or(positive) {
        return Err(Refusal::unprocessable("dpi and resolution must be whole numbers above zero."));
    }
    Ok(())
}
