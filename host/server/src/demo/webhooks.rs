//! The addresses that the fake Twikit is given: a small server that hands each request to the host.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::types::{Outcome, WebhookRequest};
use cartwright::{AccountId, Cartwright, ShopId};
use tokio::net::TcpListener;

/// Outcomes by the reference of the order that they are about.
pub(crate) type Outcomes = Arc<Mutex<Vec<(Option<String>, Outcome)>>>;

struct Receiver {
    host: Arc<Cartwright>,
    shop: ShopId,
    account: AccountId,
    address: String,
    outcomes: Outcomes,
}

/// Starts the server. Gives the address that an endpoint's name is added to, which cannot be guessed, and the outcomes.
pub(crate) async fn start(
    host: Arc<Cartwright>,
    shop: ShopId,
    account: AccountId,
) -> anyhow::Result<(String, Outcomes)> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    let address = hex::encode(secret);
    let outcomes = Outcomes::default();
    let receiver = Arc::new(Receiver { host, shop, account, address: address.clone(), outcomes: outcomes.clone() });
    let app = Router::new().route("/webhooks/{address}/{endpoint}", post(receive)).with_state(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/webhooks/{address}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((base, outcomes))
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path((address, endpoint)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    if address != receiver.address {
        return (StatusCode::NOT_FOUND, Vec::new());
    }
    let request = WebhookRequest {
        method: "POST".to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        query: String::new(),
        body: body.to_vec(),
    };
    match receiver.host.receive_webhook(&receiver.shop, &receiver.account, &endpoint, &request).await {
        Ok(received) => {
            let status = StatusCode::from_u16(received.response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if status.is_success() {
                receiver.outcomes.lock().unwrap_or_else(PoisonError::into_inner).extend(received.outcomes);
            }
            (status, received.response.body)
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes()),
    }
}
