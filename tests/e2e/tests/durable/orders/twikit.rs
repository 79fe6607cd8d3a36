//! The requests to Twikit, and the handling of each response.

use std::sync::Arc;

use cartwright::durable::{Cancel, Job, MemoryJournal, RunEnd, RunInput, Wake};
use cartwright::types::{CallError, LineStatus, Next, Order, OrderEventKind, Outcome, Production, ProductionState};
use cartwright::{Clock, SimulatedClock};
use cartwright_fake_vendors::twikit::{Call, ForcedResult, OrderState, Webhooks};
use cartwright_fake_vendors::{Malformed, Outage, client, payload_hash};
use serde_json::{Value, json};

use super::common::{
    all_texts, event, is_unavailable, memos, merchant_questions, notes, order, plugin_error, references,
    unreachable_url, was_created,
};
use super::jewels::Jewels;

#[tokio::test]
async fn an_order_is_hashed_over_its_exact_bytes_and_verified_while_it_is_out() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let sent = jewels.requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].path, "/api/v1/orders/integration-1");
    let body = sent[0].json();
    let payload = body["orderPayload"].as_str().expect("a text");
    assert_eq!(body, json!({ "orderPayload": payload, "hash": payload_hash(payload, "payload-secret") }));
    let payload: Value = serde_json::from_str(payload).expect("JSON");
    let configuration = payload["items"][0]["configurationId"].clone();
    assert_eq!(
        payload["items"],
        json!([{ "configurationId": configuration, "amount": 2, "identifier": "test:gems:1:1" }])
    );
    assert_eq!(
        configuration.to_string(),
        order.lines[0].cart_line.item.as_ref().expect("an item").saved_id.clone().expect("an id")
    );
    assert_eq!(payload["identifier"], "test:gems:1");
    assert_eq!(payload["deliveryAddress"]["firstName"], "Zoë \"Z\"");
    assert_eq!(payload["deliveryAddress"]["city"], "Ghent");
    assert_eq!(payload["billingAddress"]["city"], "Bruges");
    assert_eq!(jewels.twikit.order("test:gems:1").expect("the order").state, OrderState::Paid);

    let heard = jewels.webhooks();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].endpoint, "payment-verification");
    assert_eq!(heard[0].order_state, Some(OrderState::Verifying), "the question came before or after the order");
    assert_eq!(jewels.last_response(), json!({ "error": "", "success": true }));

    let (line, whole) = ((Some("1"), "test:gems:1"), (None, "test:gems:1"));
    assert_eq!(references(&handled.outcomes), [line, whole]);
    let queued =
        Production { line: None, state: ProductionState::Queued, detail: None, expected: None, extra: Vec::new() };
    assert!(handled.outcomes.contains(&Outcome::Production(queued)), "{:?}", handled.outcomes);
    let status = LineStatus { line: "1".to_owned(), status: "in-production".to_owned() };
    assert!(handled.outcomes.contains(&Outcome::LineStatus(status)), "{:?}", handled.outcomes);
    assert_eq!(merchant_questions(&handled.outcomes), [""; 0]);
}

#[tokio::test]
async fn a_twikit_that_did_not_ask_is_noted_by_a_later_run() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let Next::ContinueLater(later) = &handled.next else { panic!("{:?}", handled.next) };
    assert_eq!((later.seconds, later.state.as_str()), (2, "confirm test:gems:1"));
    let mut again = event(OrderEventKind::Released, &order);
    again.memos = memos(&handled.outcomes);
    let unasked = jewels.handle(&again, Some(&later.state)).await.expect("handled");
    assert_eq!((notes(&unasked.outcomes), unasked.next), (vec!["no-verification"], Next::Done));
    let heard = jewels.outcomes();
    again.memos.extend(memos(heard.iter().map(|(_, outcome)| outcome)));
    let fine = jewels.handle(&again, Some(&later.state)).await.expect("handled");
    assert_eq!((fine.outcomes, fine.next), (vec![], Next::Done));
    assert_eq!(jewels.requests().len(), 1);
}

#[tokio::test]
async fn an_order_that_the_shop_does_not_know_is_declared_invalid() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel("diamond-letter-jewel").await]);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.last_response(), json!({ "error": "", "success": false }));
    assert_eq!(jewels.twikit.ignored_orders(), ["test:gems:1"]);
    assert_eq!(merchant_questions(&handled.outcomes), ["verification-failed"]);
    assert!(!was_created(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn an_order_that_is_no_longer_to_be_produced_is_neither_sent_nor_declared_valid() {
    type Change = fn(&mut Order);
    let changes: [Change; 5] = [
        |order| order.released = false,
        |order| order.cancelled = true,
        |order| order.refunded = order.paid.clone(),
        |order| order.lines[0].released = false,
        |order| order.lines[0].status = "cancelled".to_owned(),
    ];
    let jewels = Jewels::new().await;
    let question = jewels.address("payment-verification");
    for (number, change) in changes.into_iter().enumerate() {
        let order = jewels.order(&format!("{number}")).await;
        let mut now = order.clone();
        change(&mut now);
        jewels.orders.put(&jewels.shop, &jewels.account, now);
        // The event contains the order in its earlier state.
        let handled = jewels.release(&order).await.expect("handled");
        assert_eq!(notes(&handled.outcomes), ["no-longer-released"], "{number}");
        assert_eq!(handled.next, Next::Done);
        assert!(!was_created(&handled.outcomes), "{:?}", handled.outcomes);
        let item = order.lines[0].cart_line.item.as_ref().expect("an item");
        let configuration: u64 = item.saved_id.as_deref().expect("an id").parse().expect("a number");
        let query = json!({ "identifier": order.reference, "configurationIds": [configuration] });
        let reply = client::post_json(&question, &[], &query).await.expect("a reply");
        assert_eq!(reply.json(), json!({ "error": "", "success": false }), "{number}");
    }
    assert_eq!(jewels.requests().len(), 0);
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(memos(&outcomes), [], "an order that was declined is remembered as verified");
}

#[tokio::test]
async fn an_order_that_is_paid_back_during_an_outage_is_not_sent_after_it() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::default());
    let journal = Arc::new(MemoryJournal::default());
    let job = Job {
        id: "job".to_owned(),
        shop: jewels.shop.clone(),
        account: jewels.account.clone(),
        plugin: jewels.plugin,
        event: event(OrderEventKind::Released, &order),
        state: None,
        round: 0,
    };
    let run = async || {
        let start =
            RunInput { journal: journal.clone(), clock: clock.clone(), wake: Wake::Due, cancel: Cancel::default() };
        jewels.host.run_job(&job, start).await.expect("a run").end
    };
    jewels.twikit.faults().outage(Outage::Unavailable { retry_after: None });
    assert!(matches!(run().await, RunEnd::Retry { .. }));
    assert_eq!(jewels.requests().len(), 1);
    jewels.twikit.faults().recover();
    let now = Order { refunded: order.paid.clone(), ..order.clone() };
    jewels.orders.put(&jewels.shop, &jewels.account, now);
    assert!(matches!(run().await, RunEnd::Done));
    assert_eq!((jewels.requests().len(), notes(&journal.outcomes())), (1, vec!["no-longer-released"]));
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn a_verification_address_that_does_not_work_makes_an_order_unhealthy() {
    let jewels = Jewels::new().await;
    for (id, broken) in [("1", None), ("2", Some("no-such-endpoint")), ("3", Some("production-completion"))] {
        let order = jewels.order(id).await;
        match broken {
            Some(path) => jewels.set_webhooks(path),
            None => {
                let payment_verification = Some(unreachable_url().await);
                jewels.twikit.set_webhooks(Webhooks { payment_verification, ..Webhooks::default() });
            }
        }
        let handled = jewels.release(&order).await.expect("handled");
        let state = jewels.twikit.order(&order.reference).expect("the order").state;
        assert!(matches!(state, OrderState::Unhealthy(_)), "{id} {state:?}");
        assert_eq!(merchant_questions(&handled.outcomes), ["order-unhealthy"], "{id}");
        assert_eq!(handled.next, Next::Done);
        assert!(!was_created(&handled.outcomes), "{:?}", handled.outcomes);
        // Twikit has the order nevertheless: another event must not send it again.
        let mut again = event(OrderEventKind::Released, &order);
        again.memos = memos(&handled.outcomes);
        let before = jewels.requests().len();
        let quiet = jewels.handle(&again, None).await.expect("handled");
        assert_eq!((quiet.outcomes, jewels.requests().len()), (vec![], before));
    }
}

#[tokio::test]
async fn an_identifier_that_somebody_else_used_is_never_taken_for_ours() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let theirs = jewels.twikit.save_configuration("pendant", "PENDANT", 1.0);
    let person = json!({
        "firstName": "An", "lastName": "Other", "email": "an@other.example", "addressLine1": "Elsewhere 1",
        "zip": "1", "city": "Mons", "countryIso": "BE",
    });
    let payload = json!({
        "items": [{ "configurationId": theirs.configuration_id, "amount": 9, "identifier": "theirs" }],
        "identifier": order.reference, "billingAddress": person, "deliveryAddress": person, "data": null,
    })
    .to_string();
    jewels.twikit.set_webhooks(Webhooks::default());
    let hash = payload_hash(&payload, jewels.twikit.payload_secret());
    let body = json!({ "orderPayload": payload, "hash": hash });
    let reply = client::post_json(&jewels.twikit.orders_url(), &[], &body).await.expect("a reply");
    assert_eq!(reply.json()["resultCode"], 1);
    jewels.set_webhooks("payment-verification");
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["identifier-exists"]);
    assert!(!was_created(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(handled.next, Next::Done);
    assert_eq!(jewels.webhooks().len(), 0);
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn a_configuration_that_twikit_does_not_know_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel_of(4_711).await]);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["configuration-not-found"]);
    assert!(all_texts(&Ok(handled)).contains("4711"), "the merchant is not told which");
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn a_wrong_payload_secret_names_its_setting() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "payload-secret": "another secret" }), |_| {}).await;
    let order = jewels.order("1").await;
    let error = jewels.release(&order).await.expect_err("refused");
    assert!(
        matches!(plugin_error(&error), CallError::NotConfigured(issue) if issue.field == "payload-secret"),
        "{error}"
    );
    assert_eq!(jewels.twikit.orders(), []);
    // The right secret fixes it.
    jewels.set(json!({}), |_| {}).await;
    jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn an_integration_that_twikit_does_not_have_needs_the_merchant() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "integration-id": "another" }), |_| {}).await;
    let order = jewels.order("1").await;
    // The fake responds with 404 and the catch-all code, so the code decides.
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["unexpected-error"]);
    assert!(!was_created(&handled.outcomes));
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn a_twikit_that_is_away_is_asked_again_when_it_says_so() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().outage(Outage::Unavailable { retry_after: Some("7".to_owned()) });
    let error = jewels.release(&order).await.expect_err("away");
    assert!(
        matches!(plugin_error(&error), CallError::Unavailable(outage) if outage.retry_after_seconds == Some(7)),
        "{error}"
    );
    jewels.twikit.faults().outage(Outage::Dropped);
    let error = jewels.release(&order).await.expect_err("away");
    assert!(
        matches!(plugin_error(&error), CallError::Unavailable(outage) if outage.retry_after_seconds.is_none()),
        "{error}"
    );
    jewels.twikit.faults().recover();
    jewels.twikit.faults().limit(1, Some("3"));
    let error = jewels.release(&order).await.expect_err("limited");
    assert!(
        matches!(plugin_error(&error), CallError::Unavailable(outage) if outage.retry_after_seconds == Some(3)),
        "{error}"
    );
    jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
}

#[tokio::test]
async fn a_garbled_answer_is_never_taken_for_a_created_order() {
    let jewels = Jewels::new().await;
    for (id, how) in [("1", Malformed::Truncated), ("2", Malformed::Html), ("3", Malformed::WrongTypes)] {
        let order = jewels.order(id).await;
        jewels.twikit.faults().malform(how, 1);
        let error = jewels.release(&order).await.expect_err("garbled");
        assert!(is_unavailable(&error), "{how:?}: {error}");
    }
}

#[tokio::test]
async fn a_result_that_is_not_documented_is_told_with_its_number() {
    let jewels = Jewels::new().await;
    let force = |status, code| {
        let (name, message) = ("Newer".to_owned(), "Something new.".to_owned());
        jewels.twikit.force_result(Call::Order, ForcedResult { status, code, name, message });
    };
    let order = jewels.order("1").await;
    force(400, 42);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["unknown-result"]);
    assert!(all_texts(&Ok(handled)).contains("42 Newer Something new."));
    force(500, 0);
    assert!(is_unavailable(&jewels.release(&order).await.expect_err("code 0")));
    for code in [4, 7, 8] {
        force(400, code);
        let error = jewels.release(&order).await.expect_err("refused");
        assert!(matches!(plugin_error(&error), CallError::Rejected(_)), "{code}: {error}");
    }
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn after_a_lost_reply_a_run_without_a_journal_asks_the_merchant_and_makes_no_second_order() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().lose_replies(1);
    let error = jewels.release(&order).await.expect_err("no reply");
    assert!(is_unavailable(&error), "{error}");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
    // Only a journal shows that the first request may have arrived. Without one, a person must check.
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(merchant_questions(&handled.outcomes), ["identifier-exists"]);
    assert!(!was_created(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn lines_without_a_configuration_id_are_not_sent() {
    let jewels = Jewels::new().await;
    let mut order = jewels.order("1").await;
    let mut bare = order.lines[0].clone();
    bare.id = "2".to_owned();
    bare.reference = "test:gems:1:2".to_owned();
    bare.cart_line.item.as_mut().expect("an item").saved_id = None;
    let mut itemless = bare.clone();
    (itemless.id, itemless.cart_line.item) = ("3".to_owned(), None);
    let configured = std::mem::replace(&mut order.lines, vec![bare, itemless]);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!((handled.outcomes, handled.next, jewels.requests().len()), (vec![], Next::Done, 0));
    // Beside a line with an id they are left out, and only that line is reported as started.
    order.lines.extend(configured);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").items.len(), 1);
    let queued = Production {
        line: Some("1".to_owned()),
        state: ProductionState::Queued,
        detail: None,
        expected: None,
        extra: Vec::new(),
    };
    assert!(handled.outcomes.contains(&Outcome::Production(queued)), "{:?}", handled.outcomes);
}

#[tokio::test]
async fn held_lines_are_noted_and_not_sent() {
    let jewels = Jewels::new().await;
    let mut order = jewels.order("1").await;
    order.lines[0].released = false;
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!((notes(&handled.outcomes), jewels.requests().len()), (vec!["lines-held"], 0));
}

#[tokio::test]
async fn a_line_that_is_released_later_is_an_order_of_its_own() {
    let jewels = Jewels::new().await;
    let cart = [jewels.jewel("diamond-letter-jewel").await, jewels.jewel("diamond-letter-jewel").await];
    let mut order = order(&jewels.host, &jewels.shop, "1", &cart);
    order.lines[1].released = false;
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let first = jewels.release(&order).await.expect("handled");
    assert_eq!(notes(&first.outcomes), ["lines-held"]);
    order.lines[0].vendor_reference = Some(order.reference.clone());
    order.lines[1].released = true;
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let mut later = event(OrderEventKind::Released, &order);
    later.memos = memos(&first.outcomes);
    let second = jewels.handle(&later, None).await.expect("handled");
    assert_eq!(merchant_questions(&second.outcomes), [""; 0]);
    let orders = jewels.twikit.orders();
    let parts: Vec<_> =
        orders.iter().map(|order| (order.identifier.as_str(), &order.items[..], &order.state)).collect();
    let [("test:gems:1", [first], OrderState::Paid), (named, [second], OrderState::Paid)] = parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!(named, "test:gems:1:2~order");
    assert_eq!((first.identifier.as_str(), second.identifier.as_str()), ("test:gems:1:1", "test:gems:1:2"));
    // Twikit's webhook about the later part concerns its line only.
    jewels.webhooks.lock().expect("the list").clear();
    jewels.orders.put(&jewels.shop, &jewels.account, {
        order.lines[1].vendor_reference = Some(named.to_owned());
        order.clone()
    });
    jewels.twikit.production_completed(named, "", true, "").await.expect("an order");
    let done = Production {
        line: Some("2".to_owned()),
        state: ProductionState::Done,
        detail: None,
        expected: None,
        extra: Vec::new(),
    };
    assert_eq!(jewels.outcomes(), [(Some(order.reference), Outcome::Production(done))]);
}

#[tokio::test]
async fn what_comes_too_late_for_twikit_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let refunded = OrderEventKind::Refunded(cartwright::types::Refund {
        lines: vec![cartwright::types::LineQuantity { line: "1".to_owned(), quantity: 1 }],
        amount: None,
        extra: Vec::new(),
    });
    let kinds = [OrderEventKind::Cancelled, refunded, OrderEventKind::Erase, OrderEventKind::Changed];
    for kind in &kinds {
        let early = jewels.handle(&event(kind.clone(), &order), None).await.expect("handled");
        assert_eq!(early.outcomes, [], "{kind:?}");
    }
    let handled = jewels.release(&order).await.expect("handled");
    let keys = ["too-late", "too-late", "erase-at-vendor", "changed-too-late"];
    for (kind, key) in kinds.into_iter().zip(keys) {
        let mut late = event(kind, &order);
        match late.kind {
            OrderEventKind::Changed => late.order.lines[0].cart_line.quantity += 1,
            OrderEventKind::Refunded(_) => {
                late.order.lines[0].quantities.refunded = 1;
                late.order.lines[0].cart_line.quantity -= 1;
            }
            _ => {}
        }
        late.memos = memos(&handled.outcomes);
        assert_eq!(merchant_questions(&jewels.handle(&late, None).await.expect("handled").outcomes), [key]);
    }
    assert_eq!(jewels.requests().len(), 1);
}
