//! Orders and webhooks, with the vendors' plugins and strict fakes: what a vendor is sent, what each answer comes to, and what
//! never leaves the host.
//!
//! Runs are not journalled yet, so that what a run said before it failed is lost, and each request counts as the first.

mod common;
mod expivi;
mod jewels;
mod secrets;
mod twikit;
mod twikit_exports;
mod twikit_webhooks;
