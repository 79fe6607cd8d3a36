//! Orders and webhooks, with the vendors' plugins and strict fakes: what a vendor is sent, what each answer comes to, and what
//! never leaves the host.
//!
//! Each run has a journal of its own that is gone with it, so that each request counts as the first; `crashes` and `replay` have the
//! others.

pub mod common;
mod expivi;
pub mod jewels;
mod secrets;
mod twikit;
mod twikit_exports;
mod twikit_webhooks;
