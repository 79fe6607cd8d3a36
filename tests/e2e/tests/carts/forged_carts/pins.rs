//! The version that plans a line which was tampered with, or whose version is missing.

use cartwright::{CartLine, Digest, LineState, StrategyChoice, Visitor};
use cartwright_e2e::{ONE_LINE, World, added_lines};
use cartwright_fake_vendors::samples;

use super::{CartTest, FORGED, RING, RINGS, check, check_texts, line_values};

#[tokio::test]
async fn a_pin_to_a_version_that_nobody_knows_is_not_followed() {
    let shopping = CartTest::new().await;
    for forge in [
        |line: &mut CartLine| line.pin.digest = Digest::of(b"nobody's"),
        |line: &mut CartLine| line.pin.strategy_digest = Digest::of(b"nobody's"),
    ] {
        let forged = shopping.forged(|cart| forge(&mut cart[RING]));
        assert_eq!(check_texts(&shopping.check(&forged).await), [FORGED, "ok", "ok"]);
    }
}

#[tokio::test]
async fn a_line_does_not_choose_its_account_or_strategy() {
    let shopping = CartTest::new().await;
    let world = &shopping.world;
    // The same configuration under a strategy that the merchant did not choose.
    let strategy = world.strategy(ONE_LINE).await;
    let mut request = world.request("wardrobe", samples::EXPIVI_BUNDLE, 2, &[]);
    request.strategy = Some(StrategyChoice { account: None, name: Some("simple".to_owned()) });
    let preview = added_lines(&world.host.add_to_cart(&world.shop, request).await.expect("a preview")).remove(0);
    let forgeries: [&dyn Fn(&mut CartLine); 4] = [
        &|line| line.pin.account = "no-such-account".parse().expect("an id"),
        &|line| line.pin.strategy_account = "no-such-account".parse().expect("an id"),
        &|line| line.pin.strategy_account = strategy.clone(),
        &|line| line.pin.strategy = "simple".to_owned(),
    ];
    for (number, forge) in forgeries.into_iter().enumerate() {
        let mut forged = shopping.cart[1..5].to_vec();
        forge(&mut forged[0]);
        let checks = check(world, &forged).await;
        assert!(!matches!(checks[0].state, LineState::Ok | LineState::Unavailable { .. }), "{number}: {checks:?}");
        assert!(
            checks[0].lines.is_empty() || line_values(&checks[0].lines) == line_values(&shopping.cart[1..5]),
            "{number}"
        );
        // The key for that strategy does not help.
        forged.truncate(1);
        forged[0].key = preview.key.clone();
        let visitor = Visitor::default();
        let checks = check(world, &forged).await;
        assert!(matches!(checks[0].state, LineState::MustReconfigure { .. }), "{number}: {checks:?}");
        if let Ok(change) = world.host.change_quantity(&world.shop, &preview.key, 2, &forged, &visitor).await {
            let mut cart = forged.clone();
            change.apply(&mut cart);
            assert_eq!(line_values(&cart), line_values(&shopping.cart[1..5]), "{number}");
        }
    }
    // If the shop chose it, its seal is valid.
    assert_eq!(check_texts(&check(world, std::slice::from_ref(&preview)).await), ["ok"]);
}

#[tokio::test]
async fn a_strategys_version_that_was_revoked_does_not_hold_its_lines_prices() {
    let world = World::new().await;
    let account = world.strategy(ONE_LINE).await;
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 2, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account.clone()), name: None });
    let cart = added_lines(&world.host.add_to_cart(&world.shop, request).await.expect("rings"));
    assert_eq!((check_texts(&check(&world, &cart).await), cart[0].price.total.minor), (vec!["ok".to_owned()], RINGS));
    let strategy = world.host.current_version(&world.shop, &account).expect("the strategy").digest();
    world.host.revoke(strategy, None).expect("revoked");
    let checks = check(&world, &cart).await;
    assert!(matches!(checks[0].state, LineState::MustReconfigure { .. }), "{checks:?}");
}
