//! What a plugin asks for, and what is granted to it.

use std::collections::BTreeSet;

use cartwright::{Grants, Plugin};
use ipnet::IpNet;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::form::host_shown;
use super::visitor::{Sent, Visitor};
use crate::grants;
use crate::serve::problem::Problem;

/// What a plugin can do, and what it asks for.
pub(super) fn asks(plugin: &Plugin) -> Markup {
    let identity = &plugin.about().identity;
    let strategies: Vec<&str> = identity.strategies.iter().map(|strategy| strategy.title.text.as_str()).collect();
    let hosts: Vec<String> =
        identity.hosts.iter().map(|host| host_shown(&plugin.about().form, &Map::new(), host)).collect();
    let wishes: Vec<&str> = identity.grants.iter().map(|grant| grant_shown(grant)).collect();
    html! {
        dl {
            @if !strategies.is_empty() { dt { "Cart strategies" } dd { (strategies.join(", ")) } }
            @if !identity.capabilities.is_empty() { dt { "Features" } dd { (identity.capabilities.join(", ")) } }
            dt { "Connects to" } dd { @if hosts.is_empty() { "No external hosts" } @else { (hosts.join(", ")) } }
            @if !wishes.is_empty() { dt { "Permissions requested" } dd { (wishes.join(", ")) } }
        }
    }
}

fn grant_shown(grant: &str) -> &str {
    match grant {
        "personal-data" => "Customer names and addresses",
        "adjust-prices" => "Adjust prices",
        "choose-price-source" => "Choose the price source",
        other => other,
    }
}

/// What is granted to a plugin, for whoever grants it.
/// `settings` are those that are saved.
pub(super) fn draw(
    visitor: &Visitor,
    plugin: &Plugin,
    grants: &Grants,
    settings: &Map<String, Value>,
    is_new: bool,
) -> Markup {
    let declared = grants::declared(plugin, settings).hosts;
    let further: Vec<&str> = grants.hosts.difference(&declared).map(String::as_str).collect();
    let identity = &plugin.about().identity;
    let asks = |grant: &str| identity.grants.iter().any(|asked| asked == grant);
    let tick = |name: &str, ticked: bool, label: Markup| {
        html! { label.inline { input type="checkbox" name=(name) value="true" checked[ticked]; " " (label) } }
    };
    let lines = |networks: &[IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let admin = visitor.caller.is_admin();
    let unusual = !further.is_empty()
        || !grants.plain_http.is_empty()
        || !grants.networks.is_empty()
        || !grants.webhook_networks.is_empty()
        || grants.requests_per_second.is_some();
    html! {
        fieldset {
            legend { "Permissions" }
            @for host in &identity.hosts {
                @let granted = grants::declared_host(plugin, host, settings).is_none_or(|host| grants.hosts.contains(&host));
                label.inline {
                    input type="checkbox" name="host" value=(host) checked[is_new || granted];
                    " Connect to " (host_shown(&plugin.about().form, settings, host))
                }
            }
            @if asks("personal-data") {
                @if admin || grants.personal_data {
                    (tick("personal_data", grants.personal_data, html! { "Access customer names and addresses of its orders" }))
                }
                @if !admin {
                    p.help {
                        @if grants.personal_data {
                            "While this is on, only an admin can add hosts. Once removed, only an admin can restore it."
                        } @else {
                            "This plugin requests customer names and addresses. Ask an admin to allow it."
                        }
                    }
                }
            }
            @if asks("adjust-prices") { (tick("adjust_prices", grants.adjust_prices, html! { "Adjust prices" })) }
            @if asks("choose-price-source") {
                (tick("choose_price_source", grants.choose_price_source, html! { "Choose the price source" }))
            }
            details open[unusual] {
                summary { "Advanced network access" }
                div.field {
                    label for="further_hosts" { "Additional allowed hosts" }
                    textarea #further_hosts name="further_hosts" rows="2" spellcheck="false" aria-describedby="further-hosts-help" {
                        "\n" (further.join("\n"))
                    }
                    p.help #further-hosts-help { "host or host:port, one per line. For vendors that store files elsewhere." }
                }
                div.field {
                    label for="webhook_networks" { "Allowed webhook source networks" }
                    textarea #webhook_networks name="webhook_networks" rows="2" spellcheck="false" aria-describedby="webhook-networks-help" {
                        "\n" (lines(&grants.webhook_networks))
                    }
                    p.help #webhook-networks-help { "CIDR ranges such as 192.0.2.0/24, one per line. Leave empty to allow any." }
                }
                @if admin {
                    div.field {
                        label for="requests_per_second" { "Requests per second" }
                        input #requests_per_second name="requests_per_second" type="number" min="1"
                            value=[grants.requests_per_second] aria-describedby="requests-per-second-help";
                        p.help #requests-per-second-help {
                            "Maximum for each host it connects to. Leave empty for the default of this installation."
                        }
                    }
                    div.field {
                        label for="plain_http" { "Hosts allowed over plain HTTP" }
                        textarea #plain_http name="plain_http" rows="2" spellcheck="false" aria-describedby="plain-http-help" {
                            "\n" @for host in &grants.plain_http { (host) "\n" }
                        }
                        p.help #plain-http-help { "Testing only. Traffic is not encrypted. host or host:port, one per line." }
                    }
                    div.field {
                        label for="networks" { "Allowed private networks" }
                        textarea #networks name="networks" rows="2" spellcheck="false" aria-describedby="networks-help" {
                            "\n" (lines(&grants.networks))
                        }
                        p.help #networks-help { "Only if the vendor runs in your own network or on this machine, for example 10.0.0.0/8. One per line." }
                    }
                } @else if !grants.plain_http.is_empty() || !grants.networks.is_empty() {
                    p.help { "Also allowed by an admin: " (lines(&grants.networks)) " " @for host in &grants.plain_http { "http://" (host) " " } }
                }
            }
        }
    }
}

/// What was granted. What the form does not let this visitor change stays as it was.
pub(super) fn read(
    visitor: &Visitor,
    plugin: &Plugin,
    sent: &Sent,
    settings: &Map<String, Value>,
    old: Option<&Grants>,
) -> Result<Grants, Problem> {
    let old = old.cloned().unwrap_or_default();
    // What the form does not ask about is not taken away either.
    let asks = plugin.about().identity.grants.iter().any(|asked| asked == "personal-data");
    let mut grants = Grants {
        webhook_networks: networks(sent, "webhook_networks")?,
        personal_data: if asks { sent.has("personal_data") } else { old.personal_data },
        adjust_prices: sent.has("adjust_prices"),
        choose_price_source: sent.has("choose_price_source"),
        plain_http: old.plain_http,
        networks: old.networks,
        requests_per_second: old.requests_per_second,
        hosts: BTreeSet::new(),
    };
    if visitor.caller.is_admin() {
        grants.plain_http = sent.lines("plain_http").map(str::to_owned).collect();
        grants.networks = networks(sent, "networks")?;
        grants.requests_per_second = match sent.text("requests_per_second").trim() {
            "" => None,
            number => Some(number.parse().map_err(|_| {
                let detail =
                    format!("{number:?} is not a number of requests per second; enter a whole number such as 10, or leave it empty");
                Problem::unprocessable("body", detail)
            })?),
        };
    }
    let declared = plugin.about().identity.hosts.iter().filter(|host| sent.texts("host").any(|sent| sent == *host));
    grants.hosts = declared.filter_map(|host| grants::declared_host(plugin, host, settings)).collect();
    grants.hosts.extend(sent.lines("further_hosts").map(str::to_owned));
    Ok(grants)
}

/// The networks that a field names, one a line.
pub(super) fn networks(sent: &Sent, name: &str) -> Result<Vec<IpNet>, Problem> {
    let read = |text: &str| {
        let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map_err(|_| {
            Problem::unprocessable(
                "body",
                format!("{text:?} is not a network; enter CIDR ranges such as 192.0.2.0/24, one per line"),
            )
        })
    };
    sent.lines(name).map(read).collect()
}
