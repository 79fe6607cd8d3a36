//! Helpers of the tests. We made every saved configuration in this crate's tests from the documented types; none is a
//! real capture.

use cartwright_plugin::http::{Body, HttpRequest, HttpResponse, StoredBody};
use cartwright_plugin::timer::WakeReason;
use cartwright_plugin::types::{
    Article, Attribute, BytesSource, ChoiceKind, Context, Currency, Item, ItemSummary, Order, Outcome, ProductLink,
    Rounding, Setting, SettingValue, Shop, Visitor,
};
use cartwright_plugin::{CallError, message};

use crate::host::Host;

pub(crate) const SIMPLE: &str = include_str!("../../../tests/fake-vendors/samples/expivi-simple.json");
pub(crate) const VARIATION: &str = include_str!("../../../tests/fake-vendors/samples/expivi-variation.json");
pub(crate) const BUNDLE: &str = include_str!("../../../tests/fake-vendors/samples/expivi-bundle.json");
pub(crate) const MULTI: &str = include_str!("../../../tests/fake-vendors/samples/expivi-multi.json");

/// Returns a context with the form's defaults and these settings.
pub(crate) fn context(settings: &[(&str, SettingValue)]) -> Context {
    let mut all: Vec<Setting> = crate::settings::fields()
        .into_iter()
        .filter_map(|field| Some(Setting { name: field.name, value: field.default_value? }))
        .collect();
    all.push(Setting { name: "viewer-token".to_owned(), value: text("viewer-token") });
    for (name, value) in settings {
        all.retain(|setting| setting.name != *name);
        all.push(Setting { name: (*name).to_owned(), value: value.clone() });
    }
    Context {
        shop: Shop {
            id: "shop".to_owned(),
            currencies: vec![Currency { code: "EUR".to_owned(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "expivi".to_owned(),
        visitor: Some(Visitor {
            currency: Currency { code: "EUR".to_owned(), scale: 2 },
            country: Some("BE".to_owned()),
            region: None,
            customer_groups: Vec::new(),
        }),
        locale: "nl-NL".to_owned(),
        now: "2026-03-01T09:30:00Z".to_owned(),
        settings: all,
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

pub(crate) fn texts(texts: &[&str]) -> SettingValue {
    SettingValue::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

pub(crate) fn text(text: &str) -> SettingValue {
    SettingValue::Text(text.to_owned())
}

pub(crate) fn product_link(product: &str, others: &[&str]) -> ProductLink {
    ProductLink {
        shop_product: "shop-product".to_owned(),
        vendor_product: product.to_owned(),
        additional_vendor_products: others.iter().map(|other| (*other).to_owned()).collect(),
        preset: None,
        allowed_skus: Vec::new(),
        extra: Vec::new(),
    }
}

pub(crate) fn attribute(id: &str, name: &str, key: Option<&str>) -> Attribute {
    Attribute {
        key: key.map(str::to_owned),
        ..Attribute::new(id, name, format!("value of {name}"), ChoiceKind::Chosen)
    }
}

pub(crate) fn article(sku: &str, quantity: &str) -> Article {
    Article { price_sku: Some(sku.to_owned()), ..Article::new(format!("MODEL-{sku}"), quantity) }
}

pub(crate) fn item(product: &str) -> Item {
    Item::new(product)
}

/// Returns the field and the message key of an error about input or settings.
pub(crate) fn error_field<T: std::fmt::Debug>(result: Result<T, CallError>) -> (String, String) {
    match result {
        Err(CallError::InvalidInput(issue) | CallError::NotConfigured(issue)) => (issue.field, issue.message.key),
        other => panic!("expected an error about a field, got {other:?}"),
    }
}

/// Returns what a cart stores about an item.
pub(crate) fn item_summary(item: &Item) -> ItemSummary {
    ItemSummary {
        index: 0,
        id: item.id.clone(),
        vendor_product: item.vendor_product.clone(),
        saved_id: None,
        fingerprint: String::new(),
    }
}

type Answer = Box<dyn Fn(&HttpRequest) -> Result<HttpResponse, CallError>>;

/// A host that responds with a function and records the requests.
pub(crate) struct FakeHost {
    pub(crate) answer: Answer,
    pub(crate) requests: Vec<HttpRequest>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) sleeps: Vec<u32>,
    pub(crate) wake_reason: WakeReason,
    pub(crate) blob: Vec<u8>,
    pub(crate) order: Option<Order>,
    /// The bill of materials of every line.
    pub(crate) articles: Vec<Article>,
}

impl FakeHost {
    pub(crate) fn new(answer: impl Fn(&HttpRequest) -> Result<HttpResponse, CallError> + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            requests: Vec::new(),
            outcomes: Vec::new(),
            sleeps: Vec::new(),
            wake_reason: WakeReason::Elapsed,
            blob: Vec::new(),
            order: None,
            articles: vec![article("A", "1")],
        }
    }

    /// Returns the JSON body of a request.
    pub(crate) fn sent_body(&self, index: usize) -> serde_json::Value {
        match self.requests[index].body.as_slice() {
            [BytesSource::Bytes(bytes)] => serde_json::from_slice(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.requests.iter().map(|request| format!("{} {}", request.method, request.url)).collect()
    }
}

impl Host for FakeHost {
    fn send(&mut self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let response = (self.answer)(&request);
        self.requests.push(request);
        response
    }

    fn emit(&mut self, outcome: Outcome) -> Result<(), CallError> {
        self.outcomes.push(outcome);
        Ok(())
    }

    fn sleep(&mut self, seconds: u32) -> Result<WakeReason, CallError> {
        self.sleeps.push(seconds);
        Ok(self.wake_reason)
    }

    fn read(&mut self, digest: &str) -> Result<Vec<u8>, CallError> {
        match digest {
            "saved" => Ok(self.blob.clone()),
            other => Err(cartwright_plugin::invalid_input("digest", message("unknown", other, &[]))),
        }
    }

    fn find_order(&mut self, _reference: &str) -> Result<Option<Order>, CallError> {
        Ok(self.order.clone())
    }

    fn bill_of_materials(&mut self, _line_reference: &str) -> Result<Vec<Article>, CallError> {
        Ok(self.articles.clone())
    }
}

/// Returns a response of Expivi.
pub(crate) fn response(status: u16, body: &str) -> Result<HttpResponse, CallError> {
    let body = Body::Bytes(body.as_bytes().to_vec());
    Ok(HttpResponse { status, headers: Vec::new(), body, attempts: 1, extra: Vec::new() })
}

/// Returns a response whose body was stored as a blob.
pub(crate) fn stored(digest: &str) -> Result<HttpResponse, CallError> {
    let body =
        Body::Stored(StoredBody { digest: digest.to_owned(), size: 3, media_type: Some("application/pdf".to_owned()) });
    Ok(HttpResponse { status: 200, headers: Vec::new(), body, attempts: 1, extra: Vec::new() })
}

/// Returns the value of a request's header.
pub(crate) fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
