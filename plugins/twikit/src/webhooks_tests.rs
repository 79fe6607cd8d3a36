#![allow(clippy::unwrap_used)]

use super::*;
use crate::fields::DELIVERY;
use crate::identifiers::LATER_PART_SUFFIX;
use crate::testing::*;
use cartwright_plugin::outage;
use cartwright_plugin::types::*;

const ORDER: &str = "inst:shop:1001";

fn post(body: &str) -> WebhookRequest {
    WebhookRequest {
        id: "delivery-1".into(),
        received_at: "2026-03-01T09:30:00Z".into(),
        method: "POST".into(),
        headers: Vec::new(),
        query: String::new(),
        body: body.as_bytes().to_vec(),
        extra: Vec::new(),
    }
}

fn book(order: Order) -> impl Fn(&str) -> Result<Option<Order>, CallError> {
    move |reference| {
        let found = order.reference == reference || order.lines.iter().any(|line| line.reference == reference);
        Ok(found.then(|| order.clone()))
    }
}

fn call(endpoint: &str, body: &Value, order: Order) -> WebhookResult {
    receive(&context(), endpoint, &post(&body.to_string()), &book(order)).unwrap()
}

fn response(received: &WebhookResult) -> (u16, Value) {
    (received.response.status, serde_json::from_slice(&received.response.body).unwrap())
}

fn outcomes(received: &WebhookResult) -> Vec<&Outcome> {
    let order = ReportSubject::Reference(ORDER.into());
    assert!(received.reports.iter().all(|report| report.about == order));
    received.reports.iter().map(|report| &report.outcome).collect()
}

/// Returns an order during its creation at Twikit: the lines a (7), b (7) and c (8) are the part, d is released but in
/// no part yet.
fn pending() -> Order {
    let named = |line: OrderLine| OrderLine { vendor_reference: Some(ORDER.into()), ..line };
    order(vec![named(line("a", 7, 2)), named(line("b", 7, 1)), named(line("c", 8, 1)), line("d", 9, 1)])
}

fn verify(ids: Value, order: Order) -> (u16, Value) {
    response(&call(PAYMENT_VERIFICATION, &json!({ "configurationIds": ids, "identifier": ORDER }), order))
}

#[test]
fn a_released_order_with_the_same_configurations_is_valid() {
    let question =
        json!({ "identifier": ORDER, "configurationIds": [8, 7, 7], "data": { "reference": ORDER }, "more": 1 });
    let received = call(PAYMENT_VERIFICATION, &question, pending());
    assert_eq!(response(&received), (200, json!({ "error": "", "success": true })));
    assert_eq!(received.response.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert!(matches!(outcomes(&received)[..], [Outcome::SetMemo(memory)] if memory.name == "verified:inst:shop:1001"));
}

#[test]
fn configurations_are_compared_as_a_multiset() {
    for ids in [json!([7, 8]), json!([7, 8, 8]), json!([7, 7, 8, 9]), json!([7, 7, 7, 8]), json!([])] {
        assert_eq!(verify(ids.clone(), pending()), (200, json!({ "error": "", "success": false })), "{ids}");
    }
}

#[test]
fn an_order_that_is_unknown_cancelled_or_not_released_is_invalid() {
    let no = (200, json!({ "error": "", "success": false }));
    assert_eq!(verify(json!([7, 7, 8]), Order { released: false, ..pending() }), no);
    assert_eq!(verify(json!([7, 7, 8]), Order { cancelled: true, ..pending() }), no);
    assert_eq!(verify(json!([7, 7, 8]), Order { refunded: pending().paid, ..pending() }), no);
    assert_eq!(
        verify(json!([7, 7, 8]), Order { reference: "inst:shop:other".into(), lines: Vec::new(), ..pending() }),
        no
    );
    let mut held = pending();
    held.lines[2].released = false;
    assert_eq!(verify(json!([7, 7, 8]), held), no);
}

#[test]
fn an_order_book_that_does_not_show_the_parts_yet_is_enough() {
    let mut order = order(vec![line("a", 7, 2), OrderLine { released: false, ..line("b", 8, 1) }]);
    assert_eq!(verify(json!([7]), order.clone()).1["success"], true);
    assert_eq!(verify(json!([7, 8]), order.clone()).1["success"], false);
    order.lines[0].released = false;
    assert_eq!(verify(json!([]), order).1["success"], false);
}

#[test]
fn a_later_part_is_found_by_its_first_line() {
    let mut order = pending();
    let identifier = format!("{ORDER}:d{LATER_PART_SUFFIX}");
    order.lines[3].vendor_reference = Some(identifier.clone());
    let ask = |ids: Value| {
        response(&call(
            PAYMENT_VERIFICATION,
            &json!({ "identifier": identifier, "configurationIds": ids }),
            order.clone(),
        ))
        .1
    };
    assert_eq!(ask(json!([9]))["success"], true);
    assert_eq!(ask(json!([7, 7, 8]))["success"], false);
}

#[test]
fn a_question_about_a_file_is_answered_for_its_line() {
    for data in [json!({ "reference": "inst:shop:1001:c" }), json!("{\"reference\":\"inst:shop:1001:c\"}")] {
        let question = json!({ "configurationIds": [8], "identifier": null, "data": data });
        assert_eq!(response(&call(PAYMENT_VERIFICATION, &question, pending())).1["success"], true);
    }
}

#[test]
fn an_order_book_that_does_not_answer_is_an_error_and_never_a_no() {
    let fails = |_: &str| Err(outage("the platform is away", None));
    let question = json!({ "configurationIds": [7], "identifier": ORDER });
    let received = receive(&context(), PAYMENT_VERIFICATION, &post(&question.to_string()), &fails).unwrap();
    assert_eq!(received.response.status, 503);
    assert_ne!(response(&received).1["error"], "");
    let notice = json!({ "identifier": ORDER, "success": true });
    let received = receive(&context(), PRODUCTION_COMPLETION, &post(&notice.to_string()), &fails).unwrap();
    assert_eq!((received.response.status, received.reports), (503, Vec::new()));
}

#[test]
fn production_that_is_done_says_so() {
    let notice = json!({ "identifier": ORDER, "url": "https://track.example/1", "success": true, "error": "" });
    let order = order(vec![line("a", 7, 1)]);
    let received = call(PRODUCTION_COMPLETION, &notice, order);
    assert_eq!(response(&received), (200, json!({ "error": "" })));
    let [Outcome::Production(production)] = outcomes(&received)[..] else { panic!("{received:?}") };
    assert_eq!(
        (production.state, production.detail.as_deref()),
        (ProductionState::Done, Some("https://track.example/1"))
    );
    assert_eq!(production.line, None);
}

#[test]
fn production_that_failed_needs_the_merchant() {
    let notice = json!({ "identifier": ORDER, "url": null, "success": false, "error": "mesh is open" });
    let received = call(PRODUCTION_COMPLETION, &notice, pending());
    let outcomes = outcomes(&received);
    let failed = outcomes.iter().filter(
        |outcome| matches!(outcome, Outcome::Production(p) if p.state == ProductionState::Failed && p.line.is_some()),
    );
    // Only the part's lines, so without d.
    assert_eq!(failed.count(), 3);
    assert!(matches!(outcomes.last(), Some(Outcome::NeedsMerchant(message)) if message.text.contains("mesh is open")));
}

#[test]
fn an_unknown_order_is_an_error_and_changes_nothing() {
    for (endpoint, body) in [
        (PRODUCTION_COMPLETION, json!({ "identifier": "elsewhere", "success": true })),
        (ORDER_COMPLETION, json!({ "identifier": "elsewhere", "lineItems": [] })),
    ] {
        let received = call(endpoint, &body, pending());
        assert_ne!(response(&received).1["error"], "");
        assert!(received.reports.is_empty());
    }
}

fn completion(lines: Value) -> Value {
    json!({ "identifier": ORDER, "trackingUrl": "https://track.example/9", "trackingId": 12345, "lineItems": lines })
}

fn item(id: &str, configuration: u64, product: &str) -> Value {
    json!({
        "identifier": format!("{ORDER}:{id}"), "configurationId": configuration, "amount": 1,
        "previewUrl": "https://p.example/1.png", "productKey": product,
    })
}

#[test]
fn a_completed_order_is_shipped_line_by_line() {
    let notice = completion(json!([item("a", 7, "diamond-letter-jewel"), item("c", 8, "diamond-letter-jewel")]));
    let received = call(ORDER_COMPLETION, &notice, pending());
    assert_eq!(response(&received), (200, json!({ "error": "" })));
    let outcomes = outcomes(&received);
    let Outcome::Shipment(shipment) = outcomes[0] else { panic!("{outcomes:?}") };
    let sent: Vec<_> = shipment.lines.iter().map(|pieces| pieces.line.as_str()).collect();
    assert_eq!(sent, ["a", "c"]);
    assert_eq!(shipment.tracking_url.as_deref(), Some("https://track.example/9"));
    assert_eq!(shipment.tracking_id.as_deref(), Some("12345"));
    assert!(
        matches!(outcomes[1..], [Outcome::LineStatus(a), Outcome::LineStatus(_)] if a.line == "a" && a.status == "shipped")
    );
}

#[test]
fn what_goes_to_the_shop_or_has_no_tracking_is_ready() {
    let status = |context: &Context, notice: &Value| {
        let received = receive(context, ORDER_COMPLETION, &post(&notice.to_string()), &book(pending())).unwrap();
        match &received.reports.last().unwrap().outcome {
            Outcome::LineStatus(line) => line.status.clone(),
            other => panic!("{other:?}"),
        }
    };
    let notice = completion(json!([item("a", 7, "diamond-letter-jewel")]));
    assert_eq!(status(&context_with(&[(DELIVERY, "shop")]), &notice), "ready");
    let untracked = json!({ "identifier": ORDER, "trackingUrl": "", "trackingId": null, "lineItems": null });
    assert_eq!(status(&context(), &untracked), "ready");
}

#[test]
fn a_tracking_address_that_is_no_link_is_left_out() {
    let mut notice = completion(json!([]));
    notice["trackingUrl"] = json!("javascript:alert(1)");
    let received = call(ORDER_COMPLETION, &notice, pending());
    assert!(matches!(outcomes(&received)[0], Outcome::Shipment(shipment) if shipment.tracking_url.is_none()));
}

fn shipments(received: &[WebhookResult]) -> Vec<&Shipment> {
    let reports = received.iter().flat_map(|received| &received.reports);
    let shipments = reports.filter_map(|report| match &report.outcome {
        Outcome::Shipment(shipment) => Some(shipment),
        _ => None,
    });
    shipments.collect()
}

#[test]
fn each_parcel_has_an_id_of_its_own_and_keeps_it() {
    let parcel = |tracking_id: Value, tracking_url: &str, lines: Value| {
        let notice = json!({
            "identifier": ORDER, "trackingUrl": tracking_url, "trackingId": tracking_id, "lineItems": lines,
        });
        call(ORDER_COMPLETION, &notice, pending())
    };
    let (a, c) = (|| json!([item("a", 7, "k")]), || json!([item("c", 8, "k")]));
    let url = "https://track.example/1";
    let different = [
        parcel(json!("PARCEL1"), url, a()),
        parcel(json!("PARCEL2"), url, c()),
        parcel(json!("PARCEL2"), url, a()),
        parcel(json!("PARCEL1"), url, json!(null)),
        parcel(json!("PARCEL2"), url, json!(null)),
        parcel(json!(null), url, a()),
        parcel(json!(null), "https://track.example/2", a()),
    ];
    let ids: std::collections::BTreeSet<_> = shipments(&different).into_iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids.len(), different.len());
    let again = [parcel(json!("PARCEL1"), url, a()), parcel(json!("PARCEL1"), "https://track.example/corrected", a())];
    let id = shipments(&different)[0].id.clone();
    assert!(id.as_ref().is_some_and(|id| id.len() == 32));
    assert!(shipments(&again).iter().all(|shipment| shipment.id == id));
}

#[test]
fn a_late_notice_takes_no_status_back() {
    for (now, tracked, untracked) in [
        ("ordered", Some("shipped"), Some("ready")),
        ("in-production", Some("shipped"), Some("ready")),
        ("ready", Some("shipped"), None),
        ("shipped", None, None),
        ("cancelled", None, None),
        ("polished", Some("shipped"), Some("ready")),
    ] {
        let status = |tracking: Value| {
            let mut order = pending();
            order.lines.truncate(1);
            order.lines[0].status = now.into();
            let notice = json!({ "identifier": ORDER, "trackingId": tracking, "lineItems": null });
            let received = call(ORDER_COMPLETION, &notice, order);
            received.reports.into_iter().find_map(|report| match report.outcome {
                Outcome::LineStatus(line) => Some(line.status),
                _ => None,
            })
        };
        assert_eq!(status(json!("PARCEL1")).as_deref(), tracked, "{now}");
        assert_eq!(status(json!(null)).as_deref(), untracked, "{now}");
    }
}

#[test]
fn a_tracking_address_is_mended_where_it_can_be() {
    let link = |url: Value| {
        let notice = json!({ "identifier": ORDER, "trackingUrl": url, "trackingId": 1, "lineItems": null });
        shipments(&[call(ORDER_COMPLETION, &notice, pending())])[0].tracking_url.clone()
    };
    assert_eq!(link(json!("//track.example/my parcel")).as_deref(), Some("https://track.example/my%20parcel"));
    for url in
        [json!("javascript:alert(1)"), json!(7), json!({}), json!(format!("https://a.example/{}", "x".repeat(2048)))]
    {
        assert_eq!(link(url.clone()), None, "{url}");
    }
}

#[test]
fn what_twikit_says_of_a_failure_is_one_line_and_cut_between_characters() {
    let notice = json!({ "identifier": ORDER, "success": false, "error": format!("mesh\nis\u{0}open {}", "👨\u{200d}👩".repeat(9000)) });
    let received = call(PRODUCTION_COMPLETION, &notice, pending());
    let Some(Outcome::NeedsMerchant(message)) = outcomes(&received).pop() else { panic!("{received:?}") };
    assert!(message.text.contains("mesh is open 👨\u{200d}👩") && message.text.ends_with("👩…"), "{}", message.text);
}

#[test]
fn lines_and_configurations_that_are_not_the_orders_are_errors() {
    for lines in [json!([item("x", 7, "k")]), json!([item("a", 8, "k")]), json!([item("a", 7, "k"), item("d", 9, "k")])]
    {
        let received = call(ORDER_COMPLETION, &completion(lines.clone()), pending());
        assert_eq!((received.response.status, received.reports.len()), (409, 0), "{lines}");
    }
}

#[test]
fn another_product_than_was_sold_is_told_to_the_merchant() {
    let received = call(ORDER_COMPLETION, &completion(json!([item("a", 7, "dearer-ring")])), pending());
    assert!(
        outcomes(&received)
            .iter()
            .any(|outcome| matches!(outcome, Outcome::NeedsMerchant(m) if m.key == "other-product"))
    );
}

#[test]
fn a_publication_pushes_the_script_and_the_products() {
    let notice = json!({ "scriptUrl": "https://cdn.twikit.example/42.js", "products": [{ "key": "b", "x": 1 }, { "key": "a" }, { "key": "b" }] });
    let received = call(WEBSITE_PUBLICATION, &notice, pending());
    assert_eq!(response(&received), (200, json!({ "error": "" })));
    let [Report { about: ReportSubject::Account, outcome: Outcome::PushSettings(settings), .. }] =
        &received.reports[..]
    else {
        panic!("{received:?}")
    };
    assert_eq!(settings[0], setting("script-url", "https://cdn.twikit.example/42.js"));
    assert_eq!(settings[1].value, SettingValue::Texts(vec!["b".into(), "a".into()]));
}

#[test]
fn a_published_script_that_is_not_https_is_refused() {
    for url in ["http://cdn.example/a.js", "javascript:alert(1)", "//cdn.example/a.js", "https://u@cdn.example/a.js"] {
        let received = call(WEBSITE_PUBLICATION, &json!({ "scriptUrl": url, "products": [] }), pending());
        assert_ne!(response(&received).1["error"], "", "{url}");
        assert!(received.reports.is_empty() && received.response.status != 200);
    }
}

#[test]
fn what_cannot_be_read_is_a_bad_request_that_names_the_path() {
    let bodies = [
        (PAYMENT_VERIFICATION, "{"),
        (PAYMENT_VERIFICATION, "{\"identifier\":\"a\",\"configurationIds\":[7,\"8a\"]}"),
        (PAYMENT_VERIFICATION, "{\"identifier\":\"a\\u0000b\",\"configurationIds\":[7]}"),
        (PAYMENT_VERIFICATION, "{\"identifier\":\"a\",\"identifier\":\"b\",\"configurationIds\":[7]}"),
        (PAYMENT_VERIFICATION, "{\"identifier\":\"a\",\"configurationIds\":7}"),
        (PAYMENT_VERIFICATION, "{\"configurationIds\":[7]}"),
        (PRODUCTION_COMPLETION, "{\"identifier\":\"inst:shop:1001\",\"success\":\"yes\"}"),
        (PRODUCTION_COMPLETION, "[]"),
        (ORDER_COMPLETION, "{\"identifier\":\"inst:shop:1001\",\"lineItems\":[{\"configurationId\":7}]}"),
        (WEBSITE_PUBLICATION, "{\"scriptUrl\":\"https://a.example/\"}"),
        (WEBSITE_PUBLICATION, "null"),
    ];
    for (endpoint, body) in bodies {
        let received = receive(&context(), endpoint, &post(body), &book(pending())).unwrap();
        let (status, reply) = response(&received);
        assert_eq!(status, 400, "{body}");
        assert!(!reply["error"].as_str().unwrap().is_empty() && received.reports.is_empty(), "{body}");
    }
}

#[test]
fn only_post_is_answered_and_only_at_the_four_addresses() {
    let names: Vec<String> = endpoints().into_iter().map(|endpoint| endpoint.name).collect();
    assert_eq!(names, [PAYMENT_VERIFICATION, PRODUCTION_COMPLETION, ORDER_COMPLETION, WEBSITE_PUBLICATION]);
    let get = WebhookRequest { method: "GET".into(), ..post("") };
    assert_eq!(receive(&context(), ORDER_COMPLETION, &get, &book(pending())).unwrap().response.status, 405);
    assert!(receive(&context(), "elsewhere", &post("{}"), &book(pending())).is_err());
}
