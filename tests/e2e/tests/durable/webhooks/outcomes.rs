//! The outcomes that a plugin may return for a webhook.

use cartwright::Failure;
use cartwright::types::{Error, NamedJson, OrderEventKind, Outcome};
use cartwright::webhook::{IncomingRequest, WebhookError};
use cartwright_e2e::orders::{event, order};

use super::shop::{NOW, OrderBookBehavior, WebhookShop, at, post};

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
    // Another account's order.
    let other = order(&desk.host, &desk.shop, "7", &[]);
    desk.book.known.put(&desk.shop, &"another".parse().expect("an id"), other);
    let cases = [
        ("note test:desk:7", "test:desk:7"),
        ("note test:desk:8", "test:desk:8"),
        ("forward test:desk:7", "test:desk:7"),
        ("forward -", "does not name the order"),
        ("line - 1", "does not name the order"),
        ("line test:desk:1 9", "\"9\""),
        ("document test:desk:1 0123abcd", "0123abcd"),
        ("flood test:desk:1", "501 outcomes"),
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
        let Failure::PluginError(Error::InvalidInput(issue)) = &error.failure else { panic!("{text}: {error}") };
        assert!(issue.message.text.contains(named), "{text}: {error}");
        assert!(error.emitted.outcomes.is_empty(), "{text}");
    }
    let order = order(&desk.host, &desk.shop, "1", &[]);
    let message = NamedJson { name: "say".to_owned(), json: "note -".to_owned() };
    let handled = desk.handle(event(OrderEventKind::Forwarded(message), &order)).await.expect("an answer");
    assert!(matches!(&handled.outcomes[..], [Outcome::Note(_)]));
}
