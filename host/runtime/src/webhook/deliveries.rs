//! What a store keeps of webhooks.
//!
//! A vendor sends a notice again when it did not hear the answer, so a repeat must be recognized: by the id that the vendor gives the
//! notice. Where it gives none, the same bytes are a repeat only for [`REPEAT_WINDOW`], and only while nothing newer was heard about
//! the same orders, or about the account where the notice named no order: of "41, 42, 41" the third is news. What comes of a notice,
//! its answer, and that it was answered are one transaction: a crash before it leaves a notice that is run again, a crash after it one
//! that is answered as before.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{NamedJson, Outcome, WebhookRequest, WebhookResponse};

use crate::webhook::token::Destination;

/// How long a notice without an id is taken for a repeat of an earlier one with the same bytes. Longer than vendors wait before they
/// send one again (Twikit: five minutes), and short enough that one that says the same anew is heard.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Why nothing could be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookDeliveryStoreError {
    /// The store could not answer.
    #[error("the store of webhooks: {0}")]
    Failed(String),
    /// Notices that were not answered well use up the account's quota, and none of them may be forgotten. The vendor is told to send
    /// this one again.
    #[error(
        "the account's quota of webhooks is full of notices that were not answered well; see among its failed notices why, and mend \
         that, or have the operator raise the quota"
    )]
    QuotaFull {
        /// When to send it again.
        retry_after: Duration,
    },
}

/// What a notice is known by, within its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookDeliveryId {
    /// The digest of the id that the vendor gave it.
    Event(Digest),
    /// The digest of its query and body.
    Body(Digest),
}

impl fmt::Display for WebhookDeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(digest) => write!(f, "event-{digest}"),
            Self::Body(digest) => write!(f, "body-{digest}"),
        }
    }
}

/// A notice that was let in.
#[derive(Debug, Clone)]
pub struct WebhookDelivery {
    /// What it is for.
    pub destination: Destination,
    /// What it is known by.
    pub id: WebhookDeliveryId,
    /// When it came.
    pub at: SystemTime,
    /// It is a repeat of an earlier one with this id only if that was answered at this time or later, and nothing newer was heard
    /// about the same orders or the account. `None` if the vendor's own id decides alone.
    pub duplicate_since: Option<SystemTime>,
    /// The request, so that a person can look at it.
    pub request: WebhookRequest,
}

/// Something that a webhook hands on to `orders.handle`, as an event `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderMessage {
    /// The event's id.
    pub id: String,
    /// When the webhook came.
    pub at: SystemTime,
    /// The order's reference.
    pub order: String,
    /// What the event's kind carries.
    pub message: NamedJson,
}

/// What comes of a webhook: applied as a whole or not at all. The host has checked that each order is the account's and each line
/// the order's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Each with the reference of the order that it is about, never of a line; none for the account.
    pub outcomes: Vec<(Option<String>, Outcome)>,
    /// What becomes an order event.
    pub messages: Vec<OrderMessage>,
}

impl Effects {
    /// Does nothing come of it?
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.messages.is_empty()
    }
}

/// Where notices, what comes of them and their answers are kept.
#[async_trait]
pub trait WebhookDeliveryStore: Send + Sync {
    /// Takes a notice in before it is run, so that none is lost and one that fails can be shown. Gives the earlier answer when it is a
    /// repeat, see [`WebhookDelivery::duplicate_since`].
    ///
    /// # Errors
    /// When the store does not answer, and [`WebhookDeliveryStoreError::QuotaFull`] where it has no room for a new notice.
    async fn begin(&self, notice: &WebhookDelivery) -> Result<Option<WebhookResponse>, WebhookDeliveryStoreError>;

    /// In one transaction: applies what comes of a notice, queues its messages, and keeps its answer. When the same notice was
    /// answered well meanwhile, by another call or node, nothing is applied and that answer is given.
    ///
    /// # Errors
    /// When the store does not answer; nothing is applied then.
    async fn complete(
        &self,
        notice: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError>;

    /// Keeps that a notice was not answered well, and why, for the merchant. When it comes again it is run again.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn fail(&self, notice: &WebhookDelivery, reason: &str) -> Result<(), WebhookDeliveryStoreError>;

    /// In one transaction: applies what comes of a question that came at this time. Nothing is kept to answer it with: it is
    /// asked anew each time.
    ///
    /// # Errors
    /// When the store does not answer; nothing is applied then.
    async fn apply(
        &self,
        destination: &Destination,
        at: SystemTime,
        effects: Effects,
    ) -> Result<(), WebhookDeliveryStoreError>;
}

/// Receipts in memory: for tests, and for hosts that may forget.
#[derive(Debug, Default)]
pub struct MemoryWebhookDeliveryStore {
    contents: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// In the order in which they were answered.
    completed: Vec<CompletedDelivery>,
    failed: Vec<(Destination, WebhookDeliveryId, String)>,
    effects: Effects,
}

#[derive(Debug)]
struct CompletedDelivery {
    destination: Destination,
    id: WebhookDeliveryId,
    at: SystemTime,
    /// The orders that it said something of.
    orders: BTreeSet<String>,
    response: WebhookResponse,
}

impl Held {
    fn position(&self, notice: &WebhookDelivery) -> Option<usize> {
        let is_it = |known: &CompletedDelivery| known.destination == notice.destination && known.id == notice.id;
        self.completed.iter().position(is_it)
    }

    fn completed(&self, notice: &WebhookDelivery) -> Option<WebhookResponse> {
        let known = self.completed.get(self.position(notice)?)?;
        notice.duplicate_since.is_none_or(|since| known.at >= since).then(|| known.response.clone())
    }

    fn forget(&mut self, notice: &WebhookDelivery) {
        if let Some(position) = self.position(notice) {
            self.completed.remove(position);
        }
    }

    /// Was something newer heard about the same orders, or about the account where the notice named no order?
    fn is_superseded(&self, notice: &WebhookDelivery) -> bool {
        let Some(position) = self.position(notice) else { return false };
        let (known, newer) = (&self.completed[position], &self.completed[position + 1..]);
        newer.iter().any(|newer| {
            let (own, other) = (&known.destination, &newer.destination);
            let same_subject = match known.orders.is_empty() {
                true => newer.orders.is_empty(),
                false => !known.orders.is_disjoint(&newer.orders),
            };
            own.shop == other.shop && own.account == other.account && same_subject
        })
    }

    fn apply(&mut self, effects: Effects) {
        self.effects.outcomes.extend(effects.outcomes);
        self.effects.messages.extend(effects.messages);
    }
}

impl MemoryWebhookDeliveryStore {
    /// All that came of webhooks so far, in order.
    pub fn effects(&self) -> Effects {
        self.contents().effects.clone()
    }

    /// The notices that were not answered well, each time, with the reason.
    pub fn failed(&self) -> Vec<(Destination, WebhookDeliveryId, String)> {
        self.contents().failed.clone()
    }

    fn contents(&self) -> MutexGuard<'_, Held> {
        // Each change is one call that does not panic in its middle.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WebhookDeliveryStore for MemoryWebhookDeliveryStore {
    async fn begin(&self, notice: &WebhookDelivery) -> Result<Option<WebhookResponse>, WebhookDeliveryStoreError> {
        let mut contents = self.contents();
        if notice.duplicate_since.is_some() && contents.is_superseded(notice) {
            contents.forget(notice);
        }
        Ok(contents.completed(notice))
    }

    async fn complete(
        &self,
        notice: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError> {
        let mut contents = self.contents();
        if let Some(before) = contents.completed(notice) {
            return Ok(before);
        }
        contents.forget(notice);
        let said = effects.outcomes.iter().filter_map(|(order, _)| order.clone());
        let orders = said.chain(effects.messages.iter().map(|message| message.order.clone())).collect();
        contents.apply(effects);
        contents.completed.push(CompletedDelivery {
            destination: notice.destination.clone(),
            id: notice.id,
            at: notice.at,
            orders,
            response: response.clone(),
        });
        Ok(response.clone())
    }

    async fn fail(&self, notice: &WebhookDelivery, reason: &str) -> Result<(), WebhookDeliveryStoreError> {
        self.contents().failed.push((notice.destination.clone(), notice.id, reason.to_owned()));
        Ok(())
    }

    async fn apply(&self, _: &Destination, _: SystemTime, effects: Effects) -> Result<(), WebhookDeliveryStoreError> {
        self.contents().apply(effects);
        Ok(())
    }
}
