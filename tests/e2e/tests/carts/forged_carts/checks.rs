//! The results of `check_cart` for carts that were tampered with.

use cartwright::types::{Message, PriceState};
use cartwright::{CartLine, LineState, UnverifiedLine, Visitor};

use super::{ASH, CartTest, FORGED, Forge, HINGE, OAK, PANEL, RING, SCREW, accept_changes, check_texts, line_values};

/// Forges a cart, and checks the results for the rings: their configuration is not opened, so they are not replaced.
async fn refuses(shopping: &CartTest, what: &str, forge: Forge) {
    let checks = shopping.check(&shopping.forged(forge)).await;
    assert_eq!(check_texts(&checks), [FORGED, "ok", "ok"], "{what}");
    assert_eq!(checks[0].lines, [], "{what}");
}

/// Forges a cart, checks the results for the rings, the oak wardrobes and the ash one, and accepts the changes: the
/// cart must then be the host's.
async fn says(shopping: &CartTest, what: &str, forge: Forge, expected: [&str; 3]) {
    let forged = shopping.forged(forge);
    let checks = shopping.check(&forged).await;
    assert_eq!(check_texts(&checks), expected, "{what}");
    let agreed = accept_changes(&forged, &checks);
    assert_eq!(line_values(&agreed), line_values(&shopping.cart), "{what}");
    assert_eq!(check_texts(&shopping.check(&agreed).await), ["ok"; 3], "{what}: what the check gave does not hold");
}

#[tokio::test]
async fn a_cart_as_the_host_made_it_is_ok() {
    let shopping = CartTest::new().await;
    says(&shopping, "nothing", |_| {}, ["ok"; 3]).await;
}

#[tokio::test]
async fn a_line_whose_price_was_forged_must_be_configured_again() {
    let shopping = CartTest::new().await;
    let forgeries: [(&str, Forge); 12] = [
        ("the unit", |cart| cart[RING].price.unit.as_mut().expect("a unit").minor = 1),
        ("the currency", |cart| cart[RING].price.total.currency = "JPY".to_owned()),
        ("the scale", |cart| cart[RING].price.total.scale = 4),
        ("a later end", |cart| cart[RING].price.expires = "2999-01-01T00:00:00Z".to_owned()),
        ("an end that is no time", |cart| cart[RING].price.expires = "never".to_owned()),
        ("paid by another line", |cart| cart[RING].price.included_in_parent = true),
        ("a state", |cart| cart[RING].price.state = PriceState::Unverified("trust me".to_owned())),
        ("another line's seal", |cart| cart[RING].price.seal = cart[OAK].price.seal.clone()),
        ("no seal", |cart| cart[RING].price.seal = String::new()),
        ("lowered with the old seal", |cart| cart[RING].price.total.minor = 1),
        ("another line's price and seal", |cart| cart[RING].price = cart[ASH].price.clone()),
        ("below nothing", |cart| cart[RING].price.total.minor = i64::MIN),
    ];
    for (what, forge) in forgeries {
        refuses(&shopping, what, forge).await;
    }
}

#[tokio::test]
async fn a_line_that_claims_to_be_something_else_must_be_configured_again() {
    let shopping = CartTest::new().await;
    let forgeries: [(&str, Forge); 10] = [
        ("a finer title", |cart| cart[RING].title = "Platinum ring".to_owned()),
        ("a plainer choice", |cart| cart[RING].shown = cart[OAK].shown.clone()),
        ("another picture", |cart| cart[RING].thumbnail = Some(cart[OAK].pin.digest)),
        ("a dearer variant", |cart| cart[RING].variant_id = Some("id-TABLE".to_owned())),
        ("a dearer product and SKU", |cart| {
            (cart[RING].product, cart[RING].sku) = ("table".to_owned(), Some("TABLE".to_owned()));
        }),
        ("more of it", |cart| cart[RING].quantity = 20),
        ("another vendor product", |cart| cart[RING].vendor_product = Some("1003".to_owned())),
        ("another saved configuration", |cart| cart[RING].reference = Some("4711".to_owned())),
        ("another fingerprint", |cart| cart[RING].fingerprint = cart[OAK].fingerprint),
        ("more of it, as if they were asked for", |cart| {
            (cart[RING].quantity, cart[RING].requested_quantity) = (20, 20);
        }),
    ];
    for (what, forge) in forgeries {
        refuses(&shopping, what, forge).await;
    }
    let let_go: Forge = |cart| {
        let reason = Message { key: "fine".to_owned(), parameters: Vec::new(), text: "Fine.".to_owned() };
        cart[RING].unconfirmed = Some(UnverifiedLine { reason, hold: false });
    };
    refuses(&shopping, "confirmed by itself", let_go).await;
}

#[tokio::test]
async fn a_line_of_another_configuration_or_product_must_be_configured_again() {
    let shopping = CartTest::new().await;
    let forgeries: [(&str, Forge, &str); 5] = [
        (
            "a cheaper product's page",
            |cart| cart[RING].linked_product = "shirt".to_owned(),
            "changed after it was sealed",
        ),
        (
            "a product without a vendor",
            |cart| cart[RING].linked_product = "table".to_owned(),
            "changed after it was sealed",
        ),
        (
            "another configuration",
            |cart| cart[OAK].configuration = cart[ASH].configuration,
            "changed after it was sealed",
        ),
        ("no configuration", |cart| cart[RING].configuration = None, "needs a configuration"),
        ("another item", |cart| cart[RING].item = Some(7), "changed after it was sealed"),
    ];
    for (what, forge, reason) in forgeries {
        let checks = shopping.check(&shopping.forged(forge)).await;
        let refused: Vec<_> = checks.iter().filter(|check| check.state != LineState::Ok).collect();
        let [check] = refused[..] else { panic!("{what}: {checks:?}") };
        assert!(
            matches!(&check.state, LineState::MustReconfigure { reason: said } if said.contains(reason)),
            "{what}: {check:?}"
        );
        assert_eq!(check.lines, [], "{what}");
    }
}

#[tokio::test]
async fn a_bundle_is_whole_or_planned_again() {
    let shopping = CartTest::new().await;
    let forgeries: [(&str, Forge); 9] = [
        ("no child", |cart| drop(cart.drain(PANEL..ASH))),
        ("a child less", |cart| drop(cart.remove(HINGE))),
        ("a child twice", |cart| cart.insert(HINGE, cart[HINGE].clone())),
        ("a child in the place of another", |cart| cart[SCREW] = cart[HINGE].clone()),
        ("fewer of a child", |cart| cart[PANEL].quantity = 1),
        ("more of a child", |cart| cart[PANEL].quantity = 600),
        ("another ratio", |cart| cart[PANEL].per_bundle = Some(1)),
        ("another ratio, and the quantity after it", |cart| {
            (cart[PANEL].per_bundle, cart[PANEL].quantity) = (Some(300), 600);
        }),
        ("no ratio", |cart| cart[PANEL].per_bundle = None),
    ];
    for (what, forge) in forgeries {
        says(&shopping, what, forge, ["ok", "17380 to 17380", "ok"]).await;
    }
    let parents: [(&str, Forge); 5] = [
        ("fewer parents", |cart| cart[OAK].quantity = 1),
        ("more parents", |cart| cart[OAK].quantity = 200),
        ("no bundle", |cart| cart[OAK].children.clear()),
        ("a lowered parent", |cart| cart[OAK].price.total.minor = 4),
        ("a lowered parent, dealt out over its children", |cart| {
            cart[OAK].price.total.minor = 4;
            for (child, share) in [(PANEL, 2), (HINGE, 1), (SCREW, 1)] {
                (cart[child].price.total.minor, cart[child].price.unit) = (share, None);
            }
        }),
    ];
    for (what, forge) in parents {
        assert_eq!(check_texts(&shopping.check(&shopping.forged(forge)).await), ["ok", FORGED, "ok"], "{what}");
    }
    let moved: Forge = |cart| cart[HINGE].parent = Some(cart[ASH].key.clone());
    says(&shopping, "a child of another parent", moved, ["ok", "17380 to 17380", "8690 to 8690"]).await;
    let smaller: Forge = |cart| {
        // The children of the ash wardrobe have half the quantity.
        for child in [PANEL, HINGE, SCREW] {
            cart[child].price = cart[child + 4].price.clone();
            cart[child].quantity = cart[child + 4].quantity;
        }
    };
    says(&shopping, "children of a smaller bundle", smaller, ["ok", "17380 to 17380", "ok"]).await;
}

#[tokio::test]
async fn a_part_that_costs_nothing_is_missed_and_is_not_had_twice() {
    let shopping = CartTest::new().await;
    shopping.world.catalog.change(|variants| {
        for variant in variants.iter_mut().filter(|variant| variant.sku == "SCREW-4") {
            variant.price.as_mut().expect("a price").minor = 0;
        }
    });
    let mut cart = Vec::new();
    let bundle = cartwright_fake_vendors::samples::EXPIVI_BUNDLE;
    shopping.world.add("wardrobe", bundle, 1, &mut cart).await.expect("a wardrobe");
    assert_eq!((cart[3].sku.as_deref(), cart[3].price.total.minor), (Some("SCREW-4"), 0));
    assert_eq!(check_texts(&shopping.check(&cart).await), ["ok"]);
    let (mut less, mut twice) = (cart.clone(), cart.clone());
    less.remove(3);
    twice.push(cart[3].clone());
    for forged in [less, twice] {
        let checks = shopping.check(&forged).await;
        assert_eq!(check_texts(&checks), ["8630 to 8630"]);
        assert_eq!(line_values(&accept_changes(&forged, &checks)), line_values(&cart));
    }
}

#[tokio::test]
async fn a_child_without_its_bundle_cannot_be_ordered() {
    let shopping = CartTest::new().await;
    let forged = shopping.forged(|cart| drop(cart.remove(OAK)));
    let checks = shopping.check(&forged).await;
    let orphan = "configure again: its bundle is not in the cart";
    assert_eq!(check_texts(&checks), ["ok", orphan, orphan, orphan, "ok"]);
    // Nor as a separate line, which would be bought without the bundle.
    let forged = shopping.forged(|cart| cart[PANEL].parent = None);
    let checks = shopping.check(&forged).await;
    assert_eq!(check_texts(&checks), ["ok", "17380 to 17380", FORGED, "ok"]);
    // Nor below a child, which no bundle's sum would include.
    let forged = shopping.forged(|cart| cart[HINGE].parent = Some(cart[PANEL].key.clone()));
    assert_eq!(check_texts(&shopping.check(&forged).await), ["ok", "17380 to 17380", orphan, "ok"]);
}

#[tokio::test]
async fn a_line_that_hides_below_a_bundle_is_not_had_for_nothing() {
    let shopping = CartTest::new().await;
    let forged = shopping.forged(|cart| {
        (cart[RING].parent, cart[RING].per_bundle) = (Some(cart[OAK].key.clone()), Some(1));
        (cart[RING].price.included_in_parent, cart[RING].price.total.minor) = (true, 0);
    });
    let checks = shopping.check(&forged).await;
    assert_eq!(check_texts(&checks), ["17380 to 17380", "ok"]);
    assert_eq!(
        line_values(&accept_changes(&forged, &checks)),
        line_values(&shopping.cart[OAK..]),
        "the ring is still there"
    );
}

#[tokio::test]
async fn a_line_that_stands_twice_is_ordered_once() {
    let shopping = CartTest::new().await;
    let twice = "configure again: the cart contains it twice; change the quantity of the first";
    let forged = shopping.forged(|cart| cart.push(cart[RING].clone()));
    let checks = shopping.check(&forged).await;
    assert_eq!(check_texts(&checks), ["ok", "ok", "ok", twice]);
    assert_eq!(line_values(&accept_changes(&forged, &checks)), line_values(&shopping.cart));
    // A bundle with a removed part, beside the complete one: both are sealed, but there is only one set of children.
    let mut reduced = shopping.cart.clone();
    let (world, panel) = (&shopping.world, &shopping.cart[PANEL].key);
    let change = world.host.remove_line(&world.shop, panel, &reduced, &Visitor::default()).await.expect("taken out");
    change.apply(&mut reduced);
    let forged = shopping.forged(|cart| cart.push(reduced[OAK].clone()));
    let checks = shopping.check(&forged).await;
    assert_eq!(check_texts(&checks), ["ok", "ok", "ok", "2680 to 2680"]);
    assert_eq!(line_values(&checks[3].lines), line_values(&reduced[OAK..ASH - 1]));
    // Nor can one have the key of the other.
    let forged = shopping.forged(|cart| cart[OAK] = CartLine { key: cart[OAK].key.clone(), ..reduced[OAK].clone() });
    assert_eq!(check_texts(&shopping.check(&forged).await)[1], FORGED);
}
