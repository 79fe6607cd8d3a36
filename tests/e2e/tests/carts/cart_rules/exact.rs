//! Prices below a minor unit, SKUs in another case, and the state of a browser.

use cartwright::types::Money;
use cartwright::{CartError, LineState, Visitor};
use cartwright_e2e::{World, variant};
use cartwright_fake_vendors::samples;
use serde_json::json;

use super::{changed, one};

/// Returns a world whose ring and screw have this price, in units of 10^-scale euros.
async fn priced(minor: i64, scale: u8) -> World {
    let world = World::new().await;
    world.catalog.change(|variants| {
        for variant in variants.iter_mut().filter(|variant| ["RING", "SCREW-4"].contains(&variant.sku.as_str())) {
            variant.price = Some(Money { minor, scale, currency: "EUR".to_owned() });
        }
    });
    world
}

#[tokio::test]
async fn a_price_below_a_cent_is_multiplied_before_it_is_rounded_and_holds_when_it_is_checked() {
    for (minor, scale, quantity, total) in [(4, 3, 1_000_000, 400_000), (125, 3, 4, 50), (3333, 4, 3, 100)] {
        let world = priced(minor, scale).await;
        let mut cart = Vec::new();
        world.add("ring", samples::EXPIVI_SIMPLE, quantity, &mut cart).await.expect("rings");
        assert_eq!((cart[0].price.total.minor, cart[0].price.total.scale), (total, 2));
        let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
        let ok = async |visitor: &Visitor| host.check_cart(shop, &cart, visitor).await.expect("checked").remove(0);
        assert_eq!(ok(&visitor).await.state, LineState::Ok);
        // A new plan gives the same result.
        let trade = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() };
        assert_eq!(ok(&trade).await.state, LineState::Ok);
        assert_eq!(host.refresh_line(shop, &cart[0].key, &cart, &visitor).await.expect("refreshed").operations, []);
    }
}

#[tokio::test]
async fn many_parts_below_a_cent_make_a_price() {
    let world = priced(4, 3).await;
    let many = changed(samples::EXPIVI_BUNDLE, |value| {
        let screw = json!({ "models_id": 1, "models_sku": "M", "price_sku": "SCREW-4", "price_fields": {} });
        value[0]["articles"] = (0..1000).map(|_| screw.clone()).collect();
    });
    let mut cart = Vec::new();
    world.add("wardrobe", &many, 1, &mut cart).await.expect("a wardrobe of screws");
    assert_eq!((cart[0].price.total.minor, cart[1].price.total.minor, cart[1].quantity), (400, 400, 1000));
}

#[tokio::test]
async fn a_price_of_parts_finds_their_skus_as_every_other_setting_does() {
    let world = World::new().await;
    world.catalog.change(|variants| variants.push(variant("tür-grün", "door", 2_450)));
    let parts = |sku: &str| {
        changed(samples::EXPIVI_BUNDLE, |value| {
            let part = |sku: &str| json!({ "models_id": 1, "models_sku": "M", "price_sku": sku, "price_fields": {} });
            value[0]["articles"] = json!([part(sku), part("hinge")]);
        })
    };
    for strategy in ["simple", "bundle"] {
        let settings = json!({ "price-authority": "components", "ignore-case": true });
        world.link("wardrobe", "1003", strategy, settings).await;
        for sku in ["panel-60", "TÜR-GRÜN"] {
            assert_eq!(one(&world, "wardrobe", &parts(sku)).await.price.total.minor, 2_450 + 320, "{strategy} {sku}");
        }
        world.link("wardrobe", "1003", strategy, json!({ "price-authority": "components" })).await;
        let refused = world.add("wardrobe", &parts("panel-60"), 1, &mut Vec::new()).await.expect_err("another SKU");
        assert!(matches!(&refused, CartError::Sku { found: 0, .. }), "{strategy}: {refused}");
    }
}

#[tokio::test]
async fn numbers_that_a_double_does_not_hold_are_sold_and_told_apart() {
    let world = World::new().await;
    let mut cart = Vec::new();
    let numbers = [
        "3.4028234663852886e38",
        "1.7976931348623157e308",
        "1770000000123456789",
        "1770000000123456788",
        "9007199254740993",
    ];
    for (before, number) in numbers.iter().enumerate() {
        let state = changed(samples::EXPIVI_SIMPLE, |value| value[0]["configuration"]["far"] = json!("@"));
        let state = state.replace("\"@\"", number);
        for quantity in 1..=2 {
            world.add("ring", &state, 1, &mut cart).await.expect(number);
            assert_eq!((cart.len(), cart[before].quantity), (before + 1, quantity), "{number}");
        }
    }
}

#[tokio::test]
async fn a_name_that_nothing_keeps_is_refused_where_it_comes_in() {
    let world = World::new().await;
    for (what, place) in [("an id", "/0/uuid"), ("a SKU", "/0/articles")] {
        let configuration = changed(samples::EXPIVI_SIMPLE, |value| {
            let sku = json!([{ "models_id": 1, "models_sku": "a\u{0}b", "price_sku": "RING", "price_fields": {} }]);
            let value = value.as_array_mut().and_then(|products| products.first_mut()).expect("a product");
            let wrong = if what == "an id" { json!("a\u{0}b") } else { sku };
            value[place.trim_start_matches("/0/")] = wrong;
        });
        let refused = world.add("ring", &configuration, 1, &mut Vec::new()).await;
        assert!(matches!(refused, Err(CartError::Configuration(_) | CartError::Hook(_))), "{what}: {refused:?}");
    }
}
