//! Starts production (Rest API, Create Order): the released lines of a released order that have a configuration id
//! become one order at Twikit.

use std::collections::BTreeSet;

use cartwright_plugin::exports::orders::{Continuation, Next, OrderEvent};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, http, message, not_configured, rejected};

use crate::export;
use crate::fields::{BILLING, DELIVERY};
use crate::host::Host;
use crate::identifiers::{Configured, configured_lines, identifier_of, is_producible, line_list};
use crate::ledger::{self, Ledger};
use crate::payload::{Data, OrderAddress, OrderItem, OrderPayload, order_body};
use crate::responses::{Verdict, judge};
use crate::settings::{Fulfillment, Recipient, Settings};

/// The prefix of the identifier in the continuation of the run that checks whether Twikit sent its query.
pub const CONFIRM: &str = "confirm ";
/// Twikit sends its query before the order is created; this delay only lets the query's outcome be stored.
const CONFIRM_AFTER_SECONDS: u32 = 2;
/// Creating an order includes Twikit's query to this shop.
const TIMEOUT_MS: u32 = 60_000;

/// Handles `released`.
pub fn release(host: &mut dyn Host, context: &Context, event: &OrderEvent) -> Result<Next, CallError> {
    let order = &event.order;
    let ledger = Ledger::new(&event.memos);
    let configured = configured_lines(order)?;
    if configured.is_empty() {
        // "Only items with a twikit configuration ID should be sent to our API."
        return Ok(Next::Done);
    }
    if order.test {
        let text = "Nothing was sent to Twikit: this is a test order.";
        host.emit(Outcome::Note(message("test-order", text, &[("order", &order.reference)])))?;
        return Ok(Next::Done);
    }
    if !is_producible(order) {
        // Twikit's query would be answered with "no" anyway.
        return no_longer_released(host, order);
    }
    let open = configured.into_iter().filter(|Configured { line, .. }| {
        line.status != "cancelled" && line.cart_line.quantity > 0 && !ledger.was_sent(&line.id)
    });
    let (released, held): (Vec<_>, Vec<_>) = open.partition(|line| line.line.released);
    if !held.is_empty() {
        let text = format!("Not sent to Twikit, because they are on hold: {}.", line_list(&held));
        host.emit(Outcome::Note(message("lines-held", text, &[("order", &order.reference)])))?;
    }
    if released.is_empty() {
        return Ok(Next::Done);
    }
    match Settings(context).fulfillment() {
        Fulfillment::Order => create(host, context, event, &ledger, &released),
        Fulfillment::Export => export::fetch(host, context, event, &ledger, &released),
    }
}

/// Returns whether everything that is about to be sent must still be produced. A release may have waited days for an
/// outage to end, and the event contains the order from its beginning.
///
/// Call it directly before the request, so that the result is as recent as the request, also when the request is
/// repeated.
pub fn is_still_wanted(host: &mut dyn Host, order: &Order, lines: &[Configured<'_>]) -> Result<bool, CallError> {
    // An order book without the order has no information about it.
    let Some(now) = host.find_order(&order.reference)? else { return Ok(true) };
    let off: BTreeSet<&str> = now
        .lines
        .iter()
        .filter(|line| !line.released || line.status == "cancelled")
        .map(|line| line.id.as_str())
        .collect();
    Ok(is_producible(&now) && !lines.iter().any(|line| off.contains(line.line.id.as_str())))
}

/// Notes that nothing is sent.
fn no_longer_released(host: &mut dyn Host, order: &Order) -> Result<Next, CallError> {
    let text = "Nothing was sent to Twikit: the order, or a part of it, must no longer be produced.";
    host.emit(Outcome::Note(message("no-longer-released", text, &[("order", &order.reference)])))?;
    Ok(Next::Done)
}

fn create(
    host: &mut dyn Host,
    context: &Context,
    event: &OrderEvent,
    ledger: &Ledger,
    lines: &[Configured<'_>],
) -> Result<Next, CallError> {
    let order = &event.order;
    let settings = Settings(context);
    let url = format!("{}/orders/{}", settings.api_url()?, settings.integration_id()?);
    let identifier = identifier_of(order, ledger, lines);
    let payload = OrderPayload {
        items: lines
            .iter()
            .map(|Configured { line, configuration }| OrderItem {
                configuration_id: *configuration,
                amount: line.cart_line.quantity,
                identifier: &line.reference,
            })
            .collect(),
        identifier: &identifier,
        billing_address: address(order, BILLING, settings.billing(), &order.billing)?,
        delivery_address: address(order, DELIVERY, settings.delivery(), &order.delivery)?,
        data: Data { reference: &identifier },
    };
    let body = order_body(&payload, &mut |bytes| host.digest(bytes))?;
    // Before the call, because Twikit's query comes during it and its response needs the lines of this part.
    for Configured { line, .. } in lines {
        if line.vendor_reference.as_deref() != Some(identifier.as_str()) {
            let reference = VendorReference { line: Some(line.id.clone()), reference: identifier.clone() };
            host.emit(Outcome::VendorReference(reference))?;
        }
    }
    if !is_still_wanted(host, order, lines)? {
        return no_longer_released(host, order);
    }
    // The identifier makes a repetition safe: "the second one will bounce back" (result code 9).
    let response = host.send(request(url, body, TIMEOUT_MS, http::RetrySafety::Idempotent, false))?;
    match judge(&response, ledger.answered(&identifier)) {
        Verdict::Created { is_earlier: earlier } => {
            remember_created(host, context, order, &identifier, lines)?;
            note_started(host, order, lines)?;
            if earlier {
                let text = "Twikit already has this order: an attempt whose response was lost has created it.";
                host.emit(Outcome::Note(message("created-earlier", text, &[("identifier", &identifier)])))?;
            }
            let state = format!("{CONFIRM}{identifier}");
            Ok(Next::ContinueLater(Continuation { seconds: CONFIRM_AFTER_SECONDS, state }))
        }
        Verdict::Unhealthy(text) => {
            remember_created(host, context, order, &identifier, lines)?;
            host.emit(Outcome::NeedsMerchant(text))?;
            Ok(Next::Done)
        }
        Verdict::Refused(mut text) => {
            ledger::remember_answered(host, ledger, &identifier)?;
            text.text = format!("{} Lines: {}.", text.text, line_list(lines));
            host.emit(Outcome::NeedsMerchant(text))?;
            Ok(Next::Done)
        }
        Verdict::Fail(error) => {
            ledger::remember_answered(host, ledger, &identifier)?;
            Err(error)
        }
        // No outcome may follow the response here: the host discards the response and repeats the request.
        Verdict::Retry(error) => Err(error),
    }
}

/// Records that Twikit has the order, under its identifier, because Twikit's response contains no id of its own.
fn remember_created(
    host: &mut dyn Host,
    context: &Context,
    order: &Order,
    identifier: &str,
    lines: &[Configured<'_>],
) -> Result<(), CallError> {
    let settings = Settings(context);
    let personal = [settings.billing(), settings.delivery()].contains(&Recipient::Shopper);
    ledger::remember_created(host, identifier, personal, lines)?;
    if identifier == order.reference {
        let reference = VendorReference { line: None, reference: identifier.to_owned() };
        host.emit(Outcome::VendorReference(reference))?;
    }
    Ok(())
}

/// Notes that production started. "An order that is created is automatically executed by Twikit."
fn note_started(host: &mut dyn Host, order: &Order, lines: &[Configured<'_>]) -> Result<(), CallError> {
    let queued =
        |line| Production { line, state: ProductionState::Queued, detail: None, expected: None, extra: Vec::new() };
    if lines.len() == order.lines.len() {
        host.emit(Outcome::Production(queued(None)))?;
    } else {
        for line in lines {
            host.emit(Outcome::Production(queued(Some(line.line.id.clone()))))?;
        }
    }
    for line in lines {
        let status = LineStatus { line: line.line.id.clone(), status: "in-production".to_owned() };
        host.emit(Outcome::LineStatus(status))?;
    }
    Ok(())
}

/// Returns a POST request with JSON.
pub fn request(
    url: String,
    body: Vec<u8>,
    timeout_ms: u32,
    retry_safety: http::RetrySafety,
    store_body: bool,
) -> http::HttpRequest {
    http::HttpRequest {
        method: "POST".to_owned(),
        url,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: vec![BytesSource::Bytes(body)],
        // The hash in the body is the only authentication that Twikit requires.
        auth: Vec::new(),
        timeout_ms: Some(timeout_ms),
        retry_safety,
        store_body,
        extra: Vec::new(),
    }
}

fn address<'a>(
    order: &'a Order,
    field: &str,
    recipient: Recipient,
    shoppers: &'a Option<Address>,
) -> Result<OrderAddress<'a>, CallError> {
    let (whose, address) = match recipient {
        Recipient::Shopper => ("The shopper's", shoppers),
        Recipient::Shop => ("The shop's", &order.shop_address),
    };
    let parameters = [("order", order.reference.as_str()), ("field", field)];
    let Some(address) = address else {
        let hint = match recipient {
            Recipient::Shopper => "Grant \"personal-data\" to this account, or choose the shop in the settings",
            Recipient::Shop => "Enter the shop's own address, or choose the shopper in the settings",
        };
        let text = format!("{whose} address is missing, and Twikit needs it. {hint}.");
        return Err(not_configured(field, message("address-missing", text, &parameters)));
    };
    OrderAddress::new(address).map_err(|missing| {
        let text = format!("{whose} address is incomplete, and Twikit needs: {}.", missing.join(", "));
        let text = message("address-incomplete", text, &parameters);
        match recipient {
            Recipient::Shopper => rejected(text),
            Recipient::Shop => not_configured(field, text),
        }
    })
}

/// Checks, a moment after an order was created, whether Twikit sent its query: "if no webhook is configured, we will
/// not verify payments. (not advised!)". The webhook stores the query with the order, and only a later run can see it.
pub fn confirm(host: &mut dyn Host, event: &OrderEvent, identifier: &str) -> Result<Next, CallError> {
    let ledger = Ledger::new(&event.memos);
    // A run without the memos of the creating run would not see the query either, so it reports nothing.
    if ledger.created(identifier) && !ledger.verified(identifier) {
        let text = "Twikit created the order without asking this shop whether it is valid: no Payment Verification webhook is \
                    configured at Twikit, so that any person who learns the payload secret can order. Enter this shop's \
                    address for it in the publisher.";
        host.emit(Outcome::Note(message("no-verification", text, &[("identifier", identifier)])))?;
    }
    Ok(Next::Done)
}
