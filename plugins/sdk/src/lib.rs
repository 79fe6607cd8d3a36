//! The SDK for Cartwright plugins in Rust.
//!
//! The contract is in the WIT files (`wit/` of the repository). This crate is its Rust form, and adds what every plugin
//! needs: access to settings, constructors of errors, and a short way to a cart strategy.
//!
//! Start with:
//! - [`Strategy`] and [`export_strategy!`]: a cart strategy in about thirty lines; [`OrderHook`] and
//!   [`export_order_hook!`]: handling of order events;
//! - [`exports`] with [`export_vendor!`] and [`export_order_hook!`]: the complete worlds, with one trait for each
//!   exported interface;
//! - [`field`], [`FieldExt`] and [`ContextExt`]: the settings form, and settings by name.
//!
//! [`json`] parses what came through a browser or an unsigned webhook; [`truncate`] and [`normalize_url`] prepare texts
//! of other systems for messages and pages.
//!
//! ```no_run
//! use cartwright_plugin::{Error, Strategy, export_strategy, strategy::*, types::*};
//!
//! /// Sells every configured product as one line of the product it is linked to.
//! struct OneLine;
//!
//! impl Strategy for OneLine {
//!     fn identity() -> Identity {
//!         cartwright_plugin::strategy_identity("one-line", "One line", env!("CARGO_PKG_VERSION"), "Example")
//!     }
//!
//!     fn plan(_context: Context, request: Request) -> Result<Planned, Error> {
//!         let line = |wanted: &Wanted| NewLine {
//!             target: Target::LinkedProduct,
//!             quantity: wanted.quantity,
//!             title: None,
//!             shown: None,
//!             price: LinePrice { source: request.price_from, adjustments: vec![], ignore_case: false },
//!             item: wanted.item,
//!             extra: vec![],
//!         };
//!         let pieces = request.wanted.iter().map(|wanted| Piece::Line(line(wanted))).collect();
//!         Ok(Planned { pieces, warnings: vec![] })
//!     }
//! }
//! export_strategy!(OneLine);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`, and install the `.wasm` file.

// The generated code refers to this crate by name.
extern crate self as cartwright_plugin;

mod constructors;
mod context;
mod form;
pub mod json;
mod order;
mod request;
mod text;

pub use constructors::{
    identity, internal, invalid_input, message, not_configured, outage, rejected, remember, strategy_identity,
};
pub use context::ContextExt;
pub use form::{FieldExt, field, heading, select};
pub use order::is_refunded;
pub use text::{normalize_url, truncate};

/// The generated bindings. Use them through [`exports`] and [`types`].
#[doc(hidden)]
#[allow(missing_docs, clippy::all, clippy::doc_markdown, clippy::indexing_slicing)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "everything",
        pub_export_macro: true,
        default_bindings_module: "cartwright_plugin::bindings",
        runtime_path: "cartwright_plugin::wit_bindgen::rt",
        additional_derives: [PartialEq],
    });
}

/// Every way in which a call fails.
pub use bindings::cartwright::plugin::types::Error;
/// The functions that the host offers, and the records that all worlds share.
pub use bindings::cartwright::plugin::{blobs, catalog, http, log, order_book, outcomes, secrets, timer, types};
/// The exported interfaces: a `Guest` trait and the records of each.
pub use bindings::exports::cartwright::plugin as exports;

#[doc(hidden)]
pub use wit_bindgen;

/// The records of the interfaces that a cart strategy exports.
pub mod strategy {
    pub use crate::exports::cart::{Planned, Request};
    pub use crate::exports::plugin::{Identity, Strategy as NamedStrategy};
    pub use crate::exports::settings::{Choice, ChoiceSource, Condition, Field};
}

/// A cart strategy. Only [`identity`](Strategy::identity) and [`plan`](Strategy::plan) are required.
pub trait Strategy {
    /// Returns the metadata of the plugin; see [`strategy_identity`].
    fn identity() -> strategy::Identity;

    /// Plans the requested products. Pure: equal requests must yield equal plans.
    fn plan(context: types::Context, request: strategy::Request) -> Result<strategy::Planned, Error>;

    /// Returns the settings form, with texts in this locale. Empty by default.
    fn fields(_locale: String) -> Vec<strategy::Field> {
        Vec::new()
    }

    /// Returns the issues of the settings that the fields cannot express.
    fn validate(_context: types::Context) -> Vec<types::FieldIssue> {
        Vec::new()
    }

    /// Converts another version's settings into this version's form. Returns them unchanged by default.
    fn migrate(_from_version: String, values: Vec<types::Setting>) -> Result<Vec<types::Setting>, Error> {
        Ok(values)
    }
}

/// Handles order events. Only [`identity`](OrderHook::identity) and [`handle`](OrderHook::handle) are required.
pub trait OrderHook {
    /// Returns the metadata of the plugin; see [`identity`].
    fn identity() -> exports::plugin::Identity;

    /// Handles one event of an order; see `orders.handle` in the WIT. Write straight-line code: after a crash it runs
    /// again and gets the same results.
    fn handle(
        context: types::Context,
        event: exports::orders::Event,
        state: Option<String>,
    ) -> Result<exports::orders::Next, Error>;

    /// Returns the settings form, with texts in this locale. Empty by default.
    fn fields(_locale: String) -> Vec<exports::settings::Field> {
        Vec::new()
    }

    /// Returns the issues of the settings that the fields cannot express.
    fn validate(_context: types::Context) -> Vec<types::FieldIssue> {
        Vec::new()
    }

    /// Converts another version's settings into this version's form. Returns them unchanged by default.
    fn migrate(_from_version: String, values: Vec<types::Setting>) -> Result<Vec<types::Setting>, Error> {
        Ok(values)
    }

    /// Returns the choices of a field with dynamic choices. Empty by default.
    fn choices(
        _context: types::Context,
        _field: String,
        _search: String,
        _cursor: Option<String>,
    ) -> Result<exports::account::PageOfChoices, Error> {
        Err(Error::Unsupported)
    }

    /// Tests the account's connection. Unsupported by default.
    fn test_connection(_context: types::Context) -> Result<Vec<exports::account::Diagnosis>, Error> {
        Err(Error::Unsupported)
    }
}

impl exports::orders::Event {
    /// Returns the memo that this plugin stored for the order under this name.
    pub fn remembered(&self, name: &str) -> Option<&str> {
        self.remembered.iter().find(|text| text.name == name).map(|text| text.value.as_str())
    }
}

/// Exports a component of the world `vendor` from a type that implements the `Guest` trait of each of its interfaces.
/// `export_vendor!(Type, feed)` also exports the optional interface `feed`.
#[macro_export]
macro_rules! export_vendor {
    ($component:ident) => {
        $crate::export_world!(
            $component,
            "vendor",
            [plugin, settings, account, products, page, configuration, cart, orders, webhooks]
        );
    };
    ($component:ident, feed) => {
        $crate::export_world!(
            $component,
            "everything",
            [plugin, settings, account, products, page, configuration, cart, orders, webhooks, feed]
        );
    };
}

/// Exports a component of the world `order-hook` from a type that implements [`OrderHook`].
#[macro_export]
macro_rules! export_order_hook {
    ($hook:ty) => {
        const _: () = {
            use $crate::exports;
            struct Component;
            $crate::export_form!(Component, $hook, $crate::OrderHook);
            impl exports::account::Guest for Component {
                fn choices(
                    context: $crate::types::Context,
                    field: String,
                    search: String,
                    cursor: Option<String>,
                ) -> Result<exports::account::PageOfChoices, $crate::Error> {
                    <$hook as $crate::OrderHook>::choices(context, field, search, cursor)
                }
                fn test_connection(
                    context: $crate::types::Context,
                ) -> Result<Vec<exports::account::Diagnosis>, $crate::Error> {
                    <$hook as $crate::OrderHook>::test_connection(context)
                }
            }
            impl exports::orders::Guest for Component {
                fn handle(
                    context: $crate::types::Context,
                    event: exports::orders::Event,
                    state: Option<String>,
                ) -> Result<exports::orders::Next, $crate::Error> {
                    <$hook as $crate::OrderHook>::handle(context, event, state)
                }
            }
            $crate::export_world!(Component, "order-hook", [plugin, settings, account, orders]);
        };
    };
}

/// Exports a component of the world `cart-strategy` from a type that implements [`Strategy`].
#[macro_export]
macro_rules! export_strategy {
    ($strategy:ty) => {
        const _: () = {
            use $crate::exports;
            struct Component;
            $crate::export_form!(Component, $strategy, $crate::Strategy);
            impl exports::cart::Guest for Component {
                fn plan(
                    context: $crate::types::Context,
                    request: exports::cart::Request,
                ) -> Result<exports::cart::Planned, $crate::Error> {
                    <$strategy as $crate::Strategy>::plan(context, request)
                }
            }
            $crate::export_world!(Component, "cart-strategy", [plugin, settings, cart]);
        };
    };
}

/// Implements `plugin` and `settings` with a trait of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! export_form {
    ($component:ident, $plugin:ty, $written:path) => {
        impl exports::plugin::Guest for $component {
            fn describe() -> exports::plugin::Identity {
                <$plugin as $written>::identity()
            }
        }
        impl exports::settings::Guest for $component {
            fn fields(locale: String) -> Vec<exports::settings::Field> {
                <$plugin as $written>::fields(locale)
            }
            fn validate(context: $crate::types::Context) -> Vec<$crate::types::FieldIssue> {
                <$plugin as $written>::validate(context)
            }
            fn migrate(
                from_version: String,
                values: Vec<$crate::types::Setting>,
            ) -> Result<Vec<$crate::types::Setting>, $crate::Error> {
                <$plugin as $written>::migrate(from_version, values)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_world {
    ($component:ident, $world:tt, [$($interface:ident),*]) => {
        // Native builds export nothing, so that the plugin's tests build; its types are checked all the same.
        const _: fn() = || {
            $({
                fn has_interface<T: $crate::exports::$interface::Guest>() {}
                has_interface::<$component>();
            })*
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $($crate::export_interface!($interface, $component);)*
            const WORLD: &[u8] = $crate::encoded_world!($world);
            #[unsafe(link_section = "component-type:cartwright:exports")]
            #[used]
            static ENCODED: [u8; WORLD.len()] = *WORLD.first_chunk().unwrap();
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! encoded_world {
    ("vendor") => {
        $crate::worlds::VENDOR
    };
    ("cart-strategy") => {
        $crate::worlds::CART_STRATEGY
    };
    ("order-hook") => {
        $crate::worlds::ORDER_HOOK
    };
    ("everything") => {
        $crate::worlds::EVERYTHING
    };
}

#[doc(hidden)]
pub mod worlds {
    pub const VENDOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vendor"));
    pub const CART_STRATEGY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cart-strategy"));
    pub const ORDER_HOOK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/order-hook"));
    pub const EVERYTHING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/everything"));
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_interface {
    (plugin, $component:ident) => {
        $crate::exports::plugin::__export_cartwright_plugin_plugin_0_1_0_cabi!($component with_types_in $crate::exports::plugin);
    };
    (settings, $component:ident) => {
        $crate::exports::settings::__export_cartwright_plugin_settings_0_1_0_cabi!($component with_types_in $crate::exports::settings);
    };
    (account, $component:ident) => {
        $crate::exports::account::__export_cartwright_plugin_account_0_1_0_cabi!($component with_types_in $crate::exports::account);
    };
    (products, $component:ident) => {
        $crate::exports::products::__export_cartwright_plugin_products_0_1_0_cabi!($component with_types_in $crate::exports::products);
    };
    (page, $component:ident) => {
        $crate::exports::page::__export_cartwright_plugin_page_0_1_0_cabi!($component with_types_in $crate::exports::page);
    };
    (configuration, $component:ident) => {
        $crate::exports::configuration::__export_cartwright_plugin_configuration_0_1_0_cabi!($component with_types_in $crate::exports::configuration);
    };
    (cart, $component:ident) => {
        $crate::exports::cart::__export_cartwright_plugin_cart_0_1_0_cabi!($component with_types_in $crate::exports::cart);
    };
    (orders, $component:ident) => {
        $crate::exports::orders::__export_cartwright_plugin_orders_0_1_0_cabi!($component with_types_in $crate::exports::orders);
    };
    (webhooks, $component:ident) => {
        $crate::exports::webhooks::__export_cartwright_plugin_webhooks_0_1_0_cabi!($component with_types_in $crate::exports::webhooks);
    };
    (feed, $component:ident) => {
        $crate::exports::feed::__export_cartwright_plugin_feed_0_1_0_cabi!($component with_types_in $crate::exports::feed);
    };
}
