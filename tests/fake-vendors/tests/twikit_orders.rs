//! Twikit's order and export calls are as strict as the document.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![allow(clippy::unwrap_used)]

mod common;

use cartwright_fake_vendors::twikit::{Call, ForcedResult, OrderState};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig, client, payload_hash, samples};
use common::{order, post_order, post_order_text, verdict};
use serde_json::{Value, json};

async fn twikit() -> FakeTwikit {
    FakeTwikit::start(TwikitConfig::default()).await.unwrap()
}

async fn post(twikit: &FakeTwikit, body: Value) -> (u16, u64) {
    verdict(&client::post_json(&twikit.orders_url(), &[], &body).await.unwrap())
}

#[test]
fn the_hash_is_the_md5_of_payload_and_secret_in_lower_case() {
    // RFC 1321's "message digest", cut in two.
    assert_eq!(payload_hash("message ", "digest"), "f96b697d7cb7938d525a2f31aaf161d0");
}

#[tokio::test]
async fn an_order_without_a_configured_verification_is_created() {
    let twikit = twikit().await;

    let reply = post_order(&twikit, &order("o-1", &[81_201])).await;

    assert_eq!(verdict(&reply), (200, 1));
    assert_eq!(reply.json()["resultCodeName"], "OrderCreatedSuccessfully");
    let held = twikit.order("o-1").unwrap();
    assert_eq!(held.state, OrderState::Paid);
    assert_eq!((held.items[0].configuration_id, held.items[0].amount), (81_201, 2));
    assert!(twikit.sent_webhooks().is_empty());
}

#[tokio::test]
async fn the_hash_is_over_the_exact_bytes_and_not_over_the_meaning() {
    let twikit = twikit().await;
    let compact = order("o-1", &[81_201]).to_string();
    let spaced = format!("{compact} ");
    let hash = payload_hash(&compact, twikit.payload_secret());

    let other_bytes = json!({ "orderPayload": spaced, "hash": hash });
    assert_eq!(post(&twikit, other_bytes).await, (400, 6));
    let upper_case = json!({ "orderPayload": compact, "hash": hash.to_uppercase() });
    assert_eq!(post(&twikit, upper_case).await, (400, 6));
    let without_secret = json!({ "orderPayload": compact, "hash": payload_hash(&compact, "") });
    assert_eq!(post(&twikit, without_secret).await, (400, 6));
    assert!(twikit.orders().is_empty());

    // Neither spaces nor characters beyond ASCII matter, as long as the hash covers the exact text.
    let mut accented = order("o-1", &[81_201]);
    accented["billingAddress"]["city"] = json!("Liège");
    assert_eq!(verdict(&post_order_text(&twikit, &format!(" {accented}\n")).await), (200, 1));
}

#[tokio::test]
async fn a_request_without_its_parameters_is_told_which_one_is_missing() {
    let twikit = twikit().await;
    let payload = order("o-1", &[81_201]);
    let text = payload.to_string();
    let hash = payload_hash(&text, twikit.payload_secret());

    assert_eq!(post(&twikit, json!({ "orderPayload": text, "hash": "" })).await, (400, 5));
    assert_eq!(post(&twikit, json!({ "orderPayload": text })).await, (400, 5));
    assert_eq!(post(&twikit, json!({ "hash": hash })).await, (400, 7));
    // The export's field name, and an object in place of the string.
    assert_eq!(post(&twikit, json!({ "payload": text, "hash": hash })).await, (400, 7));
    assert_eq!(post(&twikit, json!({ "orderPayload": payload, "hash": hash })).await, (400, 7));
    assert_eq!(post(&twikit, json!(["no object"])).await, (400, 0));
}

#[tokio::test]
async fn a_payload_that_is_no_json_object_cannot_be_parsed() {
    let twikit = twikit().await;

    for payload in ["{", "[]", "null", "\"{}\""] {
        assert_eq!(verdict(&post_order_text(&twikit, payload).await), (400, 4), "{payload}");
    }
}

#[tokio::test]
async fn a_payload_with_something_missing_or_of_another_type_is_not_valid() {
    let twikit = twikit().await;
    let changes: &[(&str, Option<Value>)] = &[
        ("/identifier", None),
        ("/items", None),
        ("/items", Some(json!([]))),
        ("/items/0/configurationId", Some(json!("81201"))),
        ("/items/0/amount", Some(json!(0))),
        ("/items/0/amount", Some(json!(1.5))),
        ("/items/0/identifier", None),
        ("/billingAddress", None),
        ("/deliveryAddress/zip", None),
        ("/deliveryAddress/zip", Some(json!(9000))),
        ("/deliveryAddress/firstName", Some(json!(" "))),
        ("/deliveryAddress/addressLine2", Some(Value::Null)),
        ("/deliveryAddress/countryIso", Some(json!("Belgium"))),
        ("/data", None),
    ];

    for (pointer, value) in changes {
        let mut payload = order("o-1", &[81_201]);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = payload.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(name.to_owned(), value.clone()),
            None => parent.remove(name),
        };
        let reply = post_order(&twikit, &payload).await;
        assert_eq!(verdict(&reply), (400, 8), "{pointer} {value:?}");
        let message = reply.json()["resultMessage"].to_string();
        assert!(message.contains(name), "{message} does not say {name}");
    }
    assert!(twikit.orders().is_empty());
}

#[tokio::test]
async fn an_identifier_of_an_order_or_a_line_is_taken_once() {
    let twikit = twikit().await;
    post_order(&twikit, &order("o-1", &[81_201])).await;

    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (400, 9));
    let mut same_line = order("o-2", &[81_201]);
    same_line["items"][0]["identifier"] = json!("o-1:1");
    assert_eq!(verdict(&post_order(&twikit, &same_line).await), (400, 9));
    let mut twice = order("o-3", &[81_201, 81_201]);
    twice["items"][1]["identifier"] = json!("o-3:1");
    assert_eq!(verdict(&post_order(&twikit, &twice).await), (400, 9));
    // The same configuration may be ordered again: a shopper buys twice.
    assert_eq!(verdict(&post_order(&twikit, &order("o-4", &[81_201])).await), (200, 1));
    assert_eq!(twikit.orders().len(), 2);
}

#[tokio::test]
async fn a_configuration_that_nobody_saved_is_not_found() {
    let twikit = twikit().await;

    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201, 5])).await), (400, 10));
    assert!(twikit.orders().is_empty());

    let saved = twikit.save_configuration("ring", "RING-A", 20.0);
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[saved.configuration_id])).await), (200, 1));
}

#[tokio::test]
async fn an_unknown_integration_is_a_client_error_with_the_catch_all_code() {
    let twikit = twikit().await;
    for path in ["orders/other", "configuration/other/export", "nothing"] {
        let url = format!("{}/{path}", twikit.api_url());
        let reply = client::post_json(&url, &[], &json!({})).await.unwrap();
        assert_eq!(verdict(&reply), (404, 0), "{path}");
    }
    let reply = client::get(&twikit.orders_url(), &[]).await.unwrap();
    assert_eq!(verdict(&reply), (405, 0));
}

#[tokio::test]
async fn a_forced_result_may_carry_a_code_of_the_future() {
    let twikit = twikit().await;
    let message = "The printer is on fire.".to_owned();
    let result = ForcedResult { status: 400, code: 11, name: "PrinterOnFire".to_owned(), message };
    twikit.force_result(Call::Order, result);

    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (400, 11));
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[81_201])).await), (200, 1));
}

async fn export(twikit: &FakeTwikit, payload: &str) -> client::Reply {
    let hash = payload_hash(payload, twikit.payload_secret());
    let body = json!({ "payload": payload, "hash": hash });
    client::post_json(&twikit.export_url(), &[], &body).await.unwrap()
}

#[tokio::test]
async fn an_export_answers_a_zip_and_makes_an_internal_order_each_time() {
    let twikit = twikit().await;
    let payload = json!({ "configurationId": 81_201, "amount": 3, "data": { "line": "o-1:1" } }).to_string();

    let first = export(&twikit, &payload).await;
    export(&twikit, &payload).await;

    assert_eq!((first.status, first.header("content-type")), (200, Some("application/zip")));
    assert!(first.body.starts_with(b"PK\x03\x04"));
    assert!(first.body.windows(23).any(|window| window == b"configuration-81201.stl"));
    let internal = twikit.internal_orders();
    assert_eq!(internal.len(), 2);
    assert_eq!((internal[0].configuration_id, internal[0].amount), (81_201, 3));
    assert_ne!(internal[0].number, internal[1].number);
    assert!(twikit.orders().is_empty());
}

#[tokio::test]
async fn an_export_is_as_strict_as_an_order() {
    let twikit = twikit().await;
    let payload = |value: Value| value.to_string();

    let unknown = payload(json!({ "configurationId": 5, "amount": 1 }));
    assert_eq!(verdict(&export(&twikit, &unknown).await), (400, 10));
    let no_amount = payload(json!({ "configurationId": 81_201 }));
    assert_eq!(verdict(&export(&twikit, &no_amount).await), (400, 8));
    let odd_data = payload(json!({ "configurationId": 81_201, "amount": 1, "data": 7 }));
    assert_eq!(verdict(&export(&twikit, &odd_data).await), (400, 8));
    assert_eq!(verdict(&export(&twikit, "{").await), (400, 4));
    let good = payload(json!({ "configurationId": 81_201, "amount": 1 }));
    let wrong_field = json!({ "orderPayload": good, "hash": payload_hash(&good, twikit.payload_secret()) });
    let reply = client::post_json(&twikit.export_url(), &[], &wrong_field).await.unwrap();
    assert_eq!(verdict(&reply), (400, 7));
    assert!(twikit.internal_orders().is_empty());
}

#[tokio::test]
async fn the_sample_is_a_configuration_that_twikit_knows() {
    let twikit = twikit().await;
    let sample: Value = serde_json::from_str(samples::TWIKIT_SAVED).unwrap();

    let id = sample["configurationId"].as_u64().unwrap();
    assert_eq!(verdict(&post_order(&twikit, &order("o-1", &[id])).await), (200, 1));

    let saved = twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
    assert_eq!(saved.envelope()["variation"], sample["variation"]);
    let preview = client::get(&saved.preview_url, &[]).await.unwrap();
    assert_eq!(preview.body, samples::PNG);
    let script = client::get(&twikit.script_url(3), &[]).await.unwrap();
    assert!(String::from_utf8_lossy(&script.body).contains("fake"));
}
