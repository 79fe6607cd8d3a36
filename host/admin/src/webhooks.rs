//! Webhooks: the URLs for vendors, and failed deliveries.

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use cartwright::types::{Authentication, WebhookEndpoint};
use cartwright::webhook::Destination;
use cartwright::{AccountId, ShopId};
use cartwright_http::access::Integrator;
use cartwright_http::extract::Path;
use cartwright_http::{Node, Problem};
use cartwright_service::webhooks;
use cartwright_store::{FailedWebhookDelivery, WebhookUrlInfo};
use maud::{Markup, html};

use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::text::{PAGE, time};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/webhooks", get(list).post(create))
        .route("/admin/shops/{shop}/webhooks/end", post(revoke_url))
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Markup, Problem> {
    let accounts = node.host().snapshot(&shop)?.accounts;
    let urls = node.store().webhooks().webhook_urls(&shop, None, u32::MAX).await?;
    let failed_deliveries = node.store().webhooks().failed_webhook_deliveries(&shop, None, PAGE).await?;
    let now = node.now();
    let mut cards = Vec::new();
    for account in &accounts {
        match node.host().webhook_endpoints(&shop, &account.id).await {
            Ok(endpoints) if endpoints.is_empty() => {}
            Ok(endpoints) => {
                let own: Vec<_> = urls.iter().filter(|url| url.stored.destination.account == account.id).collect();
                cards.push(account_card(&visitor, &shop, &account.id, &endpoints, &own, now));
            }
            // The endpoints of other accounts are shown all the same.
            Err(error) => cards.push(html! {
                section.card { h2 { (account.id) } p { span.state.warn { "Unavailable" } " " (error) } }
            }),
        }
    }
    Ok(page(
        &visitor,
        "Webhooks",
        html! {
            p { "Vendors send updates to secret URLs. Create one per event and paste it into the vendor's admin." }
            @if cards.is_empty() { p { "No connected vendor sends webhooks." } }
            @for card in &cards { (card) }
            (failed(&failed_deliveries))
        },
    ))
}

fn account_card(
    visitor: &AdminUser,
    shop: &ShopId,
    account: &AccountId,
    endpoints: &[WebhookEndpoint],
    urls: &[&WebhookUrlInfo],
    now: SystemTime,
) -> Markup {
    html! {
        section.card {
            h2 { (account) }
            @for endpoint in endpoints {
                @let own: Vec<_> = urls.iter().filter(|a| a.stored.destination.endpoint == endpoint.name).collect();
                h3 { (endpoint.title.text) " " span.mark { (endpoint.name) } }
                p.help {
                    (authentication_text(&endpoint.authentication))
                    @if !endpoint.networks.is_empty() { " Accepted only from " (endpoint.networks.join(", ")) "." }
                }
                @if !own.is_empty() {
                    div.scroll tabindex="0" role="region" aria-label=(format!("URLs of {} of {account}", endpoint.title.text)) {
                        table {
                            thead { tr { th { "URL" } th { "Created" } th { "Status" } th { span.visually-hidden { "Deactivate" } } } }
                            tbody { @for url in own { (row(visitor, shop, endpoint, url, now)) } }
                        }
                    }
                }
                form method="post" action=(shop_path(shop, "/webhooks")) {
                    (csrf_field(visitor))
                    input type="hidden" name="account" value=(account);
                    input type="hidden" name="endpoint" value=(endpoint.name);
                    button.quiet {
                        @if urls.iter().any(|a| a.stored.destination.endpoint == endpoint.name) { "Create another URL" }
                        @else { "Create URL" }
                        span.visually-hidden { " for " (endpoint.title.text) " of " (account) }
                    }
                }
            }
        }
    }
}

fn row(
    visitor: &AdminUser,
    shop: &ShopId,
    endpoint: &WebhookEndpoint,
    url: &WebhookUrlInfo,
    now: SystemTime,
) -> Markup {
    let id = url.stored.selector.to_string();
    let ended = url.stored.expires_at.filter(|ends| *ends <= now);
    let is_in_use = url.use_state.has_account || url.use_state.has_open_order;
    html! {
        tr {
            th scope="row" { code { (id) "…" } }
            td { (time(url.created_at)) }
            td {
                @if let Some(ended) = ended { span.state { "Deactivated" } " " (time(ended)) }
                @else if !is_in_use { span.state.warn { "Inactive" } " The connection has no linked product and no open order." }
                @else { span.state.good { "Active" } @if let Some(ends) = url.stored.expires_at { " until " (time(ends)) } }
            }
            td {
                @if ended.is_none() {
                    form method="post" action=(shop_path(shop, "/webhooks/end")) {
                        (csrf_field(visitor))
                        input type="hidden" name="address" value=(id);
                        button.danger data-ask="Deactivate this URL? Webhooks sent to it will be rejected." {
                            "Deactivate" span.visually-hidden { " " (id) " of " (endpoint.title.text) }
                        }
                    }
                }
            }
        }
    }
}

fn authentication_text(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::AddressOnly => "The URL is the only protection. Share it with the vendor only.",
        Authentication::SecretHeader(_) => {
            "The vendor sends a secret from the connection's settings with its webhooks."
        }
        Authentication::HmacSha256(_) | Authentication::StandardWebhooks(_) | Authentication::Other(_) => {
            "The vendor signs its webhooks with a secret from the connection's settings."
        }
    }
}

fn failed(failed_deliveries: &[FailedWebhookDelivery]) -> Markup {
    html! {
        section {
            h2 { "Failed deliveries" }
            @if failed_deliveries.is_empty() { p { "All webhooks were processed" } }
            @else {
                p { "These webhooks were rejected or failed. Most vendors retry automatically." }
                div.scroll tabindex="0" role="region" aria-label="Failed deliveries" {
                    table {
                        thead { tr { th { "Webhook" } th { "Last received" } th.number { "Attempts" } th { "Reason" } } }
                        tbody {
                            @for delivery in failed_deliveries {
                                tr {
                                    th scope="row" { (delivery.destination.account) " " span.mark { (delivery.destination.endpoint) } }
                                    td { (time(delivery.at)) }
                                    td.number { (delivery.attempts) }
                                    td.long { (delivery.reason.as_deref().unwrap_or("In progress, or interrupted by a restart")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn create(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Markup, Problem> {
    let account: AccountId = sent.read("account")?;
    let to = Destination { shop: shop.clone(), account: account.clone(), endpoint: sent.text("endpoint").to_owned() };
    let endpoints = node.host().webhook_endpoints(&shop, &account).await?;
    let title = endpoints.into_iter().find(|known| known.name == to.endpoint).map(|known| known.title.text);
    let token = webhooks::create_url(node.installation(), &to, &caller.actor, node.now()).await?;
    let url = node.webhook_url(&token);
    Ok(page(
        &visitor,
        "New webhook URL",
        html! {
            section.attention {
                h2 { "Copy this now. You won't see it again." }
                div.field {
                    label for="address" { "URL" }
                    input #address readonly value=(url) spellcheck="false" aria-describedby="address-help";
                    p.help #address-help {
                        "Paste it into the admin of " (account)
                        @if let Some(title) = title { " as “" (title) "”" }
                        ". Once the vendor uses it, deactivate the previous URL."
                    }
                }
            }
            p { a.button href=(shop_path(&shop, "/webhooks")) { "Done" } }
        },
    ))
}

async fn revoke_url(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Redirect, Problem> {
    webhooks::revoke_url(node.store(), &shop, sent.text("address"), &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&shop_path(&shop, "/webhooks"), Notice::UrlDeactivated))
}
