//! The way from a raw configuration to checked changes of a cart.
//!
//! decode → are the vendor's products the linked ones → price from its authority → plan → check every operation → pictures →
//! store → sealed price. What is refused on the way leaves nothing behind. Each step explains itself in [`CartChange::stages`](crate::CartChange::stages). Adding, editing, refreshing, reordering and asking for a
//! quotation all go this one way ([`path`]); [`offer`] answers a quotation, [`check`] checks a cart before it is ordered, [`change`]
//! changes and joins carts.

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
