//! Options of a guest call.

use std::sync::Arc;
use std::time::Duration;

use cartwright_contract::ids::Digest;
use cartwright_contract::records;

use crate::bindings::types;
use crate::capability::Scope;
use crate::durable::Cursor;
use crate::slots::SlotKind;

/// Options of a guest call: its account, and what it may use beyond the limits of every call.
pub struct CallOptions {
    pub(crate) scope: Option<Arc<Scope>>,
    /// The client id of the shopper, if the platform sent one. The request queue of a vendor's server is shared fairly
    /// by it.
    pub(crate) client: Option<String>,
    /// The currency that the catalog is asked in. `None` for the shop's main one.
    pub(crate) currency: Option<String>,
    /// Cart lines and configured items; limits on work grow with them.
    pub(crate) lines: usize,
    /// Seeds the guest's random numbers, so that a pure hook returns the same result for the same input.
    pub(crate) seed: [u8; 32],
    /// How far the guest's clock is ahead of the host's.
    pub(crate) clock_ahead: Duration,
    pub(crate) readable: Vec<records::Digest>,
    /// A blob that the call may read although it is not stored.
    pub(crate) given_blob: Option<(Digest, Arc<Vec<u8>>)>,
    pub(crate) durable: Option<Box<Cursor>>,
    pub(crate) slot_kind: SlotKind,
}

impl CallOptions {
    /// Returns the options of a call for an account of a shop, without a client, lines or a seed.
    pub fn new(scope: Arc<Scope>) -> Self {
        Self { scope: Some(scope), ..Self::without_shop() }
    }

    /// Returns the options of a call for no shop. Every import of such a call returns an error.
    pub(crate) fn without_shop() -> Self {
        Self {
            scope: None,
            client: None,
            currency: None,
            lines: 0,
            seed: [0; 32],
            clock_ahead: Duration::ZERO,
            readable: Vec::new(),
            given_blob: None,
            durable: None,
            slot_kind: SlotKind::Call,
        }
    }

    /// Sets the client id of the shopper. The request queue of a vendor's server is shared fairly by it.
    pub fn client(mut self, client: Option<&String>) -> Self {
        self.client = client.cloned();
        self
    }

    /// Sets the currency that the catalog is asked in: the visitor's, if the call is about one.
    pub(crate) fn currency_of(mut self, context: &types::Context) -> Self {
        self.currency = context.visitor.as_ref().map(|visitor| visitor.currency.code.clone());
        self
    }

    /// Sets the number of cart lines and configured items that the call handles. Limits on work grow with it.
    pub fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }

    /// Sets the seed of the guest's random numbers. A pure hook gets the same seed for the same input.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how far the guest's clock is ahead of the host's.
    pub(crate) fn clock_ahead(mut self, clock_ahead: Duration) -> Self {
        self.clock_ahead = clock_ahead;
        self
    }

    /// Lets the call read a blob. With `bytes` it need not be stored.
    pub(crate) fn blob(mut self, digest: Digest, bytes: Option<Arc<Vec<u8>>>) -> Self {
        self.readable.push(digest.to_string());
        self.given_blob = bytes.map(|bytes| (digest, bytes));
        self
    }

    /// Sets the kind of slot that the call takes.
    pub fn slot_kind(mut self, slot_kind: SlotKind) -> Self {
        self.slot_kind = slot_kind;
        self
    }
}
