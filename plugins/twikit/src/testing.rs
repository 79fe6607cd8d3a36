//! Helpers of the unit tests. Samples are made from Twikit's documented types; none is a capture.

use std::collections::VecDeque;

use cartwright_plugin::exports::orders::{OrderEvent, OrderEventKind};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, http};

use crate::fields::*;
use crate::host::Host;

pub fn setting(name: &str, value: &str) -> Setting {
    let value = match name {
        PRODUCT_KEYS => SettingValue::Texts(value.lines().map(str::to_owned).collect()),
        _ => SettingValue::Text(value.into()),
    };
    Setting { name: name.into(), value }
}

pub fn context() -> Context {
    context_with(&[])
}

/// Returns a context with complete settings, of which `changed` replaces some.
pub fn context_with(changed: &[(&str, &str)]) -> Context {
    let own = [
        (INTEGRATION_ID, "shop-7"),
        (SCRIPT_URL, "https://cdn.twikit.example/plugin-41.js"),
        (PRODUCT_KEYS, "diamond-letter-jewel\nplain-ring"),
        (DELIVERY, "shopper"),
        (BILLING, "shop"),
    ];
    let mut settings: Vec<Setting> = own.iter().map(|(name, value)| setting(name, value)).collect();
    settings.retain(|setting| changed.iter().all(|(name, _)| *name != setting.name));
    settings.extend(changed.iter().map(|(name, value)| setting(name, value)));
    settings.push(Setting { name: PAYLOAD_SECRET.into(), value: SettingValue::SecretIsSet });
    Context {
        shop: Shop {
            id: "shop".into(),
            currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "twikit".into(),
        visitor: Some(Visitor {
            currency: Currency { code: "EUR".into(), scale: 2 },
            country: None,
            region: None,
            customer_groups: Vec::new(),
        }),
        locale: "en-GB".into(),
        now: "2026-03-01T09:30:00Z".into(),
        settings,
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

pub fn product_link(allowed: &[&str]) -> ProductLink {
    ProductLink {
        shop_product: "shop-ring".into(),
        vendor_product: "diamond-letter-jewel".into(),
        additional_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: allowed.iter().map(|sku| (*sku).to_owned()).collect(),
        extra: Vec::new(),
    }
}

pub fn item(configuration: u64) -> Item {
    Item { sku: Some("RING-S".into()), saved_id: Some(configuration.to_string()), ..Item::new("diamond-letter-jewel") }
}

/// Returns a released line "inst:shop:1001:<id>" of this configuration.
pub fn line(id: &str, configuration: u64, quantity: u32) -> OrderLine {
    OrderLine {
        id: id.into(),
        reference: format!("inst:shop:1001:{id}"),
        account: Some("twikit".into()),
        title: "Ring".into(),
        display_fields: Vec::new(),
        quantities: LineQuantities { ordered: quantity, cancelled: 0, refunded: 0, shipped: 0 },
        cart_line: CartLine {
            key: format!("key-{id}"),
            product: "shop-ring".into(),
            variant_id: None,
            sku: Some("RING-S".into()),
            quantity,
            parent_key: None,
            unit_price: None,
            configuration: None,
            item: Some(ItemSummary {
                index: 0,
                id: None,
                vendor_product: "diamond-letter-jewel".into(),
                saved_id: Some(configuration.to_string()),
                fingerprint: String::new(),
            }),
            extra: Vec::new(),
        },
        configuration: None,
        status: "ordered".into(),
        vendor_reference: None,
        released: true,
        total: None,
        tax: TaxBasis::AsShop,
        tax_amount: None,
        extra: Vec::new(),
    }
}

pub fn address(first_name: &str) -> Address {
    Address {
        name: None,
        first_name: Some(first_name.into()),
        last_name: Some("Peeters".into()),
        email: Some("x@shop.example".into()),
        line1: "Kerkstraat 1".into(),
        line2: None,
        zip: "2000".into(),
        city: "Antwerpen".into(),
        region: None,
        country: "BE".into(),
        company: None,
        vat: None,
        phone: None,
        extra: Vec::new(),
    }
}

pub fn order(lines: Vec<OrderLine>) -> Order {
    Order {
        id: "1001".into(),
        number: "#1001".into(),
        locale: "en".into(),
        currency: "EUR".into(),
        customer: None,
        reference: "inst:shop:1001".into(),
        test: false,
        vendor_reference: None,
        version: 3,
        placed_at: "2026-03-01T09:00:00Z".into(),
        paid: Money { minor: 9990, scale: 2, currency: "EUR".into() },
        refunded: Money { minor: 0, scale: 2, currency: "EUR".into() },
        released: true,
        cancelled: false,
        total: Money { minor: 9990, scale: 2, currency: "EUR".into() },
        tax_amount: None,
        shipping: None,
        billing: Some(address("Billed")),
        delivery: Some(address("Delivered")),
        shop_address: Some(address("Shop")),
        lines,
        extra: Vec::new(),
    }
}

pub fn event(kind: OrderEventKind, order: Order) -> OrderEvent {
    OrderEvent {
        id: "event-1".into(),
        at: "2026-03-01T09:30:00Z".into(),
        kind,
        order,
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    }
}

/// A host with prepared responses, which records the requests.
#[derive(Default)]
pub struct FakeHost {
    pub answers: VecDeque<Result<http::HttpResponse, CallError>>,
    pub requests: Vec<http::HttpRequest>,
    pub digest_inputs: Vec<Vec<u8>>,
    pub outcomes: Vec<Outcome>,
    pub stored: Vec<u8>,
    /// The order's current state.
    pub now: Option<Order>,
}

impl FakeHost {
    pub fn with_responses(answers: impl IntoIterator<Item = http::HttpResponse>) -> Self {
        Self { answers: answers.into_iter().map(Ok).collect(), ..Self::default() }
    }

    /// Returns the memos that the next event of the order gets.
    pub fn memos(&self) -> Vec<Memo> {
        let memo = |outcome: &Outcome| match outcome {
            Outcome::SetMemo(memo) => Some(memo.clone()),
            _ => None,
        };
        self.outcomes.iter().filter_map(memo).collect()
    }

    /// Returns the keys of the messages that ask the merchant to act.
    pub fn merchant_questions(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for outcome in &self.outcomes {
            if let Outcome::NeedsMerchant(message) = outcome {
                keys.push(message.key.as_str());
            }
        }
        keys
    }

    /// Returns the keys of the notes.
    pub fn notes(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for outcome in &self.outcomes {
            if let Outcome::Note(message) = outcome {
                keys.push(message.key.as_str());
            }
        }
        keys
    }

    pub fn body(&self, index: usize) -> serde_json::Value {
        let [BytesSource::Bytes(bytes)] = self.requests[index].body.as_slice() else { panic!("not one inline source") };
        serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Host for FakeHost {
    fn send(&mut self, request: http::HttpRequest) -> Result<http::HttpResponse, CallError> {
        self.requests.push(request);
        self.answers.pop_front().unwrap_or_else(|| panic!("no answer was prepared"))
    }

    /// Stands in for MD5: sixteen bytes that depend on the message's length and last byte.
    fn digest(&mut self, message: &[u8]) -> Result<Vec<u8>, CallError> {
        self.digest_inputs.push(message.to_vec());
        let mut digest = vec![0xAB; 16];
        digest[0] = message.len() as u8;
        digest[1] = message.last().copied().unwrap_or(0);
        Ok(digest)
    }

    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError> {
        self.outcomes.push(outcome);
        Ok(())
    }

    fn read(&mut self, _digest: &str) -> Result<Vec<u8>, CallError> {
        Ok(self.stored.clone())
    }

    fn find_order(&mut self, _reference: &str) -> Result<Option<Order>, CallError> {
        Ok(self.now.clone())
    }
}

pub fn response(status: u16, body: &str) -> http::HttpResponse {
    http::HttpResponse {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: http::Body::Bytes(body.as_bytes().to_vec()),
        attempts: 1,
        extra: Vec::new(),
    }
}

/// Returns Twikit's response with a result code.
pub fn answer(status: u16, code: u64) -> http::HttpResponse {
    let body = format!(r#"{{"resultMessage":"message of {code}","resultCode":{code},"resultCodeName":"Name{code}"}}"#);
    response(status, &body)
}
