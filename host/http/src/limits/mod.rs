//! Limits at the HTTP edge. Each node counts by itself, so that the nodes of an installation allow a multiple.
//!
//! Requests that any client can send are limited by client address as well as by access key: a storefront's key is public,
//! so that one client could exhaust the key's limit for all others. Requests that exceed the client's limit do not
//! count against the key.
//!
//! Rates are counted by `governor`, at fixed rates and by the time of this process; only [`FailedAttempts`] are not.
//!
//! Each webhook URL has a limit of its own, so that a vendor who knows it cannot exhaust those of others.
//!
//! A client that sent too many wrong keys is refused for the rest of the minute before any key is looked up, so that
//! guessing costs the host nothing and reveals nothing. Keys that were valid a short while ago are still accepted:
//! behind a shared address of a proxy or an office, a guesser does not shut out the others.

mod bounded_memory;
mod clients;
mod failed_attempts;
mod keys;
mod rate_limited;
mod settings;
mod webhooks;

use std::net::IpAddr;

use cartwright::webhook::Destination;
use clients::ClientLimiter;
pub use failed_attempts::FailedAttempts;
use keys::KeyLimiter;
pub use rate_limited::RateLimited;
pub use settings::{LimitSettings, MAX_COMPONENT_BYTES, MAX_SIGN_IN_BYTES, client_default};
pub(crate) use settings::{MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_INLINE_BYTES, MAX_WEBHOOK_BYTES};
use webhooks::WebhookLimiter;

/// The limits on the requests to a node, and on its failed attempts.
pub struct Limits {
    settings: LimitSettings,
    /// Failed attempts with access keys, and at log-ins with one.
    pub failed_attempts: FailedAttempts,
    clients: ClientLimiter,
    webhooks: WebhookLimiter,
    keys: KeyLimiter,
}

impl Limits {
    /// Creates the limits with an operator's settings.
    pub(crate) fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            failed_attempts: FailedAttempts::new(settings.failed_keys_per_minute),
            clients: ClientLimiter::new(settings.client_requests_per_second),
            webhooks: WebhookLimiter::new(settings.webhook_requests_per_second),
            keys: KeyLimiter::new(settings.requests_per_second),
        }
    }

    /// Returns the operator's settings.
    pub(crate) fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Checks whether this key may be looked up for a client at this address.
    pub fn check_attempts(&self, key: &str, from: Option<IpAddr>) -> Result<(), RateLimited> {
        self.failed_attempts.check(from).or_else(|wait| self.keys.valid_key(key).map(|_| ()).ok_or(wait))
    }

    /// Returns whether this key was a valid storefront key a short while ago.
    pub(crate) fn is_storefront(&self, key: &str) -> bool {
        self.keys.valid_key(key).is_some_and(|valid_key| valid_key.is_storefront)
    }

    /// Counts a request of a client with a storefront key. Call it before
    /// [`check_storefront_key`](Self::check_storefront_key), so that a request that is refused here does not count
    /// there.
    pub(crate) fn check_client(&self, from: Option<IpAddr>) -> Result<(), RateLimited> {
        self.clients.check(from)
    }

    /// Counts a request to a webhook endpoint.
    pub(crate) fn check_webhook(&self, to: &Destination) -> Result<(), RateLimited> {
        self.webhooks.check(to)
    }

    /// Counts a request with a valid key and its id.
    pub fn check_key(&self, key: &str, id: &str) -> Result<(), RateLimited> {
        self.keys.check(key, id, false)
    }

    /// Counts a request with a valid storefront key and its id.
    pub(crate) fn check_storefront_key(&self, key: &str, id: &str) -> Result<(), RateLimited> {
        self.keys.check(key, id, true)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::rate_limited::RateLimit;
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
        let flood = (0..1000).filter(|_| limits.check_webhook(&to("expivi", "done")).is_ok()).count();
        assert!((20..=25).contains(&flood), "{flood} of 1000 passed");
        let refused = limits.check_webhook(&to("expivi", "done")).expect_err("too many");
        assert_eq!(refused.limit, RateLimit::Webhook(number(5)));
        assert_eq!(limits.check_webhook(&to("expivi", "shipped")), Ok(()));
        assert_eq!(limits.check_webhook(&to("other", "done")), Ok(()));
    }
}
