//! What a plugin may say came of an order: only what is about the order, its lines that the account sees, bytes that it was given, and
//! settings that its form lets a vendor push. Whoever says it, a webhook that nobody signed or an order hook.

use crate::contract::{BytesSource, Digest, Document, Order, Outcome, Setting};
use crate::settings::Form;

/// May a plugin say this? `order` is the one that it says it of, as the account sees it; `readable` are the blobs that its call was
/// given the digest of.
pub(crate) fn check(form: &Form, order: Option<&Order>, readable: &[Digest], outcome: &Outcome) -> Result<(), String> {
    if let Outcome::Document(Document { content: BytesSource::Stored(digest), .. }) = outcome
        && !readable.contains(digest)
    {
        return Err(format!("it gives a document of the bytes {digest:?}, which it was not given"));
    }
    let lines: Vec<&str> = match outcome {
        Outcome::Note(_) | Outcome::NeedsMerchant(_) | Outcome::Other(_) => return Ok(()),
        Outcome::PushSettings(settings) => return settings.iter().try_for_each(|setting| may_push(form, setting)),
        Outcome::Remember(_) | Outcome::HandOn(_) => Vec::new(),
        Outcome::VendorReference(named) => named.line.iter().map(String::as_str).collect(),
        Outcome::Production(production) => production.line.iter().map(String::as_str).collect(),
        Outcome::Document(document) => document.line.iter().map(String::as_str).collect(),
        Outcome::LineStatus(status) => vec![&status.line],
        Outcome::BillOfMaterials(materials) => vec![&materials.line],
        Outcome::Shipment(shipment) => shipment.lines.iter().map(|pieces| pieces.line.as_str()).collect(),
    };
    let Some(order) = order else { return Err("it says something of an order and does not name the order".to_owned()) };
    match lines.iter().find(|line| order.lines.iter().all(|known| known.id != **line)) {
        Some(line) => Err(format!("it names the line {line:?}, which the order {:?} does not have", order.reference)),
        None => Ok(()),
    }
}

fn may_push(form: &Form, setting: &Setting) -> Result<(), String> {
    match form.field(&setting.name) {
        Some(field) if field.vendor_may_push && field.kind != "secret" => Ok(()),
        _ => Err(format!("it pushes the setting {:?}, which the form does not let a vendor push", setting.name)),
    }
}
