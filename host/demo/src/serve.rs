//! The HTTP server of the story's host: webhook URLs for the fake Twikit, and documents.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::middleware::from_fn_with_state;
use cartwright::webhook::Destination;
use cartwright::{AccountId, Cartwright, ShopId, SystemClock};
use cartwright_http::base_url::BaseUrl;
use cartwright_http::limits::LimitSettings;
use cartwright_http::{Node, Observability, body, public};
use cartwright_store::{Installation, Store};
use tokio::net::TcpListener;

/// The URLs of the server.
pub(crate) struct Addresses {
    /// The URL that document URLs are relative to.
    pub(crate) document_base_url: String,
    /// The webhook URL of each endpoint, by name.
    pub(crate) webhooks: BTreeMap<String, String>,
}

/// Starts the server, and creates an unguessable webhook URL for each endpoint of the account.
pub(crate) async fn start(
    host: Arc<Cartwright>,
    store: Store,
    shop: &ShopId,
    account: &AccountId,
) -> anyhow::Result<Addresses> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let document_base_url = format!("http://{}/", listener.local_addr()?);
    let mut webhooks = BTreeMap::new();
    for endpoint in host.webhook_endpoints(shop, account).await? {
        let to = Destination { shop: shop.clone(), account: account.clone(), endpoint: endpoint.name };
        let address = store.webhooks().create_webhook_url(&to, "demo", SystemTime::now()).await?;
        webhooks.insert(to.endpoint, format!("{document_base_url}webhooks/{}", *address.reveal()));
    }
    let (installation, faults) = Installation::open(host, store).await?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault.into());
    }
    let clock = Arc::new(SystemClock);
    let observability = Arc::new(Observability::new(clock.clone()));
    let url: BaseUrl = document_base_url.parse()?;
    let node = Node::new(installation, clock, url.clone(), url, Vec::new(), observability, LimitSettings::default());
    let metered = from_fn_with_state(node.clone(), body::meter);
    let app = public::routes().layer(metered).with_state(node).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Addresses { document_base_url, webhooks })
}
