//! Health of vendors' servers: for each shop and host a circuit breaker, a rate limit and a queue.
//!
//! A server that is down is not called by every order in turn, and one that is up is not flooded by a thousand
//! released orders or a thousand shoppers. A request to a server with an open circuit fails with `unavailable`. A
//! request above the rate limit waits in the queue, which is shared fairly among visitors and orders (see `queue.rs`);
//! an order hook's request waits without a guest instance, before its intent is recorded. Only a connection test does
//! not wait. All three recover by themselves: nothing stays switched off until a person notices.
//!
//! They are plain values that receive the time, with no thread and no clock of their own, so that a test controls the
//! time. That is also why no crate is used for the circuit: the circuit breaker crates read a clock of this process.
//! `rate_limit.rs` says why the rate limit is not `governor`.

mod circuit;
mod queue;
mod rate_limit;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

pub use circuit::{Circuit, CircuitRules};
pub use queue::Requester;
pub use rate_limit::{RateLimit, RateLimitRules};

use cartwright_contract::ids::ShopId;
use cartwright_contract::records::Outage;
use queue::{Position, Queue};

/// Rules for the requests to each vendor server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// When the circuit opens.
    pub circuit: CircuitRules,
    /// Rate limit, unless the account has its own.
    pub rate_limit: RateLimitRules,
}

/// Outcome of a request, as reported to the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The server responded, with any other status. A refusal is a response.
    Responded,
    /// The server did not respond, or responded with 429, 502, 503 or 504.
    Unavailable {
        /// The delay of its `Retry-After` header, if any.
        retry_after: Option<Duration>,
    },
}

/// Why a request may not be sent yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Throttled {
    /// The circuit of the server is open.
    #[error("{host} failed {failures} times in a row; requests are paused")]
    CircuitOpen {
        /// The host.
        host: String,
        /// Number of consecutive failures.
        failures: u32,
        /// When a request may be sent.
        until: SystemTime,
    },
    /// The rate limit of the server is used up.
    #[error("the rate limit for {host} is reached")]
    RateLimited {
        /// The host.
        host: String,
        /// When a request may be sent.
        until: SystemTime,
    },
}

impl Throttled {
    /// When a request may be sent.
    pub fn until(&self) -> SystemTime {
        match self {
            Self::CircuitOpen { until, .. } | Self::RateLimited { until, .. } => *until,
        }
    }

    /// Converts the refusal into the outage that a plugin receives.
    pub fn outage(&self, at: SystemTime) -> Outage {
        let left = self.until().duration_since(at).unwrap_or_default();
        let seconds = u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        Outage { retry_after_seconds: Some(seconds), detail: self.to_string() }
    }
}

/// Health of all vendor servers, one per process. Nodes do not share it.
#[derive(Debug, Default)]
pub struct Health {
    rules: Rules,
    /// One entry per shop and granted host.
    servers: Mutex<HashMap<(ShopId, String), Server>>,
}

#[derive(Debug, Default)]
struct Server {
    circuit: Circuit,
    rate_limit: RateLimit,
    queue: Queue,
}

/// A request's entry in the queue of a server. Dropping it leaves the queue.
#[derive(Debug)]
pub struct QueuePermit<'a> {
    health: &'a Health,
    shop: ShopId,
    host: String,
    position: Position,
}

impl Health {
    /// Creates the health state, with every circuit closed.
    pub fn new(rules: Rules) -> Self {
        Self { rules, servers: Mutex::default() }
    }

    /// Returns the rate limit of a server: the account's own, or the default.
    pub fn rate_limit(&self, requests_per_second: Option<NonZeroU32>) -> RateLimitRules {
        requests_per_second.map_or_else(|| self.rules.rate_limit.clone(), RateLimitRules::per_second)
    }

    /// Puts a request into the queue of a server. [`QueuePermit::try_acquire`] then says when it may be sent.
    ///
    /// # Errors
    /// Returns [`Throttled::RateLimited`] if the queue is full, overall or for this requester.
    pub fn queue(
        &self,
        shop: &ShopId,
        host: &str,
        requester: &Requester,
        at: SystemTime,
    ) -> Result<QueuePermit<'_>, Throttled> {
        match self.with(shop, host, |server| server.queue.enter(requester)) {
            Some(position) => Ok(QueuePermit { health: self, shop: shop.clone(), host: host.to_owned(), position }),
            None => Err(Throttled::RateLimited { host: host.to_owned(), until: at + Duration::from_secs(1) }),
        }
    }

    /// Reports the outcome of a request.
    pub fn record(&self, shop: &ShopId, host: &str, outcome: RequestOutcome, at: SystemTime) {
        self.with(shop, host, |server| match outcome {
            RequestOutcome::Responded => server.circuit.responded(),
            RequestOutcome::Unavailable { retry_after } => {
                server.circuit.unavailable(&self.rules.circuit, retry_after, at);
            }
        });
    }

    /// Returns the circuit of a server, for display only.
    pub fn circuit(&self, shop: &ShopId, host: &str) -> Circuit {
        self.with(shop, host, |server| server.circuit)
    }

    fn with<R>(&self, shop: &ShopId, host: &str, change: impl FnOnce(&mut Server) -> R) -> R {
        // Nothing in the change panics, so the map is always consistent.
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        change(servers.entry((shop.clone(), host.to_owned())).or_default())
    }
}

impl QueuePermit<'_> {
    /// Acquires permission to send the request, and removes it from the queue. Report its outcome with
    /// [`Health::record`].
    ///
    /// # Errors
    /// [`Throttled`] says when to try again. A later request may be sent before that, but not in place of this one.
    pub fn try_acquire(&self, rules: &RateLimitRules, at: SystemTime) -> Result<(), Throttled> {
        let circuit_open = |(failures, until)| Throttled::CircuitOpen { host: self.host.clone(), failures, until };
        let circuit = &self.health.rules.circuit;
        self.health.with(&self.shop, &self.host, |server| {
            // The rate limit is checked first, so that a request it delays does not use up the circuit's only probe.
            let ahead = server.queue.count_ahead(self.position);
            if let Err(until) = server.rate_limit.check(rules, ahead, at) {
                return Err(match server.circuit.refusal(circuit, at) {
                    // Waiting for the rate limit would be in vain.
                    Some(refusal) if refusal.1 > until => circuit_open(refusal),
                    _ => Throttled::RateLimited { host: self.host.clone(), until },
                });
            }
            server.circuit.try_acquire(circuit, at).map_err(circuit_open)?;
            server.rate_limit.take(rules, at);
            server.queue.serve(self.position);
            Ok(())
        })
    }
}

impl Drop for QueuePermit<'_> {
    fn drop(&mut self) {
        self.health.with(&self.shop, &self.host, |server| server.queue.leave(self.position));
    }
}
