//! Tests that the data of webhooks is bounded: cut bodies, and a quota for each account.

use cartwright::types::{WebhookRequest, WebhookResponse};
use cartwright::webhook::{
    DeliveryStart, Destination, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore, WebhookDeliveryStoreError,
};
use cartwright::{Digest, timestamp};
use cartwright_store::Store;
use serde_json::{Value, json};

use crate::database::{Database, account, at, on_each_database, record, shop};
use crate::webhooks::ready;

on_each_database!(
    of_a_body_that_was_answered_the_beginning_is_kept_and_one_that_failed_is_kept_whole,
    when_the_quota_is_full_the_oldest_answered_bodies_go_and_repeats_are_still_recognized,
    what_is_large_without_its_body_gives_room_too,
    what_failed_is_never_given_up_and_new_notices_are_refused_until_it_is_answered,
    another_account_has_a_quota_of_its_own,
    what_was_erased_counts_no_more,
);

const KIB: usize = 1024;

fn notice(number: u64, bytes: usize) -> WebhookDelivery {
    let number_text = number.to_string();
    let body = [vec![b' '; bytes.saturating_sub(number_text.len())], number_text.into_bytes()].concat();
    let request = WebhookRequest {
        id: format!("request-{number}"),
        received_at: timestamp(at(number)),
        method: "POST".to_owned(),
        headers: Vec::new(),
        query: String::new(),
        body,
        extra: Vec::new(),
    };
    let destination = Destination { shop: shop(), account: account("expivi"), endpoint: "done".to_owned() };
    let id = WebhookDeliveryId::Event(Digest::of(&number.to_be_bytes()));
    WebhookDelivery { destination, id, at: at(number), duplicate_since: None, request }
}

fn answer() -> WebhookResponse {
    WebhookResponse { status: 202, headers: Vec::new(), body: b"heard".to_vec() }
}

/// Opens a store whose quota has room for nine deliveries of 10 KiB, and which has the order 1.
async fn small(database: &Database) -> Store {
    let store = database.open().await;
    store.webhooks().set_webhook_quota(100 * KIB as u64);
    record(&store, "e1", "1", 0).await;
    store
}

/// Stores and completes a delivery that reports about the order 1.
async fn answered(store: &Store, notice: &WebhookDelivery) {
    assert!(matches!(store.begin(notice).await.unwrap(), DeliveryStart::Run { .. }));
    assert_eq!(store.complete(notice, ready("1"), &answer()).await.unwrap(), answer());
}

async fn failed(store: &Store, notice: &WebhookDelivery) {
    assert!(matches!(store.begin(notice).await.unwrap(), DeliveryStart::Run { .. }));
    store.fail(notice, "the plugin answered with the status 409").await.unwrap();
}

async fn requests(store: &Store) -> Vec<Value> {
    let exported = store.personal_data().export_order(&shop(), "1").await.unwrap().document;
    exported["orders"][0]["webhooks"].as_array().expect("a list").clone()
}

async fn of_a_body_that_was_answered_the_beginning_is_kept_and_one_that_failed_is_kept_whole(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let (small, large) = (notice(1, KIB), notice(2, 100 * KIB));
    answered(&store, &small).await;
    answered(&store, &large).await;
    let requests_before: Vec<Value> = requests(&store).await;
    let body_facts =
        |one: &Value| (one["body"].as_str().map(str::len), one["body_cut"].clone(), one["body_bytes"].clone());
    assert_eq!(body_facts(&requests_before[0]), (Some(KIB), json!(false), json!(KIB)));
    assert_eq!(body_facts(&requests_before[1]), (Some(64 * KIB), json!(true), json!(100 * KIB)));
    assert_eq!(requests_before[1]["body_sha256"], json!(Digest::of(&large.request.body)));
    assert_eq!(store.begin(&large).await.unwrap(), DeliveryStart::Repeat(answer()));
    let large = notice(3, 100 * KIB);
    failed(&store, &large).await;
    assert_eq!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap()[0].request, large.request);
}

async fn when_the_quota_is_full_the_oldest_answered_bodies_go_and_repeats_are_still_recognized(database: Database) {
    let store = small(&database).await;
    for number in 0..25 {
        answered(&store, &notice(number, 10 * KIB)).await;
    }
    let has_body: Vec<bool> = requests(&store).await.iter().map(|one| one["body"].is_string()).collect();
    let count = has_body.iter().filter(|has_body| **has_body).count();
    assert!(has_body.len() == 25 && (6..=9).contains(&count), "{has_body:?}");
    assert!(has_body[25 - count..].iter().all(|has_body| *has_body), "the newest stay: {has_body:?}");
    for number in [0, 24] {
        let again = store.begin(&notice(number, 10 * KIB)).await.unwrap();
        assert_eq!(again, DeliveryStart::Repeat(answer()), "{number}");
    }
}

async fn what_is_large_without_its_body_gives_room_too(database: Database) {
    let store = small(&database).await;
    let with_headers = |number: u64| {
        let mut notice = notice(number, 0);
        notice.request.headers.push(("x-large".to_owned(), "x".repeat(10 * KIB)));
        notice
    };
    for number in 0..25 {
        answered(&store, &with_headers(number)).await;
    }
    let bare = WebhookResponse { body: Vec::new(), ..answer() };
    let again = async |number: u64| store.begin(&with_headers(number)).await.unwrap();
    assert_eq!(again(0).await, DeliveryStart::Repeat(bare), "it is a repeat all the same");
    assert_eq!(again(24).await, DeliveryStart::Repeat(answer()));
}

async fn what_failed_is_never_given_up_and_new_notices_are_refused_until_it_is_answered(database: Database) {
    let store = small(&database).await;
    for number in 0..9 {
        failed(&store, &notice(number, 10 * KIB)).await;
    }
    for _ in 0..2 {
        let refused = store.begin(&notice(9, 10 * KIB)).await.unwrap_err();
        assert!(
            matches!(refused, WebhookDeliveryStoreError::QuotaFull { retry_after } if !retry_after.is_zero()),
            "{refused:?}"
        );
    }
    let open = store.webhooks().failed_webhook_deliveries(&shop(), None, 100).await.unwrap();
    assert_eq!(open.len(), 9, "nothing is kept of what was refused");
    assert!(open.iter().all(|notice| notice.request.body.len() == 10 * KIB), "they are whole");
    // A known delivery is run again, and frees space once it succeeds.
    failed(&store, &notice(4, 10 * KIB)).await;
    store.begin(&notice(9, 10 * KIB)).await.unwrap_err();
    answered(&store, &notice(4, 10 * KIB)).await;
    answered(&store, &notice(9, 10 * KIB)).await;
    assert_eq!(store.webhooks().failed_webhook_deliveries(&shop(), None, 100).await.unwrap().len(), 8);
}

async fn another_account_has_a_quota_of_its_own(database: Database) {
    let store = small(&database).await;
    let to = |account_id: &str, number: u64| {
        let mut notice = notice(number, 10 * KIB);
        notice.destination.account = account(account_id);
        notice
    };
    for number in 0..9 {
        failed(&store, &to("twikit", number)).await;
    }
    store.begin(&to("twikit", 9)).await.unwrap_err();
    failed(&store, &to("expivi", 9)).await;
}

async fn what_was_erased_counts_no_more(database: Database) {
    let store = small(&database).await;
    for number in 0..5 {
        answered(&store, &notice(number, 10 * KIB)).await;
    }
    let unfinished = cartwright_store::UnfinishedJobs::Cancel;
    assert!(store.personal_data().erase_order(&shop(), "1", unfinished, "ann", at(100)).await.unwrap());
    for number in 5..14 {
        failed(&store, &notice(number, 10 * KIB)).await;
    }
    store.begin(&notice(14, 10 * KIB)).await.unwrap_err();
}
