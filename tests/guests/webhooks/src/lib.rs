//! A vendor that has webhooks and a feed, and neither cart strategies nor products: one endpoint for each way of
//! authentication, and bodies that name the outcome to report, such as `line <order> <line>`. The host's tests check what
//! it makes of that. The setting `name` decides which endpoints an account has. Three of its settings have dynamic
//! choices.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod feed;
mod rest;

use cartwright_plugin::exports::webhooks::{
    Authentication, Encoding, Guest, Hmac, SecretHeader, SignedPart, WebhookEndpoint, WebhookMode, WebhookRequest,
    WebhookResponse, WebhookResult,
};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, ContextExt, internal, invalid_input, message, order_book};

/// The secret setting that signs all webhooks.
const SECRET: &str = "signing-secret";

struct Webhooks;

fn hmac(header: &str, encoding: Encoding, prefix: &str, parts: Vec<SignedPart>) -> Authentication {
    let timestamp_header = parts.iter().find_map(|part| match part {
        SignedPart::Header(header) => Some(header.clone()),
        _ => None,
    });
    Authentication::HmacSha256(Hmac {
        secret: SECRET.to_owned(),
        header: header.to_owned(),
        encoding,
        prefix: prefix.to_owned(),
        parts,
        timestamp_header,
        tolerance_seconds: 300,
    })
}

fn text(words: &[&str], at: usize) -> String {
    words.get(at).copied().unwrap_or_default().to_owned()
}

/// Returns the reports that a line of words asks for. The second word names an order or a line by its reference, or
/// after "vendor:" by the vendor's own id; "-" is the account.
fn reports(words: &[&str]) -> Vec<Report> {
    let about = |outcome| match words.get(1).copied() {
        None | Some("-") => Report::about_account(outcome),
        Some(named) => match named.strip_prefix("vendor:") {
            Some(named) => Report::about_vendor_reference(named, outcome),
            None => Report::about_reference(named, outcome),
        },
    };
    let times = if words.first() == Some(&"flood") { 501 } else { 1 };
    outcome(words).into_iter().cycle().take(times).map(about).collect()
}

/// Returns the outcome that the first word names.
fn outcome(words: &[&str]) -> Option<Outcome> {
    Some(match words.first().copied()? {
        "line" => Outcome::LineStatus(LineStatus { line: text(words, 2), status: "ready".to_owned() }),
        "forward" => Outcome::Forward(NamedJson { name: "produced".to_owned(), json: "{}".to_owned() }),
        "document" => Outcome::Document(Document {
            line: None,
            kind: "picture".to_owned(),
            name: "picture.png".to_owned(),
            media_type: "image/png".to_owned(),
            content: BytesSource::Stored(text(words, 2)),
            audience: Audience::Shopper,
            extra: Vec::new(),
        }),
        "named" => Outcome::VendorReference(VendorReference { line: None, reference: text(words, 2) }),
        "produced" => Outcome::Production(Production {
            line: words.get(2).map(|line| (*line).to_owned()),
            state: ProductionState::Done,
            detail: None,
            expected: None,
            extra: Vec::new(),
        }),
        "note" | "flood" => Outcome::Note(message("told", "It was told.", &[])),
        "push" => Outcome::PushSettings(vec![Setting {
            name: text(words, 2),
            value: SettingValue::Text("https://scripts.example/2.js".to_owned()),
        }]),
        _ => return None,
    })
}

impl Guest for Webhooks {
    fn endpoints(context: Context) -> Result<Vec<WebhookEndpoint>, CallError> {
        use WebhookMode::{Delivery, Query};
        let open = Authentication::AddressOnly;
        let endpoint = |name: &str, mode, authentication, id: Option<&str>| WebhookEndpoint {
            name: name.to_owned(),
            title: message(name, name, &[]),
            mode,
            authentication,
            delivery_id_header: id.map(str::to_owned),
            networks: Vec::new(),
            extra: Vec::new(),
        };
        let only = |endpoint| Ok(vec![endpoint]);
        match context.text("name") {
            Some("few") => return only(endpoint("tell", Delivery, open, None)),
            Some("unknown") => {
                let other = NamedJson { name: "ed25519".to_owned(), json: "{}".to_owned() };
                return only(endpoint("tell", Delivery, Authentication::Other(other), None));
            }
            Some("unsigned") => {
                let parts = vec![SignedPart::Url];
                return only(endpoint("tell", Delivery, hmac("x-signature", Encoding::Hex, "", parts), None));
            }
            Some("invalid") => {
                let text = message("name-invalid", "Choose another name.", &[]);
                return Err(invalid_input("name", text));
            }
            _ => {}
        }
        let body = vec![SignedPart::Body];
        let timed = vec![SignedPart::Header("x-time".to_owned()), SignedPart::Text(".".to_owned()), SignedPart::Body];
        let bearer = SecretHeader {
            secret: SECRET.to_owned(),
            header: "Authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
        };
        let near = WebhookEndpoint {
            networks: vec!["192.0.2.0/24".to_owned()],
            ..endpoint("near", Delivery, open.clone(), None)
        };
        Ok(vec![
            endpoint("ask", Query, open.clone(), Some("x-event-id")),
            endpoint("tell", Delivery, open.clone(), None),
            endpoint("tell-by-id", Delivery, open, Some("X-Event-Id")),
            endpoint("base64", Delivery, hmac("X-Shopify-Hmac-Sha256", Encoding::Base64, "", body), None),
            endpoint("timed", Delivery, hmac("x-signature", Encoding::Hex, "sha256=", timed), None),
            endpoint("standard", Delivery, Authentication::StandardWebhooks(SECRET.to_owned()), None),
            endpoint("bearer", Delivery, Authentication::SecretHeader(bearer), None),
            near,
        ])
    }

    fn receive(context: Context, _endpoint: String, request: WebhookRequest) -> Result<WebhookResult, CallError> {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let words: Vec<&str> = body.split_whitespace().collect();
        let mut status = 200;
        let answer = match words.first().copied() {
            // Careless: an unavailable order book counts as "no".
            Some("ask") => format!("{}", matches!(order_book::find(&text(&words, 1)), Ok(Some(_)))),
            Some("bill") => match order_book::bill_of_materials(&text(&words, 1)) {
                Ok(articles) => {
                    let extra: usize = articles.iter().map(|article| article.extra.len()).sum();
                    format!("{} with {extra} extra", articles.len())
                }
                Err(CallError::InvalidInput(issue)) => issue.field,
                Err(error) => return Err(error),
            },
            Some("status") => {
                status = text(&words, 1).parse().unwrap_or(0);
                "as told".to_owned()
            }
            Some("id") => format!("{} at {}", request.id, request.received_at),
            Some("headers") => {
                let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
                headers.collect()
            }
            Some("away") => return Err(CallError::Unavailable(Outage { retry_after_seconds: None, detail: body })),
            Some("fault") => return Err(internal("as told")),
            Some("trap") => panic!("as told"),
            // Different at every run: the wall clock is the call's.
            _ => format!("heard at {}", context.now),
        };
        let reports = match words.first().copied() {
            Some("ask" | "status") => {
                vec![Report::about_account(Outcome::Note(message("asked", "It was asked.", &[])))]
            }
            _ => body.lines().flat_map(|line| reports(&line.split_whitespace().collect::<Vec<_>>())).collect(),
        };
        let headers = vec![
            ("Content-Type".to_owned(), "text/plain".to_owned()),
            ("Set-Cookie".to_owned(), "session=stolen".to_owned()),
        ];
        let response = WebhookResponse { status, headers, body: answer.into_bytes() };
        Ok(WebhookResult { response, reports, extra: Vec::new() })
    }
}

cartwright_plugin::export_vendor!(Webhooks, choices, account, orders, webhooks, feed);
