//! What vendors send, as far as it is kept: the addresses that they send it to, the notices that came, and what was said of an
//! account.
//!
//! [`Store`](crate::Store) is the [`WebhookDeliveryStore`](cartwright::webhook::WebhookDeliveryStore) of a host: what comes of a notice, the jobs of its
//! messages, its answer and that it was answered are one transaction.

mod account;
mod delivery;
mod delivery_store;
mod erase;
mod pushed;
mod quota;
mod url;

pub use account::{AccountOutcome, AccountOutcomeState};
pub use delivery::FailedWebhookDelivery;
pub use pushed::PushedError;
pub use quota::DEFAULT_WEBHOOK_QUOTA_BYTES;
pub(crate) use quota::ReceiptQuota;
pub use url::WebhookUrlInfo;
