//! Webhook deliveries are stored, run once, and get the same response when they are repeated.

use cartwright::webhook::{
    DeliveryStart, IncomingRequest, MemoryWebhookDeliveryStore, REPEAT_WINDOW, WebhookDelivery, WebhookDeliveryId,
    WebhookDeliveryStore,
};

use super::shop::{NOW, OrderBookBehavior, WebhookShop, at, post, text};

#[tokio::test]
async fn a_notice_that_was_answered_well_is_answered_as_before_byte_for_byte() {
    let desk = WebhookShop::new().await;
    let first = desk.post("tell", "note test:desk:1").await.expect("an answer");
    assert_eq!((first.status, text(&first).as_str()), (200, "heard at 2021-02-25T15:02:10Z"));
    let again = IncomingRequest { at: at(NOW + 300), ..post(&[], "note test:desk:1") };
    assert_eq!(desk.send("tell", &again).await.expect("an answer"), first);
    assert_eq!(desk.receipts.effects().outcomes.len(), 1);
    // Another body, or the same at another endpoint, is another delivery.
    desk.post("tell", "note  test:desk:1").await.expect("an answer");
    desk.post("tell-by-id", "note test:desk:1").await.expect("an answer");
    desk.send("tell", &IncomingRequest { query: "a=b".to_owned(), ..post(&[], "note test:desk:1") })
        .await
        .expect("an answer");
    assert_eq!(desk.receipts.effects().outcomes.len(), 4);
}

#[tokio::test]
async fn a_body_that_says_the_same_anew_after_a_while_is_heard_anew() {
    let desk = WebhookShop::new().await;
    desk.post("tell", "note test:desk:1").await.expect("an answer");
    let later = NOW + REPEAT_WINDOW.as_secs();
    for (time, heard) in [(later, 1), (later + 1, 2), (later + 2, 2)] {
        let again = IncomingRequest { at: at(time), ..post(&[], "note test:desk:1") };
        desk.send("tell", &again).await.expect("an answer");
        assert_eq!(desk.receipts.effects().outcomes.len(), heard, "{time}");
    }
}

#[tokio::test]
async fn a_body_that_says_the_same_again_after_something_newer_is_heard_anew() {
    let desk = WebhookShop::new().await;
    for (body, heard) in [
        ("note test:desk:1", 1),
        ("note test:desk:1", 1),
        ("note  test:desk:1", 2),
        ("note test:desk:1", 3),
        ("note test:desk:1", 3),
    ] {
        assert_eq!(desk.post("tell", body).await.expect("an answer").status, 200);
        assert_eq!(desk.receipts.effects().outcomes.len(), heard);
    }
}

#[tokio::test]
async fn a_notice_with_an_id_is_known_by_it_for_good() {
    let desk = WebhookShop::new().await;
    let first = desk.send("tell-by-id", &post(&[("x-event-id", "a")], "note test:desk:1")).await.expect("an answer");
    let much_later =
        IncomingRequest { at: at(NOW + 30 * 24 * 3600), ..post(&[("x-event-id", "a")], "line test:desk:1 9") };
    assert_eq!(desk.send("tell-by-id", &much_later).await.expect("an answer"), first);
    desk.send("tell-by-id", &post(&[("x-event-id", "b")], "note test:desk:1")).await.expect("an answer");
    assert_eq!(desk.receipts.effects().outcomes.len(), 2);
    // Without an id, or with two ids, the bytes identify a delivery.
    for headers in [&[][..], &[("x-event-id", "")], &[("x-event-id", "a"), ("x-event-id", "c")]] {
        desk.send("tell-by-id", &post(headers, "note test:desk:1")).await.expect("an answer");
    }
    assert_eq!(desk.receipts.effects().outcomes.len(), 3);
}

#[tokio::test]
async fn a_delivery_about_an_order_that_may_exist_is_run_again_and_is_shown() {
    let desk = WebhookShop::new().await;
    let about_an_order_to_come = "note test:desk:2";
    desk.behavior(OrderBookBehavior::Uncertain);
    let error = desk.post("tell", about_an_order_to_come).await.expect_err("no such order yet");
    assert_eq!(error.response().status, 503, "the vendor is to send it again");
    let failed = desk.receipts.failed();
    assert!(
        matches!(&failed[..], [(_, WebhookDeliveryId::Body(_), reason)] if reason.contains("test:desk:2")),
        "{failed:?}"
    );
    let order = cartwright_e2e::orders::order(&desk.host, &desk.shop, "2", &[]);
    desk.book.known.put(&desk.shop, &desk.account, order);
    desk.post("tell", about_an_order_to_come).await.expect("an answer");
    assert_eq!(desk.receipts.effects().outcomes.len(), 1);
    // The plugin's own rejections are passed on unchanged, and are run again when repeated.
    for _ in 0..2 {
        assert_eq!(desk.post("tell", "status 422").await.expect("an answer").status, 422);
    }
    assert_eq!(desk.receipts.failed().len(), 3);
    assert_eq!(desk.receipts.effects().outcomes.len(), 1);
}

#[tokio::test]
async fn one_notice_that_comes_twice_at_the_same_time_takes_effect_once() {
    let desk = WebhookShop::new().await;
    let both = [
        IncomingRequest { at: at(NOW), ..post(&[], "note test:desk:1") },
        IncomingRequest { at: at(NOW + 1), ..post(&[], "note test:desk:1") },
    ];
    let (one, other) = tokio::join!(desk.send("tell", &both[0]), desk.send("tell", &both[1]));
    assert_eq!(one.expect("an answer"), other.expect("an answer"));
    assert_eq!(desk.receipts.effects().outcomes.len(), 1);
}

#[tokio::test]
async fn of_two_runs_of_one_notice_the_first_that_is_kept_counts() {
    let desk = WebhookShop::new().await;
    let receipts = MemoryWebhookDeliveryStore::default();
    let id = WebhookDeliveryId::Event(cartwright::Digest::of(b"1"));
    let request = cartwright::types::WebhookRequest {
        id: "request-1".to_owned(),
        received_at: cartwright::timestamp(at(NOW)),
        method: "POST".to_owned(),
        headers: Vec::new(),
        query: String::new(),
        body: Vec::new(),
        extra: Vec::new(),
    };
    let notice = WebhookDelivery { destination: desk.to("tell"), id, at: at(NOW), duplicate_since: None, request };
    let answer = |body: &str| cartwright::types::WebhookResponse {
        status: 200,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let run = |id: &str| Ok(DeliveryStart::Run { request_id: id.to_owned() });
    assert_eq!(receipts.begin(&notice).await, run("request-1"));
    let mut again = notice.clone();
    again.request.id = "request-2".to_owned();
    assert_eq!(receipts.begin(&again).await, run("request-1"), "the same request, whenever it is run");
    assert_eq!(receipts.complete(&notice, Default::default(), &answer("1")).await, Ok(answer("1")));
    assert_eq!(receipts.complete(&notice, Default::default(), &answer("2")).await, Ok(answer("1")));
    assert_eq!(receipts.begin(&notice).await, Ok(DeliveryStart::Repeat(answer("1"))));
}

#[tokio::test]
async fn an_answer_holds_no_header_but_those_that_pass() {
    let desk = WebhookShop::new().await;
    let response = desk.post("tell", "note test:desk:1").await.expect("an answer");
    assert_eq!(response.headers, [("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())]);
}

#[tokio::test]
async fn a_request_has_one_id_whenever_it_is_run_and_another_has_another() {
    let desk = WebhookShop::new().await;
    let ask = async |endpoint: &str, query: &str| {
        let incoming = IncomingRequest { query: query.to_owned(), ..post(&[], "id") };
        text(&desk.send(endpoint, &incoming).await.expect("an answer"))
    };
    let first = ask("tell", "1").await;
    let (id, received) = first.split_once(" at ").expect("an id and a time");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(received, "2021-02-25T15:02:10Z");
    assert_eq!(ask("tell", "1").await, first);
    assert_ne!(ask("tell", "2").await, first);
    assert_ne!(ask("ask", "1").await, ask("ask", "1").await, "each query is a request of its own");
}
