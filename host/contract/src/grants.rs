//! Permissions that an operator gives to an account. The plugin declares what it needs and the operator grants it;
//! neither can widen the other.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Permissions of an account beyond planning carts. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Outbound hosts that may be reached over HTTPS: `host` at the default port, otherwise `host:port`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub hosts: BTreeSet<String>,
    /// Outbound hosts of `hosts` that may be reached without TLS.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub plain_http: BTreeSet<String>,
    /// Private networks that requests may reach. Without this grant, loopback, private and link-local addresses and
    /// metadata services are refused.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Network>))]
    pub networks: Vec<IpNet>,
    /// Networks that the vendor's webhooks may come from; empty allows all.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::Network>))]
    pub webhook_source_networks: Vec<IpNet>,
    /// Whether order hooks receive names, addresses and what shoppers wrote. Configurations contain what shoppers wrote
    /// without it too.
    pub personal_data: bool,
    /// Whether strategies may adjust prices.
    pub adjust_prices: bool,
    /// Whether strategies may choose another price source than the account's.
    pub choose_price_source: bool,
    /// Maximum number of requests per second to each server of the account, after a burst of twice as many. Default:
    /// the host's setting. If two accounts of a shop reach the same server, each request is limited by the rate of its
    /// own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1))]
    pub requests_per_second: Option<NonZeroU32>,
}

impl Grants {
    /// Returns the granted permissions, by the names that plugins use in `identity.grants`.
    pub fn names(&self) -> Vec<String> {
        let all = [
            ("personal-data", self.personal_data),
            ("adjust-prices", self.adjust_prices),
            ("choose-price-source", self.choose_price_source),
        ];
        all.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| name.to_owned()).collect()
    }
}
