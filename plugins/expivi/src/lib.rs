//! Expivi's 3D configurator as a Cartwright plugin.
//!
//! The page starts `ExpiviComponent` and saves with `saveConfiguration`. This plugin decodes the result ([`decode`]),
//! plans cart lines with one of three strategies ([`plan`]) at the platform's prices, Expivi's or those of the parts,
//! and after the release of an order uploads the configuration and fetches its print files. [`Expivi`] is the
//! component; its interfaces only delegate.
//!
//! The sources on Expivi are its integration guide and public code that uses it. Where both are silent, the module that
//! had to decide documents its decision, or a setting leaves it to the merchant.
//!
//! ```
//! use cartwright_expivi::decode;
//! # use cartwright_plugin::types::{Context, Currency, ProductLink, Rounding, Shop, Visitor};
//! # let context = Context {
//! #     shop: Shop {
//! #         id: "shop".into(),
//! #         currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
//! #         base_country: None,
//! #         prices_include_tax: true,
//! #         rounding: Rounding::HalfUp,
//! #         time_zone: None,
//! #     },
//! #     account: "expivi".into(),
//! #     visitor: Some(Visitor {
//! #         currency: Currency { code: "EUR".into(), scale: 2 },
//! #         country: None,
//! #         region: None,
//! #         customer_groups: Vec::new(),
//! #     }),
//! #     locale: "en".into(),
//! #     now: "2026-03-01T09:30:00Z".into(),
//! #     settings: Vec::new(),
//! #     grants: Vec::new(),
//! #     extra: Vec::new(),
//! # };
//! # let product_link = ProductLink {
//! #     shop_product: "ring".into(), vendor_product: "1001".into(), additional_vendor_products: vec![], preset: None,
//! #     allowed_skus: vec![], extra: vec![],
//! # };
//! // Made by us from the documented types.
//! let saved = br#"[{ "catalogue_id": "1001", "attributes":
//!     [{ "attribute_id": 11, "attribute_name": "Metal", "attribute_value_name": "Gold" }] }]"#;
//! let decoded = decode(&context, &product_link, saved)?;
//! assert_eq!(decoded.items[0].attributes[0].value, "Gold");
//! # Ok::<(), cartwright_plugin::CallError>(())
//! ```

mod api;
mod configuration;
mod decimal;
mod host;
mod orders;
mod page;
mod prices;
mod product_tree;
mod products;
mod raw;
mod saved;
mod settings;
mod strategy;
#[cfg(test)]
mod testing;
mod vendor;

pub use configuration::decode;
pub use strategy::plan;
pub use vendor::Expivi;

#[cfg(target_arch = "wasm32")]
cartwright_plugin::export_vendor!(Expivi, account, products, product_links, reopening, prices, cart, orders);
