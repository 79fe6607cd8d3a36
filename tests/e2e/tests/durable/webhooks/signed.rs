//! Endpoints whose requests are authenticated, through the host. The runtime's own tests cover each way in which a
//! signature can be wrong.

use std::sync::Mutex;
use std::time::SystemTime;

use async_trait::async_trait;
use cartwright::Grants;
use cartwright::types::{WebhookRequest, WebhookResponse};
use cartwright::webhook::{
    DeliveryStart, Destination, Effects, IncomingRequest, Refusal, WebhookDelivery, WebhookDeliveryStore,
    WebhookDeliveryStoreError, WebhookError,
};

use super::shop::{NOW, WebhookShop, at, post, text};

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
async fn a_header_that_holds_a_secret_reaches_neither_the_plugin_nor_the_store() {
    let desk = WebhookShop::new().await;
    desk.set("s3cret-77aa", Grants::default()).await;
    let sent = |secret: &str, body: &str| post(&[("authorization", secret), ("x-id", "7")], body);
    let response = desk.send("bearer", &sent("Bearer s3cret-77aa", "headers")).await.expect("an answer");
    assert_eq!(text(&response), "x-id: 7\n");
    let error = desk.send("bearer", &sent("Bearer s3cret-77ab", "headers")).await.expect_err("another secret");
    assert!(matches!(error, WebhookError::Refused(Refusal::WrongSecret { .. })), "{error}");
    assert_eq!((error.response().status, error.response().body), (401, Vec::new()));
    let store = RequestLog::default();
    desk.send_to("bearer", &sent("Bearer s3cret-77aa", "trap"), &store).await.expect_err("a trap");
    let requests = store.0.lock().expect("the requests").clone();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.headers, [("x-id".to_owned(), "7".to_owned())]);
}

/// A store that records the requests that it is given.
#[derive(Default)]
struct RequestLog(Mutex<Vec<WebhookRequest>>);

#[async_trait]
impl WebhookDeliveryStore for RequestLog {
    async fn begin(&self, delivery: &WebhookDelivery) -> Result<DeliveryStart, WebhookDeliveryStoreError> {
        self.0.lock().expect("the requests").push(delivery.request.clone());
        Ok(DeliveryStart::Run { request_id: delivery.request.id.clone() })
    }

    async fn complete(
        &self,
        _: &WebhookDelivery,
        _: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError> {
        Ok(response.clone())
    }

    async fn fail(&self, _: &WebhookDelivery, _: &str) -> Result<(), WebhookDeliveryStoreError> {
        Ok(())
    }

    async fn apply(&self, _: &Destination, _: SystemTime, _: Effects) -> Result<(), WebhookDeliveryStoreError> {
        Ok(())
    }
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
async fn the_networks_that_a_vendor_publishes_hold_beside_those_of_the_grants() {
    let desk = WebhookShop::new().await;
    let from = |from: &str| IncomingRequest { from: Some(from.parse().expect("an address")), ..post(&[], "note -") };
    desk.send("near", &from("192.0.2.9")).await.expect("an answer");
    let error = desk.send("near", &from("198.51.100.9")).await.expect_err("another network");
    assert!(matches!(error, WebhookError::Refused(Refusal::VendorSource(_))), "{error}");
    assert_eq!(error.response().status, 404);
    let grants =
        Grants { webhook_source_networks: vec!["192.0.2.7/32".parse().expect("a network")], ..Grants::default() };
    desk.set("", grants).await;
    let error = desk.send("near", &from("192.0.2.9")).await.expect_err("the grants narrow the vendor's networks");
    assert!(matches!(error, WebhookError::Refused(Refusal::Source(_))), "{error}");
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
