//! Builds the guests that the tests use.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

#[path = "../../plugins/bundled/build_guests.rs"]
mod build_guests;

fn main() {
    build_guests::build(
        &["guest-one-line", "guest-order-hook", "guest-hostile", "guest-markup", "guest-resolving", "guest-webhooks"],
        &["tests/guests"],
    );
}
