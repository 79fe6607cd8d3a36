//! The way in: everything that is checked before a plugin hears of a request.

use cartwright_contract::records::Authentication;
use cartwright_contract::settings::Secrets;
use http::Method;
use ipnet::IpNet;

use crate::webhook::refusal::Refusal;
use crate::webhook::request::IncomingRequest;
use crate::webhook::signature::verify;

/// The most bytes that the headers and the query have together.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What an endpoint asks of a request.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    /// How the plugin tells the vendor.
    pub authentication: &'a Authentication,
    /// The account's secrets.
    pub secrets: &'a Secrets,
    /// Where requests may come from; empty = from anywhere.
    pub networks: &'a [IpNet],
    /// The most bytes that a body may have.
    pub max_body_bytes: usize,
}

impl Verifier<'_> {
    /// Lets a request in, or says why not. The cheap checks come first: hashing a body is work that a stranger must not be able
    /// to ask for in any amount.
    ///
    /// # Errors
    /// Each [`Refusal`] says which check.
    pub fn admit(&self, incoming: &IncomingRequest) -> Result<(), Refusal> {
        if !self.networks.is_empty() {
            // A machine that listens on IPv6 sees IPv4 senders in a form of its own.
            let from = incoming.from.map(|from| from.to_canonical());
            if !from.is_some_and(|from| self.networks.iter().any(|network| network.contains(&from))) {
                return Err(Refusal::Source(from));
            }
        }
        // A GET is what link checkers and previews send, and carries nothing that a signature covers.
        if !matches!(incoming.method, Method::POST | Method::PUT) {
            return Err(Refusal::Method(incoming.method.clone()));
        }
        let sizes =
            [("body", incoming.body.len(), self.max_body_bytes), ("head", incoming.head_bytes(), MAX_HEAD_BYTES)];
        if let Some((part, bytes, allowed)) = sizes.into_iter().find(|(_, bytes, allowed)| bytes > allowed) {
            return Err(Refusal::TooLarge { part, bytes, allowed });
        }
        verify(self.authentication, self.secrets, incoming)
    }
}
