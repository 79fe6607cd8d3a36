//! One product link, with a picker that lists the vendor's products.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cartwright::types::{FieldIssue, Product};
use cartwright::{
    AccountId, Interface, PluginVersion, ProductLink, ProductLinkIssues, ShopId, ShopSnapshot, StrategyChoice,
};
use cartwright_http::access::Integrator;
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::input;
use cartwright_store::{Expected, link_version};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use super::accounts::plugin;
use super::entry::Entry;
use super::form::{self, FormView};
use super::issues::wrong;
use super::layout::{csrf_field, page, problem_details};
use super::links::{read_strategy, strategies};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::shops::plugin_name;

/// Maximum number of the shop's products in the list.
const MAX_LISTED_PRODUCTS: u32 = 500;

/// The prefix of the names of the strategy settings' inputs.
const STRATEGY: &str = "strategy";

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/shops/{shop}/links/edit", get(edit).post(set))
}

/// The state of the page of a link that is created or changed.
#[derive(Debug, Default, Deserialize)]
struct LinkQuery {
    #[serde(default)]
    product: String,
    account: Option<AccountId>,
    vendor_product: Option<String>,
    #[serde(default)]
    search: String,
    cursor: Option<String>,
}

async fn edit(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(editing): Query<LinkQuery>,
) -> Result<Markup, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    let old = snapshot.links.iter().find(|link| link.shop_product == editing.product).cloned();
    let first = || snapshot.accounts.first().map(|account| account.id.clone());
    let account = editing.account.clone().or_else(|| old.as_ref().map(|old| old.account.clone())).or_else(first);
    let Some(account) = account else {
        return Err(Problem::unprocessable("account", "Connect a vendor before you link products."));
    };
    let mut link = old.clone().filter(|old| old.account == account).unwrap_or_else(|| empty(&editing.product, account));
    if let Some(vendor_product) = &editing.vendor_product {
        link.vendor_product.clone_from(vendor_product);
    }
    let version = old.as_ref().map(link_version).unwrap_or_default();
    link_page(&visitor, &node, &snapshot, &link, &PageMessages { editing, version, ..PageMessages::default() }).await
}

fn empty(product: &str, account: AccountId) -> ProductLink {
    ProductLink {
        shop_product: product.to_owned(),
        account,
        vendor_product: String::new(),
        additional_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: Vec::new(),
        settings: serde_json::Map::new(),
        strategy: StrategyChoice::default(),
        strategy_settings: serde_json::Map::new(),
    }
}

/// The messages on the page of a link.
#[derive(Default)]
struct PageMessages {
    editing: LinkQuery,
    /// The version of the link that was read; empty if there was none.
    version: String,
    /// The problem of the link, with its issues by the ids of the inputs.
    problem: Option<Problem>,
    /// Whether the link was saved nevertheless, so that the problem is only a warning.
    is_saved: bool,
}

async fn link_page(
    visitor: &AdminUser,
    node: &Node,
    snapshot: &ShopSnapshot,
    link: &ProductLink,
    messages: &PageMessages,
) -> Result<Markup, Problem> {
    let shop = &snapshot.shop.id;
    let found = snapshot.accounts.iter().find(|account| account.id == link.account);
    let account = found.ok_or_else(|| cartwright::SetupError::UnknownAccount(link.account.clone()))?;
    let vendor = plugin(node, account.current)?;
    let planner = snapshot.accounts.iter().find(|account| link.strategy.account.as_ref() == Some(&account.id));
    let planner = match planner {
        None => None,
        Some(account) => {
            let plugin = plugin(node, account.current)?;
            let choices = form::vendor_choices(node, shop, &account.id, &plugin.metadata().form, true).await;
            Some((plugin, choices))
        }
    };
    let choices = form::vendor_choices(node, shop, &account.id, &vendor.metadata().form, true).await;
    let offered = products_of_shop(node, shop).await?;
    let entry = messages.problem.as_ref().map(Entry::refused_without).unwrap_or_default();
    let issues = messages.problem.as_ref().map(Problem::issues).unwrap_or_default();
    let has_more = link.preset.is_some() || !link.additional_vendor_products.is_empty();
    let more_is_wrong = entry.invalid("preset").or(entry.invalid("additional_vendor_products")).is_some();
    let id_of = |field: &str| input_of(field, &vendor, planner.as_ref().map(|(plugin, _)| &**plugin));
    let title = match messages.version.is_empty() {
        true => "Link product".to_owned(),
        false => format!("{}: product link", link.shop_product),
    };
    let form_of = |plugin: &PluginVersion, prefix, values, choices| {
        form::render(&FormView {
            form: &plugin.metadata().form,
            prefix,
            values,
            secrets: &[],
            issues,
            choices: Some(choices),
            is_product_form: true,
        })
    };
    let picker = if vendor.has(Interface::Products) {
        picker(node, snapshot, link, &messages.editing).await
    } else {
        html! {}
    };
    Ok(page(
        visitor,
        &title,
        html! {
            @if messages.is_saved {
                @for issue in issues.iter().filter(|issue| id_of(&issue.field).is_none()) {
                    p.refused { (issue.field) ": " (issue.message.text) }
                }
            } @else { (entry.summary_of(id_of)) }
            (picker)
            form.card method="post" action=(shop_path(shop, "/links/edit")) {
                h2 { "Product link" }
                (csrf_field(visitor))
                input type="hidden" name="version" value=(messages.version);
                (entry.field("product", "Your product", "", html! {
                    input #product name="product" required value=(link.shop_product) list="products" readonly[!messages.version.is_empty()]
                        spellcheck="false" autocomplete="off" aria-describedby="product-help" aria-invalid=[entry.invalid("product")];
                    datalist #products { @for product in &offered { option value=(product) {} } }
                }))
                div.field {
                    label for="account" { "Vendor" }
                    select #account name="account" {
                        @for account in &snapshot.accounts {
                            @let (name, _) = plugin_name(node, account);
                            option value=(account.id) selected[account.id == link.account] { (account.id) " (" (name) ")" }
                        }
                    }
                }
                (entry.field("vendor_product", "Vendor product", "", html! {
                    input #vendor_product name="vendor_product" required value=(link.vendor_product) spellcheck="false" autocomplete="off"
                        aria-describedby="vendor_product-help" aria-invalid=[entry.invalid("vendor_product")];
                }))
                div.field {
                    label for="strategy" { "Cart strategy" }
                    select #strategy name="strategy" { (strategies(node, &snapshot.accounts, Some(&link.account), Some(&link.strategy))) }
                    @if !messages.version.is_empty() {
                        p {
                            a href=(shop_path(shop, &format!("/preview?{}", form_urlencoded::Serializer::new(String::new()).append_pair("product", &link.shop_product).finish()))) {
                                "Test with a configuration"
                            }
                        }
                    }
                }
                (entry.field(
                    "allowed_skus",
                    "Allowed SKUs",
                    "One per line. Used if the vendor doesn't return a SKU: other SKUs sent by the browser are rejected.",
                    html! {
                        textarea #allowed_skus name="allowed_skus" rows="2" spellcheck="false" aria-describedby="allowed_skus-help"
                            aria-invalid=[entry.invalid("allowed_skus")] { "\n" (input::lines(&link.allowed_skus)) }
                    },
                ))
                details open[has_more || more_is_wrong] {
                    summary { "Advanced" }
                    (entry.field("additional_vendor_products", "Additional vendor products", "", html! {
                        textarea #additional_vendor_products name="additional_vendor_products" rows="2" spellcheck="false"
                            aria-describedby="additional_vendor_products-help" aria-invalid=[entry.invalid("additional_vendor_products")] {
                            "\n" (input::lines(&link.additional_vendor_products))
                        }
                    }))
                    (entry.field("preset", "Starting preset", "", html! {
                        input #preset name="preset" value=(link.preset.as_deref().unwrap_or_default()) aria-describedby="preset-help"
                            aria-invalid=[entry.invalid("preset")];
                    }))
                }
                @if vendor.metadata().form.0.iter().any(|field| field.per_product) {
                    details open[!link.settings.is_empty() || !issues.is_empty()] {
                        summary { "Product settings" }
                        (form_of(&vendor, form::SETTING, &link.settings, &choices))
                    }
                }
                @if let Some((planner, choices)) = planner.as_ref().filter(|(planner, _)| planner.metadata().form.0.iter().any(|field| field.per_product)) {
                    details open { summary { "Strategy settings" } (form_of(planner, STRATEGY, &link.strategy_settings, choices)) }
                }
                button { @if messages.version.is_empty() { "Link product" } @else { "Save" } }
            }
        },
    ))
}

/// The members of a link, by the names that plugins use in issues, with the ids of their inputs.
const MEMBERS: [(&str, &str); 5] = [
    ("shop-product", "product"),
    ("vendor-product", "vendor_product"),
    ("additional-vendor-products", "additional_vendor_products"),
    ("preset", "preset"),
    ("allowed-skus", "allowed_skus"),
];

/// Returns the id of the input of an issue: a member of the link, or a setting of its vendor or of its strategy.
fn input_of(field: &str, vendor: &PluginVersion, planner: Option<&PluginVersion>) -> Option<String> {
    if MEMBERS.iter().any(|(_, id)| *id == field) {
        return Some(field.to_owned());
    }
    let has = |plugin: &PluginVersion| plugin.metadata().form.field(field).is_some_and(|field| field.per_product);
    let prefix = match planner {
        _ if has(vendor) => form::SETTING,
        Some(planner) if has(planner) => STRATEGY,
        _ => return None,
    };
    Some(form::input_id(prefix, field))
}

/// Translates an issue to the id of its input, and drops the product's prefix, which matters only in a list of links.
fn by_input(issue: &FieldIssue, product: &str) -> FieldIssue {
    let field = issue.field.strip_prefix(&format!("{product}.")).unwrap_or(&issue.field);
    let id = MEMBERS.iter().find(|(member, _)| *member == field).map_or(field, |(_, id)| *id);
    FieldIssue { field: id.to_owned(), ..issue.clone() }
}

/// Returns the products of the shop that the platform has reported.
async fn products_of_shop(node: &Node, shop: &ShopId) -> Result<BTreeSet<String>, Problem> {
    let variants = node.store().catalog().variants_page(shop, None, None, MAX_LISTED_PRODUCTS).await?;
    Ok(variants.into_iter().map(|variant| variant.product).collect())
}

/// Draws the list of the vendor's products to choose from.
async fn picker(node: &Node, snapshot: &ShopSnapshot, link: &ProductLink, editing: &LinkQuery) -> Markup {
    let shop = &snapshot.shop.id;
    let found = node.host().search_products(shop, &link.account, &editing.search, editing.cursor.as_deref()).await;
    let to = |pairs: &[(&str, &str)]| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("product", &link.shop_product).append_pair("account", link.account.as_str());
        query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        shop_path(shop, &format!("/links/edit?{}", query.finish()))
    };
    let chosen = |product: &Product| product.id == link.vendor_product;
    html! {
        section.card aria-labelledby="picker" {
            h2 #picker { "Vendor catalog" }
            form method="get" action=(shop_path(shop, "/links/edit")) role="search" {
                input type="hidden" name="product" value=(link.shop_product);
                div.row {
                    div.field {
                        label for="search-account" { "Vendor" }
                        select #search-account name="account" {
                            @for account in &snapshot.accounts { option value=(account.id) selected[account.id == link.account] { (account.id) } }
                        }
                    }
                    div.field { label for="search" { "Title or ID" } input #search name="search" type="search" value=(editing.search) size="24"; }
                    button.quiet { "Search" }
                }
            }
            @match found {
                Err(error) => { (problem_details(&error.into())) p.help { "Enter the vendor product ID below." } }
                Ok(found) => {
                    @if found.products.is_empty() { p { @if editing.search.is_empty() { "No vendor products" } @else { "No vendor products match “" (editing.search) "”" } } }
                    ul.picker {
                        @for product in &found.products {
                            li {
                                a href=(to(&[("vendor_product", &product.id), ("search", &editing.search)])) aria-current=[chosen(product).then_some("true")] {
                                    @if let Some(picture) = product.thumbnail.as_deref().filter(|picture| picture.starts_with("https://")) {
                                        img.thumbnail src=(picture) alt="" loading="lazy" referrerpolicy="no-referrer";
                                    }
                                    div { (product.title) }
                                    div.mark { (product.id) }
                                }
                            }
                        }
                    }
                    @if let Some(cursor) = &found.cursor {
                        a.quiet.button href=(to(&[("search", &editing.search), ("cursor", cursor)])) { "Next page" }
                    }
                }
            }
        }
    }
}

async fn set(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    // The product of an existing link is unchanged, even if it has surrounding spaces.
    let is_new = sent.text("version").is_empty();
    let product = if is_new { sent.text("product").to_owned() } else { sent.raw("product") };
    let mut link = empty(&product, sent.read("account")?);
    let plugin_of = |id: &AccountId| {
        let account = snapshot.accounts.iter().find(|account| account.id == *id);
        account.map(|account| plugin(&node, account.current)).transpose()
    };
    if let Some(vendor) = plugin_of(&link.account)? {
        link.settings = form::read(&vendor.metadata().form, form::SETTING, &sent, true);
    }
    link.strategy = read_strategy(sent.text("strategy"))?;
    if link.strategy.account.as_ref() == Some(&link.account) {
        link.strategy.account = None;
    }
    if let Some(planner) = link.strategy.account.as_ref().map(plugin_of).transpose()?.flatten() {
        link.strategy_settings = form::read(&planner.metadata().form, STRATEGY, &sent, true);
    }
    link.vendor_product = sent.text("vendor_product").to_owned();
    link.additional_vendor_products = sent.values("additional_vendor_products");
    link.preset = sent.optional("preset")?;
    link.allowed_skus = sent.values("allowed_skus");
    let version = sent.text("version").to_owned();
    let expected = if version.is_empty() { Expected::Absent } else { Expected::Version(&version) };
    let links = std::slice::from_ref(&link);
    let linked = match link.shop_product.is_empty() {
        true => Err(wrong("product", "Enter your product.")),
        false => {
            let linked = node.installation().link(&shop, links, expected, &caller.actor, node.now()).await;
            linked.map_err(Problem::from)
        }
    };
    match linked {
        Ok(warnings) if warnings.is_empty() => {
            Ok(redirect_with_notice(&shop_path(&shop, "/links"), Notice::Linked).into_response())
        }
        Ok(warnings) => {
            let warnings = warnings.iter().flat_map(|ProductLinkIssues { issues, .. }| issues);
            let issues = warnings.map(|issue| by_input(issue, &link.shop_product)).collect();
            let problem = Problem::unprocessable("warning", "It was saved.").with_issues(issues);
            let messages = PageMessages {
                version: link_version(&link),
                problem: Some(problem),
                is_saved: true,
                ..PageMessages::default()
            };
            Ok(link_page(&visitor, &node, &snapshot, &link, &messages).await?.into_response())
        }
        Err(problem) => {
            let issues = problem.issues().iter().map(|issue| by_input(issue, &link.shop_product)).collect();
            let messages =
                PageMessages { version, problem: Some(problem.with_issues(issues)), ..PageMessages::default() };
            let page = link_page(&visitor, &node, &snapshot, &link, &messages).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
