//! The guests that tests run, as the bytes of their components.

/// The smallest strategy.
pub const ONE_LINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-one-line.wasm"));
/// An order hook.
pub const ORDER_HOOK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-order-hook.wasm"));
/// A vendor whose webhooks are signed, and do as they are told; some of its settings have choices that it is asked for.
pub const WEBHOOKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-webhooks.wasm"));
/// A strategy that misbehaves.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-hostile.wasm"));
/// A vendor that puts markup into every text that it gives, each under a name of its own.
pub const MARKUP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-markup.wasm"));
