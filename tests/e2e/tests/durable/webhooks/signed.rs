//! Signed endpoints, through the host. The runtime's own tests cover each way in which a signature can be wrong.

use cartwright::Grants;
use cartwright::webhook::{IncomingRequest, Refusal, WebhookError};

use super::shop::{NOW, WebhookShop, at, post};

const SHOPIFY: &str = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=";
const STANDARD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn standard() -> IncomingRequest {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", STANDARD),
    ];
    post(&headers, r#"{"test": 2432232314}"#)
}

#[tokio::test]
async fn a_signed_notice_is_handed_to_the_plugin() {
    let desk = WebhookShop::new().await;
    desk.set("test_secret_key", Grants::default()).await;
    let incoming = post(&[("X-Shopify-Hmac-Sha256", SHOPIFY)], r#"{"foo": "bar"}"#);
    assert_eq!(desk.send("base64", &incoming).await.expect("an answer").status, 200);
    desk.set("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Grants::default()).await;
    assert_eq!(desk.send("standard", &standard()).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_request_that_is_not_signed_never_reaches_the_plugin_or_the_store() {
    let desk = WebhookShop::new().await;
    desk.set("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Grants::default()).await;
    for endpoint in ["base64", "timed", "standard"] {
        let error = desk.post(endpoint, "trap").await.expect_err("no signature");
        assert!(matches!(error, WebhookError::Refused(Refusal::Header { .. })), "{error}");
        assert_eq!((error.response().status, error.response().body), (401, Vec::new()));
    }
    assert_eq!(desk.receipts.failed(), []);
}

#[tokio::test]
async fn a_standard_webhook_is_known_again_by_its_signed_id() {
    let desk = WebhookShop::new().await;
    desk.set("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Grants::default()).await;
    let first = desk.send("standard", &standard()).await.expect("an answer");
    let again = IncomingRequest { at: at(NOW + 200), ..standard() };
    assert_eq!(desk.send("standard", &again).await.expect("an answer"), first);
    let late = IncomingRequest { at: at(NOW + 301), ..standard() };
    let error = desk.send("standard", &late).await.expect_err("too late");
    assert!(matches!(error, WebhookError::Refused(Refusal::TimestampTooOld(301))), "{error}");
}

#[tokio::test]
async fn only_the_networks_that_the_operator_names_are_heard() {
    let desk = WebhookShop::new().await;
    let grants =
        Grants { webhook_source_networks: vec!["192.0.2.0/24".parse().expect("a network")], ..Grants::default() };
    desk.set("", grants).await;
    let from = |from: &str| IncomingRequest { from: Some(from.parse().expect("an address")), ..post(&[], "note -") };
    desk.send("tell", &from("192.0.2.9")).await.expect("an answer");
    let error = desk.send("tell", &from("198.51.100.9")).await.expect_err("another network");
    assert_eq!(error.response().status, 404);
    assert!(error.to_string().contains("grants.webhook_source_networks += \"198.51.100.9/32\""), "{error}");
}

#[tokio::test]
async fn what_is_nobodys_looks_the_same_from_outside() {
    let desk = WebhookShop::new().await;
    let unknown = desk.post("no-such-endpoint", "").await.expect_err("no endpoint").response();
    let mut elsewhere = desk.to("tell");
    elsewhere.account = "nobody".parse().expect("an id");
    let nobody = desk.host.receive_webhook(&elsewhere, &post(&[], ""), &*desk.receipts).await.expect_err("no account");
    assert_eq!((unknown.status, &unknown), (404, &nobody.response()));
}
