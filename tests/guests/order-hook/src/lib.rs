//! A small order hook: sends released orders to an ERP system, and waits until they are made.
//!
//! It is straight-line code. The host journals the result of each import, so a run that was interrupted by a restart or
//! an outage continues where it stopped.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod form;
mod wire;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cartwright_plugin::exports::account::{self, Diagnosis, Verdict};
use cartwright_plugin::exports::metadata::PluginMetadata;
use cartwright_plugin::exports::orders::{Continuation, Next, OrderEvent, OrderEventKind};
use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::http::{Body, HttpRequest};
use cartwright_plugin::timer::{self, WakeReason};
use cartwright_plugin::types::{
    Audience, BytesSource, CallError, Context, Document, Order, Outcome, Production, ProductionState, VendorReference,
};
use cartwright_plugin::{
    ContextExt, Multipart, OrderHook, blobs, export_order_hook, internal, log, message, not_configured, order_book,
    outcomes,
};
use serde::de::DeserializeOwned;

/// Interval between two queries, in seconds.
const POLL_SECONDS: u32 = 60;
/// Maximum number of queries in one run. A new run follows, so that its journal stays short.
const MAX_POLLS_PER_RUN: u32 = 60;

/// Names of forwarded texts by which a test makes it do something else than it does for an order.
mod forwarded {
    /// Waits for the number of seconds in the JSON.
    pub const WAIT: &str = "wait";
    /// Returns `continue-later` with the number of seconds in the JSON.
    pub const CONTINUE: &str = "continue";
    /// Emits a document under the name in the JSON, and notes which field was refused.
    pub const DOCUMENT: &str = "document";
    /// Notes how many articles the line with the reference in the JSON takes.
    pub const BILL_OF_MATERIALS: &str = "bill-of-materials";
    /// Notes how many bytes each document of an earlier event has.
    pub const READ: &str = "read";
    /// Sends a file that the host stores.
    pub const FILES: &str = "files";
}

struct Erp;

impl OrderHook for Erp {
    fn metadata() -> PluginMetadata {
        form::metadata()
    }

    fn fields(_locale: String) -> Vec<Field> {
        form::fields()
    }

    /// Handles an event. `state` is the ERP system's reference, once it is known.
    fn handle(context: Context, event: OrderEvent, state: Option<String>) -> Result<Next, CallError> {
        match event.kind {
            OrderEventKind::Released if event.order.test => check_test_order(&context),
            OrderEventKind::Released => {
                let reference = match state {
                    Some(reference) => reference,
                    None => hand_over(&context, &event.order)?,
                };
                wait_until_done(&context, reference)
            }
            OrderEventKind::Forwarded(named) => match named.name.as_str() {
                forwarded::WAIT => {
                    timer::sleep(from_json(&named.json)?)?;
                    Ok(Next::Done)
                }
                forwarded::CONTINUE => {
                    Ok(Next::ContinueLater(Continuation { seconds: from_json(&named.json)?, state: String::new() }))
                }
                forwarded::DOCUMENT => emit_document(from_json(&named.json)?),
                forwarded::BILL_OF_MATERIALS => note_bill_of_materials(&from_json::<String>(&named.json)?),
                forwarded::READ => note_sizes(&event.previous_outcomes),
                forwarded::FILES => send_files(&context, &event.order),
                _ => send_time(&context),
            },
            _ => Ok(Next::Done),
        }
    }
}

impl account::Guest for Erp {
    fn test_connection(context: Context) -> Result<Vec<Diagnosis>, CallError> {
        let check = message("reach-erp", "The ERP system answers", &[]);
        let answer = HttpRequest::get(address(&context)?).bearer(form::TOKEN).send()?;
        let verdict = if (200..300).contains(&answer.status) { Verdict::Passed } else { Verdict::Failed };
        let status = answer.status.to_string();
        let detail = message("answered", format!("It answered {status}."), &[("status", &status)]);
        Ok(vec![Diagnosis { check, verdict, detail: Some(detail) }])
    }
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, CallError> {
    serde_json::from_str(json).map_err(|error| internal(error.to_string()))
}

fn emit_document(name: String) -> Result<Next, CallError> {
    let document = Document {
        line: None,
        kind: "drawing".to_owned(),
        name,
        media_type: "text/plain".to_owned(),
        content: BytesSource::Bytes(b"a drawing".to_vec()),
        audience: Audience::Merchant,
        extra: Vec::new(),
    };
    if let Err(CallError::InvalidInput(issue)) = outcomes::emit(&Outcome::Document(document)) {
        outcomes::emit(&Outcome::Note(message("refused", issue.field, &[])))?;
    }
    Ok(Next::Done)
}

fn note_bill_of_materials(line_reference: &str) -> Result<Next, CallError> {
    let count = order_book::bill_of_materials(line_reference)?.len().to_string();
    outcomes::emit(&Outcome::Note(message("articles", count, &[])))?;
    Ok(Next::Done)
}

fn note_sizes(previous_outcomes: &[Outcome]) -> Result<Next, CallError> {
    for outcome in previous_outcomes {
        if let Outcome::Document(Document { content: BytesSource::Stored(digest), .. }) = outcome {
            let size = blobs::read(digest)?.len().to_string();
            outcomes::emit(&Outcome::Note(message("size", size, &[])))?;
        }
    }
    Ok(Next::Done)
}

/// Sends the ERP system the time, twice, under a random key, which a replay must repeat although no recorded result
/// contains it. Emits before it checks a response, which a retry discards.
fn send_time(context: &Context) -> Result<Next, CallError> {
    let started = Instant::now();
    for number in ["first", "second"] {
        log::write(log::Level::Info, &format!("before the {number}"));
        let key = RandomState::new().hash_one(number);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let waited = started.elapsed().as_millis();
        let body = format!("{{\"at\":{at},\"waited\":{waited}}}");
        let request = HttpRequest::post_json(address(context)?, body.into_bytes());
        let response = request.idempotency_key("Idempotency-Key", &format!("{key:x}")).bearer(form::TOKEN).send()?;
        outcomes::emit(&Outcome::Note(message("stamped", number, &[])))?;
        wire::accepted(response)?;
        // Not a wait of the host: it only advances this guest's clock, in a replay as well.
        std::thread::sleep(Duration::from_secs(3600));
    }
    log::write(log::Level::Info, "after both");
    Ok(Next::Done)
}

/// Fetches a file that the host stores, and sends it to the ERP system in a form with files. Then sends the same bytes
/// once more from a single source, and emits which attempt of the request that was.
fn send_files(context: &Context, order: &Order) -> Result<Next, CallError> {
    let url = address(context)?;
    let fetched = HttpRequest::get(format!("{url}/drawing")).bearer(form::TOKEN).store_body().send()?;
    let Body::Stored(drawing) = fetched.body else { return Err(internal("the drawing was not stored")) };
    let drawing = BytesSource::Stored(drawing.digest);
    let files = Multipart::new()
        .text("order", &order.reference)
        .file("drawing", "drawing.json", "application/json", drawing.clone())
        .file("copy", "copy.json", "application/json", drawing);
    let request = HttpRequest::post_multipart(url, files)
        .idempotency_key("Idempotency-Key", &order.reference)
        .bearer(form::TOKEN);
    wire::accepted(request.send()?)?;
    let mut whole = Vec::new();
    for source in &request.body {
        match source {
            BytesSource::Bytes(bytes) => whole.extend_from_slice(bytes),
            BytesSource::Stored(digest) => whole.extend(blobs::read(digest)?),
        }
    }
    let again = HttpRequest { body: vec![BytesSource::Bytes(whole)], ..request };
    let attempts = again.send()?.attempts.to_string();
    outcomes::emit(&Outcome::Note(message("sent-files", format!("Attempt {attempts}."), &[("attempts", &attempts)])))?;
    Ok(Next::Done)
}

/// Handles a test order: asks whether the ERP system would respond, because nothing may be sent.
fn check_test_order(context: &Context) -> Result<Next, CallError> {
    let status = HttpRequest::get(address(context)?).bearer(form::TOKEN).send()?.status.to_string();
    let text =
        format!("Nothing was handed over: this order only tries the shop out. The ERP system answers, with {status}.");
    outcomes::emit(&Outcome::Note(message("test-order", text, &[("status", &status)])))?;
    Ok(Next::Done)
}

/// Sends the order, and records the ERP system's reference of it.
fn hand_over(context: &Context, order: &Order) -> Result<String, CallError> {
    let body = wire::order(order)?;
    // By the order's reference the ERP system recognizes a repeated request.
    let request = HttpRequest::post_json(address(context)?, body)
        .idempotency_key("Idempotency-Key", &order.reference)
        .bearer(form::TOKEN);
    let reference = wire::accepted(request.send()?)?;
    outcomes::emit(&Outcome::VendorReference(VendorReference { line: None, reference: reference.clone() }))?;
    Ok(reference)
}

/// Polls every minute until the order is done or has failed.
fn wait_until_done(context: &Context, reference: String) -> Result<Next, CallError> {
    let url = format!("{}/{}", address(context)?.trim_end_matches('/'), wire::path_segment(&reference));
    for _ in 0..MAX_POLLS_PER_RUN {
        match timer::sleep(POLL_SECONDS)? {
            WakeReason::Elapsed => {}
            // Ends the run for the other event, and continues afterwards.
            WakeReason::EventWaiting => break,
            WakeReason::JobCancelled => return Ok(Next::Done),
        }
        let state = wire::status(HttpRequest::get(&url).bearer(form::TOKEN).send()?)?;
        if matches!(state, ProductionState::Done | ProductionState::Failed) {
            outcomes::emit(&Outcome::Production(Production {
                line: None,
                state,
                detail: None,
                expected: None,
                extra: Vec::new(),
            }))?;
            return Ok(Next::Done);
        }
    }
    Ok(Next::ContinueLater(Continuation { seconds: POLL_SECONDS, state: reference }))
}

fn address(context: &Context) -> Result<&str, CallError> {
    context.text(form::URL).ok_or_else(|| {
        not_configured(form::URL, message("no-address", "The address of the ERP system is not set.", &[]))
    })
}

export_order_hook!(Erp, account);
