//! Carts: the whole path from a configuration to checked changes of a cart, with Expivi's plugin, a strict fake of the
//! vendor, and hostile plugins.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod bundles;
mod cart_rules;
mod currencies;
mod explained;
mod forged_carts;
mod hostile;
mod hostile_configurations;
mod links_again;
mod observed;
mod pages;
mod properties;
mod resolving;
mod sets;
mod strategy_settings;
mod swap;
