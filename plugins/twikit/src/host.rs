//! The host's functions that the order hook uses, behind a trait: the hook's logic is tested natively with prepared answers.

use cartwright_plugin::types::{Order, Outcome};
use cartwright_plugin::{Error, blobs, http, order_book, outcomes, secrets};

use crate::fields::PAYLOAD_SECRET;

/// What the order hook asks of the host.
pub trait Host {
    /// Sends a request.
    fn send(&mut self, request: http::Request) -> Result<http::Response, Error>;
    /// MD5 over the message followed by the payload secret (Rest API, Create Order: "md5(orderPayload + payload-secret)").
    fn digest(&mut self, message: &[u8]) -> Result<Vec<u8>, Error>;
    /// Says what came of something.
    fn emit(&mut self, outcome: Outcome) -> Result<(), Error>;
    /// Bytes that the host stored.
    fn read(&mut self, digest: &str) -> Result<Vec<u8>, Error>;
    /// The order as it is now. Asked anew with a request that follows it directly.
    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, Error>;
}

/// The real host.
#[derive(Debug, Default, Clone, Copy)]
pub struct Imports;

impl Host for Imports {
    fn send(&mut self, request: http::Request) -> Result<http::Response, Error> {
        http::send(&request)
    }

    fn digest(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        secrets::digest(PAYLOAD_SECRET, "md5-suffix", message)
    }

    fn emit(&mut self, outcome: Outcome) -> Result<(), Error> {
        outcomes::emit(&outcome)
    }

    fn read(&mut self, digest: &str) -> Result<Vec<u8>, Error> {
        blobs::read(digest)
    }

    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, Error> {
        order_book::find(reference)
    }
}
