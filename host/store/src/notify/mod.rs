//! What a platform is told: that an outcome came, that a job stopped or is done, that something waits for the merchant.
//!
//! A notification is written in the transaction of what it tells of, so none is lost and none tells of what did not happen. It names
//! what happened and where, and nothing else: a platform asks for the rest, and nobody's data travels. It is sent until it is
//! answered with 2xx, at least once, signed as Standard Webhooks:
//!
//! ```json
//! { "type": "outcome.line-status", "timestamp": "2026-01-01T12:00:00Z",
//!   "data": { "shop": "rings", "order": "1001", "account": "expivi", "outcome": 17, "job": "rings:expivi:e-1" } }
//! ```
//!
//! Types are `outcome.` and `account.` with the kind of an outcome as the contract spells it, and `job.` with one of the states
//! "done", "stopped", "needs-merchant" and "cancelled".
//!
//! Those of one order arrive in order, unless one was given up and is sent again. One shop's are sent one at a time, other shops' beside
//! them; a platform that is away is asked again each minute and holds up nobody else's.

mod claim;
mod endpoint;
mod outbox;
mod sender;

pub(crate) use outbox::Subject;

pub use claim::{NotificationState, StoredNotification};
pub use endpoint::{EndpointError, NotificationEndpoint, endpoint_version};
pub use sender::Notifier;
