//! Orders and webhooks, with the vendors' plugins and strict fakes: the requests to a vendor, the handling of each
//! response, and the data that never leaves the host.
//!
//! Each run has its own temporary journal, so that each request counts as the first one; `crashes` and `replay` test
//! the others.

pub mod common;
mod expivi;
pub mod jewels;
mod secrets;
mod twikit;
mod twikit_exports;
mod twikit_webhooks;
