//! The list of products, and the page that configures one.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cartwright::types::AllowedOrigin;
use maud::html;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::HostError;
use super::line::{Change, Line};
use super::visit::{PathParameters, ShopVisit, parameter};
use super::{layout, pictures};

pub(super) async fn list(visit: ShopVisit) -> Response {
    let shop = visit.shop();
    let content = html! {
        h1 { (shop.title) }
        p.about { (shop.about) }
        ul.products {
            @for product in &shop.products {
                li { a.card href=(shop.path(&format!("products/{}", product.id))) {
                    (pictures::of(product.id))
                    span.title { (product.title) }
                    span.about { (product.about) }
                    span.price { "from " (product.from) }
                } }
            }
        }
    };
    visit.page("Products", &visit.data().await.cart, content)
}

/// The line to configure again.
#[derive(Deserialize)]
pub(super) struct EditLine {
    line: Option<String>,
}

/// The embed data, as far as the page's own server reads it.
#[derive(Deserialize)]
struct Embed {
    allowed_origins: Vec<AllowedOrigin>,
}

pub(super) async fn show(
    visit: ShopVisit,
    Path(path): PathParameters,
    Query(EditLine { line }): Query<EditLine>,
) -> Response {
    let shop = visit.shop();
    let Some(product) = shop.product(parameter(&path, "product")) else {
        return visit.not_found("We do not sell this.");
    };
    let data = visit.data().await;
    let line = line.and_then(|key| data.cart.iter().find(|line| line.view.key == key));
    // The page loads its embed data itself, with the public key. The server needs the origins before, for the page's
    // header. A line's vendor may differ from the product's current one.
    let at = shop.api_path(&format!("products/{}/embed-data", product.id));
    let mut embed = shop.host.post::<Embed>(&at, &json!({ "reopen": line })).await;
    if embed.is_err() && line.is_some() {
        // A line that cannot be opened again starts a new configuration.
        embed = shop.host.post(&at, &json!({})).await;
    }
    let origins = embed.map(|embed| embed.allowed_origins).unwrap_or_else(|error| {
        tracing::warn!(%error, "a product page has no configurator");
        Vec::new()
    });
    let reopen = line.and_then(|line| serde_json::to_string(line).ok());
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(shop.path("")) { "Products" } " › " (product.title) }
        div #configure.configure data-host=(shop.host.url) data-shop=(shop.id) data-product=(product.id)
            data-key=(shop.storefront) data-currency=(shop.currency) data-reopen=[reopen]
            data-line=[line.map(|line| &line.view.key)] {
            section #viewer.viewer aria-label="Your configuration" { (pictures::of(product.id)) }
            section.panel aria-label="Choices" {
                h1 { (product.title) }
                p.about { (product.about) }
                p #price.price aria-live="polite" { "from " (product.from) }
                progress #progress max="100" value="0" aria-label="Loading the configurator" {}
                noscript { p.notice { "Configuring needs JavaScript." } }
                div #options {}
                p.field {
                    label for="quantity" { "Quantity" }
                    input #quantity type="number" min="1" max="1000" required
                        value=(line.map_or(1, |line| line.view.quantity));
                }
                p.buttons {
                    button #add type="button" disabled { @if line.is_some() { "Save changes" } @else { "Add to cart" } }
                    @if line.is_none() { button #offer.second type="button" disabled { "Request a quote" } }
                }
                p #message.message role="status" {}
            }
        }
    };
    layout::page_with(shop, product.title, &data.cart, content, &origins)
}

/// What the page submits when the shopper has finished.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfiguredProduct {
    /// The bytes that the configurator saved.
    configuration: String,
    quantity: u32,
    action: Action,
    /// The line to replace.
    line: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Cart,
    Quote,
}

/// Adds a configuration to the cart, replaces a line with it, or requests a quote, and returns the next page.
#[allow(clippy::indexing_slicing, reason = "the body is a JSON object")]
pub(super) async fn submit(
    visit: ShopVisit,
    Path(path): PathParameters,
    Json(chosen): Json<ConfiguredProduct>,
) -> Response {
    let shop = visit.shop();
    let mut data = visit.data().await;
    let mut body = json!({
        "product": parameter(&path, "product"), "configuration": chosen.configuration, "quantity": chosen.quantity,
        "lines": data.cart,
    });
    let (what, next) = match (&chosen.action, chosen.line) {
        (Action::Quote, _) => ("quote", "offers"),
        (Action::Cart, None) => ("add", "cart"),
        (Action::Cart, Some(key)) => {
            body["key"] = json!(key);
            ("edit", "cart")
        }
    };
    match shop.host.post::<Change>(&shop.api_path(&format!("cart/{what}")), &body).await {
        Ok(change) => {
            let quote_lines: Vec<Line> = change.apply(&mut data.cart);
            if !quote_lines.is_empty() {
                let id = format!("Q{}", visit.platform.next_number());
                let body = json!({ "id": id, "lines": quote_lines });
                if let Err(error) = shop.host.post::<Value>(&shop.api_path("quotes"), &body).await {
                    return error_page(&error);
                }
                data.quotes.push(id);
            }
            Json(json!({ "next": shop.path(next) })).into_response()
        }
        Err(error) => error_page(&error),
    }
}

fn error_page(error: &HostError) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": error.shopper_text() }))).into_response()
}
