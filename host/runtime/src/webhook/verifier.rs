//! The checks of a request before a plugin sees it.

use cartwright_contract::records::Authentication;
use cartwright_contract::settings::Secrets;
use http::Method;
use ipnet::IpNet;

use crate::webhook::refusal::Refusal;
use crate::webhook::request::IncomingRequest;
use crate::webhook::signature::verify;

/// Maximum size of the headers and the query together, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The requirements of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    /// The declared authentication.
    pub authentication: &'a Authentication,
    /// The account's secrets.
    pub secrets: &'a Secrets,
    /// Networks that the account's grants allow requests from; empty allows all.
    pub networks: &'a [IpNet],
    /// Networks that the vendor sends from, as the plugin declares them; empty allows all.
    pub vendor_networks: &'a [IpNet],
    /// Maximum size of a body, in bytes.
    pub max_body_bytes: usize,
}

impl Verifier<'_> {
    /// Accepts or refuses a request. The cheap checks come first, because a stranger must not be able to make the host
    /// hash any amount of data.
    ///
    /// # Errors
    /// The [`Refusal`] names the failed check.
    pub fn admit(&self, incoming: &IncomingRequest) -> Result<(), Refusal> {
        // A machine that listens on IPv6 sees IPv4 senders in mapped form.
        let from = incoming.from.map(|from| from.to_canonical());
        let allows = |networks: &[IpNet]| {
            networks.is_empty() || from.is_some_and(|from| networks.iter().any(|network| network.contains(&from)))
        };
        if !allows(self.networks) {
            return Err(Refusal::Source(from));
        }
        if !allows(self.vendor_networks) {
            return Err(Refusal::VendorSource(from));
        }
        // Link checkers and previews send GET, and it carries nothing that a signature covers.
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
