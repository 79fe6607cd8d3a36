//! `cartwright demo` in a real browser, as a person uses it who tries Cartwright for the first time.
//!
//! Runs the command that was built last: run `cargo build -p cartwright-cli` before, or `cargo test --workspace`.
//! Screenshots are stored in the folder that `CARTWRIGHT_SCREENSHOTS` names.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod admin;
mod demo;
mod friendly;
mod integrator;
mod merchant;
mod shopper;
