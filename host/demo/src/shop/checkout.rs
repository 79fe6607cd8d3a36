//! The checkout: an address, a last check of the cart, and the report to the host.

use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;
use serde_json::json;

use super::line::{Line, Money, families, total, update};
use super::orders::{Address, Order};
use super::{ShopVisit, ShopperData, cart};

pub(super) async fn show(visit: ShopVisit) -> Response {
    let book = visit.book().await;
    if book.cart.is_empty() {
        return visit.redirect("cart").into_response();
    }
    page(&visit, &book, &Address::sample(), &[])
}

fn page(visit: &ShopVisit, book: &ShopperData, address: &Address, notices: &[String]) -> Response {
    let field = |name: &str, label: &str, kind: &str, complete: &str, value: &str| {
        html! {
            p.field {
                label for=(name) { (label) }
                input id=(name) name=(name) type=(kind) autocomplete=(complete) value=(value) required maxlength="100";
            }
        }
    };
    let content = html! {
        h1 { "Check out" }
        @for text in notices { p.notice role="alert" { (text) } }
        div.columns {
            form.address method="post" {
                h2 { "Shipping address" }
                (field("first_name", "First name", "text", "given-name", &address.first_name))
                (field("last_name", "Last name", "text", "family-name", &address.last_name))
                (field("email", "E-mail", "email", "email", &address.email))
                (field("line1", "Street and number", "text", "address-line1", &address.line1))
                (field("zip", "Postal code", "text", "postal-code", &address.zip))
                (field("city", "City", "text", "address-level2", &address.city))
                p.field {
                    label for="country" { "Country" }
                    select #country name="country" autocomplete="country" {
                        @for (code, name) in [("BE", "Belgium"), ("DE", "Germany"), ("FR", "France"), ("NL", "Netherlands")] {
                            option value=(code) selected[address.country == code] { (name) }
                        }
                    }
                }
                p.about { "This is a sample address. Nothing is charged: mark the order as paid on its page." }
                p.buttons { button #order type="submit" { "Place order" } }
            }
            section aria-label="Order summary" {
                h2 { "Order summary" }
                ul.brief {
                    @for (line, members) in families(&book.cart) {
                        @for line in std::iter::once(line).chain(members).filter(|line| !line.view.price.included_in_parent) {
                            li { (line.view.quantity) " × " (line.view.title) span.amount { (line.view.price.total) } }
                        }
                    }
                }
                @if let Some(total) = total(&book.cart) { p.total { "Total " strong { (total) } } }
            }
        }
    };
    visit.page("Check out", &book.cart, content)
}

/// The host's verdict on a line before it is ordered.
#[derive(Deserialize)]
struct Check {
    key: String,
    state: State,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum State {
    Ok,
    PriceChanged { previous: Money, new: Money },
    Unavailable {},
    MustReconfigure {},
}

pub(super) async fn order(visit: ShopVisit, Form(address): Form<Address>) -> Response {
    let shop = visit.shop();
    let mut book = visit.book().await;
    if book.cart.is_empty() {
        return visit.redirect("cart").into_response();
    }
    let checks = match shop.host.post::<Vec<Check>>(&shop.at("cart/check"), &json!({ "lines": book.cart })).await {
        Ok(checks) => checks,
        Err(error) => return unprocessable(cart::page(&visit, &book, &[error.shopper_text()])),
    };
    let (mut dearer, mut lost) = (Vec::new(), Vec::new());
    for Check { key, state, lines } in checks {
        let title = book.cart.iter().find(|line| line.view.key == key).map_or("", |line| &line.view.title);
        match state {
            State::Ok => {}
            State::PriceChanged { previous, new } => {
                dearer.push(format!(
                    "The price of {title} changed from {previous} to {new}. Place the order again to accept it."
                ));
            }
            State::Unavailable {} => lost.push(format!("{title} is not available at the moment. Please remove it.")),
            State::MustReconfigure {} => {
                lost.push(format!("{title} needs to be configured again. Please edit or remove it."))
            }
        }
        update(&mut book.cart, lines);
    }
    if !lost.is_empty() {
        return unprocessable(cart::page(&visit, &book, &lost));
    }
    if !dearer.is_empty() {
        return unprocessable(page(&visit, &book, &address, &dearer));
    }
    let Some(order) = Order::of(visit.platform.next_number(), &book.cart, address.clone()) else {
        return visit.redirect("cart").into_response();
    };
    match order.report(shop, "placed", json!("placed")).await {
        Ok(()) => {
            let to = visit.redirect(&format!("orders/{}", order.id));
            book.cart.clear();
            book.orders.push(order);
            to.into_response()
        }
        Err(error) => unprocessable(page(&visit, &book, &address, &[error.shopper_text()])),
    }
}

fn unprocessable(page: Response) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}
