//! Pictures of lines, and the stored parts of a configuration: nothing of a rejected one is stored.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use cartwright::health::{RateLimitRules, Rules};
use cartwright::{Blobs, CartError, Digest, Visitor};
use cartwright_e2e::{World, added_lines};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use super::{changed, one};

/// Returns rings with pictures at these paths of the vendor's server, each with its own name.
fn pictured(world: &World, paths: &[String]) -> String {
    let rings = paths.iter().enumerate().map(|(number, path)| {
        let ring = changed(samples::EXPIVI_SIMPLE, |value| {
            value[0].as_object_mut().expect("an object").remove("thumbnail");
            value[0]["uuid"] = json!(format!("ring-{number}"));
            value[0]["configuration"]["attributes"][0]["attribute_value_name"] = json!(format!("Oak {number}"));
            value[0]["thumbnail_url"] = json!(format!("{}/{path}", world.expivi.base_url()));
        });
        serde_json::from_str::<Vec<Value>>(&ring).expect("a sample").remove(0)
    });
    Value::Array(rings.collect()).to_string()
}

fn fetched(world: &World) -> usize {
    world.expivi.record().all().len()
}

async fn is_stored(world: &World, bytes: &[u8]) -> bool {
    world.blobs.get(&world.shop, &Digest::of(bytes)).await.expect("an answer").is_some()
}

#[tokio::test]
async fn nothing_is_stored_of_what_is_refused() {
    let world = World::new().await;
    let other_product = world.add("ring", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await;
    assert!(matches!(other_product, Err(CartError::NotLinked { .. })), "{other_product:?}");
    world.catalog.change(|variants| variants.retain(|variant| variant.sku != "RING"));
    let not_sold = world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await;
    assert!(not_sold.is_err(), "{not_sold:?}");
    for refused in [samples::EXPIVI_VARIATION.as_bytes(), samples::EXPIVI_SIMPLE.as_bytes(), samples::JPEG] {
        assert!(!is_stored(&world, refused).await);
    }
    let line = one(&World::new().await, "ring", samples::EXPIVI_SIMPLE).await;
    assert_eq!(line.configuration, Some(Digest::of(samples::EXPIVI_SIMPLE.as_bytes())));
}

#[tokio::test]
async fn a_line_that_is_planned_again_keeps_its_picture() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let key = cart[0].key.clone();
    let change = world.host.change_quantity(&world.shop, &key, 3, &cart, &Visitor::default()).await.expect("changed");
    change.apply(&mut cart);
    assert_eq!((cart[0].quantity, cart[0].thumbnail), (3, Some(Digest::of(samples::JPEG))));
    assert!(change.stages.iter().all(|stage| stage.stage != "pictures"), "{:?}", change.stages);
}

#[tokio::test]
async fn a_picture_by_address_is_fetched_once_and_not_again() {
    let world = World::new().await;
    let before = fetched(&world);
    let paths = ["a.png", "b.png", "a.png", "b.png", "a.png"].map(str::to_owned);
    let mut cart = Vec::new();
    let change = world.add("ring", &pictured(&world, &paths), 1, &mut cart).await.expect("lines");
    assert_eq!((added_lines(&change).len(), fetched(&world) - before), (5, 2));
    // The vendor does not have these pictures, which does not prevent a sale.
    let warnings: Vec<&str> = change.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("5 thumbnails are left out") && warnings[0].contains("404"), "{warnings:?}");
    let key = cart[0].key.clone();
    world.host.change_quantity(&world.shop, &key, 3, &cart, &Visitor::default()).await.expect("changed");
    assert_eq!(fetched(&world) - before, 2);
}

#[tokio::test]
async fn pictures_are_fetched_as_fast_as_their_server_may_be_asked() {
    let rate_limit = RateLimitRules { burst: NonZeroU32::MIN, interval: Duration::from_secs(3600) };
    let rules = Rules { rate_limit, ..Rules::default() };
    let world = World::with(|builder| builder.health(rules), json!({})).await;
    let before = fetched(&world);
    let paths: Vec<String> = (0..20).map(|number| format!("{number}.png")).collect();
    let began = Instant::now();
    let change = world.add("ring", &pictured(&world, &paths), 1, &mut Vec::new()).await.expect("lines");
    assert_eq!((added_lines(&change).len(), fetched(&world) - before), (20, 1));
    assert!(began.elapsed() < Duration::from_secs(2), "a shopper waits for a turn that does not come");
    let left_out = |text: &str| change.warnings.iter().any(|warning| warning.text.contains(text));
    assert!(left_out("the rate limit for"), "{:?}", change.warnings);
}

#[tokio::test]
async fn a_line_whose_configuration_is_gone_must_be_configured_again() {
    let world = World::new().await;
    let cart = vec![one(&world, "ring", samples::EXPIVI_SIMPLE).await];
    let elsewhere = World::new().await;
    let checks = elsewhere.host.check_cart(&elsewhere.shop, &cart, &Visitor::default()).await.expect("checked");
    let cartwright::LineState::MustReconfigure { reason } = &checks[0].state else { panic!("{checks:?}") };
    assert!(reason.contains("no longer stored"), "{reason}");
}
