//! Twikit Custom Integration 1.1.2 as a Cartwright plugin: the world `vendor` of the contract.
//!
//! Twikit's script shows a product and saves a configuration under an id. After payment the plugin sends an order of
//! such ids to Twikit's REST API. Twikit asks back whether the order is valid, produces it, and sends a webhook when it
//! is done. What the document lacks shapes this plugin as much: no price or SKU that a server confirms, no list of
//! products, no reopening, no cancellation, no signed webhooks.
//!
//! Modules:
//! - [`fields`], [`settings`], [`account`], [`products`]: set-up;
//! - [`page`], [`decode`], [`plan`]: from the product page into the cart;
//! - [`orders`], [`release`], [`export`], with [`payload`], [`responses`], [`identifiers`], [`ledger`]: production;
//! - [`webhooks`], [`verification`], [`webhook_deliveries`]: Twikit's webhooks;
//! - [`host`] is the order hook's only access to the host's imports; everything else is tested natively.
//!
//! Twikit's later API (OAuth 2.0, another host, `uuid` configurations) is another generation and needs another plugin.

pub mod account;
mod component;
pub mod decode;
pub mod export;
pub mod fields;
pub mod host;
pub mod identifiers;
pub mod ledger;
pub mod metadata;
pub mod orders;
pub mod page;
pub mod payload;
pub mod plan;
pub mod products;
pub mod release;
pub mod responses;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod urls;
pub mod verification;
pub mod webhook_deliveries;
pub mod webhooks;

/// The component.
#[derive(Debug)]
pub struct Twikit;

#[cfg(target_arch = "wasm32")]
cartwright_plugin::export_vendor!(Twikit, account, products, product_links, cart, orders, webhooks);
