//! What vendors send: from the network to an answer.
//!
//! A request is a stranger's until its endpoint's way of telling the vendor has been gone through ([`Verifier`]). Whoever is refused
//! learns a status code and nothing else; the merchant learns what to do about it ([`Refusal`]).
//!
//! A server reads the address, asks its store for what stands under its selector, and hands the request over whole:
//!
//! ```no_run
//! use cartwright::types::WebhookResponse;
//! use cartwright::webhook::{HeldOpen, Incoming, Receipts, StoredAddress, WebhookAddress, WebhookError};
//! use cartwright::Cartwright;
//!
//! # fn look_up(_: cartwright::webhook::Selector) -> Option<(StoredAddress, HeldOpen)> { None }
//! async fn answer(host: &Cartwright, store: &dyn Receipts, path: &str, incoming: Incoming) -> WebhookResponse {
//!     let answered = async {
//!         let address: WebhookAddress = path.parse()?;
//!         let stored = look_up(address.selector());
//!         let to = address.find(stored.as_ref().map(|(stored, held)| (stored, *held)), incoming.at)?;
//!         host.receive_webhook(&to, &incoming, store).await
//!     };
//!     // The error's text is for the merchant; the sender gets its response.
//!     answered.await.unwrap_or_else(|error: WebhookError| error.response())
//! }
//! ```

mod address;
mod effects;
mod incoming;
mod pushed;
mod receipts;
mod receive;
mod refusal;
mod signature;
mod verifier;

pub use address::{AddressHash, Destination, HeldOpen, Selector, StoredAddress, WebhookAddress};
pub use incoming::Incoming;
pub use pushed::{Pushed, entered};
pub use receipts::{Effects, MemoryReceipts, Notice, NoticeId, OrderMessage, REPEAT_WINDOW, Receipts, ReceiptsError};
pub use receive::WebhookError;
pub use refusal::{HeaderFault, Refusal};
pub use signature::{SigningError, TIME_WINDOW, new_standard_secret, sign_standard};
pub use verifier::Verifier;

pub(crate) use signature::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
