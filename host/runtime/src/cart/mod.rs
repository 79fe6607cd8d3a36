//! From a raw configuration to checked changes of a cart.
//!
//! The stages are: decode, check the vendor products, identify, price, plan, check, thumbnails, store, seal. A refused
//! request leaves nothing behind. Each stage explains itself in [`CartChange::stages`](crate::CartChange::stages).
//! Adding, editing, refreshing, reordering and requesting a quote all use this pipeline (`operations`); `quote`
//! accepts quotes, `check` checks a cart before it is ordered, and `change` changes and merges carts.

mod change;
mod check;
mod decoding;
mod operations;
mod order_lines;
mod pipeline;
mod planning;
mod quote;
mod request;
mod thumbnails;

pub(crate) use thumbnails::DecodeSlots;
