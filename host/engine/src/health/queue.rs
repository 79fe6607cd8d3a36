//! The queue of a server whose rate limit is used up: the order of its requests, and which may wait at all.
//!
//! This is self-clocked fair queueing (Golestani, 1994). Each request gets the number at which it would finish if all
//! requesters were served in turns; the lowest is next. A requester with one request is served before one with many.
//! Orders, whose requests cost half as much, get a share that shoppers cannot take: with [`MAX_WAITING_CALLS`]
//! requests of shoppers ahead of them, still two of every ten. Few requests of shoppers may wait, because each holds a
//! guest instance; orders' requests hold none.

use std::collections::BTreeMap;

/// The party that a request counts for. The queue is shared fairly among requesters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    /// All orders of the shop together.
    Orders,
    /// One shopper, by client id.
    Visitor(String),
    /// A shopper without a client id.
    Unknown,
}

/// Maximum number of calls per shop and host that may wait for their turn while holding an instance. Further calls fail
/// with `Unavailable`, so that one shop cannot exhaust the instance pool.
const MAX_WAITING_CALLS: usize = 8;
/// Maximum number of waiting calls of one visitor. The second may wait only while half of the queue is free.
const MAX_WAITING_CALLS_PER_VISITOR: usize = 2;
/// Cost of a request of an order: half that of a shopper's request.
const ORDER_COST: u64 = 1;
const VISITOR_COST: u64 = 2;

/// Position of a request in the queue. The lowest is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    finish: u64,
    /// Breaks ties in order of arrival.
    number: u64,
}

/// Requests that wait for one server.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Position, Requester>,
    /// Position of the request that was served last.
    served_up_to: u64,
    next_number: u64,
}

impl Queue {
    /// Adds a request. Returns `None` if the requester may not wait now.
    pub(super) fn enter(&mut self, requester: &Requester) -> Option<Position> {
        let calls = self.waiting.values().filter(|waiting| **waiting != Requester::Orders).count();
        let own = self.waiting.iter().filter(|(_, waiting)| *waiting == requester).map(|(position, _)| position.finish);
        let may_wait = match requester {
            Requester::Orders => true,
            Requester::Visitor(_) if own.clone().next().is_some() => {
                own.clone().count() < MAX_WAITING_CALLS_PER_VISITOR && calls < MAX_WAITING_CALLS / 2
            }
            Requester::Visitor(_) | Requester::Unknown => calls < MAX_WAITING_CALLS,
        };
        if !may_wait {
            return None;
        }
        let (last, cost) = match requester {
            Requester::Orders => (own.max(), ORDER_COST),
            Requester::Visitor(_) => (own.max(), VISITOR_COST),
            // Each of these may come from another shopper.
            Requester::Unknown => (None, VISITOR_COST),
        };
        let position = Position { finish: self.served_up_to.max(last.unwrap_or(0)) + cost, number: self.next_number };
        self.next_number += 1;
        self.waiting.insert(position, requester.clone());
        Some(position)
    }

    /// Returns how many requests are before this one.
    pub(super) fn count_ahead(&self, position: Position) -> usize {
        self.waiting.range(..position).count()
    }

    /// Removes a request that is sent.
    pub(super) fn serve(&mut self, position: Position) {
        self.leave(position);
        self.served_up_to = self.served_up_to.max(position.finish);
    }

    /// Removes a request that is not sent.
    pub(super) fn leave(&mut self, position: Position) {
        self.waiting.remove(&position);
    }
}
