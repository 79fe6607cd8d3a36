//! Expired seals, and lines of other shops.

use std::time::Duration;

use cartwright::{CartError, CartLine, Currencies, OrderError, OrderedLine, SealError, Shop, Visitor};
use cartwright_e2e::{World, restore, shop};
use cartwright_fake_vendors::samples;

use super::{CartTest, FORGED, check, check_texts, line_values};

/// Returns a shop whose seals have expired, with a ring and a wardrobe in the cart.
async fn over() -> (World, Vec<CartLine>) {
    let world = World::new().await.with_shop(Shop { seal_seconds: 1, ..shop("brief") }).await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a wardrobe");
    // The expiry of a seal is rounded to a whole second.
    tokio::time::sleep(Duration::from_millis(1600)).await;
    (world, cart)
}

#[tokio::test]
async fn a_seal_whose_time_is_over_is_renewed_when_the_price_is_the_same() {
    let (world, cart) = over().await;
    let checks = check(&world, &cart).await;
    assert_eq!(check_texts(&checks), ["ok", "ok"]);
    let fresh: Vec<CartLine> = checks.into_iter().flat_map(|check| check.lines).collect();
    assert_eq!(line_values(&fresh), line_values(&cart));
    assert!(fresh.iter().zip(&cart).all(|(new, old)| new.price.seal != old.price.seal), "nothing was sealed again");
}

#[tokio::test]
async fn a_seal_whose_time_is_over_does_not_hold_an_old_price() {
    let (world, cart) = over().await;
    world.catalog.change(|variants| {
        variants.iter_mut().for_each(|variant| variant.price.as_mut().expect("a price").minor += 100);
    });
    assert_eq!(check_texts(&check(&world, &cart).await), ["19900 to 20000", "8690 to 9790"]);
}

#[tokio::test]
async fn a_forged_line_does_not_become_right_by_being_old() {
    let (world, cart) = over().await;
    let mut forged = cart.clone();
    forged[0].variant_id = Some("id-TABLE".to_owned());
    forged.remove(2);
    assert_eq!(check_texts(&check(&world, &forged).await), [FORGED, "8690 to 8690"]);
}

#[tokio::test]
async fn a_child_is_taken_out_at_todays_price() {
    let (world, mut cart) = over().await;
    world.catalog.change(|variants| {
        variants.iter_mut().for_each(|variant| variant.price.as_mut().expect("a price").minor += 100);
    });
    let change = world.host.remove_line(&world.shop, &cart[2].key, &cart, &Visitor::default()).await;
    change.expect("taken out").apply(&mut cart);
    assert_eq!(cart[1].price.total.minor, 4 * 420 + 4 * 115);
}

#[tokio::test]
async fn a_child_that_was_taken_out_stays_out_when_the_seal_is_renewed() {
    let (world, mut cart) = over().await;
    let change = world.host.remove_line(&world.shop, &cart[2].key, &cart, &Visitor::default()).await;
    change.expect("taken out").apply(&mut cart);
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let checks = check(&world, &cart).await;
    assert_eq!(check_texts(&checks), ["ok", "ok"]);
    let fresh: Vec<CartLine> = checks.into_iter().flat_map(|check| check.lines).collect();
    assert_eq!((line_values(&fresh), fresh.len()), (line_values(&cart), 4));
}

#[tokio::test]
async fn a_line_whose_seal_is_over_reopens() {
    let (world, cart) = over().await;
    let embed = world.host.embed(&world.shop, "wardrobe", Some(&cart[1]), &Visitor::default()).await;
    assert!(format!("{:?}", embed.expect("one's own")).contains("Oak"));
}

#[tokio::test]
async fn a_line_in_other_money_than_the_shop_sells_in_does_not_hold() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
    let yen = Shop { currencies: Currencies::one("JPY", 0), ..shop("shop") };
    let mills = Shop { currencies: Currencies::one("EUR", 3), ..shop("shop") };
    for other in [yen, mills] {
        let (host, id) = (&world.host, &world.shop);
        let mut snapshot = host.snapshot(id).expect("the shop");
        snapshot.shop = other;
        restore(host, snapshot).expect("other money");
        let checks = check(&world, &cart).await;
        assert_ne!(check_texts(&checks), ["ok"]);
        let refused = host.check_quote_lines(id, &cart).expect_err("asked about");
        assert!(matches!(&refused, CartError::Seal { fault: SealError::OtherMoney, .. }), "{refused}");
    }
}

#[tokio::test]
async fn an_order_outlives_the_seals_of_its_lines() {
    let (world, cart) = over().await;
    let order = cartwright_e2e::orders::order(&world.host, &world.shop, "1", &cart);
    assert_eq!(order.lines.len(), cart.len());
}

#[tokio::test]
async fn a_line_of_another_shop_is_not_sold_here() {
    let CartTest { world, cart } = CartTest::new().await;
    // It links the same products, seals with the same key and stores the same configurations, but it is another shop.
    let other = world.with_shop(shop("other")).await;
    let checks = check(&other, &cart).await;
    assert!(check_texts(&checks).iter().all(|text| text == FORGED), "{checks:?}");
    let mut own = Vec::new();
    other.add("ring", samples::EXPIVI_SIMPLE, 2, &mut own).await.expect("rings");
    other.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &mut own).await.expect("wardrobes");
    let checks = check(&other, &cart[..5]).await;
    assert_eq!(check_texts(&checks), [FORGED; 2]);
    let visitor = Visitor::default();
    let error = other.host.merge_carts(&other.shop, &cart[..1], &[], &visitor).await.expect_err("of another shop");
    assert!(matches!(&error, CartError::Seal { fault: SealError::Forged, .. }), "{error}");
    let total = &cart[0].price.total;
    let error = other.host.order_lines(&other.shop, "1", total, &[OrderedLine::new("1", &cart[0])]);
    assert!(matches!(&error, Err(OrderError::Seal { fault: SealError::Forged, .. })), "{error:?}");
}
