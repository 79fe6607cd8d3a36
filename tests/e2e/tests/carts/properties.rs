//! Rules that hold for every configuration, tested on generated ones.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cartwright::{AccountId, CartError, LineState, StrategyChoice, Visitor};
use cartwright_e2e::{HOSTILE, World, added_lines, variant};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What the SKU of an article says about the child of a bundle: see `as_marked` in tests/guests/hostile.
const MARKS: [&str; 4] = ["within", "priced-separately", "repriced", "text"];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WORLD: LazyLock<World> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let world = World::new().await;
        world.catalog.change(|variants| {
            variants
                .extend((0..12).map(|number| variant(&format!("A-{number}"), &format!("a-{number}"), 7 * number + 1)));
        });
        world
    })
});

/// The account of a strategy that plans a bundle of a ring with its articles as children: tests/guests/hostile.
static AS_MARKED: LazyLock<AccountId> = LazyLock::new(|| RUNTIME.block_on(WORLD.strategy(HOSTILE)));

/// Returns a configuration of the wardrobe from chosen values and articles.
fn configuration(values: &[String], articles: &[u8]) -> Value {
    let attributes: Vec<Value> = values
        .iter()
        .enumerate()
        .map(
            |(index, value)| json!({ "attribute_id": index + 1, "attribute_name": "A", "attribute_value_name": value }),
        )
        .collect();
    let articles: Vec<Value> = articles
        .iter()
        .map(|number| json!({ "models_sku": format!("M-{number}"), "price_sku": format!("A-{number}"), "price_fields": {} }))
        .collect();
    json!([{
        "version": "2.0",
        "catalogue_id": 1003,
        "configuration": { "attributes": attributes },
        "attributes": attributes,
        "articles": articles,
    }])
}

fn values() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-zA-Z0-9 |:,\"\\\\é]{1,8}", 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_plan_over_its_own_result_changes_nothing(
        values in values(),
        articles in prop::collection::vec(0u8..12, 1..24),
        quantity in 1u32..50,
        authority in prop::sample::select(vec!["components", "platform"]),
    ) {
        let world = &*WORLD;
        RUNTIME.block_on(async {
            world.link("wardrobe", "1003", "bundle", json!({ "price-authority": authority })).await;
            let text = configuration(&values, &articles).to_string();
            let mut cart = Vec::new();
            world.add("wardrobe", &text, quantity, &mut cart).await.expect("a bundle");
            let keys: BTreeSet<&String> = cart.iter().map(|line| &line.key).collect();
            assert_eq!(keys.len(), cart.len(), "two lines have one key");
            let sum: i64 = cart.iter().skip(1).map(|line| line.price.total.minor).sum();
            assert_eq!(sum, cart[0].price.total.minor, "the parts do not sum to the whole");
            if authority == "components" {
                let expected: i64 = articles.iter().map(|number| 7 * i64::from(*number) + 1).sum();
                assert_eq!(sum, expected * i64::from(quantity));
            }
            let visitor = Visitor::default();
            let again = world.host.refresh_line(&world.shop, &cart[0].key, &cart, &visitor).await.expect("refreshed");
            assert_eq!(again.operations, []);
            let checks = world.host.check_cart(&world.shop, &cart, &visitor).await.expect("checked");
            assert!(checks.iter().all(|check| check.state == LineState::Ok), "{checks:?}");
        });
    }

    #[test]
    fn a_bundle_costs_its_own_price_and_what_is_priced_separately(
        articles in prop::collection::vec((0i64..4, prop::sample::select(MARKS.to_vec())), 1..6),
        quantity in 1u32..50,
    ) {
        let world = &*WORLD;
        let mut value = configuration(&["A".to_owned()], &[]);
        value[0]["catalogue_id"] = json!(1001);
        let article = |(number, mark): &(i64, &str)| {
            json!({ "models_sku": mark, "price_sku": format!("A-{number}"), "price_fields": {} })
        };
        value[0]["articles"] = articles.iter().map(article).collect();
        let mut request = world.request("ring", &value.to_string(), quantity, &[]);
        request.strategy = Some(StrategyChoice { account: Some(AS_MARKED.clone()), name: Some("as-marked".to_owned()) });
        let planned = RUNTIME.block_on(world.host.add_to_cart(&world.shop, request));
        let bought = || articles.iter().filter(|(_, mark)| *mark != "text");
        let differs = |(number, mark): &(i64, &str)| bought().any(|(same, other)| number == same && mark != other);
        let is_refused = |reason: &str| matches!(&planned, Err(CartError::Plan(text)) if text.contains(reason));
        if bought().any(differs) {
            assert!(is_refused("twice with different values"), "{planned:?}");
        } else if articles.iter().all(|(_, mark)| *mark == "priced-separately") {
            assert!(is_refused("every child of it is priced separately"), "{planned:?}");
        } else {
            let lines = added_lines(&planned.expect("a bundle"));
            let (parent, children) = lines.split_first().expect("a parent");
            let separate = articles.iter().filter(|(_, mark)| *mark == "priced-separately");
            let separate: i64 = separate.map(|(number, _)| 7 * number + 1).sum();
            assert_eq!(parent.price.total.minor, i64::from(quantity) * (19_900 + separate));
            assert_eq!(children.iter().map(|child| child.price.total.minor).sum::<i64>(), parent.price.total.minor);
        }
    }

    #[test]
    fn two_configurations_merge_exactly_when_they_are_the_same(
        first in values(),
        second in values(),
        twice in any::<bool>(),
    ) {
        let world = &*WORLD;
        RUNTIME.block_on(async {
            let second = if twice { first.clone() } else { second };
            let mut cart = Vec::new();
            for values in [&first, &second] {
                let mut value = configuration(values, &[1]);
                value[0]["catalogue_id"] = json!(1001);
                world.add("ring", &value.to_string(), 1, &mut cart).await.expect("a line");
            }
            let same = first == second;
            assert_eq!(cart.len(), if same { 1 } else { 2 }, "{first:?} and {second:?}");
        });
    }

    #[test]
    fn a_line_that_anybody_changed_is_never_ok(
        at in 0usize..8,
        by in 1i64..1_000_000,
    ) {
        let world = &*WORLD;
        RUNTIME.block_on(async {
            let mut cart = Vec::new();
            world.add("ring", cartwright_fake_vendors::samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
            let line = &mut cart[0];
            match at {
                0 => line.price.total.minor += by,
                1 => line.price.total.minor -= by,
                2 => line.quantity += u32::try_from(by).expect("a quantity"),
                3 => line.price.total.scale = 0,
                4 => line.product.push('x'),
                5 => line.sku = Some(format!("SKU-{by}")),
                6 => line.price.seal.push('A'),
                _ => line.bill_of_materials.clear(),
            }
            let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
            assert_ne!(checks[0].state, LineState::Ok);
        });
    }
}
