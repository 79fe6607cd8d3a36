//! A request decodes a configuration once, for any number of plans.

use std::sync::{Arc, Mutex};

use cartwright::observe::GuestCall;
use cartwright::{LineState, Observer, Visitor};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use serde_json::json;

use super::{engraved, saved};

/// Records the hooks that are called.
#[derive(Default)]
struct CallLog(Mutex<Vec<String>>);

impl CallLog {
    /// Returns the calls since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

impl Observer for CallLog {
    fn call_ended(&self, ended: &GuestCall<'_>) {
        self.0.lock().expect("no panic").push(ended.call.hook.to_string());
    }
}

async fn world() -> (World, Arc<CallLog>) {
    let calls = Arc::new(CallLog::default());
    let world = World::with(|builder| builder.observer(calls.clone()), json!({})).await;
    calls.take();
    (world, calls)
}

const DECODE: &str = "configuration.decode";
const PRICE: &str = "prices.price-items";
const PLAN: &str = "cart.plan";

#[tokio::test]
async fn what_joins_a_held_line_is_decoded_once_and_priced_at_most_once() {
    let (world, calls) = world().await;
    world.link("ring", "1001", "simple", json!({ "price-authority": "vendor" })).await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    calls.take();
    let before = world.expivi.record().all().len();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("one more of it");
    // The price of one is cached; the price of two needs another request.
    assert_eq!(calls.take(), [DECODE, PLAN, PRICE, PLAN]);
    assert_eq!(world.expivi.record().all().len() - before, 1);
    assert_eq!((cart.len(), cart[0].quantity), (1, 2));
}

#[tokio::test]
async fn each_stage_of_a_line_that_joins_is_explained_and_what_it_becomes_is_sealed_once() {
    let (world, _) = world().await;
    let mut cart = Vec::new();
    world.add("ring", samples::EXPIVI_SIMPLE, 1, &mut cart).await.expect("a line");
    let change = world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("two more of it");
    let stages: Vec<&str> = change.stages.iter().map(|stage| stage.stage.as_str()).collect();
    let prepared = ["decode", "products", "identify"];
    let planned = ["plan", "check", "plan", "check"];
    assert_eq!(stages, [&prepared[..], &planned, &["pictures", "store", "seal"]].concat());
    let checks = world.host.check_cart(&world.shop, &cart, &Visitor::default()).await.expect("checked");
    assert_eq!((&checks[0].state, cart[0].quantity), (&LineState::Ok, 3));
}

#[tokio::test]
async fn equal_products_that_an_edit_brings_are_decoded_once() {
    let (world, calls) = world().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("z", "Bob")]), 2, &mut cart).await.expect("a line");
    calls.take();
    let (key, request) = (cart[0].key.clone(), world.request("ring", &saved(&[("z", "Cid"), ("w", "Cid")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(calls.take(), [DECODE, PLAN, PLAN]);
    assert_eq!(engraved(&cart), [("Cid".to_owned(), 4)]);
}

#[tokio::test]
async fn lines_of_one_configuration_that_become_more_share_what_was_decoded() {
    let (world, calls) = world().await;
    let both = saved(&[("x", "Ann"), ("y", "Bob")]);
    let mut cart = Vec::new();
    world.add("ring", &both, 1, &mut cart).await.expect("two lines");
    let mut guest = Vec::new();
    world.add("ring", &both, 2, &mut guest).await.expect("two lines");
    calls.take();
    let visitor = Visitor::default();
    let change = world.host.merge_carts(&world.shop, &guest, &cart, &visitor).await.expect("merged");
    change.apply(&mut cart);
    assert_eq!(calls.take(), [DECODE, PLAN, PLAN]);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 3), ("Bob".to_owned(), 3)]);
    // Likewise if an edit joins both: its own configuration is decoded, and theirs.
    world.add("ring", &saved(&[("e", "Eve")]), 1, &mut cart).await.expect("a third line");
    calls.take();
    let (key, request) = (cart[2].key.clone(), world.request("ring", &saved(&[("p", "Ann"), ("q", "Bob")]), 1, &cart));
    world.host.edit_line(&world.shop, &key, None, request).await.expect("edited").apply(&mut cart);
    assert_eq!(calls.take(), [DECODE, PLAN, DECODE, PLAN, PLAN]);
    assert_eq!(engraved(&cart), [("Ann".to_owned(), 4), ("Bob".to_owned(), 4)]);
}

#[tokio::test]
async fn a_line_that_is_not_as_it_was_sealed_opens_no_configuration_that_another_line_opened() {
    let (world, calls) = world().await;
    let mut cart = Vec::new();
    world.add("ring", &saved(&[("x", "Ann"), ("y", "Bob")]), 1, &mut cart).await.expect("two lines");
    cart[1].price.total.minor = 1;
    calls.take();
    // The seals are not valid for another group, and both lines are planned again.
    let trade = Visitor { customer_groups: vec!["trade".to_owned()].into(), ..Visitor::default() };
    let checks = world.host.check_cart(&world.shop, &cart, &trade).await.expect("checked");
    assert_eq!(checks[0].state, LineState::Ok);
    assert!(matches!(checks[1].state, LineState::MustReconfigure { .. }), "{checks:?}");
    assert_eq!(calls.take(), [DECODE, PLAN]);
}
