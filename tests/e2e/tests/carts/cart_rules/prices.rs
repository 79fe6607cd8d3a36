//! The prices of lines, and the checks before they are ordered.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cartwright::health::{RateLimitRules, Rules};
use cartwright::types::{Money, PriceSource};
use cartwright::{
    AccountSetup, CartError, CartLine, CartOperation, Grants, LineState, QuoteOffer, StrategyChoice, Visitor,
};
use cartwright_e2e::{HOSTILE, World, added_lines};
use cartwright_fake_vendors::{Outage, samples};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{changed, one, sell};

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
    let lines = added_lines(&change);
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
        let lines = added_lines(&change);
        let sum: i64 = lines.iter().skip(1).map(|line| line.price.total.minor).sum();
        let value: Value = serde_json::from_str(samples::EXPIVI_BUNDLE).expect("a sample");
        let expected = world.expivi.expected_price(&value[0], None).expect("a price");
        assert_eq!(lines[0].price.total.minor, expected * i64::from(quantity));
        assert_eq!(sum, lines[0].price.total.minor);
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
    let mut cart = added_lines(&change);
    assert_eq!(cart[0].price.total.minor, 2 * (19_900 + 500));
    let [added_lines] = &cart[0].price.adjustments[..] else { panic!("{:?}", cart[0].price) };
    assert_eq!((added_lines.label.text.as_str(), added_lines.amount.minor), ("Adjusted", 500));
    // The adjustment cannot be removed.
    cart[0].price.adjustments.clear();
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_ne!(checks[0].state, LineState::Ok);
}

#[tokio::test]
async fn a_price_holds_for_the_country_and_the_group_that_it_was_asked_for() {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let of = |country: &str| Visitor { country: Some(country.to_owned()), ..Visitor::default() };
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
    request.visitor = of("NL");
    let mut cart = added_lines(&world.host.add_to_cart(&world.shop, request).await.expect("a line"));
    let dutch = cart[0].price.total.clone();
    let request_count = world.expivi.record().all().len();
    let check = async |cart: &[CartLine], visitor: &Visitor| {
        world.host.check_cart(&world.shop, cart, visitor).await.expect("checked").remove(0)
    };
    assert_eq!(check(&cart, &of("NL")).await.state, LineState::Ok);
    assert_eq!(world.expivi.record().all().len(), request_count, "the seal holds without the vendor");
    // The page's country differs from the delivery country.
    let checked = check(&cart, &of("BE")).await;
    let LineState::PriceChanged { old, new } = &checked.state else { panic!("{checked:?}") };
    assert!(*old == dutch && new.minor > dutch.minor, "{checked:?}");
    assert_eq!(check(&checked.lines, &of("BE")).await.state, LineState::Ok);
    // Another group has the same price here, which is checked, and sealed for it.
    let group = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..of("NL") };
    let same = check(&cart, &group).await;
    assert_eq!((&same.state, same.lines[0].price.total.minor), (&LineState::Ok, dutch.minor));
    cart[0].price.country = Some("BE".to_owned());
    assert_ne!(check(&cart, &of("BE")).await.state, LineState::Ok, "it is sealed");
}

#[tokio::test]
async fn a_configuration_of_much_that_the_cart_holds_asks_the_vendor_twice() {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let mut one: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let product = one[0].take();
    let many: Vec<Value> = (0..4)
        .map(|number| {
            let mut product = product.clone();
            product["configuration"]["attributes"][0]["attribute_value_name"] = json!(format!("Oak {number}"));
            product["attributes"][0]["attribute_value_name"] = json!(format!("Oak {number}"));
            product
        })
        .collect();
    let saved = Value::Array(many).to_string();
    let mut cart = Vec::new();
    world.add("ring", &saved, 1, &mut cart).await.expect("lines");
    let lines = cart.len();
    let before = world.expivi.record().all().len();
    world.add("ring", &saved, 1, &mut cart).await.expect("more of them");
    let request_count = world.expivi.record().all().len() - before;
    assert_eq!((cart.len(), cart.iter().map(|line| line.quantity).sum::<u32>()), (lines, 8));
    assert!(request_count <= 2 * 4, "{request_count} requests for four products");
}

/// Returns the ring in a unique state, so that it has its own price.
fn numbered(number: usize) -> String {
    changed(samples::EXPIVI_SIMPLE, |value| {
        value[0]["configuration"]["attributes"][0]["attribute_value_name"] = json!(format!("Oak {number}"));
    })
}

#[tokio::test]
async fn the_same_for_the_same_asks_the_vendor_once() {
    let world = World::new().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let new_requests = async |configuration: &str, quantity: u32, country: Option<&str>| {
        let before = world.expivi.record().all().len();
        let mut request = world.request("ring", configuration, quantity, &[]);
        request.visitor.country = country.map(str::to_owned);
        let change = world.host.add_to_cart(&world.shop, request).await.expect("a line");
        assert_eq!(added_lines(&change)[0].price.source, PriceSource::Vendor);
        world.expivi.record().all().len() - before
    };
    let ring = samples::EXPIVI_SIMPLE;
    let each =
        [new_requests(ring, 1, None).await, new_requests(ring, 1, None).await, new_requests(ring, 1, None).await];
    assert_eq!(each, [1, 0, 0]);
    // A change of anything that the price may depend on needs a new request.
    assert_eq!(
        (
            new_requests(ring, 2, None).await,
            new_requests(ring, 1, Some("BE")).await,
            new_requests(&numbered(1), 1, None).await
        ),
        (1, 1, 1)
    );
    assert_eq!((new_requests(ring, 2, None).await, new_requests(ring, 1, Some("BE")).await), (0, 0));
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor", "ignore-case": true })).await;
    assert_eq!(new_requests(ring, 1, None).await, 1, "the settings are others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_at_the_same_time_asks_the_vendor_once() {
    let world = Arc::new(World::new().await);
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    world.expivi.faults().delay(Duration::from_millis(100));
    let before = world.expivi.record().all().len();
    let mut shoppers = JoinSet::new();
    for _ in 0..12 {
        let world = world.clone();
        shoppers.spawn(async move { world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut Vec::new()).await.map(drop) });
    }
    assert!(shoppers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(world.expivi.record().all().len() - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_many_connections_leaves_a_vendors_turns_to_others() {
    let rate_limit = RateLimitRules { burst: NonZeroU32::MIN, interval: Duration::from_millis(50) };
    let rules = Rules { rate_limit, ..Rules::default() };
    let world = Arc::new(World::with(|builder| builder.health(rules), json!({})).await);
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let mut flood = JoinSet::new();
    for connection in 0..12 {
        let world = world.clone();
        flood.spawn(async move {
            for number in 0.. {
                let mut request = world.request("ring", &numbered(1000 * connection + number), 1, &[]);
                request.visitor.client = Some("198.51.100.1".to_owned());
                drop(world.host.add_to_cart(&world.shop, request).await);
            }
        });
    }
    for number in 0..10 {
        let mut request = world.request("ring", &numbered(100_000 + number), 1, &[]);
        request.visitor.client = Some("203.0.113.99".to_owned());
        let change = world.host.add_to_cart(&world.shop, request).await.expect("a turn");
        assert_eq!(added_lines(&change).len(), 1);
    }
    flood.abort_all();
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
    world.catalog.set_rate("USD", "EUR", "0.5");
    let line = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    let value: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let dollars = world.expivi.expected_price(&value[0], None).expect("a price");
    assert_eq!(line.price.total.minor, (dollars + 1) / 2);
    assert_eq!(line.price.total.currency, "EUR");
}

#[tokio::test]
async fn a_changed_price_is_said_before_ordering() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    world.catalog.change(|variants| {
        for variant in variants.iter_mut().filter(|variant| variant.sku == "RING") {
            variant.price.as_mut().expect("a price").minor = 20_000;
        }
    });
    // The seal is not valid for another group.
    let trade = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() };
    let checks = world.host.check_cart(&world.shop, &cart, &trade).await.expect("checked");
    let LineState::PriceChanged { old, new } = &checks[0].state else { panic!("{checks:?}") };
    assert_eq!((old.minor, new.minor), (19_900, 20_000));
    world.catalog.change(|variants| variants.iter_mut().for_each(|variant| variant.purchasable = false));
    let checks = world.host.check_cart(&world.shop, &cart, &trade).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::Unavailable { .. }), "{checks:?}");
}

#[tokio::test]
async fn a_number_that_is_no_longer_sold_is_said_before_ordering() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("a line");
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &mut cart).await.expect("a bundle");
    let check = async || world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    let sell = |sku: &str, minimum: u32, maximum: Option<u32>| sell(&world, sku, minimum, maximum);
    // The seals have not expired. Two wardrobes take eight hinges.
    for (sku, minimum, maximum, line) in [("RING", 1, Some(1), 0), ("RING", 3, None, 0), ("HINGE", 1, Some(7), 1)] {
        sell(sku, minimum, maximum);
        let checks = check().await;
        assert!(
            matches!(&checks[line].state, LineState::Unavailable { reason } if reason.contains(sku)),
            "{sku}: {checks:?}"
        );
        assert_eq!(checks[1 - line].state, LineState::Ok);
        sell(sku, 1, Some(8));
        assert!(check().await.iter().all(|check| check.state == LineState::Ok));
    }
    // The shop's variant of a part does not affect a wardrobe.
    sell("HINGE", 9, None);
    assert!(check().await.iter().all(|check| check.state == LineState::Ok));
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut Vec::new()).await.expect("a wardrobe of four hinges");
}

#[tokio::test]
async fn a_price_that_is_only_dealt_out_otherwise_is_no_changed_price() {
    let world = World::new().await;
    world.link("wardrobe", "1003", "bundle", json!({ "price-authority": "platform" })).await;
    let mut cart = Vec::new();
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a bundle");
    world.catalog.change(|variants| {
        let hinge = variants.iter_mut().find(|variant| variant.sku == "HINGE").expect("a hinge");
        hinge.price.as_mut().expect("a price").minor = 640;
    });
    // The seal is not valid for another group.
    let trade = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() };
    let mut checks = world.host.check_cart(&world.shop, &cart, &trade).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    let again = checks.remove(0).lines;
    let totals = |lines: &[CartLine]| lines.iter().map(|line| line.price.total.minor).collect::<Vec<_>>();
    assert_eq!((totals(&again)[0], again.len()), (18_995, cart.len()));
    assert_ne!(totals(&again), totals(&cart));
    let checks = world.host.check_cart(&world.shop, &again, &trade).await.expect("checked");
    assert_eq!((&checks[0].state, checks[0].lines.len()), (&LineState::Ok, 0));
    // A forged share of a bundle's price does not count.
    let mut forged = cart.clone();
    forged[1].price.total.minor += 1;
    forged[2].price.total.minor -= 1;
    let checks = world.host.check_cart(&world.shop, &forged, &trade).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::PriceChanged { .. }), "{checks:?}");
}

#[tokio::test]
async fn an_offer_holds_for_what_is_not_sold_otherwise_and_in_any_number() {
    let world = World::new().await;
    let sold = |is_sold: bool| {
        world.catalog.change(|variants| variants.iter_mut().for_each(|variant| variant.purchasable = is_sold));
    };
    let hour = Duration::from_secs(3600);
    for (product, sample) in [("ring", samples::EXPIVI_SIMPLE), ("wardrobe", samples::EXPIVI_BUNDLE)] {
        let request = world.request(product, sample, 2, &[]);
        for (minimum, maximum) in [(5, None), (1, Some(1))] {
            ["RING", "WARDROBE", "HINGE"].iter().for_each(|sku| sell(&world, sku, minimum, maximum));
            for is_sold in [true, false] {
                sold(is_sold);
                let quote_request = world.host.request_quote(&world.shop, request.clone()).await.expect("asked");
                let [CartOperation::RequestQuote { lines }] = &quote_request.operations[..] else {
                    panic!("{quote_request:?}")
                };
                world.host.check_quote_lines(&world.shop, lines).expect("it can be offered");
                let unit = Money { minor: 5_000, scale: 2, currency: "EUR".to_owned() };
                let prices = BTreeMap::from([(lines[0].key.clone(), unit)]);
                let offer = QuoteOffer { quote: "q1".to_owned(), prices, until: SystemTime::now() + hour };
                let accept = async |offer: &QuoteOffer| {
                    let change = world.host.accept_quote(&world.shop, lines, offer, &[]).await.expect("accepted");
                    added_lines(&change)
                };
                let check = async |cart: &[CartLine]| {
                    let checks = world.host.check_cart(&world.shop, cart, &Visitor::default()).await;
                    checks.expect("checked").remove(0).state
                };
                let cart = accept(&offer).await;
                assert_eq!((cart[0].quantity, cart[0].price.total.minor), (2, 10_000));
                assert_eq!(check(&cart).await, LineState::Ok, "{product}: {minimum} {maximum:?} {is_sold}");
                // After its end it is a normal line.
                let ended = accept(&QuoteOffer { until: SystemTime::now() - hour, ..offer }).await;
                let state = check(&ended).await;
                assert!(matches!(state, LineState::Unavailable { .. }), "{product}: {state:?}");
            }
        }
        sold(true);
    }
}

#[tokio::test]
async fn an_offer_ends_with_what_the_catalogue_no_longer_holds() {
    let world = World::new().await;
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 2, &[]);
    let quote_request = world.host.request_quote(&world.shop, request).await.expect("asked");
    let [CartOperation::RequestQuote { lines }] = &quote_request.operations[..] else { panic!("{quote_request:?}") };
    let unit = Money { minor: 5_000, scale: 2, currency: "EUR".to_owned() };
    let prices = BTreeMap::from([(lines[0].key.clone(), unit)]);
    let until = SystemTime::now() + Duration::from_secs(3600);
    let offer = QuoteOffer { quote: "q1".to_owned(), prices, until };
    let accept = async || world.host.accept_quote(&world.shop, lines, &offer, &[]).await;
    let cart = added_lines(&accept().await.expect("accepted"));
    world.catalog.change(|variants| variants.retain(|variant| variant.sku != "RING"));
    let refused = accept().await;
    assert!(matches!(&refused, Err(CartError::NotPurchasable(sku)) if sku == "RING"), "{refused:?}");
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert!(matches!(checks[0].state, LineState::Unavailable { .. }), "{checks:?}");
}

#[tokio::test]
async fn an_offer_in_another_currency_is_refused_with_the_names_of_both() {
    let world = World::new().await;
    let request = world.request("ring", samples::EXPIVI_SIMPLE, 2, &[]);
    let quote_request = world.host.request_quote(&world.shop, request).await.expect("asked");
    let [CartOperation::RequestQuote { lines }] = &quote_request.operations[..] else { panic!("{quote_request:?}") };
    let unit = Money { minor: 5_000, scale: 2, currency: "USD".to_owned() };
    let prices = BTreeMap::from([(lines[0].key.clone(), unit)]);
    let offer = QuoteOffer { quote: "q1".to_owned(), prices, until: SystemTime::now() + Duration::from_secs(3600) };
    let refused = world.host.quote_lines(&world.shop, lines, &offer).expect_err("a refusal");
    assert!(matches!(refused, CartError::OfferMoney { .. }), "{refused}");
    let words = refused.to_string();
    assert!(words.contains("in USD with 2 decimals") && words.contains("in EUR with 2 decimals"), "{words}");
}

#[tokio::test]
async fn a_past_line_is_bought_again_at_todays_price() {
    let world = World::new().await;
    let past = one(&world, "ring", samples::EXPIVI_SIMPLE).await;
    world.catalog.change(|variants| {
        variants.iter_mut().for_each(|variant| variant.price.as_mut().expect("a price").minor += 100);
    });
    let change = world.host.reorder(&world.shop, &past, Vec::new(), Visitor::default()).await.expect("bought again");
    assert_eq!(added_lines(&change)[0].price.total.minor, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoppers_flood_no_vendor_and_hold_up_no_other_product() {
    let rate_limit = RateLimitRules { burst: NonZeroU32::MIN, interval: Duration::from_millis(200) };
    let rules = Rules { rate_limit, ..Rules::default() };
    let world = Arc::new(World::with(|builder| builder.health(rules), json!({})).await);
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let before = world.expivi.record().all().len();
    let began = Instant::now();
    let mut shoppers = JoinSet::new();
    for number in 0..60 {
        let world = world.clone();
        shoppers.spawn(async move { world.add("ring", &numbered(number), 1, &mut Vec::new()).await.map(drop) });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.add("shirt", samples::EXPIVI_VARIATION, 1, &mut Vec::new()).await.expect("what asks no vendor");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let answers = shoppers.join_all().await;
    let (mut bought, mut rejected) = (0, 0);
    for answer in &answers {
        match answer {
            Ok(()) => bought += 1,
            Err(error) => {
                assert!(error.to_string().contains("the rate limit for"), "{error}");
                rejected += 1;
            }
        }
    }
    // One call at once, and eight in the queue; a later call may find a free position.
    assert!(bought >= 9 && rejected >= 30, "{bought} and {rejected}");
    assert_eq!(world.expivi.record().all().len() - before, bought);
}
