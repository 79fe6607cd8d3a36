//! The page of an order: the status of each line, what the vendors reported, and the shop's next steps.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::shop::cart::summary;
use crate::shop::client::{HostError, Message};
use crate::shop::line::families;
use crate::shop::order::{Order, OrderedLine};
use crate::shop::profile::Shop;
use crate::shop::visit::{PathParameters, ShopVisit, parameter};

/// The host's view of an order, as far as the page shows it.
#[derive(Deserialize)]
pub(super) struct HostOrder {
    order: HostOrderSummary,
    jobs: Vec<Job>,
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct HostOrderSummary {
    lines: Vec<HostOrderLine>,
}

#[derive(Deserialize)]
struct HostOrderLine {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Job {
    state: String,
}

#[derive(Deserialize)]
struct Outcome {
    id: i64,
    at: String,
    /// Whether a person must resolve it.
    needs_attention: bool,
    outcome: Value,
}

/// An outcome that the page has words for.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OutcomeView {
    Note(Message),
    NeedsMerchant(Message),
    VendorReference { line: Option<String>, reference: String },
    LineStatus { line: String, status: String },
    Production { line: Option<String>, state: String, detail: Option<String> },
    Shipment { tracking_url: Option<String>, tracking_id: Option<String> },
    Document { line: Option<String>, name: String, audience: String },
    BillOfMaterials { line: String },
}

impl Outcome {
    /// Returns what the shopper sees: nothing of a document for the merchant only.
    fn view(&self) -> Option<OutcomeView> {
        let is_for_shopper =
            |view: &OutcomeView| !matches!(view, OutcomeView::Document { audience, .. } if audience != "shopper");
        OutcomeView::deserialize(&self.outcome).ok().filter(is_for_shopper)
    }
}

impl HostOrder {
    pub(super) fn has_document(&self, id: &str) -> bool {
        let is_document = |outcome: &Outcome| matches!(outcome.view(), Some(OutcomeView::Document { .. }));
        self.outcomes.iter().any(|outcome| outcome.id.to_string() == id && is_document(outcome))
    }

    fn line(&self, id: &str) -> Option<&HostOrderLine> {
        self.order.lines.iter().find(|line| line.id == id)
    }

    /// Returns the vendor's own number of a line.
    fn number(&self, id: &str) -> Option<String> {
        let numbers = self.outcomes.iter().rev().filter_map(|outcome| match outcome.view()? {
            OutcomeView::VendorReference { line: Some(line), reference } if line == id => Some(reference),
            _ => None,
        });
        numbers.into_iter().next()
    }

    /// Returns whether all lines are shipped.
    fn is_sent(&self) -> bool {
        self.order.lines.iter().all(|line| matches!(line.status.as_str(), "shipped" | "cancelled"))
    }

    /// Returns whether the vendor has nothing left to do on its own.
    fn is_done(&self) -> bool {
        self.jobs.iter().all(|job| matches!(job.state.as_str(), "done" | "cancelled"))
    }
}

/// Reads the order from the host.
pub(super) async fn read(shop: &Shop, order: &Order) -> Result<HostOrder, HostError> {
    shop.host.get(&shop.api_path(&format!("orders/{}", order.id))).await
}

pub(in crate::shop) async fn show(visit: ShopVisit, Path(path): PathParameters) -> Response {
    let shop = visit.shop();
    let mut data = visit.data().await;
    let cart = data.cart.clone();
    let Some(order) = data.order_mut(parameter(&path, "order")) else {
        return visit.not_found("There is no such order.");
    };
    let known = read(shop, order).await;
    let open = known.as_ref().map_or(true, |known| !known.is_sent() || !known.is_done());
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(shop.path("orders")) { "Orders" } " › " (order.id) }
        h1 { "Order " (order.id) }
        // The page polls while the order can still change.
        div #live data-open[open] {
            @match &known {
                Ok(known) => (body(shop, order, known)),
                Err(error) => p.notice { (error.shopper_text()) },
            }
        }
    };
    visit.page(&format!("Order {}", order.id), &cart, content)
}

fn body(shop: &Shop, order: &Order, known: &HostOrder) -> Markup {
    let lines: Vec<_> = order.lines.iter().map(|ordered| ordered.line.clone()).collect();
    let ordered = |key: &str| order.lines.iter().find(|ordered| ordered.line.view.key == key);
    html! {
        p.sentence role="status" { (sentence(order, known)) }
        div.columns {
            div {
                ul.lines {
                    @for (line, children) in families(&lines) {
                        li.line {
                            (summary(shop, line, &children))
                            @if let Some(line) = ordered(&line.view.key).and_then(|ordered| known.line(&ordered.id)) {
                                p.state {
                                    span.badge data-status=(line.status) { (status(&line.status)) }
                                    @if let Some(number) = known.number(&line.id) {
                                        " " span.about { (shop.vendor) "'s number: " (number) }
                                    }
                                }
                            }
                        }
                    }
                }
                p.total { "Total " strong { (order.total) } }
                section aria-labelledby="timeline" {
                    h2 #timeline { "What happened" }
                    (timeline(shop, order, known))
                }
            }
            div {
                (order_actions(shop, order, known))
                section aria-labelledby="sent-to" {
                    h2 #sent-to { "Sent to" }
                    p {
                        (order.address.first_name) " " (order.address.last_name) br;
                        (order.address.line1) br;
                        (order.address.zip) " " (order.address.city) ", " (order.address.country)
                    }
                }
            }
        }
    }
}

fn sentence(order: &Order, known: &HostOrder) -> &'static str {
    let all = |status: &str| known.order.lines.iter().all(|line| line.status == status);
    let stuck = known.jobs.iter().any(|job| matches!(job.state.as_str(), "stopped" | "needs-merchant"));
    match order {
        _ if known.is_sent() => "Your order is on its way.",
        Order { is_paid: false, .. } => "Your order is placed. Production starts after payment.",
        _ if stuck || order.lines.iter().any(OrderedLine::is_on_hold) => {
            "Your order is paid. The shop checks it before production."
        }
        _ if all("ready") => "Your order is ready to be shipped.",
        _ if known.is_done() && all("ordered") => "Your order is paid, and the shop has all the data for production.",
        _ => "Your order is paid and in production.",
    }
}

/// Returns the text of a line's status. A plugin's own status is shown unchanged.
fn status(status: &str) -> &str {
    match status {
        "ordered" => "Ordered",
        "in-production" => "In production",
        "ready" => "Ready",
        "shipped" => "Shipped",
        "cancelled" => "Cancelled",
        own => own,
    }
}

fn timeline(shop: &Shop, order: &Order, known: &HostOrder) -> Markup {
    html! {
        ol.timeline {
            li { (time_of_day(&order.placed_at)) span { "You placed the order." } }
            @for outcome in &known.outcomes {
                @if let Some(view) = outcome.view() {
                    li { (time_of_day(&outcome.at)) span { (describe(shop, order, outcome.id, &view)) } }
                }
            }
        }
    }
}

/// Draws the time of day, or nothing for an invalid time.
fn time_of_day(at: &str) -> Markup {
    let short = at.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or_default();
    html! { time datetime=(at) { (short) } }
}

fn describe(shop: &Shop, order: &Order, id: i64, view: &OutcomeView) -> Markup {
    let title = |line: &str| {
        order.lines.iter().find(|ordered| ordered.id == line).map_or("", |ordered| &ordered.line.view.title)
    };
    let vendor = shop.vendor;
    match view {
        OutcomeView::Note(message) | OutcomeView::NeedsMerchant(message) => html! { (message.text) },
        OutcomeView::VendorReference { line: Some(line), reference } => {
            html! { (vendor) " has " (title(line)) " as " (reference) "." }
        }
        OutcomeView::VendorReference { line: None, reference } => {
            html! { (vendor) " refers to the order as " (reference) "." }
        }
        OutcomeView::LineStatus { line, status: new } => html! { (title(line)) ": " (status(new)) "." },
        OutcomeView::Production { line, state, detail } => html! {
            @if let Some(line) = line { (title(line)) ". " }
            "Production: " (state) "." @if let Some(detail) = detail { " " (detail) }
        },
        OutcomeView::Shipment { tracking_url, tracking_id } => html! {
            (vendor) " shipped it."
            @match (tracking_url, tracking_id) {
                (Some(url), id) if url.starts_with("https://") || url.starts_with("http://") => {
                    " " a href=(url) rel="noreferrer" { "Track " (id.as_deref().unwrap_or("the parcel")) }
                }
                (_, Some(id)) => { " The tracking number is " (id) "." }
                _ => {}
            }
        },
        OutcomeView::Document { line, name, .. } => html! {
            @if let Some(line) = line { (title(line)) ": " }
            a href=(shop.path(&format!("orders/{}/documents/{id}", order.id))) { (name) } " is available."
        },
        OutcomeView::BillOfMaterials { line } => html! { (title(line)) ": the bill of materials is confirmed." },
    }
}

/// Draws the actions that the shop's staff would take elsewhere.
fn order_actions(shop: &Shop, order: &Order, known: &HostOrder) -> Markup {
    let on_hold: Vec<_> = order.lines.iter().filter(|ordered| ordered.is_on_hold()).collect();
    let open_outcomes = known.outcomes.iter().filter(|outcome| outcome.needs_attention).filter_map(Outcome::view);
    let open_outcomes: Vec<Message> = open_outcomes
        .filter_map(|view| if let OutcomeView::NeedsMerchant(message) = view { Some(message) } else { None })
        .collect();
    let step = |step: &str, text: &str| {
        html! {
            form method="post" action=(shop.path(&format!("orders/{}/{step}", order.id))) {
                button.second id=(step) type="submit" { (text) }
            }
        }
    };
    html! {
        section.desk aria-labelledby="desk" {
            h2 #desk { "Shop actions" }
            p.about { "A real platform reports these events automatically." }
            @for ordered in &on_hold {
                @if let Some(unconfirmed) = &ordered.line.view.unconfirmed {
                    p.notice { (ordered.line.view.title) ": " (unconfirmed.reason.text) }
                }
            }
            @for message in &open_outcomes { p.notice { (message.text) } }
            @if !on_hold.is_empty() { (step("approve", "Approve unverified data")) }
            @if !order.is_paid { (step("pay", "Mark as paid")) }
            @if order.is_paid && on_hold.is_empty() && !known.is_sent() { (step("send", "Mark as shipped")) }
            @if known.is_sent() { p { "No further actions." } }
        }
    }
}
