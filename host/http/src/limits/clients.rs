//! The limit on the requests of one client.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::bounded_memory::{MAX_REMEMBERED, lock};
use super::rate_limited::{RateLimit, RateLimited};
use crate::client_address::network_of;

/// Minimum time between two searches for entries that are no longer needed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Rate limits by client address. Addresses are remembered while their requests count, and at most [`MAX_REMEMBERED`];
/// further addresses are counted as one.
pub(super) struct ClientLimiter {
    max: NonZeroU32,
    requests: DefaultKeyedRateLimiter<Option<IpAddr>>,
    last_sweep: Mutex<Option<Instant>>,
}

impl ClientLimiter {
    /// Creates the limiter for `max` requests per second from one client.
    pub(super) fn new(max: NonZeroU32) -> Self {
        // A page sends several requests at once.
        let burst = max.saturating_mul(const { NonZeroU32::new(2).expect("not zero") });
        Self {
            max,
            requests: RateLimiter::keyed(Quota::per_second(max).allow_burst(burst)),
            last_sweep: Mutex::default(),
        }
    }

    /// Counts a request of the client at this address.
    pub(super) fn check(&self, from: Option<IpAddr>) -> Result<(), RateLimited> {
        let client = if self.has_room(Instant::now()) { from.map(network_of) } else { None };
        self.requests.check_key(&client).map_err(|until| RateLimited::until(RateLimit::Client(self.max), &until))
    }

    fn has_room(&self, now: Instant) -> bool {
        if self.requests.len() < MAX_REMEMBERED {
            return true;
        }
        let mut last_sweep = lock(&self.last_sweep);
        if last_sweep.is_none_or(|last_sweep| now.duration_since(last_sweep) >= SWEEP_INTERVAL) {
            self.requests.retain_recent();
            *last_sweep = Some(now);
        }
        self.requests.len() < MAX_REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_beyond_those_that_are_remembered_count_as_one() {
        let clients = ClientLimiter::new(NonZeroU32::MIN);
        let host = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let max = u32::try_from(MAX_REMEMBERED).expect("a number");
        for number in 0..max {
            assert_eq!(clients.check(host(number)), Ok(()));
        }
        let passed = (0..1000).filter(|number| clients.check(host(max + number)).is_ok()).count();
        assert!(clients.requests.len() <= MAX_REMEMBERED + 1);
        assert!(passed < 1000 || clients.requests.len() < MAX_REMEMBERED, "{passed} of 1000 passed");
    }
}
