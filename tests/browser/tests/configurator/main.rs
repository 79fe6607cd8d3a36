//! Product pages of embed data and cartwright.js alone, in a real browser.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod contract;
mod expivi;
mod faults;
mod loader;
mod shop;
mod twikit;
