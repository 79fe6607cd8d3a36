//! A changed account is checked together with the links that use it, so that an invalid link is not found at the next
//! order or the next start.

use cartwright::{AccountId, AccountSetup, LineState, ProductLink, ProductLinkIssues, SetupError, Visitor};
use cartwright_e2e::{World, local, members, restore};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

fn setup(world: &World, id: &AccountId, settings: Value) -> AccountSetup {
    let mut all = members(json!({ "viewer-token": "viewer-token", "api-url": world.expivi.api_url() }));
    all.extend(members(settings));
    AccountSetup { id: id.clone(), settings: all, grants: local(world.expivi.base_url()) }
}

async fn set(world: &World, id: &AccountId, settings: Value) -> Result<(), SetupError> {
    world.host.set_account(&world.shop, world.digest, setup(world, id, settings)).await
}

/// Returns the invalid fields of each product.
fn link_issues<T: std::fmt::Debug>(refused: Result<T, SetupError>) -> Vec<(String, Vec<String>)> {
    match refused {
        Err(SetupError::Links(links)) => {
            let fields = |link: &ProductLinkIssues| link.issues.iter().map(|issue| issue.field.clone()).collect();
            links.iter().map(|link| (link.shop_product.clone(), fields(link))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn print_files() -> Value {
    json!({ "print-files": true, "media-id": 5 })
}

/// Returns a world with an invalid media id, which is not checked while print files are off.
async fn world_with_an_unused_media_id() -> World {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "media-id": 0 })).await;
    world
}

fn revision(world: &World) -> u64 {
    world.host.snapshot(&world.shop).expect("the shop").accounts[0].revision
}

#[tokio::test]
async fn an_account_that_makes_a_link_misfit_is_refused_and_names_it() {
    let world = world_with_an_unused_media_id().await;
    let (host, shop, id) = (&world.host, &world.shop, &world.account);
    let before = revision(&world);
    let expected = [("ring".to_owned(), vec!["media-id".to_owned()])];
    assert_eq!(link_issues(set(&world, id, print_files()).await), expected);
    let state = host.shop_state(shop).expect("the shop");
    assert_eq!(
        link_issues(host.plan_account(&state, world.digest, &setup(&world, id, print_files())).await),
        expected,
        "a store is told the same before it keeps the change"
    );
    assert_eq!(revision(&world), before, "the account is as it was");
    world.link("ring", "1001", "simple", json!({ "media-id": 7 })).await;
    set(&world, id, print_files()).await.expect("the link was changed");
    restore(host, host.snapshot(shop).expect("the shop")).expect("it starts again");
}

#[tokio::test]
async fn a_strategys_account_is_checked_with_what_products_override_of_it() {
    let world = World::new().await;
    let planner: AccountId = "planner".parse().expect("an id");
    let vendor_prices = json!({ "price-currency": "EUR", "price-scale": 2, "price-tax": "gross" });
    set(&world, &planner, vendor_prices).await.expect("an account");
    let link: ProductLink = serde_json::from_value(json!({
        "shop_product": "hat", "account": "expivi", "vendor_product": "1002",
        "strategy": { "account": "planner", "name": "simple" }, "strategy_settings": { "price-authority": "vendor" },
    }))
    .expect("a link");
    world.host.link(&world.shop, &[link]).await.expect("linked");
    let without_scale = json!({ "price-currency": "EUR", "price-tax": "gross" });
    let expected = [("hat".to_owned(), vec!["strategy_settings.price-scale".to_owned()])];
    assert_eq!(link_issues(set(&world, &planner, without_scale).await), expected);
}

#[tokio::test]
async fn a_past_link_holds_up_no_account_and_no_start_and_its_lines_are_served() {
    let world = world_with_an_unused_media_id().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let second: AccountId = "second".parse().expect("an id");
    set(&world, &second, json!({})).await.expect("an account");
    let ring: ProductLink = serde_json::from_value(json!({
        "shop_product": "ring", "account": "second", "vendor_product": "1001", "strategy": { "name": "simple" },
    }))
    .expect("a link");
    world.host.link(&world.shop, &[ring]).await.expect("switched");
    set(&world, &world.account, print_files()).await.expect("nothing is sold by the past link any more");
    restore(&world.host, world.host.snapshot(&world.shop).expect("the shop")).expect("it starts again");
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    let change = world.host.change_quantity(&world.shop, &cart[0].key, 2, &cart, &Visitor::default()).await;
    change.expect("planned again").apply(&mut cart);
    assert_eq!(cart[0].quantity, 2);
}
