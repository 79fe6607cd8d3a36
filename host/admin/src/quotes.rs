//! Quotes: shoppers' requests for the merchant's price, and the merchant's offers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cartwright::types::Money;
use cartwright::{CartLine, QuoteOffer, Shop, ShopId, money};
use cartwright_http::access::{Admin, Caller};
use cartwright_http::extract::{Path, Query};
use cartwright_http::{Node, Problem};
use cartwright_service::input;
use cartwright_store::{Expected, Quote, QuoteState};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::entry::{Entry, again};
use super::failed_action::{FailedAction, of_button};
use super::issues::{Issues, wrong};
use super::layout::{csrf_field, page};
use super::nav::badge;
use super::notice::{Notice, redirect_with_notice};
use super::paths::{order_path, segment, shop_path};
use super::preview::is_set_member;
use super::session::{AdminUser, FormData};
use super::text::{PAGE, PageOf, amount, next_cursor, time};

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

/// The states of quotes, those that need the merchant first.
const STATES: [QuoteState; 5] =
    [QuoteState::Requested, QuoteState::Offered, QuoteState::Accepted, QuoteState::Withdrawn, QuoteState::Expired];

/// Returns the words for a quote's state, and its severity.
fn state_text(state: QuoteState) -> (&'static str, &'static str) {
    match state {
        QuoteState::Requested => ("To price", "warn"),
        QuoteState::Offered => ("Offered", "good"),
        QuoteState::Accepted => ("Accepted", "good"),
        QuoteState::Withdrawn => ("Closed", ""),
        QuoteState::Expired => ("Expired", ""),
    }
}

fn state(state: QuoteState) -> Markup {
    let (text, class) = state_text(state);
    html! { span.state.(class) { (text) } }
}

#[derive(Debug, Deserialize)]
struct Which {
    state: Option<QuoteState>,
    #[serde(flatten)]
    page: PageOf,
}

async fn list(
    _: Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { state: chosen, page: shown }): Query<Which>,
) -> Result<Markup, Problem> {
    node.host().shop(&shop)?;
    let found = node.store().quotes().list(&shop, chosen, shown.after.as_deref(), PAGE, node.now()).await?;
    Ok(page(
        &visitor,
        "Quotes",
        html! {
            nav.filters aria-label="Statuses" {
                a href=(shop_path(&shop, "/quotations")) aria-current=[chosen.is_none().then_some("page")] { "All" }
                @for state in STATES {
                    a href=(shop_path(&shop, &format!("/quotations?state={}", state.name()))) aria-current=[(chosen == Some(state)).then_some("page")] {
                        (state_text(state).0)
                        @if state == QuoteState::Requested { (badge(visitor.open.quotes)) }
                    }
                }
            }
            @if found.is_empty() { p { @if chosen.is_some() { "No quotes" } @else { "No quote requests yet" } } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Quotes" {
                    table {
                        thead { tr { th { "Quote" } th { "Status" } th { "Requested" } th { "Valid until" } } }
                        tbody {
                            @for quote in &found {
                                tr {
                                    th scope="row" { a href=(path(&shop, &quote.id)) { (quote.id) } }
                                    td { (state(quote.state)) }
                                    td { (time(quote.requested_at)) }
                                    td { @if let Some(until) = quote.valid_until { (valid_until(until)) } @else { "–" } }
                                }
                            }
                        }
                    }
                }
                (shown.draw(&shop_path(&shop, "/quotations"), &[("state", chosen.map_or("", QuoteState::name))], next_cursor(&found).map(|last| last.id.as_str())))
            }
        },
    ))
}

async fn read(
    _: Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((id, quote)): Path<(ShopId, String)>,
) -> Result<Markup, Problem> {
    let shop = node.host().shop(&id)?;
    quote_page(&visitor, &node, &shop, &quote, &Entry::default(), FailedAction::default()).await
}

async fn quote_page(
    visitor: &AdminUser,
    node: &Node,
    shop: &Shop,
    quote: &str,
    entry: &Entry<'_>,
    failed: FailedAction<'_>,
) -> Result<Markup, Problem> {
    let id = &shop.id;
    let Quote { summary, request, offer, order } = node.store().quotes().get(id, quote, node.now()).await?;
    let is_open = matches!(summary.state, QuoteState::Requested | QuoteState::Offered | QuoteState::Expired);
    let here = path(id, &summary.id);
    // The default expiry.
    let in_a_week = jiff::Timestamp::try_from(node.now()).map(|now| now.to_zoned(TimeZone::UTC).date());
    let in_a_week = in_a_week.and_then(|today| today.checked_add(jiff::Span::new().days(7)));
    let in_a_week = in_a_week.map(|day| day.to_string()).unwrap_or_default();
    let offered = |line: &CartLine| offer.as_ref().and_then(|offer| offer.prices.get(&line.key));
    Ok(page(
        visitor,
        &format!("Quote {}", summary.id),
        html! {
            (entry.summary())
            p {
                (state(summary.state)) " Requested " (time(summary.requested_at))
                @if let Some(until) = summary.valid_until { ", valid until " (valid_until(until)) }
                ". " a href=(order_path(id, &order)) { "Vendor activity" }
            }
            form.card method="post" action=(format!("{here}/offer")) {
                (csrf_field(visitor))
                input type="hidden" name="version" value=(summary.version);
                h2 { "Items" }
                div.scroll tabindex="0" role="region" aria-label="Items" {
                    table {
                        thead { tr { th { "Item" } th { "SKU" } th.number { "Qty" } th.number { "List price" } th.number { "List total" } th { "Your price" } } }
                        tbody {
                            @for line in &request.lines {
                                tr.child[line.top_key().is_some()] {
                                    th scope="row" {
                                        (line.title)
                                        @if is_set_member(line) { div.mark { "Sold as a set with the line above" } }
                                        @for field in &line.shown { div.mark { (field.name) ": " (field.value) } }
                                    }
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
                                            span.pair {
                                                input id=(name) name=(name) value=(entry.text(&name, text.unwrap_or_default())) inputmode="decimal"
                                                    size="9" required aria-label=(format!("Your price of one {} in {}", line.title, line.price.total.currency))
                                                    aria-describedby=(format!("{name}-help")) aria-invalid=[entry.invalid(&name)];
                                                span.mark { (line.price.total.currency) }
                                            }
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
                        input #until name="until" type="date" value=(entry.text("until", in_a_week)) required size="12" aria-describedby="until-help"
                            aria-invalid=[entry.invalid("until")];
                    }))
                    button { @if summary.state == QuoteState::Offered { "Update offer" } @else { "Send offer" } }
                }
            }
            (failed.beside("withdraw"))
            @if is_open {
                form method="post" action=(format!("{here}/withdraw")) {
                    (csrf_field(visitor))
                    input type="hidden" name="version" value=(summary.version);
                    @if summary.state == QuoteState::Offered {
                        button.danger data-ask="Withdraw this offer? This can't be undone." { "Withdraw offer" }
                    } @else {
                        button.danger data-ask="Decline this request? This can't be undone." { "Decline request" }
                    }
                }
            }
        },
    ))
}

/// Draws the expiry of an offer: if it is the end of a day, that day, as it is entered.
fn valid_until(at: SystemTime) -> Markup {
    const DAY_SECONDS: i64 = 86_400;
    let end = jiff::Timestamp::try_from(at).ok().filter(|end| end.as_second() % DAY_SECONDS == 0);
    let last = end.and_then(|end| end.to_zoned(TimeZone::UTC).date().yesterday().ok());
    last.map_or_else(|| time(at), |day| html! { "the end of " (day.to_string()) " (UTC)" })
}

/// Returns the name and id of the input of a line's price.
fn input_of(line: &str) -> String {
    format!("price.{line}")
}

/// Reads the price of a line, an exact amount in the line's currency.
fn price(sent: &FormData, line: &CartLine) -> Result<Money, Problem> {
    let name = input_of(&line.key);
    let Money { currency, scale, .. } = &line.price.total;
    input::amount(sent.text(&name), currency, *scale).map_err(|reason| wrong(&name, reason))
}

/// Reads the expiry of an offer: the end of a day in UTC.
fn until(sent: &FormData) -> Result<SystemTime, Problem> {
    let day = sent.day("until")?.ok_or_else(|| wrong("until", "Enter the last day of the offer."))?;
    let until = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
    let until = until.map_err(|_| wrong("until", "Enter a date within a year."))?;
    Ok(SystemTime::from(until.timestamp()))
}

async fn offer(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((id, quote)): Path<(ShopId, String)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let shop = node.host().shop(&id)?;
    match make_offer(&node, &caller, &shop, &quote, &sent).await {
        Ok(()) => Ok(redirect_with_notice(&path(&id, &quote), Notice::Offered).into_response()),
        Err(problem) => {
            let entry = Entry::refused(&sent, &problem);
            Ok(again(&problem, quote_page(&visitor, &node, &shop, &quote, &entry, FailedAction::default()).await?))
        }
    }
}

async fn make_offer(node: &Node, caller: &Caller, shop: &Shop, quote: &str, sent: &FormData) -> Result<(), Problem> {
    let stored = node.store().quotes().get(&shop.id, quote, node.now()).await?;
    let mut issues = Issues::default();
    let mut prices = BTreeMap::new();
    for line in stored.request.lines.iter().filter(|line| line.parent.is_none()) {
        if let Some(price) = issues.take(price(sent, line)) {
            prices.insert(line.key.clone(), price);
        }
    }
    let until = issues.take(until(sent));
    let Some(until) = until.filter(|_| issues.is_empty()) else { return Err(issues.into_problem()) };
    let offer = QuoteOffer { quote: quote.to_owned(), prices, until };
    let expected = Expected::Version(sent.text("version"));
    node.store().quotes().offer(node.host(), &shop.id, &offer, expected, &caller.actor, node.now()).await?;
    Ok(())
}

async fn withdraw(
    Admin(caller): Admin,
    visitor: AdminUser,
    State(node): State<Node>,
    Path((id, quote)): Path<(ShopId, String)>,
    sent: FormData,
) -> Result<Response, Problem> {
    let shop = node.host().shop(&id)?;
    let expected = Expected::Version(sent.text("version"));
    let state = node.store().quotes().get(&id, &quote, node.now()).await?.summary.state;
    let notice = if state == QuoteState::Offered { Notice::Withdrawn } else { Notice::Declined };
    match node.store().quotes().withdraw(&id, &quote, expected, &caller.actor, node.now()).await {
        Ok(_) => Ok(redirect_with_notice(&path(&id, &quote), notice).into_response()),
        Err(error) => {
            let problem = of_button(error)?;
            let failed = FailedAction::new("withdraw", &problem);
            Ok(again(&problem, quote_page(&visitor, &node, &shop, &quote, &Entry::default(), failed).await?))
        }
    }
}
