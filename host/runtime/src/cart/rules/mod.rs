//! The rules of a cart: money, prices, plans, bundles, the identity of lines, seals, and changes. None of them calls a plugin or asks a
//! platform.

pub(crate) mod budget;
mod bundle;
mod canonical;
pub(crate) mod change;
pub(crate) mod check;
mod codes;
pub(crate) mod decoding;
pub(crate) mod error;
pub mod fuzzing;
pub(crate) mod held;
mod identity;
pub(crate) mod line;
pub mod money;
pub(crate) mod offer;
pub(crate) mod ordered;
mod parts;
pub(crate) mod pictures;
pub(crate) mod places;
pub(crate) mod plan;
pub(crate) mod planning;
pub(crate) mod price_memory;
pub(crate) mod pricing;
pub(crate) mod shop;
pub(crate) mod thumbnail;
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
