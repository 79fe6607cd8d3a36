//! Permissions that an operator gives to an account. The plugin declares what it needs and the operator grants it;
//! neither can widen the other.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The permissions that a plugin may ask for, by the names that it uses in `plugin-metadata.grants`.
pub const PERMISSIONS: [&str; 3] = ["personal-data", "adjust-prices", "choose-price-source"];

/// Minimum interval in seconds at which a feed is polled.
pub const MIN_FEED_INTERVAL_SECONDS: u32 = 30;
/// Maximum interval in seconds at which a feed is polled: one day.
pub const MAX_FEED_INTERVAL_SECONDS: u32 = 24 * 60 * 60;
/// Interval in seconds at which a feed is polled by default.
const DEFAULT_FEED_INTERVAL_SECONDS: u32 = 300;

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
    /// Networks that the vendor's webhooks may come from; empty allows all. A request must also come from the networks
    /// that the plugin declares for its endpoint, if it declares any.
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
    /// Interval in seconds at which the vendor's feed is polled, from 30 to 86400. Default: 300. It has no effect for a
    /// plugin without a feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_interval_seconds: Option<u32>,
}

impl Grants {
    /// Returns the interval at which the vendor's feed is polled.
    pub fn feed_interval(&self) -> Duration {
        Duration::from_secs(self.feed_interval_seconds.unwrap_or(DEFAULT_FEED_INTERVAL_SECONDS).into())
    }

    /// Returns the granted permissions, by the names that plugins use in `plugin-metadata.grants`.
    pub fn names(&self) -> Vec<String> {
        let granted = [self.personal_data, self.adjust_prices, self.choose_price_source];
        let names = PERMISSIONS.into_iter().zip(granted).filter(|(_, is_granted)| *is_granted);
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// Returns the grants without the permissions that a plugin does not ask for. `requested` is the
    /// `plugin-metadata.grants` of its version: a version switch may lead to one that asks for less.
    pub fn limited_to(&self, requested: &[String]) -> Self {
        let is_requested = |name: &str| requested.iter().any(|requested| requested == name);
        Self {
            personal_data: self.personal_data && is_requested("personal-data"),
            adjust_prices: self.adjust_prices && is_requested("adjust-prices"),
            choose_price_source: self.choose_price_source && is_requested("choose-price-source"),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_holds_only_while_the_version_asks_for_it() {
        let all = Grants { personal_data: true, adjust_prices: true, choose_price_source: true, ..Grants::default() };
        assert_eq!(all.names(), PERMISSIONS);
        assert_eq!(all.limited_to(&["adjust-prices".to_owned()]).names(), ["adjust-prices"]);
        assert_eq!(Grants::default().limited_to(&PERMISSIONS.map(str::to_owned)).names(), [""; 0]);
    }
}
