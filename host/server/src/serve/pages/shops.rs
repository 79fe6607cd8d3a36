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
        || ("a plugin that is not here".to_owned(), account.current.to_string()),
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
            @if shops.is_empty() { p { "There is no shop yet. Add the first one below." } }
            @else {
                table {
                    thead { tr { th { "Shop" } th { "Currency" } th { "Vendors" } th.number { "Linked products" } } }
                    tbody {
                        @for ShopSnapshot { shop, accounts, links, .. } in &shops {
                            tr {
                                th scope="row" { a href=(at(&shop.id, "")) { (shop.id) } }
                                td { (shop.currency) }
                                td {
                                    @if accounts.is_empty() { span.mark { "none yet" } }
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
            form.card method="post" action=(address("/admin/shops")) {
                h2 { "Add a shop" }
                (token(&visitor))
                div.field {
                    label for="id" { "Name" }
                    input #id name="id" required maxlength="64" spellcheck="false" aria-describedby="id-help";
                    p.help #id-help { "What the platform calls it in addresses and orders; letters, digits, \".\", \"_\" and \"-\". It stays." }
                }
                div.field {
                    label for="currency" { "Currency" }
                    input #currency name="currency" required pattern="[A-Z]{3}" maxlength="3" size="4" placeholder="EUR";
                }
                div.field {
                    label for="scale" { "Decimals of its prices" }
                    input #scale name="scale" required inputmode="numeric" value="2" size="3" aria-describedby="scale-help";
                    p.help #scale-help { "2 for euros and cents, 0 for yen." }
                }
                button { "Add the shop" }
            }
        },
    ))
}

async fn add(Admin(caller): Admin, State(node): State<Node>, sent: Sent) -> Result<Redirect, Problem> {
    let shop = new_shop(sent.read("id")?, sent.text("currency").to_owned(), sent.whole("scale")?)?;
    let id = shop.id.clone();
    node.installation().set_shop(shop, Expected::Nothing, &caller.who, node.now()).await?;
    Ok(done(&at(&id, ""), Done::Saved))
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
        html! { a href=(at(&id, &format!("/jobs?state={state}"))) { (count) " orders' jobs" } }
    };
    Ok(page(
        &visitor,
        Some(&id),
        &format!("Shop {id}"),
        html! {
            @if pushed + stopped + needs_merchant > 0 {
                section.attention aria-labelledby="waiting" {
                    h2 #waiting { "This waits for somebody" }
                    ul {
                        @if pushed > 0 {
                            li { a href=(at(&id, "/approvals")) { (pushed) " changes that a vendor pushed" } " wait for approval" }
                        }
                        @if needs_merchant > 0 {
                            li { (jobs(needs_merchant, "needs-merchant")) " need the merchant" }
                        }
                        @if stopped > 0 {
                            li { (jobs(stopped, "stopped")) " have stopped" }
                        }
                    }
                }
            }
            section.card {
                h2 { "Setting it up" }
                ol.steps {
                    (step(!accounts.is_empty(), html! { a href=(at(&id, "/accounts/new")) { "Connect a vendor" } }))
                    (step(!links.is_empty(), html! { a href=(at(&id, "/links")) { "Link products" } " to the vendor's" }))
                    (step(!origins.is_empty(), html! { a href="#origins" { "Say where its pages are" } ", so that they may load configurators" }))
                }
            }
            section {
                h2 { "Vendors" }
                @if !accounts.is_empty() {
                    table {
                        thead { tr { th { "Account" } th { "Plugin" } th { "Version" } th.number { "Linked products" } } }
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
                p { a.button href=(at(&id, "/accounts/new")) { "Connect a vendor" } }
            }
            form.card #origins method="post" action=(at(&id, "/origins")) {
                h2 { "Where its pages are" }
                (token(&visitor))
                div.field {
                    label for="origins-field" { "Origins" }
                    textarea #origins-field name="origins" rows="3" spellcheck="false" aria-describedby="origins-help" {
                        "\n" @for origin in &origins { (origin) "\n" }
                    }
                    p.help #origins-help {
                        "One a line, as a browser spells it: https://shop.example. Pages from elsewhere cannot use the shop's storefront keys."
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
        (Release::Paid, "paid", "when it is paid in full"),
        (Release::Placed, "placed", "when it is placed"),
        (Release::ByHand, "by-hand", "when the platform releases it"),
    ];
    html! {
        form.card method="post" action=(at(&shop.id, "")) {
            h2 { "What it is like" }
            (token(visitor))
            input type="hidden" name="version" value=(shop_version(shop));
            div.field {
                label for="currency" { "Currency" }
                input #currency name="currency" required value=(shop.currency) maxlength="3" size="4";
            }
            div.field {
                label for="scale" { "Decimals of its prices" }
                input #scale name="scale" required inputmode="numeric" value=(shop.scale) size="3";
            }
            div.field {
                label for="locale" { "Language of its texts" }
                input #locale name="locale" required value=(shop.locale) size="8" aria-describedby="locale-help";
                p.help #locale-help { "As BCP 47 says: en, nl-BE." }
            }
            div.field {
                label for="prices_include_tax" { "Its prices are entered with tax" }
                input #prices_include_tax name="prices_include_tax" type="checkbox" value="true" checked[shop.prices_include_tax];
            }
            div.field {
                label for="half_even" { "Half a cent goes to the even neighbour, rather than up" }
                input #half_even name="half_even" type="checkbox" value="true" checked[shop.rounding == Rounding::HalfEven];
            }
            div.field {
                label for="sell_unconfigured" { "Linked products may be bought without a configuration" }
                input #sell_unconfigured name="sell_unconfigured" type="checkbox" value="true" checked[shop.sell_unconfigured];
            }
            div.field {
                label for="release" { "An order may be produced" }
                select #release name="release" {
                    @for (release, name, shown) in releases { option value=(name) selected[shop.release == release] { (shown) } }
                }
            }
            div.field {
                label for="seal_seconds" { "A price holds for so many seconds" }
                input #seal_seconds name="seal_seconds" required inputmode="numeric" value=(shop.seal_seconds) size="10";
            }
            div.field {
                label for="pin_seconds" { "A line in a cart keeps its plugin's version for so many seconds longer" }
                input #pin_seconds name="pin_seconds" required inputmode="numeric" value=(shop.pin_seconds) size="10";
            }
            div.field {
                label for="max_storefront_body_bytes" { "Largest request of a product page (bytes)" }
                input #max_storefront_body_bytes name="max_storefront_body_bytes" inputmode="numeric"
                    value=[shop.max_storefront_body_bytes] size="10" aria-describedby="max-storefront-body-bytes-help";
                p.help #max-storefront-body-bytes-help {
                    "Configurations that hold pictures need more than others. Empty: as this installation allows every shop."
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
