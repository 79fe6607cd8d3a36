//! The queue of a server at its rate limit is shared fairly among visitors and orders.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cartwright::ShopId;
use cartwright::health::{
    CircuitRules, Health, QueuePermit, RateLimitRules, RequestOutcome, Requester, Rules, Throttled,
};

use crate::after_seconds;

/// Allows one request at once, and one per 100 ms after that.
fn health() -> Health {
    let rate_limit = RateLimitRules { burst: NonZeroU32::MIN, interval: Duration::from_millis(100) };
    Health::new(Rules { rate_limit, circuit: CircuitRules { failures: NonZeroU32::MIN, ..CircuitRules::default() } })
}

fn visitor(name: &str) -> Requester {
    Requester::Visitor(name.to_owned())
}

fn shop() -> ShopId {
    "a".parse().expect("an id")
}

fn enter<'a>(health: &'a Health, requester: &Requester) -> Result<QueuePermit<'a>, Throttled> {
    health.queue(&shop(), "api.example", requester, after_seconds(0))
}

/// Returns the time after this many intervals of 100 ms.
fn turn(number: u32) -> SystemTime {
    after_seconds(0) + Duration::from_millis(100) * number
}

fn may_send(health: &Health, turn: &QueuePermit<'_>, now: SystemTime) -> bool {
    turn.try_acquire(&health.rate_limit(None), now).is_ok()
}

/// Returns the health of a server that has just received a request.
fn busy() -> Health {
    let health = health();
    let first = enter(&health, &Requester::Unknown).expect("a place");
    assert!(may_send(&health, &first, after_seconds(0)));
    drop(first);
    health
}

/// Returns the order in which waiting requests are served if all of them try again at each turn.
fn served(health: &Health, mut waiting: Vec<(&'static str, QueuePermit<'_>)>) -> Vec<&'static str> {
    let mut served = Vec::new();
    let mut number = 1;
    while !waiting.is_empty() {
        // They try in reverse order, so that the order of trying decides nothing.
        let next = waiting.iter().rposition(|(_, turn)| may_send(health, turn, self::turn(number)));
        let (name, _) = waiting.remove(next.expect("a turn"));
        served.push(name);
        number += 1;
    }
    served
}

#[test]
fn a_waiting_request_is_told_the_time_of_its_permit() {
    let health = busy();
    let waiting = [enter(&health, &visitor("a")).expect("a place"), enter(&health, &visitor("b")).expect("a place")];
    for (number, place) in (1..).zip(&waiting) {
        let throttled = place.try_acquire(&health.rate_limit(None), after_seconds(0)).expect_err("too soon");
        assert_eq!(throttled.until(), turn(number));
        assert_eq!(throttled.outage(after_seconds(0)).retry_after_seconds, Some(1));
    }
    assert!(may_send(&health, &waiting[0], turn(1)));
    assert!(!may_send(&health, &waiting[1], turn(1)));
    assert!(may_send(&health, &waiting[1], turn(2)));
}

#[test]
fn a_visitor_with_many_connections_waits_with_two_requests() {
    let health = busy();
    let _waiting = [enter(&health, &visitor("a")).expect("a place"), enter(&health, &visitor("a")).expect("a second")];
    let refused = enter(&health, &visitor("a")).expect_err("a third place");
    assert!(refused.to_string().contains("the rate limit for api.example is reached"), "{refused}");
    let others: Vec<_> = (0..6).map(|other| enter(&health, &visitor(&other.to_string())).expect("a place")).collect();
    enter(&health, &visitor("late")).expect_err("all places are taken");
    drop(others);
    enter(&health, &visitor("late")).expect("a place became free");
}

#[test]
fn a_second_request_of_a_visitor_waits_only_while_half_of_the_places_are_free() {
    let health = busy();
    let _waiting: Vec<_> =
        ["a", "b", "c", "d"].map(|name| enter(&health, &visitor(name)).expect("a place")).into_iter().collect();
    enter(&health, &visitor("a")).expect_err("a second place");
    enter(&health, &visitor("e")).expect("a first place");
}

#[test]
fn a_requester_with_one_request_is_served_before_the_second_of_another() {
    let health = busy();
    let waiting = ["greedy", "greedy", "patient"];
    let waiting = waiting.map(|name| (name, enter(&health, &visitor(name)).expect("a place")));
    assert_eq!(served(&health, waiting.into()), ["greedy", "patient", "greedy"]);
}

#[test]
fn shoppers_do_not_take_the_share_of_orders() {
    let health = busy();
    let mut waiting: Vec<(&str, QueuePermit<'_>)> = Vec::new();
    for shopper in 0..8 {
        waiting.push(("shopper", enter(&health, &visitor(&shopper.to_string())).expect("a place")));
    }
    for _ in 0..20 {
        waiting.push(("order", enter(&health, &Requester::Orders).expect("orders always wait")));
    }
    let first: Vec<&str> = served(&health, waiting).into_iter().take(10).collect();
    assert_eq!(first.iter().filter(|name| **name == "order").count(), 2, "{first:?}");
}

#[test]
fn orders_do_not_take_the_share_of_shoppers() {
    let health = busy();
    let mut waiting: Vec<(&str, QueuePermit<'_>)> = Vec::new();
    for _ in 0..1000 {
        waiting.push(("order", enter(&health, &Requester::Orders).expect("orders always wait")));
    }
    waiting.push(("shopper", enter(&health, &visitor("a")).expect("a place")));
    let served = served(&health, waiting);
    assert!(served.iter().take(3).any(|name| *name == "shopper"), "{:?}", &served[..3]);
}

#[test]
fn shoppers_without_a_client_id_are_limited_by_the_queue_alone() {
    let health = busy();
    let waiting: Vec<_> = (0..8).map(|_| enter(&health, &Requester::Unknown).expect("a place")).collect();
    enter(&health, &Requester::Unknown).expect_err("all places are taken");
    drop(waiting);
    enter(&health, &Requester::Unknown).expect("a place");
}

#[test]
fn no_request_waits_for_the_rate_limit_of_an_open_circuit() {
    let health = busy();
    health.record(&shop(), "api.example", RequestOutcome::Unavailable { retry_after: None }, after_seconds(0));
    let place = enter(&health, &visitor("a")).expect("a place");
    let throttled = place.try_acquire(&health.rate_limit(None), after_seconds(0)).expect_err("left alone");
    assert!(matches!(throttled, Throttled::CircuitOpen { .. }), "{throttled}");
}

#[test]
fn an_account_with_its_own_rate_limit_is_limited_by_that() {
    let health = busy();
    let fast = health.rate_limit(NonZeroU32::new(1000));
    let place = enter(&health, &visitor("a")).expect("a place");
    assert!(place.try_acquire(&fast, after_seconds(0)).is_ok(), "its own burst is larger");
}
