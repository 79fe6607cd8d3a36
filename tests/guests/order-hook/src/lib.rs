//! A small order hook: hands released orders to an ERP system and waits until they are made.
//!
//! It is written as straight-line code. The host journals what each import answered, so a run that was interrupted by a restart
//! or an outage goes on where it stopped.

mod form;
mod wire;

use cartwright_plugin::exports::account::{self, Diagnosis, PageOfChoices};
use cartwright_plugin::exports::orders::{self, Event, Kind, Later, Next};
use cartwright_plugin::exports::{plugin, settings};
use cartwright_plugin::http::{self, Auth, Repeat};
use cartwright_plugin::timer::{self, Woken};
use cartwright_plugin::types::{
    BytesSource, Context, Error, FieldIssue, Order, Outcome, Production, Setting, VendorReference,
};
use cartwright_plugin::{ContextExt, export_order_hook, message, not_configured, outcomes};

/// How long it waits between two questions.
const PAUSE_SECONDS: u32 = 60;
/// How often one run asks before it starts afresh, so that its journal stays short.
const QUESTIONS_IN_A_RUN: u32 = 60;

struct OrderHook;

impl plugin::Guest for OrderHook {
    fn describe() -> plugin::Identity {
        form::identity()
    }
}

impl settings::Guest for OrderHook {
    fn fields(_locale: String) -> Vec<settings::Field> {
        form::fields()
    }

    fn validate(_context: Context) -> Vec<FieldIssue> {
        Vec::new()
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        Ok(values)
    }
}

impl account::Guest for OrderHook {
    fn choices(_: Context, _: String, _: String, _: Option<String>) -> Result<PageOfChoices, Error> {
        Err(Error::Unsupported)
    }

    fn test_connection(context: Context) -> Result<Vec<Diagnosis>, Error> {
        let check = message("reach-erp", "The ERP system answers", &[]);
        let answer = http::send(&request("GET", address(&context)?.to_owned(), Repeat::Safe))?;
        let passed = (200..300).contains(&answer.status);
        let status = answer.status.to_string();
        let detail = message("answered", format!("It answered {status}."), &[("status", &status)]);
        Ok(vec![Diagnosis { check, passed, detail: Some(detail) }])
    }
}

impl orders::Guest for OrderHook {
    /// `state` is the ERP system's reference, once it is known.
    fn handle(context: Context, event: Event, state: Option<String>) -> Result<Next, Error> {
        match event.kind {
            Kind::Released => {
                let reference = match state {
                    Some(reference) => reference,
                    None => hand_over(&context, &event.order)?,
                };
                wait_until_made(&context, reference)
            }
            _ => Ok(Next::Done),
        }
    }
}

/// Sends the order and says under which reference the ERP system keeps it.
fn hand_over(context: &Context, order: &Order) -> Result<String, Error> {
    let body = wire::order(order)?;
    // The order's reference is the key by which the ERP system knows a repeated request again.
    let headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("Idempotency-Key".to_owned(), order.reference.clone()),
    ];
    let request = http::Request {
        headers,
        body: BytesSource::Inline(body),
        ..request("POST", address(context)?.to_owned(), Repeat::Keyed)
    };
    let reference = wire::accepted(&http::send(&request)?)?;
    outcomes::emit(&Outcome::VendorReference(VendorReference { line: None, reference: reference.clone() }))?;
    Ok(reference)
}

/// Asks every minute how far it is, until it is done or has failed.
fn wait_until_made(context: &Context, reference: String) -> Result<Next, Error> {
    let url = format!("{}/{}", address(context)?.trim_end_matches('/'), wire::path_segment(&reference));
    for _ in 0..QUESTIONS_IN_A_RUN {
        match timer::sleep(PAUSE_SECONDS) {
            Woken::Elapsed => {}
            // Makes way for the other event and comes back.
            Woken::EventWaiting => break,
            Woken::Cancelled => return Ok(Next::Done),
        }
        let state = wire::status(&http::send(&request("GET", url.clone(), Repeat::Safe))?)?;
        if matches!(state.as_str(), "done" | "failed") {
            outcomes::emit(&Outcome::Production(Production { line: None, state, detail: None, expected: None }))?;
            return Ok(Next::Done);
        }
    }
    Ok(Next::Again(Later { seconds: PAUSE_SECONDS, state: reference }))
}

/// A request with an empty body and the token that the merchant set.
fn request(method: &str, url: String, repeat: Repeat) -> http::Request {
    http::Request {
        method: method.to_owned(),
        url,
        headers: Vec::new(),
        body: BytesSource::Inline(Vec::new()),
        auth: Auth::Bearer(form::TOKEN.to_owned()),
        timeout_ms: Some(10_000),
        repeat,
        store_body: false,
    }
}

fn address(context: &Context) -> Result<&str, Error> {
    context.text(form::URL).ok_or_else(|| {
        not_configured(form::URL, message("no-address", "The address of the ERP system is not set.", &[]))
    })
}

export_order_hook!(OrderHook);
