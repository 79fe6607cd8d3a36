//! The checkout: an address, a last check of the cart, and the report to the host.

use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;
use serde_json::json;

use super::cart;
use super::line::{Line, Money, families, total, update};
use super::order::{Address, Order};
use super::platform::ShopperData;
use super::visit::ShopVisit;

pub(super) async fn show(visit: ShopVisit) -> Response {
    let data = visit.data().await;
    if data.cart.is_empty() {
        return visit.redirect("cart").into_response();
    }
    page(&visit, &data, &Address::sample(), &[])
}

fn page(visit: &ShopVisit, data: &ShopperData, address: &Address, notices: &[String]) -> Response {
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
                    @for (line, members) in families(&data.cart) {
                        @for line in std::iter::once(line).chain(members).filter(|line| !line.view.price.included_in_parent) {
                            li { (line.view.quantity) " × " (line.view.title) span.amount { (line.view.price.total) } }
                        }
                    }
                }
                @if let Some(total) = total(&data.cart) { p.total { "Total " strong { (total) } } }
            }
        }
    };
    visit.page("Check out", &data.cart, content)
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
    let mut data = visit.data().await;
    if data.cart.is_empty() {
        return visit.redirect("cart").into_response();
    }
    let checks = match shop.host.post::<Vec<Check>>(&shop.api_path("cart/check"), &json!({ "lines": data.cart })).await
    {
        Ok(checks) => checks,
        Err(error) => return unprocessable(cart::page(&visit, &data, &[error.shopper_text()])),
    };
    let (mut price_changes, mut unavailable) = (Vec::new(), Vec::new());
    for Check { key, state, lines } in checks {
        let title = data.cart.iter().find(|line| line.view.key == key).map_or("", |line| &line.view.title);
        match state {
            State::Ok => {}
            State::PriceChanged { previous, new } => {
                price_changes.push(format!(
                    "The price of {title} changed from {previous} to {new}. Place the order again to accept it."
                ));
            }
            State::Unavailable {} => {
                unavailable.push(format!("{title} is not available at the moment. Please remove it."))
            }
            State::MustReconfigure {} => {
                unavailable.push(format!("{title} needs to be configured again. Please edit or remove it."))
            }
        }
        update(&mut data.cart, lines);
    }
    if !unavailable.is_empty() {
        return unprocessable(cart::page(&visit, &data, &unavailable));
    }
    if !price_changes.is_empty() {
        return unprocessable(page(&visit, &data, &address, &price_changes));
    }
    let Some(order) = Order::of(visit.platform.next_number(), &data.cart, address.clone()) else {
        return visit.redirect("cart").into_response();
    };
    match order.report(shop, "placed", json!("placed")).await {
        Ok(()) => {
            let to = visit.redirect(&format!("orders/{}", order.id));
            data.cart.clear();
            data.orders.push(order);
            to.into_response()
        }
        Err(error) => unprocessable(page(&visit, &data, &address, &[error.shopper_text()])),
    }
}

fn unprocessable(page: Response) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}
