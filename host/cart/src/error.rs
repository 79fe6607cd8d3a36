//! Errors of cart changes.

use cartwright_contract::error::{HookError, PageError, SetupError};
use cartwright_contract::ids::PluginId;
use cartwright_contract::records::{FieldIssue, Message};
use serde::{Deserialize, Serialize};

use crate::budget::OverBudget;
use crate::canonical::NotCanonical;

/// Reason for a line whose configuration was deleted after its retention period.
pub const CONFIGURATION_EXPIRED: &str = "its configuration is no longer stored";
/// Reason for a line whose configuration is now planned as another line.
pub const PLANNED_DIFFERENTLY: &str = "its configuration is now planned as another line";

/// Why a cart change or a product page was refused. The cart is unchanged.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "error", content = "detail", rename_all = "kebab-case")]
pub enum CartError {
    /// The shop is not set up for the change.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A plugin failed, or refused the change.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The plugin's page for the product is not safe to show.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The request exceeds a budget of the host's own work.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// Data to be hashed or signed cannot be serialized. This is a fault of the host.
    #[error("the data to be signed cannot be serialized: {0}; report this as a fault of the host")]
    Unserializable(String),
    /// The quantity is out of range.
    #[error("the quantity {quantity} of {what} is not allowed; use {minimum} to {maximum}")]
    Quantity {
        /// The requested quantity.
        quantity: u64,
        /// The product or part.
        what: String,
        /// The minimum quantity.
        minimum: u32,
        /// The maximum quantity.
        maximum: u32,
    },
    /// The product is linked and needs a configuration.
    #[error("the product {0:?} needs a configuration")]
    NeedsConfiguration(String),
    /// The raw configuration is invalid.
    #[error("the configuration cannot be used: {}: {}", .0.field, .0.message.text)]
    Configuration(FieldIssue),
    /// The configuration contains another vendor product than the linked one.
    #[error("the configuration contains the vendor product {found:?}; {shop_product:?} is linked to {linked:?}")]
    NotLinked {
        /// The vendor product in the configuration.
        found: String,
        /// The shop product.
        shop_product: String,
        /// The linked vendor product.
        linked: String,
    },
    /// A line cannot be edited with a configuration of another shop product.
    #[error("the line {key} is of the product {current:?}; it cannot be replaced by a configuration of {given:?}")]
    OtherProduct {
        /// Key of the line.
        key: String,
        /// The shop product of the line.
        current: String,
        /// The shop product of the new configuration.
        given: String,
    },
    /// No variant has this SKU, or several variants do.
    #[error("{found} variants have the SKU {sku:?}{}; exactly one must", within(.product))]
    Sku {
        /// The SKU.
        sku: String,
        /// The product whose variants were searched; `None` for the whole catalog.
        product: Option<String>,
        /// Number of variants found.
        found: usize,
    },
    /// The linked product has no variant, or has several and none was chosen.
    #[error("the product {product:?} has {found} variants; choose one, or let the strategy name its SKU")]
    Product {
        /// The product.
        product: String,
        /// Number of its variants.
        found: usize,
    },
    /// The chosen variant does not belong to the linked product.
    #[error("the product {product:?} has no variant {variant:?}")]
    Variant {
        /// The variant.
        variant: String,
        /// The product.
        product: String,
    },
    /// The platform does not sell the product now.
    #[error("{0:?} is not for sale now")]
    NotPurchasable(String),
    /// A price is missing or unusable.
    #[error("{what} has no usable price: {reason}")]
    Price {
        /// The product or part.
        what: String,
        /// The reason.
        reason: String,
    },
    /// The vendor's price recurs, which no line of a cart can.
    #[error(
        "the vendor's price of {product} recurs ({period}), and this host sells no recurring prices; use a price that is paid once, or \
         remove the product link"
    )]
    RecurringPrice {
        /// The product.
        product: String,
        /// What the price recurs by, as an ISO 8601 duration.
        period: String,
    },
    /// The vendor no longer keeps the saved configuration.
    #[error("the vendor kept the configuration of {product} until {until}; the product must be configured again")]
    ConfigurationExpired {
        /// The vendor's product.
        product: String,
        /// Until when it was kept, as an RFC 3339 time.
        until: String,
    },
    /// The offer is in another currency or scale than the line.
    #[error(
        "{title} is offered in {offered}, but the quote was requested in {expected}, and amounts are not converted; offer it in {expected}"
    )]
    OfferMoney {
        /// Title of the line.
        title: String,
        /// Currency and scale of the offer.
        offered: String,
        /// Currency and scale of the line.
        expected: String,
    },
    /// The quote was requested in another currency or scale than the shop's prices.
    #[error(
        "the quote for {title} was requested in {requested}, but the shop now sells in {expected}, and amounts are not converted; withdraw the quote and let the shopper request it again from a cart in {expected}"
    )]
    QuoteMoney {
        /// Title of the line.
        title: String,
        /// Currency and scale of the line.
        requested: String,
        /// Currencies and scales of the shop.
        expected: String,
    },
    /// The platform is unavailable.
    #[error("the platform is unavailable: {0}")]
    Platform(String),
    /// The plugin has no strategy of this name.
    #[error("{plugin} has no strategy {wanted:?}; it has: {}", .known.join(", "))]
    UnknownStrategy {
        /// The plugin.
        plugin: PluginId,
        /// The requested strategy.
        wanted: String,
        /// The strategies of the plugin.
        known: Vec<String>,
    },
    /// The strategy's plan is not allowed.
    #[error("the strategy's plan is not allowed: {0}")]
    Plan(String),
    /// The strategy refused, with a message for the shopper.
    #[error("{}", .0.text)]
    Rejected(Message),
    /// The cart has no line with this key.
    #[error("the cart has no line {0}")]
    UnknownLine(String),
    /// A line key occurs twice where it may occur once.
    #[error("duplicate line {0}; send it once, with the sum of both quantities")]
    DuplicateLine(String),
    /// The line has the price of a quote.
    #[error("the line {key} has the price of the quote {quote}; remove it to buy it at the usual price")]
    QuotedLine {
        /// Key of the line.
        key: String,
        /// Id of the quote.
        quote: String,
    },
    /// The price of a line is invalid.
    #[error("the line {key}: {fault}")]
    Seal {
        /// Key of the line.
        key: String,
        /// The fault.
        fault: SealError,
    },
    /// The child cannot be removed from its bundle.
    #[error("the line {0} cannot be removed from its bundle; remove the bundle")]
    BundleChild(String),
    /// The line belongs to a set, which is bought as a whole.
    #[error("the line {key} belongs to a set; use the set's line {top}, which names the configured product")]
    SetLine {
        /// Key of the line.
        key: String,
        /// Key of the set's line that names the configured product.
        top: String,
    },
    /// The product must be configured again.
    #[error("the line {key} must be configured again: {reason}")]
    MustReconfigure {
        /// Key of the line.
        key: String,
        /// The reason.
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

/// Why the price of a line is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SealError {
    /// The line or its price was changed after it was sealed.
    #[error("the line was changed after it was sealed")]
    Forged,
    /// The price is in another currency or scale than the shop's prices or the cart.
    #[error("the line has another currency or scale than the shop's prices or the cart; refresh the line")]
    OtherMoney,
    /// The seal has expired.
    #[error("the seal has expired")]
    Expired,
}

/// Creates a blocking issue of the host with a field.
pub fn issue(field: &str, key: &str, text: String) -> FieldIssue {
    let message = Message { key: key.to_owned(), parameters: Vec::new(), text };
    FieldIssue { field: field.to_owned(), message, blocking: true }
}
