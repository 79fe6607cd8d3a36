//! The limit on the requests with one access key, and the memory of valid keys.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cartwright::Digest;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::bounded_memory::{lock, make_room};
use super::rate_limited::{RateLimit, RateLimited};

/// Time for which a valid key is remembered.
const KEY_RETENTION: Duration = Duration::from_secs(3600);

/// A key that was valid a short while ago.
#[derive(Clone, Copy)]
pub(super) struct ValidKey {
    at: Instant,
    pub(super) is_storefront: bool,
}

/// Rate limits by access key.
pub(super) struct KeyLimiter {
    max: NonZeroU32,
    requests: DefaultKeyedRateLimiter<String>,
    valid_keys: Mutex<HashMap<Digest, ValidKey>>,
}

impl KeyLimiter {
    /// Creates the limiter for `max` requests per second with one key.
    pub(super) fn new(max: NonZeroU32) -> Self {
        Self { max, requests: RateLimiter::keyed(Quota::per_second(max)), valid_keys: Mutex::default() }
    }

    /// Counts a request with a valid key and its id.
    pub(super) fn check(&self, key: &str, id: &str, is_storefront: bool) -> Result<(), RateLimited> {
        self.remember(key, is_storefront);
        let checked = self.requests.check_key(&id.to_owned());
        checked.map_err(|until| RateLimited::until(RateLimit::Key(self.max), &until))
    }

    fn remember(&self, key: &str, is_storefront: bool) {
        let mut valid_keys = lock(&self.valid_keys);
        make_room(&mut valid_keys, |valid_key| valid_key.at.elapsed() < KEY_RETENTION);
        valid_keys.insert(Digest::of(key.as_bytes()), ValidKey { at: Instant::now(), is_storefront });
    }

    /// Returns the key if it was valid a short while ago.
    pub(super) fn valid_key(&self, key: &str) -> Option<ValidKey> {
        let valid_key = lock(&self.valid_keys).get(&Digest::of(key.as_bytes())).copied();
        valid_key.filter(|valid_key| valid_key.at.elapsed() < KEY_RETENTION)
    }
}
