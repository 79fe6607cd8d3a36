//! An order as the shop stores it and reports it to the host.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::HostError;
use super::line::{Line, Money, total};
use super::profile::Shop;

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
    pub(super) version: u64,
    pub(super) placed_at: String,
    pub(super) address: Address,
    pub(super) lines: Vec<OrderedLine>,
    pub(super) total: Money,
    pub(super) is_paid: bool,
    pub(super) is_shipped: bool,
}

pub(super) struct OrderedLine {
    pub(super) id: String,
    pub(super) line: Line,
    /// Whether the merchant approved the unverified data.
    pub(super) approved: bool,
}

impl OrderedLine {
    /// Returns whether the order is on hold for the merchant.
    pub(super) fn is_on_hold(&self) -> bool {
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
            let view = &ordered.line.view;
            json!({
                "id": ordered.id, "line": ordered.line, "approved": ordered.approved,
                "status": self.is_shipped.then_some("shipped"),
                "quantities": { "shipped": if self.is_shipped { view.quantity } else { 0 } },
                // The price of a bundle contains those of its parts.
                "total": view.parent.is_none().then_some(&view.price.total),
            })
        };
        let paid = Money { minor: if self.is_paid { self.total.minor } else { 0 }, ..self.total.clone() };
        let event = json!({
            // The id contains the version, so that a repeated report has no effect.
            "id": format!("{}-{}-{what}", self.id, self.version),
            "at": jiff::Timestamp::now().to_string(),
            "kind": kind,
            "order": {
                "id": self.id, "number": format!("#{}", self.id), "version": self.version, "placed_at": self.placed_at,
                "customer": self.address.email, "paid": paid, "total": self.total,
                "billing": address, "delivery": address, "shop_address": own_address(shop),
                "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            },
        });
        shop.host.post::<Value>(&shop.api_path("events"), &event).await.map(drop)
    }
}

fn own_address(shop: &Shop) -> Value {
    json!({
        "first_name": "Sam", "last_name": "Keeper", "email": format!("{}@example.com", shop.id), "line1": "Market Square 2",
        "line2": null, "zip": "2000", "city": "Antwerp", "region": null, "country": "BE", "company": shop.title, "vat": null,
        "phone": null,
    })
}
