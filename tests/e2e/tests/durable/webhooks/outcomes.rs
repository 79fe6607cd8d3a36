//! The outcomes that a plugin may return for a webhook.

use std::sync::Arc;

use cartwright::Failure;
use cartwright::types::{CallError, NamedJson, OrderEventKind, Outcome};
use cartwright::webhook::{IncomingRequest, WebhookError};
use cartwright_e2e::orders::{event, order};

use super::shop::{NOW, OrderBookBehavior, PluginLog, WebhookShop, at, order_with_lines, post, text};

#[tokio::test]
async fn what_is_handed_on_becomes_an_event_of_the_order() {
    let desk = WebhookShop::new().await;
    desk.post("tell", "forward test:desk:1").await.expect("an answer");
    let effects = desk.receipts.effects();
    assert_eq!(effects.outcomes, []);
    let [message] = &effects.messages[..] else { panic!("{effects:?}") };
    assert_eq!((message.order.as_str(), message.at), ("test:desk:1", at(NOW)));
    assert_eq!(message.message, NamedJson { name: "produced".to_owned(), json: "{}".to_owned() });
    // Another delivery is another event.
    let other = IncomingRequest { query: "again".to_owned(), ..post(&[], "forward test:desk:1") };
    desk.send("tell", &other).await.expect("an answer");
    let ids: std::collections::BTreeSet<String> =
        desk.receipts.effects().messages.into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn nothing_is_said_of_what_is_not_the_accounts() {
    let desk = WebhookShop::new().await;
    let cases = [
        ("forward -", "needs an order"),
        ("line - 1", "needs an order"),
        ("document - 0123abcd", "needs an order"),
        ("produced -", "needs an order"),
        ("named - V-1", "needs an order"),
        ("line test:desk:1 9", "\"9\""),
        ("document test:desk:1 0123abcd", "0123abcd"),
        ("flood test:desk:1", "501 reports"),
        ("push - name", "\"name\""),
        ("push - signing-secret", "\"signing-secret\""),
        ("push - no-such-setting", "\"no-such-setting\""),
    ];
    for (body, named) in cases {
        let error = desk.post("tell", body).await.expect_err(body);
        assert!(matches!(error, WebhookError::Failed(_)), "{body}: {error}");
        assert!(error.to_string().contains(named), "{body}: {error}");
        assert_eq!((error.response().status, error.response().body), (500, Vec::new()), "{body}");
    }
    assert!(desk.receipts.effects().is_empty());
    assert_eq!(desk.receipts.failed().len(), cases.len());
    desk.post("tell", "push - script-url").await.expect("an answer");
    assert!(matches!(&desk.receipts.effects().outcomes[..], [(None, Outcome::PushSettings(_))]));
}

#[tokio::test]
async fn a_report_about_an_order_without_a_part_of_the_account_is_dropped_and_logged() {
    let log = Arc::new(PluginLog::default());
    let desk = WebhookShop::observed(log.clone()).await;
    // Another account's order.
    let other = order(&desk.host, &desk.shop, "7", &[]);
    desk.book.known.put(&desk.shop, &"another".parse().expect("an id"), other);
    for (number, named) in ["test:desk:7", "test:desk:8", "vendor:V-9"].into_iter().enumerate() {
        let response = desk.post("tell", &format!("note {named}\nnote test:desk:1")).await.expect("an answer");
        assert_eq!((response.status, text(&response)), (200, "heard at 2021-02-25T15:02:10Z".to_owned()));
        // The other report of the same webhook is applied.
        assert_eq!(desk.receipts.effects().outcomes.len(), number + 1);
        let line = log.lines().pop().expect("a line");
        assert!(line.starts_with("warn webhooks.receive: ") && line.contains("was dropped"), "{line}");
        assert!(line.contains(named.trim_start_matches("vendor:")), "{line}");
    }
    assert_eq!(desk.post("ask", "forward test:desk:7").await.expect("an answer").status, 200);
    assert_eq!((desk.receipts.effects().messages, desk.receipts.failed()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_report_names_an_order_or_a_line_by_the_vendors_own_id() {
    let desk = WebhookShop::new().await;
    let mut known = order_with_lines(&desk, "2");
    known.vendor_reference = Some("V-2".to_owned());
    known.lines[1].vendor_reference = Some("V-2-2".to_owned());
    desk.book.known.put(&desk.shop, &desk.account, known);
    desk.post("tell", "note vendor:V-2").await.expect("an answer");
    desk.post("tell", "produced vendor:V-2-2").await.expect("an answer");
    let effects = desk.receipts.effects();
    assert!(effects.outcomes.iter().all(|(order, _)| order.as_deref() == Some("test:desk:2")), "{effects:?}");
    let [(_, Outcome::Note(_)), (_, Outcome::Production(production))] = &effects.outcomes[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(production.line.as_deref(), Some("2"));
    // An id that two orders have names neither.
    let mut third = order_with_lines(&desk, "3");
    third.vendor_reference = Some("V-2".to_owned());
    desk.book.known.put(&desk.shop, &desk.account, third);
    desk.post("tell", "note  vendor:V-2").await.expect("an answer");
    assert_eq!(desk.receipts.effects().outcomes.len(), 2);
    desk.behavior(OrderBookBehavior::Unavailable);
    let error = desk.post("tell", "note   vendor:V-2").await.expect_err("no order book");
    assert!(matches!(error, WebhookError::Uncertain(_)), "{error}");
}

#[tokio::test]
async fn a_report_about_a_line_is_about_no_other_line() {
    let desk = WebhookShop::new().await;
    desk.book.known.put(&desk.shop, &desk.account, order_with_lines(&desk, "2"));
    for body in ["line test:desk:2:1 1", "produced test:desk:2:1", "produced test:desk:2:1 1", "note test:desk:2:1"] {
        desk.post("tell", body).await.expect(body);
    }
    let lines: Vec<Option<String>> = desk
        .receipts
        .effects()
        .outcomes
        .into_iter()
        .map(|(order, outcome)| {
            assert_eq!(order.as_deref(), Some("test:desk:2"));
            match outcome {
                Outcome::LineStatus(status) => Some(status.line),
                Outcome::Production(production) => production.line,
                _ => None,
            }
        })
        .collect();
    let first = Some("1".to_owned());
    assert_eq!(lines, [first.clone(), first.clone(), first, None]);
    for body in ["line test:desk:2:1 2", "produced test:desk:2:1 2"] {
        let error = desk.post("tell", body).await.expect_err(body).to_string();
        assert!(error.contains("names another line, \"2\""), "{body}: {error}");
    }
    // A report that names the order may be about any of its lines.
    desk.post("tell", "produced test:desk:2 2").await.expect("an answer");
}

#[tokio::test]
async fn what_is_said_of_an_order_waits_until_the_order_book_is_back() {
    let desk = WebhookShop::new().await;
    desk.behavior(OrderBookBehavior::Unavailable);
    let error = desk.post("tell", "note test:desk:1").await.expect_err("no order book");
    assert!(matches!(error, WebhookError::Uncertain(_)), "{error}");
    desk.behavior(OrderBookBehavior::Responds);
    desk.post("tell", "note test:desk:1").await.expect("an answer");
    assert_eq!(desk.receipts.effects().outcomes.len(), 1);
}

#[tokio::test]
async fn an_order_hook_says_nothing_of_a_line_or_bytes_that_are_not_its_orders() {
    let desk = WebhookShop::new().await;
    for (text, named) in
        [("line - 9", "\"9\""), ("document - 0123abcd", "0123abcd"), ("push - signing-secret", "\"signing-secret\"")]
    {
        let order = order(&desk.host, &desk.shop, "1", &[]);
        let message = NamedJson { name: "say".to_owned(), json: text.to_owned() };
        let handled = desk.handle(event(OrderEventKind::Forwarded(message), &order)).await;
        let error = handled.expect_err(text);
        let Failure::PluginError(CallError::InvalidInput(issue)) = &error.failure else { panic!("{text}: {error}") };
        assert!(issue.message.text.contains(named), "{text}: {error}");
        assert!(error.emitted.outcomes.is_empty(), "{text}");
    }
    let order = order(&desk.host, &desk.shop, "1", &[]);
    let message = NamedJson { name: "say".to_owned(), json: "note -".to_owned() };
    let handled = desk.handle(event(OrderEventKind::Forwarded(message), &order)).await.expect("an answer");
    assert!(matches!(&handled.outcomes[..], [Outcome::Note(_)]));
}
