//! What Twikit tells (Webhooks: Production Completion, Order Completion, Website Publication).

use std::collections::BTreeSet;

use cartwright_plugin::exports::webhooks::Received;
use cartwright_plugin::message;
use cartwright_plugin::types::*;

use crate::answers::shortened;
use crate::fields::{PRODUCT_KEYS, SCRIPT_URL};
use crate::identifiers::{Configured, Find, lines_of, locate};
use crate::json::{At, Json, Problem};
use crate::settings::{Recipient, Settings};
use crate::urls::{https_origin, origin};
use crate::webhooks::{accepted, faulty};

/// Production is done, or failed: `{ identifier, url, success, error }`.
pub fn production_completion(body: &At<'_>, find: Find<'_>) -> Result<Received, Problem> {
    let identifier = body.member("identifier")?.text()?;
    let success = body.member("success")?.yes_no()?;
    let error = body.member("error")?.optional_text()?;
    let url = body.member("url")?.optional_text()?;
    let order = match order_of(identifier, find) {
        Ok(order) => order,
        Err(reply) => return Ok(*reply),
    };
    let lines = match known_lines(&order, identifier) {
        Ok(lines) => lines,
        Err(reply) => return Ok(*reply),
    };
    let (state, detail) = if success { ("done", url) } else { ("failed", error) };
    let production = |line| Production { line, state: state.to_owned(), detail: detail.map(shortened), expected: None };
    let mut outcomes = Vec::new();
    if lines.len() == order.lines.len() {
        outcomes.push(Outcome::Production(production(None)));
    } else {
        outcomes.extend(lines.iter().map(|line| Outcome::Production(production(Some(line.line.id.clone())))));
    }
    if !success {
        let text =
            format!("Twikit could not produce {identifier}: {}", shortened(error.unwrap_or("it does not say why.")));
        outcomes.push(Outcome::NeedsMerchant(message("production-failed", text, &[("identifier", identifier)])));
    }
    Ok(told(&order, outcomes))
}

/// The producer marked the order as ready: `{ identifier, trackingUrl, trackingId, lineItems }`.
pub fn order_completion(context: &Context, body: &At<'_>, find: Find<'_>) -> Result<Received, Problem> {
    let identifier = body.member("identifier")?.text()?;
    let tracking_url = body.member("trackingUrl")?.optional_text()?;
    let tracking_id = label(&body.member("trackingId")?)?;
    let items = body.member("lineItems")?;
    let items = if items.is_null() { Vec::new() } else { items.list()? };
    let mut named = Vec::new();
    for item in &items {
        let configuration = item.member("configurationId")?.id()?;
        named.push((item.member("identifier")?.text()?, configuration, item.member("productKey")?.optional_text()?));
    }
    let order = match order_of(identifier, find) {
        Ok(order) => order,
        Err(reply) => return Ok(*reply),
    };
    let lines = match known_lines(&order, identifier) {
        Ok(lines) => lines,
        Err(reply) => return Ok(*reply),
    };
    let mut done: Vec<Configured<'_>> = Vec::new();
    let mut outcomes = Vec::new();
    for (reference, configuration, product) in named {
        let Some(line) = lines.iter().find(|known| known.line.reference == reference) else {
            return Ok(faulty(409, &format!("The order has no line {reference}.")));
        };
        if line.configuration != configuration {
            return Ok(faulty(409, &format!("The line {reference} is not of the configuration {configuration}.")));
        }
        if done.iter().all(|known| known.line.id != line.line.id) {
            done.push(*line);
            outcomes.extend(product.and_then(|key| other_product(line, key)));
        }
    }
    if items.is_empty() {
        done = lines.clone();
    }
    // The address is shown to a shopper, and nobody signed it.
    let link = tracking_url.filter(|url| origin(url).is_some()).map(str::to_owned);
    let to_shopper = Settings(context).delivery() == Recipient::Shopper;
    let tracked = link.is_some() || tracking_id.is_some();
    if tracked {
        let all = done.len() == order.lines.len();
        let shipped = if all { Vec::new() } else { done.iter().map(pieces).collect() };
        let id = Some(identifier.to_owned());
        let shipment = Shipment { id, lines: shipped, carrier: None, at: None, tracking_url: link, tracking_id };
        outcomes.push(Outcome::Shipment(shipment));
    }
    // Twikit only says "ready". Tracking data of what goes to the shopper means that it is on its way to the shopper; what goes to the
    // shop is not shipped to the shopper yet.
    let status = if tracked && to_shopper { "shipped" } else { "ready" };
    for line in &done {
        outcomes.push(Outcome::LineStatus(LineStatus { line: line.line.id.clone(), status: status.to_owned() }));
    }
    Ok(told(&order, outcomes))
}

/// Twikit completes a line whole.
fn pieces(line: &Configured<'_>) -> LineQuantity {
    LineQuantity { line: line.line.id.clone(), quantity: line.line.cart_line.quantity }
}

/// A new script was published: `{ scriptUrl, products: [{ key }] }`. Unsigned, and it decides what runs on the shop's pages: the
/// host holds a script for the merchant's approval unless its host was granted.
pub fn website_publication(body: &At<'_>) -> Result<Received, Problem> {
    let script_at = body.member("scriptUrl")?;
    let script = script_at.text()?;
    if https_origin(script).is_none() {
        // "The new, fully qualified, https URL to our JavaScript file."
        return Ok(faulty(422, &script_at.problem("must be an address that begins with https://").to_string()));
    }
    let mut seen = BTreeSet::new();
    let mut keys = Vec::new();
    for product in body.member("products")?.list()? {
        let key = product.member("key")?.text()?;
        if seen.insert(key) {
            keys.push(key.to_owned());
        }
    }
    let push = vec![
        Setting { name: SCRIPT_URL.to_owned(), value: SettingValue::Text(script.to_owned()) },
        Setting { name: PRODUCT_KEYS.to_owned(), value: SettingValue::Texts(keys) },
    ];
    Ok(accepted(vec![(None, Outcome::PushSettings(push))]))
}

/// The order that a notice is about, or the reply that says why it cannot be.
fn order_of(identifier: &str, find: Find<'_>) -> Result<Order, Box<Received>> {
    match locate(identifier, find) {
        Ok(Some(order)) => Ok(order),
        Ok(None) => Err(Box::new(faulty(404, "This shop has no such order."))),
        Err(_) => Err(Box::new(faulty(503, "The shop's orders cannot be looked at now."))),
    }
}

/// Lines that can have been given to Twikit under this identifier.
fn known_lines<'a>(order: &'a Order, identifier: &str) -> Result<Vec<Configured<'a>>, Box<Received>> {
    match lines_of(order, identifier) {
        Ok(lines) if !lines.is_empty() => Ok(lines),
        Ok(_) => Err(Box::new(faulty(409, "Nothing of this order was given to Twikit."))),
        Err(_) => Err(Box::new(faulty(503, "The shop's order cannot be read."))),
    }
}

/// The first moment at which a server says which product a configuration is of: a browser may have saved a dearer one.
fn other_product(line: &Configured<'_>, key: &str) -> Option<Outcome> {
    let linked = line.line.cart_line.item.as_ref()?.vendor_product.as_str();
    (linked != key).then(|| {
        let text = format!(
            "The line {} was sold as \"{linked}\", and Twikit made \"{}\" of it. Check what was paid for.",
            line.line.reference,
            shortened(key)
        );
        Outcome::NeedsMerchant(message("other-product", text, &[("line", &line.line.reference)]))
    })
}

/// A text, or a whole number: carriers' numbers come as both.
fn label(at: &At<'_>) -> Result<Option<String>, Problem> {
    match at.json() {
        Json::Whole(number) => Ok(Some(number.to_string())),
        _ => Ok(at.optional_text()?.map(shortened)),
    }
}

fn told(order: &Order, outcomes: Vec<Outcome>) -> Received {
    accepted(outcomes.into_iter().map(|outcome| (Some(order.reference.clone()), outcome)).collect())
}
