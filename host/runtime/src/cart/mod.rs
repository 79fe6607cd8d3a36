//! From a raw configuration to checked changes of a cart.
//!
//! A configuration is prepared once per pin: what a page sent is resolved by the vendor's server if the plugin does that
//! ([`resolving`]), the result is decoded, its vendor products are checked, and its items are fingerprinted
//! ([`decoding`]), which results in a [`Prepared`](prepared::Prepared) configuration. For each requested
//! quantity it is priced from its price source, planned and checked ([`pipeline`]), and again if a line joins another.
//! At the end, the lines that are returned get their thumbnails, their configuration is stored, and their prices are
//! sealed. A refused request leaves nothing behind. Each stage explains itself in
//! [`CartChange::stages`](cartwright_cart::change::CartChange::stages). Adding, editing, refreshing, reordering and
//! requesting a quote all use this pipeline ([`operations`]); [`quote`] adds a quote to a cart, [`check`] checks a cart
//! before it is ordered, and [`change`] changes and merges carts.

mod budget_usage;
mod change;
mod check;
mod decode_slots;
mod decoding;
mod operations;
mod order_lines;
mod pipeline;
mod planning;
mod prepared;
mod quote;
mod request;
mod resolved;
mod resolving;
mod stored_configuration;
mod thumbnails;

pub(crate) use decode_slots::DecodeSlots;
pub(crate) use resolved::ResolvedConfiguration;
