//! What vendors send: from the network to an answer.
//!
//! A request is a stranger's until its endpoint's way of telling the vendor has been gone through ([`Door`]). Whoever is refused
//! learns a status code and nothing else; the merchant learns what to do about it ([`Refusal`]).

mod address;
mod door;
mod effects;
mod incoming;
mod receipts;
mod receive;
mod refusal;
mod signature;

pub use address::{AddressHash, Destination, HeldOpen, Selector, StoredAddress, WebhookAddress};
pub use door::Door;
pub use incoming::Incoming;
pub use receipts::{Effects, MemoryReceipts, Notice, NoticeId, OrderMessage, Receipts, ReceiptsError, SAME_BODY_FOR};
pub use receive::WebhookError;
pub use refusal::{HeaderFault, Refusal};
pub use signature::TIME_WINDOW;

pub(crate) use signature::check_authentication;
