//! Why a cart is not changed.

use cartwright_contract::error::{HookError, SetupError};
use cartwright_contract::ids::PluginId;
use cartwright_contract::records::{FieldIssue, Message};
use serde::{Deserialize, Serialize};

use crate::budget::OverBudget;
use crate::canonical::NotCanonical;

/// Why a line must be configured again that was left for too long.
pub const CONFIGURATION_EXPIRED: &str = "its configuration is no longer stored";
/// Why a line whose configuration no longer gives it must be configured again.
pub const PLANNED_DIFFERENTLY: &str = "it is planned as something else now";

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
    Unserializable(String),
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
    #[error("{what} has no usable price: {reason}")]
    Price {
        /// What.
        what: String,
        /// Why.
        reason: String,
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
    UnknownStrategy {
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
    UnknownLine(String),
    /// The same line stands twice where it can stand once.
    #[error("the line {0} stands there twice; give it once, with the quantity of both")]
    DuplicateLine(String),
    /// The line stands at a price that the merchant offered.
    #[error("the line {key} is bought as the quotation {quote} offers it; take it out to buy it otherwise")]
    QuotedLine {
        /// The line.
        key: String,
        /// The quotation.
        quote: String,
    },
    /// A line's price does not stand.
    #[error("the line {key}: {fault}")]
    Seal {
        /// The line.
        key: String,
        /// Why.
        fault: SealError,
    },
    /// A child cannot be taken out of its bundle.
    #[error("the line {0} belongs to a bundle and cannot be taken out of it; remove the bundle")]
    BundleChild(String),
    /// The configuration must be made again.
    #[error("the line {key} must be configured again: {reason}")]
    MustReconfigure {
        /// The line.
        key: String,
        /// Why.
        reason: String,
    },
}

impl From<NotCanonical> for CartError {
    fn from(error: NotCanonical) -> Self {
        Self::Unserializable(error.to_string())
    }
}

fn within(product: &Option<String>) -> String {
    product.as_ref().map_or(String::new(), |product| format!(" in the product {product:?}"))
}

/// Why a line's price does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SealError {
    /// The line, or its price, is not the one that was sealed.
    #[error("the line is not as it was sealed")]
    Forged,
    /// The price is in another currency, or in other decimals, than the shop sells in now.
    #[error("the line was priced in another currency or in other decimals than the shop sells in now; refresh it")]
    OtherMoney,
    /// The seal's time is over.
    #[error("the seal has expired")]
    Expired,
}

pub fn issue(field: &str, key: &str, text: String) -> FieldIssue {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text };
    FieldIssue { field: field.to_owned(), message, blocking: true }
}
