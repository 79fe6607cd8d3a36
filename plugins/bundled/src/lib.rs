//! The plugins that ship with Cartwright, as the bytes of their components.

/// The Expivi plugin.
pub const EXPIVI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cartwright-expivi.wasm"));

/// The Twikit plugin.
pub const TWIKIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cartwright-twikit.wasm"));

/// Returns a bundled plugin by its id.
pub fn by_id(id: &str) -> Option<&'static [u8]> {
    match id {
        "expivi" => Some(EXPIVI),
        "twikit" => Some(TWIKIT),
        _ => None,
    }
}
