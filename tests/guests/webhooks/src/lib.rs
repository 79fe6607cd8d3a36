//! A vendor that has webhooks, and neither cart strategies nor products: one endpoint for each way of signing, and bodies that name the outcome to return,
//! such as `line <order> <line>`. The host's tests check what it makes of that. Three of its settings have dynamic
//! choices.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod rest;

use cartwright_plugin::exports::webhooks::{
    Authentication, Endpoint, Guest, Hmac, Purpose, Received, Request, Response,
};
use cartwright_plugin::types::*;
use cartwright_plugin::{Error, internal, message, order_book};

/// The secret setting that signs all webhooks.
const SECRET: &str = "signing-secret";

struct Webhooks;

fn hmac(header: &str, encoding: &str, prefix: &str, timestamp_header: Option<&str>) -> Authentication {
    Authentication::HmacSha256(Hmac {
        secret: SECRET.to_owned(),
        header: header.to_owned(),
        encoding: encoding.to_owned(),
        prefix: prefix.to_owned(),
        timestamp_header: timestamp_header.map(str::to_owned),
    })
}

fn text(words: &[&str], at: usize) -> String {
    words.get(at).copied().unwrap_or_default().to_owned()
}

/// Returns the outcome for the order that the second word names.
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
        "note" | "flood" => Outcome::Note(message("told", "It was told.", &[])),
        "push" => Outcome::PushSettings(vec![Setting {
            name: text(words, 2),
            value: SettingValue::Text("https://scripts.example/2.js".to_owned()),
        }]),
        _ => return None,
    })
}

impl Guest for Webhooks {
    fn endpoints() -> Vec<Endpoint> {
        let endpoint = |name: &str, purpose, authentication, id: Option<&str>| Endpoint {
            name: name.to_owned(),
            title: name.to_owned(),
            purpose,
            authentication,
            event_id_header: id.map(str::to_owned),
        };
        vec![
            endpoint("ask", Purpose::Question, Authentication::AddressOnly, Some("x-event-id")),
            endpoint("tell", Purpose::Notice, Authentication::AddressOnly, None),
            endpoint("tell-by-id", Purpose::Notice, Authentication::AddressOnly, Some("X-Event-Id")),
            endpoint("base64", Purpose::Notice, hmac("X-Shopify-Hmac-Sha256", "base64", "", None), None),
            endpoint("timed", Purpose::Notice, hmac("x-signature", "hex", "sha256=", Some("x-time")), None),
            endpoint("standard", Purpose::Notice, Authentication::StandardWebhooks(SECRET.to_owned()), None),
        ]
    }

    fn receive(context: Context, _endpoint: String, request: Request) -> Result<Received, Error> {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let words: Vec<&str> = body.split_whitespace().collect();
        let mut status = 200;
        let answer = match words.first().copied() {
            // Careless: an unavailable order book counts as "no".
            Some("ask") => format!("{}", matches!(order_book::find(&text(&words, 1)), Ok(Some(_)))),
            Some("bill") => match order_book::bill_of_materials(&text(&words, 1)) {
                Ok(articles) => articles.len().to_string(),
                Err(Error::InvalidInput(issue)) => issue.field,
                Err(error) => return Err(error),
            },
            Some("status") => {
                status = text(&words, 1).parse().unwrap_or(0);
                "as told".to_owned()
            }
            Some("away") => return Err(Error::Unavailable(Outage { retry_after_seconds: None, detail: body })),
            Some("fault") => return Err(internal("as told")),
            Some("trap") => panic!("as told"),
            // Different at every run: the wall clock is the call's.
            _ => format!("heard at {}", context.at),
        };
        let mut outcomes = Vec::new();
        match words.first().copied() {
            Some("ask" | "status") => outcomes.push((None, Outcome::Note(message("asked", "It was asked.", &[])))),
            _ => {
                let order = words.get(1).filter(|order| **order != "-").map(|order| (*order).to_owned());
                let times = if words.first() == Some(&"flood") { 501 } else { 1 };
                outcomes
                    .extend(outcome(&words).into_iter().cycle().take(times).map(|recorded| (order.clone(), recorded)));
            }
        }
        let headers = vec![
            ("Content-Type".to_owned(), "text/plain".to_owned()),
            ("Set-Cookie".to_owned(), "session=stolen".to_owned()),
        ];
        Ok(Received { response: Response { status, headers, body: answer.into_bytes() }, outcomes })
    }
}

cartwright_plugin::export_vendor!(Webhooks, choices, account, orders, webhooks);
