//! The cart page.

use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::line::{Change, Line, Part, families, total};
use super::pictures;
use super::platform::ShopperData;
use super::profile::Shop;
use super::visit::ShopVisit;

pub(super) async fn show(visit: ShopVisit) -> Response {
    page(&visit, &*visit.data().await, &[])
}

/// Draws the cart with its notices.
pub(super) fn page(visit: &ShopVisit, data: &ShopperData, notices: &[String]) -> Response {
    let shop = visit.shop();
    let content = html! {
        h1 { "Cart" }
        @for text in notices { p.notice role="alert" { (text) } }
        @match total(&data.cart) {
            None => p { "Your cart is empty. " a href=(shop.path("")) { "Browse the products" } "." },
            Some(total) => {
                ul.lines {
                    @for (line, children) in families(&data.cart) {
                        li.line {
                            (summary(shop, line, &children))
                            (controls(shop, line))
                        }
                    }
                }
                p.total { "Total " strong { (total) } span.about { " with tax" } }
                p.buttons { a.button href=(shop.path("checkout")) { "Check out" } }
            }
        }
    };
    visit.page("Cart", &data.cart, content)
}

/// Draws a line with its picture, the shopper's choices, its parts, and its price.
pub(super) fn summary(shop: &Shop, line: &Line, children: &[&Line]) -> Markup {
    let seen = &line.view;
    html! {
        div.picture {
            @match &seen.thumbnail {
                Some(digest) => img alt={ "Your " (seen.title) } width="160" height="160"
                    src={ (shop.host.url) "/pictures/" (shop.id) "/" (digest) };,
                None => (pictures::of(&seen.linked_product)),
            }
        }
        div.what {
            h2 { (seen.title) }
            (parts(&seen.shown))
            @if !children.is_empty() {
                ul.children aria-label={ "Parts of " (seen.title) } {
                    @for child in children {
                        li {
                            span.many { (child.view.quantity) " ×" } " " (child.view.title)
                            @if !child.view.price.included_in_parent { span.amount { (child.view.price.total) } }
                            (parts(&child.view.shown))
                        }
                    }
                }
            }
        }
        p.amount {
            strong { (seen.price.total) }
            @if let (Some(unit), true) = (&seen.price.unit, seen.quantity > 1) {
                span.about { (seen.quantity) " × " (unit) }
            }
        }
    }
}

fn parts(parts: &[Part]) -> Markup {
    html! {
        @if !parts.is_empty() {
            dl.parts { @for part in parts { div { dt { (part.name) } dd { (part.value) } } } }
        }
    }
}

fn controls(shop: &Shop, line: &Line) -> Markup {
    let seen = &line.view;
    let field = format!("quantity-{}", seen.key);
    html! {
        div.controls {
            form method="post" action=(shop.path("cart/quantity")) {
                input type="hidden" name="key" value=(seen.key);
                label for=(field) { "Quantity" span.hidden { " of " (seen.title) } }
                input id=(field) type="number" name="quantity" min="1" max="1000" required value=(seen.quantity);
                button.second type="submit" { "Update" span.hidden { " the quantity of " (seen.title) } }
            }
            @if seen.configuration.is_some() {
                a.edit href={ (shop.path(&format!("products/{}", seen.linked_product))) "?line=" (seen.key) } {
                    "Edit" span.hidden { " " (seen.title) }
                }
            }
            form method="post" action=(shop.path("cart/remove")) {
                input type="hidden" name="key" value=(seen.key);
                button.second type="submit" { "Remove" span.hidden { " " (seen.title) } }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Quantity {
    key: String,
    quantity: u32,
}

pub(super) async fn quantity(visit: ShopVisit, Form(Quantity { key, quantity }): Form<Quantity>) -> Response {
    change(visit, "quantity", json!({ "key": key, "quantity": quantity })).await
}

#[derive(Deserialize)]
pub(super) struct Which {
    key: String,
}

pub(super) async fn remove(visit: ShopVisit, Form(Which { key }): Form<Which>) -> Response {
    change(visit, "remove", json!({ "key": key })).await
}

#[allow(clippy::indexing_slicing, reason = "every caller sends a JSON object")]
async fn change(visit: ShopVisit, what: &str, mut body: Value) -> Response {
    let shop = visit.shop();
    let mut data = visit.data().await;
    body["lines"] = json!(data.cart);
    match shop.host.post::<Change>(&shop.api_path(&format!("cart/{what}")), &body).await {
        Ok(change) => {
            change.apply(&mut data.cart);
            visit.redirect("cart").into_response()
        }
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, page(&visit, &data, &[error.shopper_text()])).into_response(),
    }
}
