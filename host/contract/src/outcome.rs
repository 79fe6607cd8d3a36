//! The check of outcomes, whether a webhook or an order hook emits them.
//!
//! An outcome may only concern the order itself, the lines that the account sees, blobs that the call was given, and
//! settings that the form allows a vendor to push. All its texts must be storable.

use std::collections::HashSet;

use crate::articles::{MAX_ARTICLE_DEPTH, check_tree};
use crate::records::{
    Article, BytesSource, Digest, Document, LineMaterials, LineStatus, Message, NamedJson, Order, Outcome, Production,
    RememberedText, Setting, Shipment, VendorReference,
};
use crate::settings::{Form, check_value_texts};
use crate::text::{MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_URL_BYTES, check_line, check_text};

/// Maximum length in bytes of the text that a plugin stores for the next event of an order.
const MAX_REMEMBERED_BYTES: usize = 4 << 10;
/// Maximum length in bytes of JSON that a webhook forwards, or that accompanies an article.
const MAX_JSON_BYTES: usize = 256 << 10;
/// Maximum number of articles in one bill of materials.
const MAX_ARTICLES: usize = 20_000;
/// Maximum number of entries of any other list in an outcome: lines of a shipment, pushed settings, parameters of a
/// message.
const MAX_ENTRIES: usize = 5_000;

/// Checks that a plugin may emit this outcome. `order` is the order it concerns, as the account sees it; `readable`
/// lists the blobs whose digests the call received.
pub fn check(form: &Form, order: Option<&Order>, readable: &[Digest], outcome: &Outcome) -> Result<(), String> {
    check_texts(outcome)?;
    if let Outcome::Document(Document { content: BytesSource::Stored(digest), .. }) = outcome
        && !readable.contains(digest)
    {
        return Err(format!("it returns a document with the blob {digest:?}, which the call did not receive"));
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
    let Some(order) = order else { return Err("its outcome concerns an order and does not name the order".to_owned()) };
    let unknown = match &lines[..] {
        [] => None,
        [line] => Some(line).filter(|line| order.lines.iter().all(|known| known.id != **line)),
        lines => {
            let known: HashSet<&str> = order.lines.iter().map(|line| line.id.as_str()).collect();
            lines.iter().find(|line| !known.contains(**line))
        }
    };
    match unknown {
        Some(line) => Err(format!("it names the line {line:?}, which the order {:?} does not have", order.reference)),
        None => Ok(()),
    }
}

fn may_push(form: &Form, setting: &Setting) -> Result<(), String> {
    match form.field(&setting.name) {
        Some(field) if field.vendor_can_change && field.kind != "secret" => Ok(()),
        _ => Err(format!("it pushes the setting {:?}, which the form does not let a vendor push", setting.name)),
    }
}

/// Checks that every text and list of an outcome can be stored.
fn check_texts(outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Note(message) | Outcome::NeedsMerchant(message) => check_message(message),
        Outcome::VendorReference(VendorReference { line, reference }) => {
            optional_name("line", line.as_ref())?;
            name("reference", reference)
        }
        Outcome::LineStatus(LineStatus { line, status }) => {
            name("line", line)?;
            name("status", status)
        }
        Outcome::Production(Production { line, state, detail, expected }) => {
            optional_name("line", line.as_ref())?;
            name("state", state)?;
            optional_name("expected", expected.as_ref())?;
            detail.iter().try_for_each(|detail| text("detail", detail, MAX_TEXT_BYTES))
        }
        Outcome::Shipment(Shipment { id, lines, carrier, at, tracking_url, tracking_id }) => {
            entries("lines", lines.len(), MAX_ENTRIES)?;
            for (what, given) in [("id", id), ("carrier", carrier), ("at", at), ("tracking id", tracking_id)] {
                optional_name(what, given.as_ref())?;
            }
            lines.iter().try_for_each(|pieces| name("line", &pieces.line))?;
            tracking_url.iter().try_for_each(|url| line("tracking address", url, MAX_URL_BYTES))
        }
        Outcome::Document(Document { line, kind, name: file, media_type, content }) => {
            optional_name("line", line.as_ref())?;
            for (what, given) in [("kind", kind), ("name", file), ("media type", media_type)] {
                name(what, given)?;
            }
            match content {
                BytesSource::Stored(digest) => name("digest", digest),
                // The limit on bytes that a call passes to the host bounds these.
                BytesSource::Inline(_) => Ok(()),
            }
        }
        Outcome::BillOfMaterials(LineMaterials { line, articles }) => {
            name("line", line)?;
            entries("articles", articles.len(), MAX_ARTICLES)?;
            articles.iter().try_for_each(check_article)?;
            let depth = check_tree(articles).map_err(|(index, fault)| format!("the article {index}: {fault}"))?;
            entries("levels of articles", depth, MAX_ARTICLE_DEPTH)
        }
        Outcome::Remember(RememberedText { name: key, value }) => {
            name("name", key)?;
            text("remembered text", value, MAX_REMEMBERED_BYTES)
        }
        Outcome::PushSettings(settings) => {
            entries("settings", settings.len(), MAX_ENTRIES)?;
            settings.iter().try_for_each(check_setting)
        }
        Outcome::HandOn(named) | Outcome::Other(named) => check_json(named),
    }
}

fn check_message(Message { key, parameters, text: words }: &Message) -> Result<(), String> {
    name("message key", key)?;
    text("message", words, MAX_TEXT_BYTES)?;
    entries("parameters", parameters.len(), MAX_ENTRIES)?;
    parameters.iter().try_for_each(|(key, value)| {
        name("parameter", key)?;
        text("parameter", value, MAX_TEXT_BYTES)
    })
}

fn check_article(article: &Article) -> Result<(), String> {
    let Article { sku, title, quantity, unit, price_sku, price, material_sku, parent: _, extra } = article;
    name("SKU", sku)?;
    optional_name("article title", title.as_ref())?;
    name("quantity", quantity)?;
    optional_name("unit", unit.as_ref())?;
    optional_name("price SKU", price_sku.as_ref())?;
    optional_name("material SKU", material_sku.as_ref())?;
    price.iter().try_for_each(|price| name("currency", &price.currency))?;
    entries("extra", extra.len(), MAX_ENTRIES)?;
    extra.iter().try_for_each(check_json)
}

fn check_setting(Setting { name: key, value }: &Setting) -> Result<(), String> {
    name("setting", key)?;
    check_value_texts(value).map_err(|fault| format!("its setting {key:?} cannot be stored: {fault}"))
}

fn check_json(NamedJson { name: key, json }: &NamedJson) -> Result<(), String> {
    name("name", key)?;
    text("JSON", json, MAX_JSON_BYTES)
}

fn name(what: &str, given: &str) -> Result<(), String> {
    line(what, given, MAX_NAME_BYTES)
}

fn optional_name(what: &str, given: Option<&String>) -> Result<(), String> {
    given.map_or(Ok(()), |given| name(what, given))
}

fn line(what: &str, given: &str, allowed: usize) -> Result<(), String> {
    check_line(given, allowed).map_err(|fault| format!("its {what} cannot be stored: {fault}"))
}

fn text(what: &str, given: &str, allowed: usize) -> Result<(), String> {
    check_text(given, allowed).map_err(|fault| format!("its {what} cannot be stored: {fault}"))
}

fn entries(what: &str, count: usize, allowed: usize) -> Result<(), String> {
    if count <= allowed { Ok(()) } else { Err(format!("it returns {count} {what}; at most {allowed} are allowed")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::SettingValue;
    use crate::text::MAX_DATA_BYTES;

    fn message(text: &str) -> Message {
        Message { key: "note".into(), parameters: Vec::new(), text: text.into() }
    }

    #[test]
    fn every_text_of_an_outcome_is_bounded_and_holds_no_nul() {
        let shipment = |id: &str| Shipment {
            id: Some(id.into()),
            lines: vec![],
            carrier: None,
            at: None,
            tracking_url: None,
            tracking_id: None,
        };
        let document = |file: &str| Document {
            line: None,
            kind: "drawing".into(),
            name: file.into(),
            media_type: "image/png".into(),
            content: BytesSource::Inline(vec![0]),
        };
        let article = |sku: &str| Article {
            sku: sku.into(),
            title: None,
            quantity: "1".into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent: None,
            extra: vec![],
        };
        let json = |json: &str| NamedJson { name: "n".into(), json: json.into() };
        let pairs = |value: &str| {
            vec![Setting {
                name: "s".into(),
                value: SettingValue::Pairs(vec![("a".into(), value.into()), ("b".into(), "x".into())]),
            }]
        };
        type With<'f> = &'f dyn Fn(&str) -> Outcome;
        let of: [(&str, usize, With<'_>); 12] = [
            ("message", MAX_TEXT_BYTES, &|given| Outcome::Note(message(given))),
            ("message", MAX_TEXT_BYTES, &|given| Outcome::NeedsMerchant(message(given))),
            ("reference", MAX_NAME_BYTES, &|given| {
                Outcome::VendorReference(VendorReference { line: None, reference: given.into() })
            }),
            ("status", MAX_NAME_BYTES, &|given| {
                Outcome::LineStatus(LineStatus { line: "1".into(), status: given.into() })
            }),
            ("detail", MAX_TEXT_BYTES, &|given| {
                Outcome::Production(Production {
                    line: None,
                    state: "done".into(),
                    detail: Some(given.into()),
                    expected: None,
                })
            }),
            ("id", MAX_NAME_BYTES, &|given| Outcome::Shipment(shipment(given))),
            ("tracking address", MAX_URL_BYTES, &|given| {
                Outcome::Shipment(Shipment { tracking_url: Some(given.into()), ..shipment("1") })
            }),
            ("name", MAX_NAME_BYTES, &|given| Outcome::Document(document(given))),
            ("SKU", MAX_NAME_BYTES, &|given| {
                Outcome::BillOfMaterials(LineMaterials { line: "1".into(), articles: vec![article(given)] })
            }),
            ("remembered text", MAX_REMEMBERED_BYTES, &|given| {
                Outcome::Remember(RememberedText { name: "n".into(), value: given.into() })
            }),
            ("JSON", MAX_JSON_BYTES, &|given| Outcome::HandOn(json(given))),
            // Two names and two values share the size limit of a setting.
            ("setting", MAX_DATA_BYTES - 3, &|given| Outcome::PushSettings(pairs(given))),
        ];
        for (what, allowed, outcome) in of {
            check_texts(&outcome(&"x".repeat(allowed))).unwrap_or_else(|fault| panic!("{what}: {fault}"));
            let long = check_texts(&outcome(&"x".repeat(allowed + 1))).unwrap_err();
            assert!(long.contains(what) && long.contains("are allowed"), "{what}: {long}");
            let nul = check_texts(&outcome("a\0b")).unwrap_err();
            assert!(nul.contains("NUL"), "{what}: {nul}");
        }
        let line = check_texts(&Outcome::Document(document("a\nb"))).unwrap_err();
        assert_eq!(line, "its name cannot be stored: it contains the control character U+000A");
        check_texts(&Outcome::Note(message("one\ntwo"))).unwrap();
    }

    #[test]
    fn a_bill_of_materials_is_a_tree_of_bounded_depth() {
        let article = |parent: Option<u32>| Article {
            sku: "A".into(),
            title: None,
            quantity: "1".into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent,
            extra: vec![],
        };
        let materials = |articles| check_texts(&Outcome::BillOfMaterials(LineMaterials { line: "1".into(), articles }));
        let chain = |depth: u32| (0..depth).map(|index| article(index.checked_sub(1))).collect::<Vec<_>>();
        materials(chain(32)).unwrap();
        assert_eq!(materials(chain(33)).unwrap_err(), "it returns 33 levels of articles; at most 32 are allowed");
        let own_part = materials(vec![article(Some(0))]).unwrap_err();
        assert!(own_part.starts_with("the article 0: its parent is 0"), "{own_part}");
    }
}
