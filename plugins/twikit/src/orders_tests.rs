#![allow(clippy::unwrap_used)]

use super::*;
use crate::fields::{BILLING, DELIVERY, FULFILLMENT, INTEGRATION_ID, PAYLOAD_SECRET};
use crate::identifiers::LATER_PART_SUFFIX;
use crate::responses::Code;
use crate::testing::*;
use cartwright_plugin::exports::orders::Continuation;
use cartwright_plugin::http;
use cartwright_plugin::types::*;
use serde_json::{Value, json};

fn released(lines: Vec<OrderLine>) -> OrderEvent {
    event(OrderEventKind::Released, order(lines))
}

fn run(host: &mut FakeHost, event: &OrderEvent) -> Result<Next, CallError> {
    handle(host, &context(), event, None)
}

fn payload(host: &FakeHost, index: usize) -> Value {
    serde_json::from_str(host.body(index)["orderPayload"].as_str().unwrap()).unwrap()
}

fn references(host: &FakeHost) -> Vec<(Option<&str>, &str)> {
    let mut named = Vec::new();
    for outcome in &host.outcomes {
        if let Outcome::VendorReference(reference) = outcome {
            named.push((reference.line.as_deref(), reference.reference.as_str()));
        }
    }
    named
}

#[test]
fn a_released_order_is_sent_as_documented() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let event = released(vec![line("a", 7, 2), line("b", 8, 1)]);
    let next = run(&mut host, &event).unwrap();
    assert!(matches!(next, Next::ContinueLater(Continuation { state, .. }) if state == "confirm inst:shop:1001"));
    let request = &host.requests[0];
    assert_eq!(request.url, "https://custom-integration-publisher.twikit.com/api/v1/orders/shop-7");
    assert_eq!(
        (request.method.as_str(), request.retry_safety, request.store_body),
        ("POST", http::RetrySafety::Idempotent, false)
    );
    let payload = payload(&host, 0);
    assert_eq!(payload["identifier"], "inst:shop:1001");
    let items = json!([
        { "configurationId": 7, "amount": 2, "identifier": "inst:shop:1001:a" },
        { "configurationId": 8, "amount": 1, "identifier": "inst:shop:1001:b" },
    ]);
    assert_eq!(payload["items"], items);
    assert_eq!(payload["deliveryAddress"]["firstName"], "Delivered");
    assert_eq!(payload["billingAddress"]["firstName"], "Shop");
}

#[test]
fn the_bytes_that_are_hashed_are_the_bytes_that_are_sent() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let mut event = released(vec![line("a", 7, 2)]);
    event.order.delivery = Some(Address { city: "Liège \"\\/\u{2028}".into(), ..address("Zoë") });
    run(&mut host, &event).unwrap();
    assert_eq!(host.digest_inputs.len(), 1);
    let body = host.body(0);
    assert_eq!(body["orderPayload"].as_str().unwrap().as_bytes(), host.digest_inputs[0]);
    let length = host.digest_inputs[0].len() as u8;
    assert_eq!(body["hash"], format!("{length:02x}7d{}", "ab".repeat(14)));
}

#[test]
fn the_lines_are_named_before_the_call_because_twikit_asks_during_it() {
    let mut host = FakeHost::with_responses([answer(500, 0)]);
    run(&mut host, &released(vec![line("a", 7, 2)])).unwrap_err();
    assert_eq!(references(&host), [(Some("a"), "inst:shop:1001")]);
    // After a response that leads to a retry nothing is recorded: the host discards the response.
    assert_eq!(host.outcomes.len(), 1);
}

#[test]
fn an_order_without_configurations_is_not_sent() {
    let mut host = FakeHost::default();
    let mut bare = line("a", 7, 1);
    bare.cart_line.item = None;
    assert!(matches!(run(&mut host, &released(vec![bare])).unwrap(), Next::Done));
    assert!(host.requests.is_empty() && host.outcomes.is_empty());
}

#[test]
fn a_line_without_a_configuration_is_left_out() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let mut bare = line("b", 8, 1);
    bare.cart_line.item = None;
    run(&mut host, &released(vec![line("a", 7, 1), bare])).unwrap();
    assert_eq!(payload(&host, 0)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_created_order_is_in_production() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    run(&mut host, &released(vec![line("a", 7, 2)])).unwrap();
    assert!(host.outcomes.iter().any(
        |outcome| matches!(outcome, Outcome::Production(p) if p.state == ProductionState::Queued && p.line.is_none())
    ));
    assert!(
        host.outcomes.iter().any(|outcome| matches!(outcome, Outcome::LineStatus(s) if s.status == "in-production"))
    );
    assert_eq!(references(&host), [(Some("a"), "inst:shop:1001"), (None, "inst:shop:1001")]);
    assert_eq!(host.merchant_questions(), [""; 0]);
}

#[test]
fn an_order_that_was_created_is_not_sent_again() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let mut event = released(vec![line("a", 7, 2)]);
    run(&mut host, &event).unwrap();
    event.memos = host.memos();
    assert!(matches!(run(&mut host, &event).unwrap(), Next::Done));
    assert_eq!(host.requests.len(), 1);
}

#[test]
fn a_line_released_later_goes_under_an_identifier_of_its_own() {
    let mut host = FakeHost::with_responses([answer(200, 1), answer(200, 1), answer(200, 1)]);
    let held = OrderLine { released: false, ..line("b", 8, 1) };
    let mut event = released(vec![line("a", 7, 2), held, OrderLine { released: false, ..line("c", 9, 1) }]);
    run(&mut host, &event).unwrap();
    assert_eq!(payload(&host, 0)["items"].as_array().unwrap().len(), 1);
    assert_eq!(host.notes(), ["lines-held"]);
    for (index, id) in [(1, "b"), (2, "c")] {
        event.memos = host.memos();
        event.order.lines[index].released = true;
        run(&mut host, &event).unwrap();
        let payload = payload(&host, index);
        assert_eq!(payload["identifier"], format!("inst:shop:1001:{id}{LATER_PART_SUFFIX}"));
        assert_eq!(payload["items"][0]["identifier"], format!("inst:shop:1001:{id}"));
        assert_eq!(payload["items"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn an_order_whose_lines_are_all_held_is_not_sent() {
    let mut host = FakeHost::default();
    run(&mut host, &released(vec![OrderLine { released: false, ..line("a", 7, 1) }])).unwrap();
    assert!(host.requests.is_empty());
    assert_eq!(host.notes(), ["lines-held"]);
}

type Change = fn(&mut Order);

/// Changes of an order while its release waited.
const NOT_PRODUCED: [Change; 3] =
    [|order| order.released = false, |order| order.cancelled = true, |order| order.refunded = order.paid.clone()];

#[test]
fn an_order_that_is_no_longer_to_be_produced_is_not_sent() {
    for change in NOT_PRODUCED {
        let mut host = FakeHost::default();
        let mut event = released(vec![line("a", 7, 1)]);
        change(&mut event.order);
        run(&mut host, &event).unwrap();
        assert_eq!(host.notes(), ["no-longer-released"]);
    }
}

#[test]
fn an_order_that_changed_while_its_release_waited_is_not_sent() {
    let lines: [Change; 2] =
        [|order| order.lines[0].released = false, |order| order.lines[0].status = "cancelled".into()];
    for fulfillment in ["order", "export"] {
        for change in NOT_PRODUCED.into_iter().chain(lines) {
            // The event predates the change.
            let event = released(vec![line("a", 7, 1)]);
            let mut now = event.order.clone();
            change(&mut now);
            let mut host = FakeHost { now: Some(now), ..FakeHost::default() };
            let next = handle(&mut host, &context_with(&[(FULFILLMENT, fulfillment)]), &event, None).unwrap();
            assert_eq!((next, host.notes()), (Next::Done, vec!["no-longer-released"]));
            assert!(host.requests.is_empty());
        }
    }
}

fn refunded(line: &str, quantity: u32) -> OrderEventKind {
    OrderEventKind::Refunded(Refund {
        lines: vec![LineQuantity { line: line.into(), quantity }],
        amount: None,
        extra: Vec::new(),
    })
}

/// Runs these events of an order with the line "a", each with the line's quantity at the time and with the memos of the
/// earlier ones.
fn run_events(host: &mut FakeHost, events: impl IntoIterator<Item = (OrderEventKind, u32)>) {
    for (kind, quantity) in events {
        let memos = host.memos();
        run(host, &OrderEvent { memos, ..event(kind, order(vec![line("a", 7, quantity), line("b", 8, 1)])) }).unwrap();
    }
}

#[test]
fn what_a_refund_leaves_of_a_line_is_sent() {
    for (events, amount) in [
        // The order's quantity is what remains of a line of which most or half is refunded.
        (vec![(OrderEventKind::Placed, 5), (refunded("a", 3), 2)], Some(2)),
        (vec![(OrderEventKind::Placed, 4), (refunded("a", 2), 2)], Some(2)),
        (vec![(OrderEventKind::Placed, 2), (OrderEventKind::Changed, 1), (refunded("a", 1), 1)], Some(1)),
        (vec![(OrderEventKind::Placed, 1), (OrderEventKind::Changed, 4), (refunded("a", 2), 2)], Some(2)),
        (vec![(refunded("a", 3), 2)], Some(2)),
        // A refund that is reported twice counts once.
        (vec![(OrderEventKind::Placed, 3), (refunded("a", 1), 2), (refunded("a", 1), 2)], Some(2)),
        // What was shipped is still made.
        (vec![(OrderEventKind::Placed, 2), (refunded("a", 2), 2)], Some(2)),
        // All pieces are refunded.
        (vec![(OrderEventKind::Placed, 2), (refunded("a", 2), 0)], None),
    ] {
        let mut host = FakeHost::with_responses([answer(200, 1)]);
        let quantity = events.last().unwrap().1;
        let shown = format!("{events:?}");
        run_events(&mut host, events);
        assert_eq!(host.merchant_questions(), [""; 0], "{shown}");
        run_events(&mut host, [(OrderEventKind::Paid, quantity), (OrderEventKind::Released, quantity)]);
        let mut items: Vec<Value> = payload(&host, 0)["items"].as_array().unwrap().clone();
        items.retain(|item| item["configurationId"] == 7);
        assert_eq!(items.first().map(|item| item["amount"].as_u64().unwrap()), amount, "{shown}");
        assert_eq!(host.notes(), [""; 0], "{shown}");
    }
}

#[test]
fn a_refund_asks_only_when_twikit_makes_more_than_is_wanted() {
    for (placed, released, refund, left, asked) in [
        (5, 5, 2, 3, Some("5 sent, 3 wanted now")),
        // They were shipped before.
        (5, 5, 2, 5, None),
        (2, 2, 2, 0, Some("2 sent, 0 wanted now")),
        // Twikit was unavailable until the refund.
        (5, 1, 4, 1, None),
        (4, 2, 2, 2, None),
    ] {
        let mut host = FakeHost::with_responses([answer(200, 1)]);
        run_events(
            &mut host,
            [(OrderEventKind::Placed, placed), (OrderEventKind::Released, released), (refunded("a", refund), left)],
        );
        let text = host.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::NeedsMerchant(message) => Some(message.text.as_str()),
            _ => None,
        });
        match asked {
            Some(words) => assert!(text.is_some_and(|text| text.contains(words)), "{text:?}"),
            None => assert_eq!(text, None),
        }
    }
}

#[test]
fn an_unhealthy_order_was_created_and_needs_the_merchant() {
    let mut host = FakeHost::with_responses([answer(200, 2)]);
    let mut event = released(vec![line("a", 7, 2)]);
    assert!(matches!(run(&mut host, &event).unwrap(), Next::Done));
    assert_eq!(host.merchant_questions(), ["order-unhealthy"]);
    assert!(!host.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Production(_) | Outcome::LineStatus(_))));
    event.memos = host.memos();
    run(&mut host, &event).unwrap();
    assert_eq!(host.requests.len(), 1);
}

#[test]
fn refusals_ask_the_merchant_and_name_the_lines() {
    for (code, key) in [
        (0, "unexpected-error"),
        (3, "verification-failed"),
        (9, "identifier-exists"),
        (10, "configuration-not-found"),
        (77, "unknown-result"),
    ] {
        let mut host = FakeHost::with_responses([answer(400, code)]);
        assert!(matches!(run(&mut host, &released(vec![line("a", 7, 2)])).unwrap(), Next::Done));
        assert_eq!(host.merchant_questions(), [key]);
        let Some(Outcome::NeedsMerchant(message)) = host.outcomes.last() else { panic!() };
        assert!(message.text.contains("inst:shop:1001:a (configuration 7)"), "{}", message.text);
        assert!(!Ledger::new(&host.memos()).created("inst:shop:1001"));
    }
}

#[test]
fn wrong_payloads_and_secrets_stop_the_hook() {
    for code in 4..=8 {
        let mut host = FakeHost::with_responses([answer(400, code)]);
        let error = run(&mut host, &released(vec![line("a", 7, 2)])).unwrap_err();
        match Code::from(code) {
            Code::HashEmpty | Code::HashMismatch => {
                assert!(matches!(error, CallError::NotConfigured(issue) if issue.field == PAYLOAD_SECRET));
            }
            _ => assert!(matches!(error, CallError::Rejected(_))),
        }
    }
}

#[test]
fn a_lost_attempt_that_bounces_back_was_created() {
    let mut host = FakeHost::with_responses([http::HttpResponse { attempts: 2, ..answer(400, 9) }]);
    let next = run(&mut host, &released(vec![line("a", 7, 2)])).unwrap();
    assert!(matches!(next, Next::ContinueLater(_)));
    assert_eq!(host.notes(), ["created-earlier"]);
    assert!(Ledger::new(&host.memos()).created("inst:shop:1001"));
}

#[test]
fn a_refused_attempt_that_bounces_back_was_not_created_by_us() {
    let mut host = FakeHost::with_responses([answer(400, 3), http::HttpResponse { attempts: 2, ..answer(400, 9) }]);
    let mut event = released(vec![line("a", 7, 2)]);
    run(&mut host, &event).unwrap();
    event.memos = host.memos();
    run(&mut host, &event).unwrap();
    assert_eq!(host.merchant_questions(), ["verification-failed", "identifier-exists"]);
}

#[test]
fn missing_addresses_are_named_before_anything_is_sent() {
    let cases: [(&str, Change); 3] = [
        (DELIVERY, |order| order.delivery = None),
        (BILLING, |order| order.shop_address = None),
        (BILLING, |order| order.shop_address = Some(Address { email: None, ..address("Shop") })),
    ];
    for (field, change) in cases {
        let mut host = FakeHost::default();
        let mut event = released(vec![line("a", 7, 2)]);
        change(&mut event.order);
        let error = run(&mut host, &event).unwrap_err();
        assert!(matches!(&error, CallError::NotConfigured(issue) if issue.field == field), "{error:?}");
        assert!(host.outcomes.is_empty() && host.digest_inputs.is_empty());
    }
    let mut event = released(vec![line("a", 7, 2)]);
    event.order.delivery = Some(Address { city: String::new(), ..address("An") });
    let CallError::Rejected(message) = run(&mut FakeHost::default(), &event).unwrap_err() else { panic!() };
    assert!(message.text.contains("city"), "{}", message.text);
    event.order.delivery =
        Some(Address { first_name: None, last_name: None, name: Some("An".into()), ..address("An") });
    let CallError::Rejected(message) = run(&mut FakeHost::default(), &event).unwrap_err() else { panic!() };
    assert!(message.text.contains("last name"), "{}", message.text);
}

#[test]
fn without_the_grant_an_order_can_go_to_the_shop() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let mut event = released(vec![line("a", 7, 2)]);
    (event.order.delivery, event.order.billing) = (None, None);
    handle(&mut host, &context_with(&[(DELIVERY, "shop")]), &event, None).unwrap();
    assert_eq!(payload(&host, 0)["deliveryAddress"]["firstName"], "Shop");
    assert!(!Ledger::new(&host.memos()).personal());
}

#[test]
fn a_missing_integration_id_is_the_merchants_to_mend() {
    let error = handle(
        &mut FakeHost::default(),
        &context_with(&[(INTEGRATION_ID, "")]),
        &released(vec![line("a", 7, 2)]),
        None,
    );
    assert!(matches!(error, Err(CallError::NotConfigured(issue)) if issue.field == INTEGRATION_ID));
}

#[test]
fn a_configuration_id_that_is_no_number_stops_instead_of_being_left_out() {
    let mut bad = line("a", 7, 1);
    if let Some(item) = &mut bad.cart_line.item {
        item.saved_id = Some("seven".into());
    }
    assert!(matches!(run(&mut FakeHost::default(), &released(vec![bad])), Err(CallError::InvalidInput(_))));
}

#[test]
fn an_order_that_nobody_asked_about_warns_that_no_webhook_is_configured() {
    let confirm = |memos: Vec<Memo>| {
        let mut host = FakeHost::default();
        let event = OrderEvent { memos, ..released(vec![line("a", 7, 2)]) };
        let next = handle(&mut host, &context(), &event, Some("confirm inst:shop:1001")).unwrap();
        assert!(matches!(next, Next::Done));
        host.notes().iter().map(|key| key.to_string()).collect::<Vec<_>>()
    };
    let mut created = FakeHost::with_responses([answer(200, 1)]);
    run(&mut created, &released(vec![line("a", 7, 2)])).unwrap();
    assert_eq!(confirm(created.memos()), ["no-verification"]);
    created.outcomes.push(crate::ledger::verified("inst:shop:1001"));
    assert_eq!(confirm(created.memos()), [""; 0]);
    // A run without the memos of the previous run cannot report anything.
    assert_eq!(confirm(Vec::new()), [""; 0]);
}

#[test]
fn what_comes_after_creation_is_too_late() {
    let mut host = FakeHost::with_responses([answer(200, 1)]);
    let first = released(vec![line("a", 7, 2), line("b", 8, 1)]);
    run(&mut host, &first).unwrap();
    let after = |kind, change: fn(&mut Order)| {
        let mut event = OrderEvent { memos: host.memos(), ..event(kind, first.order.clone()) };
        change(&mut event.order);
        let mut host = FakeHost::default();
        run(&mut host, &event).unwrap();
        host.merchant_questions().iter().chain(&host.notes()).map(|key| key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after(OrderEventKind::Cancelled, |_| ()), ["too-late"]);
    assert_eq!(after(refunded("b", 1), |order| order.lines[1].cart_line.quantity = 0), ["too-late"]);
    assert_eq!(after(refunded("elsewhere", 1), |_| ()), [""; 0]);
    // A refund by amount names no lines.
    let by_amount = || OrderEventKind::Refunded(Refund { lines: Vec::new(), amount: None, extra: Vec::new() });
    assert_eq!(after(by_amount(), |order| order.refunded = order.paid.clone()), ["too-late"]);
    // All that was made was shipped, and came back.
    let returned: Change = |order| {
        order.refunded = order.paid.clone();
        order.lines.iter_mut().for_each(|line| line.quantities.shipped = line.quantities.ordered);
    };
    assert_eq!(after(by_amount(), returned), [""; 0]);
    assert_eq!(after(by_amount(), |_| ()), [""; 0]);
    assert_eq!(after(OrderEventKind::Changed, |order| order.lines[0].cart_line.quantity = 3), ["changed-too-late"]);
    assert_eq!(after(OrderEventKind::Changed, |_| ()), ["changed-after-creation"]);
    assert_eq!(after(OrderEventKind::Erase, |_| ()), ["erase-at-vendor"]);
    assert_eq!(after(OrderEventKind::Paid, |_| ()), [""; 0]);
}

#[test]
fn a_cancellation_before_creation_is_nothing_to_twikit() {
    for kind in [OrderEventKind::Cancelled, OrderEventKind::Changed, OrderEventKind::Erase] {
        let mut host = FakeHost::default();
        run(&mut host, &event(kind, order(vec![line("a", 7, 2)]))).unwrap();
        assert_eq!((host.merchant_questions(), host.notes()), (vec![], vec![]));
    }
}

#[test]
fn a_cancellation_while_nobody_knows_whether_it_was_created_asks_the_merchant() {
    let mut host = FakeHost::default();
    let named = OrderLine { vendor_reference: Some("inst:shop:1001".into()), ..line("a", 7, 2) };
    run(&mut host, &event(OrderEventKind::Cancelled, order(vec![named]))).unwrap();
    assert_eq!(host.merchant_questions(), ["too-late"]);
}
