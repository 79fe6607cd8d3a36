//! The way from a raw configuration to checked changes of a cart.
//!
//! decode → are the vendor's products the linked ones → fingerprints: prepared once for a configuration and a pin ([`prepared`]). Price
//! from its source → plan → check every operation: for the quantities that are wanted ([`pipeline`]), and again where a line becomes
//! more of another. Thumbnails → store → sealed price: once at the end, for what is answered. What is refused on the way leaves nothing
//! behind. Each stage explains itself in [`CartChange::stages`](cartwright_cart::change::CartChange::stages). Adding, editing,
//! refreshing, reordering and asking for an offer all go this one way ([`operations`]); [`quote`] puts an offer into a cart, [`check`]
//! checks a cart before it is ordered, [`change`] changes and joins carts.

mod change;
mod check;
mod decoding;
mod operations;
mod order_lines;
mod pipeline;
mod planning;
mod prepared;
mod quote;
mod request;
mod thumbnails;

pub(crate) use thumbnails::DecodeSlots;
