//! Data that never leaves the host: secrets and addresses, whatever vendor is used and however it fails.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use cartwright::types::{CallError, OrderEventKind};
use cartwright::{AccountId, AccountSetup, Limits, SimulatedClock, Visitor};
use cartwright_e2e::{World, local, members};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, Malformed, Outage, TwikitConfig};
use serde_json::json;

use super::common::{all_texts, event, listen, plugin_error};
use super::expivi::{WARDROBE, bought};
use super::jewels::Jewels;

#[tokio::test]
async fn a_shoppers_address_is_only_given_to_a_plugin_with_the_grant() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.set(json!({}), |grants| grants.personal_data = false).await;
    let refused = jewels.release(&order).await;
    let error = refused.as_ref().expect_err("no address");
    assert!(matches!(plugin_error(error), CallError::NotConfigured(issue) if issue.field == "delivery"), "{error}");
    assert!(!all_texts(&refused).to_lowercase().contains("ghent"));
    assert_eq!(jewels.requests().len(), 0);
    jewels.set(json!({ "delivery": "shop" }), |grants| grants.personal_data = false).await;
    let handled = jewels.release(&order).await;
    let text = String::from_utf8(jewels.requests()[0].body.clone()).expect("text").to_lowercase();
    assert!(text.contains("bruges") && !text.contains("ghent") && !text.contains("zoë"), "{text}");
    assert!(!all_texts(&handled).to_lowercase().contains("ghent"));
}

#[tokio::test]
async fn the_payload_secret_is_in_nothing_that_the_plugin_says() {
    const SECRET: &str = "p4yl0ad-9b7e61";
    let config = TwikitConfig { payload_secret: SECRET.to_owned(), ..TwikitConfig::default() };
    let jewels = Jewels::with(config, Limits::default()).await;
    let mut texts = String::new();
    let order = jewels.order("1").await;
    texts += &all_texts(&jewels.release(&order).await);
    texts += &all_texts(&jewels.release(&order).await);
    jewels.twikit.faults().outage(Outage::Dropped);
    texts += &all_texts(&jewels.release(&order).await);
    jewels.twikit.faults().clear();
    texts += &format!("{:?}", jewels.host.test_connection(&jewels.shop, &jewels.account).await.expect("diagnoses"));
    let visitor = Visitor::default();
    texts += &format!("{:?}", jewels.host.embed(&jewels.shop, "jewel", None, &visitor).await.expect("a page"));
    texts += &format!("{:?} {:?}", jewels.webhooks(), jewels.twikit.sent_webhooks());
    jewels.set(json!({ "payload-secret": "p4yl0ad-wrong" }), |_| {}).await;
    texts += &all_texts(&jewels.release(&order).await);
    assert!(texts.contains("payload-secret") && !texts.contains("p4yl0ad"), "{texts}");
    for sent in jewels.requests() {
        assert!(!format!("{sent:?}{}", String::from_utf8_lossy(&sent.body)).contains("p4yl0ad"), "it was sent");
    }
}

#[tokio::test]
async fn the_server_token_is_in_nothing_that_the_plugin_says() {
    const TOKEN: &str = "s3rv3r-9b7e61";
    let config = ExpiviConfig { server_token: TOKEN.to_owned(), ..ExpiviConfig::default() };
    let other = FakeExpivi::start(config).await.expect("a fake Expivi");
    let world = World::new().await;
    let account: AccountId = "secretive".parse().expect("an id");
    let set = async |token: &str| {
        let settings = members(json!({
            "viewer-token": "viewer-token", "server-token": token, "api-url": other.api_url(),
            "print-files": true, "media-id": 501,
        }));
        let setup = AccountSetup { id: account.clone(), settings, grants: local(other.base_url()) };
        world.host.set_account(&world.shop, world.digest, setup).await.expect("an account");
    };
    set(TOKEN).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    world.orders.put(&world.shop, &account, order.clone());
    let event = event(OrderEventKind::Released, &order);
    let handle = async || {
        let clock = Arc::new(SimulatedClock::default());
        all_texts(&world.host.handle_order(&world.shop, &account, &event, None, clock).await)
    };
    let mut texts = handle().await;
    assert!(texts.contains("print.pdf"), "{texts}");
    for outage in [Outage::Dropped, Outage::Unavailable { retry_after: None }] {
        other.faults().outage(outage);
        texts += &handle().await;
    }
    other.faults().clear();
    for how in [Malformed::Truncated, Malformed::Html, Malformed::WrongTypes] {
        other.faults().malform(how, 1);
        texts += &handle().await;
    }
    texts += &format!("{:?}", world.host.test_connection(&world.shop, &account).await.expect("diagnoses"));
    set("s3rv3r-wrong").await;
    texts += &handle().await;
    texts += &format!("{:?}", world.host.test_connection(&world.shop, &account).await);
    assert!(texts.contains("token-refused") && !texts.contains("s3rv3r"), "{texts}");
    let (sent, right) = (other.record().all(), format!("Bearer {TOKEN}"));
    assert!(sent.iter().any(|sent| sent.header("authorization") == Some(&right)), "the token was never used");
    for sent in sent {
        assert!(!String::from_utf8_lossy(&sent.body).contains("s3rv3r") && !sent.path.contains("s3rv3r"));
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_does_not_bring_it_before_people() {
    const TOKEN: &str = "s3rv3r-9b7e61";
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let account: AccountId = "echo".parse().expect("an id");
    world.orders.put(&world.shop, &account, order.clone());
    for (status, text) in [
        (422, "Not with Bearer TOKEN, says it."),
        (422, "The token TOKEN may not."),
        (422, "{\"token\":\"TOKEN\"}"),
        (401, "TOKEN"),
        (503, "TOKEN"),
        (200, "No JSON: Bearer TOKEN"),
        (200, "{\"token\":\"TOKEN\"}"),
    ] {
        let answer = (StatusCode::from_u16(status).expect("a status"), text.replace("TOKEN", TOKEN));
        let base = listen(Router::new().fallback(async move || answer.clone())).await;
        let settings = members(json!({
            "viewer-token": "viewer-token", "server-token": TOKEN, "api-url": format!("{base}/api/"),
        }));
        let setup = AccountSetup { id: account.clone(), settings, grants: local(&base) };
        world.host.set_account(&world.shop, world.digest, setup).await.expect("an account");
        let (event, clock) = (event(OrderEventKind::Released, &order), Arc::new(SimulatedClock::default()));
        let texts = all_texts(&world.host.handle_order(&world.shop, &account, &event, None, clock).await);
        assert!(texts.contains("Expivi") && !texts.contains(TOKEN), "{status} {text}: {texts}");
    }
}
