//! The limit on failed attempts.
//!
//! It is not `governor`, which counts each check: here a check counts nothing, and only a failure does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::bounded_memory::{lock, make_room};
use super::rate_limited::{RateLimit, RateLimited};
use crate::client_address::network_of;

/// Period in which wrong keys are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Failed attempts by client address, with access keys or at a log-in. IPv6 addresses count by their /64, which one
/// customer has; unknown addresses count as one.
pub struct FailedAttempts {
    max: NonZeroU32,
    attempts: Mutex<HashMap<Option<IpAddr>, (u32, Instant)>>,
}

impl FailedAttempts {
    /// Creates the counter. Up to `max` failures in a minute are taken for mistakes, more for guesses.
    pub(crate) fn new(max: NonZeroU32) -> Self {
        Self { max, attempts: Mutex::default() }
    }

    /// Checks whether a client at this address may try.
    pub fn check(&self, from: Option<IpAddr>) -> Result<(), RateLimited> {
        self.check_at(from, Instant::now())
    }

    /// Counts a failed attempt from this address.
    pub fn failed(&self, from: Option<IpAddr>) {
        self.failed_at(from, Instant::now());
    }

    fn check_at(&self, from: Option<IpAddr>, now: Instant) -> Result<(), RateLimited> {
        match lock(&self.attempts).get(&from.map(network_of)) {
            Some((attempts, began)) if *attempts >= self.max.get() => {
                let retry_after = WINDOW.saturating_sub(now.duration_since(*began));
                if retry_after.is_zero() {
                    Ok(())
                } else {
                    Err(RateLimited { limit: RateLimit::WrongKeys(self.max), retry_after })
                }
            }
            _ => Ok(()),
        }
    }

    fn failed_at(&self, from: Option<IpAddr>, now: Instant) {
        let mut all = lock(&self.attempts);
        make_room(&mut all, |(_, began)| now.duration_since(*began) < WINDOW);
        let (attempts, began) = all.entry(from.map(network_of)).or_insert((0, now));
        if now.duration_since(*began) >= WINDOW {
            (*attempts, *began) = (0, now);
        }
        *attempts = attempts.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounded_memory::MAX_REMEMBERED;
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("a number")
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn who_guesses_waits_for_the_rest_of_the_minute_and_others_do_not() {
        let (failed_attempts, now) = (FailedAttempts::new(number(3)), Instant::now());
        let guesser = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(failed_attempts.check_at(guesser, now), Ok(()));
            failed_attempts.failed_at(guesser, now);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(
            failed_attempts.check_at(guesser, later),
            Err(RateLimited { limit: RateLimit::WrongKeys(number(3)), retry_after: Duration::from_secs(40) })
        );
        assert_eq!(failed_attempts.check_at(address("192.0.2.2"), later), Ok(()));
        assert_eq!(failed_attempts.check_at(None, later), Ok(()));
        assert_eq!(failed_attempts.check_at(guesser, now + WINDOW), Ok(()));
        failed_attempts.failed_at(guesser, now + WINDOW);
        assert_eq!(failed_attempts.check_at(guesser, now + WINDOW), Ok(()), "a new window begins");
    }

    #[test]
    fn a_customers_addresses_count_as_one() {
        let (failed_attempts, now) = (FailedAttempts::new(number(1)), Instant::now());
        failed_attempts.failed_at(address("2001:db8:1:2::1"), now);
        assert!(failed_attempts.check_at(address("2001:db8:1:2:ffff::9"), now).is_err());
        assert!(failed_attempts.check_at(address("2001:db8:1:3::1"), now).is_ok());
        failed_attempts.failed_at(address("::ffff:192.0.2.1"), now);
        assert!(failed_attempts.check_at(address("192.0.2.1"), now).is_err());
        assert!(failed_attempts.check_at(address("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (failed_attempts, now) = (FailedAttempts::new(number(1)), Instant::now());
        for host in 0..=u32::try_from(MAX_REMEMBERED).expect("a number") {
            failed_attempts.failed_at(Some(IpAddr::from(host.to_be_bytes())), now);
        }
        assert!(lock(&failed_attempts.attempts).len() <= MAX_REMEMBERED);
    }
}
