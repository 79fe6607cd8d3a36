//! Orders: what the shop reports about them, and what the host knows about them.

mod show;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::HostError;
use super::line::{Line, Money, total};
use super::{Named, Shop, ShopVisit, ShopperData, word};

pub(super) use self::show::show;

/// Lifetime of a document URL, in seconds: it is created when the shopper clicks.
const DOCUMENT_URL_SECONDS: u32 = 60;

/// A shipping address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    pub(super) line1: String,
    pub(super) zip: String,
    pub(super) city: String,
    pub(super) country: String,
}

impl Address {
    pub(super) fn sample() -> Self {
        let [first_name, last_name, email, line1, zip, city, country] =
            ["Ada", "Sample", "ada@example.com", "Sample Street 1", "1000", "Brussels", "BE"].map(str::to_owned);
        Self { first_name, last_name, email, line1, zip, city, country }
    }
}

/// An order as the shop stores it.
pub(super) struct Order {
    pub(super) id: String,
    /// Grows with every report.
    version: u64,
    placed_at: String,
    address: Address,
    lines: Vec<OrderedLine>,
    total: Money,
    is_paid: bool,
    is_shipped: bool,
}

struct OrderedLine {
    id: String,
    line: Line,
    /// Whether the merchant approved the unverified data.
    approved: bool,
}

impl OrderedLine {
    /// Returns whether the order is on hold for the merchant.
    fn is_held(&self) -> bool {
        self.line.view.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.hold) && !self.approved
    }
}

impl Order {
    /// Creates an order of a cart. Returns `None` for an empty cart.
    pub(super) fn of(number: u64, cart: &[Line], address: Address) -> Option<Self> {
        let ordered =
            |(at, line): (usize, &Line)| OrderedLine { id: (at + 1).to_string(), line: line.clone(), approved: false };
        Some(Self {
            id: number.to_string(),
            version: 1,
            placed_at: jiff::Timestamp::now().to_string(),
            address,
            lines: cart.iter().enumerate().map(ordered).collect(),
            total: total(cart)?,
            is_paid: false,
            is_shipped: false,
        })
    }

    /// Reports an order event to the host, with the order's current state.
    #[allow(clippy::indexing_slicing, reason = "an address is serialized as a JSON object")]
    pub(super) async fn report(&self, shop: &Shop, what: &str, kind: Value) -> Result<(), HostError> {
        let mut address = json!(self.address);
        for name in ["line2", "region", "company", "vat", "phone"] {
            address[name] = Value::Null;
        }
        let line = |ordered: &OrderedLine| {
            let status = self.is_shipped.then_some("shipped");
            json!({ "id": ordered.id, "line": ordered.line, "approved": ordered.approved, "status": status })
        };
        let event = json!({
            // The id contains the version, so that a repeated report has no effect.
            "id": format!("{}-{}-{what}", self.id, self.version),
            "at": jiff::Timestamp::now().to_string(),
            "kind": kind,
            "order": {
                "id": self.id, "number": format!("#{}", self.id), "version": self.version, "placed_at": self.placed_at,
                "payment": if self.is_paid { "full" } else { "none" }, "total": self.total,
                "billing": address, "delivery": address, "shop_address": own_address(shop),
                "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            },
        });
        shop.host.post::<Value>(&shop.at("events"), &event).await.map(drop)
    }
}

fn own_address(shop: &Shop) -> Value {
    json!({
        "first_name": "Sam", "last_name": "Keeper", "email": format!("{}@example.com", shop.id), "line1": "Market Square 2",
        "line2": null, "zip": "2000", "city": "Antwerp", "region": null, "country": "BE", "company": shop.title, "vat": null,
        "phone": null,
    })
}

pub(super) async fn list(visit: ShopVisit) -> Response {
    let shop = visit.shop();
    let book = visit.book().await;
    let content = html! {
        h1 { "Orders" }
        @if book.orders.is_empty() { p { "You have not ordered anything yet." } }
        ul.brief {
            @for order in book.orders.iter().rev() {
                li {
                    a href=(shop.path(&format!("orders/{}", order.id))) { "Order " (order.id) }
                    span.amount { (order.total) }
                }
            }
        }
    };
    visit.page("Orders", &book.cart, content)
}

fn find<'a>(book: &'a mut ShopperData, id: &str) -> Option<&'a mut Order> {
    book.orders.iter_mut().find(|order| order.id == id)
}

/// Performs the next step of an order, as the shop's staff would.
#[allow(clippy::indexing_slicing, reason = "the positions are those of the order's lines")]
pub(super) async fn advance(visit: ShopVisit, Path(path): Named) -> Response {
    let shop = visit.shop();
    let mut book = visit.book().await;
    let Some(order) = find(&mut book, word(&path, "order")) else { return visit.not_found("There is no such order.") };
    let to = visit.redirect(&format!("orders/{}", order.id));
    let (is_paid, is_shipped, version) = (order.is_paid, order.is_shipped, order.version);
    let needs_attention: Vec<usize> = (0..order.lines.len()).filter(|at| order.lines[*at].is_held()).collect();
    let kind = match word(&path, "step") {
        "pay" if !is_paid => {
            order.is_paid = true;
            json!("paid")
        }
        "approve" if !needs_attention.is_empty() => {
            needs_attention.iter().for_each(|at| order.lines[*at].approved = true);
            // Approval allows production, but only after payment.
            json!(if is_paid { "released" } else { "changed" })
        }
        "send" if is_paid && !is_shipped && needs_attention.is_empty() => {
            order.is_shipped = true;
            let shipment = json!({
                "id": null, "lines": [], "carrier": null, "at": null, "tracking_url": null, "tracking_id": null,
            });
            json!({ "fulfilled": shipment })
        }
        _ => return to.into_response(),
    };
    order.version += 1;
    match order.report(shop, word(&path, "step"), kind).await {
        Ok(()) => to.into_response(),
        Err(error) => {
            // A failed report leaves the order unchanged.
            (order.is_paid, order.is_shipped, order.version) = (is_paid, is_shipped, version);
            needs_attention.iter().for_each(|at| order.lines[*at].approved = false);
            (StatusCode::UNPROCESSABLE_ENTITY, visit.not_found(&error.shopper_text())).into_response()
        }
    }
}

#[derive(Deserialize)]
struct DocumentUrl {
    url: String,
}

/// Redirects to a document of an order, at a document URL that is valid for a minute.
pub(super) async fn document(visit: ShopVisit, Path(path): Named) -> Response {
    let shop = visit.shop();
    let mut book = visit.book().await;
    let (order, outcome) = (word(&path, "order"), word(&path, "outcome"));
    let known = match find(&mut book, order) {
        Some(order) => show::read(shop, order).await.is_ok_and(|known| known.has_document(outcome)),
        None => false,
    };
    if !known {
        return visit.not_found("There is no such document.");
    }
    let at = shop.at(&format!("outcomes/{outcome}/document-url?seconds={DOCUMENT_URL_SECONDS}"));
    match shop.host.post::<DocumentUrl>(&at, &json!({})).await {
        Ok(DocumentUrl { url }) => Redirect::to(&url).into_response(),
        Err(error) => visit.not_found(&error.shopper_text()),
    }
}
