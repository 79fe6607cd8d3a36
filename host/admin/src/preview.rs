//! The strategy preview: the cart lines that a configuration would create, stage by stage, without a cart.

use std::sync::mpsc::channel;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cartwright::types::PriceState;
use cartwright::{AddToCart, CartLine, CartOperation, ShopId, ShopSnapshot, Stage, StrategyChoice, Visitor};
use cartwright_http::access::Integrator;
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use maud::{Markup, html};
use serde::Deserialize;

use super::entry::{Entry, again};
use super::layout::{csrf_field, page, problem_details};
use super::links::{read_strategy, strategies};
use super::paths::shop_path;
use super::session::{AdminUser, FormData};
use super::text::amount;

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/admin/shops/{shop}/preview", get(form).post(show))
}

/// The input of a preview.
#[derive(Debug, Deserialize)]
struct PreviewInput {
    #[serde(default)]
    product: String,
    #[serde(default = "one")]
    quantity: u32,
    #[serde(skip)]
    configuration: String,
    /// `None` uses the link's strategy.
    #[serde(skip)]
    strategy: Option<StrategyChoice>,
    #[serde(skip)]
    visitor: Visitor,
}

fn one() -> u32 {
    1
}

/// The result of a preview.
struct PreviewResult {
    stages: Vec<Stage>,
    lines: Result<Vec<CartLine>, Problem>,
    warnings: Vec<String>,
}

async fn form(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(input): Query<PreviewInput>,
) -> Result<Markup, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    Ok(draw(&visitor, &node, &snapshot, &input, None, &Entry::default()))
}

async fn show(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    sent: FormData,
) -> Result<Response, Problem> {
    let snapshot = node.host().snapshot(&shop)?;
    let quantity = sent.whole::<u32>("quantity");
    let strategy = Some(sent.text("strategy")).filter(|text| !text.is_empty() && *text != "as-linked");
    let input = PreviewInput {
        product: sent.raw("product"),
        quantity: *quantity.as_ref().unwrap_or(&1),
        configuration: sent.raw("configuration"),
        strategy: strategy.map(read_strategy).transpose()?,
        visitor: Visitor {
            currency: optional(&sent, "currency"),
            country: optional(&sent, "country"),
            ..Visitor::default()
        },
    };
    if let Err(problem) = quantity {
        let page = draw(&visitor, &node, &snapshot, &input, None, &Entry::refused(&sent, &problem));
        return Ok(again(&problem, page));
    }
    let result = match input.configuration.trim().is_empty() {
        true => None,
        false => Some(plan(&node, &shop, &input).await),
    };
    Ok(draw(&visitor, &node, &snapshot, &input, result.as_ref(), &Entry::default()).into_response())
}

/// Returns a field's text, unless it is empty.
fn optional(sent: &FormData, name: &str) -> Option<String> {
    Some(sent.text(name).to_owned()).filter(|text| !text.is_empty())
}

async fn plan(node: &Node, shop: &ShopId, input: &PreviewInput) -> PreviewResult {
    // Stages are sent as they end, so that those before a failure are shown too.
    let (stage_sender, stages) = channel();
    let add = AddToCart {
        product: input.product.clone(),
        configuration: Some(input.configuration.clone().into_bytes()),
        quantity: input.quantity,
        strategy: input.strategy.clone(),
        visitor: input.visitor.clone(),
        stages: Some(stage_sender),
        ..AddToCart::default()
    };
    let change = node.host().add_to_cart(shop, add).await;
    let stages = stages.into_iter().collect();
    match change {
        Err(error) => PreviewResult { stages, lines: Err(error.into()), warnings: Vec::new() },
        Ok(change) => {
            let lines = change.operations.into_iter().flat_map(|operation| match operation {
                CartOperation::Add { lines } => lines,
                // Adding to an empty cart yields no other operations.
                _ => Vec::new(),
            });
            let warnings = change.warnings.into_iter().map(|warning| warning.text).collect();
            PreviewResult { stages, lines: Ok(lines.collect()), warnings }
        }
    }
}

fn draw(
    visitor: &AdminUser,
    node: &Node,
    snapshot: &ShopSnapshot,
    input: &PreviewInput,
    result: Option<&PreviewResult>,
    entry: &Entry<'_>,
) -> Markup {
    let shop = &snapshot.shop.id;
    let link = snapshot.links.iter().find(|link| link.shop_product == input.product).or_else(|| snapshot.links.first());
    let chosen = input.strategy.as_ref();
    page(
        visitor,
        "Test a configuration",
        html! {
            (entry.summary())
            p { "Paste a saved configuration to see the cart items it creates. No cart is changed." }
            @if snapshot.links.is_empty() { p { "First " a href=(shop_path(shop, "/links")) { "link a product" } "." } }
            @else {
                form.card method="post" action=(shop_path(shop, "/preview")) data-live="result" {
                    (csrf_field(visitor))
                    div.row {
                        div.field {
                            label for="product" { "Product" }
                            select #product name="product" {
                                @for link in &snapshot.links {
                                    option value=(link.shop_product) selected[link.shop_product == input.product] { (link.shop_product) }
                                }
                            }
                        }
                        div.field {
                            label for="strategy" { "Cart strategy" }
                            select #strategy name="strategy" {
                                option value="as-linked" selected[chosen.is_none()] { "As the product is linked" }
                                (strategies(node, &snapshot.accounts, link.map(|link| &link.account), chosen))
                            }
                        }
                        (entry.field("quantity", "Quantity", "", html! {
                            input #quantity name="quantity" inputmode="numeric" value=(entry.text("quantity", input.quantity)) size="5" required
                                aria-describedby="quantity-help" aria-invalid=[entry.invalid("quantity")];
                        }))
                        div.field {
                            label for="currency" { "Currency" }
                            select #currency name="currency" {
                                @for currency in snapshot.shop.currencies.iter() {
                                    option value=(currency.code) selected[input.visitor.currency.as_deref() == Some(currency.code.as_str())] { (currency.code) }
                                }
                            }
                        }
                        div.field {
                            label for="country" { "Country of delivery" }
                            input #country name="country" value=(input.visitor.country.as_deref().unwrap_or_default()) maxlength="2" size="4";
                        }
                    }
                    div.field {
                        label for="configuration" { "Configuration" }
                        textarea #configuration name="configuration" rows="8" spellcheck="false" aria-describedby="configuration-help" {
                            "\n" (input.configuration)
                        }
                        p.help #configuration-help { "Exactly as sent by the product page." }
                    }
                    button { "Run test" }
                }
                div #result aria-live="polite" { @if let Some(result) = result { (render_result(result)) } }
            }
        },
    )
}

fn render_result(result: &PreviewResult) -> Markup {
    html! {
        section {
            h2 { "Result" }
            @match &result.lines {
                Err(problem) => (problem_details(problem)),
                Ok(lines) => (table(lines)),
            }
            @for warning in &result.warnings { p.attention { (warning) } }
        }
        section {
            h2 { "Trace" }
            div.scroll tabindex="0" role="region" aria-label="Trace" {
                table {
                    thead { tr { th { "Stage" } th.number { "Time" } th { "Result" } } }
                    tbody {
                        @for stage in &result.stages {
                            tr {
                                th scope="row" { (stage_name(&stage.stage)) }
                                td.number { (milliseconds(stage.duration_micros)) }
                                td.long {
                                    (stage.result)
                                    @for line in &stage.log { div.mark { (line.level) ": " (line.text.trim_end()) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the name of a stage as the trace shows it.
fn stage_name(stage: &str) -> &str {
    if stage == "resolve" { "Fetched from vendor" } else { stage }
}

/// Formats a duration in milliseconds with one decimal.
fn milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

/// Draws cart lines, with a bundle's children and a set's other lines below the line that they belong to.
fn table(lines: &[CartLine]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Cart items" {
            table {
                thead { tr { th { "Item" } th { "SKU" } th.number { "Qty" } th.number { "Unit price" } th.number { "Total" } th { "Price" } } }
                tbody {
                    @for line in lines {
                        tr.child[line.top_key().is_some()] {
                            th scope="row" {
                                (line.title)
                                @if is_set_member(line) { div.mark { "Sold as a set with the line above" } }
                                @for field in &line.shown { div.mark { (field.name) ": " (field.value) } }
                                @if let Some(unconfirmed) = &line.unconfirmed { div.mark { "Not confirmed: " (unconfirmed.reason.text) } }
                            }
                            td { (line.sku.as_deref().unwrap_or("–")) }
                            td.number { (line.quantity) }
                            td.number { @match &line.price.unit { Some(unit) => (amount(unit)), None => "–" } }
                            td.number { @if line.price.included_in_parent { "Included in bundle" } @else { (amount(&line.price.total)) } }
                            td { (price_state(&line.price.state)) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns whether a line belongs to a set whose configured product is another line.
pub(super) fn is_set_member(line: &CartLine) -> bool {
    line.parent.is_none() && line.top_key().is_some()
}

fn price_state(state: &PriceState) -> Markup {
    match state {
        PriceState::Verified => html! { span.state.good { "Verified" } },
        PriceState::Unverified(reason) => html! { span.state.warn { "Not verified" } " " (reason) },
        PriceState::Mismatch(other) => html! { span.state.bad { "Price mismatch" } " " (amount(other)) },
    }
}
