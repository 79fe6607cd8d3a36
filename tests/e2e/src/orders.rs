//! Orders and their events.

use cartwright::types::{Address, BytesSource, Money, NamedJson, Order, OrderEvent, OrderEventKind, Outcome};
use cartwright::{AccountId, CartLine, Cartwright, MemoryOrderBook, OrderedLine, ShopId};

fn address(name: &str, city: &str) -> Address {
    Address {
        name: None,
        first_name: Some(name.to_owned()),
        last_name: Some("Sample \\ \u{1F48D}/".to_owned()),
        email: Some(format!("{}@example.com", city.to_lowercase())),
        region: None,
        line1: "Sample Street 1".to_owned(),
        line2: None,
        zip: "1000".to_owned(),
        city: city.to_owned(),
        country: "BE".to_owned(),
        company: None,
        vat: None,
        phone: None,
        extra: Vec::new(),
    }
}

/// Amounts paid and refunded of an order of which nothing is paid, in cents.
pub const UNPAID: [i64; 2] = [0, 0];
/// Amounts paid and refunded of an order that is paid in part, in cents.
pub const PARTLY_PAID: [i64; 2] = [100, 0];
/// Amounts paid and refunded of an order that is paid in full, in cents.
pub const PAID: [i64; 2] = [TOTAL, 0];
/// Amounts paid and refunded of an order that is refunded in full, in cents.
pub const REFUNDED: [i64; 2] = [TOTAL, TOTAL];
/// What an order costs, in cents.
const TOTAL: i64 = 9_800;

/// Returns the order with these amounts paid and refunded.
pub fn with_amounts(order: Order, [paid, refunded]: [i64; 2]) -> Order {
    let money = |minor| Money { minor, ..order.total.clone() };
    let (paid, refunded) = (money(paid), money(refunded));
    Order { paid, refunded, ..order }
}

/// Returns an order of these lines, fully paid and approved: the shopper is in Ghent, the shop in Bruges.
///
/// # Panics
/// If a line differs from its seal.
pub fn order(host: &Cartwright, shop: &ShopId, id: &str, lines: &[CartLine]) -> Order {
    let total = Money { minor: TOTAL, scale: 2, currency: "EUR".to_owned() };
    let numbers: Vec<String> = (1..=lines.len()).map(|number| number.to_string()).collect();
    let ordered = numbers.iter().zip(lines).map(|(number, line)| approved_line(number, line));
    let ordered: Vec<OrderedLine<'_>> = ordered.collect();
    let lines = host.order_lines(shop, id, &total, &ordered).expect("lines as they were sealed");
    Order {
        id: id.to_owned(),
        number: format!("#{id}"),
        locale: "en".to_owned(),
        currency: total.currency.clone(),
        customer: None,
        test: false,
        vendor_reference: None,
        reference: host.reference(shop, id, None),
        version: 1,
        placed_at: "2026-01-01T12:00:00Z".to_owned(),
        paid: total.clone(),
        refunded: Money { minor: 0, ..total.clone() },
        released: true,
        cancelled: false,
        total,
        tax_amount: None,
        shipping: None,
        billing: Some(address("Zoë \"Z\"", "Ghent")),
        delivery: Some(address("Zoë \"Z\"", "Ghent")),
        shop_address: Some(address("Shop", "Bruges")),
        lines,
        extra: Vec::new(),
    }
}

/// Stores an account's part of an order of these cart lines, with its bills of materials.
pub fn put(book: &MemoryOrderBook, shop: &ShopId, account: &AccountId, order: &Order, lines: &[CartLine]) {
    book.put(shop, account, order.clone());
    for (line, sold) in order.lines.iter().zip(lines) {
        book.put_bill_of_materials(shop, &line.reference, sold.bill_of_materials.clone());
    }
}

/// Returns all pieces of a cart line, approved by the merchant.
pub fn approved_line<'a>(id: &'a str, line: &'a CartLine) -> OrderedLine<'a> {
    OrderedLine { approved: true, ..OrderedLine::new(id, line) }
}

/// Returns the kind of an event that a webhook forwarded.
pub fn forwarded(name: &str, json: &str) -> OrderEventKind {
    OrderEventKind::Forwarded(NamedJson { name: name.to_owned(), json: json.to_owned() })
}

/// Returns an event of an order.
pub fn event(kind: OrderEventKind, order: &Order) -> OrderEvent {
    OrderEvent {
        id: format!("{}-{kind:?}", order.id),
        at: "2026-01-01T12:00:00Z".to_owned(),
        kind,
        order: order.clone(),
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    }
}

/// Returns the outcomes of an order as text, without what differs between two orders, and without the notes that an
/// earlier attempt created the order and that its verification is still in progress.
///
/// # Panics
/// Never: an outcome always has a JSON form.
pub fn timeline(order: &str, outcomes: &[Outcome]) -> String {
    let mut outcomes = outcomes.to_vec();
    let varies = |key: &str| ["created-earlier", "no-verification"].contains(&key);
    outcomes.retain(|outcome| match outcome {
        Outcome::Note(message) => !varies(&message.key),
        // The plugin's own memos.
        Outcome::SetMemo(_) => false,
        _ => true,
    });
    for outcome in &mut outcomes {
        if let Outcome::Document(document) = outcome {
            document.content = BytesSource::Stored("its digest".to_owned());
        }
    }
    serde_json::to_string(&outcomes).expect("JSON").replace(order, "ORDER")
}
