//! The rules of a cart: money, prices, plans, bundles, sets, line identity, seals and changes. Nothing in this crate calls a
//! plugin or a platform.
//!
//! Three types matter:
//! - [`CartLine`], a sealed line of a cart;
//! - [`CartChange`], the operations by which a platform changes its cart;
//! - [`PlanCheck`](plan::PlanCheck), which turns a strategy's plan into lines, or refuses it.

mod articles;
pub mod budget;
mod bundle;
mod canonical;
pub mod change;
pub mod check;
mod codes;
pub mod decoding;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
pub mod index;
pub mod line;
pub mod money;
pub mod order_error;
mod order_event;
pub mod order_lines;
mod parts;
pub mod placement;
pub mod plan;
pub mod planning;
pub mod price_cache;
pub mod pricing;
pub mod quote;
mod set;
pub mod shop;
mod shopper_texts;
pub mod thumbnail;
pub mod thumbnails;
mod tree;
pub mod vendor_cache;

pub use budget::{Budget, MAX_LINE_QUANTITY, MAX_LINES, OverBudget};
pub use change::{AddToCart, CartChange, CartOperation, Stage};
pub use check::{LineCheck, LineState};
pub use codes::{is_country, is_currency, is_language_tag, is_time_zone};
pub use error::{CartError, SealError};
pub use line::{CartLine, Pin, SealedPrice, UnverifiedLine};
pub use order_error::{
    MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION, MoneyFault, OrderError, RESERVED_ID_PREFIX,
};
pub use order_event::check_event;
pub use order_lines::{OrderedLine, check_money, check_order};
pub use quote::QuoteOffer;
pub use shop::{
    Currencies, CustomerGroups, MAX_STOREFRONT_BODY_BYTES, NoCurrency, ReleasePolicy, Shop, StrategyChoice, Visitor,
};

#[cfg(test)]
mod tests;
