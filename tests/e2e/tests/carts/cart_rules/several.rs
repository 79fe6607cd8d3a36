//! Several lines: products that were saved together, equal ones, and two carts that are merged.

use cartwright::{CartError, CartLine, LineState, Visitor};
use cartwright_e2e::{World, added_lines, variant};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use super::{engraved, saved, sell};

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
    world.catalog.change(|variants| variants.extend([size("S", 900), size("L", 1_200)]));
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
    world.catalog.change(|variants| variants.push(variant("RING-GOLD-17", "gold", 5_000)));
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
    // Likewise if an edit adds them.
    let (key, request) = (cart[1].key.clone(), world.request("ring", &saved(&[("z", "Cid"), ("w", "Cid")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 6), ("Cid".to_owned(), 4)]);
}

#[tokio::test]
async fn a_minimum_holds_for_a_line_and_not_for_what_is_added_to_it() {
    let world = World::new().await;
    sell(&world, "RING", 3, Some(10));
    let (ann, bob) = (saved(&[("x", "Ann")]), saved(&[("x", "Bob")]));
    let mut cart = Vec::new();
    let alone = world.add("ring", &ann, 1, &mut cart).await;
    assert!(matches!(&alone, Err(CartError::Quantity { quantity: 1, minimum: 3, maximum: 10, .. })), "{alone:?}");
    world.add("ring", &ann, 5, &mut cart).await.expect("a line");
    world.add("ring", &ann, 1, &mut cart).await.expect("one more of it");
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 6)]);
    assert_eq!(cart[0].price.total.minor, 6 * 19_900);
    let much = world.add("ring", &ann, 5, &mut cart).await;
    assert!(matches!(&much, Err(CartError::Quantity { quantity: 11, .. })), "{much:?}");
    let other = world.add("ring", &bob, 2, &mut cart).await;
    assert!(matches!(&other, Err(CartError::Quantity { quantity: 2, .. })), "{other:?}");
    let fewer = world.host.change_quantity(&world.shop, &cart[0].key, 2, &cart, &Visitor::default()).await;
    assert!(matches!(&fewer, Err(CartError::Quantity { quantity: 2, .. })), "{fewer:?}");
    // A line of an earlier order that is now below the minimum suffices together with an existing one.
    sell(&world, "RING", 1, None);
    let mut past = Vec::new();
    world.add("ring", &ann, 1, &mut past).await.expect("a line");
    sell(&world, "RING", 3, Some(10));
    let again = world.host.reorder(&world.shop, &past[0], Vec::new(), Visitor::default()).await;
    assert!(matches!(&again, Err(CartError::Quantity { quantity: 1, .. })), "{again:?}");
    let again = world.host.reorder(&world.shop, &past[0], cart.clone(), Visitor::default()).await;
    again.expect("one more of it").apply(&mut cart);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 7)]);
}

#[tokio::test]
async fn a_minimum_holds_for_all_equal_products_of_a_configuration_together() {
    let world = World::new().await;
    sell(&world, "RING", 2, None);
    let mut cart = Vec::new();
    let alone = world.add("ring", &saved(&[("x", "Ann"), ("y", "Ann"), ("z", "Bob")]), 1, &mut cart).await;
    assert!(matches!(&alone, Err(CartError::Quantity { quantity: 1, minimum: 2, .. })), "{alone:?}");
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Ann")]), 1, &mut cart).await.expect("two of one line");
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 2)]);
    // Likewise if an edit adds them.
    let request = world.request("ring", &saved(&[("x", "Cid"), ("y", "Cid")]), 1, &cart);
    let change = world.host.edit_line(&world.shop, &cart[0].key, Some(1), request).await.expect("edited");
    change.apply(&mut cart);
    assert_eq!(engraved(&cart), [("Cid".to_owned(), 2)]);
}

#[tokio::test]
async fn an_edit_into_too_few_is_refused_unless_it_joins_another_line() {
    let world = World::new().await;
    sell(&world, "RING", 3, Some(10));
    let mut cart = Vec::new();
    for name in ["Ann", "Bob"] {
        world.add("ring", &saved(&[("x", name)]), 5, &mut cart).await.expect("a line");
    }
    let edit = async |name: &str, quantity: u32, cart: &[CartLine]| {
        let request = world.request("ring", &saved(&[("x", name)]), 1, cart);
        world.host.edit_line(&world.shop, &cart[1].key, Some(quantity), request).await
    };
    // Into a line that does not exist, and into itself.
    for name in ["Cid", "Bob"] {
        let refused = edit(name, 1, &cart).await;
        assert!(matches!(&refused, Err(CartError::Quantity { quantity: 1, minimum: 3, .. })), "{name}: {refused:?}");
    }
    let much = edit("Ann", 6, &cart).await;
    assert!(matches!(&much, Err(CartError::Quantity { quantity: 11, .. })), "{much:?}");
    edit("Ann", 1, &cart).await.expect("edited").apply(&mut cart);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 6)]);
    assert_eq!(cart[0].price.total.minor, 6 * 19_900);
}

#[tokio::test]
async fn one_of_several_products_is_bought_again_alone() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Bob")]), 2, &mut cart).await.expect("two lines");
    let change = world.host.reorder(&world.shop, &cart[1], Vec::new(), Visitor::default()).await.expect("again");
    assert_eq!(engraved(&added_lines(&change)), [("Bob".to_owned(), 2)]);
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
    // As from two browser windows that each sent their own cart.
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
    // The customer's cart may have the same defect.
    let mut customer = twice.clone();
    let change = world.host.merge_carts(&world.shop, &guest, &customer, &visitor).await.expect("merged");
    change.apply(&mut customer);
    assert_eq!(tops(&customer), [("ring".to_owned(), 3, 3 * 19_900), ("wardrobe".to_owned(), 3, 3 * 8_690)]);
    let checks = world.host.check_cart(&world.shop, &customer, &visitor).await.expect("checked");
    assert!(checks.iter().all(|check| check.state == LineState::Ok), "{checks:?}");
    // Lines without a seal do not count, in whichever copy they are.
    for copy in [0, guest.len()] {
        let mut forged = twice.clone();
        forged[copy].requested_quantity = 1000;
        let refused = world.host.merge_carts(&world.shop, &forged, &[], &visitor).await;
        assert!(matches!(refused, Err(CartError::Seal { .. })), "{refused:?}");
    }
}
