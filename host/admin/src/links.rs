//! Product links: the list, import and export.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::{AccountId, AccountSnapshot, Interface, ProductLink, ShopId, ShopSnapshot, StrategyChoice};
use cartwright_http::access::{Caller, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::links_table::{self, TableFor};
use cartwright_store::{Expected, link_version};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use super::entry::{Entry, again};
use super::failed_action::{FailedAction, of_button};
use super::issues::{of_field, wrong};
use super::layout::{csrf_field, page_with_action};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData, Uploaded};

/// Maximum number of links on a page; a search finds the others.
const MAX_LIMIT: usize = 200;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/links", get(list))
        .route("/admin/shops/{shop}/links/remove", post(remove))
        .route("/admin/shops/{shop}/links/table", get(export).post(import))
}

#[derive(Debug, Default, Deserialize)]
struct Which {
    #[serde(default)]
    q: String,
}

/// Returns the path of the page of one link.
fn edit_path(shop: &ShopId, product: &str) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("product", product).finish();
    shop_path(shop, &format!("/links/edit?{query}"))
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { q }): Query<Which>,
) -> Result<Markup, Problem> {
    list_page(&visitor, &node, &shop, &q, &Entry::default(), FailedAction::default())
}

fn list_page(
    visitor: &AdminUser,
    node: &Node,
    shop: &ShopId,
    q: &str,
    entry: &Entry<'_>,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let ShopSnapshot { links, accounts, .. } = node.host().snapshot(shop)?;
    let needle = q.to_lowercase();
    let is_wanted = |link: &&ProductLink| {
        [&link.shop_product, &link.vendor_product].iter().any(|text| text.to_lowercase().contains(&needle))
    };
    let found: Vec<&ProductLink> = links.iter().filter(is_wanted).collect();
    let link = html! { @if !accounts.is_empty() { a.button href=(shop_path(shop, "/links/edit")) { "Link product" } } };
    Ok(page_with_action(
        visitor,
        "Products",
        link,
        html! {
            (entry.summary_of(|field| (field == "table").then(|| field.to_owned())))
            @if accounts.is_empty() {
                p { "First " a href=(shop_path(shop, "/accounts/new")) { "connect a vendor" } "." }
            } @else {
                form.row method="get" action=(shop_path(shop, "/links")) role="search" {
                    div.field { label for="q" { "Search products" } input #q name="q" type="search" value=(q) size="24"; }
                    button.quiet { "Search" }
                }
                @if links.is_empty() { p { "No linked products" } }
                @else if found.is_empty() { p { "No results for “" (q) "”" } }
                @else {
                    p.mark {
                        @if found.len() > MAX_LIMIT { "Showing " (MAX_LIMIT) " of " (found.len()) ". Search to narrow the list." }
                        @else { (found.len()) " of " (links.len()) }
                    }
                    div.scroll tabindex="0" role="region" aria-label="Product links" {
                        table {
                            thead { tr { th { "Product" } th { "Vendor" } th { "Vendor product" } th { "Cart strategy" } th { span.visually-hidden { "Unlink" } } } }
                            tbody {
                                @for link in found.iter().take(MAX_LIMIT) {
                                    tr {
                                        th scope="row" { a href=(edit_path(shop, &link.shop_product)) { (link.shop_product) } }
                                        td { (link.account) }
                                        td { (link.vendor_product) }
                                        td { (strategy_shown(&link.strategy)) }
                                        td {
                                            (failed.beside(&link.shop_product))
                                            form method="post" action=(shop_path(shop, "/links/remove")) {
                                                (csrf_field(visitor))
                                                input type="hidden" name="product" value=(link.shop_product);
                                                input type="hidden" name="version" value=(link_version(link));
                                                button.danger data-ask=(format!("Unlink {}? New shoppers won't see the configurator. Existing carts and orders are not affected.", link.shop_product)) {
                                                    "Unlink" span.visually-hidden { " " (link.shop_product) }
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                form.card method="post" action=(shop_path(shop, "/links/table")) enctype="multipart/form-data" {
                    h2 { "Import and export" }
                    (csrf_field(visitor))
                    p {
                        a href=(shop_path(shop, "/links/table")) { "Export the links" }
                        ", edit them in a spreadsheet and import them again. If a row is invalid nothing is imported. Products not in the file are unchanged."
                    }
                    (entry.field("table", "CSV file", "", html! {
                        input #table name="table" type="file" accept=".csv,text/csv" required aria-describedby="table-help"
                            aria-invalid=[entry.invalid("table")];
                    }))
                    button.quiet { "Import CSV" }
                }
            }
        },
    ))
}

fn strategy_shown(choice: &StrategyChoice) -> String {
    match (&choice.account, &choice.name) {
        (Some(account), Some(name)) => format!("{name} of {account}"),
        (Some(account), None) => account.to_string(),
        (None, Some(name)) => name.clone(),
        (None, None) => "Connection default".to_owned(),
    }
}

/// Formats a strategy as the value of a choice: "account/name", of which either may be empty.
fn strategy_value(choice: &StrategyChoice) -> String {
    let account = choice.account.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{account}/{}", choice.name.as_deref().unwrap_or_default())
}

/// Parses the result of [`strategy_value`].
pub(super) fn read_strategy(text: &str) -> Result<StrategyChoice, Problem> {
    let (account, name) = text.split_once('/').unwrap_or(("", text));
    let account = match account {
        "" => None,
        id => Some(id.parse().map_err(|error| Problem::unprocessable("body", format!("strategy: {error}")))?),
    };
    Ok(StrategyChoice { account, name: Some(name.to_owned()).filter(|name| !name.is_empty()) })
}

/// Returns every strategy that the shop's products can use: those of their own account, and those of others.
pub(super) fn strategies(
    node: &Node,
    accounts: &[AccountSnapshot],
    own: Option<&AccountId>,
    chosen: Option<&StrategyChoice>,
) -> Markup {
    let plans = |account: &AccountSnapshot| {
        node.host().plugin(&account.current).is_some_and(|plugin| plugin.has(Interface::Cart))
    };
    // A vendor without strategies of its own has no default.
    let has_default = accounts.iter().find(|account| Some(&account.id) == own).is_none_or(plans);
    let mut choices = Vec::new();
    if has_default {
        choices.push(("/".to_owned(), "Connection default".to_owned()));
    }
    for account in accounts {
        let Some(plugin) = node.host().plugin(&account.current) else { continue };
        for strategy in &plugin.metadata().identity.strategies {
            let is_own = Some(&account.id) == own;
            let choice =
                StrategyChoice { account: (!is_own).then(|| account.id.clone()), name: Some(strategy.name.clone()) };
            let of = if is_own { String::new() } else { format!(" – of {}", account.id) };
            choices.push((strategy_value(&choice), format!("{}{of}", strategy.title.text)));
        }
    }
    let chosen = chosen.map(strategy_value);
    let is_unknown = |chosen: &&String| *chosen != "/" && choices.iter().all(|(value, _)| value != *chosen);
    let unknown = chosen.as_ref().filter(is_unknown);
    html! {
        @for (value, shown) in &choices { option value=(value) selected[chosen.as_ref() == Some(value)] { (shown) } }
        @if let Some(unknown) = unknown { option value=(unknown) selected { (unknown) } }
    }
}

async fn remove(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let expected = Expected::Version(sent.text("version"));
    let product = sent.raw("product");
    match node.installation().unlink(&shop, &product, expected, &caller.actor, node.now()).await {
        Ok(()) => Ok(redirect_with_notice(&shop_path(&shop, "/links"), Notice::Unlinked).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let failed = FailedAction::new(&product, &problem);
            // The search that finds the product, which a long list may not show.
            Ok(again(&problem, list_page(&visitor, &node, &shop, &product, &Entry::default(), failed)?))
        }
    }
}

async fn export(_: Integrator, State(node): State<Node>, Path(shop): Path<ShopId>) -> Result<Response, Problem> {
    let table = links_table::write(&node.host().snapshot(&shop)?.links, TableFor::Spreadsheet)?;
    let mut response = ([(CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response();
    let name = HeaderValue::try_from(format!("attachment; filename=\"links-{shop}.csv\""));
    if let Ok(name) = name {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn import(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Uploaded(file): Uploaded,
) -> Result<Response, Problem> {
    match link_all(&node, &caller, &shop, file.as_deref()).await {
        Ok(()) => Ok(redirect_with_notice(&shop_path(&shop, "/links"), Notice::Imported).into_response()),
        Err(problem) => {
            let entry = Entry::refused_without(&problem);
            Ok(again(&problem, list_page(&visitor, &node, &shop, "", &entry, FailedAction::default())?))
        }
    }
}

async fn link_all(node: &Node, caller: &Caller, shop: &ShopId, table: Option<&[u8]>) -> Result<(), Problem> {
    let table = table.ok_or_else(|| wrong("table", "Choose a CSV file to import."))?;
    let links = links_table::read(table).map_err(Problem::from).map_err(of_field("table"))?;
    node.installation().link(shop, &links, Expected::Any, &caller.actor, node.now()).await?;
    Ok(())
}
