//! Orders: the list, and the state, open items and timeline of each. Names and addresses are not shown.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use cartwright::ShopId;
use cartwright::durable::ResponsibleParty;
use cartwright::types::{Audience, Document, LineQuantities, Order, Outcome, Shipment};
use cartwright_http::access::{Backend, Integrator};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_store::{
    JobDetail, JobFilter, JobState, ListedOrder, OrderFilter, StateReason, StoreError, StoredOutcome, is_on_hold,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::jobs;
use super::layout::{csrf_field, page};
use super::notice::{Notice, redirect_with_notice};
use super::paths::{job_path, order_path, shop_path};
use super::session::{AdminUser, FormData};
use super::text::{
    PAGE, PageOf, amount, describe_outcome, external_link, item, next_cursor, status, time, time_of_text,
};
use super::timeline::OrderHistory;

/// Maximum number of jobs shown on an order page. Few orders have more than three.
const MAX_JOBS: u32 = 50;
/// Lifetime of a document URL, which the browser follows at once.
const DOCUMENT_URL_TTL: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/orders", get(list))
        .route("/admin/shops/{shop}/orders/{order}", get(read))
        .route("/admin/shops/{shop}/orders/{order}/close", post(close))
        .route("/admin/shops/{shop}/orders/{order}/settle", post(resolve_outcome))
        .route("/admin/shops/{shop}/orders/{order}/documents/{outcome}", get(document))
}

#[derive(Debug, Deserialize)]
struct Which {
    #[serde(default)]
    search: String,
    #[serde(flatten)]
    page: PageOf,
}

async fn list(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { search, page: shown }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let search = search.trim();
    let needle = Some(search.to_owned()).filter(|search| !search.is_empty());
    let orders =
        node.store().orders().list(&shop, &OrderFilter { search: needle, after: shown.after.clone() }, PAGE).await?;
    Ok(page(
        &visitor,
        "Orders",
        html! {
            form.row method="get" action=(shop_path(&shop, "/orders")) role="search" {
                div.field { label for="search" { "Search by order number or ID" } input #search name="search" value=(search) size="20"; }
                button { "Search" }
            }
            @if orders.is_empty() {
                p { @if search.is_empty() { "No orders yet" } @else { "No orders match “" (search) "”" } }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Orders" {
                    table {
                        thead { tr { th { "Order" } th { "Received" } th { "Status" } th.number { "Items" } th.number { "Total" } } }
                        tbody { @for listed in &orders { (row(&shop, listed)) } }
                    }
                }
            }
            (shown.draw(&shop_path(&shop, "/orders"), &[("search", search)], next_cursor(&orders).map(|last| last.id.as_str())))
        },
    ))
}

fn row(shop: &ShopId, listed: &ListedOrder) -> Markup {
    html! {
        tr {
            @match &listed.order {
                None => {
                    th scope="row" { (listed.id) }
                    td { (time(listed.created)) }
                    td colspan="3" {
                        @if listed.damaged { span.state.bad { "Damaged: restore the database from a copy" } }
                        @else { span.state { "Erased" } }
                    }
                },
                Some(order) => {
                    th scope="row" {
                        a href=(order_path(shop, &listed.id)) { (order.number) }
                        @if order.number != listed.id { " " span.mark { (listed.id) } }
                    }
                    td { (time(listed.created)) }
                    td { (progress(order, listed.closed.is_some())) @if listed.needs_attention { " " span.state.bad { "Needs attention" } } }
                    td.number { (order.lines.len()) }
                    td.number { (amount(&order.total)) }
                },
            }
        }
    }
}

/// Draws the progress of an order as a whole.
fn progress(order: &Order, closed: bool) -> Markup {
    let paid = if order.is_refunded() {
        "Refunded"
    } else if order.paid.minor >= order.total.minor && order.refunded.minor > 0 {
        "Partially refunded"
    } else if order.is_paid() {
        "Paid"
    } else if order.paid.minor > 0 {
        "Partially paid"
    } else {
        "Unpaid"
    };
    html! {
        @if order.cancelled { span.state.bad { "Cancelled" } }
        @else if closed { span.state.good { "Closed" } }
        @else if order.released { span.state.good { "Released" } }
        @else { span.state.warn { "Awaiting release" } }
        " " (paid)
        @if order.test { ", " strong { "Test" } }
    }
}

async fn read(
    _: Integrator,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<Markup, Problem> {
    let store = node.store();
    let missing =
        || Problem::not_found(format!("This shop has no order {id}, or the platform has not reported it yet."));
    let order = store.orders().get(&shop, &id).await?.ok_or_else(missing)?;
    let closed = store.orders().listed_order(&shop, &id).await?.and_then(|listed| listed.closed);
    let (outcomes, present) = (store.outcomes().list(&shop, &id).await?, store.outcomes().present(&shop, &id).await?);
    let filter = JobFilter { shop: Some(shop.clone()), order: Some(id.clone()), ..JobFilter::default() };
    let mut jobs = Vec::new();
    for summary in store.jobs().list(&filter, MAX_JOBS).await? {
        jobs.push(match store.jobs().get(&summary.id).await {
            // A damaged journal must not hide the order or its other jobs.
            Err(error @ StoreError::Corrupt(_)) => {
                let reason = StateReason {
                    text: error.to_string(),
                    responsible: Some(ResponsibleParty::Operator),
                    detail: Value::Null,
                };
                JobDetail { summary, reason: Some(reason), journals: Vec::new(), outcomes: Vec::new() }
            }
            job => job?,
        });
    }
    let (events, deliveries) = (store.orders().events(&shop, &id).await?, store.orders().webhooks(&shop, &id).await?);
    let history = OrderHistory {
        events: &events,
        deliveries: &deliveries,
        jobs: &jobs,
        outcomes: &outcomes,
        lines: &order.lines,
    };
    let here = order_path(&shop, &id);
    Ok(page(
        &visitor,
        &format!("Order {}", order.number),
        html! {
            dl {
                dt { "Status" } dd { (progress(&order, closed.is_some())) @if let Some(closed) = closed { ", closed " (time(closed)) } }
                dt { "Placed" } dd { (time_of_text(&order.placed_at)) }
                dt { "Total" }
                dd {
                    (amount(&order.total))
                    @if let Some(tax) = &order.tax_amount { ", of which " (amount(tax)) " tax" }
                }
                dt { "Paid" } dd { (amount(&order.paid)) }
                @if order.refunded.minor > 0 { dt { "Refunded" } dd { (amount(&order.refunded)) } }
                @if let Some(shipping) = &order.shipping { dt { "Shipping" } dd { (shipping.title) ", " (amount(&shipping.amount)) } }
                dt { "Vendor reference" } dd { code { (order.reference) } }
                dt { "Platform ID" } dd { (order.id) ", version " (order.version) }
            }
            (attention(&visitor, &shop, &order, closed.is_none(), &outcomes, &jobs))
            (lines(&order, &present))
            (shipments(&order, &present))
            (documents(&visitor, &here, &order, &present))
            @if !jobs.is_empty() {
                section {
                    h2 { "Vendor jobs" }
                    (jobs::table(&shop, "Vendor jobs", jobs.iter().map(|job| &job.summary), false))
                }
            }
            section.card { h2 { "Timeline" } (history.render()) }
            @if closed.is_none() && visitor.caller.is_admin() {
                form.card method="post" action=(format!("{here}/close")) {
                    h2 { "Close order" }
                    (csrf_field(&visitor))
                    p { "Vendor webhooks for this order will be ignored. It reopens if the platform sends an update." }
                    button.danger data-ask=(format!("Close order {}?", order.number)) { "Close order" }
                }
            }
        },
    ))
}

/// Draws what needs attention.
fn attention(
    visitor: &AdminUser,
    shop: &ShopId,
    order: &Order,
    open: bool,
    outcomes: &[StoredOutcome],
    jobs: &[JobDetail],
) -> Markup {
    let open_outcomes: Vec<&StoredOutcome> = outcomes.iter().filter(|stored| stored.needs_attention).collect();
    let stuck: Vec<&JobDetail> =
        jobs.iter().filter(|job| matches!(job.summary.state, JobState::Stopped | JobState::NeedsMerchant)).collect();
    // The parts of a bundle are on hold with their parent.
    let tops = order.lines.iter().filter(|line| line.cart_line.parent_key.is_none());
    let unapproved: Vec<String> = match order.released && open {
        true => tops.filter(|line| is_on_hold(line)).map(|line| item(&order.lines, &line.id)).collect(),
        false => Vec::new(),
    };
    if open_outcomes.is_empty() && stuck.is_empty() && unapproved.is_empty() {
        return html! {};
    }
    html! {
        section.attention aria-labelledby="waiting" {
            h2 #waiting { "Needs attention" }
            ul {
                @for outcome in open_outcomes {
                    li {
                        strong { (outcome.account) } ": " (describe_outcome(&outcome.outcome, &order.lines)) " "
                        @if visitor.caller.is_admin() { form method="post" action=(format!("{}/settle", order_path(shop, &order.id))) {
                            (csrf_field(visitor))
                            input type="hidden" name="outcome" value=(outcome.id);
                            button.quiet { "Mark as done" span.visually-hidden { ": " (describe_outcome(&outcome.outcome, &order.lines)) } }
                        } }
                    }
                }
                @for job in stuck {
                    li {
                        a href=(job_path(shop, &job.summary.id)) { (job.summary.account) ": " @if job.summary.state == JobState::Stopped { "job failed" } @else { "action required" } }
                        @if let Some(reason) = &job.reason { ": " (reason.text) }
                    }
                }
                @for line in unapproved {
                    li {
                        "“" (line) "” is on hold. Approve it in your shop platform, or wait until what was added to the order is paid in full."
                    }
                }
            }
        }
    }
}

fn lines(order: &Order, present: &[StoredOutcome]) -> Markup {
    html! {
        section {
            h2 { "Items" }
            @for (account, reference) in vendor_references(present, None) { p { "Vendor reference of " (account) ": " code { (reference) } } }
            div.scroll tabindex="0" role="region" aria-label="Items" {
                table {
                    thead { tr { th { "Item" } th { "Vendor" } th.number { "To make" } th.number { "Unit price" } th.number { "Total" } th { "Status" } th { "Vendor ID" } } }
                    tbody {
                        @for line in &order.lines {
                            tr.child[line.cart_line.parent_key.is_some()] {
                                th scope="row" { (line.title) " " span.mark { (line.id) } }
                                td { (line.account.as_deref().unwrap_or("–")) }
                                td.number {
                                    (line.cart_line.quantity)
                                    @if let Some(pieces) = pieces(&line.quantities) { " " span.mark { (pieces) } }
                                }
                                td.number { @match &line.cart_line.unit_price { Some(unit) => (amount(unit)), None => "–" } }
                                td.number { @match &line.total { Some(total) => (amount(total)), None => "–" } }
                                td {
                                    span.state { (status(&line.status)) }
                                    @if order.released && is_on_hold(line) { " " span.state.warn { "On hold" } }
                                }
                                td { @for (_, reference) in vendor_references(present, Some(&line.id)) { code { (reference) } " " } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Describes what became of the pieces of a line; `None` if nothing did.
fn pieces(quantities: &LineQuantities) -> Option<String> {
    let LineQuantities { ordered, cancelled, refunded, shipped } = *quantities;
    let parts = [(cancelled, "cancelled"), (refunded, "refunded"), (shipped, "shipped")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!parts.is_empty()).then(|| format!("of {ordered} ordered: {}", parts.join(", ")))
}

/// Returns the vendor references of an order, or of one of its lines, with their accounts.
fn vendor_references<'a>(
    present: &'a [StoredOutcome],
    line: Option<&'a String>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    present.iter().filter_map(move |stored| match &stored.outcome {
        Outcome::VendorReference(vendor_references) if vendor_references.line.as_ref() == line => {
            Some((stored.account.as_str(), vendor_references.reference.as_str()))
        }
        _ => None,
    })
}

fn shipments(order: &Order, present: &[StoredOutcome]) -> Markup {
    let sent: Vec<(&StoredOutcome, &Shipment)> = present
        .iter()
        .filter_map(|stored| match &stored.outcome {
            Outcome::Shipment(shipment) => Some((stored, shipment)),
            _ => None,
        })
        .collect();
    html! {
        @if !sent.is_empty() {
            section {
                h2 { "Shipments" }
                div.scroll tabindex="0" role="region" aria-label="Shipments" {
                    table {
                        thead { tr { th { "Carrier" } th { "Date" } th { "Items" } th { "Tracking" } } }
                        tbody {
                            @for (stored, shipment) in sent {
                                tr {
                                    th scope="row" { (shipment.carrier.as_deref().unwrap_or("Carrier not specified")) }
                                    td { @match &shipment.at { Some(at) => (time_of_text(at)), None => (time(stored.at)) } }
                                    td {
                                        @if shipment.lines.is_empty() { "All remaining items" }
                                        @for (number, sent) in shipment.lines.iter().enumerate() {
                                            @if number > 0 { ", " } (sent.quantity) " × " (item(&order.lines, &sent.line))
                                        }
                                    }
                                    td {
                                        @let id = shipment.tracking_id.as_deref().unwrap_or("Track");
                                        @match &shipment.tracking_url {
                                            Some(address) => (external_link(address, id)),
                                            None => (shipment.tracking_id.as_deref().unwrap_or("–")),
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn documents(visitor: &AdminUser, here: &str, order: &Order, present: &[StoredOutcome]) -> Markup {
    let files: Vec<(&StoredOutcome, &Document)> = present
        .iter()
        .filter_map(|stored| match &stored.outcome {
            Outcome::Document(document) => Some((stored, document)),
            _ => None,
        })
        .collect();
    html! {
        @if !files.is_empty() {
            section {
                h2 { "Files" }
                div.scroll tabindex="0" role="region" aria-label="Files" {
                    table {
                        thead { tr { th { "File" } th { "Type" } th { "Item" } th { "For" } th { "Vendor" } th { "Date" } } }
                        tbody {
                            @for (stored, file) in files {
                                tr {
                                    th scope="row" {
                                        // A document may contain a customer's data.
                                        @if visitor.caller.is_admin() { a href=(format!("{here}/documents/{}", stored.id)) { (file.name) } }
                                        @else { (file.name) }
                                    }
                                    td { (file.kind) } td { @match &file.line { Some(line) => (item(&order.lines, line)), None => "–" } }
                                    td { @match file.audience { Audience::Shopper => "Shopper", Audience::Merchant => "Merchant only" } }
                                    td { (stored.account) } td { (time(stored.at)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Redirects to a document URL that is signed now; one in the page would expire before it is followed.
async fn document(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order, outcome)): Path<(ShopId, String, i64)>,
) -> Result<Redirect, Problem> {
    of_order(&node, &shop, &order, outcome).await?;
    let link = node.store().documents().document_url(&shop, outcome, DOCUMENT_URL_TTL, node.now()).await?;
    Ok(Redirect::to(&node.public_url(&link.to_string())))
}

/// Checks that an outcome belongs to this order, so that one order's page cannot resolve another's outcomes.
async fn of_order(node: &Node, shop: &ShopId, order: &str, outcome: i64) -> Result<(), Problem> {
    let found = node.store().outcomes().list(shop, order).await?.iter().any(|stored| stored.id == outcome);
    if found { Ok(()) } else { Err(Problem::not_found("This order has no such update.")) }
}

async fn resolve_outcome(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
    sent: FormData,
) -> Result<Redirect, Problem> {
    let outcome: i64 = sent.read("outcome")?;
    of_order(&node, &shop, &order, outcome).await?;
    node.store().outcomes().resolve(&shop, outcome, &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&order_path(&shop, &order), Notice::Resolved))
}

async fn close(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
    _: FormData,
) -> Result<Redirect, Problem> {
    node.store().orders().close_order(&shop, &order, &caller.actor, node.now()).await?;
    Ok(redirect_with_notice(&order_path(&shop, &order), Notice::Closed))
}
