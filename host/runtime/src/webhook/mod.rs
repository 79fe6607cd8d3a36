//! Webhooks of vendors, from the network to the response.
//!
//! A request is untrusted until it has passed the authentication of its endpoint ([`Verifier`]). The sender of a refused
//! request receives a status code and nothing else; the merchant is shown what to do about it ([`Refusal`]).
//!
//! A server parses the token in the URL, looks its selector up in a store, and passes the request on unchanged:
//!
//! ```no_run
//! use cartwright::types::WebhookResponse;
//! use cartwright::webhook::{WebhookUrlUse, IncomingRequest, WebhookDeliveryStore, StoredWebhookToken, WebhookToken, WebhookError};
//! use cartwright::Cartwright;
//!
//! # fn look_up(_: cartwright::webhook::Selector) -> Option<(StoredWebhookToken, WebhookUrlUse)> { None }
//! async fn answer(host: &Cartwright, store: &dyn WebhookDeliveryStore, path: &str, request: IncomingRequest) -> WebhookResponse {
//!     let answered = async {
//!         let token: WebhookToken = path.parse()?;
//!         let stored = look_up(token.selector());
//!         let to = token.resolve(stored.as_ref().map(|(stored, held)| (stored, *held)), request.at)?;
//!         host.receive_webhook(&to, &request, store).await
//!     };
//!     // The error's text is for the merchant; the sender gets its response.
//!     answered.await.unwrap_or_else(|error: WebhookError| error.response())
//! }
//! ```

mod deliveries;
mod effects;
mod endpoints;
mod pushed;
mod receive;
mod refusal;
mod request;
mod signature;
mod token;
mod verifier;

pub use deliveries::{
    DeliveryStart, Effects, MemoryWebhookDeliveryStore, OrderMessage, REPEAT_WINDOW, WebhookDelivery,
    WebhookDeliveryId, WebhookDeliveryStore, WebhookDeliveryStoreError,
};
pub use pushed::{Pushed, form_value};
pub use receive::WebhookError;
pub use refusal::{HeaderFault, Refusal};
pub use request::IncomingRequest;
pub use signature::{SigningError, TIME_WINDOW, new_standard_secret, sign_standard};
pub use token::{Destination, Selector, StoredWebhookToken, TokenHash, WebhookToken, WebhookUrlUse};
pub use verifier::Verifier;

pub(crate) use effects::{EffectsError, ReportSource};
pub(crate) use receive::new_request_id;
pub(crate) use signature::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
