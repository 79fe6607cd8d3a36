//! Twikit Custom Integration 1.1.2 as a Cartwright plugin: the world `vendor` of the contract.
//!
//! Twikit's part of a sale: its script shows a product and saves a configuration under an id; after payment an order of such ids is
//! sent to its REST API, which asks back whether the order is valid, produces, and tells when it is done. What the document
//! does not have decides as much: no price or SKU that a server would confirm, no list of products, no reopening, no
//! cancellation, no signature on what it sends.
//!
//! Where to look:
//! - [`fields`], [`settings`], [`account`], [`products`]: setting up;
//! - [`page`], [`decode`], [`plan`]: from the product page into the cart;
//! - [`orders`], [`release`], [`export`], with [`payload`], [`answers`], [`identifiers`], [`ledger`]: production;
//! - [`webhooks`], [`verification`], [`notices`]: what Twikit asks and tells;
//! - [`ports`] is the only way from the order hook's logic to the host's imports: all else is tested natively.
//!
//! Twikit's later API (OAuth 2.0, another host, `uuid` configurations) is another generation and another plugin.

pub mod account;
mod component;
pub mod decode;
pub mod export;
pub mod fields;
pub mod host;
pub mod identifiers;
pub mod identity;
pub mod ledger;
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
cartwright_plugin::export_vendor!(Twikit);
