//! A link whose strategy belongs to another account can override settings of that account's plugin too.

use cartwright::{AccountSetup, Grants, Interface, ProductLink, ProductLinkIssues, SetupError};
use cartwright_e2e::{WEBHOOKS, World, added_lines, local, members};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

/// Returns a shop with a second account of Expivi's plugin, "planner", whose strategies plan.
async fn world() -> World {
    let world = World::new().await;
    let settings = members(json!({ "viewer-token": "viewer-token", "sku-prefix": "HAT-" }));
    let grants = local(world.expivi.base_url());
    let setup = AccountSetup { id: "planner".parse().expect("an id"), settings, grants };
    world.host.set_account(&world.shop, world.digest, setup).await.expect("an account");
    world
}

async fn link(world: &World, strategy: Value, strategy_settings: Value) -> Result<Vec<ProductLinkIssues>, SetupError> {
    let link: ProductLink = serde_json::from_value(json!({
        "shop_product": "shirt", "account": "expivi", "vendor_product": "1002",
        "strategy": strategy, "strategy_settings": strategy_settings,
    }))
    .expect("a link");
    world.host.link(&world.shop, &[link]).await
}

#[tokio::test]
async fn the_strategy_plans_with_what_the_product_overrides() {
    let world = world().await;
    let planner = json!({ "account": "planner", "name": "variation" });
    link(&world, planner.clone(), json!({})).await.expect("linked");
    let error = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect_err("no such hat");
    assert!(error.to_string().contains("HAT-R-L"), "{error}");
    link(&world, planner, json!({ "sku-prefix": "SHIRT-" })).await.expect("linked");
    let change = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect("a line");
    assert_eq!(added_lines(&change)[0].sku.as_deref(), Some("SHIRT-R-L"));
}

#[tokio::test]
async fn a_vendor_without_a_strategy_is_linked_with_the_strategy_of_another_account() {
    let world = World::new().await;
    let vendor = world.host.install(WEBHOOKS, None).await.expect("a vendor");
    assert!(!vendor.has(Interface::Cart) && vendor.metadata().identity.strategies.is_empty());
    let hooks = "hooks".parse().expect("an id");
    let setup = AccountSetup { id: hooks, settings: members(json!({})), grants: Grants::default() };
    world.host.set_account(&world.shop, vendor.digest(), setup).await.expect("an account");
    let link = async |strategy: Value| {
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": "shirt", "account": "hooks", "vendor_product": "1", "strategy": strategy,
        }))
        .expect("a link");
        world.host.link(&world.shop, &[link]).await
    };
    for own in [json!({ "name": "simple" }), json!({ "account": "hooks" })] {
        match link(own).await {
            Err(SetupError::Links(links)) => {
                assert_eq!(links[0].issues[0].field, "strategy");
                assert!(links[0].issues[0].message.text.contains("webhooks has no cart strategy"), "{links:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    link(json!({ "account": "expivi", "name": "simple" })).await.expect("linked");
}

#[tokio::test]
async fn what_the_strategys_own_form_does_not_let_a_product_override_is_refused() {
    let world = world().await;
    for (strategy, settings, field, says) in [
        (
            json!({ "account": "planner" }),
            json!({ "sku-prefx": "A" }),
            "strategy_settings.sku-prefx",
            "No such setting.",
        ),
        (
            json!({ "account": "planner" }),
            json!({ "viewer-token": "x" }),
            "strategy_settings.viewer-token",
            "cannot override",
        ),
        (
            json!({ "name": "variation" }),
            json!({ "sku-prefix": "A" }),
            "strategy_settings",
            "the strategy of another account",
        ),
        (
            json!({ "account": "expivi" }),
            json!({ "sku-prefix": "A" }),
            "strategy_settings",
            "the strategy of another account",
        ),
    ] {
        match link(&world, strategy, settings).await {
            Err(SetupError::Links(links)) => {
                let issues = &links[0].issues;
                assert_eq!((links[0].shop_product.as_str(), issues[0].field.as_str()), ("shirt", field));
                assert!(issues[0].message.text.contains(says), "{issues:?}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}
