//! A shop: its texts, its products and its keys for the host.

use super::client::Host;
use super::line::Money;

/// A shop.
pub(super) struct Shop {
    /// The host's id of the shop, and its segment of each path.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// The vendor of its configurators.
    pub(super) vendor: &'static str,
    pub(super) about: &'static str,
    pub(super) currency: &'static str,
    pub(super) products: Vec<Product>,
    /// The host's API with the server's key.
    pub(super) host: Host,
    /// The key that the pages contain.
    pub(super) storefront: String,
}

/// A configurable product.
pub(super) struct Product {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) from: Money,
}

impl Shop {
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.id)
    }

    /// Returns the URL of a resource of this shop at the host.
    pub(super) fn api_path(&self, rest: &str) -> String {
        format!("/v1/shops/{}/{rest}", self.id)
    }

    pub(super) fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }
}
