//! The demo in a real browser: `cartwright demo` as somebody runs it who tries Cartwright for the first time.
//!
//! It runs the command that was built last: `cargo build -p cartwright-cli` before, as `cargo test --workspace` does.
//! Pictures of what is shown are kept where `CARTWRIGHT_SCREENSHOTS` names a folder.

mod admin;
mod demo;
mod friendly;
mod integrator;
mod merchant;
mod shopper;
