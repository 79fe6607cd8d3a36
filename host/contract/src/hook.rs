//! The functions of the contract that the host calls, and the capabilities of each.

use std::fmt;

use serde::Serialize;

/// A family of imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Writes to the plugin log.
    Log,
    /// Queries the platform's catalog.
    Catalog,
    /// Sends requests to the vendor's servers.
    Http,
    /// Uses secrets of the account.
    Secrets,
    /// Looks up orders.
    OrderBook,
    /// Reads stored bytes.
    Blobs,
    /// Emits outcomes of an order event.
    Outcomes,
    /// Waits.
    Timer,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Catalog => "catalog",
            Self::Http => "http",
            Self::Secrets => "secrets",
            Self::OrderBook => "order-book",
            Self::Blobs => "blobs",
            Self::Outcomes => "outcomes",
            Self::Timer => "timer",
        })
    }
}

macro_rules! hooks {
    ($($(#[$doc:meta])* $name:ident = $text:literal [$($capability:ident)*],)*) => {
        /// A function of the contract that the host calls. Each has its own capabilities.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        pub enum Hook {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Hook {
            /// All hooks.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name of the hook in the contract.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the capabilities of the hook.
            pub fn capabilities(self) -> &'static [Capability] {
                match self { $(Self::$name => &[$(Capability::$capability),*],)* }
            }
        }
    };
}

hooks! {
    /// `metadata.describe`
    Describe = "metadata.describe" [Log],
    /// `settings.fields`
    Fields = "settings.fields" [Log],
    /// `settings.validate`
    ValidateSettings = "settings.validate" [Log Catalog],
    /// `settings.migrate`
    Migrate = "settings.migrate" [Log],
    /// `choices.search`
    SearchChoices = "choices.search" [Log Catalog Http Secrets],
    /// `account.test-connection`
    TestConnection = "account.test-connection" [Log Catalog Http Secrets],
    /// `products.search`
    SearchProducts = "products.search" [Log Catalog Http Secrets],
    /// `product-links.validate`
    ValidateLink = "product-links.validate" [Log Catalog],
    /// `page.embed`
    Embed = "page.embed" [Log Catalog],
    /// `reopening.embed-again`
    EmbedAgain = "reopening.embed-again" [Log Catalog Blobs],
    /// `resolving.resolve`
    Resolve = "resolving.resolve" [Log Catalog Http Secrets Blobs],
    /// `configuration.decode`
    Decode = "configuration.decode" [Log Catalog],
    /// `prices.price-items`
    PriceItems = "prices.price-items" [Log Catalog Http Secrets Blobs],
    /// `cart.plan`
    Plan = "cart.plan" [Log Catalog],
    /// `orders.handle`
    HandleOrder = "orders.handle" [Log Catalog Http Secrets OrderBook Blobs Outcomes Timer],
    /// `webhooks.endpoints`
    Endpoints = "webhooks.endpoints" [Log],
    /// `webhooks.receive`
    ReceiveWebhook = "webhooks.receive" [Log Catalog OrderBook Blobs Secrets],
    /// `feed.poll`
    Poll = "feed.poll" [Log Catalog Http Secrets],
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
