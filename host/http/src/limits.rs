//! Limits at the HTTP edge. Each node counts by itself, so that the nodes of an installation allow a multiple.
//!
//! Requests that any client can send are limited by client address as well as by access key: a storefront's key is public,
//! so that one client could exhaust the key's limit for all others. Requests that exceed the client's limit do not
//! count against the key.
//!
//! Each webhook URL has a limit of its own, so that a vendor who knows it cannot exhaust those of others.
//!
//! A client that sent too many wrong keys is refused for the rest of the minute before any key is looked up, so that
//! guessing costs the host nothing and reveals nothing. Keys that were valid a short while ago are still accepted:
//! behind a shared address of a proxy or an office, a guesser does not shut out the others.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use cartwright::Digest;
use cartwright::webhook::Destination;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::client_address::network_of;
use super::problem::Problem;

/// Maximum size of a request body, in bytes, unless another limit applies.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;
/// Maximum size of a component in an installation request, in bytes. The host's own limit is lower and has its own
/// message.
pub const MAX_COMPONENT_BYTES: usize = 128 << 20;
/// Maximum size of a webhook's body, in bytes; those of vendors are a few kilobytes.
pub(crate) const MAX_WEBHOOK_BYTES: usize = 4 << 20;
/// Maximum size of the sign-in form, in bytes. Any client may send it; it holds a key and the page to return to.
pub const MAX_SIGN_IN_BYTES: usize = 8 << 10;
/// Maximum size of a request's head, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;
/// Maximum size of a body that is parsed on an async worker, in bytes; a larger one is parsed on a thread of its own.
pub(crate) const MAX_INLINE_BYTES: usize = 64 << 10;

/// Maximum number of remembered addresses, and of remembered keys.
const MAX_REMEMBERED: usize = 100_000;
/// Period in which wrong keys are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Time for which a valid key is remembered.
const KEY_RETENTION: Duration = Duration::from_secs(3600);
/// Minimum time between two searches for entries that are no longer needed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The limits that an operator can set for each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Maximum requests per second with one access key.
    pub requests_per_second: NonZeroU32,
    /// Maximum requests per second from one client address with storefront keys.
    pub client_requests_per_second: NonZeroU32,
    /// Maximum requests per second to one webhook endpoint of an account.
    pub webhook_requests_per_second: NonZeroU32,
    /// Maximum number of wrong access keys per minute from one client address.
    pub failed_keys_per_minute: NonZeroU32,
    /// Maximum number of open connections.
    pub max_connections: NonZeroU32,
    /// Maximum number of open connections from one address that is not a proxy's.
    pub max_connections_per_address: NonZeroU32,
    /// Maximum size of a body sent with a storefront's key, in bytes, unless the shop has its own limit.
    pub max_storefront_body_bytes: NonZeroU32,
    /// Maximum size of the bodies of all requests in progress, in bytes.
    pub max_body_bytes_in_flight: NonZeroU32,
}

/// More than a busy shop's server sends; a server that runs wild leaves capacity to the others.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// More than the shoppers of an office or behind a mobile carrier's address send at once. See [`client_default`].
const CLIENT_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// Returns the default limit of one client: at most a quarter of the key's limit, so that a few clients do not exhaust
/// it.
pub fn client_default(requests_per_second: NonZeroU32) -> NonZeroU32 {
    let quarter = NonZeroU32::new(requests_per_second.get() / 4).unwrap_or(NonZeroU32::MIN);
    quarter.min(CLIENT_REQUESTS_PER_SECOND)
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND,
            client_requests_per_second: client_default(REQUESTS_PER_SECOND),
            // A vendor that ships a day's orders at once sends some hundred webhooks.
            webhook_requests_per_second: const { NonZeroU32::new(50).expect("not zero") },
            // Enough for some typing errors of an operator, and for a server with an outdated key that retries.
            failed_keys_per_minute: const { NonZeroU32::new(20).expect("not zero") },
            // With files and database connections, this fits the 1024 descriptors that a process may usually open.
            max_connections: const { NonZeroU32::new(768).expect("not zero") },
            // A browser opens six.
            max_connections_per_address: const { NonZeroU32::new(128).expect("not zero") },
            max_storefront_body_bytes: const { NonZeroU32::new(2 << 20).expect("not zero") },
            max_body_bytes_in_flight: const { NonZeroU32::new(256 << 20).expect("not zero") },
        }
    }
}

impl fmt::Display for LimitSettings {
    /// Writes all request limits, for the description of the API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests_per_second,
            client_requests_per_second,
            webhook_requests_per_second,
            failed_keys_per_minute,
            max_connections,
            max_connections_per_address,
            max_storefront_body_bytes,
            max_body_bytes_in_flight,
        } = self;
        write!(
            f,
            "Limits of this node: {requests_per_second} requests per second with one access key, and \
             {client_requests_per_second} per second from one client address with storefronts' keys (429); \
             {webhook_requests_per_second} per second to one webhook of an account (429); \
             {failed_keys_per_minute} wrong keys per minute from one address (429); the largest body is {MAX_BODY_BYTES} bytes, \
             {max_storefront_body_bytes} bytes with a storefront's key unless the shop has its own limit, \
             {MAX_COMPONENT_BYTES} bytes for a component and {MAX_WEBHOOK_BYTES} bytes for a webhook (413); the parsed \
             values of a body may take 4 MiB plus four times its size (413); the bodies of all requests in progress take at \
             most {max_body_bytes_in_flight} bytes, of which storefronts and webhooks share half, one shop's storefronts a \
             quarter and one address an eighth (503 with Retry-After); the head of a request has at most {MAX_HEAD_BYTES} \
             bytes (431); at most {max_connections} connections, \
             {max_connections_per_address} from one address (503)."
        )
    }
}

/// The error of too many requests: the limit that was reached, and the time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    limit: RateLimit,
    retry_after: Duration,
}

/// A limit on the rate of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RateLimit {
    Key(NonZeroU32),
    Client(NonZeroU32),
    Webhook(NonZeroU32),
    WrongKeys(NonZeroU32),
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(max) => write!(f, "{max} per second with this access key"),
            Self::Client(max) => write!(f, "{max} per second from this address"),
            Self::Webhook(max) => write!(f, "{max} per second to this webhook"),
            Self::WrongKeys(max) => write!(f, "{max} wrong access keys per minute from this address"),
        }
    }
}

impl From<RateLimited> for Problem {
    fn from(RateLimited { limit, retry_after }: RateLimited) -> Self {
        let seconds = u32::try_from(retry_after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let detail = format!("too many requests; try again in {seconds} s (the limit is {limit})");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail).with_retry_after(seconds)
    }
}

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

/// Rate limits by client address. Addresses are remembered while their requests count, and at most [`MAX_REMEMBERED`];
/// further addresses are counted as one.
struct Clients {
    max: NonZeroU32,
    requests: DefaultKeyedRateLimiter<Option<IpAddr>>,
    last_sweep: Mutex<Option<Instant>>,
}

impl Clients {
    fn new(max: NonZeroU32) -> Self {
        // A page sends several requests at once.
        let burst = max.saturating_mul(const { NonZeroU32::new(2).expect("not zero") });
        Self {
            max,
            requests: RateLimiter::keyed(Quota::per_second(max).allow_burst(burst)),
            last_sweep: Mutex::default(),
        }
    }

    fn ask(&self, from: Option<IpAddr>) -> Result<(), RateLimited> {
        let client = if self.has_room(Instant::now()) { from.map(network_of) } else { None };
        self.requests.check_key(&client).map_err(|until| self.wait(until.wait_time_from(DefaultClock::default().now())))
    }

    fn wait(&self, retry_after: Duration) -> RateLimited {
        RateLimited { limit: RateLimit::Client(self.max), retry_after }
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

/// A key that was valid a short while ago.
#[derive(Clone, Copy)]
struct ValidKey {
    at: Instant,
    is_storefront: bool,
}

/// The limits on the requests to a node, and on its failed attempts.
pub struct Limits {
    settings: LimitSettings,
    /// Failed attempts with access keys, and at log-ins with one.
    pub failed_attempts: FailedAttempts,
    clients: Clients,
    /// Rate limits of existing webhook endpoints: at most as many as the accounts have.
    webhooks: DefaultKeyedRateLimiter<Destination>,
    valid_key: Mutex<HashMap<Digest, ValidKey>>,
    requests: DefaultKeyedRateLimiter<String>,
}

impl Limits {
    /// Creates the limits with an operator's settings.
    pub(crate) fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            failed_attempts: FailedAttempts::new(settings.failed_keys_per_minute),
            clients: Clients::new(settings.client_requests_per_second),
            webhooks: RateLimiter::keyed(webhook_quota(settings.webhook_requests_per_second)),
            valid_key: Mutex::default(),
            requests: RateLimiter::keyed(Quota::per_second(settings.requests_per_second)),
        }
    }

    /// Returns the operator's settings.
    pub(crate) fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Checks whether this key may be looked up for a client at this address.
    pub fn check_attempts(&self, key: &str, from: Option<IpAddr>) -> Result<(), RateLimited> {
        self.failed_attempts.check(from).or_else(|wait| self.valid_key(key).map(|_| ()).ok_or(wait))
    }

    /// Returns whether this key was a valid storefront key a short while ago.
    pub(crate) fn is_storefront(&self, key: &str) -> bool {
        self.valid_key(key).is_some_and(|valid_key| valid_key.is_storefront)
    }

    /// Counts a request of a client with a storefront key. Call it before [`check_key`](Self::check_key), so that a
    /// request that is refused here does not count there.
    pub(crate) fn check_client(&self, from: Option<IpAddr>) -> Result<(), RateLimited> {
        self.clients.ask(from)
    }

    /// Counts a request to a webhook endpoint.
    pub(crate) fn webhook_asks(&self, to: &Destination) -> Result<(), RateLimited> {
        let limit = RateLimit::Webhook(self.settings.webhook_requests_per_second);
        let wait = |retry_after| RateLimited { limit, retry_after };
        self.webhooks.check_key(to).map_err(|until| wait(until.wait_time_from(DefaultClock::default().now())))
    }

    /// Counts a request with a valid key and its id.
    pub fn check_key(&self, key: &str, id: &str) -> Result<(), RateLimited> {
        self.remember_key(key, false);
        self.count_key_request(id)
    }

    /// Counts a request with a valid storefront key and its id.
    pub(crate) fn check_storefront_key(&self, key: &str, id: &str) -> Result<(), RateLimited> {
        self.remember_key(key, true);
        self.count_key_request(id)
    }

    fn count_key_request(&self, id: &str) -> Result<(), RateLimited> {
        let limit = RateLimit::Key(self.settings.requests_per_second);
        let wait = |retry_after| RateLimited { limit, retry_after };
        self.requests
            .check_key(&id.to_owned())
            .map_err(|until| wait(until.wait_time_from(DefaultClock::default().now())))
    }

    fn remember_key(&self, key: &str, is_storefront: bool) {
        let mut valid_key = lock(&self.valid_key);
        make_room(&mut valid_key, |valid_key| valid_key.at.elapsed() < KEY_RETENTION);
        valid_key.insert(Digest::of(key.as_bytes()), ValidKey { at: Instant::now(), is_storefront });
    }

    fn valid_key(&self, key: &str) -> Option<ValidKey> {
        let valid_key = lock(&self.valid_key).get(&Digest::of(key.as_bytes())).copied();
        valid_key.filter(|valid_key| valid_key.at.elapsed() < KEY_RETENTION)
    }
}

/// Returns the rate of webhooks. Its burst is four seconds' requests, because a vendor sends related webhooks together.
fn webhook_quota(max: NonZeroU32) -> Quota {
    Quota::per_second(max).allow_burst(max.saturating_mul(const { NonZeroU32::new(4).expect("not zero") }))
}

fn make_room<K: Eq + Hash, V>(all: &mut HashMap<K, V>, counts: impl Fn(&V) -> bool) {
    if all.len() >= MAX_REMEMBERED {
        all.retain(|_, value| counts(value));
    }
    if all.len() >= MAX_REMEMBERED {
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

    fn limits(requests: u32, attempts: u32) -> Limits {
        let settings = LimitSettings {
            requests_per_second: number(requests),
            client_requests_per_second: client_default(number(requests)),
            failed_keys_per_minute: number(attempts),
            ..LimitSettings::default()
        };
        Limits::new(settings)
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
    fn a_key_that_held_goes_on_where_others_guess() {
        let limits = limits(100, 1);
        let office = address("192.0.2.1");
        assert_eq!(limits.check_key("good", "id"), Ok(()));
        limits.failed_attempts.failed(office);
        assert_eq!(limits.check_attempts("good", office), Ok(()));
        assert!(limits.check_attempts("goof", office).is_err());
    }

    #[test]
    fn a_key_asks_so_often_and_no_more() {
        let limits = limits(5, 1);
        let allowed: Vec<bool> = (0..10).map(|_| limits.check_key("key", "id").is_ok()).collect();
        assert_eq!(allowed.iter().filter(|allowed| **allowed).count(), 5, "{allowed:?}");
        assert_eq!(limits.check_key("other", "other"), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (failed_attempts, now) = (FailedAttempts::new(number(1)), Instant::now());
        for host in 0..=u32::try_from(MAX_REMEMBERED).expect("a number") {
            failed_attempts.failed_at(Some(IpAddr::from(host.to_be_bytes())), now);
        }
        assert!(lock(&failed_attempts.attempts).len() <= MAX_REMEMBERED);
    }

    #[test]
    fn one_clients_requests_do_not_use_up_what_a_storefronts_key_may_ask() {
        let limits = limits(20, 1);
        let ask =
            |from: &str| limits.check_client(address(from)).is_ok() && limits.check_storefront_key("key", "id").is_ok();
        let flood = (0..1000).filter(|_| ask("192.0.2.1")).count();
        assert!((10..=15).contains(&flood), "{flood} of one client's requests passed");
        let allowed: Vec<bool> = (1..=5).map(|host| ask(&format!("198.51.100.{host}"))).collect();
        assert_eq!(allowed, [true; 5]);
        assert!(limits.is_storefront("key") && !limits.is_storefront("other"));
    }

    #[test]
    fn a_client_is_an_address_or_the_64_bits_of_a_customers_network() {
        let limits = limits(4, 1);
        let passed = |from: &str| limits.check_client(address(from)).is_ok();
        assert!(passed("2001:db8:1:2::1") && passed("2001:db8:1:2::2") && !passed("2001:db8:1:2:ffff::3"));
        assert!(passed("2001:db8:1:3::1"));
        assert!(passed("192.0.2.1") && passed("::ffff:192.0.2.1") && !passed("192.0.2.1"));
        assert!(limits.check_client(None).is_ok(), "unknown addresses count as one client");
    }

    #[test]
    fn a_webhook_is_sent_so_many_requests_and_others_are_not_held_up() {
        let settings = LimitSettings { webhook_requests_per_second: number(5), ..LimitSettings::default() };
        let limits = Limits::new(settings);
        let to = |account: &str, endpoint: &str| Destination {
            shop: "rings".parse().expect("an id"),
            account: account.parse().expect("an id"),
            endpoint: endpoint.to_owned(),
        };
        let flood = (0..1000).filter(|_| limits.webhook_asks(&to("expivi", "done")).is_ok()).count();
        assert!((20..=25).contains(&flood), "{flood} of 1000 passed");
        let refused = limits.webhook_asks(&to("expivi", "done")).expect_err("too many");
        assert_eq!(refused.limit, RateLimit::Webhook(number(5)));
        assert_eq!(limits.webhook_asks(&to("expivi", "shipped")), Ok(()));
        assert_eq!(limits.webhook_asks(&to("other", "done")), Ok(()));
    }

    #[test]
    fn clients_beyond_those_that_are_remembered_count_as_one() {
        let limits =
            Limits::new(LimitSettings { client_requests_per_second: NonZeroU32::MIN, ..LimitSettings::default() });
        let host = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let max = u32::try_from(MAX_REMEMBERED).expect("a number");
        for number in 0..max {
            assert_eq!(limits.check_client(host(number)), Ok(()));
        }
        let passed = (0..1000).filter(|number| limits.check_client(host(max + number)).is_ok()).count();
        assert!(limits.clients.requests.len() <= MAX_REMEMBERED + 1);
        assert!(passed < 1000 || limits.clients.requests.len() < MAX_REMEMBERED, "{passed} of 1000 passed");
    }

    #[test]
    fn the_default_for_one_client_is_a_quarter_of_its_keys_limit_and_at_most_100() {
        for (key, client) in [(1, 1), (4, 1), (100, 25), (400, 100), (100_000, 100)] {
            assert_eq!(client_default(number(key)), number(client));
        }
    }
}
