//! Changes of carts that were tampered with: all lines that a change plans are planned and priced again.

use cartwright::{CartChange, CartError, CartLine, CartOperation, OrderError, OrderedLine, SealError, Visitor};
use cartwright_e2e::added_lines;
use cartwright_fake_vendors::samples;

use super::{ASH, CartTest, Forge, HINGE, OAK, OAKS, PANEL, RING, RINGS, SCREW, ash, check_texts, line_values};

fn is_forged(result: &Result<CartChange, CartError>) -> bool {
    matches!(result, Err(CartError::Seal { fault: SealError::Forged, .. }))
}

fn lower(line: &mut CartLine) {
    (line.price.total.minor, line.price.unit) = (1, None);
}

#[tokio::test]
async fn a_key_that_the_cart_does_not_hold_is_named() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    // Another window of the shopper has removed the line already.
    let stale = shopping.cart[RING].key.clone();
    let cart = shopping.forged(|cart| drop(cart.remove(RING)));
    let request = shopping.world.request("ring", samples::EXPIVI_SIMPLE, 1, &cart);
    for result in [
        host.remove_line(shop, &stale, &cart, &visitor).await,
        host.refresh_line(shop, &stale, &cart, &visitor).await,
        host.change_quantity(shop, &stale, 1, &cart, &visitor).await,
        host.edit_line(shop, &stale, None, request).await,
    ] {
        assert!(matches!(&result, Err(CartError::UnknownLine(key)) if *key == stale), "{result:?}");
    }
    let orphan = shopping.forged(|cart| drop(cart.remove(OAK)));
    let result = host.remove_line(shop, &shopping.cart[PANEL].key, &orphan, &visitor).await;
    assert!(matches!(&result, Err(CartError::UnknownLine(key)) if *key == shopping.cart[OAK].key), "{result:?}");
}

#[tokio::test]
async fn another_quantity_is_priced_from_the_configuration() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let mut forged = shopping.forged(|cart| lower(&mut cart[PANEL]));
    for (place, quantity) in [(RING, 3), (OAK, 3), (RING, 2), (OAK, 2)] {
        let key = forged[place].key.clone();
        let change = host.change_quantity(shop, &key, quantity, &forged, &visitor).await.expect("changed");
        change.apply(&mut forged);
    }
    assert_eq!(line_values(&forged), line_values(&shopping.cart));
    for place in [RING, OAK] {
        let lowered = shopping.forged(|cart| lower(&mut cart[place]));
        let refused = host.change_quantity(shop, &lowered[place].key, 3, &lowered, &visitor).await;
        assert!(is_forged(&refused), "{refused:?}");
    }
    assert_eq!(check_texts(&shopping.check(&forged).await), ["ok"; 3]);
    let refused = host.change_quantity(shop, &forged[PANEL].key, 1, &forged, &visitor).await;
    assert!(matches!(refused, Err(CartError::BundleChild(_))), "{refused:?}");
}

#[tokio::test]
async fn a_refresh_mends_what_a_bundle_holds_and_opens_nothing_for_a_forged_line() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let forgeries: [(&str, Forge); 4] = [
        ("a price", |cart| lower(&mut cart[RING])),
        ("a variant", |cart| cart[RING].variant_id = Some("id-TABLE".to_owned())),
        ("a saved configuration", |cart| cart[RING].reference = Some("4711".to_owned())),
        ("another line's configuration", |cart| cart[RING].configuration = cart[OAK].configuration),
    ];
    for (what, forge) in forgeries {
        let cart = shopping.forged(forge);
        let refused = host.refresh_line(shop, &cart[RING].key, &cart, &visitor).await;
        assert!(is_forged(&refused), "{what}: {refused:?}");
    }
    let forgeries: [(&str, usize, Forge); 4] = [
        ("a child less", OAK, |cart| drop(cart.remove(SCREW))),
        ("a child twice", OAK, |cart| cart.insert(SCREW, cart[SCREW].clone())),
        ("a ratio", OAK, |cart| cart[PANEL].per_bundle = Some(1)),
        ("a bundle that lets its children go", OAK, |cart| cart[PANEL].child_removal = None),
    ];
    for (what, place, forge) in forgeries {
        let mut cart = shopping.forged(forge);
        let key = cart[place].key.clone();
        host.refresh_line(shop, &key, &cart, &visitor).await.expect(what).apply(&mut cart);
        assert_eq!(check_texts(&shopping.check(&cart).await), ["ok"; 3], "{what}");
        assert_eq!(line_values(&cart), line_values(&shopping.cart), "{what}");
    }
}

#[tokio::test]
async fn an_edit_takes_nothing_from_the_line_that_it_replaces() {
    let shopping = CartTest::new().await;
    let (world, host, shop) = (&shopping.world, &shopping.world.host, &shopping.world.shop);
    let forged = shopping.forged(|cart| {
        lower(&mut cart[RING]);
        lower(&mut cart[OAK]);
        cart.drain(PANEL..ASH);
    });
    let mut cart = forged.clone();
    for (product, configuration, place) in
        [("ring", samples::EXPIVI_SIMPLE, RING), ("wardrobe", samples::EXPIVI_BUNDLE, OAK)]
    {
        let request = world.request(product, configuration, 1, &cart);
        let change = host.edit_line(shop, &forged[place].key, None, request).await.expect("edited");
        change.apply(&mut cart);
    }
    assert_eq!(line_values(&cart), line_values(&shopping.cart));
    assert_eq!(check_texts(&shopping.check(&cart).await), ["ok"; 3]);
    // A line that claims another product's page cannot be edited from this one's.
    let other = shopping.forged(|cart| cart[RING].linked_product = "shirt".to_owned());
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &other);
    let error = host.edit_line(shop, &other[RING].key, None, request).await.expect_err("another page's");
    assert!(matches!(error, CartError::OtherProduct { .. }), "{error}");
}

#[tokio::test]
async fn more_of_a_line_is_priced_for_all_of_it() {
    let shopping = CartTest::new().await;
    let world = &shopping.world;
    let mut cart = shopping.forged(|cart| lower(&mut cart[RING]));
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("one more");
    assert_eq!((cart[RING].quantity, cart[RING].price.total.minor), (3, 3 * 19_900));
    // The edit completes an incomplete bundle.
    let forgeries: [Forge; 3] = [
        |cart| drop(cart.remove(HINGE)),
        |cart| drop(cart.drain(PANEL..ASH)),
        |cart| cart.insert(HINGE, cart[HINGE].clone()),
    ];
    for forge in forgeries {
        let mut cart = shopping.forged(forge);
        world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("one more");
        assert_eq!(cart[OAK].price.total.minor, OAKS / 2 * 3);
        assert_eq!(check_texts(&shopping.check(&cart).await), ["ok"; 3], "{:?}", line_values(&cart));
        assert_eq!(cart.len(), shopping.cart.len());
    }
}

#[tokio::test]
async fn a_guests_forged_lines_do_not_get_into_a_customers_cart() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let forgeries: [(&str, Forge); 9] = [
        ("a price", |cart| lower(&mut cart[RING])),
        ("a seal", |cart| cart[RING].price.seal = cart[OAK].price.seal.clone()),
        ("a quantity", |cart| cart[OAK].quantity = 1),
        ("a child's quantity", |cart| cart[PANEL].quantity = 1),
        ("a child's price", |cart| lower(&mut cart[PANEL])),
        ("no child", |cart| drop(cart.drain(PANEL..ASH))),
        ("a child less", |cart| drop(cart.remove(SCREW))),
        ("a child twice", |cart| cart.insert(SCREW, cart[SCREW].clone())),
        ("a child of another parent", |cart| cart[SCREW].parent = Some(cart[ASH].key.clone())),
    ];
    for (what, forge) in forgeries {
        let result = host.merge_carts(shop, &shopping.forged(forge), &[], &visitor).await;
        assert!(is_forged(&result), "{what}: {result:?}");
    }
    // Children without their bundle remain.
    let orphans = shopping.forged(|cart| drop(cart.remove(OAK)));
    let mut customer = Vec::new();
    host.merge_carts(shop, &orphans, &customer, &visitor).await.expect("merged").apply(&mut customer);
    assert_eq!(
        line_values(&customer),
        [&line_values(&shopping.cart)[..1], &line_values(&shopping.cart)[ASH..]].concat()
    );
}

#[tokio::test]
async fn a_customers_forged_line_is_priced_anew_when_a_guest_had_it_too() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let mut customer = shopping.forged(|cart| {
        lower(&mut cart[RING]);
        cart.remove(SCREW);
    });
    let change = host.merge_carts(shop, &shopping.cart, &customer, &visitor).await.expect("merged");
    change.apply(&mut customer);
    assert_eq!((customer[RING].price.total.minor, customer[OAK].price.total.minor), (2 * RINGS, 2 * OAKS));
    assert_eq!(customer.len(), shopping.cart.len());
    assert_eq!(check_texts(&shopping.check(&customer).await), ["ok"; 3]);
}

#[tokio::test]
async fn a_child_is_taken_out_of_a_whole_bundle_only_and_only_once() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let panel = shopping.cart[PANEL].key.clone();
    let mut cart = shopping.cart.clone();
    host.remove_line(shop, &panel, &cart, &visitor).await.expect("taken out").apply(&mut cart);
    assert_eq!(cart[OAK].price.total.minor, OAKS - 2 * 3 * 2_450);
    assert_eq!(check_texts(&shopping.check(&cart).await), ["ok"; 3]);
    // The panel is in the cart again, and would be refunded twice.
    let reduced = cart[OAK].clone();
    let again = shopping.forged(|cart| cart[OAK] = reduced.clone());
    let result = host.remove_line(shop, &panel, &again, &visitor).await;
    assert!(matches!(&result, Err(CartError::UnknownLine(_))), "{result:?}");
    let mut again = cart.clone();
    again.insert(PANEL, CartLine { parent: Some(reduced.key.clone()), ..shopping.cart[PANEL].clone() });
    assert!(is_forged(&host.remove_line(shop, &panel, &again, &visitor).await), "the price went down twice");
    let forgeries: [(&str, Forge); 6] = [
        ("a dearer child", |cart| cart[PANEL].price.total.minor = OAKS),
        ("a cheaper parent", |cart| lower(&mut cart[OAK])),
        ("a parent that lets its children go", |cart| cart[OAK].requested_quantity = 1),
        ("a child less", |cart| drop(cart.remove(HINGE))),
        ("a child twice", |cart| cart.insert(HINGE, cart[HINGE].clone())),
        ("a child of another parent", |cart| cart[PANEL].parent = Some(cart[ASH].key.clone())),
    ];
    for (what, forge) in forgeries {
        let result = host.remove_line(shop, &panel, &shopping.forged(forge), &visitor).await;
        assert!(is_forged(&result), "{what}: {result:?}");
    }
    // A line can be removed with all its children, however it was tampered with.
    let mut forged = shopping.forged(|cart| [RING, OAK, PANEL].into_iter().for_each(|place| lower(&mut cart[place])));
    for place in [OAK, RING] {
        let key = shopping.cart[place].key.clone();
        host.remove_line(shop, &key, &forged, &visitor).await.expect("removed").apply(&mut forged);
    }
    assert_eq!(line_values(&forged), line_values(&shopping.cart[ASH..]));
}

#[tokio::test]
async fn a_forged_past_line_is_not_bought_again() {
    let shopping = CartTest::new().await;
    let (host, shop) = (&shopping.world.host, &shopping.world.shop);
    let forgeries: [fn(&mut CartLine); 3] =
        [lower, |line| line.pin.strategy = "variation".to_owned(), |line| line.linked_product = "shirt".to_owned()];
    for place in [RING, OAK] {
        let again = host.reorder(shop, &shopping.cart[place], Vec::new(), Visitor::default()).await;
        assert_eq!(line_values(&added_lines(&again.expect("bought again")))[0], line_values(&shopping.cart)[place]);
        for forge in forgeries {
            let mut past = shopping.cart[place].clone();
            forge(&mut past);
            let refused = host.reorder(shop, &past, Vec::new(), Visitor::default()).await;
            assert!(is_forged(&refused), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_page_reopens_only_what_was_sealed() {
    let shopping = CartTest::new().await;
    let (host, shop, visitor) = (&shopping.world.host, &shopping.world.shop, Visitor::default());
    let text = |embed: cartwright::types::EmbedData| format!("{embed:?}");
    let oak = host.embed(shop, "wardrobe", Some(&shopping.cart[OAK]), &visitor).await.expect("one's own");
    let ash = host.embed(shop, "wardrobe", Some(&shopping.cart[ASH]), &visitor).await.expect("another");
    assert!(text(oak).contains("Oak") && text(ash).contains("Ash"));
    let mut theirs = shopping.cart[OAK].clone();
    theirs.configuration = shopping.cart[ASH].configuration;
    let refused = host.embed(shop, "wardrobe", Some(&theirs), &visitor).await;
    assert!(matches!(refused, Err(CartError::Seal { fault: SealError::Forged, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_forged_line_is_no_ground_for_an_offer() {
    let shopping = CartTest::new().await;
    let forged = shopping.forged(|cart| lower(&mut cart[ASH]));
    let request = shopping.world.request("wardrobe", &ash(), 1, &forged);
    let change = shopping.world.host.request_quote(&shopping.world.shop, request).await.expect("an offer");
    let [CartOperation::RequestQuote { lines }] = &change.operations[..] else { panic!("{change:?}") };
    assert_eq!(line_values(lines), line_values(&shopping.cart[ASH..]));
}

#[tokio::test]
async fn a_forged_line_does_not_get_into_an_order() {
    let shopping = CartTest::new().await;
    let (host, shop) = (&shopping.world.host, &shopping.world.shop);
    let forgeries: [fn(&mut CartLine); 4] = [
        lower,
        |line| line.reference = Some("4711".to_owned()),
        |line| line.bill_of_materials.clear(),
        |line| line.price.expires = "2999-01-01T00:00:00Z".to_owned(),
    ];
    let order = |cart: &[CartLine]| {
        let ordered: Vec<OrderedLine<'_>> = cart.iter().map(|line| OrderedLine::new(&line.key, line)).collect();
        host.order_lines(shop, "1", &cart[0].price.total, &ordered)
    };
    assert_eq!(order(&shopping.cart).expect("as it was sealed").len(), shopping.cart.len());
    for place in [RING, OAK] {
        for forge in forgeries {
            let mut forged = shopping.cart.clone();
            forge(&mut forged[place]);
            let refused = order(&forged);
            let is_forged = matches!(&refused, Err(OrderError::Seal { fault: SealError::Forged, .. }));
            assert!(is_forged || forged == shopping.cart, "{refused:?}");
        }
    }
}
