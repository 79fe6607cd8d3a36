//! A server receives no more requests than its rate limit allows.

use std::num::NonZeroU32;
use std::time::Duration;

use cartwright::ShopId;
use cartwright::health::{CircuitRules, Health, RateLimit, RateLimitRules, RequestOutcome, Rules, Throttled};
use proptest::prelude::*;

use crate::{after_seconds, try_acquire};

fn rules(burst: u32, interval: u64) -> RateLimitRules {
    RateLimitRules { burst: NonZeroU32::new(burst).expect("some"), interval: Duration::from_secs(interval) }
}

fn ask(rate_limit: &mut RateLimit, rules: &RateLimitRules, seconds: u64) -> bool {
    let may = rate_limit.check(rules, 0, after_seconds(seconds)).is_ok();
    if may {
        rate_limit.take(rules, after_seconds(seconds));
    }
    may
}

#[test]
fn a_burst_is_let_through_and_then_one_each_so_often() {
    let (mut rate_limit, rules) = (RateLimit::default(), rules(3, 10));
    let admitted: Vec<bool> = [0, 0, 0, 0, 9, 10, 10, 19, 20].map(|second| ask(&mut rate_limit, &rules, second)).into();
    assert_eq!(admitted, [true, true, true, false, false, true, false, false, true]);
    // After an idle period a whole burst is allowed again, and no more.
    let rested: Vec<bool> = [1000; 4].map(|second| ask(&mut rate_limit, &rules, second)).into();
    assert_eq!(rested, [true, true, true, false]);
}

#[test]
fn a_limited_request_gets_the_time_of_its_turn() {
    let (mut rate_limit, rules) = (RateLimit::default(), rules(1, 10));
    assert!(ask(&mut rate_limit, &rules, 0));
    assert_eq!(rate_limit.check(&rules, 0, after_seconds(4)), Err(after_seconds(10)));
    assert_eq!(rate_limit.check(&rules, 0, after_seconds(10)), Ok(()));
}

#[test]
fn a_clock_that_was_set_back_holds_for_no_longer_than_a_burst() {
    let (mut rate_limit, rules) = (RateLimit::default(), rules(3, 10));
    (0..3).for_each(|_| assert!(ask(&mut rate_limit, &rules, 1_000_000)));
    assert_eq!(rate_limit.check(&rules, 0, after_seconds(0)), Err(after_seconds(10)));
    assert!(ask(&mut rate_limit, &rules, 10));
}

#[test]
fn a_hold_of_the_pace_leaves_the_circuits_one_request_alone() {
    let circuit =
        CircuitRules { failures: NonZeroU32::MIN, open_duration: Duration::from_secs(5), ..CircuitRules::default() };
    let health = Health::new(Rules { circuit, rate_limit: rules(1, 60) });
    let shop: ShopId = "a".parse().expect("an id");
    let ask = |seconds| try_acquire(&health, &shop, "api.example", after_seconds(seconds));
    ask(0).expect("closed");
    health.record(&shop, "api.example", RequestOutcome::Unavailable { retry_after: None }, after_seconds(0));
    for second in [1, 6, 59] {
        let throttled = ask(second).expect_err("too soon");
        assert!(matches!(throttled, Throttled::RateLimited { .. }), "{throttled}");
        assert_eq!(throttled.until(), after_seconds(60));
    }
    ask(60).expect("half-open");
}

#[test]
fn requests_a_second_come_with_a_burst_of_twice_as_many() {
    let ten = RateLimitRules::per_second(NonZeroU32::new(10).expect("some"));
    assert_eq!((ten.burst.get(), ten.interval), (20, Duration::from_millis(100)));
    assert_eq!(RateLimitRules::default(), ten);
    let health = Health::new(Rules { rate_limit: rules(1, 60), ..Rules::default() });
    assert_eq!(health.rate_limit(None), rules(1, 60));
    assert_eq!(health.rate_limit(NonZeroU32::new(10)), ten);
}

proptest! {
    #[test]
    fn in_any_time_no_more_go_through_than_the_rules_say(
        burst in 1..10_u32,
        interval in 1..20_u64,
        mut times in proptest::collection::vec(0..500_u64, 1..200),
    ) {
        times.sort_unstable();
        let (mut rate_limit, rules) = (RateLimit::default(), rules(burst, interval));
        let through: Vec<u64> = times.into_iter().filter(|second| ask(&mut rate_limit, &rules, *second)).collect();
        for (first, from) in through.iter().enumerate() {
            for (last, to) in through.iter().enumerate().skip(first) {
                let allowed = u64::from(burst) + (to - from) / interval;
                prop_assert!((last - first + 1) as u64 <= allowed, "{through:?}");
            }
        }
    }
}
