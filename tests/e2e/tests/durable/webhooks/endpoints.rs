//! The endpoints of an account follow from its settings.

use cartwright::webhook::{Refusal, WebhookError};
use cartwright::{Failure, Grants, Hook, SetupError};
use cartwright_e2e::restore;
use serde_json::json;

use super::shop::WebhookShop;

async fn names(desk: &WebhookShop) -> Vec<String> {
    let endpoints = desk.host.webhook_endpoints(&desk.shop, &desk.account).await.expect("endpoints");
    endpoints.into_iter().map(|endpoint| endpoint.name).collect()
}

const ALL: [&str; 8] = ["ask", "tell", "tell-by-id", "base64", "timed", "standard", "bearer", "near"];

#[tokio::test]
async fn an_account_has_the_endpoints_of_its_settings() {
    let desk = WebhookShop::new().await;
    assert_eq!(names(&desk).await, ALL);
    assert_eq!(desk.post("ask", "ask test:desk:1").await.expect("an answer").status, 200);
    desk.change(json!({ "name": "few" }), Grants::default()).await.expect("an account");
    assert_eq!(names(&desk).await, ["tell"]);
    assert_eq!(desk.post("tell", "note -").await.expect("an answer").status, 200);
    // The URL of an endpoint that is gone looks like one that never was.
    let error = desk.post("ask", "ask test:desk:1").await.expect_err("no endpoint");
    assert!(matches!(error, WebhookError::Refused(Refusal::UnknownEndpoint(_))), "{error}");
    assert_eq!(error.response().status, 404);
    desk.change(json!({}), Grants::default()).await.expect("an account");
    assert_eq!(names(&desk).await, ALL);
}

#[tokio::test]
async fn an_account_whose_endpoints_cannot_be_verified_is_refused() {
    let desk = WebhookShop::new().await;
    for (name, fault) in [("unknown", "does not know the authentication \"ed25519\""), ("unsigned", "`body`")] {
        let error = desk.change(json!({ "name": name }), Grants::default()).await.expect_err(name);
        let SetupError::Hook(error) = error else { panic!("{name}: {error}") };
        assert_eq!(error.hook, Hook::Endpoints);
        assert!(
            matches!(&error.failure, Failure::ContractViolation(text) if text.contains(fault) && text.contains("\"tell\"")),
            "{error}"
        );
    }
    assert_eq!(names(&desk).await, ALL, "the account is unchanged");
}

#[tokio::test]
async fn a_setting_that_allows_no_endpoint_is_an_issue_of_that_setting() {
    let desk = WebhookShop::new().await;
    let error = desk.change(json!({ "name": "invalid" }), Grants::default()).await.expect_err("an invalid name");
    let SetupError::Invalid(issues) = error else { panic!("{error}") };
    assert_eq!((issues[0].field.as_str(), issues[0].message.key.as_str()), ("name", "name-invalid"));
}

#[tokio::test]
async fn a_restored_account_is_asked_at_its_first_webhook() {
    let desk = WebhookShop::new().await;
    desk.change(json!({ "name": "few" }), Grants::default()).await.expect("an account");
    let snapshot = desk.host.snapshot(&desk.shop).expect("the shop");
    restore(&desk.host, snapshot).expect("restored");
    assert_eq!(desk.post("tell", "note -").await.expect("an answer").status, 200);
    assert_eq!(desk.post("ask", "ask").await.expect_err("no endpoint").response().status, 404);
}
