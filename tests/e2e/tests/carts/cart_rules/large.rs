//! Large carts and configurations: their cost grows linearly, up to the budget of one request.

use std::ops::Range;
use std::time::{Duration, Instant};

use cartwright::{Budget, CartError, CartLine, LineState, Visitor};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use super::changed;

/// Returns a configuration of these rings, all different.
fn rings(numbers: Range<usize>) -> String {
    let ring = |number: usize| {
        let one = changed(samples::EXPIVI_SIMPLE, |value| {
            value[0]["uuid"] = json!(format!("ring-{number}"));
            value[0]["configuration"]["number"] = json!(number);
        });
        serde_json::from_str::<Vec<Value>>(&one).expect("a sample").remove(0)
    };
    Value::Array(numbers.map(ring).collect()).to_string()
}

/// Returns a visitor of a group without sealed prices, so that every line is planned again.
fn trade() -> Visitor {
    Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() }
}

#[tokio::test]
async fn the_lines_of_one_configuration_are_checked_in_one_go() {
    let world = World::new().await;
    let mut cart = Vec::new();
    // The maximum that Expivi's plugin accepts in one configuration.
    for first in [0, 100, 200] {
        world.add("ring", &rings(first..first + 100), 1, &mut cart).await.expect("many rings");
    }
    assert_eq!(cart.len(), 300);
    // Planned separately they would exceed the budget of one request.
    assert!(cart.len() * 100 > Budget::PlannedItems.allowed());
    let checks = world.host.check_cart(&world.shop, &cart, &trade()).await.expect("checked");
    assert!(checks.iter().all(|check| check.state == LineState::Ok && check.lines.len() == 1), "{checks:?}");
}

#[tokio::test]
async fn a_check_costs_as_much_as_the_cart_has_lines() {
    let world = World::new().await;
    let mut cart: Vec<CartLine> = Vec::new();
    for number in 0..160 {
        let ring = changed(samples::EXPIVI_SIMPLE, |value| value[0]["configuration"]["number"] = json!(number));
        let mut alone = Vec::new();
        world.add("ring", &ring, 1, &mut alone).await.expect("a ring");
        cart.append(&mut alone);
    }
    let check = async |lines: &[CartLine]| {
        let began = Instant::now();
        let checks = world.host.check_cart(&world.shop, lines, &trade()).await.expect("checked");
        assert!(checks.iter().all(|check| check.state == LineState::Ok));
        began.elapsed()
    };
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (few, many): (Duration, Duration) = (check(&cart[..40]).await, check(&cart).await);
        if many < 7 * few {
            return;
        }
        seen.push((few, many));
    }
    panic!("40 and 160 lines take {seen:?}");
}

#[tokio::test]
async fn a_cart_over_its_budget_is_refused_with_the_limit() {
    let world = World::new().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a ring");
    let cart = vec![cart.remove(0); Budget::CartLines.allowed() + 1];
    let refused = world.host.check_cart(&world.shop, &cart, &trade()).await.expect_err("too many lines");
    let CartError::OverBudget(over) = &refused else { panic!("{refused}") };
    assert_eq!((over.limit, over.given, over.allowed), (Budget::CartLines, 10_001, 10_000));
    assert!(refused.to_string().contains("limit cart_lines"), "{refused}");
}
