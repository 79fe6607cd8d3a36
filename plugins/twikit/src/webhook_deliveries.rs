//! Twikit's webhook deliveries (Webhooks: Production Completion, Order Completion, Website Publication).

use std::collections::{BTreeMap, BTreeSet};

use cartwright_plugin::exports::webhooks::WebhookResult;
use cartwright_plugin::json::{self, Code, Optional, Problem, RawValue, Text};
use cartwright_plugin::types::*;
use cartwright_plugin::{message, normalize_url, truncate};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::fields::{PRODUCT_KEYS, SCRIPT_URL};
use crate::identifiers::{ConfigurationId, Configured, Find, find_order, lines_of};
use crate::responses::MAX_CHARACTERS;
use crate::settings::{Recipient, Settings};
use crate::urls::{https_origin, origin};
use crate::webhooks::{accepted, faulty};

/// Maximum length of a tracking URL in bytes. A longer one is omitted.
const MAX_LINK_BYTES: usize = 2048;

#[derive(Deserialize)]
struct ProductionCompletion<'a> {
    #[serde(borrow)]
    identifier: Text<'a>,
    success: bool,
    /// Of any length: people see only its beginning.
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderCompletion<'a> {
    #[serde(borrow)]
    identifier: Text<'a>,
    /// Unparsed: an invalid one is omitted.
    #[serde(borrow, default)]
    tracking_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tracking_id: Optional<Code<'a>>,
    #[serde(borrow, default)]
    line_items: Option<Vec<LineItem<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineItem<'a> {
    #[serde(borrow)]
    identifier: Text<'a>,
    configuration_id: ConfigurationId,
    #[serde(borrow, default)]
    product_key: Optional<Code<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebsitePublication<'a> {
    #[serde(borrow)]
    script_url: Text<'a>,
    #[serde(borrow)]
    products: Vec<Published<'a>>,
}

#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    key: Code<'a>,
}

/// Handles the end or failure of production: `{ identifier, url, success, error }`.
pub fn production_completion(body: &[u8], find: Find<'_>) -> Result<WebhookResult, Problem> {
    let notice: ProductionCompletion<'_> = json::read(body)?;
    let identifier = notice.identifier.as_str();
    let words = |text: Option<String>| text.map(|text| truncate(&text, MAX_CHARACTERS)).filter(|text| !text.is_empty());
    let (url, error) = (words(notice.url), words(notice.error));
    let order = match order_of(identifier, find) {
        Ok(order) => order,
        Err(reply) => return Ok(*reply),
    };
    let lines = match known_lines(&order, identifier) {
        Ok(lines) => lines,
        Err(reply) => return Ok(*reply),
    };
    let (state, detail) =
        if notice.success { (ProductionState::Done, &url) } else { (ProductionState::Failed, &error) };
    let production = |line| Production { line, state, detail: detail.clone(), expected: None, extra: Vec::new() };
    let mut outcomes = Vec::new();
    if lines.len() == order.lines.len() {
        outcomes.push(Outcome::Production(production(None)));
    } else {
        outcomes.extend(lines.iter().map(|line| Outcome::Production(production(Some(line.line.id.clone())))));
    }
    if !notice.success {
        let why = error.as_deref().unwrap_or("it gives no reason.");
        let text = format!("Twikit could not produce {identifier}: {why}");
        outcomes.push(Outcome::NeedsMerchant(message("production-failed", text, &[("identifier", identifier)])));
    }
    Ok(accepted_for(&order, outcomes))
}

/// Handles an order that the producer marked as ready: `{ identifier, trackingUrl, trackingId, lineItems }`. Each
/// parcel of an order has its own delivery.
pub fn order_completion(context: &Context, body: &[u8], find: Find<'_>) -> Result<WebhookResult, Problem> {
    let notice: OrderCompletion<'_> = json::read(body)?;
    let identifier = notice.identifier.as_str();
    let order = match order_of(identifier, find) {
        Ok(order) => order,
        Err(reply) => return Ok(*reply),
    };
    let lines = match known_lines(&order, identifier) {
        Ok(lines) => lines,
        Err(reply) => return Ok(*reply),
    };
    let items = notice.line_items.unwrap_or_default();
    let by_reference: BTreeMap<&str, &Configured<'_>> =
        lines.iter().map(|line| (line.line.reference.as_str(), line)).collect();
    let mut done: Vec<Configured<'_>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut outcomes = Vec::new();
    for item in &items {
        let reference = item.identifier.as_str();
        let Some(line) = by_reference.get(reference) else {
            return Ok(faulty(409, &format!("The order has no line {reference}.")));
        };
        let configuration = item.configuration_id.0;
        if line.configuration != configuration {
            return Ok(faulty(409, &format!("The line {reference} does not have the configuration {configuration}.")));
        }
        if seen.insert(reference) {
            done.push(**line);
            outcomes.extend(item.product_key.as_str().and_then(|key| other_product(line, key)));
        }
    }
    if items.is_empty() {
        done = lines.clone();
    }
    let tracking = Tracking {
        // The URL is shown to a shopper, and it is not signed.
        url: notice.tracking_url.and_then(link),
        id: notice.tracking_id.as_str().map(str::to_owned),
    };
    let to_shopper = Settings(context).delivery() == Recipient::Shopper;
    let tracked = tracking.url.is_some() || tracking.id.is_some();
    if tracked {
        let all = done.len() == order.lines.len();
        let shipped = if all { Vec::new() } else { done.iter().map(line_quantity).collect() };
        outcomes.push(Outcome::Shipment(Shipment {
            id: Some(tracking.shipment_id(identifier, &shipped)),
            lines: shipped,
            carrier: None,
            at: None,
            tracking_url: tracking.url,
            tracking_id: tracking.id,
            extra: Vec::new(),
        }));
    }
    // Twikit only reports "ready". Tracking data of a delivery to the shopper means that the parcel is on its way; a
    // delivery to the shop is not shipped to the shopper yet.
    let status = if tracked && to_shopper { "shipped" } else { "ready" };
    for Configured { line, .. } in done.iter().filter(|done| is_behind(status, &done.line.status)) {
        outcomes.push(Outcome::LineStatus(LineStatus { line: line.id.clone(), status: status.to_owned() }));
    }
    Ok(accepted_for(&order, outcomes))
}

/// Returns whether a status would move a line backwards. Deliveries arrive late and repeatedly: a shipped line must not
/// become "ready" again, and a cancelled one stays cancelled.
fn is_behind(status: &str, now: &str) -> bool {
    let place = |status: &str| {
        ["ordered", "in-production", "ready", "shipped", "cancelled"].iter().position(|known| *known == status)
    };
    // A status that only another plugin knows has no position in the order.
    place(now).is_none_or(|now| place(status) > Some(now))
}

/// The tracking data of a parcel.
struct Tracking {
    url: Option<String>,
    id: Option<String>,
}

impl Tracking {
    /// Returns an id that distinguishes parcels: a repeated report of a parcel replaces the first one, another parcel
    /// of the same order does not. Twikit assigns no id, so the id consists of the tracking number, or else the URL,
    /// and the content.
    fn shipment_id(&self, identifier: &str, lines: &[LineQuantity]) -> String {
        let mut hash = Sha256::new();
        let label = self.id.as_deref().or(self.url.as_deref()).unwrap_or_default();
        let parts =
            [identifier, label].into_iter().chain(lines.iter().map(|line_quantity| line_quantity.line.as_str()));
        for part in parts {
            // With its length, so that different lists have different bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn link(url: &RawValue) -> Option<String> {
    let text: Text<'_> = json::read_part(url).ok()?;
    normalize_url(text.as_str()).filter(|url| origin(url).is_some() && url.len() <= MAX_LINK_BYTES)
}

/// Returns the complete quantity of a line, because Twikit completes whole lines.
fn line_quantity(line: &Configured<'_>) -> LineQuantity {
    LineQuantity { line: line.line.id.clone(), quantity: line.line.cart_line.quantity }
}

/// Handles a newly published script: `{ scriptUrl, products: [{ key }] }`. The webhook is unsigned and decides what
/// runs on the shop's pages, so the host waits for the merchant's approval unless the script's host was granted.
pub fn website_publication(body: &[u8]) -> Result<WebhookResult, Problem> {
    let notice: WebsitePublication<'_> = json::read(body)?;
    let script = notice.script_url.as_str();
    if https_origin(script).is_none() {
        // "The new, fully qualified, https URL to our JavaScript file."
        let problem = Problem::new("scriptUrl", "it must be a URL that begins with https://");
        return Ok(faulty(422, &problem.to_string()));
    }
    let mut seen = BTreeSet::new();
    let keys = notice.products.iter().map(|product| product.key.as_str()).filter(|key| seen.insert(*key));
    let push = vec![
        Setting { name: SCRIPT_URL.to_owned(), value: SettingValue::Text(script.to_owned()) },
        Setting { name: PRODUCT_KEYS.to_owned(), value: SettingValue::Texts(keys.map(str::to_owned).collect()) },
    ];
    Ok(accepted(vec![Report::about_account(Outcome::PushSettings(push))]))
}

/// Returns the order of a delivery, or the response that explains why there is none.
fn order_of(identifier: &str, find: Find<'_>) -> Result<Order, Box<WebhookResult>> {
    match find_order(identifier, find) {
        Ok(Some(order)) => Ok(order),
        Ok(None) => Err(Box::new(faulty(404, "This shop has no such order."))),
        Err(_) => Err(Box::new(faulty(503, "The shop's orders are unavailable at the moment."))),
    }
}

/// Returns the lines that may have been sent to Twikit under this identifier.
fn known_lines<'a>(order: &'a Order, identifier: &str) -> Result<Vec<Configured<'a>>, Box<WebhookResult>> {
    match lines_of(order, identifier) {
        Ok(lines) if !lines.is_empty() => Ok(lines),
        Ok(_) => Err(Box::new(faulty(409, "Nothing of this order was sent to Twikit."))),
        Err(_) => Err(Box::new(faulty(503, "The shop's order is invalid."))),
    }
}

/// Reports a line whose product differs from the linked one. This is the first time that a server names the product of
/// a configuration: a browser may have saved a more expensive one.
fn other_product(line: &Configured<'_>, key: &str) -> Option<Outcome> {
    let linked = line.line.cart_line.item.as_ref()?.vendor_product.as_str();
    (linked != key).then(|| {
        let text = format!(
            "The line {} was sold as \"{linked}\", but Twikit made \"{}\". Check the payment.",
            line.line.reference,
            truncate(key, MAX_CHARACTERS)
        );
        Outcome::NeedsMerchant(message("other-product", text, &[("line", &line.line.reference)]))
    })
}

fn accepted_for(order: &Order, outcomes: Vec<Outcome>) -> WebhookResult {
    accepted(outcomes.into_iter().map(|outcome| Report::about_reference(&order.reference, outcome)).collect())
}
