//! The SDK for Cartwright plugins in Rust.
//!
//! The contract is in the WIT files (`wit/` of the repository). This crate is its Rust form, and adds what every plugin
//! needs: access to settings, constructors of errors, and a short way to a cart strategy.
//!
//! Start with:
//! - [`Strategy`] and [`export_strategy!`]: a cart strategy in about thirty lines; [`OrderHook`] and
//!   [`export_order_hook!`]: handling of order events;
//! - [`exports`] with [`export_vendor!`]: one trait for each interface that a vendor exports. An author lists what the
//!   plugin has beyond the least: `export_vendor!(Mine, products, orders)`;
//! - [`field`], [`FieldExt`] and [`ContextExt`]: the settings form, and settings by name.
//!
//! [`json`] parses what came through a browser or an unsigned webhook; [`truncate`] and [`normalize_url`] prepare texts
//! of other systems for messages and pages.
//!
//! ```no_run
//! use cartwright_plugin::{CallError, Strategy, export_strategy, strategy::*, types::*};
//!
//! /// Sells every configured product as one line of the product it is linked to.
//! struct OneLine;
//!
//! impl Strategy for OneLine {
//!     fn metadata() -> PluginMetadata {
//!         cartwright_plugin::strategy_metadata("one-line", "One line", env!("CARGO_PKG_VERSION"), "Example")
//!     }
//!
//!     fn plan(_context: Context, request: PlanRequest) -> Result<PlanResult, CallError> {
//!         let line = |line_request: &LineRequest| PlannedLine {
//!             target: Target::LinkedProduct,
//!             quantity: line_request.quantity,
//!             title: None,
//!             display_fields: None,
//!             price: LinePrice { source: request.price_from, adjustments: vec![], ignore_case: false },
//!             item: line_request.item,
//!             extra: vec![],
//!         };
//!         let entries = request.line_requests.iter().map(|line_request| PlanEntry::Line(line(line_request))).collect();
//!         Ok(PlanResult { entries, warnings: vec![], extra: vec![] })
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
mod items;
pub mod json;
mod multipart;
mod order;
mod request;
mod text;

pub use constructors::{
    internal, invalid_input, message, named_strategy, not_configured, outage, plugin_metadata, rejected, set_memo,
    strategy_metadata,
};
pub use context::ContextExt;
pub use form::{FieldExt, field, heading, select};
pub use multipart::Multipart;
pub use order::is_refunded;
pub use text::{normalize_url, truncate};

/// The generated bindings. Use them through [`exports`] and [`types`].
#[doc(hidden)]
#[allow(missing_docs, clippy::all, clippy::doc_markdown, clippy::indexing_slicing)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        // All that a plugin may export. No plugin targets this world: the export macros choose from it.
        inline: "
            package cartwright:sdk;

            world everything {
                include cartwright:plugin/vendor@0.1.0;
                include cartwright:plugin/has-choices@0.1.0;
                include cartwright:plugin/has-account@0.1.0;
                include cartwright:plugin/has-products@0.1.0;
                include cartwright:plugin/has-product-links@0.1.0;
                include cartwright:plugin/has-reopening@0.1.0;
                include cartwright:plugin/has-resolving@0.1.0;
                include cartwright:plugin/has-prices@0.1.0;
                include cartwright:plugin/has-cart@0.1.0;
                include cartwright:plugin/has-orders@0.1.0;
                include cartwright:plugin/has-webhooks@0.1.0;
                include cartwright:plugin/has-feed@0.1.0;
            }
        ",
        world: "cartwright:sdk/everything",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "cartwright_plugin::bindings",
        runtime_path: "cartwright_plugin::wit_bindgen::rt",
        additional_derives: [PartialEq],
    });
}

/// Every way in which a call fails.
pub use bindings::cartwright::plugin::types::CallError;
/// The functions that the host offers, and the records that all worlds share.
pub use bindings::cartwright::plugin::{blobs, catalog, http, log, order_book, outcomes, secrets, timer, types};
/// The exported interfaces: a `Guest` trait and the records of each.
pub use bindings::exports::cartwright::plugin as exports;

#[doc(hidden)]
pub use wit_bindgen;

/// The records of the interfaces that a cart strategy exports.
pub mod strategy {
    pub use crate::exports::cart::{PlanRequest, PlanResult};
    pub use crate::exports::metadata::{PluginMetadata, Strategy as NamedStrategy};
    pub use crate::exports::settings::{Choice, ChoiceSource, Condition, Field};
}

/// A cart strategy. Only [`metadata`](Strategy::metadata) and [`plan`](Strategy::plan) are required.
pub trait Strategy {
    /// Returns the metadata of the plugin; see [`strategy_metadata`].
    fn metadata() -> strategy::PluginMetadata;

    /// Plans the requested products. Pure: equal requests must yield equal plans.
    fn plan(context: types::Context, request: strategy::PlanRequest) -> Result<strategy::PlanResult, CallError>;

    /// Returns the settings form, with texts in this locale. Empty by default.
    fn fields(_locale: String) -> Vec<strategy::Field> {
        Vec::new()
    }

    /// Returns the issues of the settings that the fields cannot express.
    fn validate(_context: types::Context) -> Result<Vec<types::FieldIssue>, CallError> {
        Ok(Vec::new())
    }

    /// Converts another version's settings into this version's form. Returns them unchanged by default.
    fn migrate(_from_version: String, values: Vec<types::Setting>) -> Result<Vec<types::Setting>, CallError> {
        Ok(values)
    }
}

/// Handles order events. Only [`metadata`](OrderHook::metadata) and [`handle`](OrderHook::handle) are required.
pub trait OrderHook {
    /// Returns the metadata of the plugin; see [`plugin_metadata`].
    fn metadata() -> exports::metadata::PluginMetadata;

    /// Handles one event of an order; see `orders.handle` in the WIT. Write straight-line code: after a crash it runs
    /// again and gets the same results.
    fn handle(
        context: types::Context,
        event: exports::orders::OrderEvent,
        state: Option<String>,
    ) -> Result<exports::orders::Next, CallError>;

    /// Returns the settings form, with texts in this locale. Empty by default.
    fn fields(_locale: String) -> Vec<exports::settings::Field> {
        Vec::new()
    }

    /// Returns the issues of the settings that the fields cannot express.
    fn validate(_context: types::Context) -> Result<Vec<types::FieldIssue>, CallError> {
        Ok(Vec::new())
    }

    /// Converts another version's settings into this version's form. Returns them unchanged by default.
    fn migrate(_from_version: String, values: Vec<types::Setting>) -> Result<Vec<types::Setting>, CallError> {
        Ok(values)
    }
}

impl exports::orders::OrderEvent {
    /// Returns the memo that this plugin stored for the order under this name.
    pub fn memo(&self, name: &str) -> Option<&str> {
        self.memos.iter().find(|memo| memo.name == name).map(|memo| memo.value.as_str())
    }
}

impl types::Report {
    /// Creates a report about the account.
    pub fn about_account(outcome: types::Outcome) -> Self {
        Self { about: types::ReportSubject::Account, outcome, extra: Vec::new() }
    }

    /// Creates a report about the order or line with this reference.
    pub fn about_reference(reference: impl Into<String>, outcome: types::Outcome) -> Self {
        Self { about: types::ReportSubject::Reference(reference.into()), outcome, extra: Vec::new() }
    }

    /// Creates a report about the order or line that this account knows by the vendor's own id: one that an outcome
    /// `vendor-reference` named before.
    pub fn about_vendor_reference(reference: impl Into<String>, outcome: types::Outcome) -> Self {
        Self { about: types::ReportSubject::VendorReference(reference.into()), outcome, extra: Vec::new() }
    }
}

/// Exports a vendor: the world `vendor`, and the interfaces that the plugin has beyond it. The type implements the
/// `Guest` trait of each of them, in [`exports`]: `metadata`, `settings`, `page`, `configuration`, and those listed.
///
/// ```ignore
/// export_vendor!(
///     Mine, choices, account, products, product_links, reopening, resolving, prices, cart, orders, webhooks, feed,
/// );
/// ```
#[macro_export]
macro_rules! export_vendor {
    ($component:ident $(, $has:ident)* $(,)?) => {
        $crate::export_interfaces!($component, metadata, settings, page, configuration $(, $has)*);
        $crate::target_world!(vendor $(, $has)*);
    };
}

/// Exports an order hook from a type that implements [`OrderHook`]: the world `order-hook`, and the interfaces that the
/// plugin has beyond it, whose `Guest` traits the type implements: `export_order_hook!(Mine, account)`.
#[macro_export]
macro_rules! export_order_hook {
    ($hook:ident $(, $has:ident)* $(,)?) => {
        const _: () = {
            use $crate::exports;
            struct Component;
            $crate::export_form!(Component, $hook, $crate::OrderHook);
            impl exports::orders::Guest for Component {
                fn handle(
                    context: $crate::types::Context,
                    event: exports::orders::OrderEvent,
                    state: Option<String>,
                ) -> Result<exports::orders::Next, $crate::CallError> {
                    <$hook as $crate::OrderHook>::handle(context, event, state)
                }
            }
            $crate::export_interfaces!(Component, metadata, settings, orders);
            $crate::export_interfaces!($hook $(, $has)*);
            $crate::target_world!(order_hook $(, $has)*);
        };
    };
}

/// Exports a cart strategy from a type that implements [`Strategy`]: the world `cart-strategy`, and the interfaces that
/// the plugin has beyond it, whose `Guest` traits the type implements: `export_strategy!(Mine, choices)`.
#[macro_export]
macro_rules! export_strategy {
    ($strategy:ident $(, $has:ident)* $(,)?) => {
        const _: () = {
            use $crate::exports;
            struct Component;
            $crate::export_form!(Component, $strategy, $crate::Strategy);
            impl exports::cart::Guest for Component {
                fn plan(
                    context: $crate::types::Context,
                    request: exports::cart::PlanRequest,
                ) -> Result<exports::cart::PlanResult, $crate::CallError> {
                    <$strategy as $crate::Strategy>::plan(context, request)
                }
            }
            $crate::export_interfaces!(Component, metadata, settings, cart);
            $crate::export_interfaces!($strategy $(, $has)*);
            $crate::target_world!(cart_strategy $(, $has)*);
        };
    };
}

/// Implements `metadata` and `settings` with a trait of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! export_form {
    ($component:ident, $plugin:ident, $written:path) => {
        impl exports::metadata::Guest for $component {
            fn describe() -> exports::metadata::PluginMetadata {
                <$plugin as $written>::metadata()
            }
        }
        impl exports::settings::Guest for $component {
            fn fields(locale: String) -> Vec<exports::settings::Field> {
                <$plugin as $written>::fields(locale)
            }
            fn validate(context: $crate::types::Context) -> Result<Vec<$crate::types::FieldIssue>, $crate::CallError> {
                <$plugin as $written>::validate(context)
            }
            fn migrate(
                from_version: String,
                values: Vec<$crate::types::Setting>,
            ) -> Result<Vec<$crate::types::Setting>, $crate::CallError> {
                <$plugin as $written>::migrate(from_version, values)
            }
        }
    };
}

/// Exports the functions of interfaces. Native builds export nothing, so that the plugin's tests build; its types are
/// checked all the same.
#[doc(hidden)]
#[macro_export]
macro_rules! export_interfaces {
    ($component:ident $(, $interface:ident)*) => {
        $(
            const _: fn() = || {
                fn has_interface<T: $crate::exports::$interface::Guest>() {}
                has_interface::<$component>();
            };
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                $crate::export_interface!($interface, $component);
            };
        )*
    };
}

/// Adds the encoded worlds that the component consists of. The linker makes one component of them.
#[doc(hidden)]
#[macro_export]
macro_rules! target_world {
    ($($part:ident),*) => {
        $(
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                $crate::encoded_world!($part);
            };
        )*
    };
}

/// Places an encoded world into a section of its own: sections of one name would be joined to one.
#[doc(hidden)]
#[macro_export]
macro_rules! world_section {
    ($world:ident, $section:tt) => {
        const WORLD: &[u8] = $crate::worlds::$world;
        #[unsafe(link_section = $section)]
        #[used]
        static ENCODED: [u8; WORLD.len()] = *WORLD.first_chunk().unwrap();
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! encoded_world {
    (vendor) => {
        $crate::world_section!(VENDOR, "component-type:cartwright:vendor");
    };
    (cart_strategy) => {
        $crate::world_section!(CART_STRATEGY, "component-type:cartwright:cart-strategy");
    };
    (order_hook) => {
        $crate::world_section!(ORDER_HOOK, "component-type:cartwright:order-hook");
    };
    (choices) => {
        $crate::world_section!(HAS_CHOICES, "component-type:cartwright:has-choices");
    };
    (account) => {
        $crate::world_section!(HAS_ACCOUNT, "component-type:cartwright:has-account");
    };
    (products) => {
        $crate::world_section!(HAS_PRODUCTS, "component-type:cartwright:has-products");
    };
    (product_links) => {
        $crate::world_section!(HAS_PRODUCT_LINKS, "component-type:cartwright:has-product-links");
    };
    (reopening) => {
        $crate::world_section!(HAS_REOPENING, "component-type:cartwright:has-reopening");
    };
    (resolving) => {
        $crate::world_section!(HAS_RESOLVING, "component-type:cartwright:has-resolving");
    };
    (prices) => {
        $crate::world_section!(HAS_PRICES, "component-type:cartwright:has-prices");
    };
    (cart) => {
        $crate::world_section!(HAS_CART, "component-type:cartwright:has-cart");
    };
    (orders) => {
        $crate::world_section!(HAS_ORDERS, "component-type:cartwright:has-orders");
    };
    (webhooks) => {
        $crate::world_section!(HAS_WEBHOOKS, "component-type:cartwright:has-webhooks");
    };
    (feed) => {
        $crate::world_section!(HAS_FEED, "component-type:cartwright:has-feed");
    };
}

#[doc(hidden)]
pub mod worlds {
    pub const VENDOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vendor"));
    pub const CART_STRATEGY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cart-strategy"));
    pub const ORDER_HOOK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/order-hook"));
    pub const HAS_CHOICES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-choices"));
    pub const HAS_ACCOUNT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-account"));
    pub const HAS_PRODUCTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-products"));
    pub const HAS_PRODUCT_LINKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-product-links"));
    pub const HAS_REOPENING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-reopening"));
    pub const HAS_RESOLVING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-resolving"));
    pub const HAS_PRICES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-prices"));
    pub const HAS_CART: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-cart"));
    pub const HAS_ORDERS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-orders"));
    pub const HAS_WEBHOOKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-webhooks"));
    pub const HAS_FEED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/has-feed"));
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_interface {
    (metadata, $component:ident) => {
        $crate::exports::metadata::__export_cartwright_plugin_metadata_0_1_0_cabi!($component with_types_in $crate::exports::metadata);
    };
    (settings, $component:ident) => {
        $crate::exports::settings::__export_cartwright_plugin_settings_0_1_0_cabi!($component with_types_in $crate::exports::settings);
    };
    (choices, $component:ident) => {
        $crate::exports::choices::__export_cartwright_plugin_choices_0_1_0_cabi!($component with_types_in $crate::exports::choices);
    };
    (account, $component:ident) => {
        $crate::exports::account::__export_cartwright_plugin_account_0_1_0_cabi!($component with_types_in $crate::exports::account);
    };
    (products, $component:ident) => {
        $crate::exports::products::__export_cartwright_plugin_products_0_1_0_cabi!($component with_types_in $crate::exports::products);
    };
    (product_links, $component:ident) => {
        $crate::exports::product_links::__export_cartwright_plugin_product_links_0_1_0_cabi!($component with_types_in $crate::exports::product_links);
    };
    (page, $component:ident) => {
        $crate::exports::page::__export_cartwright_plugin_page_0_1_0_cabi!($component with_types_in $crate::exports::page);
    };
    (reopening, $component:ident) => {
        $crate::exports::reopening::__export_cartwright_plugin_reopening_0_1_0_cabi!($component with_types_in $crate::exports::reopening);
    };
    (resolving, $component:ident) => {
        $crate::exports::resolving::__export_cartwright_plugin_resolving_0_1_0_cabi!($component with_types_in $crate::exports::resolving);
    };
    (configuration, $component:ident) => {
        $crate::exports::configuration::__export_cartwright_plugin_configuration_0_1_0_cabi!($component with_types_in $crate::exports::configuration);
    };
    (prices, $component:ident) => {
        $crate::exports::prices::__export_cartwright_plugin_prices_0_1_0_cabi!($component with_types_in $crate::exports::prices);
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
