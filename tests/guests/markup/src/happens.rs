//! What comes of orders and webhooks.

use cartwright_plugin::exports::orders::{self, Event, Kind, Next};
use cartwright_plugin::exports::webhooks::{self, Authentication, Endpoint, Purpose, Received, Request, Response};
use cartwright_plugin::log::{Level, write};
use cartwright_plugin::types::*;
use cartwright_plugin::{Error, outcomes, rejected};

use crate::{Markup, mark, told};

/// A file's name may hold no "/".
fn file_mark(name: &str) -> String {
    format!("\"><img src=x onerror={name}()>")
}

/// Everything that can be said of an order.
fn everything(order: &Order) -> Vec<Outcome> {
    let line = order.lines.first().map(|line| line.id.clone()).unwrap_or_default();
    vec![
        Outcome::Note(told("note")),
        Outcome::VendorReference(VendorReference { line: None, reference: mark("order-reference") }),
        Outcome::VendorReference(VendorReference { line: Some(line.clone()), reference: mark("line-reference") }),
        Outcome::LineStatus(LineStatus { line: line.clone(), status: mark("line-status") }),
        Outcome::Production(Production {
            line: None,
            state: "started".to_owned(),
            detail: Some(mark("production-detail")),
            expected: None,
        }),
        Outcome::Shipment(Shipment {
            id: Some(mark("shipment-id")),
            lines: Vec::new(),
            carrier: Some(mark("carrier")),
            at: None,
            tracking_url: Some(format!("https://track.example/{}", mark("tracking-url"))),
            tracking_id: Some(mark("tracking-id")),
        }),
        Outcome::Shipment(Shipment {
            id: None,
            lines: Vec::new(),
            carrier: None,
            at: None,
            tracking_url: Some("javascript:tracked()".to_owned()),
            tracking_id: None,
        }),
        Outcome::Document(Document {
            line: None,
            kind: mark("document-kind"),
            name: file_mark("document-name"),
            media_type: "text/plain".to_owned(),
            content: BytesSource::Inline(b"nothing".to_vec()),
        }),
        Outcome::NeedsMerchant(told("needs-merchant")),
    ]
}

impl orders::Guest for Markup {
    /// Says everything of an order that was placed, and refuses one that may be produced.
    fn handle(_context: Context, event: Event, _state: Option<String>) -> Result<Next, Error> {
        write(Level::Error, &mark("job-log"));
        match event.kind {
            Kind::Placed => {
                for said in everything(&event.order) {
                    outcomes::emit(&said)?;
                }
                Ok(Next::Done)
            }
            Kind::Released => Err(rejected(told("job-error"))),
            _ => Ok(Next::Done),
        }
    }
}

impl webhooks::Guest for Markup {
    fn endpoints() -> Vec<Endpoint> {
        vec![Endpoint {
            name: "tell".to_owned(),
            title: mark("endpoint-title"),
            purpose: Purpose::Notice,
            authentication: Authentication::AddressOnly,
            event_id_header: None,
        }]
    }

    /// Pushes a setting, and says something of the account.
    fn receive(_context: Context, _endpoint: String, _request: Request) -> Result<Received, Error> {
        let pushed = Setting { name: "pushed".to_owned(), value: SettingValue::Text(mark("pushed-value")) };
        let outcomes =
            vec![(None, Outcome::PushSettings(vec![pushed])), (None, Outcome::NeedsMerchant(told("account-note")))];
        let response = Response { status: 200, headers: Vec::new(), body: mark("webhook-answer").into_bytes() };
        Ok(Received { response, outcomes })
    }
}
