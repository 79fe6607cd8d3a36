//! The imports that this plugin calls, behind a trait, so that everything that uses them can be tested natively.

use cartwright_plugin::http::{HttpRequest, HttpResponse};
use cartwright_plugin::timer::WakeReason;
use cartwright_plugin::types::{Article, Order, Outcome};
use cartwright_plugin::{CallError, blobs, http, order_book, outcomes, timer};

/// The host functions for hooks with network access.
pub(crate) trait Host {
    /// Sends a request.
    fn send(&mut self, request: HttpRequest) -> Result<HttpResponse, CallError>;
    /// Records an outcome.
    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError>;
    /// Waits.
    fn sleep(&mut self, seconds: u32) -> Result<WakeReason, CallError>;
    /// Reads stored bytes.
    fn read(&mut self, digest: &str) -> Result<Vec<u8>, CallError>;
    /// Returns the current state of an order.
    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, CallError>;
    /// Returns the bill of materials of one piece of an order line.
    fn bill_of_materials(&mut self, line_reference: &str) -> Result<Vec<Article>, CallError>;
}

/// The real host. Its functions panic in native tests.
pub(crate) struct Imports;

impl Host for Imports {
    fn send(&mut self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        http::send(&request)
    }

    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError> {
        outcomes::emit(&outcome)
    }

    fn sleep(&mut self, seconds: u32) -> Result<WakeReason, CallError> {
        timer::sleep(seconds)
    }

    fn read(&mut self, digest: &str) -> Result<Vec<u8>, CallError> {
        blobs::read(digest)
    }

    fn find_order(&mut self, reference: &str) -> Result<Option<Order>, CallError> {
        order_book::find(reference)
    }

    fn bill_of_materials(&mut self, line_reference: &str) -> Result<Vec<Article>, CallError> {
        order_book::bill_of_materials(line_reference)
    }
}
