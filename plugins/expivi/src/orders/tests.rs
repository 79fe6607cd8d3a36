use cartwright_plugin::http::{HttpRequest, HttpResponse, RetrySafety};
use cartwright_plugin::types::{
    CartLine, Item, LineQuantities, LineQuantity, Money, OrderLine, Refund, Refusal, SettingValue, TaxBasis,
};

use super::*;
use crate::testing::{FakeHost, MULTI, SIMPLE, context, error_field, item, item_summary, response, stored, text};

const TABLE: &str = "0a2b4c6d-1e3f-4a5b-8c7d-9e0f1a2b1004";
const CHAIR: &str = "1b3c5d7e-2f4a-4b6c-9d8e-0f1a2b3c1005";

fn line(id: &str, item: Option<Item>) -> OrderLine {
    OrderLine {
        id: id.to_owned(),
        reference: format!("i:shop:o1:{id}"),
        account: Some("expivi".to_owned()),
        title: "Table".to_owned(),
        display_fields: Vec::new(),
        quantities: LineQuantities { ordered: 1, cancelled: 0, refunded: 0, shipped: 0 },
        cart_line: CartLine {
            key: format!("key-{id}"),
            product: "shop-product".to_owned(),
            variant_id: None,
            sku: None,
            quantity: 1,
            parent_key: None,
            unit_price: None,
            configuration: None,
            item: item.as_ref().map(item_summary),
            extra: Vec::new(),
        },
        configuration: Some("saved".to_owned()),
        status: "ordered".to_owned(),
        vendor_reference: None,
        released: true,
        total: None,
        tax: TaxBasis::AsShop,
        tax_amount: None,
        extra: Vec::new(),
    }
}

fn euros(minor: i64) -> Money {
    Money { minor, scale: 2, currency: "EUR".to_owned() }
}

fn event(kind: OrderEventKind, lines: Vec<OrderLine>) -> OrderEvent {
    OrderEvent {
        id: "e1".to_owned(),
        at: "2026-03-01T09:30:00Z".to_owned(),
        kind,
        order: Order {
            id: "o1".to_owned(),
            number: "#1".to_owned(),
            locale: "en".to_owned(),
            currency: "EUR".to_owned(),
            customer: None,
            reference: "i:shop:o1".to_owned(),
            test: false,
            vendor_reference: None,
            version: 1,
            placed_at: "2026-03-01T09:30:00Z".to_owned(),
            paid: euros(1000),
            refunded: euros(0),
            released: true,
            cancelled: false,
            total: euros(1000),
            tax_amount: None,
            shipping: None,
            billing: None,
            delivery: None,
            shop_address: None,
            lines,
            extra: Vec::new(),
        },
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    }
}

fn table() -> Option<Item> {
    Some(Item { id: Some(TABLE.to_owned()), ..item("1004") })
}

fn with_token(more: &[(&'static str, SettingValue)]) -> Context {
    let mut settings = vec![("server-token", SettingValue::SecretIsSet)];
    settings.extend_from_slice(more);
    context(&settings)
}

fn printing() -> Context {
    let media = SettingValue::Pairs(vec![("1004".into(), "501".into()), ("1005".into(), "502".into())]);
    with_token(&[
        ("print-files", SettingValue::Boolean(true)),
        ("media-ids", media),
        ("print-dpi", SettingValue::Integer(300)),
    ])
}

/// Responds as public code expects Expivi to; a conversion is in progress at the first two polls.
fn expivi(request: &HttpRequest) -> Result<HttpResponse, CallError> {
    match request.url.strip_prefix("https://expivi.net/api/") {
        Some("configured_product/bundle") => {
            response(200, &format!(r#"{{"{TABLE}":70001,"{CHAIR}":"70002","x":{{}}}}"#))
        }
        Some(path) if path.starts_with("svg/conversion/request/") => {
            response(200, r#"{"hash":"abc","status":"in_progress","files":[]}"#)
        }
        Some("svg/conversion/check/abc") => response(
            200,
            r#"{"status":"complete","files":[{"name":"../front.pdf","url":"https://expivi.net/files/1/print.pdf"},"/files/2.pdf"]}"#,
        ),
        None if request.store_body => stored("digest"),
        other => panic!("{other:?}"),
    }
}

fn host(raw: &str, answer: impl Fn(&HttpRequest) -> Result<HttpResponse, CallError> + 'static) -> FakeHost {
    FakeHost { blob: raw.as_bytes().to_vec(), ..FakeHost::new(answer) }
}

/// Returns the recorded outcomes in short form, without memos.
fn outcome_texts(host: &FakeHost) -> Vec<String> {
    host.outcomes
        .iter()
        .filter(|outcome| !matches!(outcome, Outcome::SetMemo(_)))
        .map(|outcome| match outcome {
            Outcome::Note(message) => format!("note {}", message.key),
            Outcome::NeedsMerchant(message) => format!("merchant {}", message.key),
            Outcome::VendorReference(reference) => format!("reference {}", reference.reference),
            Outcome::BillOfMaterials(materials) => format!("materials {}", materials.line),
            Outcome::Document(document) => format!("{} {}", document.kind, document.name),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn run(host: &mut FakeHost, context: &Context, event: &OrderEvent) -> Result<u32, CallError> {
    let (mut state, mut runs) = (None, 0);
    loop {
        runs += 1;
        assert!(runs < 200, "it never ends");
        match handle(host, context, event, state.as_deref())? {
            Next::Done => return Ok(runs),
            Next::ContinueLater(later) => state = Some(later.state),
        }
    }
}

#[test]
fn without_a_server_token_nothing_is_sent_and_that_is_said_once() {
    let mut host = host(MULTI, |_| panic!("sent"));
    let lines = vec![line("1", table()), line("2", table())];
    run(&mut host, &context(&[]), &event(OrderEventKind::Released, lines)).unwrap();
    assert_eq!(outcome_texts(&host), ["note upload-off", "materials 1", "materials 2"]);
}

#[test]
fn a_released_order_is_uploaded_once_for_each_configuration() {
    let mut host = host(MULTI, expivi);
    let chair = Some(Item { id: Some(CHAIR.to_owned()), ..item("1005") });
    let lines = vec![line("1", table()), line("2", chair)];
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, lines)).unwrap();
    assert_eq!(outcome_texts(&host), ["materials 1", "reference 70001", "materials 2", "reference 70002"]);
    assert_eq!(host.calls(), ["POST https://expivi.net/api/configured_product/bundle"]);
    assert_eq!(host.requests[0].retry_safety, RetrySafety::Safe);
    let sent = host.sent_body(0);
    assert_eq!(sent["bundle_uuid"], "c1a7e9d0-0b7d-4f0a-9b1c-6a5e4d3c2b1a");
    assert_eq!(sent["configured_products"].as_array().unwrap().len(), 3);
}

#[test]
fn a_bundle_without_an_id_is_uploaded_with_null() {
    let raw = r#"[{"catalogue_id":1,"uuid":"a","bundle_uuid":""}]"#;
    let mut host = host(raw, |_| response(200, r#"{"a":1}"#));
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, vec![line("1", None)])).unwrap();
    assert_eq!(host.sent_body(0)["bundle_uuid"], serde_json::Value::Null);
}

#[test]
fn print_files_are_asked_for_awaited_and_kept() {
    let mut host = host(MULTI, expivi);
    run(&mut host, &printing(), &event(OrderEventKind::Released, vec![line("1", table())])).unwrap();
    // Table and chair; the chair's replica would have the chair's file.
    let files = ["print-file front.pdf", "print-file 2.pdf", "print-file front.pdf", "print-file 2.pdf"];
    assert_eq!(outcome_texts(&host), [&["materials 1", "reference 70001"][..], &files[..]].concat());
    assert_eq!(host.sleeps, [5]);
    let sent = host.sent_body(1);
    assert_eq!(
        sent,
        serde_json::json!({"configured_product_id": 70001, "media_id": 501, "hide_print_marks": false,
            "hide_placeholders": false, "attribute_payload": "visible", "dpi": 300})
    );
    assert!(host.calls().contains(&"GET https://expivi.net/files/2.pdf".to_owned()));
}

#[test]
fn waiting_grows_and_ends_with_a_person() {
    let mut host = host(MULTI, |request| match request.url.contains("check") {
        true => response(200, r#"{"status":"in_progress"}"#),
        false => expivi(request),
    });
    run(&mut host, &printing(), &event(OrderEventKind::Released, vec![line("1", table())])).unwrap();
    assert_eq!(host.sleeps[..7], [5, 10, 20, 40, 80, 160, 300]);
    assert_eq!(outcome_texts(&host)[2..], ["merchant print-file-failed", "merchant print-file-failed"]);
}

#[test]
fn failed_conversions_and_unknown_files_go_to_the_merchant() {
    for (check, said) in [
        (r#"{"status":"failed","files":[]}"#, "merchant print-file-failed"),
        (r#"{"status":"not_processing"}"#, "merchant print-file-failed"),
        (r#"{"status":"complete","files":[]}"#, "merchant print-file-failed"),
        (r#"{"status":"complete","files":[{"id":7}]}"#, "merchant print-file-unknown"),
        (r#"{"status":"complete","files":["javascript:alert(1)"]}"#, "merchant print-file-unknown"),
        ("gone", "merchant print-file-failed"),
    ] {
        let mut host = host(MULTI, move |request| match request.url.contains("check") {
            true => response(200, check),
            false => expivi(request),
        });
        run(&mut host, &printing(), &event(OrderEventKind::Released, vec![line("1", table())])).unwrap();
        assert_eq!(outcome_texts(&host)[2..], [said, said], "{check}");
    }
}

#[test]
fn a_file_at_a_host_that_is_not_granted_is_told_with_its_address() {
    let mut host = host(MULTI, |request| match request.store_body {
        true => Err(CallError::Denied(Refusal {
            what: "outbound-host:cdn".to_owned(),
            text: "grants.hosts += \"cdn\"".to_owned(),
        })),
        false => expivi(request),
    });
    run(&mut host, &printing(), &event(OrderEventKind::Released, vec![line("1", table())])).unwrap();
    let Some(Outcome::NeedsMerchant(message)) = host.outcomes.last() else { panic!() };
    assert!(message.text.contains("https://expivi.net/files/2.pdf") && message.text.contains("grants.hosts"));
}

#[test]
fn a_line_that_fails_does_not_stop_the_others_and_an_outage_stops_all() {
    let refuse = |status: u16| move |_: &HttpRequest| response(status, "no");
    let lines = || vec![line("1", table()), line("2", table())];
    let mut host = host(MULTI, refuse(422));
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, lines())).unwrap();
    assert_eq!(outcome_texts(&host), ["materials 1", "merchant line-failed", "materials 2", "merchant line-failed"]);

    let mut host = self::host(MULTI, refuse(503));
    assert!(matches!(
        run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, lines())),
        Err(CallError::Unavailable(_))
    ));
    let mut host = self::host(MULTI, refuse(403));
    assert_eq!(
        error_field(run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, lines()))).0,
        "server-token"
    );
}

#[test]
fn a_configuration_without_uuid_cannot_be_uploaded_and_says_so() {
    let mut host = host(SIMPLE, |_| panic!("sent"));
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, vec![line("1", Some(item("1001")))])).unwrap();
    assert_eq!(outcome_texts(&host), ["materials 1", "note uuid-missing"]);
}

#[test]
fn a_line_that_could_stand_for_several_products_is_not_guessed() {
    let raw = r#"[{"catalogue_id":1,"uuid":"a"},{"catalogue_id":1,"uuid":"b"}]"#;
    let mut host = host(raw, |_| panic!("sent"));
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, vec![line("1", Some(item("1")))])).unwrap();
    assert_eq!(outcome_texts(&host), ["materials 1", "merchant line-ambiguous"]);
}

#[test]
fn what_was_done_at_an_earlier_event_is_not_done_again() {
    let mut first = host(MULTI, expivi);
    let mut again = event(OrderEventKind::Released, vec![line("1", table())]);
    run(&mut first, &printing(), &again).unwrap();
    again.previous_outcomes = first.outcomes;
    again.order.lines[0].vendor_reference = Some("70001".to_owned());
    let mut second = host(MULTI, |_| panic!("sent"));
    run(&mut second, &printing(), &again).unwrap();
    assert_eq!(outcome_texts(&second), Vec::<String>::new());
}

#[test]
fn print_files_that_an_earlier_event_still_waits_for_are_not_asked_for_again() {
    let mut first = host(MULTI, |request| match request.url.contains("check") {
        true => response(503, "away"),
        false => expivi(request),
    });
    let mut again = event(OrderEventKind::Released, vec![line("1", table())]);
    assert!(run(&mut first, &printing(), &again).is_err());
    for outcome in &first.outcomes {
        if let Outcome::SetMemo(text) = outcome {
            again.memos.push(text.clone());
        }
    }
    again.previous_outcomes = first.outcomes;
    again.order.lines[0].vendor_reference = Some("70001".to_owned());
    let mut second = host(MULTI, |request| {
        assert!(!request.url.contains("/request/") && !request.url.ends_with("/bundle"), "{}", request.url);
        expivi(request)
    });
    run(&mut second, &printing(), &again).unwrap();
    assert_eq!(outcome_texts(&second).iter().filter(|outcome_text| outcome_text.starts_with("print-file")).count(), 4);
}

#[test]
fn a_line_without_a_bill_of_materials_confirms_none() {
    let mut host = host(MULTI, |_| panic!("sent"));
    host.articles.clear();
    run(&mut host, &context(&[]), &event(OrderEventKind::Released, vec![line("1", table())])).unwrap();
    assert_eq!(outcome_texts(&host), ["note upload-off"]);
}

#[test]
fn lines_that_are_held_cancelled_or_children_are_left_alone() {
    let held = OrderLine { released: false, ..line("1", table()) };
    let cancelled = OrderLine { status: "cancelled".to_owned(), ..line("2", table()) };
    let mut child = line("3", None);
    child.cart_line.parent_key = Some("key-1".to_owned());
    let mut host = host(MULTI, |_| panic!("sent"));
    run(&mut host, &with_token(&[]), &event(OrderEventKind::Released, vec![held, cancelled, child])).unwrap();
    assert_eq!(outcome_texts(&host), Vec::<String>::new());
}

#[test]
fn a_large_order_is_done_in_runs_that_fit_a_journal() {
    let mut host = host(MULTI, expivi);
    let lines: Vec<OrderLine> = (0..150).map(|id| line(&id.to_string(), table())).collect();
    let event = event(OrderEventKind::Released, lines);
    let (mut state, mut largest, mut runs) = (None, 0, 0);
    loop {
        runs += 1;
        let before = host.requests.len() * 2 + host.outcomes.len() + host.sleeps.len();
        let next = handle(&mut host, &printing(), &event, state.as_deref()).unwrap();
        largest = largest.max(host.requests.len() * 2 + host.outcomes.len() + host.sleeps.len() - before);
        match next {
            Next::Done => break,
            Next::ContinueLater(later) => {
                assert!(later.state.len() < 64 << 10);
                state = Some(later.state);
            }
        }
    }
    assert!(largest < 450, "{largest} entries in one run of {runs}");
    // One event can be continued a hundred times.
    assert!(runs <= 100, "{runs} runs");
    assert_eq!(host.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Document(_))).count(), 600);
}

#[test]
fn an_order_that_was_cancelled_or_paid_back_is_neither_sent_nor_waited_for() {
    for (cancelled, refunded) in [(true, 0), (false, 1000)] {
        let mut host = host(MULTI, expivi);
        let mut event = event(OrderEventKind::Released, vec![line("1", table())]);
        let off = Order { cancelled, refunded: euros(refunded), ..event.order.clone() };
        host.wake_reason = WakeReason::EventWaiting;
        host.order = Some(off.clone());
        assert_eq!(run(&mut host, &printing(), &event).unwrap(), 1);
        assert_eq!(outcome_texts(&host)[2..], ["note print-files-abandoned"]);
        event.order = off;
        let mut host = super::tests::host(MULTI, |_| panic!("sent"));
        run(&mut host, &printing(), &event).unwrap();
        assert_eq!(outcome_texts(&host), ["note no-longer-released"]);
    }
}

#[test]
fn another_event_that_waits_does_not_stop_the_looking() {
    let mut host = host(MULTI, expivi);
    let event = event(OrderEventKind::Released, vec![line("1", table())]);
    host.wake_reason = WakeReason::EventWaiting;
    host.order = Some(event.order.clone());
    assert_eq!(run(&mut host, &printing(), &event).unwrap(), 2);
    assert_eq!(outcome_texts(&host).len(), 6);
}

#[test]
fn other_events_ask_nothing_of_expivi() {
    for (kind, said) in [
        (OrderEventKind::Placed, vec![]),
        (OrderEventKind::Cancelled, vec![]),
        (
            OrderEventKind::Refunded(Refund {
                lines: vec![LineQuantity { line: "1".to_owned(), quantity: 1 }],
                amount: None,
                extra: Vec::new(),
            }),
            vec![],
        ),
        (OrderEventKind::QuoteRequested, vec!["note quote-requested"]),
        (OrderEventKind::Erase, vec!["merchant erase-at-vendor"]),
    ] {
        let mut host = host(MULTI, |_| panic!("sent"));
        let uploaded = OrderLine { vendor_reference: Some("70001".to_owned()), ..line("1", table()) };
        run(&mut host, &with_token(&[("price-authority", text("platform"))]), &event(kind, vec![uploaded])).unwrap();
        assert_eq!(outcome_texts(&host), said);
    }
}
