//! Quotations: what shoppers ask the merchant's price for, and the merchant's offer.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cartwright::types::Money;
use cartwright::{CartLine, Offer, Shop, ShopId, money};
use cartwright_http::access::{Admin, Caller};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::typed;
use cartwright_store::{Expected, Quotation, QuotationState};
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::entry::{Entry, Issues, again, wrong};
use super::frame::{Done, page, segment, shop_path, token};
use super::visitor::{Sent, Visitor, done};
use super::words::{PAGE, PageOf, amount, last_of_page, when};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/admin/shops/{shop}/quotations", get(list))
        .route("/admin/shops/{shop}/quotations/{quotation}", get(read))
        .route("/admin/shops/{shop}/quotations/{quotation}/offer", post(offer))
        .route("/admin/shops/{shop}/quotations/{quotation}/withdraw", post(withdraw))
}

fn path(shop: &ShopId, id: &str) -> String {
    shop_path(shop, &format!("/quotations/{}", segment(id)))
}

fn state(state: QuotationState) -> Markup {
    let class = match state {
        QuotationState::Requested => "state warn",
        QuotationState::Offered | QuotationState::Accepted => "state good",
        QuotationState::Withdrawn | QuotationState::Expired => "state",
    };
    let text = match state {
        QuotationState::Requested => "To price",
        QuotationState::Offered => "Offered",
        QuotationState::Accepted => "Accepted",
        QuotationState::Withdrawn => "Closed",
        QuotationState::Expired => "Expired",
    };
    html! { span class=(class) { (text) } }
}

async fn list(
    _: Admin,
    visitor: Visitor,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(shown): Query<PageOf>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let found = node.store().quotations(&shop, None, shown.after.as_deref(), PAGE, node.now()).await?;
    Ok(page(
        &visitor,
        "Quotes",
        html! {
            @if found.is_empty() { p { "No quote requests yet" } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Quotes" {
                    table {
                        thead { tr { th { "Quote" } th { "Status" } th { "Requested" } th { "Valid until" } } }
                        tbody {
                            @for quotation in &found {
                                tr {
                                    th scope="row" { a href=(path(&shop, &quotation.id)) { (quotation.id) } }
                                    td { (state(quotation.state)) }
                                    td { (when(quotation.asked)) }
                                    td { @if let Some(until) = quotation.until { (valid_until(until)) } @else { "–" } }
                                }
                            }
                        }
                    }
                }
                (shown.draw(&shop_path(&shop, "/quotations"), &[], last_of_page(&found).map(|last| last.id.as_str())))
            }
        },
    ))
}

async fn read(
    _: Admin,
    visitor: Visitor,
    State(node): State<Node>,
    Path((id, quotation)): Path<(ShopId, String)>,
) -> Result<Markup, Problem> {
    let shop = node.host().shop(&id)?;
    quote_page(&visitor, &node, &shop, &quotation, &Entry::default()).await
}

async fn quote_page(
    visitor: &Visitor,
    node: &Node,
    shop: &Shop,
    quotation: &str,
    entry: &Entry<'_>,
) -> Result<Markup, Problem> {
    let id = &shop.id;
    let Quotation { summary, asked, offer, order } = node.store().quotation(id, quotation, node.now()).await?;
    let is_open =
        matches!(summary.state, QuotationState::Requested | QuotationState::Offered | QuotationState::Expired);
    let here = path(id, &summary.id);
    // A week from now, which is to be changed.
    let usual = jiff::Timestamp::try_from(node.now()).map(|now| now.to_zoned(TimeZone::UTC).date());
    let usual = usual.and_then(|today| today.checked_add(jiff::Span::new().days(7)));
    let usual = usual.map(|day| day.to_string()).unwrap_or_default();
    let offered = |line: &CartLine| offer.as_ref().and_then(|offer| offer.prices.get(&line.key));
    Ok(page(
        visitor,
        &format!("Quote {}", summary.id),
        html! {
            (entry.summary())
            p {
                (state(summary.state)) " Requested " (when(summary.asked))
                @if let Some(until) = summary.until { ", valid until " (valid_until(until)) }
                ". " a href=(shop_path(id, &format!("/orders/{}", segment(&order)))) { "Vendor activity" }
            }
            form.card method="post" action=(format!("{here}/offer")) {
                (token(visitor))
                input type="hidden" name="version" value=(summary.version);
                h2 { "Items" }
                div.scroll tabindex="0" role="region" aria-label="Items" {
                    table {
                        thead { tr { th { "Item" } th { "SKU" } th.number { "Qty" } th.number { "List price" } th.number { "List total" } th { "Your price" } } }
                        tbody {
                            @for line in &asked.lines {
                                tr.child[line.parent.is_some()] {
                                    th scope="row" { (line.title) @for part in &line.shown { div.mark { (part.name) ": " (part.value) } } }
                                    td { (line.sku.as_deref().unwrap_or("–")) }
                                    td.number { (line.quantity) }
                                    td.number { @match &line.price.unit { Some(unit) => (amount(unit)), None => "–" } }
                                    td.number { (amount(&line.price.total)) }
                                    td {
                                        @if line.parent.is_some() { span.mark { "Included in bundle" } }
                                        @else if is_open {
                                            @let price = offered(line).or(line.price.unit.as_ref());
                                            @let text = price.and_then(|price| money::exact(price).ok()).map(|price| price.to_string());
                                            @let name = input_of(&line.key);
                                            input id=(name) name=(name) value=(entry.text(&name, text.unwrap_or_default())) inputmode="decimal"
                                                size="9" required aria-label=(format!("Your price of one {} in {}", line.title, shop.currency))
                                                aria-describedby=(format!("{name}-help")) aria-invalid=[entry.invalid(&name)];
                                            div id=(format!("{name}-help")) { (entry.beside(&name)) }
                                        } @else { @match offered(line) { Some(price) => (amount(price)), None => "–" } }
                                    }
                                }
                            }
                        }
                    }
                }
                @if is_open {
                    (entry.field("until", "Valid through", "Up to one year from today (UTC)", html! {
                        input #until name="until" type="date" value=(entry.text("until", usual)) required size="12" aria-describedby="until-help"
                            aria-invalid=[entry.invalid("until")];
                    }))
                    button { @if summary.state == QuotationState::Offered { "Update offer" } @else { "Send offer" } }
                }
            }
            @if is_open {
                form method="post" action=(format!("{here}/withdraw")) {
                    (token(visitor))
                    input type="hidden" name="version" value=(summary.version);
                    @if summary.state == QuotationState::Offered {
                        button.danger data-ask="Withdraw this offer? This can't be undone." { "Withdraw offer" }
                    } @else {
                        button.danger data-ask="Decline this request? This can't be undone." { "Decline request" }
                    }
                }
            }
        },
    ))
}

/// Until when an offer holds: the last day, as it is entered, where the offer holds to the end of a day.
fn valid_until(at: SystemTime) -> Markup {
    const DAY_SECONDS: i64 = 86_400;
    let end = jiff::Timestamp::try_from(at).ok().filter(|end| end.as_second() % DAY_SECONDS == 0);
    let last = end.and_then(|end| end.to_zoned(TimeZone::UTC).date().yesterday().ok());
    last.map_or_else(|| when(at), |day| html! { "the end of " (day.to_string()) " (UTC)" })
}

/// The name and id of the input of a line's price.
fn input_of(line: &str) -> String {
    format!("price.{line}")
}

/// Reads the price of a line, an exact amount of the shop's currency.
fn price(sent: &Sent, line: &str, shop: &Shop) -> Result<Money, Problem> {
    let name = input_of(line);
    typed::amount(sent.text(&name), &shop.currency, shop.scale).map_err(|why| wrong(&name, why))
}

/// Reads until when an offer holds: to the end of a day in UTC.
fn until(sent: &Sent) -> Result<SystemTime, Problem> {
    let day = sent.day("until")?.ok_or_else(|| wrong("until", "Enter the last day of the offer."))?;
    let until = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
    let until = until.map_err(|_| wrong("until", "Enter a date within a year."))?;
    Ok(SystemTime::from(until.timestamp()))
}

async fn offer(
    Admin(caller): Admin,
    visitor: Visitor,
    State(node): State<Node>,
    Path((id, quotation)): Path<(ShopId, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let shop = node.host().shop(&id)?;
    match make_offer(&node, &caller, &shop, &quotation, &sent).await {
        Ok(()) => Ok(done(&path(&id, &quotation), Done::Offered).into_response()),
        Err(problem) => {
            let entry = Entry::refused(&sent, &problem);
            Ok(again(&problem, quote_page(&visitor, &node, &shop, &quotation, &entry).await?))
        }
    }
}

async fn make_offer(node: &Node, caller: &Caller, shop: &Shop, quotation: &str, sent: &Sent) -> Result<(), Problem> {
    let kept = node.store().quotation(&shop.id, quotation, node.now()).await?;
    let mut issues = Issues::default();
    let mut prices = BTreeMap::new();
    for line in kept.asked.lines.iter().filter(|line| line.parent.is_none()) {
        if let Some(price) = issues.take(price(sent, &line.key, shop)) {
            prices.insert(line.key.clone(), price);
        }
    }
    let until = issues.take(until(sent));
    let Some(until) = until.filter(|_| issues.is_empty()) else { return Err(issues.into_problem()) };
    let offer = Offer { quotation: quotation.to_owned(), prices, until };
    let expected = Expected::Version(sent.text("version"));
    node.store().offer_quotation(node.host(), &shop.id, &offer, expected, &caller.who, node.now()).await?;
    Ok(())
}

async fn withdraw(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path((id, quotation)): Path<(ShopId, String)>,
    sent: Sent,
) -> Result<Redirect, Problem> {
    let expected = Expected::Version(sent.text("version"));
    let state = node.store().quotation(&id, &quotation, node.now()).await?.summary.state;
    node.store().withdraw_quotation(&id, &quotation, expected, &caller.who, node.now()).await?;
    let what = if state == QuotationState::Offered { Done::Withdrawn } else { Done::Declined };
    Ok(done(&path(&id, &quotation), what))
}
