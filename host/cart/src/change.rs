//! Requests to change a cart, and the changes that result.

use std::sync::mpsc::Sender;

use cartwright_contract::error::LogLine;
use cartwright_contract::records::Message;
use serde::{Deserialize, Serialize};

use crate::line::CartLine;
use crate::shop::{StrategyChoice, Visitor};

/// A request to add a configuration to a cart.
#[derive(Debug, Clone, Default)]
pub struct AddToCart {
    /// The shop product on whose page the configuration was made.
    pub product: String,
    /// The configuration as the browser sent it. `None` for a linked product that the shop also sells unconfigured.
    pub configuration: Option<Vec<u8>>,
    /// The variant of the product that the shopper chose before configuring, if there was a choice.
    pub variant: Option<String>,
    /// The quantity.
    pub quantity: u32,
    /// A strategy other than the product link's, for a preview.
    pub strategy: Option<StrategyChoice>,
    /// The lines of the cart.
    pub lines: Vec<CartLine>,
    /// The shopper.
    pub visitor: Visitor,
    /// Receives each stage when it ends, including a stage that fails. [`CartChange::stages`] contains stages only if
    /// all of them succeeded.
    pub stages: Option<Sender<Stage>>,
}

/// One operation on the platform's cart. The platform applies all operations of a [`CartChange`], or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub enum CartOperation {
    /// Adds a line; or the parent of a bundle, followed by its children; or the lines of a set, the one that names the
    /// configured product first.
    Add {
        /// The lines.
        lines: Vec<CartLine>,
    },
    /// Replaces a line, bundle or set by other lines. Its position and discounts stay.
    Replace {
        /// Key of the line. A bundle's parent is removed with all its children, and a set's line with all others of the
        /// set.
        key: String,
        /// The new lines, in the order in which they are added.
        lines: Vec<CartLine>,
    },
    /// Updates the quantity or the price of lines that stay the same otherwise.
    Update {
        /// The new state of the lines, under their existing keys.
        lines: Vec<CartLine>,
    },
    /// Removes a line, a bundle with all its children, or a set.
    Remove {
        /// Keys of the lines.
        keys: Vec<String>,
    },
    /// Requests a quote from the merchant.
    #[serde(rename = "request-quotation")]
    RequestQuote {
        /// The lines that the quote is requested for.
        lines: Vec<CartLine>,
    },
}

/// A change of a cart, with its explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CartChange {
    /// The operations, which are applied together. Empty if nothing changes.
    pub operations: Vec<CartOperation>,
    /// Warnings for the merchant.
    pub warnings: Vec<Message>,
    /// The stages that led to the change.
    pub stages: Vec<Stage>,
}

/// One stage of the plan pipeline, shown to integrators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stage {
    /// Name of the stage.
    pub stage: String,
    /// Duration in microseconds.
    pub duration_micros: u64,
    /// Summary of the result.
    pub result: String,
    /// Log lines of plugins during the stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

impl CartChange {
    /// Applies the change to a cart that is stored as a list of lines. This is meant for tests, examples, and
    /// platforms that store carts in this form.
    pub fn apply(&self, cart: &mut Vec<CartLine>) {
        for operation in &self.operations {
            match operation {
                CartOperation::Add { lines } => cart.extend(lines.iter().cloned()),
                CartOperation::Replace { key, lines } => {
                    let is_removed = |line: &CartLine| line.key == *key || line.top_key() == Some(key.as_str());
                    let place = cart.iter().position(is_removed).unwrap_or(cart.len());
                    cart.retain(|line| !is_removed(line));
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
