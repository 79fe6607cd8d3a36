//! Order events. Straight-line code: the host replays it after a crash.

use std::collections::{BTreeMap, BTreeSet};

use cartwright_plugin::exports::orders::{Next, OrderEvent, OrderEventKind};
use cartwright_plugin::types::{Context, Message, Outcome, Refund};
use cartwright_plugin::{CallError, is_refunded, message};

use crate::host::Host;
use crate::identifiers::{Configured, configured_lines, line_list};
use crate::ledger::Ledger;
use crate::release;

/// Handles one event.
pub fn handle(
    host: &mut dyn Host,
    context: &Context,
    event: &OrderEvent,
    state: Option<&str>,
) -> Result<Next, CallError> {
    match &event.kind {
        OrderEventKind::Released => match state.and_then(|state| state.strip_prefix(release::CONFIRM)) {
            Some(identifier) => release::confirm(host, event, identifier),
            None => release::release(host, context, event),
        },
        OrderEventKind::Cancelled => note_too_late(host, event, None),
        OrderEventKind::Refunded(refund) => note_too_late(host, event, Some(refund)),
        OrderEventKind::Changed => note_change(host, event),
        OrderEventKind::Erase => note_erasure(host, event),
        // Twikit receives an order when production may start, and nothing before.
        _ => Ok(Next::Done),
    }
}

/// Returns whether a line was sent to Twikit, or may have been: its part has an identifier and no rejection is known.
fn was_sent(ledger: &Ledger, Configured { line, .. }: &Configured<'_>) -> bool {
    let pending = line.vendor_reference.as_deref().is_some_and(|identifier| ledger.answered(identifier) == 0);
    ledger.was_sent(&line.id) || ledger.unknown_export(&line.id).is_some() || pending
}

/// Asks the merchant to resolve a cancellation or refund that comes after the order was sent, because Twikit documents
/// no way to cancel. A refund by amount names no lines, and concerns the order once all of it is refunded. Nothing is
/// necessary while Twikit makes no more than is still wanted; pieces that were shipped were.
fn note_too_late(host: &mut dyn Host, event: &OrderEvent, refunded: Option<&Refund>) -> Result<Next, CallError> {
    let ledger = Ledger::new(&event.memos);
    let named: BTreeSet<&str> =
        refunded.iter().flat_map(|refund| &refund.lines).map(|pieces| pieces.line.as_str()).collect();
    let whole = refunded.is_none() || is_refunded(&event.order);
    let mut surplus = Vec::new();
    let mut certain = false;
    for configured in configured_lines(&event.order)? {
        let line = configured.line;
        if !whole && !named.contains(line.id.as_str()) {
            continue;
        }
        let wanted =
            if whole || line.status == "cancelled" { line.quantities.shipped } else { line.cart_line.quantity };
        if was_sent(&ledger, &configured) {
            let sent = ledger.amount(&line.id);
            if sent.is_none_or(|sent| sent > wanted) {
                let sent = sent.map_or_else(|| "unknown how many were sent".to_owned(), |sent| format!("{sent} sent"));
                surplus.push(format!("{}: {sent}, {wanted} wanted now", line_list(&[configured])));
                certain |= ledger.was_sent(&line.id);
            }
        }
    }
    if !surplus.is_empty() {
        let what = if refunded.is_some() { "refunded" } else { "cancelled" };
        let when = if certain { "after they were given" } else { "after they were, or may have been, given" };
        let text = format!(
            "Too late: pieces were {what} {when} to Twikit, which has no cancellation: {}. Contact Twikit about the quantity to be made.",
            surplus.join("; ")
        );
        ask_merchant(host, message("too-late", text, &[("order", &event.order.reference)]))?;
    }
    Ok(Next::Done)
}

/// Reports a change to the merchant: Twikit documents no way to change an order.
fn note_change(host: &mut dyn Host, event: &OrderEvent) -> Result<Next, CallError> {
    let ledger = Ledger::new(&event.memos);
    let now: BTreeMap<&str, Configured<'_>> =
        configured_lines(&event.order)?.into_iter().map(|line| (line.line.id.as_str(), line)).collect();
    let differs = ledger.sent().iter().any(|sent| {
        now.get(sent.line.as_str()).is_none_or(|line| {
            line.configuration != sent.configuration
                || line.line.cart_line.quantity != sent.amount
                || line.line.status == "cancelled"
        })
    });
    let order = event.order.reference.as_str();
    if differs {
        let text = "The order's lines changed after they were given to Twikit, which has no call that changes an order. Tell \
                    Twikit what shall be made.";
        ask_merchant(host, message("changed-too-late", text, &[("order", order)]))?;
    } else if ledger.personal() {
        let text = "The order changed after it was sent to Twikit. If an address changed, contact Twikit: its API has no call for it.";
        host.emit(Outcome::Note(message("changed-after-creation", text, &[("order", order)])))?;
    }
    Ok(Next::Done)
}

/// Asks the merchant to have personal data erased: Twikit documents no way to do so.
fn note_erasure(host: &mut dyn Host, event: &OrderEvent) -> Result<Next, CallError> {
    if Ledger::new(&event.memos).personal() {
        let order = event.order.reference.as_str();
        let text = format!(
            "Twikit received the shopper's address with the order {order} and has no call that erases it. Ask Twikit to erase it."
        );
        ask_merchant(host, message("erase-at-vendor", text, &[("order", order)]))?;
    }
    Ok(Next::Done)
}

fn ask_merchant(host: &mut dyn Host, message: Message) -> Result<(), CallError> {
    host.emit(Outcome::NeedsMerchant(message))
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
