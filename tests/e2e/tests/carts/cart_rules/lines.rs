//! One line: its identity, editing, its display fields, and rejected input.

use cartwright::types::{DisplayField, Message};
use cartwright::{CartError, CartOperation, Visitor};
use cartwright_e2e::{World, added_lines, variant};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use super::{changed, one};

#[tokio::test]
async fn the_same_configuration_raises_the_quantity_of_its_line() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("more of it");
    assert_eq!(cart.len(), 1);
    assert_eq!(cart[0].quantity, 3);
    assert_eq!(cart[0].price.total.minor, 3 * 19_900);
}

#[tokio::test]
async fn configurations_that_differ_never_merge_and_those_that_do_not_do() {
    let world = World::new().await;
    let key = async |text: &str| one(&world, "ring", text).await.key;
    let original = key(samples::EXPIVI_SIMPLE).await;
    let other_text = key(&samples::EXPIVI_SIMPLE.replace("Bob", "Bab")).await;
    let other_state = key(&changed(samples::EXPIVI_SIMPLE, |value| {
        value[0]["configuration"]["attributes"][0]["attribute_value_name"] = json!("Platinum");
    }))
    .await;
    assert_ne!(original, other_text);
    assert_ne!(original, other_state);
    let other_order = changed(samples::EXPIVI_SIMPLE, |_| {});
    let without_picture = changed(samples::EXPIVI_SIMPLE, |value| {
        value[0].as_object_mut().expect("an object").remove("thumbnail");
    });
    let other_price = changed(samples::EXPIVI_SIMPLE, |value| value[0]["price"] = json!(0.01));
    let null = changed(samples::EXPIVI_SIMPLE, |value| value[0]["parent_uuid"] = Value::Null);
    for same in [other_order, without_picture, other_price, null] {
        assert_eq!(original, key(&same).await, "{same}");
    }
}

#[tokio::test]
async fn an_edit_replaces_the_line_and_keeps_its_quantity_and_place() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 4, &mut cart).await.expect("a line");
    world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut cart).await.expect("a line");
    let other = samples::EXPIVI_SIMPLE.replace("Bob", "Alice");
    let old = cart[0].key.clone();
    let request = world.request("ring", &other, 1, &cart);
    let change = world.host.edit_line(&world.shop, &old, None, request).await.expect("edited");
    change.apply(&mut cart);
    assert_eq!(cart.len(), 2);
    assert_eq!(cart[0].quantity, 4);
    assert_ne!(cart[0].key, old);
}

#[tokio::test]
async fn the_variant_that_was_chosen_before_configuring_stays_chosen() {
    let world = World::new().await;
    let price = |size: &str, cents| variant(&format!("MUG-{size}"), "mug", cents);
    world.catalog.change(|variants| variants.extend([price("S", 900), price("L", 1_200)]));
    world.link("mug", "1001", "simple", json!({})).await;
    let mut request = world.request("mug", samples::EXPIVI_SIMPLE, 1, &[]);
    let error = world.host.add_to_cart(&world.shop, request.clone()).await.expect_err("which one?");
    assert!(matches!(error, CartError::Product { found: 2, .. }), "{error}");
    request.variant = Some("id-RING".to_owned());
    let error = world.host.add_to_cart(&world.shop, request.clone()).await.expect_err("another product's");
    assert!(matches!(error, CartError::Variant { .. }), "{error}");
    request.variant = Some("id-MUG-L".to_owned());
    let mut cart = Vec::new();
    world.host.add_to_cart(&world.shop, request).await.expect("a line").apply(&mut cart);
    assert_eq!(cart[0].sku.as_deref(), Some("MUG-L"));
    // A new configuration of the same line, and a new price of the same variant.
    let other = samples::EXPIVI_SIMPLE.replace("Bob", "Alice");
    let request = world.request("mug", &other, 1, &cart);
    let key = cart[0].key.clone();
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(cart[0].sku.as_deref(), Some("MUG-L"));
    let again =
        world.host.change_quantity(&world.shop, &cart[0].key, 3, &cart, &Visitor::default()).await.expect("three");
    again.apply(&mut cart);
    assert_eq!((cart[0].sku.as_deref(), cart[0].price.total.minor), (Some("MUG-L"), 3_600));
}

#[tokio::test]
async fn a_failed_edit_keeps_the_old_line() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let request = world.request("ring", "[{\"broken\":", 1, &cart);
    let error = world.host.edit_line(&world.shop, &cart[0].key, None, request).await.expect_err("broken");
    assert!(error.to_string().contains("invalid input"), "{error}");
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &cart);
    let error = world.host.edit_line(&world.shop, "no such key", None, request).await.expect_err("no line");
    assert!(matches!(error, CartError::UnknownLine(_)), "{error}");
}

#[tokio::test]
async fn another_product_than_the_linked_one_is_refused() {
    let world = World::new().await;
    let mut cart = Vec::new();
    let expensive = changed(samples::EXPIVI_SIMPLE, |value| value[0]["catalogue_id"] = json!(1003));
    let error = world.add("ring", &expensive, 1, &mut cart).await.expect_err("another product");
    assert!(matches!(error, CartError::NotLinked { .. }), "{error}");
}

#[tokio::test]
async fn removing_a_parent_removes_its_children_and_a_child_stays_with_its_bundle() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a bundle");
    let child = cart.last().expect("a child").key.clone();
    let refused = world.host.remove_line(&world.shop, &child, &cart, &Visitor::default()).await;
    assert!(matches!(refused, Err(CartError::BundleChild(_))), "{refused:?}");
    let parent = cart[1].key.clone();
    let change = world.host.remove_line(&world.shop, &parent, &cart, &Visitor::default()).await.expect("removed");
    change.apply(&mut cart);
    assert_eq!(cart.len(), 1);
    assert_eq!(cart[0].product, "ring");
}

#[tokio::test]
async fn a_variation_is_found_by_its_keys_among_the_products_own_variants() {
    let world = World::new().await;
    let line = one(&world, "shirt", samples::EXPIVI_VARIATION).await;
    assert_eq!(line.sku.as_deref(), Some("SHIRT-R-L"));
    world.catalog.change(|variants| variants.retain(|variant| variant.sku != "SHIRT-R-L"));
    let none = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect_err("no variant");
    assert!(matches!(&none, CartError::Sku { sku, found: 0, .. } if sku == "SHIRT-R-L"), "{none}");
    world.catalog.change(|variants| {
        let twin = |id: &str| {
            let mut variant = cartwright_e2e::variant("SHIRT-R-L", "shirt", 1);
            variant.id = id.to_owned();
            variant
        };
        variants.extend([twin("a"), twin("b")]);
    });
    let several = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect_err("two variants");
    assert!(matches!(several, CartError::Sku { found: 2, .. }), "{several}");
}

#[tokio::test]
async fn hidden_attributes_are_not_shown_and_texts_are() {
    let world = World::new().await;
    let line = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    assert!(line.shown.iter().any(|DisplayField { value, .. }| value.contains("Bob")), "{:?}", line.shown);
    assert!(!line.shown.iter().any(|part| part.value.contains("@font")), "{:?}", line.shown);
    let sample: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let hidden = &sample[0]["configuration"]["attributes"].as_array().expect("attributes").len();
    assert!(line.shown.len() < hidden + 1, "{:?}", line.shown);
}

#[tokio::test]
async fn a_picture_is_stored_by_hash_and_no_base64_gets_into_a_line() {
    let world = World::new().await;
    let line = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    assert_eq!(line.thumbnail, Some(cartwright::Digest::of(samples::JPEG)));
    let json = serde_json::to_string(&line).expect("JSON");
    assert!(!json.contains("base64") && !json.contains(&samples::jpeg_base64()[..40]));
}

#[tokio::test]
async fn a_picture_that_is_none_is_left_out_with_a_warning() {
    let world = World::new().await;
    for picture in ["data:image/png;base64,PHNjcmlwdD4=", "@@@@", "iVBORw0KGgo="] {
        let configuration = changed(samples::EXPIVI_SIMPLE, |value| value[0]["thumbnail"] = json!(picture));
        let mut cart = Vec::new();
        let change = world.add("ring", &configuration, 1, &mut cart).await.expect("a line");
        assert_eq!(added_lines(&change)[0].thumbnail, None);
        let warned =
            |warnings: &[Message]| warnings.iter().filter(|warning| warning.key == "thumbnail-unusable").count();
        assert_eq!(warned(&change.warnings), 1, "{:?}", change.warnings);
        // A line whose quantity grows is planned twice, and still has one warning.
        let more = world.add("ring", &configuration, 1, &mut cart).await.expect("more of it");
        assert_eq!(warned(&more.warnings), 1, "{:?}", more.warnings);
    }
}

#[tokio::test]
async fn planning_again_over_a_plans_own_result_changes_nothing() {
    let world = World::new().await;
    let mut cart = Vec::new();
    for (product, sample) in
        [("ring", samples::EXPIVI_SIMPLE), ("shirt", samples::EXPIVI_VARIATION), ("wardrobe", samples::EXPIVI_BUNDLE)]
    {
        world.add(product, sample, 2, &mut cart).await.expect("a line");
    }
    for line in cart.iter().filter(|line| line.parent.is_none()) {
        let change =
            world.host.refresh_line(&world.shop, &line.key, &cart, &Visitor::default()).await.expect("refreshed");
        assert_eq!(change.operations, [], "{}", line.title);
    }
}

#[tokio::test]
async fn a_quotation_leaves_the_cart_alone() {
    let world = World::new().await;
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 500, &[]);
    let change = world.host.request_quote(&world.shop, request).await.expect("asked");
    assert!(matches!(&change.operations[..], [CartOperation::RequestQuote { lines }] if lines[0].quantity == 500));
}

#[tokio::test]
async fn a_linked_product_is_not_sold_without_its_configuration() {
    let world = World::new().await;
    let mut request = world.request("ring", "", 1, &[]);
    request.configuration = None;
    let error = world.host.add_to_cart(&world.shop, request).await.expect_err("no configuration");
    assert!(matches!(error, CartError::NeedsConfiguration(_)), "{error}");
}

#[tokio::test]
async fn quantities_out_of_range_are_refused() {
    let world = World::new().await;
    for quantity in [0, u32::MAX] {
        let refused = world.add("ring", samples::EXPIVI_SIMPLE, quantity, &mut Vec::new()).await;
        assert!(matches!(refused, Err(CartError::Quantity { .. })), "{refused:?}");
    }
}
