//! The permissions that a plugin requests, and those that an account has.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use cartwright::{Grants, Interface, MAX_FEED_INTERVAL_SECONDS, MIN_FEED_INTERVAL_SECONDS, PluginVersion};
use cartwright_http::Problem;
use cartwright_service::grants::{self, Grant};
use ipnet::IpNet;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::entry::Entry;
use super::form::host_shown;
use super::issues::{Issues, wrong};
use super::session::{AdminUser, FormData};

/// The fields of the grants form that can have issues.
pub(super) const FIELDS: [&str; 6] = [
    "further_hosts",
    "webhook_source_networks",
    "requests_per_second",
    "feed_interval_seconds",
    "plain_http",
    "networks",
];

/// Draws the features of a plugin and the permissions that it requests.
pub(super) fn requested(plugin: &PluginVersion) -> Markup {
    let identity = &plugin.metadata().identity;
    let strategies: Vec<&str> = identity.strategies.iter().map(|strategy| strategy.title.text.as_str()).collect();
    let hosts: Vec<String> =
        identity.outbound_hosts.iter().map(|host| host_shown(&plugin.metadata().form, &Map::new(), host)).collect();
    let features: Vec<&str> = plugin.exports().filter_map(feature).collect();
    let requested_grants: Vec<&str> = identity.grants.iter().map(|grant| grant_text(grant)).collect();
    html! {
        dl {
            @if !strategies.is_empty() { dt { "Cart strategies" } dd { (strategies.join(", ")) } }
            @if !features.is_empty() { dt { "Features" } dd { (features.join(", ")) } }
            @if !plugin.unknown_exports().is_empty() {
                dt { "Needs a newer host for" } dd { (plugin.unknown_exports().join(", ")) }
            }
            dt { "Connects to" } dd { @if hosts.is_empty() { "No external hosts" } @else { (hosts.join(", ")) } }
            @if !requested_grants.is_empty() { dt { "Permissions requested" } dd { (requested_grants.join(", ")) } }
        }
    }
}

/// Returns what an exported interface means to a merchant; `None` for what every plugin or every vendor has.
fn feature(interface: Interface) -> Option<&'static str> {
    match interface {
        Interface::Metadata
        | Interface::Settings
        | Interface::Choices
        | Interface::ProductLinks
        | Interface::Page
        | Interface::Configuration => None,
        Interface::Account => Some("Connection test"),
        Interface::Products => Some("Product search"),
        Interface::Reopening => Some("Configuration editing"),
        Interface::Resolving => Some("Configurations from the vendor's server"),
        Interface::Prices => Some("Prices"),
        Interface::Cart => Some("Cart strategies"),
        Interface::Orders => Some("Orders"),
        Interface::Webhooks => Some("Webhooks"),
        Interface::Feed => Some("Feed"),
    }
}

fn grant_text(grant: &str) -> &str {
    match grant {
        "personal-data" => "Orders, with names, addresses and what shoppers wrote",
        "adjust-prices" => "Adjust prices",
        "choose-price-source" => "Choose the price source",
        other => other,
    }
}

/// Returns the text of a refusal without the setting that it names, which the pages show as a button.
pub(super) fn without_setting(refusal: &str) -> &str {
    refusal.split_once("; to allow it: grants.").map_or(refusal, |(reason, _)| reason)
}

/// Draws a button that grants what the text of a refusal says is missing, or that an admin can grant it. The button is
/// of the form that surrounds it. `account` is the address of the account's page.
pub(super) fn missing(visitor: &AdminUser, account: &str, refusal: &str) -> Markup {
    let flag = grants::suggested_flag(refusal);
    let grant = flag.as_deref().and_then(|flag| flag.strip_prefix("--grant "));
    let Some((text, grant)) = grant.and_then(|text| Some((text, text.parse::<Grant>().ok()?))) else {
        return html! {};
    };
    let (permission, is_of_admins) = permission(&grant);
    html! {
        @if visitor.caller.is_admin() || !is_of_admins {
            button.quiet formaction=(format!("{account}/allow")) name="grant" value=(text) { "Allow " (permission) }
        } @else {
            p.help { "Ask an admin to allow " (permission) "." }
        }
    }
}

/// Returns a permission in words, and whether only admins grant it.
fn permission(grant: &Grant) -> (String, bool) {
    match grant {
        Grant::AdjustPrices => ("price adjustments".to_owned(), false),
        Grant::ChoosePriceSource => ("the choice of the price source".to_owned(), false),
        Grant::PersonalData => ("access to names, addresses and what shoppers wrote".to_owned(), true),
        Grant::Host(host) => (format!("connections to {host}"), false),
        Grant::PlainHttp(host) => (format!("plain HTTP to {host}"), true),
        Grant::Network(network) => (format!("the private network {network}"), true),
    }
}

/// Draws the grants of an account, with controls for those that the visitor may change. `settings` are the stored ones.
pub(super) fn draw(
    visitor: &AdminUser,
    plugin: &PluginVersion,
    grants: &Grants,
    settings: &Map<String, Value>,
    entry: &Entry<'_>,
    is_new: bool,
) -> Markup {
    let declared = grants::declared(plugin, settings).hosts;
    let further: Vec<&str> = grants.hosts.difference(&declared).map(String::as_str).collect();
    let identity = &plugin.metadata().identity;
    let requested = |grant: &str| identity.grants.iter().any(|requested_grant| requested_grant == grant);
    let tick = |name: &str, ticked: bool, label: Markup| {
        html! { label.inline { input type="checkbox" name=(name) value="true" checked[ticked]; " " (label) } }
    };
    let lines = |networks: &[IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let list = |name: &'static str, label: &str, help: &str, stored: String| {
        let input = html! {
            textarea id=(name) name=(name) rows="2" spellcheck="false" aria-describedby=(format!("{name}-help")) aria-invalid=[entry.invalid(name)] {
                "\n" (entry.text(name, stored))
            }
        };
        entry.field(name, label, help, input)
    };
    let requests_per_second = grants.requests_per_second.map(|number| number.to_string()).unwrap_or_default();
    let feed_interval = grants.feed_interval_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    let admin = visitor.caller.is_admin();
    let is_open = !further.is_empty()
        || !grants.plain_http.is_empty()
        || !grants.networks.is_empty()
        || !grants.webhook_source_networks.is_empty()
        || grants.requests_per_second.is_some()
        || FIELDS.iter().any(|name| *name != "feed_interval_seconds" && entry.invalid(name).is_some());
    html! {
        fieldset #permissions {
            legend { "Permissions" }
            @for host in &identity.outbound_hosts {
                @let granted = grants::declared_host(plugin, host, settings).is_none_or(|host| grants.hosts.contains(&host));
                label.inline {
                    input type="checkbox" name="host" value=(host) checked[entry.is_chosen("host", host, is_new || granted)];
                    " Connect to " (host_shown(&plugin.metadata().form, settings, host))
                }
            }
            @if requested("personal-data") {
                @if admin || grants.personal_data {
                    (tick("personal_data", grants.personal_data, html! { "Orders, with names, addresses and what shoppers wrote" }))
                    p.help {
                        "Without it, this plugin gets orders without names, addresses and texts such as engravings. Configurations \
                         still contain those texts, because they are part of what is made."
                    }
                }
                @if !admin {
                    p.help {
                        @if grants.personal_data {
                            "While this is on, only an admin can add hosts. Once removed, only an admin can restore it."
                        } @else {
                            "This plugin requests names, addresses and what shoppers wrote. Ask an admin to allow it."
                        }
                    }
                }
            }
            @if requested("adjust-prices") { (tick("adjust_prices", grants.adjust_prices, html! { "Adjust prices" })) }
            @if requested("choose-price-source") {
                (tick("choose_price_source", grants.choose_price_source, html! { "Choose the price source" }))
            }
            @if plugin.has(Interface::Feed) {
                (entry.field(
                    "feed_interval_seconds",
                    "Update interval (seconds)",
                    "How often the vendor is asked for updates, from 30 to 86400. Leave empty for 300.",
                    html! {
                        input #feed_interval_seconds name="feed_interval_seconds" inputmode="numeric" size="8"
                            value=(entry.text("feed_interval_seconds", feed_interval)) aria-describedby="feed_interval_seconds-help"
                            aria-invalid=[entry.invalid("feed_interval_seconds")];
                    },
                ))
            }
            details open[is_open] {
                summary { "Advanced network access" }
                (list(
                    "further_hosts",
                    "Additional allowed hosts",
                    "host or host:port, one per line. For vendors that store files elsewhere.",
                    further.join("\n"),
                ))
                (list(
                    "webhook_source_networks",
                    "Allowed webhook source networks",
                    "CIDR ranges such as 192.0.2.0/24, one per line. Leave empty to allow any.",
                    lines(&grants.webhook_source_networks),
                ))
                @if admin {
                    (entry.field(
                        "requests_per_second",
                        "Requests per second",
                        "Maximum for each host it connects to. Leave empty for the default of this installation.",
                        html! {
                            input #requests_per_second name="requests_per_second" inputmode="numeric" size="8"
                                value=(entry.text("requests_per_second", requests_per_second)) aria-describedby="requests_per_second-help"
                                aria-invalid=[entry.invalid("requests_per_second")];
                        },
                    ))
                    (list(
                        "plain_http",
                        "Hosts allowed over plain HTTP",
                        "Testing only. Traffic is not encrypted. host or host:port, one per line.",
                        grants.plain_http.iter().map(String::as_str).collect::<Vec<_>>().join("\n"),
                    ))
                    (list(
                        "networks",
                        "Allowed private networks",
                        "Only if the vendor runs in your own network or on this machine, for example 10.0.0.0/8. One per line.",
                        lines(&grants.networks),
                    ))
                } @else if !grants.plain_http.is_empty() || !grants.networks.is_empty() {
                    p.help { "Also allowed by an admin: " (lines(&grants.networks)) " " @for host in &grants.plain_http { "http://" (host) " " } }
                }
            }
        }
    }
}

/// Reads the submitted grants. Grants that this visitor may not change, and those that cannot be parsed, keep their old
/// value.
pub(super) fn read(
    visitor: &AdminUser,
    plugin: &PluginVersion,
    sent: &FormData,
    settings: &Map<String, Value>,
    old: Option<&Grants>,
    issues: &mut Issues,
) -> Grants {
    let old = old.cloned().unwrap_or_default();
    let mut grants = Grants {
        webhook_source_networks: issues
            .take(networks(sent, "webhook_source_networks"))
            .unwrap_or(old.webhook_source_networks),
        personal_data: sent.has("personal_data"),
        adjust_prices: sent.has("adjust_prices"),
        choose_price_source: sent.has("choose_price_source"),
        plain_http: old.plain_http,
        networks: old.networks,
        requests_per_second: old.requests_per_second,
        feed_interval_seconds: old.feed_interval_seconds,
        hosts: BTreeSet::new(),
    };
    if plugin.has(Interface::Feed)
        && let Some(seconds) = issues.take(feed_interval_seconds(sent))
    {
        grants.feed_interval_seconds = seconds;
    }
    if visitor.caller.is_admin() {
        grants.plain_http = sent.lines("plain_http").map(str::to_owned).collect();
        if let Some(networks) = issues.take(networks(sent, "networks")) {
            grants.networks = networks;
        }
        if let Some(number) = issues.take(requests_per_second(sent)) {
            grants.requests_per_second = number;
        }
    }
    let declared =
        plugin.metadata().identity.outbound_hosts.iter().filter(|host| sent.texts("host").any(|sent| sent == *host));
    grants.hosts = declared.filter_map(|host| grants::declared_host(plugin, host, settings)).collect();
    grants.hosts.extend(sent.lines("further_hosts").map(str::to_owned));
    // What the plugin does not ask for is not on the page.
    grants.limited_to(&plugin.metadata().identity.grants)
}

fn requests_per_second(sent: &FormData) -> Result<Option<NonZeroU32>, Problem> {
    let text = sent.text("requests_per_second");
    let form = || {
        format!("{text:?} is not a number of requests per second: enter a whole number such as 10, or leave it empty")
    };
    match text {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| wrong("requests_per_second", form())),
    }
}

fn feed_interval_seconds(sent: &FormData) -> Result<Option<u32>, Problem> {
    let text = sent.text("feed_interval_seconds");
    let allowed = MIN_FEED_INTERVAL_SECONDS..=MAX_FEED_INTERVAL_SECONDS;
    match text {
        "" => Ok(None),
        number => number.parse().ok().filter(|seconds| allowed.contains(seconds)).map(Some).ok_or_else(|| {
            let (least, most) = (allowed.start(), allowed.end());
            wrong("feed_interval_seconds", format!("{text:?} is not an interval: enter {least} to {most} seconds"))
        }),
    }
}

/// Reads the networks of a field, one per line.
pub(super) fn networks(sent: &FormData, name: &str) -> Result<Vec<IpNet>, Problem> {
    let read = |text: &str| {
        let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map_err(|_| {
            wrong(name, format!("{text:?} is not a network: enter CIDR ranges such as 192.0.2.0/24, one per line"))
        })
    };
    sent.lines(name).map(read).collect()
}
