//! A shop that answers webhooks with prepared responses, and the request bodies of the tests.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use cartwright_fake_vendors::client::{self, Reply};
use cartwright_fake_vendors::{FakeTwikit, payload_hash};
use serde_json::{Value, json};

/// A receiver of webhooks. It uses its responses in order, and the last one repeatedly.
pub struct Shop {
    pub url: String,
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    requests: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Shop {
    pub async fn answering(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let (answers, requests) = (Arc::new(Mutex::new(answers)), Arc::new(Mutex::new(Vec::new())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/secret", listener.local_addr().unwrap());
        let (left, heard) = (Arc::clone(&answers), Arc::clone(&requests));
        let answer = move |body: Bytes| {
            heard.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            let mut left: std::sync::MutexGuard<'_, Vec<(u16, String)>> = left.lock().unwrap();
            let (status, body) = if left.len() > 1 { left.remove(0) } else { left[0].clone() };
            std::future::ready((StatusCode::from_u16(status).unwrap(), body))
        };
        let router = Router::new().fallback(answer);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, answers, requests, task }
    }

    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn address() -> Value {
    json!({
        "firstName": "Ada", "lastName": "Byron", "email": "ada@shop.example", "addressLine1": "Main street 1",
        "zip": "9000", "city": "Gent", "countryIso": "BE",
    })
}

/// Returns an order of these configurations with the lines `order:1`, `order:2` and so on.
pub fn order(identifier: &str, configuration_ids: &[u64]) -> Value {
    let items = configuration_ids
        .iter()
        .zip(1..)
        .map(|(id, line)| json!({ "configurationId": id, "amount": 2, "identifier": format!("{identifier}:{line}") }));
    json!({
        "items": items.collect::<Vec<_>>(), "identifier": identifier, "billingAddress": address(),
        "deliveryAddress": address(), "data": null,
    })
}

pub async fn post_order(twikit: &FakeTwikit, order: &Value) -> Reply {
    post_order_text(twikit, &order.to_string()).await
}

pub async fn post_order_text(twikit: &FakeTwikit, payload: &str) -> Reply {
    let hash = payload_hash(payload, twikit.payload_secret());
    let body = json!({ "orderPayload": payload, "hash": hash });
    client::post_json(&twikit.orders_url(), &[], &body).await.unwrap()
}

/// Returns status and result code together, so that a test cannot forget either.
pub fn verdict(reply: &Reply) -> (u16, u64) {
    let answer = reply.json();
    assert!(answer["resultMessage"].is_string() && answer["resultCodeName"].is_string(), "{answer}");
    (reply.status, answer["resultCode"].as_u64().unwrap())
}
