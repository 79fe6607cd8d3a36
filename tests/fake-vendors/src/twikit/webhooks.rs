//! The webhooks that Twikit sends: payment verification, production completed, order completed, website published.
//!
//! None is signed, and "faulty" always means the same: a status other than 200, an `error` that is filled in, or, by
//! the stricter reading, a response other than the documented JSON.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::State;
use crate::{client, lock};

/// The delay before Twikit repeats a faulty completion webhook. A fake uses a shorter one.
pub const DOCUMENTED_REPEAT_AFTER: Duration = Duration::from_secs(5 * 60);

/// The webhook URLs, `http://` only. `None`: not configured, not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhooks {
    /// Payment verification.
    pub payment_verification: Option<String>,
    /// Production completion.
    pub production_completed: Option<String>,
    /// Order completion.
    pub order_completed: Option<String>,
    /// Website publication.
    pub website_published: Option<String>,
}

/// The kind of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Webhook {
    /// A query during an order request. Sent once.
    PaymentVerification,
    /// A line's files are produced. Repeated once.
    ProductionCompleted,
    /// The producer marked the order as ready. Repeated once.
    OrderCompleted,
    /// A new script was published. Not repeated.
    WebsitePublished,
}

impl Webhook {
    fn repeated(self) -> bool {
        matches!(self, Self::ProductionCompleted | Self::OrderCompleted)
    }
}

impl Webhooks {
    fn url(&self, webhook: Webhook) -> Option<&str> {
        let url = match webhook {
            Webhook::PaymentVerification => &self.payment_verification,
            Webhook::ProductionCompleted => &self.production_completed,
            Webhook::OrderCompleted => &self.order_completed,
            Webhook::WebsitePublished => &self.website_published,
        };
        url.as_deref()
    }
}

/// Why a response counts as faulty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultyResponse {
    /// No response, or none in time.
    #[error("no answer: {0}")]
    NoResponse(String),
    /// A status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// 200, but not the documented JSON: not an object, or an `error` or `success` of another type.
    #[error("not the documented answer: {0}")]
    NotAsDocumented(String),
    /// `error` is filled in.
    #[error("error: {0}")]
    Error(String),
}

/// One attempt to send a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The kind of the webhook.
    pub webhook: Webhook,
    /// The body that was sent.
    pub sent: Value,
    /// The response's body, `null` if it is not JSON or missing.
    pub answer: Value,
    /// `Err` if the response was faulty.
    pub verdict: Result<(), FaultyResponse>,
}

/// The result of sending a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// No URL is configured, so nothing was sent.
    NotConfigured,
    /// The last attempt was successful.
    Accepted(Vec<Attempt>),
    /// Every attempt was faulty. For a website publication Twikit raises an internal alarm; otherwise nothing follows.
    Faulty(Vec<Attempt>),
}

impl Delivery {
    /// Returns whether the last attempt was successful.
    pub fn accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// Returns the attempts, in order.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Self::NotConfigured => &[],
            Self::Accepted(attempts) | Self::Faulty(attempts) => attempts,
        }
    }
}

/// The result of the payment verification.
pub(super) enum Verdict {
    NotAsked,
    Confirmed,
    Denied,
    Faulty(FaultyResponse),
}

impl State {
    /// Asks the shop whether the order is valid.
    pub(super) async fn verify(&self, identifier: &str, configuration_ids: &[u64], data: Value) -> Verdict {
        let mut question = json!({ "configurationIds": configuration_ids, "identifier": identifier });
        if self.config.verification_sends_data {
            question["data"] = data;
        }
        let Some(attempt) = self.attempt(Webhook::PaymentVerification, &question).await else {
            return Verdict::NotAsked;
        };
        match (attempt.verdict, attempt.answer.get("success")) {
            (Err(fault), _) => Verdict::Faulty(fault),
            (Ok(()), Some(Value::Bool(true))) => Verdict::Confirmed,
            (Ok(()), _) => Verdict::Denied,
        }
    }

    /// Sends a webhook, and repeats it if its kind is repeated and the first attempt was faulty.
    pub(super) async fn deliver(&self, webhook: Webhook, body: &Value) -> Delivery {
        let Some(first) = self.attempt(webhook, body).await else { return Delivery::NotConfigured };
        let faulty = first.verdict.is_err();
        let mut attempts = vec![first];
        if !faulty {
            return Delivery::Accepted(attempts);
        }
        if webhook.repeated() {
            let wait = lock(&self.state).repeat_after;
            tokio::time::sleep(wait).await;
            attempts.extend(self.attempt(webhook, body).await);
        }
        let accepted = attempts.last().is_some_and(|attempt| attempt.verdict.is_ok());
        if accepted { Delivery::Accepted(attempts) } else { Delivery::Faulty(attempts) }
    }

    async fn attempt(&self, webhook: Webhook, body: &Value) -> Option<Attempt> {
        let url = lock(&self.state).webhooks.url(webhook)?.to_owned();
        let headers = [(CONTENT_TYPE.as_str(), "application/json")];
        let bytes = Bytes::from(body.to_string());
        let reply = client::send(Method::POST, &url, &headers, bytes, self.config.webhook_patience).await;
        let answer = reply.as_ref().map(client::Reply::json).unwrap_or_default();
        let verdict = match reply {
            Err(error) => Err(FaultyResponse::NoResponse(error.to_string())),
            Ok(reply) => check_response(webhook, reply.status, &answer),
        };
        let attempt = Attempt { webhook, sent: body.clone(), answer, verdict };
        lock(&self.state).sent.push(attempt.clone());
        Some(attempt)
    }
}

fn check_response(webhook: Webhook, status: u16, answer: &Value) -> Result<(), FaultyResponse> {
    if status != 200 {
        return Err(FaultyResponse::Status(status));
    }
    let Some(fields) = answer.as_object() else {
        return Err(FaultyResponse::NotAsDocumented("no JSON object".to_owned()));
    };
    match fields.get("error") {
        None | Some(Value::Null) => {}
        Some(Value::String(error)) if error.is_empty() => {}
        Some(Value::String(error)) => return Err(FaultyResponse::Error(error.clone())),
        Some(_) => return Err(FaultyResponse::NotAsDocumented("error is no text".to_owned())),
    }
    let question = webhook == Webhook::PaymentVerification;
    if question && !fields.get("success").is_some_and(Value::is_boolean) {
        return Err(FaultyResponse::NotAsDocumented("success is not true or false".to_owned()));
    }
    Ok(())
}
