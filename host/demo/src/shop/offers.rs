//! Offers: what was asked for, what the merchant offers, and taking it.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::line::{Change, Line, Money, families};
use super::{Named, Shop, Visit, cart, word};

/// A quotation, as far as the shop shows it.
#[derive(Deserialize)]
struct Quotation {
    id: String,
    state: String,
    version: u64,
    until: Option<String>,
    lines: Vec<Line>,
    prices: Vec<Offered>,
}

#[derive(Deserialize)]
struct Offered {
    key: String,
    unit: Money,
}

pub(super) async fn show(visit: Visit) -> Response {
    page(&visit, None).await
}

async fn page(visit: &Visit, told: Option<String>) -> Response {
    let shop = visit.shop();
    let book = visit.book().await;
    let mut quotations = Vec::new();
    for id in book.asked.iter().rev() {
        quotations.push(shop.host.get::<Quotation>(&shop.at(&format!("quotations/{id}"))).await);
    }
    let content = html! {
        h1 { "Offers" }
        @if let Some(told) = &told { p.notice role="alert" { (told) } }
        @if quotations.is_empty() {
            p { "You have not asked for an offer yet. Configure a " a href=(shop.path("")) { "product" } " and ask for one there." }
        } @else {
            p.about { "You asked for these. The merchant answers with a price, on the host's page of quotations." }
        }
        @for quotation in &quotations {
            @match quotation {
                Ok(quotation) => (draw(shop, quotation)),
                Err(error) => p.notice { (error.told()) },
            }
        }
    };
    let status = if told.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (status, visit.page("Offers", &book.cart, content)).into_response()
}

fn draw(shop: &Shop, quotation: &Quotation) -> Markup {
    let said = match quotation.state.as_str() {
        "requested" => "Asked for",
        "offered" => "Offered to you",
        "accepted" => "Accepted",
        "expired" => "The offer has ended",
        _ => "Nothing comes of it",
    };
    let offered = |line: &Line| quotation.prices.iter().find(|price| price.key == line.seen.key);
    html! {
        section.offer aria-label={ "Quotation " (quotation.id) } {
            h2 { (quotation.id) ": " (said) @if let Some(until) = &quotation.until { ", until " time datetime=(until) { (until) } } }
            ul.lines {
                @for (line, children) in families(&quotation.lines) {
                    li.line {
                        (cart::summary(shop, line, &children))
                        p.state {
                            "Asked for " (line.seen.quantity)
                            @if let Some(offer) = offered(line) { ". Our price: " strong { (offer.unit) } " each" }
                        }
                    }
                }
            }
            @if quotation.state == "offered" {
                div.controls {
                    form method="post" action=(shop.path(&format!("offers/{}/accept", quotation.id))) {
                        input type="hidden" name="version" value=(quotation.version);
                        button.accept type="submit" { "Take the offer" span.hidden { " " (quotation.id) } }
                    }
                    form method="post" action=(shop.path(&format!("offers/{}/withdraw", quotation.id))) {
                        input type="hidden" name="version" value=(quotation.version);
                        button.second type="submit" { "No, thanks" span.hidden { ", not " (quotation.id) } }
                    }
                }
            }
        }
    }
}

/// The version of the offer that the shopper saw: another price is another offer.
#[derive(Deserialize)]
pub(super) struct Saw {
    version: u64,
}

/// Takes an offer into the cart, or says no to it.
pub(super) async fn settle(visit: Visit, Path(path): Named, Form(Saw { version }): Form<Saw>) -> Response {
    let (id, step) = (word(&path, "quotation"), word(&path, "step"));
    let shop = visit.shop();
    let done = {
        let mut book = visit.book().await;
        if !book.asked.iter().any(|asked| asked == id) {
            return visit.not_found("You did not ask for this.");
        }
        let at = shop.at(&format!("quotations/{id}/{step}"));
        match step {
            "accept" => {
                let accepted = shop.host.post_if::<Change>(&at, version, &json!({ "lines": book.cart })).await;
                accepted.map(|change| drop(change.apply(&mut book.cart))).map(|()| "cart")
            }
            "withdraw" => shop.host.post_if::<Value>(&at, version, &json!({})).await.map(|_| "offers"),
            _ => return visit.not_found("There is no such step."),
        }
    };
    match done {
        Ok(next) => visit.to(next).into_response(),
        Err(error) => page(&visit, Some(error.told())).await,
    }
}
