//! The host functions of the order hook, behind a trait, so that the hook's logic can be tested natively with prepared
//! responses.

use cartwright_plugin::types::{Order, Outcome};
use cartwright_plugin::{CallError, blobs, http, order_book, outcomes, secrets};

use crate::fields::PAYLOAD_SECRET;

/// The host functions that the order hook uses.
pub trait Host {
    /// Sends a request.
    fn send(&mut self, request: http::HttpRequest) -> Result<http::HttpResponse, CallError>;
    /// Returns MD5 of the message followed by the payload secret (Rest API, Create Order: "md5(orderPayload +
    /// payload-secret)").
    fn digest(&mut self, message: &[u8]) -> Result<Vec<u8>, CallError>;
    /// Records an outcome.
    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError>;
    /// Reads stored bytes.
    fn read(&mut self, digest: &str) -> Result<Vec<u8>, CallError>;
    /// Returns the current state of an order. A repeated request repeats a lookup directly before it.
    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, CallError>;
}

/// The real host.
#[derive(Debug, Default, Clone, Copy)]
pub struct Imports;

impl Host for Imports {
    fn send(&mut self, request: http::HttpRequest) -> Result<http::HttpResponse, CallError> {
        http::send(&request)
    }

    fn digest(&mut self, message: &[u8]) -> Result<Vec<u8>, CallError> {
        secrets::digest(PAYLOAD_SECRET, "md5-suffix", message)
    }

    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError> {
        outcomes::emit(&outcome)
    }

    fn read(&mut self, digest: &str) -> Result<Vec<u8>, CallError> {
        blobs::read(digest)
    }

    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, CallError> {
        order_book::find(reference)
    }
}
