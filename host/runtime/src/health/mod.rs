//! How vendors' servers are doing, and how fast they may be asked: for each shop and host a circuit breaker and a rate limit.
//!
//! A server that is down is not asked by every order in turn, and one that is up is not flooded by a thousand released orders.
//! A request to a server that is left alone is answered with `unavailable`; one that would come too soon waits for its turn, an order
//! hook's without a guest instance, before its intent is written. Only a person who tests a connection is not held.
//! Both heal by themselves: nothing here stays switched off until somebody notices. They are values that are told the time, with no
//! thread and no clock of their own, so that a test can say when things happen and a store of several nodes could keep them. That
//! is also why no crate is used: `governor` and the circuit breakers read a clock of this process and keep their state in it.

mod circuit;
mod rate_limit;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

pub use circuit::{Circuit, CircuitRules};
pub use rate_limit::{RateLimit, RateLimitRules};

use crate::contract::Outage;
use crate::ids::ShopId;

/// What each vendor's server is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// When it is left alone.
    pub circuit: CircuitRules,
    /// How fast it may be asked.
    pub rate_limit: RateLimitRules,
}

/// How a request went, as far as the server's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// It answered, of whatever status: a refusal is an answer.
    Answered,
    /// It did not, or said that it cannot: 429, 502, 503, 504.
    Unavailable {
        /// When it said that it can again.
        retry_after: Option<Duration>,
    },
}

/// A request is not sent now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// The server was away again and again.
    #[error("{host} did not answer {failures} times in a row; it is left alone for a moment")]
    Circuit {
        /// The host.
        host: String,
        /// How often it did not answer.
        failures: u32,
        /// When it may be asked again.
        until: SystemTime,
    },
    /// It was asked as fast as it may be.
    #[error("{host} is asked as fast as it may be")]
    RateLimit {
        /// The host.
        host: String,
        /// When it may be asked again.
        until: SystemTime,
    },
}

impl Hold {
    /// When it may be asked again.
    pub fn until(&self) -> SystemTime {
        match self {
            Self::Circuit { until, .. } | Self::RateLimit { until, .. } => *until,
        }
    }

    /// As the plugin is told it: away, with the time at which it is worth trying again.
    pub fn outage(&self, at: SystemTime) -> Outage {
        Outage { retry_after_seconds: Some(seconds_until(self.until(), at)), detail: self.to_string() }
    }
}

/// Whole seconds, one at least.
pub(crate) fn seconds_until(until: SystemTime, at: SystemTime) -> u32 {
    let left = until.duration_since(at).unwrap_or_default();
    u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// The health of all vendors' servers. One for each host process; several nodes each find out for themselves.
#[derive(Debug, Default)]
pub struct Health {
    rules: Rules,
    /// As many as the operator granted hosts to shops.
    known: Mutex<HashMap<(ShopId, String), (Circuit, RateLimit)>>,
    /// How many calls wait for their turn at a server, each with its instance.
    waiting: Mutex<HashMap<(ShopId, String), u32>>,
}

/// So many calls of a shop wait for their turn at a server with their instances; more are told to come again. Else one shop's shoppers
/// would hold the instances of all.
const MOST_WAITING: u32 = 8;

/// A call's place among those that wait for a server.
pub(crate) struct Waiting<'a>(&'a Health, (ShopId, String));

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.1) {
            Some(number) if *number > 1 => *number -= 1,
            _ => drop(all.remove(&self.1)),
        }
    }
}

impl Health {
    /// Health by these rules, of servers about which nothing bad is known.
    pub fn new(rules: Rules) -> Self {
        Self { rules, known: Mutex::default(), waiting: Mutex::default() }
    }

    /// May a call wait for its turn with its instance? None when enough do.
    pub(crate) fn wait(&self, shop: &ShopId, host: &str) -> Option<Waiting<'_>> {
        let place = (shop.clone(), host.to_owned());
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.entry(place.clone()).or_default();
        (*number < MOST_WAITING).then(|| {
            *number += 1;
            Waiting(self, place)
        })
    }

    /// May a request be sent now? Counts it if so; say afterwards how it [`went`](Self::went).
    ///
    /// # Errors
    /// [`Hold`] says until when not.
    pub fn ask(&self, shop: &ShopId, host: &str, at: SystemTime) -> Result<(), Hold> {
        self.with(shop, host, |circuit, rate_limit| {
            // The rate limit first: a hold of it must not use up the one request that finds out whether the server is back.
            let hold = |until| Hold::RateLimit { host: host.to_owned(), until };
            rate_limit.check(&self.rules.rate_limit, at).map_err(hold)?;
            circuit.ask(&self.rules.circuit, at).map_err(|(failures, until)| Hold::Circuit {
                host: host.to_owned(),
                failures,
                until,
            })?;
            rate_limit.take(&self.rules.rate_limit, at);
            Ok(())
        })
    }

    /// Says how a request went.
    pub fn went(&self, shop: &ShopId, host: &str, went: Went, at: SystemTime) {
        self.with(shop, host, |circuit, _| match went {
            Went::Answered => circuit.answered(),
            Went::Unavailable { retry_after } => circuit.unavailable(&self.rules.circuit, retry_after, at),
        });
    }

    /// What is known of a server, for people: shown, never acted on.
    pub fn circuit(&self, shop: &ShopId, host: &str) -> Circuit {
        self.with(shop, host, |circuit, _| *circuit)
    }

    fn with<R>(&self, shop: &ShopId, host: &str, change: impl FnOnce(&mut Circuit, &mut RateLimit) -> R) -> R {
        // Each change is whole: nothing in it panics.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (circuit, rate_limit) = known.entry((shop.clone(), host.to_owned())).or_default();
        change(circuit, rate_limit)
    }
}
