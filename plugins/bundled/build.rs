//! Builds the two bundled plugins.

mod build_guests;

fn main() {
    build_guests::build(&["cartwright-expivi", "cartwright-twikit"], &["plugins/expivi", "plugins/twikit"]);
}
