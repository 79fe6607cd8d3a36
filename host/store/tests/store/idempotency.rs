//! Tests of idempotency keys.

use std::time::Duration;

use cartwright::{Digest, ShopId};
use cartwright_store::{
    BeginOutcome, Keyring, RequestToken, Retention, Store, StoreError, StoredResponse, UnfinishedJobs,
};

use crate::database::{Database, KEY, at, on_each_database, record, shop};

on_each_database!(
    a_request_is_done_once_and_answered_as_before,
    another_request_under_the_same_name_is_told_apart,
    a_request_whose_node_died_is_begun_again_and_its_late_answer_does_not_stand,
    a_request_that_came_to_nothing_is_done_anew,
    an_answer_is_known_for_a_day,
    an_answer_is_encrypted_and_its_key_is_exchanged,
    an_answer_is_given_out_and_forgotten_with_its_order,
    of_two_who_begin_a_request_one_does_it,
);

const DAY: u64 = 24 * 3600;

fn request_digest(what: &str) -> Digest {
    Digest::of(what.as_bytes())
}

fn answer(body: &str) -> StoredResponse {
    let headers = vec![("content-type".into(), "application/json".into()), ("etag".into(), "\"1\"\n".into())];
    StoredResponse { status: 201, headers, body: [body.as_bytes(), b"\n\n\xff"].concat() }
}

async fn begun(store: &Store, seconds: u64) -> BeginOutcome {
    store.idempotency().begin_request("key", "name", &request_digest("a"), at(seconds)).await.unwrap()
}

async fn new(store: &Store, seconds: u64) -> RequestToken {
    match begun(store, seconds).await {
        BeginOutcome::New(token) => token,
        other => panic!("{other:?}"),
    }
}

async fn answered(store: &Store, token: &RequestToken, orders: &[(ShopId, String)], seconds: u64) -> bool {
    store.idempotency().answer_request(token, &answer("done"), orders, at(seconds)).await.unwrap()
}

async fn a_request_is_done_once_and_answered_as_before(database: Database) {
    let store = database.open().await;
    let token = new(&store, 0).await;
    assert!(matches!(begun(&store, 1).await, BeginOutcome::Running));
    assert!(answered(&store, &token, &[], 2).await);
    for seconds in [3, 1000] {
        let BeginOutcome::Answered(given) = begun(&store, seconds).await else { panic!("it was answered") };
        assert_eq!(given, answer("done"));
    }
    assert!(!answered(&store, &token, &[], 4).await, "an answer stands");
    // Another caller, and another key; the two are not concatenated.
    for (scope, key) in [("other", "name"), ("key", "other"), ("keyn", "ame")] {
        let outcome = store.idempotency().begin_request(scope, key, &request_digest("a"), at(5)).await.unwrap();
        assert!(matches!(outcome, BeginOutcome::New(_)), "{scope} {key}");
    }
}

async fn another_request_under_the_same_name_is_told_apart(database: Database) {
    let store = database.open().await;
    let other = async || store.idempotency().begin_request("key", "name", &request_digest("b"), at(1)).await.unwrap();
    let token = new(&store, 0).await;
    assert!(matches!(other().await, BeginOutcome::Conflict));
    assert!(answered(&store, &token, &[], 2).await);
    assert!(matches!(other().await, BeginOutcome::Conflict));
}

async fn a_request_whose_node_died_is_begun_again_and_its_late_answer_does_not_stand(database: Database) {
    let store = database.open().await;
    let abandoned = new(&store, 0).await;
    assert!(matches!(begun(&store, 119).await, BeginOutcome::Running));
    let token = new(&store, 120).await;
    assert!(matches!(begun(&store, 121).await, BeginOutcome::Running));
    assert!(!answered(&store, &abandoned, &[(shop(), "1".into())], 122).await);
    store.idempotency().forget_request(&abandoned).await.unwrap();
    assert!(matches!(begun(&store, 123).await, BeginOutcome::Running));
    assert!(answered(&store, &token, &[], 124).await);
    assert!(matches!(begun(&store, 1000).await, BeginOutcome::Answered(_)));
}

async fn a_request_that_came_to_nothing_is_done_anew(database: Database) {
    let store = database.open().await;
    let token = new(&store, 0).await;
    store.idempotency().forget_request(&token).await.unwrap();
    let token = new(&store, 1).await;
    assert!(answered(&store, &token, &[], 2).await);
    store.idempotency().forget_request(&token).await.unwrap();
    assert!(matches!(begun(&store, 3).await, BeginOutcome::Answered(_)), "an answer stands");
}

async fn an_answer_is_known_for_a_day(database: Database) {
    let store = database.open().await;
    let token = new(&store, 0).await;
    answered(&store, &token, &[(shop(), "1".into())], 1).await;
    assert!(matches!(begun(&store, DAY - 1).await, BeginOutcome::Answered(_)));
    assert_eq!(store.sweep(&Retention::default(), at(DAY)).await.unwrap().requests, 0);
    // Before a sweep, and as another request too.
    let anew = store.idempotency().begin_request("key", "name", &request_digest("b"), at(DAY)).await.unwrap();
    assert!(matches!(anew, BeginOutcome::New(_)));
    assert_eq!(store.sweep(&Retention::default(), at(2 * DAY + 1)).await.unwrap().requests, 1);
    new(&store, 2 * DAY + 1).await;
}

async fn an_answer_is_encrypted_and_its_key_is_exchanged(database: Database) {
    let store = database.open().await;
    let token = new(&store, 0).await;
    answered(&store, &token, &[], 1).await;
    store.close().await;
    if let Some(path) = database.url.strip_prefix("sqlite:") {
        let bytes = std::fs::read(path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(&request_digest("a").to_string()) && !holds("done\n") && !holds("application/json"));
    }
    let store = Store::open(&database.url, Keyring::new([9; 32]).with_previous(KEY)).await.unwrap();
    assert_eq!(store.rotate_keys().await.unwrap(), 1);
    store.close().await;
    let store = Store::open(&database.url, Keyring::new([9; 32])).await.unwrap();
    assert!(matches!(begun(&store, 2).await, BeginOutcome::Answered(given) if given == answer("done")));
}

async fn an_answer_is_given_out_and_forgotten_with_its_order(database: Database) {
    let store = database.open().await;
    for (number, orders) in [&["1"][..], &["1", "2"], &["2"], &["not known yet"], &[]].into_iter().enumerate() {
        for order in ["1", "2"] {
            let known = store.orders().get(&shop(), order).await.unwrap().is_some();
            if !known {
                record(&store, &format!("e{order}"), order, 0).await;
            }
        }
        let outcome =
            store.idempotency().begin_request("key", &number.to_string(), &request_digest("a"), at(0)).await.unwrap();
        let BeginOutcome::New(token) = outcome else { panic!("{outcome:?}") };
        let orders: Vec<_> = orders.iter().map(|order| (shop(), (*order).to_owned())).collect();
        let answer = answer(&format!("answer {number}"));
        assert!(store.idempotency().answer_request(&token, &answer, &orders, at(number as u64)).await.unwrap());
    }
    let exported = store.personal_data().export_order(&shop(), "1").await.unwrap().document;
    let answers = exported["orders"][0]["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 1, "one that holds something of two orders is given to nobody: {answers:?}");
    assert!(answers[0]["body"].as_str().unwrap().starts_with("answer 0") && answers[0]["status"] == 201);

    let late = new(&store, 10).await;
    store.personal_data().erase_order(&shop(), "1", UnfinishedJobs::Cancel, "ann", at(10)).await.unwrap();
    for (number, is_left) in [false, false, true, true, true].into_iter().enumerate() {
        let outcome =
            store.idempotency().begin_request("key", &number.to_string(), &request_digest("a"), at(11)).await.unwrap();
        assert_eq!(matches!(outcome, BeginOutcome::Answered(_)), is_left, "{number}: {outcome:?}");
    }
    // A request that was in progress stores nothing about the order either.
    assert!(!answered(&store, &late, &[(shop(), "2".into()), (shop(), "1".into())], 12).await);
    new(&store, 13).await;
    assert!(matches!(store.personal_data().export_order(&shop(), "1").await, Err(StoreError::Erased(_))));
}

async fn of_two_who_begin_a_request_one_does_it(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    for round in 0..10 {
        let name = round.to_string();
        let begin = |store: Store| {
            let name = name.clone();
            async move { store.idempotency().begin_request("key", &name, &request_digest("a"), at(0)).await.unwrap() }
        };
        let outcomes = tokio::join!(begin(one.clone()), begin(other.clone()));
        assert!(
            matches!(
                outcomes,
                (BeginOutcome::New(_), BeginOutcome::Running) | (BeginOutcome::Running, BeginOutcome::New(_))
            ),
            "{outcomes:?}"
        );
        // Two concurrent callers that find it abandoned, too.
        let later = at(0) + Duration::from_secs(500);
        let again = |store: Store| {
            let name = name.clone();
            async move { store.idempotency().begin_request("key", &name, &request_digest("a"), later).await.unwrap() }
        };
        let outcomes = tokio::join!(again(one.clone()), again(other.clone()));
        assert!(
            matches!(
                outcomes,
                (BeginOutcome::New(_), BeginOutcome::Running) | (BeginOutcome::Running, BeginOutcome::New(_))
            ),
            "{outcomes:?}"
        );
    }
}
