//! The outcomes of orders and webhooks.

use cartwright_plugin::exports::orders::{self, Next, OrderEvent, OrderEventKind};
use cartwright_plugin::exports::webhooks::{
    self, Authentication, WebhookEndpoint, WebhookMode, WebhookRequest, WebhookResponse, WebhookResult,
};
use cartwright_plugin::log::{Level, write};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, outcomes, rejected};

use crate::{Markup, markup_message, markup_text};

/// Returns the mark of a file, whose name may not contain "/".
fn file_mark(name: &str) -> String {
    format!("\"><img src=x onerror={name}()>")
}

/// Returns one outcome of every kind.
fn everything(order: &Order) -> Vec<Outcome> {
    let line = order.lines.first().map(|line| line.id.clone()).unwrap_or_default();
    vec![
        Outcome::Note(markup_message("note")),
        Outcome::VendorReference(VendorReference { line: None, reference: markup_text("order-reference") }),
        Outcome::VendorReference(VendorReference {
            line: Some(line.clone()),
            reference: markup_text("line-reference"),
        }),
        Outcome::LineStatus(LineStatus { line: line.clone(), status: markup_text("line-status") }),
        Outcome::Production(Production {
            line: None,
            state: ProductionState::Started,
            detail: Some(markup_text("production-detail")),
            expected: None,
            extra: Vec::new(),
        }),
        Outcome::Shipment(Shipment {
            id: Some(markup_text("shipment-id")),
            lines: Vec::new(),
            carrier: Some(markup_text("carrier")),
            at: None,
            tracking_url: Some(format!("https://track.example/{}", markup_text("tracking-url"))),
            tracking_id: Some(markup_text("tracking-id")),
            extra: Vec::new(),
        }),
        Outcome::Shipment(Shipment {
            id: None,
            lines: Vec::new(),
            carrier: None,
            at: None,
            tracking_url: Some("javascript:tracked()".to_owned()),
            tracking_id: None,
            extra: Vec::new(),
        }),
        Outcome::Document(Document {
            line: None,
            kind: markup_text("document-kind"),
            name: file_mark("document-name"),
            media_type: "text/plain".to_owned(),
            content: BytesSource::Bytes(b"nothing".to_vec()),
            audience: Audience::Shopper,
            extra: Vec::new(),
        }),
        Outcome::NeedsMerchant(markup_message("needs-merchant")),
    ]
}

impl orders::Guest for Markup {
    /// Records all outcomes for a placed order, and rejects a released one.
    fn handle(_context: Context, event: OrderEvent, _state: Option<String>) -> Result<Next, CallError> {
        write(Level::Error, &markup_text("job-log"));
        match event.kind {
            OrderEventKind::Placed => {
                for recorded in everything(&event.order) {
                    outcomes::emit(&recorded)?;
                }
                Ok(Next::Done)
            }
            OrderEventKind::Released => Err(rejected(markup_message("job-error"))),
            _ => Ok(Next::Done),
        }
    }
}

impl webhooks::Guest for Markup {
    fn endpoints(_context: Context) -> Result<Vec<WebhookEndpoint>, CallError> {
        Ok(vec![WebhookEndpoint {
            name: "tell".to_owned(),
            title: markup_message("endpoint-title"),
            mode: WebhookMode::Delivery,
            authentication: Authentication::AddressOnly,
            delivery_id_header: None,
            networks: Vec::new(),
            extra: Vec::new(),
        }])
    }

    /// Pushes a setting, and records outcomes of the account.
    fn receive(_context: Context, _endpoint: String, _request: WebhookRequest) -> Result<WebhookResult, CallError> {
        let pushed = Setting { name: "pushed".to_owned(), value: SettingValue::Text(markup_text("pushed-value")) };
        let reports = vec![
            Report::about_account(Outcome::PushSettings(vec![pushed])),
            Report::about_account(Outcome::NeedsMerchant(markup_message("account-note"))),
        ];
        let body = markup_text("webhook-answer").into_bytes();
        let response = WebhookResponse { status: 200, headers: Vec::new(), body };
        Ok(WebhookResult { response, reports, extra: Vec::new() })
    }
}
