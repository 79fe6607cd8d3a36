//! Orders and events for the tests.

use cartwright::types::{Address, Event, EventKind, Money, Order};
use cartwright::{CartLine, Cartwright, ShopId};

fn address(city: &str) -> Address {
    Address {
        first_name: "An".to_owned(),
        last_name: "Other".to_owned(),
        email: "an@example.com".to_owned(),
        line1: "Street 1".to_owned(),
        line2: None,
        zip: "1000".to_owned(),
        city: city.to_owned(),
        country: "BE".to_owned(),
        company: None,
        vat: None,
        phone: None,
    }
}

/// An order of these lines, paid and released.
pub fn order(host: &Cartwright, shop: &ShopId, id: &str, lines: &[CartLine]) -> Order {
    let lines = lines.iter().filter(|line| line.parent.is_none()).enumerate();
    let lines = lines.map(|(index, line)| host.order_line(shop, id, &format!("{}", index + 1), line, true, true));
    Order {
        id: id.to_owned(),
        reference: host.reference(shop, id, None),
        version: 1,
        placed_at: "2026-01-01T12:00:00Z".to_owned(),
        payment: "full".to_owned(),
        released: true,
        cancelled: false,
        total: Money { minor: 9_800, scale: 2, currency: "EUR".to_owned() },
        billing: Some(address("Ghent")),
        delivery: Some(address("Ghent")),
        shop_address: Some(address("Bruges")),
        lines: lines.collect(),
        extra: Vec::new(),
    }
}

pub fn event(kind: EventKind, order: Order) -> Event {
    Event {
        id: format!("{}-{kind:?}", order.id),
        at: "2026-01-01T12:00:00Z".to_owned(),
        kind,
        order,
        earlier: Vec::new(),
        remembered: Vec::new(),
        extra: Vec::new(),
    }
}
