//! The lines of a set are added, changed, removed, joined, quoted and ordered together.

use cartwright::{CartError, CartLine, CartOperation, LineState, OrderError, OrderedLine, StrategyChoice, Visitor};
use cartwright_e2e::{HOSTILE, World};
use cartwright_fake_vendors::samples;

const RING: i64 = 19_900;
const HINGE: i64 = 320;

/// A shop that sells each ring as a set with two hinges, and a cart with this quantity of one.
async fn rings(quantity: u32) -> (World, Vec<CartLine>) {
    let world = World::new().await;
    world.strategy(HOSTILE).await;
    let mut cart = Vec::new();
    add(&world, samples::EXPIVI_SIMPLE, quantity, &mut cart).await;
    (world, cart)
}

async fn add(world: &World, configuration: &str, quantity: u32, cart: &mut Vec<CartLine>) {
    let mut request = world.request("ring", configuration, quantity, cart);
    let account = Some("hostile".parse().expect("an id"));
    request.strategy = Some(StrategyChoice { account, name: Some("honest-set".to_owned()) });
    world.host.add_to_cart(&world.shop, request).await.expect("a set").apply(cart);
}

/// Returns SKU, quantity and price of each line.
fn sold(cart: &[CartLine]) -> Vec<(&str, u32, i64)> {
    cart.iter().map(|line| (line.sku.as_deref().unwrap_or("-"), line.quantity, line.price.total.minor)).collect()
}

fn set_of(rings: u32) -> [(&'static str, u32, i64); 2] {
    [("RING", rings, i64::from(rings) * RING), ("HINGE", 2 * rings, 2 * i64::from(rings) * HINGE)]
}

async fn states(world: &World, cart: &[CartLine]) -> Vec<LineState> {
    let checks = world.host.check_cart(&world.shop, cart, &Visitor::default()).await.expect("checked");
    checks.into_iter().map(|check| check.state).collect()
}

#[tokio::test]
async fn a_set_is_lines_with_prices_of_their_own_and_becomes_more_as_a_whole() {
    let (world, mut cart) = rings(1).await;
    assert_eq!(sold(&cart), set_of(1));
    assert!(cart.iter().all(|line| line.set.as_ref() == Some(&cart[0].key)));
    assert_eq!((cart[0].item, cart[1].item, cart[1].shown.len()), (Some(0), None, 0));
    assert_eq!(states(&world, &cart).await, [LineState::Ok], "one check for the set");
    let keys: Vec<String> = cart.iter().map(|line| line.key.clone()).collect();
    add(&world, samples::EXPIVI_SIMPLE, 2, &mut cart).await;
    assert_eq!(sold(&cart), set_of(3));
    assert_eq!(cart.iter().map(|line| line.key.clone()).collect::<Vec<_>>(), keys);
    add(&world, &samples::EXPIVI_SIMPLE.replace("Bob", "Alice"), 1, &mut cart).await;
    assert_eq!((cart.len(), states(&world, &cart).await.len()), (4, 2), "another configuration is another set");
}

#[tokio::test]
async fn the_quantity_of_any_line_of_a_set_is_that_of_the_set() {
    let (world, mut cart) = rings(1).await;
    let visitor = Visitor::default();
    for (at, quantity) in [(0, 3), (1, 2)] {
        let change = world.host.change_quantity(&world.shop, &cart[at].key, quantity, &cart, &visitor).await;
        change.expect("another quantity").apply(&mut cart);
        assert_eq!(sold(&cart), set_of(quantity));
        let again = world.host.refresh_line(&world.shop, &cart[at].key, &cart, &visitor).await.expect("refreshed");
        assert_eq!(again.operations, []);
    }
    assert_eq!(states(&world, &cart).await, [LineState::Ok]);
}

#[tokio::test]
async fn a_set_is_removed_by_any_of_its_lines() {
    for at in [0, 1] {
        let (world, mut cart) = rings(1).await;
        world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut cart).await.expect("a shirt");
        let change = world.host.remove_line(&world.shop, &cart[at].key, &cart, &Visitor::default()).await;
        change.expect("removed").apply(&mut cart);
        assert_eq!(cart.len(), 1, "{at}");
    }
}

#[tokio::test]
async fn an_edit_of_any_line_of_a_set_replaces_the_set_and_keeps_its_quantity() {
    for at in [0, 1] {
        let (world, mut cart) = rings(2).await;
        let old: Vec<String> = cart.iter().map(|line| line.key.clone()).collect();
        let request = world.request("ring", &samples::EXPIVI_SIMPLE.replace("Bob", "Alice"), 1, &cart);
        let change = world.host.edit_line(&world.shop, &old[at], None, request).await.expect("edited");
        change.apply(&mut cart);
        assert_eq!(sold(&cart), set_of(2));
        assert!(cart.iter().all(|line| !old.contains(&line.key)));
    }
}

#[tokio::test]
async fn equal_sets_of_two_carts_become_one_and_other_sets_stay() {
    let (world, mut customer) = rings(1).await;
    let mut guest = Vec::new();
    add(&world, samples::EXPIVI_SIMPLE, 2, &mut guest).await;
    add(&world, &samples::EXPIVI_SIMPLE.replace("Bob", "Alice"), 1, &mut guest).await;
    let change = world.host.merge_carts(&world.shop, &guest, &customer, &Visitor::default()).await;
    change.expect("merged").apply(&mut customer);
    assert_eq!(sold(&customer), [set_of(3), set_of(1)].concat());
    assert_eq!(states(&world, &customer).await, [LineState::Ok, LineState::Ok]);
}

#[tokio::test]
async fn a_set_that_lacks_a_line_cannot_be_ordered() {
    let (world, cart) = rings(2).await;
    let (_, small) = rings(1).await;
    let without_hinges = states(&world, &cart[..1]).await;
    assert!(matches!(without_hinges[..], [LineState::PriceChanged { .. }]), "{without_hinges:?}");
    let without_ring = states(&world, &cart[1..]).await;
    assert!(matches!(without_ring[..], [LineState::MustReconfigure { .. }]), "{without_ring:?}");
    let mixed = states(&world, &[cart[0].clone(), small[1].clone()]).await;
    assert!(!matches!(mixed[..], [LineState::Ok]), "{mixed:?}");
    let order = |lines: &[CartLine]| {
        let ordered: Vec<OrderedLine<'_>> = lines.iter().map(|line| OrderedLine::new(&line.key, line)).collect();
        world.host.order_lines(&world.shop, "1", &cart[0].price.total, &ordered)
    };
    assert!(matches!(order(&cart[..1]), Err(OrderError::IncompleteSet { .. })));
    assert!(matches!(order(&cart[1..]), Err(OrderError::MissingSet { .. })));
    assert!(order(&cart).expect("an order").iter().all(|line| line.released));
}

#[tokio::test]
async fn a_set_is_quoted_as_a_whole_and_reordered_by_its_configured_product() {
    let (world, cart) = rings(2).await;
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 2, &[]);
    let account = Some("hostile".parse().expect("an id"));
    request.strategy = Some(StrategyChoice { account, name: Some("honest-set".to_owned()) });
    let change = world.host.request_quote(&world.shop, request).await.expect("a quote");
    let [CartOperation::RequestQuote { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(sold(lines), set_of(2));
    world.host.check_quote_lines(&world.shop, lines).expect("complete");
    let refused = world.host.reorder(&world.shop, &cart[1], Vec::new(), Visitor::default()).await;
    assert!(matches!(&refused, Err(CartError::SetLine { top, .. }) if *top == cart[0].key), "{refused:?}");
    world.host.reorder(&world.shop, &cart[0], Vec::new(), Visitor::default()).await.expect("reordered");
}
