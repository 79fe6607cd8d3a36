//! The addresses that the fake Twikit is given: a small server that hands each request to the host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::any;
use cartwright::types::WebhookResponse;
use cartwright::webhook::{
    Destination, HeldOpen, Incoming, MemoryReceipts, Selector, StoredAddress, WebhookAddress, WebhookError,
};
use cartwright::{AccountId, Cartwright, ShopId};
use tokio::net::TcpListener;

struct Receiver {
    host: Arc<Cartwright>,
    addresses: BTreeMap<Selector, StoredAddress>,
    receipts: Arc<MemoryReceipts>,
}

/// What an account's endpoints were given.
pub(crate) struct Given {
    /// Where each endpoint's requests are sent to, by its name.
    pub(crate) addresses: BTreeMap<String, String>,
    /// What came of them.
    pub(crate) receipts: Arc<MemoryReceipts>,
}

/// Starts the server, with an address that cannot be guessed for each endpoint of the account.
pub(crate) async fn start(host: Arc<Cartwright>, shop: &ShopId, account: &AccountId) -> anyhow::Result<Given> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/webhooks", listener.local_addr()?);
    let (mut addresses, mut stored) = (BTreeMap::new(), BTreeMap::new());
    for endpoint in &host.running(shop, account)?.about().endpoints {
        let address = WebhookAddress::generate().context("no random numbers can be had")?;
        let destination = Destination { shop: shop.clone(), account: account.clone(), endpoint: endpoint.name.clone() };
        stored.insert(address.selector(), address.stored(destination));
        addresses.insert(endpoint.name.clone(), format!("{base}/{}", *address.reveal()));
    }
    let receipts = Arc::new(MemoryReceipts::default());
    let receiver = Arc::new(Receiver { host, addresses: stored, receipts: receipts.clone() });
    let app = Router::new().route("/webhooks/{address}", any(receive)).with_state(receiver);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Given { addresses, receipts })
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(address): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let query = uri.query().unwrap_or_default().to_owned();
    let incoming = Incoming { method, headers, query, body, from: Some(from.ip()), at: SystemTime::now() };
    let answer = receiver.answer(&address, &incoming).await;
    let response = answer.unwrap_or_else(|error| error.response());
    (StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), response.body)
}

impl Receiver {
    async fn answer(&self, address: &str, incoming: &Incoming) -> Result<WebhookResponse, WebhookError> {
        let address: WebhookAddress = address.parse()?;
        let held = HeldOpen { by_account: true, by_orders: false };
        let stored = self.addresses.get(&address.selector()).map(|stored| (stored, held));
        let to = address.find(stored, incoming.at)?;
        self.host.receive_webhook(&to, incoming, &*self.receipts).await
    }
}
