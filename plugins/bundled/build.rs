//! Builds the two bundled plugins.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

mod build_guests;

fn main() {
    build_guests::build(&["cartwright-expivi", "cartwright-twikit"], &["plugins/expivi", "plugins/twikit"]);
}
