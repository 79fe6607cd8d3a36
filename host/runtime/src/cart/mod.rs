//! The way from a raw configuration to checked changes of a cart.
//!
//! decode → are the vendor's products the linked ones → price from its authority → plan → check every operation → pictures →
//! store → sealed price. What is refused on the way leaves nothing behind. Each step explains itself in [`CartChange::stages`]. Adding, editing, refreshing, reordering and asking for a
//! quotation all go this one way ([`path`]); [`offer`] answers a quotation, [`check`] checks a cart before it is ordered, [`change`]
//! changes and joins carts.

mod budget;
mod bundle;
mod canonical;
mod change;
mod check;
mod codes;
mod decoding;
pub mod fuzzing;
mod held;
pub(crate) mod identity;
pub(crate) mod line;
pub mod money;
mod offer;
mod ordered;
mod parts;
mod path;
mod pictures;
mod places;
mod plan;
mod planning;
mod price_memory;
mod pricing;
mod shop;
mod thumbnail;
mod tree;
mod walk;

use std::sync::mpsc::Sender;

use serde::{Deserialize, Serialize};

pub use budget::{Budget, OverBudget};
pub use check::{LineCheck, LineState};
pub use codes::{is_country, is_currency, is_language_tag};
pub use line::{CartLine, Pin, SealFault, SealedPrice, Unconfirmed};
pub use offer::Offer;
pub use ordered::{
    HOST_ID_PREFIX, MAX_ORDER_ID_BYTES, MAX_ORDER_TEXT_BYTES, MAX_ORDER_VERSION, MoneyFault, OrderError, OrderedLine,
    check_event, check_money, check_order,
};
pub(crate) use pictures::DecodePlaces;
pub(crate) use price_memory::PriceMemory;
pub(crate) use shop::check_shop;
pub use shop::{MAX_STOREFRONT_BODY_BYTES, Release, Shop, StrategyChoice, Visitor};

use crate::contract::{FieldIssue, Message};
use crate::error::{HookError, LogLine, SetupError};
use crate::ids::PluginId;

/// Maximum number of pieces of one line.
pub const MAX_PIECES: u32 = 1_000_000;
/// Maximum number of lines that one plan may give, and that a cart may have.
pub const MAX_LINES: usize = 10_000;

/// A configuration that a shopper wants to buy.
#[derive(Debug, Clone, Default)]
pub struct AddToCart {
    /// The shop product whose page it was made on.
    pub product: String,
    /// What the page sent; none for a linked product that the shop also sells unconfigured.
    pub configuration: Option<Vec<u8>>,
    /// The variant of the product that the shopper chose before configuring it, where there was a choice.
    pub variant: Option<String>,
    /// How many.
    pub quantity: u32,
    /// Another strategy than the link's, for a preview.
    pub strategy: Option<StrategyChoice>,
    /// The cart as it is.
    pub lines: Vec<CartLine>,
    /// Who asks.
    pub visitor: Visitor,
    /// Who is told of each stage as it ends, also of one that fails: [`CartChange::stages`] exist only when all of them held.
    pub stages: Option<Sender<Stage>>,
}

/// One change of the platform's cart. The platform applies all of a [`CartChange`], or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum CartOperation {
    /// Puts a line into the cart; of a bundle the parent first and then its children.
    Add {
        /// The lines.
        lines: Vec<CartLine>,
    },
    /// Puts lines in the place of another line or bundle. Position and discounts are kept.
    Replace {
        /// The line, or the bundle's parent, that goes with all its children.
        key: String,
        /// What comes: the parent first.
        lines: Vec<CartLine>,
    },
    /// The same lines with another quantity, or with another price.
    Update {
        /// The lines as they are now, under the keys that they have: the parent first.
        lines: Vec<CartLine>,
    },
    /// Takes a line out, or a bundle with all its children.
    Remove {
        /// The lines.
        keys: Vec<String>,
    },
    /// Asks the merchant for an offer.
    RequestQuotation {
        /// What for.
        lines: Vec<CartLine>,
    },
}

/// What is to happen to the cart, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CartChange {
    /// All applied, or none. Empty when nothing changes.
    pub operations: Vec<CartOperation>,
    /// What the merchant should know.
    pub warnings: Vec<Message>,
    /// How it came about.
    pub stages: Vec<Stage>,
}

/// One step on the way, for the integrator's eyes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stage {
    /// Which.
    pub stage: String,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// What came of it.
    pub result: String,
    /// What a plugin logged meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

/// Why a cart was not changed. The cart is as it was.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum CartError {
    /// The shop is not set up for this.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A plugin failed or refused.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The request asks for more of the host's own work than it may.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// Something that is hashed or signed cannot be written down. A fault of the host.
    #[error("what is to be hashed or signed cannot be written down: {0}; report this as a fault of the host")]
    Unwritable(String),
    /// The quantity is out of range.
    #[error("{quantity} pieces of {what} cannot be bought; between {minimum} and {maximum} can")]
    Quantity {
        /// How many were asked for.
        quantity: u64,
        /// Of what.
        what: String,
        /// The fewest.
        minimum: u32,
        /// The most.
        maximum: u32,
    },
    /// A linked product was to be bought without its configuration.
    #[error("the product {0:?} needs a configuration")]
    NeedsConfiguration(String),
    /// The raw configuration cannot be taken.
    #[error("the configuration cannot be used: {}: {}", .0.field, .0.message.text)]
    Configuration(FieldIssue),
    /// The configuration is of another vendor product than the one that is linked.
    #[error("the configuration holds the vendor product {found:?}; {shop_product:?} is linked to {linked:?}")]
    NotLinked {
        /// What the configuration holds.
        found: String,
        /// The shop's product.
        shop_product: String,
        /// What it is linked to.
        linked: String,
    },
    /// A line was to be edited with a configuration of another product of the shop.
    #[error("the line {key} is of the product {held:?}; a configuration of {given:?} cannot take its place")]
    OtherProduct {
        /// The line.
        key: String,
        /// The shop's product that the line was configured on.
        held: String,
        /// The one that was given.
        given: String,
    },
    /// No variant has this SKU, or several have.
    #[error("{found} variants have the SKU {sku:?}{}; exactly one must", within(.product))]
    Sku {
        /// The SKU.
        sku: String,
        /// The product whose variants were looked at.
        product: Option<String>,
        /// How many were found.
        found: usize,
    },
    /// The linked product has no variant, or several and none was chosen.
    #[error("the product {product:?} has {found} variants; choose one, or let the strategy name its SKU")]
    Product {
        /// The product.
        product: String,
        /// How many variants it has.
        found: usize,
    },
    /// The chosen variant is none of the linked product.
    #[error("the product {product:?} has no variant {variant:?}")]
    Variant {
        /// The variant.
        variant: String,
        /// The product.
        product: String,
    },
    /// The platform does not sell this now.
    #[error("{0:?} cannot be bought now")]
    NotPurchasable(String),
    /// A price is missing, or cannot be used.
    #[error("{what} has no usable price: {why}")]
    Price {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// What is offered is in other money than the shop sells in.
    #[error(
        "{title} is offered in {offered}, and the shop sells in {expected}; nothing is converted: offer it in {expected}"
    )]
    OfferMoney {
        /// The line's title.
        title: String,
        /// The currency and the decimals of the offer.
        offered: String,
        /// Those of the shop.
        expected: String,
    },
    /// What is to be offered was asked about in other money than the shop sells in.
    #[error(
        "{title} was asked about in {asked}, and the shop sells in {expected} now; nothing is converted: withdraw the quotation, and let it be asked for anew from a cart in {expected}"
    )]
    AskedMoney {
        /// The line's title.
        title: String,
        /// The currency and the decimals of the line.
        asked: String,
        /// Those of the shop.
        expected: String,
    },
    /// The platform did not answer.
    #[error("the platform did not answer: {0}")]
    Platform(String),
    /// The plugin has no strategy of this name.
    #[error("{plugin} has no strategy {wanted:?}; it has: {}", .known.join(", "))]
    NoStrategy {
        /// The plugin.
        plugin: PluginId,
        /// What was asked for.
        wanted: String,
        /// What it has.
        known: Vec<String>,
    },
    /// The strategy planned something that it may not.
    #[error("the strategy planned something that it may not: {0}")]
    Plan(String),
    /// The strategy refused, with a text for the shopper.
    #[error("{}", .0.text)]
    Rejected(Message),
    /// A line of the cart does not exist.
    #[error("the cart has no line {0}")]
    NoLine(String),
    /// The same line stands twice where it can stand once.
    #[error("the line {0} stands there twice; give it once, with the quantity of both")]
    Twice(String),
    /// The line stands at a price that the merchant offered.
    #[error("the line {key} is bought as the quotation {quotation} offers it; take it out to buy it otherwise")]
    Offered {
        /// The line.
        key: String,
        /// The quotation.
        quotation: String,
    },
    /// A line's price does not stand.
    #[error("the line {key}: {fault}")]
    Seal {
        /// The line.
        key: String,
        /// Why.
        fault: SealFault,
    },
    /// A child cannot be taken out of its bundle.
    #[error("the line {0} belongs to a bundle and cannot be taken out of it; remove the bundle")]
    ChildOfBundle(String),
    /// The configuration must be made again.
    #[error("the line {key} must be configured again: {why}")]
    MustReconfigure {
        /// The line.
        key: String,
        /// Why.
        why: String,
    },
}

impl From<canonical::NotCanonical> for CartError {
    fn from(error: canonical::NotCanonical) -> Self {
        Self::Unwritable(error.to_string())
    }
}

fn within(product: &Option<String>) -> String {
    product.as_ref().map_or(String::new(), |product| format!(" in the product {product:?}"))
}

impl CartChange {
    /// Applies the change to a cart that is kept as a list of lines: for tests, examples, and platforms that keep theirs so.
    pub fn apply(&self, cart: &mut Vec<CartLine>) {
        for operation in &self.operations {
            match operation {
                CartOperation::Add { lines } => cart.extend(lines.iter().cloned()),
                CartOperation::Replace { key, lines } => {
                    let gone = |line: &CartLine| line.key == *key || line.parent.as_ref() == Some(key);
                    let place = cart.iter().position(gone).unwrap_or(cart.len());
                    cart.retain(|line| !gone(line));
                    cart.splice(place..place, lines.iter().cloned());
                }
                CartOperation::Update { lines } => {
                    for new in lines {
                        cart.iter_mut().filter(|old| old.key == new.key).for_each(|old| *old = new.clone());
                    }
                }
                CartOperation::Remove { keys } => cart.retain(|line| !keys.contains(&line.key)),
                CartOperation::RequestQuotation { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
