//! Builds the guests that the tests use.

#[path = "../../plugins/bundled/build_guests.rs"]
mod build_guests;

fn main() {
    build_guests::build(
        &["guest-one-line", "guest-order-hook", "guest-hostile", "guest-markup", "guest-webhooks"],
        &["tests/guests"],
    );
}
