//! Storage of webhook deliveries.
//!
//! A vendor that does not receive the response repeats a delivery, so a repeat must be recognized by the id that the
//! vendor assigns. Without an id, the same bytes count as a repeat only for [`REPEAT_WINDOW`], and only while no newer
//! delivery arrived about the same orders, or about the account if the delivery named no order: of "41, 42, 41" the
//! third is new. The outcomes of a delivery, its response, and the fact that it was answered are one transaction: after
//! a crash before its commit the delivery is run again, after a crash after its commit the stored response is returned.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{NamedJson, Outcome, WebhookRequest, WebhookResponse};

use crate::webhook::token::Destination;

/// How long a delivery without an id counts as a repeat of an earlier one with the same bytes. This is longer than
/// vendors wait before they repeat one (Twikit: five minutes), and short enough that a later delivery with the same
/// contents is processed.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Why a delivery could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookDeliveryStoreError {
    /// The store is unavailable.
    #[error("the store of webhooks: {0}")]
    Failed(String),
    /// Failed deliveries use up the account's quota, and none of them may be deleted. The vendor is asked to send this
    /// delivery again.
    #[error(
        "the account's quota of webhook deliveries is full of failed ones; the failed webhooks show the reasons; fix \
         these, or ask the operator to raise the quota"
    )]
    QuotaFull {
        /// When to send the delivery again.
        retry_after: Duration,
    },
}

/// Identity of a delivery within its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookDeliveryId {
    /// Digest of the id that the vendor assigned.
    Event(Digest),
    /// Digest of the query and the body.
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

/// An accepted webhook delivery.
#[derive(Debug, Clone)]
pub struct WebhookDelivery {
    /// The account and endpoint that it is for.
    pub destination: Destination,
    /// Identity of the delivery.
    pub id: WebhookDeliveryId,
    /// When the delivery arrived.
    pub at: SystemTime,
    /// An earlier delivery with this id counts as the same only if it was answered at this time or later, and if no
    /// newer one arrived about the same orders or the account. `None` if the vendor's own id decides alone.
    pub duplicate_since: Option<SystemTime>,
    /// The request as the plugin receives it. Its id is new; [`WebhookDeliveryStore::begin`] returns the one to use.
    pub request: WebhookRequest,
}

/// The beginning of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryStart {
    /// The delivery is to be run, with this id: that of its request, or of an earlier one that was not completed.
    Run {
        /// The id that the plugin receives.
        request_id: String,
    },
    /// The delivery is a repeat; this is the earlier response.
    Repeat(WebhookResponse),
}

/// A message that a webhook or a feed forwards to `orders.handle`, as an event of the kind `forwarded`.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderMessage {
    /// Id of the event.
    pub id: String,
    /// When the webhook arrived.
    pub at: SystemTime,
    /// Reference of the order.
    pub order: String,
    /// The message.
    pub message: NamedJson,
}

/// The effects of a webhook, applied together or not at all. The host has checked that each order belongs to the
/// account and each line to the order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Outcomes, each with the reference of its order (never of a line), or `None` for the account.
    pub outcomes: Vec<(Option<String>, Outcome)>,
    /// Messages that become order events.
    pub messages: Vec<OrderMessage>,
}

impl Effects {
    /// Returns whether there are no effects.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.messages.is_empty()
    }
}

/// Stores deliveries, their effects and their responses.
#[async_trait]
pub trait WebhookDeliveryStore: Send + Sync {
    /// Stores a delivery before it is run, so that none is lost and a failed one can be shown. For repeats, see
    /// [`WebhookDelivery::duplicate_since`].
    ///
    /// # Errors
    /// Returns an error if the store is unavailable, and [`WebhookDeliveryStoreError::QuotaFull`] if it has no room
    /// for a new delivery.
    async fn begin(&self, delivery: &WebhookDelivery) -> Result<DeliveryStart, WebhookDeliveryStoreError>;

    /// Applies the effects of a delivery, queues its messages, and stores its response, in one transaction. If another
    /// call or node completed the same delivery meanwhile, nothing is applied and the stored response is returned.
    ///
    /// # Errors
    /// Returns an error if the store is unavailable; nothing is applied then.
    async fn complete(
        &self,
        delivery: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError>;

    /// Records that a delivery failed, and why, for the merchant. When it arrives again, it is run again.
    ///
    /// # Errors
    /// Returns an error if the store is unavailable.
    async fn fail(&self, delivery: &WebhookDelivery, reason: &str) -> Result<(), WebhookDeliveryStoreError>;

    /// Applies the effects of a webhook query that arrived at this time, in one transaction. Its response is not
    /// stored, because every query is answered anew.
    ///
    /// # Errors
    /// Returns an error if the store is unavailable; nothing is applied then.
    async fn apply(
        &self,
        destination: &Destination,
        at: SystemTime,
        effects: Effects,
    ) -> Result<(), WebhookDeliveryStoreError>;
}

/// An in-memory delivery store, for tests and for hosts that may lose deliveries.
#[derive(Debug, Default)]
pub struct MemoryWebhookDeliveryStore {
    contents: Mutex<MemoryDelivery>,
}

#[derive(Debug, Default)]
struct MemoryDelivery {
    /// In the order of completion.
    completed: Vec<CompletedDelivery>,
    /// The request ids of the deliveries that were begun and not completed.
    begun: Vec<(Destination, WebhookDeliveryId, String)>,
    failed: Vec<(Destination, WebhookDeliveryId, String)>,
    effects: Effects,
}

#[derive(Debug)]
struct CompletedDelivery {
    destination: Destination,
    id: WebhookDeliveryId,
    at: SystemTime,
    /// The orders that its outcomes concern.
    orders: BTreeSet<String>,
    response: WebhookResponse,
}

impl MemoryDelivery {
    fn position(&self, delivery: &WebhookDelivery) -> Option<usize> {
        let is_same_delivery =
            |known: &CompletedDelivery| known.destination == delivery.destination && known.id == delivery.id;
        self.completed.iter().position(is_same_delivery)
    }

    fn completed(&self, delivery: &WebhookDelivery) -> Option<WebhookResponse> {
        let known = self.completed.get(self.position(delivery)?)?;
        delivery.duplicate_since.is_none_or(|since| known.at >= since).then(|| known.response.clone())
    }

    /// Returns the id of the request, or that of the same delivery's earlier request that was not completed.
    fn request_id(&mut self, delivery: &WebhookDelivery) -> String {
        let is_same_delivery = |(destination, id, _): &&(Destination, WebhookDeliveryId, String)| {
            *destination == delivery.destination && *id == delivery.id
        };
        if let Some((_, _, request_id)) = self.begun.iter().find(is_same_delivery) {
            return request_id.clone();
        }
        let request_id = delivery.request.id.clone();
        self.begun.push((delivery.destination.clone(), delivery.id, request_id.clone()));
        request_id
    }

    fn forget(&mut self, delivery: &WebhookDelivery) {
        if let Some(position) = self.position(delivery) {
            self.completed.remove(position);
        }
    }

    /// Returns whether a newer delivery arrived about the same orders, or about the account if the delivery named no
    /// order.
    fn is_superseded(&self, delivery: &WebhookDelivery) -> bool {
        let since_delivery = self.position(delivery).and_then(|position| self.completed.get(position..));
        let Some([known, newer @ ..]) = since_delivery else { return false };
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
    /// Returns all effects so far, in order.
    pub fn effects(&self) -> Effects {
        self.contents().effects.clone()
    }

    /// Returns every failure, with its delivery and reason.
    pub fn failed(&self) -> Vec<(Destination, WebhookDeliveryId, String)> {
        self.contents().failed.clone()
    }

    fn contents(&self) -> MutexGuard<'_, MemoryDelivery> {
        // Each change is one call that does not panic midway.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WebhookDeliveryStore for MemoryWebhookDeliveryStore {
    async fn begin(&self, delivery: &WebhookDelivery) -> Result<DeliveryStart, WebhookDeliveryStoreError> {
        let mut contents = self.contents();
        if delivery.duplicate_since.is_some() && contents.is_superseded(delivery) {
            contents.forget(delivery);
        }
        Ok(match contents.completed(delivery) {
            Some(before) => DeliveryStart::Repeat(before),
            None => DeliveryStart::Run { request_id: contents.request_id(delivery) },
        })
    }

    async fn complete(
        &self,
        delivery: &WebhookDelivery,
        effects: Effects,
        response: &WebhookResponse,
    ) -> Result<WebhookResponse, WebhookDeliveryStoreError> {
        let mut contents = self.contents();
        if let Some(before) = contents.completed(delivery) {
            return Ok(before);
        }
        contents.forget(delivery);
        contents.begun.retain(|(destination, id, _)| *destination != delivery.destination || *id != delivery.id);
        let references = effects.outcomes.iter().filter_map(|(order, _)| order.clone());
        let orders = references.chain(effects.messages.iter().map(|message| message.order.clone())).collect();
        contents.apply(effects);
        contents.completed.push(CompletedDelivery {
            destination: delivery.destination.clone(),
            id: delivery.id,
            at: delivery.at,
            orders,
            response: response.clone(),
        });
        Ok(response.clone())
    }

    async fn fail(&self, delivery: &WebhookDelivery, reason: &str) -> Result<(), WebhookDeliveryStoreError> {
        self.contents().failed.push((delivery.destination.clone(), delivery.id, reason.to_owned()));
        Ok(())
    }

    async fn apply(&self, _: &Destination, _: SystemTime, effects: Effects) -> Result<(), WebhookDeliveryStoreError> {
        self.contents().apply(effects);
        Ok(())
    }
}
