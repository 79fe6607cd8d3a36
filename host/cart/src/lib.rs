//! The rules of a cart: money, prices, plans, bundles, the identity of lines, seals, and changes. None of them calls a plugin or asks a
//! platform.

#![expect(missing_docs, reason = "documented in the pass over names")]

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
pub mod held;
mod identity;
pub mod line;
pub mod money;
pub mod offer;
pub mod ordered;
mod parts;
pub mod pictures;
pub mod places;
pub mod plan;
pub mod planning;
pub mod price_memory;
pub mod pricing;
pub mod shop;
pub mod thumbnail;
mod tree;

pub use budget::{Budget, MAX_LINES, MAX_PIECES, OverBudget};
pub use change::{AddToCart, CartChange, CartOperation, Stage};
pub use check::{LineCheck, LineState};
pub use codes::{is_country, is_currency, is_language_tag};
pub use error::{CartError, SealFault};
pub use line::{CartLine, Pin, SealedPrice, Unconfirmed};
pub use offer::Offer;
pub use ordered::{
    HOST_ID_PREFIX, MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION, MoneyFault, OrderError, OrderedLine,
    check_event, check_money, check_order,
};
pub use shop::{MAX_STOREFRONT_BODY_BYTES, Release, Shop, StrategyChoice, Visitor};

#[cfg(test)]
mod tests;
