//! The limits that an operator can set, and those that are fixed.

use std::fmt;
use std::num::NonZeroU32;

/// Maximum size of a request body, in bytes, unless another limit applies.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;
/// Maximum size of a component in an installation request, in bytes. The host's own limit is lower and has its own
/// message.
pub const MAX_COMPONENT_BYTES: usize = 128 << 20;
/// Maximum size of a webhook's body, in bytes; those of vendors are a few kilobytes.
pub(crate) const MAX_WEBHOOK_BYTES: usize = 4 << 20;
/// Maximum size of the sign-in form, in bytes. Any client may send it; it holds a key and the page to return to.
pub const MAX_SIGN_IN_BYTES: usize = 8 << 10;
/// Maximum size of a request's head, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;
/// Maximum size of a body that is parsed on an async worker, in bytes; a larger one is parsed on a thread of its own.
pub(crate) const MAX_INLINE_BYTES: usize = 64 << 10;

/// The limits that an operator can set for each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Maximum requests per second with one access key.
    pub requests_per_second: NonZeroU32,
    /// Maximum requests per second from one client address with storefront keys.
    pub client_requests_per_second: NonZeroU32,
    /// Maximum requests per second to one webhook endpoint of an account.
    pub webhook_requests_per_second: NonZeroU32,
    /// Maximum number of wrong access keys per minute from one client address.
    pub failed_keys_per_minute: NonZeroU32,
    /// Maximum number of open connections.
    pub max_connections: NonZeroU32,
    /// Maximum number of open connections from one address that is not a proxy's.
    pub max_connections_per_address: NonZeroU32,
    /// Maximum size of a body sent with a storefront's key, in bytes, unless the shop has its own limit.
    pub max_storefront_body_bytes: NonZeroU32,
    /// Maximum size of the bodies of all requests in progress, in bytes.
    pub max_body_bytes_in_flight: NonZeroU32,
}

/// More than a busy shop's server sends; a server that runs wild leaves capacity to the others.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// More than the shoppers of an office or behind a mobile carrier's address send at once. See [`client_default`].
const CLIENT_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// Returns the default limit of one client: at most a quarter of the key's limit, so that a few clients do not exhaust
/// it.
pub fn client_default(requests_per_second: NonZeroU32) -> NonZeroU32 {
    let quarter = NonZeroU32::new(requests_per_second.get() / 4).unwrap_or(NonZeroU32::MIN);
    quarter.min(CLIENT_REQUESTS_PER_SECOND)
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND,
            client_requests_per_second: client_default(REQUESTS_PER_SECOND),
            // A vendor that ships a day's orders at once sends some hundred webhooks.
            webhook_requests_per_second: const { NonZeroU32::new(50).expect("not zero") },
            // Enough for some typing errors of an operator, and for a server with an outdated key that retries.
            failed_keys_per_minute: const { NonZeroU32::new(20).expect("not zero") },
            // With files and database connections, this fits the 1024 descriptors that a process may usually open.
            max_connections: const { NonZeroU32::new(768).expect("not zero") },
            // A browser opens six.
            max_connections_per_address: const { NonZeroU32::new(128).expect("not zero") },
            max_storefront_body_bytes: const { NonZeroU32::new(2 << 20).expect("not zero") },
            max_body_bytes_in_flight: const { NonZeroU32::new(256 << 20).expect("not zero") },
        }
    }
}

impl fmt::Display for LimitSettings {
    /// Writes all request limits, for the description of the API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests_per_second,
            client_requests_per_second,
            webhook_requests_per_second,
            failed_keys_per_minute,
            max_connections,
            max_connections_per_address,
            max_storefront_body_bytes,
            max_body_bytes_in_flight,
        } = self;
        write!(
            f,
            "Limits of this node: {requests_per_second} requests per second with one access key, and \
             {client_requests_per_second} per second from one client address with storefronts' keys (429); \
             {webhook_requests_per_second} per second to one webhook of an account (429); \
             {failed_keys_per_minute} wrong keys per minute from one address (429); the largest body is {MAX_BODY_BYTES} bytes, \
             {max_storefront_body_bytes} bytes with a storefront's key unless the shop has its own limit, \
             {MAX_COMPONENT_BYTES} bytes for a component and {MAX_WEBHOOK_BYTES} bytes for a webhook (413); the parsed \
             values of a body may take 4 MiB plus four times its size (413); the bodies of all requests in progress take at \
             most {max_body_bytes_in_flight} bytes, of which storefronts and webhooks share half, one shop's storefronts a \
             quarter and one address an eighth (503 with Retry-After); the head of a request has at most {MAX_HEAD_BYTES} \
             bytes (431); at most {max_connections} connections, \
             {max_connections_per_address} from one address (503)."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("a number")
    }

    #[test]
    fn the_default_for_one_client_is_a_quarter_of_its_keys_limit_and_at_most_100() {
        for (key, client) in [(1, 1), (4, 1), (100, 25), (400, 100), (100_000, 100)] {
            assert_eq!(client_default(number(key)), number(client));
        }
    }
}
