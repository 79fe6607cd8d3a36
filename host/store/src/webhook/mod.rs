//! Storage of webhooks: webhook URLs, deliveries, and outcomes for accounts.
//!
//! [`Store`](crate::Store) implements a host's [`WebhookDeliveryStore`](cartwright::webhook::WebhookDeliveryStore): the
//! effects of a delivery, the jobs of its messages, and its response are stored in one transaction.

mod account;
mod delivery;
mod delivery_store;
mod erase;
mod pushed;
mod quota;
mod reduction;
mod url;

pub use account::{AccountOutcome, AccountOutcomeState};
pub use delivery::FailedWebhookDelivery;
pub use pushed::PushedError;
pub use quota::DEFAULT_WEBHOOK_QUOTA_BYTES;
pub(crate) use quota::WebhookQuota;
pub use url::WebhookUrlInfo;
