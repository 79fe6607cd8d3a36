//! The guests of the tests, as the bytes of their components.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

/// The smallest strategy.
pub const ONE_LINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-one-line.wasm"));
/// An order hook.
pub const ORDER_HOOK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-order-hook.wasm"));
/// A vendor with signed webhooks, whose bodies control it; some of its settings have dynamic choices.
pub const WEBHOOKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-webhooks.wasm"));
/// A strategy that misbehaves.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-hostile.wasm"));
/// A vendor whose page gives only an id, which its server resolves.
pub const RESOLVING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-resolving.wasm"));
/// A vendor that puts markup into every text that it returns, each under its own name.
pub const MARKUP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-markup.wasm"));
