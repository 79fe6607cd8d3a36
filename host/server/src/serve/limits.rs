//! How often somebody may ask, and how often guess. Each node counts for itself: of several, each takes as much.
//!
//! Who has sent too many wrong keys is refused for the rest of the minute before any key is looked up, so that going on costs the host
//! nothing and teaches nothing. Keys that held here a short while ago are let through all the same: behind one address, a proxy's or
//! an office's, one who guesses does not shut out the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use cartwright::Digest;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;

/// More than a busy shop's server asks; one that runs wild leaves something to the others.
pub(crate) const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// Some slips of an operator, and a server that was not told its new key, which tries again.
pub(crate) const WRONG_KEYS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// For how long wrong keys are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// For how long a key that held is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// So many addresses, or keys, are remembered at most. Whoever has more addresses than this needs no limits.
const MOST: usize = 100_000;

/// Too many; try again after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(Duration);

impl From<Wait> for Problem {
    fn from(Wait(left): Wait) -> Self {
        let seconds = u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let detail = format!("too many requests; try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail).after(seconds)
    }
}

/// Who guesses, by address: access keys, or what is typed in at a log-in. IPv6 addresses count by their /64, which one customer has;
/// those that nobody knows count as one.
pub(crate) struct Guesses {
    most: u32,
    wrong: Mutex<HashMap<Option<IpAddr>, (u32, Instant)>>,
}

impl Guesses {
    /// So many wrong ones in a minute are a mistake; more are guesses.
    pub(crate) fn new(most: NonZeroU32) -> Self {
        Self { most: most.get(), wrong: Mutex::default() }
    }

    /// May somebody at this address try?
    pub(crate) fn check(&self, from: Option<IpAddr>) -> Result<(), Wait> {
        self.check_at(from, Instant::now())
    }

    /// Somebody at this address has tried, in vain.
    pub(crate) fn failed(&self, from: Option<IpAddr>) {
        self.failed_at(from, Instant::now());
    }

    fn check_at(&self, from: Option<IpAddr>, now: Instant) -> Result<(), Wait> {
        match lock(&self.wrong).get(&from.map(customer)) {
            Some((wrong, began)) if *wrong >= self.most => {
                let left = WINDOW.saturating_sub(now.duration_since(*began));
                if left.is_zero() { Ok(()) } else { Err(Wait(left)) }
            }
            _ => Ok(()),
        }
    }

    fn failed_at(&self, from: Option<IpAddr>, now: Instant) {
        let mut all = lock(&self.wrong);
        make_room(&mut all, |(_, began)| now.duration_since(*began) < WINDOW);
        let (wrong, began) = all.entry(from.map(customer)).or_insert((0, now));
        if now.duration_since(*began) >= WINDOW {
            (*wrong, *began) = (0, now);
        }
        *wrong = wrong.saturating_add(1);
    }
}

/// What a node allows to those who ask it.
pub(crate) struct Limits {
    /// Of access keys, and of log-ins with one.
    pub(crate) guesses: Guesses,
    held: Mutex<HashMap<Digest, Instant>>,
    requests: DefaultKeyedRateLimiter<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(REQUESTS_PER_SECOND, WRONG_KEYS_PER_MINUTE)
    }
}

impl Limits {
    /// `requests` in a second for each access key; `wrong` keys in a minute from each address.
    pub(crate) fn new(requests: NonZeroU32, wrong: NonZeroU32) -> Self {
        let requests = RateLimiter::keyed(Quota::per_second(requests));
        Self { guesses: Guesses::new(wrong), held: Mutex::default(), requests }
    }

    /// May this key be looked up for somebody at this address?
    pub(crate) fn may_try(&self, key: &str, from: Option<IpAddr>) -> Result<(), Wait> {
        self.guesses.check(from).or_else(|wait| {
            let held = lock(&self.held).get(&Digest::of(key.as_bytes())).copied();
            held.filter(|held| held.elapsed() < REMEMBERED).map(|_| ()).ok_or(wait)
        })
    }

    /// This key, whose id is this, held. May it ask once more?
    pub(crate) fn asks(&self, key: &str, id: &str) -> Result<(), Wait> {
        let mut held = lock(&self.held);
        make_room(&mut held, |held| held.elapsed() < REMEMBERED);
        held.insert(Digest::of(key.as_bytes()), Instant::now());
        drop(held);
        let id = id.to_owned();
        self.requests.check_key(&id).map_err(|until| Wait(until.wait_time_from(DefaultClock::default().now())))
    }
}

fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

fn make_room<K: Eq + Hash, V>(all: &mut HashMap<K, V>, counts: impl Fn(&V) -> bool) {
    if all.len() >= MOST {
        all.retain(|_, value| counts(value));
    }
    if all.len() >= MOST {
        all.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("a number")
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn who_guesses_waits_for_the_rest_of_the_minute_and_others_do_not() {
        let (guesses, now) = (Guesses::new(number(3)), Instant::now());
        let guesser = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(guesses.check_at(guesser, now), Ok(()));
            guesses.failed_at(guesser, now);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(guesses.check_at(guesser, later), Err(Wait(Duration::from_secs(40))));
        assert_eq!(guesses.check_at(address("192.0.2.2"), later), Ok(()));
        assert_eq!(guesses.check_at(None, later), Ok(()));
        assert_eq!(guesses.check_at(guesser, now + WINDOW), Ok(()));
        guesses.failed_at(guesser, now + WINDOW);
        assert_eq!(guesses.check_at(guesser, now + WINDOW), Ok(()), "it begins anew");
    }

    #[test]
    fn a_customers_addresses_count_as_one() {
        let (guesses, now) = (Guesses::new(number(1)), Instant::now());
        guesses.failed_at(address("2001:db8:1:2::1"), now);
        assert!(guesses.check_at(address("2001:db8:1:2:ffff::9"), now).is_err());
        assert!(guesses.check_at(address("2001:db8:1:3::1"), now).is_ok());
        guesses.failed_at(address("::ffff:192.0.2.1"), now);
        assert!(guesses.check_at(address("192.0.2.1"), now).is_err());
        assert!(guesses.check_at(address("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn a_key_that_held_goes_on_where_others_guess() {
        let limits = Limits::new(number(100), number(1));
        let office = address("192.0.2.1");
        assert_eq!(limits.asks("good", "id"), Ok(()));
        limits.guesses.failed(office);
        assert_eq!(limits.may_try("good", office), Ok(()));
        assert!(limits.may_try("goof", office).is_err());
    }

    #[test]
    fn a_key_asks_so_often_and_no_more() {
        let limits = Limits::new(number(5), number(1));
        let asked: Vec<bool> = (0..10).map(|_| limits.asks("key", "id").is_ok()).collect();
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 5, "{asked:?}");
        assert_eq!(limits.asks("other", "other"), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (guesses, now) = (Guesses::new(number(1)), Instant::now());
        for host in 0..=u32::try_from(MOST).expect("a number") {
            guesses.failed_at(Some(IpAddr::from(host.to_be_bytes())), now);
        }
        assert!(lock(&guesses.wrong).len() <= MOST);
    }
}
