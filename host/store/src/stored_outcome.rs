//! An outcome as it is stored, and the selection of an order's outcomes.

use std::time::SystemTime;

use cartwright::AccountId;
use cartwright::types::Outcome;

/// A stored outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOutcome {
    /// Id of the outcome; later outcomes have higher ids.
    pub id: i64,
    /// Account that reported the outcome.
    pub account: AccountId,
    /// Job that reported it; `None` = a webhook or a feed.
    pub job: Option<String>,
    /// The outcome itself. The bytes of a document are a blob of the shop.
    pub outcome: Outcome,
    /// Whether the outcome needs attention. This is true for [`Outcome::NeedsMerchant`], until
    /// [`Outcomes::resolve`](crate::Outcomes::resolve). Pushed settings wait with their account, see
    /// [`Webhooks::account_outcomes`](crate::Webhooks::account_outcomes).
    pub needs_attention: bool,
    /// Version of the order at the time of the report.
    pub order_version: u64,
    /// Time of the report.
    pub at: SystemTime,
    /// Whether the outcome is late, so that it changes nothing: a line's status that the line had already passed, or a
    /// shipment as it was before a known change. Set by [`Outcomes::list`](crate::Outcomes::list).
    pub is_late: bool,
}

/// Selects outcomes of an order.
#[derive(Clone, Copy)]
pub(crate) enum OutcomeSelection {
    /// All outcomes.
    All,
    /// Line statuses.
    Statuses,
    /// The outcomes that determine how a vendor sees an order: line statuses, and vendor references. The query takes no
    /// longer for an order with many outcomes.
    Visible,
    /// The outcome with this id.
    One(i64),
}
