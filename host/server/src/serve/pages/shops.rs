//! Shops: which there are, how far each is set up, and what it is like.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use cartwright::types::Rounding;
use cartwright::{AccountSnapshot, Release, Shop, ShopId, ShopSnapshot};
use cartwright_store::{AccountOutcomeState, Expected, JobFilter, shop_version};
use maud::{Markup, html};

use super::frame::{Done, address, at, page, segment, token};
use super::visitor::{Sent, Visitor, done};
use crate::serve::access::{Admin, Integrator};
use crate::serve::api::shops::{keep_origins, new_shop};
use crate::serve::extract::Path;
use crate::serve::node::Node;
use crate::serve::problem::Problem;

/// Of more, "many" is said.
const MOST: u32 = 100;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops", get(list).post(add))
        .route("/admin/shops/{shop}", get(overview).post(change))
        .route("/admin/shops/{shop}/origins", post(origins))
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
        None,
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

/// What a person should look at.
struct Waiting {
    pushed: usize,
    stopped: usize,
    needs_merchant: usize,
}

impl Waiting {
    async fn of(node: &Node, shop: &ShopId) -> Result<Self, Problem> {
        let store = node.store();
        let jobs = async |state: &str| {
            let filter = JobFilter { shop: Some(shop.clone()), state: Some(state.to_owned()), ..JobFilter::default() };
            Ok::<_, Problem>(store.jobs(&filter, MOST).await?.len())
        };
        Ok(Self {
            pushed: store.account_outcomes(shop, Some(AccountOutcomeState::Held), None, MOST).await?.len(),
            stopped: jobs("stopped").await?,
            needs_merchant: jobs("needs-merchant").await?,
        })
    }
}

async fn overview(
    _: Integrator,
    visitor: Visitor,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
) -> Result<Markup, Problem> {
    let ShopSnapshot { shop, accounts, links, .. } = node.host().snapshot(&id)?;
    let origins = node.store().origins(&id).await?;
    let Waiting { pushed, stopped, needs_merchant } = Waiting::of(&node, &id).await?;
    let linked = links.iter().fold(BTreeMap::<_, usize>::new(), |mut counts, link| {
        *counts.entry(&link.account).or_default() += 1;
        counts
    });
    let step = |held: bool, what: Markup| {
        html! { li.held[held] { span.visually-hidden { @if held { "Done: " } @else { "To do: " } } (what) } }
    };
    let admin = visitor.caller.is_admin();
    let jobs = |count: usize, state: &str| {
        html! { a href=(at(&id, &format!("/jobs?state={state}"))) { (count) @if count == 1 { " job" } @else { " jobs" } } }
    };
    Ok(page(
        &visitor,
        Some(&id),
        &id.to_string(),
        html! {
            @if pushed + stopped + needs_merchant > 0 {
                section.attention aria-labelledby="waiting" {
                    h2 #waiting { "Needs attention" }
                    ul {
                        @if pushed > 0 {
                            li { a href=(at(&id, "/approvals")) { (pushed) @if pushed == 1 { " vendor change" } @else { " vendor changes" } } " to review" }
                        }
                        @if needs_merchant > 0 {
                            li { (jobs(needs_merchant, "needs-merchant")) @if needs_merchant == 1 { " needs" } @else { " need" } " your input" }
                        }
                        @if stopped > 0 {
                            li { (jobs(stopped, "stopped")) " failed" }
                        }
                    }
                }
            }
            section.card {
                h2 { "Get started" }
                ol.steps {
                    (step(!accounts.is_empty(), html! { a href=(at(&id, "/accounts/new")) { "Connect a vendor" } }))
                    (step(!links.is_empty(), html! { a href=(at(&id, "/links")) { "Link your products" } " to vendor products" }))
                    (step(!origins.is_empty(), html! { a href="#origins" { "Add your storefront domains" } }))
                }
            }
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
            form.card #origins method="post" action=(at(&id, "/origins")) {
                h2 { "Storefront domains" }
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
            @if admin { (settings(&visitor, &shop)) }
        },
    ))
}

fn settings(visitor: &Visitor, shop: &Shop) -> Markup {
    let releases = [
        (Release::Paid, "paid", "When fully paid"),
        (Release::Placed, "placed", "When placed"),
        (Release::ByHand, "by-hand", "When the platform releases them"),
    ];
    html! {
        form.card method="post" action=(at(&shop.id, "")) {
            h2 { "Shop settings" }
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
    Ok(done(&at(&id, ""), Done::Saved))
}

async fn origins(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    let origins: BTreeSet<String> = sent.lines("origins").map(str::to_owned).collect();
    keep_origins(&node, &id, &origins, Expected::Anything, &caller.who).await?;
    Ok(done(&at(&id, ""), Done::Saved))
}
