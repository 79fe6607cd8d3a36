//! The rules of carts, each with Expivi's plugin and through the whole path. Among them is every defect that is known of the
//! vendor's official plugin for another platform.

use cartwright::types::{LinePart, Message, PriceSource};
use cartwright::{AccountSetup, CartError, CartLine, CartOperation, Grants, LineState, StrategyChoice, Visitor};
use cartwright_e2e::{HOSTILE, World, added, variant};
use cartwright_fake_vendors::{Outage, samples};
use serde_json::{Map, Value, json};

fn changed(sample: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(sample).expect("a sample");
    change(&mut value);
    value.to_string()
}

/// Rings of one configuration, each with a name of its own and an engraving.
fn saved(rings: &[(&str, &str)]) -> String {
    let ring = |name: &str, engraved: &str| {
        let one = changed(samples::EXPIVI_SIMPLE, |value| value[0]["uuid"] = json!(name));
        serde_json::from_str::<Vec<Value>>(&one.replace("Bob", engraved)).expect("a sample").remove(0)
    };
    Value::Array(rings.iter().map(|(name, engraved)| ring(name, engraved)).collect()).to_string()
}

/// What is engraved on each line, and how many there are.
fn engraved(cart: &[CartLine]) -> Vec<(String, u32)> {
    let of = |line: &CartLine| {
        let part = line.shown.iter().find(|part| part.name == "Engraving").expect("an engraving");
        (part.value.clone(), line.quantity)
    };
    cart.iter().map(of).collect()
}

async fn one(world: &World, product: &str, configuration: &str) -> CartLine {
    let change = world.add(product, configuration, 1, &mut Vec::new()).await.expect("a line");
    added(&change).remove(0)
}

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
async fn editing_one_of_several_products_moves_its_siblings_and_nothing_else() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann")]), 2, &mut cart).await.expect("another visit's line");
    world.add("ring", &saved(&[("x", "Bob"), ("y", "Cid"), ("z", "Dan")]), 1, &mut cart).await.expect("three lines");
    assert_eq!(cart.len(), 4);
    let edited = cart[1].key.clone();
    let new = saved(&[("y", "Eve"), ("x", "Bea"), ("w", "Fay")]);
    let request = world.request("ring", &new, 1, &cart);
    let change = world.host.edit_line(&world.shop, &edited, Some(5), request).await.expect("edited");
    change.apply(&mut cart);
    let expected = [("Ann", 2), ("Bea", 5), ("Eve", 1), ("Fay", 5)];
    assert_eq!(engraved(&cart), expected.map(|(name, quantity)| (name.to_owned(), quantity)));
}

#[tokio::test]
async fn an_edit_into_what_another_line_holds_makes_one_line_of_both() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann")]), 2, &mut cart).await.expect("a line");
    world.add("ring", &saved(&[("x", "Bob")]), 3, &mut cart).await.expect("a line");
    let (key, request) = (cart[1].key.clone(), world.request("ring", &saved(&[("x", "Ann")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 5)]);
    assert_eq!(cart[0].price.total.minor, 5 * 19_900);
}

#[tokio::test]
async fn products_that_change_places_keep_their_quantities() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Bob")]), 1, &mut cart).await.expect("two lines");
    let (edited, sibling) = (cart[0].key.clone(), cart[1].key.clone());
    let change = world.host.change_quantity(&world.shop, &sibling, 4, &cart, &Visitor::default()).await.expect("four");
    change.apply(&mut cart);
    let request = world.request("ring", &saved(&[("x", "Bob"), ("y", "Ann")]), 1, &cart);
    world.host.edit_line(&world.shop, &edited, None, request).await.expect("edited").apply(&mut cart);
    let mut now = engraved(&cart);
    now.sort();
    assert_eq!(now, [("Ann".to_owned(), 4), ("Bob".to_owned(), 1)]);
}

#[tokio::test]
async fn one_design_in_two_sizes_is_edited_one_size_at_a_time() {
    let world = World::new().await;
    let size = |size: &str, cents| variant(&format!("MUG-{size}"), "mug", cents);
    world.catalogue.change(|variants| variants.extend([size("S", 900), size("L", 1_200)]));
    world.link("mug", "1001", "simple", json!({})).await;
    let mut cart = Vec::new();
    let design = saved(&[("x", "Ann"), ("y", "Bob")]);
    for (variant, quantity) in [("id-MUG-S", 1), ("id-MUG-L", 4)] {
        let mut request = world.request("mug", &design, quantity, &cart);
        request.variant = Some(variant.to_owned());
        world.host.add_to_cart(&world.shop, request).await.expect("two lines").apply(&mut cart);
    }
    let (key, request) = (cart[0].key.clone(), world.request("mug", &saved(&[("x", "Cid")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    let held: Vec<_> = cart.iter().map(|line| line.sku.as_deref().unwrap_or_default()).zip(engraved(&cart)).collect();
    let expected = [("MUG-S", "Cid", 1), ("MUG-L", "Ann", 4), ("MUG-L", "Bob", 4)];
    assert_eq!(held, expected.map(|(sku, name, quantity)| (sku, (name.to_owned(), quantity))));
}

#[tokio::test]
async fn a_line_has_the_materials_of_everything_below_its_root() {
    let world = World::new().await;
    world.catalogue.change(|variants| variants.push(variant("RING-GOLD-17", "gold", 5_000)));
    world.link("ring", "1001", "simple", json!({ "price-authority": "components" })).await;
    let mut products: Vec<Value> =
        serde_json::from_str(&saved(&[("x", "Ann"), ("y", "Bob"), ("z", "Cid")])).expect("JSON");
    products[1]["parent_uuid"] = json!("x");
    products[2]["parent_uuid"] = json!("y");
    let mut cart = Vec::new();
    world.add("ring", &Value::Array(products).to_string(), 1, &mut cart).await.expect("a line");
    let [line] = &cart[..] else { panic!("{cart:?}") };
    let materials: Vec<_> =
        line.bill_of_materials.iter().map(|article| (article.sku.as_str(), article.quantity.as_str())).collect();
    assert_eq!(materials, [("MODEL-RING-GOLD-17", "3")]);
    assert_eq!(line.price.total.minor, 3 * 5_000, "all that is paid for is in it");
}

#[tokio::test]
async fn two_equal_products_of_a_configuration_are_one_line() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Ann"), ("z", "Bob")]), 2, &mut cart).await.expect("lines");
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 4), ("Bob".to_owned(), 2)]);
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Ann")]), 1, &mut cart).await.expect("more of it");
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 6), ("Bob".to_owned(), 2)]);
    assert_eq!(cart[0].price.total.minor, 6 * 19_900);
    // And when an edit brings them.
    let (key, request) = (cart[1].key.clone(), world.request("ring", &saved(&[("z", "Cid"), ("w", "Cid")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 6), ("Cid".to_owned(), 4)]);
}

#[tokio::test]
async fn one_of_several_products_is_bought_again_alone() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Bob")]), 2, &mut cart).await.expect("two lines");
    let change = world.host.reorder(&world.shop, &cart[1], Vec::new(), Visitor::default()).await.expect("again");
    assert_eq!(engraved(&added(&change)), [("Bob".to_owned(), 2)]);
}

#[tokio::test]
async fn the_variant_that_was_chosen_before_configuring_stays_chosen() {
    let world = World::new().await;
    let price = |size: &str, cents| variant(&format!("MUG-{size}"), "mug", cents);
    world.catalogue.change(|variants| variants.extend([price("S", 900), price("L", 1_200)]));
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
    assert!(matches!(error, CartError::NoLine(_)), "{error}");
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
async fn a_bundle_costs_what_its_parts_cost_and_the_browser_has_no_say() {
    let world = World::new().await;
    let line = one(&world, "wardrobe", samples::EXPIVI_BUNDLE).await;
    let sum = 3 * 2_450 + 4 * 320 + 4 * 15;
    assert_eq!(line.price.total.minor, sum);
    assert_eq!(line.price.source, PriceSource::Components);
    let cheap = changed(samples::EXPIVI_BUNDLE, |value| {
        value[0]["price"] = json!(0.01);
        for article in value[0]["articles"].as_array_mut().expect("articles") {
            article["price_fields"] = json!({ "unit": 0.01 });
        }
    });
    assert_eq!(one(&world, "wardrobe", &cheap).await.price.total.minor, sum);
}

#[tokio::test]
async fn the_parts_of_a_bundle_are_added_up_and_follow_its_quantity() {
    let world = World::new().await;
    let change = world.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &mut Vec::new()).await.expect("a bundle");
    let lines = added(&change);
    let parts: Vec<(Option<&str>, u32, Option<u32>)> =
        lines.iter().skip(1).map(|line| (line.sku.as_deref(), line.quantity, line.per_bundle)).collect();
    assert_eq!(parts, [(Some("PANEL-60"), 6, Some(3)), (Some("HINGE"), 8, Some(4)), (Some("SCREW-4"), 8, Some(4)),]);
    assert!(lines.iter().skip(1).all(|line| line.parent.as_ref() == Some(&lines[0].key)));
    let sum: i64 = lines.iter().skip(1).map(|line| line.price.total.minor).sum();
    assert_eq!(sum, lines[0].price.total.minor);
}

#[tokio::test]
async fn a_vendors_price_is_dealt_out_over_the_parts_exactly() {
    let world = World::new().await;
    world.link("wardrobe", "1003", "bundle", json!({ "price-authority": "vendor" })).await;
    for quantity in [1, 3, 7] {
        let change = world.add("wardrobe", samples::EXPIVI_BUNDLE, quantity, &mut Vec::new()).await.expect("a bundle");
        let lines = added(&change);
        let sum: i64 = lines.iter().skip(1).map(|line| line.price.total.minor).sum();
        let value: Value = serde_json::from_str(samples::EXPIVI_BUNDLE).expect("a sample");
        let expected = world.expivi.expected_price(&value[0], None).expect("a price");
        assert_eq!(lines[0].price.total.minor, expected * i64::from(quantity));
        assert_eq!(sum, lines[0].price.total.minor);
    }
}

#[tokio::test]
async fn removing_a_parent_removes_its_children_and_a_child_stays_with_its_bundle() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a bundle");
    let child = cart.last().expect("a child").key.clone();
    let refused = world.host.remove_line(&world.shop, &child, &cart, &Visitor::default()).await;
    assert!(matches!(refused, Err(CartError::ChildOfBundle(_))), "{refused:?}");
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
    world.catalogue.change(|variants| variants.retain(|variant| variant.sku != "SHIRT-R-L"));
    let none = world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect_err("no variant");
    assert!(matches!(&none, CartError::Sku { sku, found: 0, .. } if sku == "SHIRT-R-L"), "{none}");
    world.catalogue.change(|variants| {
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
    assert!(line.shown.iter().any(|LinePart { value, .. }| value.contains("Bob")), "{:?}", line.shown);
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
        assert_eq!(added(&change)[0].thumbnail, None);
        let warned = |warnings: &[Message]| warnings.iter().filter(|told| told.key == "thumbnail-unusable").count();
        assert_eq!(warned(&change.warnings), 1, "{:?}", change.warnings);
        // What becomes more of a line is planned twice, and still warned of once.
        let more = world.add("ring", &configuration, 1, &mut cart).await.expect("more of it");
        assert_eq!(warned(&more.warnings), 1, "{:?}", more.warnings);
    }
}

#[tokio::test]
async fn a_sealed_price_holds_without_asking_and_a_changed_line_does_not() {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("a line");
    world.expivi.record().clear();
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    assert!(world.expivi.record().is_empty(), "the vendor was asked");
    for forge in [
        |line: &mut CartLine| line.price.total.minor = 1,
        |line: &mut CartLine| line.quantity = 1,
        |line: &mut CartLine| line.price.expires = "2999-01-01T00:00:00Z".to_owned(),
        |line: &mut CartLine| line.price.total.currency = "JPY".to_owned(),
        |line: &mut CartLine| line.variant_id = Some("id-CHEAP".to_owned()),
    ] {
        let mut forged = cart.clone();
        forge(&mut forged[0]);
        let checks = world.host.check_cart(&world.shop, &forged, &Visitor::default()).await.expect("checked");
        assert_ne!(checks[0].state, LineState::Ok, "{:?}", forged[0]);
    }
}

#[tokio::test]
async fn what_a_strategy_adds_to_a_price_stands_on_the_line_with_its_reason() {
    let world = World::new().await;
    let account = world.strategy(HOSTILE).await;
    let digest = world.host.install(HOSTILE, None).await.expect("the strategy").digest();
    let grants = Grants { adjust_prices: true, ..Grants::default() };
    let setup = AccountSetup { id: account.clone(), settings: Map::new(), grants };
    world.host.set_account(&world.shop, digest, setup).await.expect("granted");
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 2, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account), name: Some("honest-with-engraving".to_owned()) });
    let change = world.host.add_to_cart(&world.shop, request).await.expect("a line");
    let mut cart = added(&change);
    assert_eq!(cart[0].price.total.minor, 2 * (19_900 + 500));
    let [added] = &cart[0].price.adjustments[..] else { panic!("{:?}", cart[0].price) };
    assert_eq!((added.label.text.as_str(), added.amount.minor), ("Adjusted", 500));
    // It is for showing: neither the line's key nor its seal is about it.
    cart[0].price.adjustments.clear();
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
}

#[tokio::test]
async fn a_vendor_that_is_away_makes_a_price_unavailable_and_never_free() {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    world.expivi.faults().outage(Outage::Unavailable { retry_after: Some("7".to_owned()) });
    let error = world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect_err("no price");
    assert!(error.to_string().contains("unavailable, try again in 7 s"), "{error}");
    world.expivi.faults().recover();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect("a price");
}

#[tokio::test]
async fn a_price_in_another_currency_needs_the_platforms_rate() {
    let world = World::with(|builder| builder, json!({ "price-currency": "USD" })).await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let error = world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.expect_err("no rate");
    assert!(matches!(error, CartError::Price { .. }), "{error}");
    world.catalogue.set_rate("USD", "EUR", "0.5");
    let line = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    let value: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let dollars = world.expivi.expected_price(&value[0], None).expect("a price");
    assert_eq!(line.price.total.minor, (dollars + 1) / 2);
    assert_eq!(line.price.total.currency, "EUR");
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
async fn a_changed_price_is_said_before_ordering() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    world.catalogue.change(|variants| {
        for variant in variants.iter_mut().filter(|variant| variant.sku == "RING") {
            variant.price.as_mut().expect("a price").minor = 20_000;
        }
    });
    cart[0].price.expires = "2001-01-01T00:00:00Z".to_owned();
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    let LineState::PriceChanged { old, new } = &checks[0].state else { panic!("{checks:?}") };
    assert_eq!((old.minor, new.minor), (19_900, 20_000));
    world.catalogue.change(|variants| variants.iter_mut().for_each(|variant| variant.purchasable = false));
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::Unavailable { .. }), "{checks:?}");
}

#[tokio::test]
async fn a_number_that_is_no_longer_sold_is_said_before_ordering() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("a line");
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &mut cart).await.expect("a bundle");
    let check = async || world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    let sell = |sku: &str, minimum: u32, maximum: Option<u32>| {
        world.catalogue.change(|variants| {
            let variant = variants.iter_mut().find(|variant| variant.sku == sku).expect("a variant");
            (variant.minimum, variant.maximum) = (minimum, maximum);
        });
    };
    // The seals have not expired. Two wardrobes take eight hinges.
    for (sku, minimum, maximum, line) in
        [("RING", 1, Some(1), 0), ("RING", 3, None, 0), ("HINGE", 1, Some(7), 1), ("HINGE", 9, None, 1)]
    {
        sell(sku, minimum, maximum);
        let checks = check().await;
        assert!(
            matches!(&checks[line].state, LineState::Unavailable { why } if why.contains(sku)),
            "{sku}: {checks:?}"
        );
        assert_eq!(checks[1 - line].state, LineState::Ok);
        sell(sku, 1, Some(8));
        assert!(check().await.iter().all(|check| check.state == LineState::Ok));
    }
}

#[tokio::test]
async fn a_guests_cart_joins_a_customers() {
    let world = World::new().await;
    let (mut guest, mut customer) = (Vec::new(), Vec::new());
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut guest).await.expect("a line");
    world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut guest).await.expect("a line");
    world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut customer).await.expect("a line");
    let visitor = Visitor::default();
    let change = world.host.merge_carts(&world.shop, &guest, &customer, &visitor).await.expect("merged");
    change.apply(&mut customer);
    let held: Vec<(&str, u32)> = customer.iter().map(|line| (line.product.as_str(), line.quantity)).collect();
    assert_eq!(held, [("ring", 3), ("shirt", 1)]);
    assert_eq!(customer[0].price.total.minor, 3 * 19_900);
}

#[tokio::test]
async fn a_line_that_a_guest_had_twice_brings_all_its_pieces() {
    let world = World::new().await;
    let (mut guest, mut customer, visitor) = (Vec::new(), Vec::new(), Visitor::default());
    for (product, sample) in [("ring", samples::EXPIVI_SIMPLE), ("wardrobe", samples::EXPIVI_BUNDLE)] {
        world.add(product, sample, 1, &mut guest).await.expect("a line");
    }
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut customer).await.expect("a line");
    // As from two windows that each wrote their own cart.
    let twice = [guest.clone(), guest.clone()].concat();
    let change = world.host.merge_carts(&world.shop, &twice, &customer, &visitor).await.expect("merged");
    change.apply(&mut customer);
    let tops = |cart: &[CartLine]| -> Vec<(String, u32, i64)> {
        let tops = cart.iter().filter(|line| line.parent.is_none());
        tops.map(|line| (line.product.clone(), line.quantity, line.price.total.minor)).collect()
    };
    let bought = [("ring".to_owned(), 3, 3 * 19_900), ("wardrobe".to_owned(), 2, 2 * 8_690)];
    assert_eq!(tops(&customer), bought);
    assert_eq!(customer.len(), 1 + 4);
    // The customer's cart may have been written so, too.
    let mut customer = twice.clone();
    let change = world.host.merge_carts(&world.shop, &guest, &customer, &visitor).await.expect("merged");
    change.apply(&mut customer);
    assert_eq!(tops(&customer), [("ring".to_owned(), 3, 3 * 19_900), ("wardrobe".to_owned(), 3, 3 * 8_690)]);
    let checks = world.host.check_cart(&world.shop, &customer, &visitor).await.expect("checked");
    assert!(checks.iter().all(|check| check.state == LineState::Ok), "{checks:?}");
    // What was not sealed does not count, in whichever copy it stands.
    for copy in [0, guest.len()] {
        let mut forged = twice.clone();
        forged[copy].asked_quantity = 1000;
        let refused = world.host.merge_carts(&world.shop, &forged, &[], &visitor).await;
        assert!(matches!(refused, Err(CartError::Seal { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_past_line_is_bought_again_at_todays_price() {
    let world = World::new().await;
    let past = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    world.catalogue.change(|variants| {
        variants.iter_mut().for_each(|variant| variant.price.as_mut().expect("a price").minor += 100);
    });
    let change = world.host.reorder(&world.shop, &past, Vec::new(), Visitor::default()).await.expect("bought again");
    assert_eq!(added(&change)[0].price.total.minor, 20_000);
}

#[tokio::test]
async fn a_quotation_leaves_the_cart_alone() {
    let world = World::new().await;
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 500, &[]);
    let change = world.host.request_quotation(&world.shop, request).await.expect("asked");
    assert!(matches!(&change.operations[..], [CartOperation::RequestQuotation { lines }] if lines[0].quantity == 500));
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
