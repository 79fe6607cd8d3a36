//! Notifications to a platform: that a plugin reported an outcome, that a job stopped or is done, that something waits
//! for the merchant.
//!
//! A notification is written in the transaction of its cause, so that none is lost, and none is sent for a change that
//! did not happen. It names what happened and where by ids only, and of a document its `audience`: the platform
//! requests the rest, and no personal data is sent. It is sent until it is answered with 2xx, at least once, signed as Standard Webhooks define:
//!
//! ```json
//! { "type": "outcome.line-status", "timestamp": "2026-01-01T12:00:00Z",
//!   "data": { "shop": "rings", "order": "1001", "account": "expivi", "outcome": 17, "job": "rings:expivi:e-1" } }
//! ```
//!
//! The type is `outcome.` or `account.` with the kind of an outcome as the contract spells it, or `job.` with one of
//! the states "done", "stopped", "needs-merchant" and "cancelled".
//!
//! The notifications of one order arrive in sequence, unless one failed and is retried. Those of one shop are sent one
//! at a time, concurrently with other shops'; an unavailable platform is retried each minute and does not delay others.

mod claim;
mod endpoint;
mod outbox;
mod sender;

pub(crate) use outbox::Subject;

pub use claim::{NotificationState, StoredNotification};
pub use endpoint::{EndpointError, NotificationEndpoint, endpoint_version};
pub use sender::Notifier;
