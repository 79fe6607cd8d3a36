//! The limit on the requests to one webhook endpoint.

use std::num::NonZeroU32;

use cartwright::webhook::Destination;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::rate_limited::{RateLimit, RateLimited};

/// Rate limits of existing webhook endpoints: at most as many as the accounts have.
pub(super) struct WebhookLimiter {
    max: NonZeroU32,
    requests: DefaultKeyedRateLimiter<Destination>,
}

impl WebhookLimiter {
    /// Creates the limiter for `max` requests per second to one endpoint. Its burst is four seconds' requests, because
    /// a vendor sends related webhooks together.
    pub(super) fn new(max: NonZeroU32) -> Self {
        let burst = max.saturating_mul(const { NonZeroU32::new(4).expect("not zero") });
        Self { max, requests: RateLimiter::keyed(Quota::per_second(max).allow_burst(burst)) }
    }

    /// Counts a request to an endpoint.
    pub(super) fn check(&self, to: &Destination) -> Result<(), RateLimited> {
        self.requests.check_key(to).map_err(|until| RateLimited::until(RateLimit::Webhook(self.max), &until))
    }
}
