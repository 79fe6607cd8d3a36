//! Expivi's 3D configurator as a Cartwright vendor.
//!
//! The page starts `ExpiviComponent` and saves with `saveConfiguration`; what it gives is decoded here ([`decode`]), brought
//! into the cart by one of three strategies ([`plan`]), priced by the platform, by Expivi or by its parts, and uploaded and
//! turned into print files once an order is released. [`Expivi`] is the component; its interfaces only hand on.
//!
//! What is known about Expivi comes from its integration guide and from public code that talks to it. Where both are silent,
//! the module that had to decide says so, and where a merchant can know better, it is a setting.
//!
//! ```
//! use cartwright_expivi::decode;
//! # use cartwright_plugin::types::{Association, Context, Rounding};
//! # let context = Context {
//! #     shop: "shop".into(), account: "expivi".into(), locale: "en".into(), currency: "EUR".into(), scale: 2, country: None,
//! #     customer_group: None, prices_include_tax: true, rounding: Rounding::HalfUp, at: "2026-03-01T09:30:00Z".into(),
//! #     settings: vec![], settings_revision: 1, grants: vec![], extra: vec![],
//! # };
//! # let association = Association {
//! #     shop_product: "ring".into(), vendor_product: "1001".into(), other_vendor_products: vec![], preset: None,
//! #     allowed_skus: vec![],
//! # };
//! // Made by us from the documented types.
//! let saved = br#"[{ "catalogue_id": "1001", "attributes":
//!     [{ "attribute_id": 11, "attribute_name": "Metal", "attribute_value_name": "Gold" }] }]"#;
//! let decoded = decode(&context, &association, saved)?;
//! assert_eq!(decoded.items[0].attributes[0].value, "Gold");
//! # Ok::<(), cartwright_plugin::Error>(())
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
cartwright_plugin::export_vendor!(Expivi);
