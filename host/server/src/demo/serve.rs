//! What the demo's host serves: the addresses that the fake Twikit is given, and documents.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use cartwright::types::WebhookResponse;
use cartwright::webhook::{Destination, Incoming, ReceiptsError, WebhookAddress, WebhookError};
use cartwright::{AccountId, Cartwright, ShopId};
use cartwright_store::{DocumentLink, LinkError, Store};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Served {
    host: Arc<Cartwright>,
    store: Store,
}

/// Where things are.
pub(crate) struct Addresses {
    /// What a document's link is relative to.
    pub(crate) base: String,
    /// Where each endpoint's requests are sent to, by its name.
    pub(crate) webhooks: BTreeMap<String, String>,
}

/// Starts the server, with an address that cannot be guessed for each endpoint of the account.
pub(crate) async fn start(
    host: Arc<Cartwright>,
    store: Store,
    shop: &ShopId,
    account: &AccountId,
) -> anyhow::Result<Addresses> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let mut webhooks = BTreeMap::new();
    for endpoint in &host.running(shop, account)?.about().endpoints {
        let to = Destination { shop: shop.clone(), account: account.clone(), endpoint: endpoint.name.clone() };
        let address = store.make_webhook_address(&to, "demo", SystemTime::now()).await?;
        webhooks.insert(to.endpoint, format!("{base}webhooks/{}", *address.reveal()));
    }
    let app = Router::new()
        .route("/webhooks/{address}", any(receive))
        .route("/documents/{shop}/{outcome}", get(document))
        .with_state(Served { host, store });
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Addresses { base, webhooks })
}

async fn receive(
    State(served): State<Served>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(address): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let query = uri.query().unwrap_or_default().to_owned();
    let incoming = Incoming { method, headers, query, body, from: Some(from.ip()), at: SystemTime::now() };
    let answer = served.answer(&address, &incoming).await;
    let response = answer.unwrap_or_else(|error| error.response());
    (StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), response.body)
}

impl Served {
    async fn answer(&self, address: &str, incoming: &Incoming) -> Result<WebhookResponse, WebhookError> {
        let address: WebhookAddress = address.parse()?;
        let known = self.store.webhook_address(address.selector()).await;
        let known = known.map_err(|error| ReceiptsError(error.to_string()))?;
        let to = address.find(known.as_ref().map(|(stored, held)| (stored, *held)), incoming.at)?;
        self.host.receive_webhook(&to, incoming, &self.store).await
    }
}

async fn document(State(served): State<Served>, uri: Uri) -> Response {
    let found = async {
        let link: DocumentLink = uri.to_string().parse()?;
        served.store.document(&link, SystemTime::now()).await
    };
    match found.await {
        Ok(file) => {
            let disposition = file.content_disposition();
            let headers = [
                (CONTENT_TYPE, file.media_type),
                (CONTENT_DISPOSITION, disposition),
                (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ];
            (headers, file.bytes).into_response()
        }
        Err(error) => {
            let status = match &error {
                LinkError::Malformed | LinkError::WrongSignature => StatusCode::FORBIDDEN,
                LinkError::Expired => StatusCode::GONE,
                LinkError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, error.to_string()).into_response()
        }
    }
}
