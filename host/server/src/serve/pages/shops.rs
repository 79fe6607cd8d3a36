//! Shops: which there are, how far each is set up, and what it is like.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::get;
use cartwright::types::Rounding;
use cartwright::{AccountSnapshot, Release, Shop, ShopId, ShopSnapshot};
use cartwright_store::{Expected, shop_version};
use maud::{Markup, html};

use super::frame::{Done, address, at, page, segment, token};
use super::open_items::{OpenItems, shown};
use super::visitor::{Sent, Visitor, done};
use crate::serve::access::{Admin, Integrator};
use crate::serve::api::shops::{keep_origins, new_shop};
use crate::serve::extract::Path;
use crate::serve::node::Node;
use crate::serve::problem::Problem;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops", get(list).post(add))
        .route("/admin/shops/{shop}", get(overview))
        .route("/admin/shops/{shop}/settings", get(settings).post(change))
        .route("/admin/shops/{shop}/origins", get(origins).post(set_origins))
}

/// The plugin that an account runs, as people call it, and its version.
pub(super) fn runs(node: &Node, account: &AccountSnapshot) -> (String, String) {
    node.host().plugin(&account.current).map_or_else(
        || ("Plugin not installed on this node".to_owned(), account.current.to_string()),
        |plugin| (plugin.about().identity.name.clone(), plugin.about().identity.version.clone()),
    )
}

async fn list(_: Admin, visitor: Visitor, State(node): State<Node>) -> Result<Markup, Problem> {
    let host = node.host();
    let shops: Vec<ShopSnapshot> = host.shop_ids().iter().filter_map(|id| host.snapshot(id).ok()).collect();
    Ok(page(
        &visitor,
        "Shops",
        html! {
            @if shops.is_empty() { p { "No shops yet. Create a shop to connect a vendor and link products." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Shops" {
                    table {
                        thead { tr { th { "Shop" } th { "Currency" } th { "Vendors" } th.number { "Linked products" } } }
                        tbody {
                            @for ShopSnapshot { shop, accounts, links, .. } in &shops {
                                tr {
                                    th scope="row" { a href=(at(&shop.id, "")) { (shop.id) } }
                                    td { (shop.currency) }
                                    td {
                                        @if accounts.is_empty() { span.mark { "Not connected" } }
                                        @for (number, account) in accounts.iter().enumerate() {
                                            @let (name, version) = runs(&node, account);
                                            @if number > 0 { ", " }
                                            (name) " " span.mark { (version) }
                                        }
                                    }
                                    td.number { (links.len()) }
                                }
                            }
                        }
                    }
                }
            }
            form.card method="post" action=(address("/admin/shops")) {
                h2 { "Create shop" }
                (token(&visitor))
                div.field {
                    label for="id" { "Shop ID" }
                    input #id name="id" required maxlength="64" spellcheck="false" aria-describedby="id-help";
                    p.help #id-help { "Used in URLs and orders. Letters, digits, . _ and - only. Can't be changed later." }
                }
                div.field {
                    label for="currency" { "Currency" }
                    input #currency name="currency" required pattern="[A-Z]{3}" maxlength="3" size="4" placeholder="EUR";
                }
                div.field {
                    label for="scale" { "Price decimals" }
                    input #scale name="scale" required inputmode="numeric" value="2" size="3" aria-describedby="scale-help";
                    p.help #scale-help { "For example 2 for EUR, 0 for JPY" }
                }
                button { "Create shop" }
            }
        },
    ))
}

async fn add(Admin(caller): Admin, State(node): State<Node>, sent: Sent) -> Result<Redirect, Problem> {
    let shop = new_shop(sent.read("id")?, sent.text("currency").to_owned(), sent.whole("scale")?)?;
    let id = shop.id.clone();
    node.installation().set_shop(shop, Expected::Nothing, &caller.who, node.now()).await?;
    Ok(done(&at(&id, ""), Done::Created))
}

async fn overview(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    let ShopSnapshot { accounts, links, .. } = node.host().snapshot(&id)?;
    let has_origins = !node.store().origins(&id).await?.is_empty();
    let linked = links.iter().fold(BTreeMap::<_, usize>::new(), |mut counts, link| {
        *counts.entry(&link.account).or_default() += 1;
        counts
    });
    let steps = [
        (!accounts.is_empty(), "/accounts/new", "Connect a vendor"),
        (!links.is_empty(), "/links", "Link your products to vendor products"),
        (has_origins, "/origins", "Add your storefront domains"),
    ];
    Ok(page(
        &visitor,
        &id.to_string(),
        html! {
            (attention(&id, &visitor.open))
            (checklist(&id, &steps))
            section {
                h2 { "Vendors" }
                @if !accounts.is_empty() {
                    div.scroll tabindex="0" role="region" aria-label="Vendors" {
                        table {
                            thead { tr { th { "Connection" } th { "Plugin" } th { "Version" } th.number { "Linked products" } } }
                            tbody {
                                @for account in &accounts {
                                    @let (name, version) = runs(&node, account);
                                    tr {
                                        th scope="row" {
                                            a href=(at(&id, &format!("/accounts/{}", segment(account.id.as_str())))) { (account.id) }
                                        }
                                        td { (name) } td { (version) }
                                        td.number { (linked.get(&account.id).copied().unwrap_or_default()) }
                                    }
                                }
                            }
                        }
                    }
                }
                p { a.button href=(at(&id, "/accounts/new")) { "Connect a vendor" } }
            }
        },
    ))
}

/// What a person should look at.
fn attention(shop: &ShopId, open: &OpenItems) -> Markup {
    let item = |count: usize, path: &str, one: &str, many: &str| {
        html! { @if count > 0 { li { a href=(at(shop, path)) { (shown(count)) " " (if count == 1 { one } else { many }) } } } }
    };
    html! {
        @if open.total() > 0 {
            section.attention aria-labelledby="waiting" {
                h2 #waiting { "Needs attention" }
                ul {
                    (item(open.changes, "/approvals", "vendor change to review", "vendor changes to review"))
                    (item(open.jobs_for_merchant, "/jobs?state=needs-merchant", "job needs your input", "jobs need your input"))
                    (item(open.failed_jobs, "/jobs?state=stopped", "job failed", "jobs failed"))
                    (item(open.quotes, "/quotations", "quote to price", "quotes to price"))
                }
            }
        }
    }
}

/// The steps of setting a shop up, until all are done: whether each is, its page and its name.
fn checklist(shop: &ShopId, steps: &[(bool, &str, &str)]) -> Markup {
    let done = steps.iter().filter(|(is_done, ..)| *is_done).count();
    html! {
        @if done < steps.len() {
            section.card {
                h2 { "Get started " span.mark { (done) " of " (steps.len()) " done" } }
                ol.steps {
                    @for (is_done, path, name) in steps {
                        li.is-done[*is_done] {
                            a href=(at(shop, path)) { (name) }
                            @if *is_done { span.visually-hidden { ": done" } }
                        }
                    }
                }
            }
        }
    }
}

async fn settings(
    _: Admin,
    visitor: Visitor,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    let shop = node.host().shop(&id)?;
    Ok(page(&visitor, "Shop settings", settings_form(&visitor, &shop)))
}

async fn origins(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    node.host().shop(&id)?;
    let origins = node.store().origins(&id).await?;
    Ok(page(
        &visitor,
        "Storefront domains",
        html! {
            form.card method="post" action=(at(&id, "/origins")) {
                (token(&visitor))
                div.field {
                    label for="origins-field" { "Domains" }
                    textarea #origins-field name="origins" rows="3" spellcheck="false" aria-describedby="origins-help" {
                        "\n" @for origin in &origins { (origin) "\n" }
                    }
                    p.help #origins-help {
                        "One per line, for example https://shop.example. Other sites can't use this shop's storefront keys."
                    }
                }
                button { "Save" }
            }
        },
    ))
}

fn settings_form(visitor: &Visitor, shop: &Shop) -> Markup {
    let releases = [
        (Release::Paid, "paid", "When fully paid"),
        (Release::Placed, "placed", "When placed"),
        (Release::ByHand, "by-hand", "When the platform releases them"),
    ];
    html! {
        form.card method="post" action=(at(&shop.id, "/settings")) {
            (token(visitor))
            input type="hidden" name="version" value=(shop_version(shop));
            div.field {
                label for="currency" { "Currency" }
                input #currency name="currency" required value=(shop.currency) maxlength="3" size="4";
            }
            div.field {
                label for="scale" { "Price decimals" }
                input #scale name="scale" required inputmode="numeric" value=(shop.scale) size="3";
            }
            div.field {
                label for="locale" { "Default language" }
                input #locale name="locale" required value=(shop.locale) size="8" aria-describedby="locale-help";
                p.help #locale-help { "Language code, for example en or nl-BE" }
            }
            div.field {
                label for="prices_include_tax" { "Prices include tax" }
                input #prices_include_tax name="prices_include_tax" type="checkbox" value="true" checked[shop.prices_include_tax];
            }
            div.field {
                label for="half_even" { "Use banker's rounding (round half to even)" }
                input #half_even name="half_even" type="checkbox" value="true" checked[shop.rounding == Rounding::HalfEven];
            }
            div.field {
                label for="sell_unconfigured" { "Allow linked products to be sold without configuration" }
                input #sell_unconfigured name="sell_unconfigured" type="checkbox" value="true" checked[shop.sell_unconfigured];
            }
            div.field {
                label for="release" { "Release orders to production" }
                select #release name="release" {
                    @for (release, name, shown) in releases { option value=(name) selected[shop.release == release] { (shown) } }
                }
            }
            div.field {
                label for="seal_seconds" { "Price validity (seconds)" }
                input #seal_seconds name="seal_seconds" required inputmode="numeric" value=(shop.seal_seconds) size="10";
            }
            div.field {
                label for="pin_seconds" { "Keep the plugin version of cart items for (seconds)" }
                input #pin_seconds name="pin_seconds" required inputmode="numeric" value=(shop.pin_seconds) size="10";
            }
            div.field {
                label for="max_storefront_body_bytes" { "Largest storefront request (bytes)" }
                input #max_storefront_body_bytes name="max_storefront_body_bytes" inputmode="numeric"
                    value=[shop.max_storefront_body_bytes] size="10" aria-describedby="max-storefront-body-bytes-help";
                p.help #max-storefront-body-bytes-help {
                    "Configurations with pictures need more. Leave empty for the default of this installation."
                }
            }
            button { "Save" }
        }
    }
}

async fn change(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    let mut shop = node.host().shop(&id)?.as_ref().clone();
    shop.currency = sent.text("currency").to_owned();
    shop.scale = sent.whole("scale")?;
    shop.locale = sent.text("locale").to_owned();
    shop.prices_include_tax = sent.has("prices_include_tax");
    shop.rounding = if sent.has("half_even") { Rounding::HalfEven } else { Rounding::HalfUp };
    shop.sell_unconfigured = sent.has("sell_unconfigured");
    shop.release = match sent.text("release") {
        "placed" => Release::Placed,
        "by-hand" => Release::ByHand,
        _ => Release::Paid,
    };
    shop.seal_seconds = sent.whole("seal_seconds")?;
    shop.pin_seconds = sent.whole("pin_seconds")?;
    shop.max_storefront_body_bytes = sent.optional("max_storefront_body_bytes")?;
    let expected = Expected::Version(sent.text("version"));
    node.installation().set_shop(shop, expected, &caller.who, node.now()).await?;
    Ok(done(&at(&id, "/settings"), Done::Saved))
}

async fn set_origins(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    let origins: BTreeSet<String> = sent.lines("origins").map(str::to_owned).collect();
    keep_origins(&node, &id, &origins, Expected::Anything, &caller.who).await?;
    Ok(done(&at(&id, "/origins"), Done::Saved))
}
