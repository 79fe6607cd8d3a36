//! Quotes: requests, the merchant's offers, and accepting them.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cart;
use super::line::{Change, Line, Money, families};
use super::profile::Shop;
use super::visit::{PathParameters, ShopVisit, parameter};

/// A quote, as far as the shop shows it.
#[derive(Deserialize)]
struct Quote {
    id: String,
    state: String,
    version: u64,
    until: Option<String>,
    lines: Vec<Line>,
    prices: Vec<OfferedPrice>,
}

#[derive(Deserialize)]
struct OfferedPrice {
    key: String,
    unit: Money,
}

pub(super) async fn show(visit: ShopVisit) -> Response {
    page(&visit, None).await
}

async fn page(visit: &ShopVisit, message: Option<String>) -> Response {
    let shop = visit.shop();
    let data = visit.data().await;
    let mut quotes = Vec::new();
    for id in data.quotes.iter().rev() {
        quotes.push(shop.host.get::<Quote>(&shop.api_path(&format!("quotes/{id}"))).await);
    }
    let content = html! {
        h1 { "Quotes" }
        @if let Some(message) = &message { p.notice role="alert" { (message) } }
        @if quotes.is_empty() {
            p { "You have not requested a quote yet. Configure a " a href=(shop.path("")) { "product" } " and request one there." }
        } @else {
            p.about { "Your quote requests. The merchant enters a price on the host's page of quotes." }
        }
        @for quote in &quotes {
            @match quote {
                Ok(quote) => (quote_card(shop, quote)),
                Err(error) => p.notice { (error.shopper_text()) },
            }
        }
    };
    let status = if message.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (status, visit.page("Quotes", &data.cart, content)).into_response()
}

fn quote_card(shop: &Shop, quote: &Quote) -> Markup {
    let state_text = match quote.state.as_str() {
        "requested" => "Requested",
        "offered" => "Offered",
        "accepted" => "Accepted",
        "expired" => "Expired",
        _ => "Declined",
    };
    let offered = |line: &Line| quote.prices.iter().find(|price| price.key == line.view.key);
    html! {
        section.offer aria-label={ "Quote " (quote.id) } {
            h2 { (quote.id) ": " (state_text) @if let Some(until) = &quote.until { ", until " time datetime=(until) { (until) } } }
            ul.lines {
                @for (line, children) in families(&quote.lines) {
                    li.line {
                        (cart::summary(shop, line, &children))
                        p.state {
                            "Requested " (line.view.quantity)
                            @if let Some(offer) = offered(line) { ". Our price: " strong { (offer.unit) } " each" }
                        }
                    }
                }
            }
            @if quote.state == "offered" {
                div.controls {
                    form method="post" action=(shop.path(&format!("offers/{}/accept", quote.id))) {
                        input type="hidden" name="version" value=(quote.version);
                        button.accept type="submit" { "Accept offer" span.hidden { " " (quote.id) } }
                    }
                    form method="post" action=(shop.path(&format!("offers/{}/withdraw", quote.id))) {
                        input type="hidden" name="version" value=(quote.version);
                        button.second type="submit" { "Decline" span.hidden { " " (quote.id) } }
                    }
                }
            }
        }
    }
}

/// The version of the offer that the shopper saw, so that a changed offer is not accepted by mistake.
#[derive(Deserialize)]
pub(super) struct OfferVersion {
    version: u64,
}

/// Accepts an offer into the cart, or declines it.
pub(super) async fn respond(
    visit: ShopVisit,
    Path(path): PathParameters,
    Form(OfferVersion { version }): Form<OfferVersion>,
) -> Response {
    let (id, step) = (parameter(&path, "quote"), parameter(&path, "step"));
    let shop = visit.shop();
    let done = {
        let mut data = visit.data().await;
        if !data.quotes.iter().any(|known_id| known_id == id) {
            return visit.not_found("There is no such quote.");
        }
        let at = shop.api_path(&format!("quotes/{id}/{step}"));
        match step {
            "accept" => {
                let accepted = shop.host.post_if::<Change>(&at, version, &json!({ "lines": data.cart })).await;
                accepted.map(|change| drop(change.apply(&mut data.cart))).map(|()| "cart")
            }
            "withdraw" => shop.host.post_if::<Value>(&at, version, &json!({})).await.map(|_| "offers"),
            _ => return visit.not_found("There is no such step."),
        }
    };
    match done {
        Ok(next) => visit.redirect(next).into_response(),
        Err(error) => page(&visit, Some(error.shopper_text())).await,
    }
}
