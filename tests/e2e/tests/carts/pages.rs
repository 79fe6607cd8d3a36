//! The embed data of product pages: a stored configuration is reopened by its digest, and each origin needs a grant.

use cartwright::types::EmbedData;
use cartwright::{CartError, CartLine, PageError, Visitor};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

/// Returns the first argument of the call that starts the configurator.
async fn started_with(world: &World, line: Option<&CartLine>) -> Value {
    let embed: EmbedData = world.host.embed(&world.shop, "ring", line, &Visitor::default()).await.expect("embed data");
    let args: Value = serde_json::from_str(&embed.start.expect("a call").args).expect("JSON");
    args[0].clone()
}

#[tokio::test]
async fn a_page_reopens_a_stored_configuration_by_its_digest() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
    assert_eq!(started_with(&world, None).await["configuration"], Value::Null);
    let reopened = started_with(&world, Some(&cart[0])).await;
    let saved: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("JSON");
    assert_eq!(reopened["configuration"]["$literal"][0]["attributes"], saved[0]["attributes"]);
}

#[tokio::test]
async fn a_page_is_refused_until_each_of_its_origins_is_granted() {
    let script = json!({ "viewer-script": "https://assets.expivi.net/viewer/latest/viewer.js" });
    let world = World::with(|builder| builder, script).await;
    let refused = world.host.embed(&world.shop, "ring", None, &Visitor::default()).await;
    let error = refused.expect_err("an origin that is not granted");
    let CartError::Page(PageError::NotGranted { member, .. }) = &error else { panic!("{error}") };
    assert_eq!(member, "allowed_origins[0].origin");
    assert!(error.to_string().ends_with("to allow it: grants.hosts += \"assets.expivi.net\""), "{error}");
}
