//! Grants that the command line gives to a plugin.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Context as _;
use cartwright::types::SettingValue;
use cartwright::{Grants, PluginVersion};
use ipnet::IpNet;
use serde_json::{Map, Value};
use url::Url;

/// Accepted values of `--grant`.
const FORMS: &str = "`adjust-prices`, `choose-price-source`, `personal-data`, a host such as `api.example.com`, \
    `http://` and a host without TLS, or a private network such as `10.0.0.0/8`";

/// A single permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// The plugin may change prices.
    AdjustPrices,
    /// The plugin may choose the price source of a line.
    ChoosePriceSource,
    /// The plugin sees names and addresses of orders, and what shoppers wrote.
    PersonalData,
    /// The plugin may reach this host.
    Host(String),
    /// The plugin may reach this host, also without TLS.
    PlainHttp(String),
    /// The plugin may reach this network, although it is not public.
    Network(IpNet),
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_host = |host: &str| {
            Url::parse(&format!("https://{host}/")).is_ok_and(|url| host_of(&url).as_deref() == Some(host))
        };
        Ok(match text {
            "adjust-prices" => Self::AdjustPrices,
            "choose-price-source" => Self::ChoosePriceSource,
            "personal-data" => Self::PersonalData,
            text => match (text.strip_prefix("http://"), text.parse()) {
                (Some(host), _) if is_host(host) => Self::PlainHttp(host.to_owned()),
                (None, Ok(network)) => Self::Network(network),
                (None, Err(_)) if is_host(text) => Self::Host(text.to_owned()),
                _ => return Err(format!("expected {FORMS}")),
            },
        })
    }
}

/// Adds permissions from the command line to grants.
pub fn add_grants(mut grants: Grants, further: &[Grant]) -> Grants {
    for grant in further {
        match grant {
            Grant::AdjustPrices => grants.adjust_prices = true,
            Grant::ChoosePriceSource => grants.choose_price_source = true,
            Grant::PersonalData => grants.personal_data = true,
            Grant::Host(host) => drop(grants.hosts.insert(host.clone())),
            Grant::PlainHttp(host) => {
                grants.hosts.insert(host.clone());
                grants.plain_http.insert(host.clone());
            }
            Grant::Network(network) => grants.networks.push(*network),
        }
    }
    grants
}

/// Returns the flag that grants what a refusal says is missing. A refusal may have passed through a plugin, so that
/// only its text is available: it names the setting of an embedding platform, which this function translates.
pub fn suggested_flag(problem: &str) -> Option<String> {
    let (_, setting) = problem.split_once("to allow it: grants.")?;
    let value = || setting.split('"').nth(1);
    Some(match setting.split(' ').next()? {
        "adjust_prices" => "--grant adjust-prices".to_owned(),
        "choose_price_source" => "--grant choose-price-source".to_owned(),
        "hosts" | "networks" => format!("--grant {}", value()?),
        "plain_http" => format!("--grant http://{}", value()?),
        _ => return None,
    })
}

/// Returns grants with everything that the plugin declares, because a person who plans on files is the operator.
pub fn declared(plugin: &PluginVersion, settings: &Map<String, Value>) -> Grants {
    let hosts = plugin.metadata().identity.outbound_hosts.iter();
    Grants { hosts: hosts.filter_map(|host| declared_host(plugin, host, settings)).collect(), ..Grants::default() }
}

/// Returns a host that a plugin declares, by its name or by the setting that contains its URL; `None` while that
/// setting is empty.
pub fn declared_host(plugin: &PluginVersion, host: &str, settings: &Map<String, Value>) -> Option<String> {
    let Some(field) = host.strip_prefix("setting:") else { return Some(host.to_owned()) };
    let set = settings.get(field).and_then(Value::as_str);
    let default = || match plugin.metadata().form.field(field)?.default_value.as_ref()? {
        SettingValue::Text(text) => Some(text.as_str()),
        _ => None,
    };
    host_of(&Url::parse(set.or_else(default)?).ok()?)
}

/// Returns the setting that contains the URL of a plugin's first host, for `--vendor-url`.
pub fn url_setting(plugin: &PluginVersion) -> anyhow::Result<&str> {
    let mut settings =
        plugin.metadata().identity.outbound_hosts.iter().filter_map(|host| host.strip_prefix("setting:"));
    settings
        .next()
        .with_context(|| format!("{} declares no host by a setting, so --vendor-url cannot set one", plugin.id()))
}

/// Returns the permissions to reach one server, also without TLS and on this machine.
pub fn server(url: &Url) -> Vec<Grant> {
    let address = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let host = host_of(url).map(Grant::PlainHttp);
    host.into_iter().chain(address.map(|address| Grant::Network(address.into()))).collect()
}

/// Returns the host of a URL, with its port unless that is the scheme's default.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_flag_that_would_grant_it() {
        for (problem, grant) in [
            (
                "denied: the host a.example:8 is not granted; to allow it: grants.hosts += \"a.example:8\"",
                "a.example:8",
            ),
            ("the host a is reached without TLS; to allow it: grants.plain_http += \"a:80\"", "http://a:80"),
            ("it is not public; to allow it: grants.networks += \"::1/128\"", "::1/128"),
            ("RING: it adjusts a price; to allow it: grants.adjust_prices = true", "adjust-prices"),
            ("it prices by Vendor; to allow it: grants.choose_price_source = true", "choose-price-source"),
        ] {
            assert_eq!(suggested_flag(problem), Some(format!("--grant {grant}")));
            assert!(grant.parse::<Grant>().is_ok(), "{grant}");
        }
        assert_eq!(suggested_flag("denied: http is not available in cart.plan"), None);
    }

    #[test]
    fn an_invalid_grant_is_refused_with_the_valid_forms() {
        for text in ["", "https://a.example", "a.example/path", "http://", "300.0.0.0/8", "user@a.example"] {
            let error = text.parse::<Grant>().expect_err(text);
            assert!(error.contains("choose-price-source"), "{error}");
        }
    }
}
