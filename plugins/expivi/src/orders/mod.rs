//! Order handling: starts production when the order is released, confirms the bill of materials, uploads the
//! configuration to Expivi, and requests, awaits and fetches print files.
//!
//! Straight-line code over a journal: each run does a bounded amount of work and continues with the rest in the next
//! round ([`Progress`]), so that an order of any size fits the journal's limit. An error of one line goes to the
//! merchant and does not stop the others; only an outage or a rejected token stops the run, because it concerns all
//! lines.

mod files;
mod line;
mod upload;

use cartwright_plugin::exports::orders::{Continuation, Next, OrderEvent, OrderEventKind};
use cartwright_plugin::timer::WakeReason;
use cartwright_plugin::types::{Context, Message, Order, OrderLine, Outcome};
use cartwright_plugin::{CallError, ContextExt, internal, is_refunded, message};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::settings::{self, SERVER_TOKEN};

/// Maximum number of host calls in one run: a journal has room for 500 entries, and a request may take two.
const MAX_CALLS_PER_RUN: u32 = 100;
/// Maximum number of conversions that are awaited at once, because the continuation contains them.
const MAX_PENDING_CONVERSIONS: usize = 200;

/// The remaining work of an order, which one run passes to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The index of the first line that is not prepared yet.
    next: usize,
    /// The unfinished conversions, in the order in which they are polled.
    pending: Vec<PendingConversion>,
}

/// A conversion in progress at Expivi.
#[derive(Debug, Serialize, Deserialize)]
struct PendingConversion {
    /// The order line's id.
    line: String,
    /// Expivi's name of the conversion.
    hash: String,
    /// The number of polls until now.
    polls: u32,
}

/// One run.
struct Run<'a, H> {
    host: &'a mut H,
    context: &'a Context,
    event: &'a OrderEvent,
    calls: u32,
}

/// Handles one event of an order.
pub(crate) fn handle<H: Host>(
    host: &mut H,
    context: &Context,
    event: &OrderEvent,
    state: Option<&str>,
) -> Result<Next, CallError> {
    let mut run = Run { host, context, event, calls: 0 };
    match &event.kind {
        OrderEventKind::Released if event.order.test => {
            let text = "Nothing was sent to Expivi: this is a test order.";
            run.note(message("test-order", text, &[("order", &event.order.reference)]))?;
        }
        OrderEventKind::Released if is_cancelled(&event.order) => {
            let text = "Nothing was sent to Expivi: the order must no longer be produced.";
            run.note(message("no-longer-released", text, &[("order", &event.order.reference)]))?;
        }
        OrderEventKind::Released => {
            let progress = match state {
                Some(json) => serde_json::from_str(json)
                    .map_err(|error| internal(format!("the continuation is invalid: {error}")))?,
                None => Progress::default(),
            };
            return run.produce(progress);
        }
        OrderEventKind::QuoteRequested => {
            let count = event.order.lines.iter().filter(|line| line.cart_line.parent_key.is_none()).count().to_string();
            let text = format!(
                "A quote is requested for {count} configured products. Expivi is not notified: it has no call for quotes."
            );
            run.note(message("quote-requested", text, &[("count", &count)]))?;
        }
        OrderEventKind::Erase => run.erase()?,
        // An upload orders nothing at Expivi, so there is nothing to cancel or refund there.
        _ => {}
    }
    Ok(Next::Done)
}

impl<H: Host> Run<'_, H> {
    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError> {
        self.calls += 1;
        self.host.emit(outcome)
    }

    fn note(&mut self, message: Message) -> Result<(), CallError> {
        self.emit(Outcome::Note(message))
    }

    fn needs_merchant(&mut self, message: Message) -> Result<(), CallError> {
        self.emit(Outcome::NeedsMerchant(message))
    }

    /// Returns whether an earlier event of the order recorded such an outcome.
    fn earlier(&self, like: impl Fn(&Outcome) -> bool) -> bool {
        self.event.previous_outcomes.iter().any(like)
    }

    fn produce(&mut self, mut progress: Progress) -> Result<Next, CallError> {
        let mut due = !progress.pending.is_empty();
        let event = self.event;
        let lines: Vec<&OrderLine> = event.order.lines.iter().filter(|line| is_producible(line)).collect();
        if progress.next == 0 {
            self.note_unavailable_features(&lines)?;
        }
        let mut uploads = upload::Uploads::default();
        while let Some(line) = lines.get(progress.next) {
            if self.calls >= MAX_CALLS_PER_RUN || progress.pending.len() >= MAX_PENDING_CONVERSIONS {
                break;
            }
            self.prepare(line, &mut uploads, &mut progress.pending)?;
            progress.next += 1;
        }
        if progress.next < lines.len() && progress.pending.len() < MAX_PENDING_CONVERSIONS {
            return again(1, &progress);
        }
        while !progress.pending.is_empty() {
            // A continued run has waited already.
            if !std::mem::take(&mut due) {
                let delay = files::delay(&progress.pending);
                if self.calls >= MAX_CALLS_PER_RUN {
                    return again(delay, &progress);
                }
                self.calls += 1;
                match self.host.sleep(delay)? {
                    WakeReason::Elapsed => {}
                    WakeReason::JobCancelled => return Ok(Next::Done),
                    WakeReason::EventWaiting => {
                        if self.is_cancelled_now()? {
                            let text = "The order was cancelled or refunded; its print files are no longer awaited.";
                            self.note(message("print-files-abandoned", text, &[]))?;
                            return Ok(Next::Done);
                        }
                        // The same event would end a wait again and again, and it does not end a fresh run.
                        return again(delay, &progress);
                    }
                }
            }
            self.poll_conversions(&mut progress.pending)?;
        }
        if progress.next < lines.len() { again(1, &progress) } else { Ok(Next::Done) }
    }

    fn is_cancelled_now(&mut self) -> Result<bool, CallError> {
        self.calls += 1;
        let now: Option<Order> = self.host.find_order(&self.event.order.reference)?;
        Ok(now.is_none_or(|order| is_cancelled(&order)))
    }

    /// Notes once per order what is not possible, so that people do not wait for it.
    fn note_unavailable_features(&mut self, lines: &[&OrderLine]) -> Result<(), CallError> {
        let configured = lines.iter().any(|line| line.configuration.is_some());
        let is_enabled =
            settings::is_enabled(self.context, "upload-bundles") || settings::is_enabled(self.context, "print-files");
        let is_note = |outcome: &Outcome| matches!(outcome, Outcome::Note(message) if message.key == "upload-off");
        if configured && is_enabled && !self.context.secret_is_set(SERVER_TOKEN) && !self.earlier(is_note) {
            let text = "Nothing was uploaded to Expivi and there are no print files: the setting \"server-token\" has no value.";
            self.note(message("upload-off", text, &[("setting", SERVER_TOKEN)]))?;
        }
        Ok(())
    }

    /// Asks the merchant to have data erased: uploaded configurations may contain a shopper's text, and Expivi
    /// documents no call that deletes them.
    fn erase(&mut self) -> Result<(), CallError> {
        let uploaded: Vec<&str> =
            self.event.order.lines.iter().filter_map(|line| line.vendor_reference.as_deref()).collect();
        if uploaded.is_empty() {
            return Ok(());
        }
        let ids = uploaded.join(", ");
        let text = format!("Ask Expivi to delete the configured products {ids}: its API documents no call for it.");
        self.needs_merchant(message("erase-at-vendor", text, &[("ids", &ids)]))
    }
}

/// Returns whether the order was cancelled or fully refunded. A refund by amount alone is not a cancellation.
fn is_cancelled(order: &Order) -> bool {
    order.cancelled || is_refunded(order)
}

/// Returns whether a line is produced by itself. The children of a bundle share their parent's configuration, and the
/// parent represents them.
fn is_producible(line: &OrderLine) -> bool {
    line.released && line.status != "cancelled" && line.cart_line.parent_key.is_none()
}

fn again(seconds: u32, progress: &Progress) -> Result<Next, CallError> {
    let state = serde_json::to_string(progress).map_err(|error| internal(error.to_string()))?;
    Ok(Next::ContinueLater(Continuation { seconds, state }))
}

#[cfg(test)]
mod tests;
