//! The pages of orders, and the steps that the shop's staff take.

mod show;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;
use serde_json::json;

use super::visit::{PathParameters, ShopVisit, parameter};

pub(super) use self::show::show;

/// Lifetime of a document URL, in seconds: it is created when the shopper clicks.
const DOCUMENT_URL_SECONDS: u32 = 60;

pub(super) async fn list(visit: ShopVisit) -> Response {
    let shop = visit.shop();
    let data = visit.data().await;
    let content = html! {
        h1 { "Orders" }
        @if data.orders.is_empty() { p { "You have not ordered anything yet." } }
        ul.brief {
            @for order in data.orders.iter().rev() {
                li {
                    a href=(shop.path(&format!("orders/{}", order.id))) { "Order " (order.id) }
                    span.amount { (order.total) }
                }
            }
        }
    };
    visit.page("Orders", &data.cart, content)
}

/// Performs the next step of an order, as the shop's staff would.
#[allow(clippy::indexing_slicing, reason = "the positions are those of the order's lines")]
pub(super) async fn advance(visit: ShopVisit, Path(path): PathParameters) -> Response {
    let shop = visit.shop();
    let mut data = visit.data().await;
    let Some(order) = data.order_mut(parameter(&path, "order")) else {
        return visit.not_found("There is no such order.");
    };
    let to = visit.redirect(&format!("orders/{}", order.id));
    let (is_paid, is_shipped, version) = (order.is_paid, order.is_shipped, order.version);
    let on_hold: Vec<usize> = (0..order.lines.len()).filter(|at| order.lines[*at].is_on_hold()).collect();
    let kind = match parameter(&path, "step") {
        "pay" if !is_paid => {
            order.is_paid = true;
            json!("paid")
        }
        "approve" if !on_hold.is_empty() => {
            on_hold.iter().for_each(|at| order.lines[*at].approved = true);
            // Approval allows production, but only after payment.
            json!(if is_paid { "released" } else { "changed" })
        }
        "send" if is_paid && !is_shipped && on_hold.is_empty() => {
            order.is_shipped = true;
            let shipment = json!({
                "id": null, "lines": [], "carrier": null, "at": null, "tracking_url": null, "tracking_id": null,
            });
            json!({ "fulfilled": shipment })
        }
        _ => return to.into_response(),
    };
    order.version += 1;
    match order.report(shop, parameter(&path, "step"), kind).await {
        Ok(()) => to.into_response(),
        Err(error) => {
            // A failed report leaves the order unchanged.
            (order.is_paid, order.is_shipped, order.version) = (is_paid, is_shipped, version);
            on_hold.iter().for_each(|at| order.lines[*at].approved = false);
            (StatusCode::UNPROCESSABLE_ENTITY, visit.not_found(&error.shopper_text())).into_response()
        }
    }
}

#[derive(Deserialize)]
struct DocumentUrl {
    url: String,
}

/// Redirects to a document of an order, at a document URL that is valid for a minute.
pub(super) async fn document(visit: ShopVisit, Path(path): PathParameters) -> Response {
    let shop = visit.shop();
    let mut data = visit.data().await;
    let (order, outcome) = (parameter(&path, "order"), parameter(&path, "outcome"));
    let is_known = match data.order_mut(order) {
        Some(order) => show::read(shop, order).await.is_ok_and(|known| known.has_document(outcome)),
        None => false,
    };
    if !is_known {
        return visit.not_found("There is no such document.");
    }
    let at = shop.api_path(&format!("outcomes/{outcome}/document-url?seconds={DOCUMENT_URL_SECONDS}"));
    match shop.host.post::<DocumentUrl>(&at, &json!({})).await {
        Ok(DocumentUrl { url }) => Redirect::to(&url).into_response(),
        Err(error) => visit.not_found(&error.shopper_text()),
    }
}
