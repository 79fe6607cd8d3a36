//! A shop on a fake Twikit that verifies its orders.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::durable::Job;
use cartwright::types::{Memo, Order, OrderEventKind, Outcome};
use cartwright::webhook::{Destination, IncomingRequest, MemoryWebhookDeliveryStore};
use cartwright::{
    AccountId, AccountSetup, AddToCart, CartLine, Cartwright, Digest, MemoryCatalog, MemoryOrderBook, ProductLink,
    Secret, ShopId,
};
use cartwright_e2e::{added_lines, catalog, local_with_personal_data, members, shop, variant};
use cartwright_fake_vendors::twikit::{OrderState, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig};
use serde_json::{Value, json};

use crate::crash_run::{CrashRun, Crashes, course};
use cartwright_e2e::orders::{event, order};

/// The shop.
pub struct Gems {
    pub host: Arc<Cartwright>,
    orders: Arc<MemoryOrderBook>,
    shop: ShopId,
    account: AccountId,
    plugin: Digest,
    pub twikit: FakeTwikit,
    line: CartLine,
    memos: Arc<Mutex<Vec<Memo>>>,
}

#[derive(Clone)]
struct Receiver {
    host: Arc<Cartwright>,
    shop: ShopId,
    account: AccountId,
    memos: Arc<Mutex<Vec<Memo>>>,
}

async fn receive(State(to): State<Receiver>, Path(endpoint): Path<String>, body: Bytes) -> impl IntoResponse {
    let incoming = IncomingRequest {
        method: Method::POST,
        url: Secret::new("http://127.0.0.1/webhooks/token"),
        headers: HeaderMap::new(),
        query: String::new(),
        body,
        from: None,
        at: SystemTime::now(),
    };
    let destination = Destination { shop: to.shop.clone(), account: to.account.clone(), endpoint };
    let receipts = MemoryWebhookDeliveryStore::default();
    let answer = to.host.receive_webhook(&destination, &incoming, &receipts).await;
    let response = answer.unwrap_or_else(|error| error.response());
    for (_, outcome) in receipts.effects().outcomes {
        if let Outcome::SetMemo(memory) = outcome {
            to.memos.lock().expect("the list").push(memory);
        }
    }
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(response.status).expect("a status"), json, response.body)
}

impl Gems {
    pub async fn new(settings: Value) -> Self {
        let twikit = FakeTwikit::start(TwikitConfig::default()).await.expect("a fake Twikit");
        let mut variants = catalog();
        variants.push(variant("JEWEL-A", "jewel", 4_900));
        let orders = Arc::new(MemoryOrderBook::default());
        let builder = Cartwright::builder()
            .catalog(Arc::new(MemoryCatalog::new(variants)))
            .order_book(orders.clone())
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
        host.add_shop(shop("gems")).expect("a shop");
        let (shop, account): (ShopId, AccountId) = ("gems".parse().expect("an id"), "twikit".parse().expect("an id"));
        let mut all = members(json!({
            "integration-id": twikit.integration_id(),
            "payload-secret": twikit.payload_secret(),
            "api-url": twikit.api_url(),
            "script-url": "https://scripts.twikit.example/1/plugin.js",
            "product-keys": ["diamond-letter-jewel"],
        }));
        all.extend(members(settings));
        let setup =
            AccountSetup { id: account.clone(), settings: all, grants: local_with_personal_data(twikit.base_url()) };
        host.set_account(&shop, plugin, setup).await.expect("an account");
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
            "allowed_skus": ["JEWEL-A"],
        }))
        .expect("a link");
        host.link(&shop, &[link]).await.expect("linked");
        let saved = twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
        // A picture's URL must be https, which the fake does not have.
        let mut envelope = saved.envelope();
        envelope["previewUrl"] = Value::Null;
        let add = AddToCart {
            product: "jewel".to_owned(),
            configuration: Some(envelope.to_string().into_bytes()),
            quantity: 2,
            ..AddToCart::default()
        };
        let line = added_lines(&host.add_to_cart(&shop, add).await.expect("a line")).remove(0);
        let memos = Arc::new(Mutex::new(Vec::new()));
        let receiver =
            Receiver { host: host.clone(), shop: shop.clone(), account: account.clone(), memos: memos.clone() };
        let router = Router::new().route("/webhooks/{endpoint}", post(receive)).with_state(receiver);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let verification =
            format!("http://{}/webhooks/payment-verification", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        twikit.set_webhooks(Webhooks { payment_verification: Some(verification), ..Webhooks::default() });
        Self { host, orders, shop, account, plugin, twikit, line, memos }
    }

    /// Returns an order that the platform knows, and its job.
    pub fn order(&self, id: &str) -> (Order, Job) {
        let order = order(&self.host, &self.shop, id, std::slice::from_ref(&self.line));
        self.orders.put(&self.shop, &self.account, order.clone());
        let job = job(&self.shop, &self.account, self.plugin, &order);
        (order, job)
    }

    /// Returns the number of requests about this order that Twikit received.
    pub fn sent(&self, id: &str) -> usize {
        let about = format!("test:gems:{id}:");
        let sent = self.twikit.record().all();
        sent.iter().filter(|sent| String::from_utf8_lossy(&sent.body).contains(&about)).count()
    }

    pub async fn course(&self, id: &str, crashes: &Arc<Crashes>) -> (Order, CrashRun) {
        let (order, job) = self.order(id);
        self.memos.lock().expect("the list").clear();
        let memos = || self.memos.lock().expect("the list").clone();
        (order, course(&self.host, job, crashes, memos).await)
    }

    /// Waits for Twikit, which continues after the shop has crashed.
    pub async fn settled(&self, order: &Order) -> OrderState {
        for _ in 0..200 {
            match self.twikit.order(&order.reference) {
                Some(order) if order.state != OrderState::Verifying => return order.state,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("{} is not settled", order.reference)
    }
}

/// Returns the job of a released order.
pub fn job(shop: &ShopId, account: &AccountId, plugin: Digest, order: &Order) -> Job {
    Job {
        id: format!("job-{}", order.id),
        shop: shop.clone(),
        account: account.clone(),
        plugin,
        event: event(OrderEventKind::Released, order),
        state: None,
        round: 0,
    }
}
