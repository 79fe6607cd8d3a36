//! Grants that a command line gives to a plugin.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Context as _;
use cartwright::types::SettingValue;
use cartwright::{Grants, PluginVersion};
use ipnet::IpNet;
use serde_json::{Map, Value};
use url::Url;

/// What `--grant` takes.
const FORMS: &str = "`adjust-prices`, `choose-price-source`, `personal-data`, a host such as `api.example.com`, \
    `http://` and a host that has no TLS, or a network that is not public, such as `10.0.0.0/8`";

/// One thing that is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// It may add to prices and take from them.
    AdjustPrices,
    /// It may choose who prices a line.
    ChoosePriceSource,
    /// It sees names and addresses of orders.
    PersonalData,
    /// It may reach this host.
    Host(String),
    /// It may reach this host, without TLS too.
    PlainHttp(String),
    /// It may reach this network, which is not public.
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

/// Adds what was granted by hand.
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

/// The flag that grants what a refusal says is missing. A refusal may have gone through a plugin, so there is only its text: it
/// names the setting of an embedding platform, which this translates.
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

/// Who plans on files is the operator: what the plugin declares is granted.
pub fn declared(plugin: &PluginVersion, settings: &Map<String, Value>) -> Grants {
    let hosts = plugin.metadata().identity.hosts.iter();
    Grants { hosts: hosts.filter_map(|host| declared_host(plugin, host, settings)).collect(), ..Grants::default() }
}

/// A host that a plugin declares: by its name, or by the setting that holds its URL; none while that is empty.
pub fn declared_host(plugin: &PluginVersion, host: &str, settings: &Map<String, Value>) -> Option<String> {
    let Some(field) = host.strip_prefix("setting:") else { return Some(host.to_owned()) };
    let set = settings.get(field).and_then(Value::as_str);
    let default = || match plugin.metadata().form.field(field)?.default.as_ref()? {
        SettingValue::Text(text) => Some(text.as_str()),
        _ => None,
    };
    host_of(&Url::parse(set.or_else(default)?).ok()?)
}

/// The setting that a plugin's first host is named by: where `--vendor-url` goes.
pub fn url_setting(plugin: &PluginVersion) -> anyhow::Result<&str> {
    let mut settings = plugin.metadata().identity.hosts.iter().filter_map(|host| host.strip_prefix("setting:"));
    settings
        .next()
        .with_context(|| format!("{} names no host by a setting, so --vendor-url cannot set one", plugin.id()))
}

/// What reaching this one server takes, without TLS and on this machine too.
pub fn server(url: &Url) -> Vec<Grant> {
    let address = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let host = host_of(url).map(Grant::PlainHttp);
    host.into_iter().chain(address.map(|address| Grant::Network(address.into()))).collect()
}

/// Returns the host of an address, with its port unless that is the scheme's own.
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
    fn what_is_no_grant_is_refused_with_what_is_one() {
        for text in ["", "https://a.example", "a.example/path", "http://", "300.0.0.0/8", "user@a.example"] {
            let error = text.parse::<Grant>().expect_err(text);
            assert!(error.contains("choose-price-source"), "{error}");
        }
    }
}
