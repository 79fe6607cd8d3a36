//! Cartwright's runtime: installs configurator plugins as WASI components, and checks, limits, calls and switches them.
//! It needs no database and no HTTP server.
//!
//! Three types matter:
//! - [`Cartwright`], the host: installs plugins, sets up shops, adds configurations to carts, and switches versions and
//!   vendors;
//! - [`CartChange`], a change of a cart: checked operations with line keys, pins and sealed prices, and an explanation;
//! - the traits [`Catalog`], [`OrderBook`] and [`Blobs`], which the commerce platform implements.
//!
//! The host can be observed: `tracing` spans surround each guest call, journal step and request to a vendor, and an
//! [`Observer`] is notified of each call, plugin log line and request, for metrics and charts.
//!
//! ```no_run
//! use std::sync::Arc;
//! use cartwright::{AccountSetup, AddToCart, Cartwright, ProductLink, MemoryCatalog, Shop};
//!
//! # async fn embed(component: &[u8], configuration: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let host = Cartwright::builder().catalog(Arc::new(MemoryCatalog::default())).cache("cache").start()?;
//! let plugin = host.install(component, None).await?;
//!
//! let shop: Shop = serde_json::from_value(serde_json::json!({
//!     "id": "rings", "currencies": [{ "code": "EUR", "scale": 2 }], "seal_key": "32 random bytes, kept by the platform"
//! }))?;
//! let id = shop.id.clone();
//! host.add_shop(shop)?;
//! let setup: AccountSetup = serde_json::from_value(serde_json::json!({
//!     "id": "expivi", "settings": { "viewer-token": "…" }, "grants": { "hosts": ["expivi.net"] }
//! }))?;
//! host.set_account(&id, plugin.digest(), setup).await?;
//! let link: ProductLink = serde_json::from_value(serde_json::json!({
//!     "shop_product": "ring", "account": "expivi", "vendor_product": "1001"
//! }))?;
//! host.link(&id, &[link]).await?;
//!
//! let add = AddToCart {
//!     product: "ring".into(),
//!     configuration: Some(configuration),
//!     quantity: 1,
//!     ..AddToCart::default()
//! };
//! let change = host.add_to_cart(&id, add).await?;
//! for operation in change.operations {
//!     // Apply all of them to the platform's cart, or none.
//! }
//! # Ok(())
//! # }
//! ```

mod cart;
pub mod durable;
pub mod feed;
mod host;
mod install;
pub mod notify;
mod page;
mod publish;
mod scope;
mod setup;
mod shop;
mod snapshot;
mod switch;
mod vendor;
pub mod webhook;
mod work;

#[doc(hidden)]
pub use cartwright_cart::fuzzing;
pub use cartwright_cart::money;
pub use cartwright_cart::{
    AddToCart, Budget, CartChange, CartError, CartLine, CartOperation, Currencies, CustomerGroups, LineCheck,
    LineState, MAX_LINE_QUANTITY, MAX_LINES, MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION,
    MAX_STOREFRONT_BODY_BYTES, MoneyFault, NoCurrency, OrderError, OrderedLine, OverBudget, Pin, QuoteOffer,
    RESERVED_ID_PREFIX, ReleasePolicy, SealError, SealedPrice, Shop, Stage, StrategyChoice, UnverifiedLine, Visitor,
    check_event, check_money, check_order, is_country, is_currency, is_language_tag, is_time_zone,
};
pub use cartwright_contract::clock::{Clock, SimulatedClock, SystemClock, timestamp};
pub use cartwright_contract::error::{
    Breach, EmittedOutcomes, Failure, HookError, LogLine, PageError, ProductLinkIssues, SetupError, describe,
};
pub use cartwright_contract::grants::{Grants, MAX_FEED_INTERVAL_SECONDS, MIN_FEED_INTERVAL_SECONDS};
pub use cartwright_contract::hook::{Capability, Hook};
pub use cartwright_contract::ids::{AccountId, Digest, InvalidId, PluginId, ShopId};
pub use cartwright_contract::outcome::{
    MAX_DOCUMENT_NAME_BYTES, MAX_MEMO_BYTES, MAX_MEMOS, MAX_STATUS_BYTES, production_state,
};
pub use cartwright_contract::platform::{
    Blobs, Catalog, MemoryBlobs, MemoryCatalog, MemoryOrderBook, NewConfiguration, OrderBook, PlatformError,
    StoredThumbnail,
};
pub use cartwright_contract::settings::{AccountSecret, Form, Secret, SecretUse, Secrets, Settings};
pub use cartwright_contract::text::{
    MAX_DATA_BYTES, MAX_ERROR_CHARS, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_URL_BYTES, TextFault, abridge, check_line,
    check_name, check_text, is_decimal, parse_timestamp,
};
pub use cartwright_engine::{
    CONTRACT, InstallError, Interface, Limits, MAX_CONCURRENT_CALLS, Observer, PluginMetadata, PluginVersion,
    RESERVED_QUERY_SLOTS, SLOTS_PER_SHOP, StartError, World, health, observe,
};
pub use durable::HandleResult;
pub use host::{Builder, Cartwright};
pub use publish::OutdatedPlan;
pub use shop::{AccountSetup, ProductLink, ShopState};
pub use snapshot::{AccountSnapshot, ShopSnapshot};
pub use switch::{NewHostPolicy, ProductReadiness, Readiness, Revocation, VersionSwitch};

/// Schemas of the types for an OpenAPI 3.1 document.
#[cfg(feature = "openapi")]
pub mod openapi {
    pub use cartwright_contract::openapi::complete;
}

/// The contract's records, as the WIT files document them.
pub mod types {
    pub use cartwright_contract::records::*;
}
