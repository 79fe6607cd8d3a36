//! A part that a shopper removed from a bundle stays removed, whatever happens to the line afterwards.

use cartwright::types::ChildRemoval;
use cartwright::{
    CartChange, CartError, CartLine, CartOperation, Digest, LineState, OrderedLine, StrategyChoice, Visitor,
};
use cartwright_e2e::{HOSTILE, World, added_lines};
use cartwright_fake_vendors::samples;
use cartwright_store::SoldLine;
use serde_json::json;

const PANELS: i64 = 3 * 2_450;
const HINGES: i64 = 4 * 320;
const SCREWS: i64 = 4 * 15;
const WHOLE: i64 = PANELS + HINGES + SCREWS;

/// Returns a cart with this quantity of a wardrobe whose parts can be removed.
async fn wardrobes(quantity: u32) -> (World, Vec<CartLine>) {
    let world = World::new().await;
    removal(&world, "repriced", "components").await;
    let mut cart = Vec::new();
    world.add("wardrobe", samples::EXPIVI_BUNDLE, quantity, &mut cart).await.expect("wardrobes");
    (world, cart)
}

async fn removal(world: &World, policy: &str, authority: &str) {
    let settings = json!({ "price-authority": authority, "child-removal": policy });
    world.link("wardrobe", "1003", "bundle", settings).await;
}

fn key(cart: &[CartLine], sku: &str) -> String {
    cart.iter().find(|line| line.sku.as_deref() == Some(sku)).expect(sku).key.clone()
}

async fn removed(world: &World, key: &str, cart: &[CartLine]) -> Result<CartChange, CartError> {
    world.host.remove_line(&world.shop, key, cart, &Visitor::default()).await
}

async fn take_out(world: &World, sku: &str, cart: &mut Vec<CartLine>) {
    removed(world, &key(cart, sku), cart).await.expect(sku).apply(cart);
}

/// Returns SKU, quantity and price of each line.
fn line_values(cart: &[CartLine]) -> Vec<(&str, u32, i64)> {
    cart.iter().map(|line| (line.sku.as_deref().unwrap_or("-"), line.quantity, line.price.total.minor)).collect()
}

async fn is_ok(world: &World, cart: &[CartLine]) -> bool {
    let checks = world.host.check_cart(&world.shop, cart, &Visitor::default()).await.expect("checked");
    checks.iter().all(|check| check.state == LineState::Ok)
}

#[tokio::test]
async fn a_part_stays_out_when_the_line_is_planned_again() {
    let (world, mut cart) = wardrobes(2).await;
    let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
    let whole = cart.clone();
    take_out(&world, "HINGE", &mut cart).await;
    let reduced = [("WARDROBE", 2, 2 * (PANELS + SCREWS)), ("PANEL-60", 6, 2 * PANELS), ("SCREW-4", 8, 2 * SCREWS)];
    assert_eq!(line_values(&cart), reduced);
    assert_ne!(cart[0].key, whole[0].key, "another bundle has another key");
    assert!(is_ok(&world, &cart).await);
    let change = host.refresh_line(shop, &cart[0].key, &cart, &visitor).await.expect("refreshed");
    assert_eq!(change.operations, [], "a plan over its own result changes something");
    host.change_quantity(shop, &cart[0].key, 3, &cart, &visitor).await.expect("three").apply(&mut cart);
    assert_eq!(line_values(&cart)[0], ("WARDROBE", 3, 3 * (PANELS + SCREWS)));
    host.change_quantity(shop, &cart[0].key, 2, &cart, &visitor).await.expect("two").apply(&mut cart);
    assert_eq!(line_values(&cart), reduced);
    // The same configuration from its page is a complete wardrobe, and another line.
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a whole one");
    assert_eq!(line_values(&cart)[..3], reduced);
    assert_eq!((line_values(&cart)[3], cart.len()), (("WARDROBE", 1, WHOLE), 3 + 4));
    assert!(is_ok(&world, &cart).await);
}

#[tokio::test]
async fn a_part_stays_out_when_carts_are_joined_and_when_it_is_bought_again() {
    let (world, whole) = wardrobes(1).await;
    let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
    let mut reduced = whole.clone();
    take_out(&world, "HINGE", &mut reduced).await;
    let mut both = whole.clone();
    host.merge_carts(shop, &reduced, &both, &visitor).await.expect("merged").apply(&mut both);
    assert_eq!(both, [&whole[..], &reduced[..]].concat());
    let mut twice = reduced.clone();
    host.merge_carts(shop, &reduced, &twice, &visitor).await.expect("merged").apply(&mut twice);
    assert_eq!(line_values(&twice)[0], ("WARDROBE", 2, 2 * (PANELS + SCREWS)));
    let again = host.reorder(shop, &reduced[0], Vec::new(), visitor.clone()).await.expect("bought again");
    assert_eq!(line_values(&added_lines(&again)), line_values(&reduced));
    host.reorder(shop, &reduced[0], both.clone(), visitor).await.expect("more of it").apply(&mut both);
    assert_eq!((both.len(), line_values(&both)[4]), (4 + 3, ("WARDROBE", 2, 2 * (PANELS + SCREWS))));
}

#[tokio::test]
async fn part_after_part_is_taken_out_until_the_bundle_goes() {
    let (world, mut cart) = wardrobes(1).await;
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
    for (sku, left) in [("PANEL-60", HINGES + SCREWS), ("SCREW-4", HINGES)] {
        take_out(&world, sku, &mut cart).await;
        assert_eq!(cart[0].price.total.minor, left);
        assert!(is_ok(&world, &cart).await);
    }
    // In another order it is the same bundle.
    let (elsewhere, mut other) = wardrobes(1).await;
    take_out(&elsewhere, "SCREW-4", &mut other).await;
    take_out(&elsewhere, "PANEL-60", &mut other).await;
    assert_eq!(other[0].key, cart[0].key);
    take_out(&world, "HINGE", &mut cart).await;
    assert_eq!(line_values(&cart), [("RING", 1, 19_900)]);
}

#[tokio::test]
async fn a_bundle_that_the_cart_holds_already_without_the_part_becomes_more() {
    let (world, mut cart) = wardrobes(2).await;
    take_out(&world, "HINGE", &mut cart).await;
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a whole one");
    take_out(&world, "HINGE", &mut cart).await;
    assert_eq!((cart.len(), line_values(&cart)[0]), (3, ("WARDROBE", 3, 3 * (PANELS + SCREWS))));
    assert!(is_ok(&world, &cart).await);
}

#[tokio::test]
async fn what_remains_of_a_vendors_price_is_its_share() {
    let (world, _) = wardrobes(1).await;
    removal(&world, "repriced", "vendor").await;
    for quantity in [1, 3, 7] {
        let mut cart = Vec::new();
        world.add("wardrobe", samples::EXPIVI_BUNDLE, quantity, &mut cart).await.expect("a bundle");
        let (all, hinges) = (cart[0].price.total.minor, cart[2].price.total.minor);
        assert_eq!(cart[2].sku.as_deref(), Some("HINGE"));
        take_out(&world, "HINGE", &mut cart).await;
        assert_eq!(cart[0].price.total.minor, all - hinges);
        assert_eq!(cart[1..].iter().map(|line| line.price.total.minor).sum::<i64>(), all - hinges);
        assert!(is_ok(&world, &cart).await);
    }
}

#[tokio::test]
async fn a_part_comes_back_in_sight_when_the_merchant_no_longer_lets_it_go() {
    let (world, mut cart) = wardrobes(1).await;
    let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
    take_out(&world, "HINGE", &mut cart).await;
    let reduced = cart.clone();
    removal(&world, "refused", "components").await;
    // No price is sealed for another customer group.
    let trade = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() };
    let checks = host.check_cart(shop, &cart, &trade).await.expect("checked");
    let LineState::PriceChanged { old, new } = &checks[0].state else { panic!("{checks:?}") };
    assert_eq!((old.minor, new.minor), (PANELS + SCREWS, WHOLE));
    assert_eq!((checks[0].lines.len(), checks[0].lines[1].child_removal), (4, Some(ChildRemoval::Refused)));
    let refused = removed(&world, &key(&cart, "SCREW-4"), &cart).await;
    assert!(matches!(refused, Err(CartError::BundleChild(_))), "{refused:?}");
    host.refresh_line(shop, &cart[0].key, &cart, &visitor).await.expect("refreshed").apply(&mut cart);
    assert_eq!((cart.len(), line_values(&cart)[0]), (4, ("WARDROBE", 1, WHOLE)));
    // Added to a complete one, it becomes one line of two.
    let mut both = [&reduced[..], &cart[..]].concat();
    let checks = host.check_cart(shop, &both, &trade).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::MustReconfigure { .. }), "{checks:?}");
    host.refresh_line(shop, &reduced[0].key, &both, &visitor).await.expect("refreshed").apply(&mut both);
    assert_eq!((both.len(), line_values(&both)[0]), (4, ("WARDROBE", 2, 2 * WHOLE)));
}

#[tokio::test]
async fn a_part_that_is_another_now_is_back() {
    let (world, mut cart) = wardrobes(1).await;
    let (host, shop, visitor) = (&world.host, &world.shop, Visitor::default());
    take_out(&world, "HINGE", &mut cart).await;
    take_out(&world, "SCREW-4", &mut cart).await;
    world.catalog.change(|variants| {
        variants.iter_mut().filter(|variant| variant.sku == "HINGE").for_each(|hinge| hinge.id = "id-HINGE-2".into());
    });
    host.refresh_line(shop, &cart[0].key, &cart, &visitor).await.expect("refreshed").apply(&mut cart);
    assert_eq!(line_values(&cart), [("WARDROBE", 1, PANELS + HINGES), ("PANEL-60", 3, PANELS), ("HINGE", 4, HINGES)]);
    assert!(is_ok(&world, &cart).await);
}

#[tokio::test]
async fn a_part_that_is_sold_out_can_be_taken_out() {
    let (world, mut cart) = wardrobes(1).await;
    world.catalog.change(|variants| {
        variants.iter_mut().filter(|variant| variant.sku == "HINGE").for_each(|hinge| hinge.purchasable = false);
    });
    assert!(!is_ok(&world, &cart).await);
    take_out(&world, "HINGE", &mut cart).await;
    assert!(is_ok(&world, &cart).await);
}

#[tokio::test]
async fn a_new_configuration_starts_whole() {
    let (world, mut cart) = wardrobes(1).await;
    take_out(&world, "HINGE", &mut cart).await;
    let ash = samples::EXPIVI_BUNDLE.replace("Oak", "Ash");
    let request = world.request("wardrobe", &ash, 1, &cart);
    let change = world.host.edit_line(&world.shop, &cart[0].key, None, request).await.expect("edited");
    change.apply(&mut cart);
    assert_eq!((cart.len(), line_values(&cart)[0]), (4, ("WARDROBE", 1, WHOLE)));
}

#[tokio::test]
async fn what_was_taken_out_is_sealed() {
    let (world, whole) = wardrobes(1).await;
    let mut reduced = whole.clone();
    take_out(&world, "HINGE", &mut reduced).await;
    assert!(!reduced[0].without.is_empty());
    let forgeries: [fn(&mut Vec<CartLine>); 4] = [
        |cart| cart[0].without.clear(),
        |cart| cart[0].without.push(Digest::of(b"a part")),
        |cart| cart[1].part = cart[2].part,
        |cart| cart[0].unconfirmed = None,
    ];
    for forge in forgeries {
        let mut forged = reduced.clone();
        forge(&mut forged);
        assert!(!is_ok(&world, &forged).await);
        let refused = removed(&world, &forged[1].key, &forged).await;
        assert!(matches!(refused, Err(CartError::Seal { .. })), "{refused:?}");
    }
    let mut forged = whole.clone();
    forged[0].without.extend(reduced[0].without.iter().copied());
    assert!(!is_ok(&world, &forged).await);
}

#[tokio::test]
async fn an_order_of_a_reduced_bundle_says_what_it_is_made_of_and_waits_for_the_merchant() {
    let world = World::new().await;
    // If the parts determine the price, unverified data goes to the merchant in any case.
    removal(&world, "repriced", "platform").await;
    let mut cart = Vec::new();
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a wardrobe");
    let order = |cart: &[CartLine], approved: bool| {
        let total = cart[0].price.total.clone();
        let ordered = cart.iter().map(|line| OrderedLine { approved, ..OrderedLine::new(&line.key, line) });
        let ordered: Vec<OrderedLine<'_>> = ordered.collect();
        world.host.order_lines(&world.shop, "1", &total, &ordered).expect("as it was sealed")
    };
    assert!(order(&cart, false).iter().all(|line| line.released));
    take_out(&world, "HINGE", &mut cart).await;
    // The vendor produces the saved configuration, which still contains the hinges.
    let lines = order(&cart, false);
    assert!(lines.iter().all(|line| !line.released), "a bundle is held as a whole");
    let sold = SoldLine::from(&cart[0]);
    let skus: Vec<&str> = sold.bill_of_materials.iter().filter_map(|article| article.price_sku.as_deref()).collect();
    assert_eq!(skus, ["PANEL-60", "SCREW-4"]);
    let reason = &cart[0].unconfirmed.as_ref().expect("a reason").reason;
    assert!(reason.key == "parts-taken-out" && reason.text.contains("HINGE"), "{reason:?}");
    assert!(order(&cart, true).iter().all(|line| line.released));
}

#[tokio::test]
async fn an_offer_is_of_the_whole() {
    let (world, mut cart) = wardrobes(1).await;
    take_out(&world, "HINGE", &mut cart).await;
    let request = world.request("wardrobe", samples::EXPIVI_BUNDLE, 1, &cart);
    let change = world.host.request_quote(&world.shop, request).await.expect("asked");
    let [CartOperation::RequestQuote { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(lines[0].price.total.minor, WHOLE);
}

#[tokio::test]
async fn a_child_priced_separately_costs_its_own_price_and_may_go_while_the_others_stay() {
    let world = World::new().await;
    let account = world.strategy(HOSTILE).await;
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 3, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account), name: Some("honest-with-gift-wrap".to_owned()) });
    let mut cart = Vec::new();
    world.host.add_to_cart(&world.shop, request).await.expect("a bundle").apply(&mut cart);
    let totals = |cart: &[CartLine]| cart.iter().map(|line| line.price.total.minor).collect::<Vec<_>>();
    assert_eq!(totals(&cart), [3 * (19_900 + 15), 3 * 19_900, 3 * 15]);
    let (hinge, screw) = (cart[1].key.clone(), cart[2].key.clone());
    let stays = world.host.remove_line(&world.shop, &hinge, &cart, &Visitor::default()).await.expect_err("it stays");
    assert!(matches!(stays, CartError::BundleChild(_)), "{stays}");
    world.host.remove_line(&world.shop, &screw, &cart, &Visitor::default()).await.expect("it goes").apply(&mut cart);
    assert_eq!(totals(&cart), [3 * 19_900, 3 * 19_900]);
    let states = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert!(states.iter().all(|check| check.state == LineState::Ok), "{states:?}");
}
