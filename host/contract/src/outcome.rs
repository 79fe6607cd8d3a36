//! The check of outcomes, whether a webhook or an order hook emits them.
//!
//! An outcome may only concern the order itself, the lines that the account sees, blobs that the call was given, and
//! settings that the form allows a vendor to push. All its texts must be storable, and words and times must have the
//! form that the contract states. Nothing of an outcome with a fault is applied.

use std::collections::{BTreeSet, HashSet};

use crate::articles::{MAX_ARTICLE_DEPTH, check_tree};
use crate::records::{
    Article, BytesSource, CallError, Digest, Document, FieldIssue, LineBillOfMaterials, LineStatus, Memo, Message,
    NamedJson, Order, Outcome, Production, ProductionState, Setting, Shipment, VendorReference,
};
use crate::settings::{Form, check_value_texts};
use crate::text::{MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_URL_BYTES, check_line, check_text, is_decimal, parse_timestamp};

/// Maximum length of a memo in bytes.
pub const MAX_MEMO_BYTES: usize = 4 << 10;
/// Maximum number of memos, by name, that an account keeps for one order.
pub const MAX_MEMOS: usize = 1_000;
/// Maximum length of a document's file name in bytes.
pub const MAX_DOCUMENT_NAME_BYTES: usize = 200;
/// Maximum length of a line's status in bytes.
pub const MAX_STATUS_BYTES: usize = 100;
/// Maximum length of a type or subtype of a media type in bytes (RFC 6838, 4.2).
const MAX_MEDIA_TYPE_PART_BYTES: usize = 127;
/// Maximum length in bytes of JSON that a webhook forwards, or that accompanies an article.
const MAX_JSON_BYTES: usize = 256 << 10;
/// Maximum number of articles in one bill of materials.
const MAX_ARTICLES: usize = 20_000;
/// Maximum number of entries of any other list in an outcome: lines of a shipment, pushed settings, parameters of a
/// message.
const MAX_ENTRIES: usize = 5_000;

/// Key of the message of a refused outcome.
pub const OUTCOME_INVALID: &str = "outcome-invalid";

/// Why an outcome is not applied. The plugin's author must change what the plugin emits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` of an outcome: {text}")]
pub struct OutcomeFault {
    /// Path of the field in the contract, such as "document.name".
    pub field: String,
    /// What is wrong.
    pub text: String,
}

impl OutcomeFault {
    fn new(field: &str, text: impl Into<String>) -> Self {
        Self { field: field.to_owned(), text: text.into() }
    }
}

impl From<OutcomeFault> for CallError {
    fn from(fault: OutcomeFault) -> Self {
        let text = format!("The outcome is not applied: {}.", fault.text);
        let parameters = vec![("field".to_owned(), fault.field.clone())];
        let message = Message { key: OUTCOME_INVALID.to_owned(), parameters, text };
        Self::InvalidInput(FieldIssue { field: fault.field, message, blocking: true })
    }
}

/// Checks that a plugin may emit this outcome. `order` is the order it concerns, as the account sees it; `readable`
/// lists the blobs whose digests the call received.
///
/// # Errors
/// The [`OutcomeFault`] names the field.
pub fn check(form: &Form, order: Option<&Order>, readable: &[Digest], outcome: &Outcome) -> Result<(), OutcomeFault> {
    check_values(outcome)?;
    if let Outcome::Document(Document { content: BytesSource::Stored(digest), .. }) = outcome
        && !readable.contains(digest)
    {
        let text = format!("the call did not receive the blob {digest:?}");
        return Err(OutcomeFault::new("document.content", text));
    }
    let (field, lines): (&str, Vec<&str>) = match outcome {
        Outcome::Note(_) | Outcome::NeedsMerchant(_) | Outcome::Other(_) => return Ok(()),
        Outcome::PushSettings(settings) => return settings.iter().try_for_each(|setting| may_push(form, setting)),
        Outcome::SetMemo(_) => ("set-memo", Vec::new()),
        Outcome::Forward(_) => ("forward", Vec::new()),
        Outcome::VendorReference(named) => ("vendor-reference.line", named.line.iter().map(String::as_str).collect()),
        Outcome::Production(production) => ("production.line", production.line.iter().map(String::as_str).collect()),
        Outcome::Document(document) => ("document.line", document.line.iter().map(String::as_str).collect()),
        Outcome::LineStatus(status) => ("line-status.line", vec![&status.line]),
        Outcome::BillOfMaterials(bill) => ("bill-of-materials.line", vec![&bill.line]),
        Outcome::Shipment(shipment) => {
            ("shipment.lines", shipment.lines.iter().map(|pieces| pieces.line.as_str()).collect())
        }
    };
    let Some(order) = order else {
        return Err(OutcomeFault::new(field, "it concerns an order and does not name the order"));
    };
    let unknown = match &lines[..] {
        [] => None,
        [line] => Some(line).filter(|line| order.lines.iter().all(|known| known.id != **line)),
        lines => {
            let known: HashSet<&str> = order.lines.iter().map(|line| line.id.as_str()).collect();
            lines.iter().find(|line| !known.contains(**line))
        }
    };
    match unknown {
        Some(line) => {
            let text = format!("the order {:?} does not have the line {line:?}", order.reference);
            Err(OutcomeFault::new(field, text))
        }
        None => Ok(()),
    }
}

/// Counts a memo among the names of the memos that an account keeps for an order.
///
/// # Errors
/// Returns a fault if it would be one more than [`MAX_MEMOS`].
pub fn check_memo_count(names: &mut BTreeSet<String>, outcome: &Outcome) -> Result<(), OutcomeFault> {
    let Outcome::SetMemo(memo) = outcome else { return Ok(()) };
    if names.len() >= MAX_MEMOS && !names.contains(&memo.name) {
        let text = format!("the order has {MAX_MEMOS} memos of this account, which is the maximum");
        return Err(OutcomeFault::new("set-memo.name", text));
    }
    names.insert(memo.name.clone());
    Ok(())
}

fn may_push(form: &Form, setting: &Setting) -> Result<(), OutcomeFault> {
    match form.field(&setting.name) {
        Some(field) if field.vendor_can_change && field.kind != "secret" => Ok(()),
        _ => {
            let text = format!("the form does not let a vendor push the setting {:?}", setting.name);
            Err(OutcomeFault::new("push-settings", text))
        }
    }
}

/// Returns a state of production as the contract spells it.
pub fn production_state(state: ProductionState) -> &'static str {
    match state {
        ProductionState::Queued => "queued",
        ProductionState::Started => "started",
        ProductionState::Done => "done",
        ProductionState::Failed => "failed",
    }
}

/// Checks that every text and list of an outcome can be stored, and has the form that the contract states.
fn check_values(outcome: &Outcome) -> Result<(), OutcomeFault> {
    match outcome {
        Outcome::Note(message) => check_message("note", message),
        Outcome::NeedsMerchant(message) => check_message("needs-merchant", message),
        Outcome::VendorReference(VendorReference { line, reference }) => {
            optional_name("vendor-reference.line", line.as_ref())?;
            name("vendor-reference.reference", reference)
        }
        Outcome::LineStatus(LineStatus { line, status }) => {
            name("line-status.line", line)?;
            not_empty("line-status.status", status)?;
            one_line("line-status.status", status, MAX_STATUS_BYTES)
        }
        Outcome::Production(Production { line, state: _, detail, expected, extra }) => {
            optional_name("production.line", line.as_ref())?;
            optional_time("production.expected", expected.as_ref())?;
            detail.iter().try_for_each(|detail| text("production.detail", detail, MAX_TEXT_BYTES))?;
            check_extra("production.extra", extra)
        }
        Outcome::Shipment(Shipment { id, lines, carrier, at, tracking_url, tracking_id, extra }) => {
            entries("shipment.lines", lines.len(), MAX_ENTRIES)?;
            let names = [("shipment.id", id), ("shipment.carrier", carrier), ("shipment.tracking-id", tracking_id)];
            names.into_iter().try_for_each(|(field, given)| optional_name(field, given.as_ref()))?;
            optional_time("shipment.at", at.as_ref())?;
            lines.iter().try_for_each(|pieces| name("shipment.lines", &pieces.line))?;
            tracking_url.iter().try_for_each(|url| one_line("shipment.tracking-url", url, MAX_URL_BYTES))?;
            check_extra("shipment.extra", extra)
        }
        Outcome::Document(document) => check_document(document),
        Outcome::BillOfMaterials(LineBillOfMaterials { line, articles }) => {
            const FIELD: &str = "bill-of-materials.articles";
            name("bill-of-materials.line", line)?;
            entries(FIELD, articles.len(), MAX_ARTICLES)?;
            articles.iter().try_for_each(check_article)?;
            let depth = check_tree(articles)
                .map_err(|(index, fault)| OutcomeFault::new(FIELD, format!("the article {index}: {fault}")))?;
            if depth > MAX_ARTICLE_DEPTH {
                let text = format!("it has {depth} levels; at most {MAX_ARTICLE_DEPTH} are allowed");
                return Err(OutcomeFault::new(FIELD, text));
            }
            Ok(())
        }
        Outcome::SetMemo(Memo { name: key, value }) => {
            not_empty("set-memo.name", key)?;
            name("set-memo.name", key)?;
            text("set-memo.value", value, MAX_MEMO_BYTES)
        }
        Outcome::PushSettings(settings) => {
            entries("push-settings", settings.len(), MAX_ENTRIES)?;
            settings.iter().try_for_each(check_setting)
        }
        Outcome::Forward(named) => check_json("forward", named),
        Outcome::Other(named) => {
            check_json("other", named)?;
            let text = format!("this host does not know the outcome {:?}", named.name);
            Err(OutcomeFault::new("other", text))
        }
    }
}

fn check_document(document: &Document) -> Result<(), OutcomeFault> {
    let Document { line, kind, name: file, media_type, content, audience: _, extra } = document;
    optional_name("document.line", line.as_ref())?;
    name("document.kind", kind)?;
    not_empty("document.name", file)?;
    one_line("document.name", file, MAX_DOCUMENT_NAME_BYTES)?;
    if file.contains(['/', '\\']) || matches!(file.as_str(), "." | "..") {
        return Err(OutcomeFault::new("document.name", format!("{file:?} is not a file name without folders")));
    }
    name("document.media-type", media_type)?;
    if !is_media_type(media_type) {
        let text = format!("{media_type:?} is not a media type, such as \"application/pdf\"");
        return Err(OutcomeFault::new("document.media-type", text));
    }
    if let BytesSource::Stored(digest) = content {
        // The limit on bytes that a call passes to the host bounds inline bytes.
        name("document.content", digest)?;
    }
    check_extra("document.extra", extra)
}

/// Returns whether a text is a media type (RFC 6838, 4.2), perhaps with parameters.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    let is_name = |name: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        name.len() <= MAX_MEDIA_TYPE_PART_BYTES
            && name.bytes().all(sign)
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    };
    essence.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

fn check_message(field: &str, Message { key, parameters, text: words }: &Message) -> Result<(), OutcomeFault> {
    name(&format!("{field}.key"), key)?;
    text(&format!("{field}.text"), words, MAX_TEXT_BYTES)?;
    let field = format!("{field}.parameters");
    entries(&field, parameters.len(), MAX_ENTRIES)?;
    parameters.iter().try_for_each(|(key, value)| {
        name(&field, key)?;
        text(&field, value, MAX_TEXT_BYTES)
    })
}

fn check_article(article: &Article) -> Result<(), OutcomeFault> {
    const FIELD: &str = "bill-of-materials.articles";
    let Article { sku, title, quantity, unit, price_sku, price, material_sku, parent: _, extra } = article;
    name(FIELD, sku)?;
    optional_name(FIELD, title.as_ref())?;
    if !is_decimal(quantity) {
        let shown: String = quantity.chars().take(80).collect();
        return Err(OutcomeFault::new(FIELD, format!("the quantity {shown:?} of {sku:?} is not a decimal number")));
    }
    optional_name(FIELD, unit.as_ref())?;
    optional_name(FIELD, price_sku.as_ref())?;
    optional_name(FIELD, material_sku.as_ref())?;
    price.iter().try_for_each(|price| name(FIELD, &price.currency))?;
    check_extra(FIELD, extra)
}

fn check_setting(Setting { name: key, value }: &Setting) -> Result<(), OutcomeFault> {
    name("push-settings", key)?;
    check_value_texts(value)
        .map_err(|fault| OutcomeFault::new("push-settings", format!("the value of {key:?} cannot be stored: {fault}")))
}

fn check_extra(field: &str, extra: &[NamedJson]) -> Result<(), OutcomeFault> {
    entries(field, extra.len(), MAX_ENTRIES)?;
    extra.iter().try_for_each(|named| check_json(field, named))
}

fn check_json(field: &str, NamedJson { name: key, json }: &NamedJson) -> Result<(), OutcomeFault> {
    name(field, key)?;
    text(field, json, MAX_JSON_BYTES)
}

fn optional_time(field: &str, given: Option<&String>) -> Result<(), OutcomeFault> {
    match given {
        Some(given) if parse_timestamp(given).is_none() => {
            let shown: String = given.chars().take(80).collect();
            let text = format!("{shown:?} is not an instant such as \"2026-03-01T09:30:00Z\"");
            Err(OutcomeFault::new(field, text))
        }
        _ => Ok(()),
    }
}

fn not_empty(field: &str, given: &str) -> Result<(), OutcomeFault> {
    if given.trim().is_empty() { Err(OutcomeFault::new(field, "it is empty")) } else { Ok(()) }
}

fn name(field: &str, given: &str) -> Result<(), OutcomeFault> {
    one_line(field, given, MAX_NAME_BYTES)
}

fn optional_name(field: &str, given: Option<&String>) -> Result<(), OutcomeFault> {
    given.map_or(Ok(()), |given| name(field, given))
}

fn one_line(field: &str, given: &str, allowed: usize) -> Result<(), OutcomeFault> {
    check_line(given, allowed).map_err(|fault| OutcomeFault::new(field, format!("it cannot be stored: {fault}")))
}

fn text(field: &str, given: &str, allowed: usize) -> Result<(), OutcomeFault> {
    check_text(given, allowed).map_err(|fault| OutcomeFault::new(field, format!("it cannot be stored: {fault}")))
}

fn entries(field: &str, count: usize, allowed: usize) -> Result<(), OutcomeFault> {
    if count <= allowed {
        return Ok(());
    }
    Err(OutcomeFault::new(field, format!("it has {count} entries; at most {allowed} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Audience, LineQuantity, SettingValue};
    use crate::text::MAX_DATA_BYTES;

    fn message(text: &str) -> Message {
        Message { key: "note".into(), parameters: Vec::new(), text: text.into() }
    }

    fn shipment(id: &str) -> Shipment {
        Shipment {
            id: Some(id.into()),
            lines: vec![],
            carrier: None,
            at: None,
            tracking_url: None,
            tracking_id: None,
            extra: vec![],
        }
    }

    fn production(detail: &str) -> Production {
        Production {
            line: None,
            state: ProductionState::Done,
            detail: Some(detail.into()),
            expected: None,
            extra: vec![],
        }
    }

    fn document(file: &str) -> Document {
        Document {
            line: None,
            kind: "drawing".into(),
            name: file.into(),
            media_type: "image/png".into(),
            content: BytesSource::Bytes(vec![0]),
            audience: Audience::Shopper,
            extra: vec![],
        }
    }

    fn article(sku: &str) -> Article {
        Article {
            sku: sku.into(),
            title: None,
            quantity: "1".into(),
            unit: None,
            price_sku: None,
            price: None,
            material_sku: None,
            parent: None,
            extra: vec![],
        }
    }

    /// Returns the field and the text of the fault.
    fn fault(outcome: Outcome) -> (String, String) {
        let OutcomeFault { field, text } = check_values(&outcome).unwrap_err();
        (field, text)
    }

    #[test]
    fn every_text_of_an_outcome_is_bounded_and_holds_no_nul() {
        let json = |json: &str| NamedJson { name: "n".into(), json: json.into() };
        let pairs = |value: &str| {
            vec![Setting {
                name: "s".into(),
                value: SettingValue::Pairs(vec![("a".into(), value.into()), ("b".into(), "x".into())]),
            }]
        };
        type With<'f> = &'f dyn Fn(&str) -> Outcome;
        let of: [(&str, usize, With<'_>); 12] = [
            ("note.text", MAX_TEXT_BYTES, &|given| Outcome::Note(message(given))),
            ("needs-merchant.text", MAX_TEXT_BYTES, &|given| Outcome::NeedsMerchant(message(given))),
            ("vendor-reference.reference", MAX_NAME_BYTES, &|given| {
                Outcome::VendorReference(VendorReference { line: None, reference: given.into() })
            }),
            ("line-status.status", MAX_STATUS_BYTES, &|given| {
                Outcome::LineStatus(LineStatus { line: "1".into(), status: given.into() })
            }),
            ("production.detail", MAX_TEXT_BYTES, &|given| Outcome::Production(production(given))),
            ("shipment.id", MAX_NAME_BYTES, &|given| Outcome::Shipment(shipment(given))),
            ("shipment.tracking-url", MAX_URL_BYTES, &|given| {
                Outcome::Shipment(Shipment { tracking_url: Some(given.into()), ..shipment("1") })
            }),
            ("document.name", MAX_DOCUMENT_NAME_BYTES, &|given| Outcome::Document(document(given))),
            ("bill-of-materials.articles", MAX_NAME_BYTES, &|given| {
                Outcome::BillOfMaterials(LineBillOfMaterials { line: "1".into(), articles: vec![article(given)] })
            }),
            ("set-memo.value", MAX_MEMO_BYTES, &|given| {
                Outcome::SetMemo(Memo { name: "n".into(), value: given.into() })
            }),
            ("forward", MAX_JSON_BYTES, &|given| Outcome::Forward(json(given))),
            // Two names and two values share the size limit of a setting.
            ("push-settings", MAX_DATA_BYTES - 3, &|given| Outcome::PushSettings(pairs(given))),
        ];
        for (field, allowed, outcome) in of {
            check_values(&outcome(&"x".repeat(allowed))).unwrap_or_else(|fault| panic!("{field}: {fault}"));
            let long = fault(outcome(&"x".repeat(allowed + 1)));
            assert!(long.0 == field && long.1.contains("are allowed"), "{field}: {long:?}");
            let nul = fault(outcome("a\0b"));
            assert!(nul.0 == field && nul.1.contains("NUL"), "{field}: {nul:?}");
        }
        let line = fault(Outcome::Document(document("a\nb"))).1;
        assert_eq!(line, "it cannot be stored: it contains the control character U+000A");
        check_values(&Outcome::Note(message("one\ntwo"))).unwrap();
    }

    #[test]
    fn a_documents_name_has_no_folders() {
        for file in ["a.pdf", "Größe 5.pdf", "..a", &"x".repeat(200)] {
            check_values(&Outcome::Document(document(file))).unwrap();
        }
        for file in ["", " ", ".", "..", "../etc/x.pdf", "a/b", "a\\b", "/a", &"x".repeat(201)] {
            assert_eq!(fault(Outcome::Document(document(file))).0, "document.name", "{file:?}");
        }
    }

    #[test]
    fn a_media_type_follows_its_grammar() {
        let with = |media_type: &str| Outcome::Document(Document { media_type: media_type.into(), ..document("a") });
        for media_type in ["application/pdf", "image/svg+xml", "text/csv; charset=utf-8", "model/gltf-binary"] {
            check_values(&with(media_type)).unwrap();
        }
        for media_type in ["", "pdf", "application/", "/pdf", "a b/c", "a/b/c", "+a/b", "a/.b", "a/b\r\nx: y"] {
            assert_eq!(fault(with(media_type)).0, "document.media-type", "{media_type:?}");
        }
    }

    #[test]
    fn times_are_instants_of_the_contract() {
        let expected = |at: &str| Outcome::Production(Production { expected: Some(at.into()), ..production("d") });
        let sent = |at: &str| Outcome::Shipment(Shipment { at: Some(at.into()), ..shipment("1") });
        for outcome in [expected("2026-03-01T09:30:00Z"), sent("2026-03-01T09:30:00Z")] {
            check_values(&outcome).unwrap();
        }
        for at in ["tomorrow", "2026-03-01", "2026-02-30T09:30:00Z", "2026-03-01T09:30:00.5Z"] {
            assert_eq!(fault(expected(at)).0, "production.expected", "{at}");
            assert_eq!(fault(sent(at)).0, "shipment.at", "{at}");
        }
    }

    #[test]
    fn a_status_and_a_memos_name_are_not_empty() {
        let status = Outcome::LineStatus(LineStatus { line: "1".into(), status: " ".into() });
        assert_eq!(fault(status).0, "line-status.status");
        assert_eq!(fault(Outcome::SetMemo(Memo { name: String::new(), value: "v".into() })).0, "set-memo.name");
    }

    #[test]
    fn an_order_has_a_bounded_number_of_memos() {
        let memo = |number: usize| Outcome::SetMemo(Memo { name: number.to_string(), value: String::new() });
        let mut names = BTreeSet::new();
        for number in 0..MAX_MEMOS {
            check_memo_count(&mut names, &memo(number)).unwrap();
        }
        let fault = check_memo_count(&mut names, &memo(MAX_MEMOS)).unwrap_err();
        assert_eq!(fault.field, "set-memo.name");
        // A known name gets another value.
        check_memo_count(&mut names, &memo(0)).unwrap();
        assert_eq!(names.len(), MAX_MEMOS);
    }

    #[test]
    fn an_article_has_a_decimal_quantity() {
        let article = Article { quantity: "two".into(), ..article("A") };
        let bill = LineBillOfMaterials { line: "1".into(), articles: vec![article] };
        assert_eq!(fault(Outcome::BillOfMaterials(bill)).0, "bill-of-materials.articles");
    }

    #[test]
    fn an_outcome_that_the_host_does_not_know_is_refused_by_name() {
        let later = NamedJson { name: "recall".into(), json: "{}".into() };
        let (field, text) = fault(Outcome::Other(later));
        assert_eq!((field.as_str(), text.as_str()), ("other", "this host does not know the outcome \"recall\""));
    }

    #[test]
    fn lines_are_those_of_the_order_and_stored_bytes_those_of_the_call() {
        let form = Form(Vec::new());
        let euro = serde_json::json!({ "minor": 1, "scale": 2, "currency": "EUR" });
        let order: Order = serde_json::from_value(serde_json::json!({
            "id": "1", "number": "1", "locale": "en", "currency": "EUR", "reference": "i:s:1", "customer": null, "test": false,
            "vendor_reference": null, "version": 1, "placed_at": "2026-01-01T12:00:00Z", "paid": euro, "refunded": euro,
            "released": true, "cancelled": false, "total": euro, "tax_amount": null, "shipping": null, "billing": null,
            "delivery": null, "shop_address": null, "lines": [], "extra": [],
        }))
        .unwrap();
        let pieces = LineQuantity { line: "9".into(), quantity: 1 };
        let unknown = [
            Outcome::LineStatus(LineStatus { line: "9".into(), status: "ready".into() }),
            Outcome::Shipment(Shipment { lines: vec![pieces], ..shipment("1") }),
            Outcome::Document(Document { line: Some("9".into()), ..document("a") }),
        ];
        for outcome in unknown {
            let fault = check(&form, Some(&order), &[], &outcome).unwrap_err();
            assert!(fault.text.contains("does not have the line \"9\""), "{fault}");
        }
        let digest = "0".repeat(64);
        let stored = Document { content: BytesSource::Stored(digest.clone()), ..document("a") };
        let fault = check(&form, Some(&order), &[], &Outcome::Document(stored.clone())).unwrap_err();
        assert_eq!(fault.field, "document.content");
        check(&form, Some(&order), &[digest], &Outcome::Document(stored)).unwrap();
        let CallError::InvalidInput(issue) = CallError::from(fault) else { panic!("another error") };
        assert_eq!((issue.field.as_str(), issue.blocking), ("document.content", true));
    }

    #[test]
    fn a_bill_of_materials_is_a_tree_of_bounded_depth() {
        let nested = |parent: Option<u32>| Article { parent, ..article("A") };
        let bill = |articles| Outcome::BillOfMaterials(LineBillOfMaterials { line: "1".into(), articles });
        let chain = |depth: u32| (0..depth).map(|index| nested(index.checked_sub(1))).collect::<Vec<_>>();
        check_values(&bill(chain(32))).unwrap();
        let (field, text) = fault(bill(chain(33)));
        assert_eq!(
            (field.as_str(), text.as_str()),
            ("bill-of-materials.articles", "it has 33 levels; at most 32 are allowed")
        );
        let own_part = fault(bill(vec![nested(Some(0))])).1;
        assert!(own_part.starts_with("the article 0: its parent is 0"), "{own_part}");
    }
}
