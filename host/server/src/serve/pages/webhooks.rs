//! Webhooks: the addresses that vendors are given, and notices that failed.

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use cartwright::types::{Authentication, Endpoint};
use cartwright::webhook::Destination;
use cartwright::{AccountId, ShopId};
use cartwright_store::{OpenNotice, WebhookAddressInfo};
use maud::{Markup, html};

use super::frame::{Done, at, page, token};
use super::visitor::{Sent, Visitor, done};
use super::words::{PAGE, when};
use crate::serve::access::Integrator;
use crate::serve::api::webhooks::{end_now, new_address};
use crate::serve::extract::Path;
use crate::serve::node::Node;
use crate::serve::problem::Problem;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/webhooks", get(list).post(make))
        .route("/admin/shops/{shop}/webhooks/end", post(end))
}

async fn list(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Markup, Problem> {
    let accounts = node.host().snapshot(&shop)?.accounts;
    let addresses = node.store().webhook_addresses(&shop, None, u32::MAX).await?;
    let notices = node.store().open_notices(&shop, None, PAGE).await?;
    let now = node.now();
    let mut drawn = Vec::new();
    for account in &accounts {
        if let Ok(plugin) = node.host().running(&shop, &account.id)
            && !plugin.about().endpoints.is_empty()
        {
            let of_account: Vec<_> =
                addresses.iter().filter(|address| address.stored.destination.account == account.id).collect();
            drawn.push(account_card(&visitor, &shop, &account.id, &plugin.about().endpoints, &of_account, now));
        }
    }
    Ok(page(
        &visitor,
        Some(&shop),
        "Webhooks",
        html! {
            p { "A vendor tells of what it made at an address that only it knows. Make one for each, and enter it in the vendor's back office." }
            @if drawn.is_empty() { p { "No vendor that is connected sends webhooks." } }
            @for card in &drawn { (card) }
            (failed(&notices))
        },
    ))
}

fn account_card(
    visitor: &Visitor,
    shop: &ShopId,
    account: &AccountId,
    endpoints: &[Endpoint],
    addresses: &[&WebhookAddressInfo],
    now: SystemTime,
) -> Markup {
    html! {
        section.card {
            h2 { (account) }
            @for endpoint in endpoints {
                @let own: Vec<_> = addresses.iter().filter(|a| a.stored.destination.endpoint == endpoint.name).collect();
                h3 { (endpoint.title) " " span.mark { (endpoint.name) } }
                p.help { (told_by(&endpoint.authentication)) }
                @if !own.is_empty() {
                    table {
                        thead { tr { th { "Address" } th { "Made" } th { "State" } th { span.visually-hidden { "End" } } } }
                        tbody { @for address in own { (row(visitor, shop, endpoint, address, now)) } }
                    }
                }
                form method="post" action=(at(shop, "/webhooks")) {
                    (token(visitor))
                    input type="hidden" name="account" value=(account);
                    input type="hidden" name="endpoint" value=(endpoint.name);
                    button.quiet {
                        @if addresses.iter().any(|a| a.stored.destination.endpoint == endpoint.name) { "Make another address" }
                        @else { "Make an address" }
                        span.visually-hidden { " for " (endpoint.title) " of " (account) }
                    }
                }
            }
        }
    }
}

fn row(visitor: &Visitor, shop: &ShopId, endpoint: &Endpoint, address: &WebhookAddressInfo, now: SystemTime) -> Markup {
    let id = address.stored.selector.to_string();
    let ended = address.stored.ends.filter(|ends| *ends <= now);
    let held = address.held.by_account || address.held.by_orders;
    html! {
        tr {
            th scope="row" { code { (id) "…" } }
            td { (when(address.made)) }
            td {
                @if let Some(ended) = ended { span.state { "Ended" } " " (when(ended)) }
                @else if !held { span.state.warn { "Not heard" } " its account has no linked product and no open order" }
                @else { span.state.good { "Open" } @if let Some(ends) = address.stored.ends { " until " (when(ends)) } }
            }
            td {
                @if ended.is_none() {
                    form method="post" action=(at(shop, "/webhooks/end")) {
                        (token(visitor))
                        input type="hidden" name="address" value=(id);
                        button.danger data-ask="End this address? What the vendor sends there is refused from now on." {
                            "End" span.visually-hidden { " " (id) " of " (endpoint.title) }
                        }
                    }
                }
            }
        }
    }
}

fn told_by(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::AddressOnly => "Whoever knows the address is believed: give it to nobody but the vendor.",
        _ => "The vendor signs what it sends, with a secret that is among the account's settings.",
    }
}

fn failed(notices: &[OpenNotice]) -> Markup {
    html! {
        section {
            h2 { "Not taken in" }
            @if notices.is_empty() { p { "Everything that vendors sent was taken in." } }
            @else {
                p { "These were refused or failed. Most vendors send them again by themselves." }
                table {
                    thead { tr { th { "To" } th { "Came last" } th.number { "Times" } th { "Why" } } }
                    tbody {
                        @for notice in notices {
                            tr {
                                th scope="row" { (notice.destination.account) " " span.mark { (notice.destination.endpoint) } }
                                td { (when(notice.at)) }
                                td.number { (notice.times) }
                                td { (notice.why.as_deref().unwrap_or("it is being run, or the host was lost in the middle of it")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn make(
    Integrator(caller): Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: Sent,
) -> Result<Markup, Problem> {
    let account: AccountId = sent.read("account")?;
    let to = Destination { shop: shop.clone(), account: account.clone(), endpoint: sent.text("endpoint").to_owned() };
    let title = node
        .host()
        .running(&shop, &account)?
        .about()
        .endpoints
        .iter()
        .find(|known| known.name == to.endpoint)
        .map(|known| known.title.clone());
    let (_, url) = new_address(&node, to, &caller.who).await?;
    Ok(page(
        &visitor,
        Some(&shop),
        "A new webhook address",
        html! {
            section.attention {
                h2 { "It is shown now and never again" }
                div.field {
                    label for="address" { "Address" }
                    input #address readonly value=(url) spellcheck="false" aria-describedby="address-help";
                    p.help #address-help {
                        "Copy it, and enter it in the back office of " (account)
                        @if let Some(title) = title { " as “" (title) "”" }
                        ". When the vendor uses it, end the address that it had before."
                    }
                }
            }
            p { a.button href=(at(&shop, "/webhooks")) { "It is entered" } }
        },
    ))
}

async fn end(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    end_now(&node, &shop, sent.text("address"), &caller.who).await?;
    Ok(done(&at(&shop, "/webhooks"), Done::Ended))
}
