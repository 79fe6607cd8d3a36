//! Vendor switch: moves a shop's products from one account to another, after a readiness report.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cartwright::types::Product;
use cartwright::{AccountId, ProductLink, Readiness, ShopId, ShopSnapshot, StrategyChoice};
use cartwright_http::access::Integrator;
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::input;
use cartwright_store::Expected;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Map;

use super::layout::{csrf_field, page, problem_details};
use super::notice::{Notice, redirect_with_notice};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::shops::plugin_name;

/// Maximum number of products on a page; the CSV import switches more.
const MAX_LIMIT: usize = 200;

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/shops/{shop}/vendor-swap", get(form).post(check_or_switch))
}

/// The old and the new account.
#[derive(Debug, Deserialize)]
struct SwitchQuery {
    from: Option<AccountId>,
    to: Option<AccountId>,
}

async fn form(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(SwitchQuery { from, to }): Query<SwitchQuery>,
) -> Result<Markup, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    let mut mapped = ProductMapping::default();
    (mapped.from, mapped.to) = (from, to);
    Ok(render(&visitor, &node, &snapshot, &mapped).await)
}

/// The mapping of an account's products.
#[derive(Default)]
struct ProductMapping {
    from: Option<AccountId>,
    to: Option<AccountId>,
    /// The new vendor product and the allowed SKUs, by the shop's product.
    products: BTreeMap<String, (String, String)>,
    report: Option<Result<Readiness, Problem>>,
}

impl ProductMapping {
    fn links(&self, snapshot: &ShopSnapshot) -> Vec<ProductLink> {
        let Some(to) = &self.to else { return Vec::new() };
        let link = |old: &ProductLink| {
            let (vendor_product, skus) = self.products.get(&old.shop_product)?;
            if vendor_product.is_empty() {
                return None;
            }
            Some(ProductLink {
                shop_product: old.shop_product.clone(),
                account: to.clone(),
                vendor_product: vendor_product.clone(),
                additional_vendor_products: Vec::new(),
                preset: None,
                allowed_skus: skus.lines().map(str::trim).filter(|sku| !sku.is_empty()).map(input::value).collect(),
                // The old vendor's settings and strategies do not apply to the new one.
                settings: Map::new(),
                strategy: StrategyChoice::default(),
                strategy_settings: Map::new(),
            })
        };
        self.linked_products(snapshot).filter_map(link).collect()
    }

    fn linked_products<'a>(&'a self, snapshot: &'a ShopSnapshot) -> impl Iterator<Item = &'a ProductLink> {
        snapshot.links.iter().filter(|link| Some(&link.account) == self.from.as_ref())
    }
}

async fn check_or_switch(
    Integrator(caller): Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    let mut mapped =
        ProductMapping { from: Some(sent.read("from")?), to: Some(sent.read("to")?), ..ProductMapping::default() };
    mapped.products = mapped
        .linked_products(&snapshot)
        .map(|link| {
            let text = |what: &str| sent.text(&format!("{what}.{}", link.shop_product)).to_owned();
            (link.shop_product.clone(), (text("product"), text("skus")))
        })
        .collect();
    let links = mapped.links(&snapshot);
    let from = sent.read("from")?;
    let report = match links.is_empty() {
        true => Err(Problem::unprocessable("links", "Enter the new vendor product of at least one product.")),
        false => node.host().readiness(&shop, &from, &links).await.map_err(Problem::from),
    };
    if sent.text("do") == "swap" && report.as_ref().is_ok_and(Readiness::is_ready) {
        node.installation().link(&shop, &links, Expected::Any, &caller.actor, node.now()).await?;
        return Ok(redirect_with_notice(&shop_path(&shop, "/links"), Notice::VendorSwitched).into_response());
    }
    let ready = report.as_ref().is_ok_and(Readiness::is_ready);
    mapped.report = Some(report);
    let status = if ready { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, render(&visitor, &node, &snapshot, &mapped).await).into_response())
}

async fn render(visitor: &AdminUser, node: &Node, snapshot: &ShopSnapshot, mapped: &ProductMapping) -> Markup {
    let shop = &snapshot.shop.id;
    let (from, to) = (mapped.from.as_ref(), mapped.to.as_ref());
    let pair = from.zip(to).filter(|(from, to)| from != to);
    let choice = |name: &str, label: &str, chosen: Option<&AccountId>| {
        html! {
            div.field {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    @for account in &snapshot.accounts {
                        option value=(account.id) selected[Some(&account.id) == chosen] { (account.id) " (" (plugin_name(node, account).0) ")" }
                    }
                }
            }
        }
    };
    let mapping = match pair {
        Some((from, to)) => mapping(visitor, node, snapshot, mapped, from, to).await,
        None => html! {},
    };
    page(
        visitor,
        "Switch vendor",
        html! {
            p { "Move products to another vendor in one step. Existing carts and orders stay with their vendor." }
            @if snapshot.accounts.len() < 2 {
                p { "This needs two connected vendors. " a href=(shop_path(shop, "/accounts/new")) { "Connect the new vendor" } " first." }
            } @else {
                form.card method="get" action=(shop_path(shop, "/vendor-swap")) {
                    div.row {
                        (choice("from", "From", from))
                        (choice("to", "To", to.or_else(|| snapshot.accounts.iter().skip(1).map(|account| &account.id).find(|id| Some(*id) != from))))
                        button.quiet { "Choose" }
                    }
                }
                @if pair.is_none() && from.is_some() { p.refused { "Choose two different vendors." } }
            }
            (mapping)
        },
    )
}

/// Returns the new vendor's products, as far as it lists them.
async fn vendor_products(node: &Node, shop: &ShopId, to: &AccountId) -> Vec<Product> {
    node.host().search_products(shop, to, "", None).await.map(|found| found.products).unwrap_or_default()
}

async fn mapping(
    visitor: &AdminUser,
    node: &Node,
    snapshot: &ShopSnapshot,
    mapped: &ProductMapping,
    from: &AccountId,
    to: &AccountId,
) -> Markup {
    let shop = &snapshot.shop.id;
    let linked_products: Vec<&ProductLink> = mapped.linked_products(snapshot).collect();
    if linked_products.is_empty() {
        return html! { p { "No products are linked to " (from) "." } };
    }
    if linked_products.len() > MAX_LIMIT {
        return html! { p { (linked_products.len()) " products are linked to " (from) ". Switch more than " (MAX_LIMIT) " products with the CSV import of " a href=(shop_path(shop, "/links")) { "Products" } "." } };
    }
    let vendor_products = vendor_products(node, shop, to).await;
    let report = mapped.report.as_ref().and_then(|report| report.as_ref().ok());
    let readiness_of = |product: &str| {
        report.and_then(|report| report.products.iter().find(|readiness| readiness.shop_product == product))
    };
    let ready = report.is_some_and(Readiness::is_ready);
    html! {
        form.card method="post" action=(shop_path(shop, "/vendor-swap")) {
            (csrf_field(visitor))
            input type="hidden" name="from" value=(from);
            input type="hidden" name="to" value=(to);
            h2 { "Product mapping" }
            p.help { "Allowed SKUs: one per line. Used if the new vendor doesn't return a SKU: other SKUs sent by the browser are rejected." }
            @if let Some(Err(problem)) = &mapped.report { (problem_details(problem)) }
            @if ready { p.done role="status" { "All products are ready to switch" } }
            @else if report.is_some() { p.refused role="alert" { "Some products aren't ready. Nothing was switched." } }
            datalist #offered { @for product in &vendor_products { option value=(product.id) { (product.title) } } }
            div.scroll tabindex="0" role="region" aria-label="Product mapping" {
                table {
                    thead { tr { th { "Your product" } th { (from) } th { (to) } th { "Allowed SKUs" } th { "Status" } } }
                    tbody {
                        @for link in &linked_products {
                            @let product = &link.shop_product;
                            @let entered = mapped.products.get(product);
                            tr {
                                th scope="row" { (product) }
                                td { (link.vendor_product) }
                                td {
                                    input name=(format!("product.{product}")) list="offered" spellcheck="false" autocomplete="off" placeholder="Not moved"
                                        value=(entered.map(|(to, _)| to.as_str()).unwrap_or_default()) aria-label=(format!("Vendor product of {product} at {to}"));
                                }
                                td {
                                    textarea name=(format!("skus.{product}")) rows="2" spellcheck="false"
                                        aria-label=(format!("Allowed SKUs of {product}, one per line")) {
                                        "\n" (entered.map_or_else(|| input::lines(&link.allowed_skus), |(_, skus)| skus.clone()))
                                    }
                                }
                                td {
                                    @if let Some(readiness) = readiness_of(product) {
                                        @if readiness.ready { span.state.good { "Ready" } } @else { span.state.bad { "Not ready" } }
                                        @for issue in &readiness.issues { p.help { (issue.field) ": " (issue.message.text) } }
                                    } @else if report.is_some() { span.mark { "Not moved" } }
                                }
                            }
                        }
                    }
                }
            }
            button.quiet name="do" value="check" { "Check" }
            " "
            @if ready { button name="do" value="swap" { "Switch to " (to) } }
        }
    }
}
