//! What an operator allows a vendor account. The plugin declares what it wants; the operator grants; neither side can widen the
//! other.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What a vendor account may do beyond planning carts. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Hosts that may be reached by https: `host` at its usual port, or `host:port`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub hosts: BTreeSet<String>,
    /// Hosts of `hosts` that may be reached without TLS.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub plain_http: BTreeSet<String>,
    /// Addresses that are refused otherwise: loopback, private, link-local, metadata services.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Network>))]
    pub networks: Vec<IpNet>,
    /// Where the vendor's webhooks may come from; empty = from anywhere.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Network>))]
    pub webhook_source_networks: Vec<IpNet>,
    /// Order hooks see addresses.
    pub personal_data: bool,
    /// Strategies may add to and take from prices.
    pub adjust_prices: bool,
    /// Strategies may choose another price source than the account's.
    pub choose_price_source: bool,
    /// Maximum number of requests a second to each of its servers, after a burst of twice as many; the host's unless given. Where
    /// two accounts of a shop reach the same server, each request takes as long as its own account says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1))]
    pub requests_per_second: Option<NonZeroU32>,
}

impl Grants {
    /// What a plugin may ask for in `identity.grants`, and was granted.
    pub fn names(&self) -> Vec<String> {
        let all = [
            ("personal-data", self.personal_data),
            ("adjust-prices", self.adjust_prices),
            ("choose-price-source", self.choose_price_source),
        ];
        all.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| name.to_owned()).collect()
    }
}
