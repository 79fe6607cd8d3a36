//! What a vendor says of its items and prices beside names and amounts, with guests that say it on request.

use cartwright::types::TaxBasis;
use cartwright::{AccountId, AccountSetup, CartError, Failure, Grants, HookError, LineState, ProductLink, Visitor};
use cartwright_e2e::{WEBHOOKS, World};
use cartwright_test_guests::MARKUP;
use serde_json::{Map, Value, json};

/// Returns a world whose ring is configured with the account of a guest.
async fn world(guest: &[u8], strategy: Value) -> World {
    let world = World::new().await;
    let plugin = world.host.install(guest, None).await.expect("the guest").digest();
    let id: AccountId = "guest".parse().expect("an account id");
    let setup = AccountSetup { id, settings: Map::new(), grants: Grants::default() };
    world.host.set_account(&world.shop, plugin, setup).await.expect("an account");
    let link: ProductLink = serde_json::from_value(json!({
        "shop_product": "ring", "account": "guest", "vendor_product": "1001", "settings": {},
        "strategy": strategy,
    }))
    .expect("a link");
    world.host.link(&world.shop, &[link]).await.expect("linked");
    world
}

/// Returns why this configuration is refused.
async fn refused(world: &World, configuration: &str) -> CartError {
    world.add("ring", configuration, 1, &mut Vec::new()).await.expect_err("it is refused")
}

/// Returns the contract violation that the author of the plugin reads.
fn breach(error: CartError) -> String {
    match error {
        CartError::Hook(HookError { failure: Failure::ContractViolation(text), .. }) => text,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_surcharge_comes_on_top_of_the_platforms_price_and_the_trace_names_it() {
    let world = world(MARKUP, json!({ "name": "plain" })).await;
    let mut cart = Vec::new();
    let change = world.add("ring", "surcharge", 2, &mut cart).await.expect("a line");
    assert_eq!((cart[0].price.total.minor, cart[0].price.tax), (2 * (19_900 + 1_000), TaxBasis::AsShop));
    let stage = change.stages.iter().find(|stage| stage.stage == "price").expect("the stage");
    assert!(stage.result.contains("1 items, as surcharges on the platform's prices"), "{}", stage.result);
    world.add("ring", "surcharge", 1, &mut cart).await.expect("one more of it");
    assert_eq!((cart.len(), cart[0].quantity, cart[0].price.total.minor), (1, 3, 3 * 20_900));
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    // Both parts of the price are asked for again once the seal does not hold.
    world.catalog.change(|variants| {
        for variant in variants.iter_mut().filter(|variant| variant.sku == "RING") {
            variant.price.as_mut().expect("a price").minor = 10_000;
        }
    });
    let belgian = Visitor { country: Some("BE".to_owned()), ..Visitor::default() };
    let checks = world.host.check_cart(&world.shop, &cart, &belgian).await.expect("checked");
    let LineState::PriceChanged { new, .. } = &checks[0].state else { panic!("{:?}", checks[0].state) };
    assert_eq!(new.minor, 3 * 11_000);
}

#[tokio::test]
async fn a_plugin_reads_the_configuration_that_it_prices_before_it_is_stored() {
    let world = world(MARKUP, json!({ "name": "plain" })).await;
    // The guest returns an error if it cannot read it.
    let mut cart = Vec::new();
    world.add("ring", "anything", 1, &mut cart).await.expect("a line");
    assert_eq!(cart[0].price.total.minor, 1_000);
}

#[tokio::test]
async fn a_recurring_price_is_not_sold_and_one_that_recurs_by_no_duration_is_the_authors_to_mend() {
    let world = world(MARKUP, json!({ "name": "plain" })).await;
    let error = refused(&world, "monthly").await;
    assert!(
        matches!(&error, CartError::RecurringPrice { product, period } if product == "RING" && period == "P1M"),
        "{error}"
    );
    assert!(breach(refused(&world, "often").await).contains("`period`"));
}

#[tokio::test]
async fn a_configuration_that_the_vendor_no_longer_keeps_is_not_sold() {
    let world = world(MARKUP, json!({ "name": "plain" })).await;
    let error = refused(&world, "gone").await;
    assert!(
        matches!(&error, CartError::ConfigurationExpired { until, .. } if until == "2020-01-01T00:00:00Z"),
        "{error}"
    );
    assert!(breach(refused(&world, "someday").await).contains("`valid-until`"));
}

#[tokio::test]
async fn the_vendor_is_no_price_source_without_prices() {
    // It has no strategy either.
    let world = world(WEBHOOKS, json!({ "account": "expivi", "name": "simple" })).await;
    let text = breach(refused(&world, "{}").await);
    assert!(text.contains("does not export the interface `prices`"), "{text}");
}
