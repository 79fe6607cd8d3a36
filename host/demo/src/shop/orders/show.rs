//! The page of an order: how far each line is, what the vendor said, and what the shop would say next.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Order, find};
use crate::shop::cart::summary;
use crate::shop::client::{HostError, Message};
use crate::shop::line::families;
use crate::shop::{Named, Shop, ShopVisit, word};

/// What the host knows of an order, as far as the page shows it.
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
    /// Does it wait for a person?
    needs_attention: bool,
    outcome: Value,
}

/// What a vendor said, where the page has words for it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OutcomeView {
    Note(Message),
    NeedsMerchant(Message),
    VendorReference { line: Option<String>, reference: String },
    LineStatus { line: String, status: String },
    Production { line: Option<String>, state: String, detail: Option<String> },
    Shipment { tracking_url: Option<String>, tracking_id: Option<String> },
    Document { line: Option<String>, name: String },
    BillOfMaterials { line: String },
}

impl Outcome {
    fn view(&self) -> Option<OutcomeView> {
        OutcomeView::deserialize(&self.outcome).ok()
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

    /// The vendor's own number of a line.
    fn number(&self, id: &str) -> Option<String> {
        let numbers = self.outcomes.iter().rev().filter_map(|outcome| match outcome.view()? {
            OutcomeView::VendorReference { line: Some(line), reference } if line == id => Some(reference),
            _ => None,
        });
        numbers.into_iter().next()
    }

    /// Is nothing left to be sent?
    fn is_sent(&self) -> bool {
        self.order.lines.iter().all(|line| matches!(line.status.as_str(), "shipped" | "cancelled"))
    }

    /// Has everything that a vendor does by itself been done?
    fn is_done(&self) -> bool {
        self.jobs.iter().all(|job| matches!(job.state.as_str(), "done" | "cancelled"))
    }
}

/// Asks the host.
pub(super) async fn read(shop: &Shop, order: &Order) -> Result<HostOrder, HostError> {
    shop.host.get(&shop.at(&format!("orders/{}", order.id))).await
}

pub(in crate::shop) async fn show(visit: ShopVisit, Path(path): Named) -> Response {
    let shop = visit.shop();
    let mut book = visit.book().await;
    let cart = book.cart.clone();
    let Some(order) = find(&mut book, word(&path, "order")) else { return visit.not_found("There is no such order.") };
    let known = read(shop, order).await;
    let open = known.as_ref().map_or(true, |known| !known.is_sent() || !known.is_done());
    let content = html! {
        nav.crumbs aria-label="Where you are" { a href=(shop.path("orders")) { "Orders" } " › " (order.id) }
        h1 { "Order " (order.id) }
        // Asked for again while something may still happen.
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
        _ if known.is_sent() => "It is on its way to you.",
        Order { is_paid: false, .. } => "It is placed, and made when it is paid.",
        _ if stuck || order.lines.iter().any(super::OrderedLine::is_held) => {
            "It is paid. The shop looks at it before it is made."
        }
        _ if all("ready") => "It is made, and ready to be sent.",
        _ if known.is_done() && all("ordered") => "It is paid. The shop has everything that it needs to make it.",
        _ => "It is paid, and being made.",
    }
}

/// A line's status in words; a plugin's own is shown as it is.
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
            li { (moment(&order.placed_at)) span { "You placed the order." } }
            @for outcome in &known.outcomes {
                @if let Some(view) = outcome.view() {
                    li { (moment(&outcome.at)) span { (describe(shop, order, outcome.id, &view)) } }
                }
            }
        }
    }
}

/// The time of day; what is no time is left out.
fn moment(at: &str) -> Markup {
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
            html! { (vendor) " has the order as " (reference) "." }
        }
        OutcomeView::LineStatus { line, status: word } => html! { (title(line)) ": " (status(word)) "." },
        OutcomeView::Production { line, state, detail } => html! {
            @if let Some(line) = line { (title(line)) ". " }
            "Production: " (state) "." @if let Some(detail) = detail { " " (detail) }
        },
        OutcomeView::Shipment { tracking_url, tracking_id } => html! {
            (vendor) " sent it."
            @match (tracking_url, tracking_id) {
                (Some(url), id) if url.starts_with("https://") || url.starts_with("http://") => {
                    " " a href=(url) rel="noreferrer" { "Follow " (id.as_deref().unwrap_or("it")) }
                }
                (_, Some(id)) => { " Its number is " (id) "." }
                _ => {}
            }
        },
        OutcomeView::Document { line, name } => html! {
            @if let Some(line) = line { (title(line)) ": " }
            a href=(shop.path(&format!("orders/{}/documents/{id}", order.id))) { (name) } " is there."
        },
        OutcomeView::BillOfMaterials { line } => html! { (title(line)) ": the bill of materials is confirmed." },
    }
}

/// What the shop's people would say elsewhere.
fn order_actions(shop: &Shop, order: &Order, known: &HostOrder) -> Markup {
    let needs_attention: Vec<_> = order.lines.iter().filter(|ordered| ordered.is_held()).collect();
    let asked = known.outcomes.iter().filter(|outcome| outcome.needs_attention).filter_map(Outcome::view);
    let asked: Vec<Message> = asked
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
            h2 #desk { "As the shop" }
            p.about { "A platform says this of its own accord; here you say it." }
            @for ordered in &needs_attention {
                @if let Some(unconfirmed) = &ordered.line.view.unconfirmed {
                    p.notice { (ordered.line.view.title) ": " (unconfirmed.reason.text) }
                }
            }
            @for message in &asked { p.notice { (message.text) } }
            @if !needs_attention.is_empty() { (step("approve", "Approve what no server confirmed")) }
            @if !order.is_paid { (step("pay", "It is paid")) }
            @if order.is_paid && needs_attention.is_empty() && !known.is_sent() { (step("send", "It is sent to the shopper")) }
            @if known.is_sent() { p { "Nothing is left to say." } }
        }
    }
}
