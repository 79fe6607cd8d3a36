//! A small order hook: hands released orders to an ERP system and waits until they are made.
//!
//! It is written as straight-line code. The host journals what each import answered, so a run that was interrupted by a restart
//! or an outage goes on where it stopped.

mod form;
mod wire;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cartwright_plugin::exports::account::Diagnosis;
use cartwright_plugin::exports::orders::{Event, Kind, Later, Next};
use cartwright_plugin::exports::plugin::Identity;
use cartwright_plugin::exports::settings::Field;
use cartwright_plugin::http::Request;
use cartwright_plugin::timer::{self, Woken};
use cartwright_plugin::types::{Context, Error, Order, Outcome, Production, VendorReference};
use cartwright_plugin::{ContextExt, OrderHook, export_order_hook, log, message, not_configured, outcomes};

/// How long it waits between two questions.
const POLL_SECONDS: u32 = 60;
/// How often one run asks before it starts afresh, so that its journal stays short.
const MAX_POLLS_PER_RUN: u32 = 60;

/// The schedule on which it waits longer than a host lets it.
const TOO_LONG_WAIT: &str = "longest-wait";

struct Erp;

impl OrderHook for Erp {
    fn identity() -> Identity {
        form::identity()
    }

    fn fields(_locale: String) -> Vec<Field> {
        form::fields()
    }

    fn test_connection(context: Context) -> Result<Vec<Diagnosis>, Error> {
        let check = message("reach-erp", "The ERP system answers", &[]);
        let answer = Request::get(address(&context)?).bearer(form::TOKEN).send()?;
        let passed = (200..300).contains(&answer.status);
        let status = answer.status.to_string();
        let detail = message("answered", format!("It answered {status}."), &[("status", &status)]);
        Ok(vec![Diagnosis { check, passed, detail: Some(detail) }])
    }

    /// `state` is the ERP system's reference, once it is known.
    fn handle(context: Context, event: Event, state: Option<String>) -> Result<Next, Error> {
        match event.kind {
            Kind::Released if event.order.test => check_test_order(&context),
            Kind::Released => {
                let reference = match state {
                    Some(reference) => reference,
                    None => hand_over(&context, &event.order)?,
                };
                wait_until_done(&context, reference)
            }
            Kind::Scheduled(name) if name == TOO_LONG_WAIT => {
                timer::sleep(u32::MAX);
                Ok(Next::Done)
            }
            Kind::Scheduled(_) => send_time(&context),
            _ => Ok(Next::Done),
        }
    }
}

/// Tells the ERP system the time, twice, under a random key: what a replay must repeat although no answer holds it. Says what it
/// does before it looks at an answer, which a retry takes back.
fn send_time(context: &Context) -> Result<Next, Error> {
    let started = Instant::now();
    for number in ["first", "second"] {
        log::write(log::Level::Info, &format!("before the {number}"));
        let key = RandomState::new().hash_one(number);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let waited = started.elapsed().as_millis();
        let body = format!("{{\"at\":{at},\"waited\":{waited}}}");
        let request = Request::post_json(address(context)?, body.into_bytes());
        let response = request.idempotency_key("Idempotency-Key", &format!("{key:x}")).bearer(form::TOKEN).send()?;
        outcomes::emit(&Outcome::Note(message("stamped", number, &[])))?;
        wire::accepted(response)?;
        // No wait of the host's: it only moves this guest's clock, and in a replay the same way.
        std::thread::sleep(Duration::from_secs(3600));
    }
    log::write(log::Level::Info, "after both");
    Ok(Next::Done)
}

/// Nothing may be sent for an order that only tries the shop out: asks whether the ERP system would answer.
fn check_test_order(context: &Context) -> Result<Next, Error> {
    let status = Request::get(address(context)?).bearer(form::TOKEN).send()?.status.to_string();
    let text =
        format!("Nothing was handed over: this order only tries the shop out. The ERP system answers, with {status}.");
    outcomes::emit(&Outcome::Note(message("test-order", text, &[("status", &status)])))?;
    Ok(Next::Done)
}

/// Sends the order and says under which reference the ERP system keeps it.
fn hand_over(context: &Context, order: &Order) -> Result<String, Error> {
    let body = wire::order(order)?;
    // The order's reference is the key by which the ERP system knows a repeated request again.
    let request = Request::post_json(address(context)?, body)
        .idempotency_key("Idempotency-Key", &order.reference)
        .bearer(form::TOKEN);
    let reference = wire::accepted(request.send()?)?;
    outcomes::emit(&Outcome::VendorReference(VendorReference { line: None, reference: reference.clone() }))?;
    Ok(reference)
}

/// Asks every minute how far it is, until it is done or has failed.
fn wait_until_done(context: &Context, reference: String) -> Result<Next, Error> {
    let url = format!("{}/{}", address(context)?.trim_end_matches('/'), wire::path_segment(&reference));
    for _ in 0..MAX_POLLS_PER_RUN {
        match timer::sleep(POLL_SECONDS) {
            Woken::Elapsed => {}
            // Makes way for the other event and comes back.
            Woken::EventWaiting => break,
            Woken::JobCancelled => return Ok(Next::Done),
        }
        let state = wire::status(Request::get(&url).bearer(form::TOKEN).send()?)?;
        if matches!(state.as_str(), "done" | "failed") {
            outcomes::emit(&Outcome::Production(Production { line: None, state, detail: None, expected: None }))?;
            return Ok(Next::Done);
        }
    }
    Ok(Next::Again(Later { seconds: POLL_SECONDS, state: reference }))
}

fn address(context: &Context) -> Result<&str, Error> {
    context.text(form::URL).ok_or_else(|| {
        not_configured(form::URL, message("no-address", "The address of the ERP system is not set.", &[]))
    })
}

export_order_hook!(Erp);
