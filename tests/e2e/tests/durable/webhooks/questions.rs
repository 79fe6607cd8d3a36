//! Questions are answered at once, from the order book, or with an error.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cartwright::SLOTS_PER_SHOP;
use cartwright::types::WebhookResponse;
use cartwright::webhook::{Destination, Effects, Incoming, Notice, Receipts, ReceiptsError, WebhookError};

use super::desk::{Desk, Mood, at, post, text};

#[tokio::test]
async fn a_question_is_asked_anew_each_time() {
    let desk = Desk::new().await;
    let same = post(&[("x-event-id", "1")], "ask test:desk:2");
    assert_eq!(text(&desk.send("ask", &same).await.expect("an answer")), "false");
    let order = cartwright_e2e::orders::order(&desk.host, &desk.shop, "2", &[]);
    desk.book.known.put(&desk.shop, &desk.account, order);
    assert_eq!(text(&desk.send("ask", &same).await.expect("an answer")), "true");
    assert_eq!(desk.receipts.effects().outcomes.len(), 2);
}

#[tokio::test]
async fn while_the_host_is_not_sure_no_is_never_said() {
    let desk = Desk::new().await;
    for mood in [Mood::Away, Mood::InDoubt, Mood::InDoubtAndAway] {
        desk.mood(mood);
        let error = desk.post("ask", "ask test:desk:2").await.expect_err("no answer");
        assert!(matches!(error, WebhookError::Unsure(_)), "{mood:?}: {error}");
        assert_eq!((error.response().status, error.response().body), (503, Vec::new()));
    }
    assert!(desk.receipts.effects().is_empty());
    // Of an order that the book knows there is no doubt.
    desk.mood(Mood::InDoubt);
    assert_eq!(text(&desk.post("ask", "ask test:desk:1").await.expect("an answer")), "true");
}

/// A store that does not answer.
struct Away;

#[async_trait]
impl Receipts for Away {
    async fn take_in(&self, _: &Notice) -> Result<Option<WebhookResponse>, ReceiptsError> {
        Err(ReceiptsError::Failed("away".to_owned()))
    }

    async fn answer(&self, _: &Notice, _: Effects, _: &WebhookResponse) -> Result<WebhookResponse, ReceiptsError> {
        Err(ReceiptsError::Failed("away".to_owned()))
    }

    async fn fail(&self, _: &Notice, _: &str) -> Result<(), ReceiptsError> {
        Err(ReceiptsError::Failed("away".to_owned()))
    }

    async fn apply(&self, _: &Destination, _: SystemTime, _: Effects) -> Result<(), ReceiptsError> {
        Err(ReceiptsError::Failed("away".to_owned()))
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_answered() {
    let desk = Desk::new().await;
    for (endpoint, body) in [("ask", "ask test:desk:1"), ("tell", "note -")] {
        let error = desk.send_to(endpoint, &post(&[], body), &Away).await.expect_err("no answer");
        assert!(matches!(error, WebhookError::Store(_)), "{endpoint}: {error}");
        assert_eq!(error.response().status, 503);
    }
}

#[tokio::test]
async fn a_question_does_not_wait_behind_notices() {
    let desk = std::sync::Arc::new(Desk::new().await);
    let places = SLOTS_PER_SHOP;
    let mut notices = tokio::task::JoinSet::new();
    for number in 0..places + 1 {
        let desk = desk.clone();
        let incoming = Incoming { at: at(u64::from(number)), ..post(&[], "ask slow") };
        notices.spawn(async move { desk.send("tell", &Incoming { query: number.to_string(), ..incoming }).await });
    }
    tokio::time::timeout(Duration::from_secs(60), desk.book.waited_for_by(places as usize))
        .await
        .expect("all places of the shop taken");
    let asked = tokio::time::timeout(Duration::from_secs(1), desk.post("ask", "ask test:desk:1")).await;
    assert_eq!(text(&asked.expect("at once").expect("an answer")), "true");
    desk.book.gate.add_permits(places as usize + 1);
    while notices.join_next().await.is_some() {}
}

#[tokio::test]
async fn of_a_question_that_was_answered_with_an_error_nothing_comes() {
    let desk = Desk::new().await;
    let response = desk.post("ask", "status 409").await.expect("an answer");
    assert_eq!((response.status, text(&response).as_str()), (409, "as told"));
    for (body, status) in [("away", 503), ("fault", 500), ("trap", 500), ("status 7", 500)] {
        let error = desk.post("ask", body).await.expect_err(body);
        assert_eq!(error.response().status, status, "{body}: {error}");
    }
    assert!(desk.receipts.effects().is_empty());
    assert_eq!(desk.receipts.failed(), []);
}
