//! What is asked of a cart, and what is to happen to it.

use std::sync::mpsc::Sender;

use cartwright_contract::error::LogLine;
use cartwright_contract::records::Message;
use serde::{Deserialize, Serialize};

use crate::line::CartLine;
use crate::shop::{StrategyChoice, Visitor};

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
    #[serde(rename = "request-quotation")]
    RequestQuote {
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
    pub duration_micros: u64,
    /// What came of it.
    pub result: String,
    /// What a plugin logged meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
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
                CartOperation::RequestQuote { .. } => {}
            }
        }
    }
}
