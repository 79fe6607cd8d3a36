//! Twikit: a shop that sells jewels, and its webhooks' addresses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::types::{Event, EventKind, Order, Outcome};
use cartwright::webhook::{
    Destination, HeldOpen, Incoming, MemoryReceipts, Refusal, Selector, StoredAddress, WebhookAddress, WebhookError,
};
use cartwright::{
    AccountId, AccountSetup, AddToCart, CartLine, Cartwright, Digest, Grants, Handled, Limits, Link, MemoryBlobs,
    MemoryCatalogue, MemoryOrderBook, SetupError, ShopId, SimulatedClock,
};
use cartwright_e2e::{added, catalogue, local, members, shop, variant};
use cartwright_fake_vendors::twikit::{OrderState, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, Received, TwikitConfig};
use serde_json::{Value, json};

use super::common::{event, listen, order};

/// A webhook as the shop answered it.
#[derive(Debug, Clone)]
pub struct Heard {
    pub endpoint: String,
    /// Where the order that it names stood at Twikit's when it came.
    pub stood: Option<OrderState>,
    pub outcomes: Vec<(Option<String>, Outcome)>,
}

#[derive(Clone)]
struct Receiver {
    host: Arc<Cartwright>,
    twikit: Arc<FakeTwikit>,
    addresses: Arc<Mutex<BTreeMap<Selector, StoredAddress>>>,
    receipts: Arc<MemoryReceipts>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Receiver {
    /// Whose the address is.
    fn find(&self, address: &str, at: SystemTime) -> Result<Destination, Refusal> {
        let address: WebhookAddress = address.parse()?;
        let stored = self.addresses.lock().expect("the addresses").get(&address.selector()).cloned();
        let held = HeldOpen { by_account: true, by_orders: false };
        address.find(stored.as_ref().map(|stored| (stored, held)), at)
    }
}

async fn receive(State(receiver): State<Receiver>, Path(address): Path<String>, body: Bytes) -> impl IntoResponse {
    let named: Value = serde_json::from_slice(&body).unwrap_or_default();
    let stood = named["identifier"].as_str().and_then(|named| receiver.twikit.order(named)).map(|order| order.state);
    let incoming = post_of(&body);
    let known = receiver.receipts.effects().outcomes.len();
    let answer = match receiver.find(&address, incoming.at) {
        Ok(to) => {
            let answer = receiver.host.receive_webhook(&to, &incoming, &*receiver.receipts).await;
            if answer.is_ok() {
                let outcomes = receiver.receipts.effects().outcomes.split_off(known);
                receiver.heard.lock().expect("the list").push(Heard { endpoint: to.endpoint, stood, outcomes });
            }
            answer
        }
        Err(refusal) => Err(refusal.into()),
    };
    let response = answer.unwrap_or_else(|error: WebhookError| error.response());
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(response.status).expect("a status"), json, response.body)
}

pub fn post_of(body: &[u8]) -> Incoming {
    Incoming {
        method: Method::POST,
        headers: HeaderMap::new(),
        query: String::new(),
        body: body.to_vec().into(),
        from: None,
        at: SystemTime::now(),
    }
}

pub struct Jewels {
    pub host: Arc<Cartwright>,
    pub orders: Arc<MemoryOrderBook>,
    pub blobs: Arc<MemoryBlobs>,
    pub shop: ShopId,
    pub account: AccountId,
    pub plugin: Digest,
    pub twikit: Arc<FakeTwikit>,
    /// Where the shop listens.
    pub base: String,
    pub heard: Arc<Mutex<Vec<Heard>>>,
    receiver: Receiver,
}

impl Jewels {
    pub async fn new() -> Self {
        Self::with(TwikitConfig::default(), Limits::default()).await
    }

    pub async fn with(config: TwikitConfig, limits: Limits) -> Self {
        let twikit = Arc::new(FakeTwikit::start(config).await.expect("a fake Twikit"));
        let mut variants = catalogue();
        variants.push(variant("JEWEL-A", "jewel", 4_900));
        let (orders, blobs) = (Arc::new(MemoryOrderBook::default()), Arc::new(MemoryBlobs::default()));
        let builder = Cartwright::builder()
            .catalogue(Arc::new(MemoryCatalogue::new(variants)))
            .order_book(orders.clone())
            .blobs(blobs.clone())
            .limits(limits)
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
        host.add_shop(shop("gems")).expect("a shop");
        let (shop, account): (ShopId, AccountId) = ("gems".parse().expect("an id"), "twikit".parse().expect("an id"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let receiver = Receiver {
            host: host.clone(),
            twikit: twikit.clone(),
            addresses: Arc::default(),
            receipts: Arc::default(),
            heard: heard.clone(),
        };
        let router = Router::new().route("/webhooks/{address}", post(receive)).with_state(receiver.clone());
        let base = listen(router).await;
        let jewels = Self { host, orders, blobs, shop, account, plugin, twikit, base, heard, receiver };
        jewels.set(json!({}), |_| {}).await;
        let link: Link = serde_json::from_value(json!({
            "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
            "allowed_skus": ["JEWEL-A"],
        }))
        .expect("a link");
        jewels.host.link(&jewels.shop, link).await.expect("linked");
        jewels.hooks("payment-verification");
        jewels
    }

    /// Sets the account up with other settings or grants.
    pub async fn set(&self, settings: Value, change: impl FnOnce(&mut Grants)) {
        let mut all = members(json!({
            "integration-id": self.twikit.integration_id(),
            "payload-secret": self.twikit.payload_secret(),
            "api-url": self.twikit.api_url(),
            "script-url": "https://scripts.twikit.example/1/plugin.js",
            "product-keys": ["diamond-letter-jewel", "pendant"],
        }));
        all.extend(members(settings));
        let mut grants = local(all["api-url"].as_str().expect("an address"));
        change(&mut grants);
        let setup = AccountSetup { id: self.account.clone(), settings: all, grants };
        self.host.set_account(&self.shop, self.plugin, setup).await.expect("an account");
    }

    /// A new address of this endpoint's.
    pub fn address(&self, endpoint: &str) -> String {
        let address = WebhookAddress::generate().expect("random numbers");
        let endpoint = endpoint.to_owned();
        let to = Destination { shop: self.shop.clone(), account: self.account.clone(), endpoint };
        let mut known = self.receiver.addresses.lock().expect("the addresses");
        known.insert(address.selector(), address.stored(to));
        format!("{}/webhooks/{}", self.base, *address.reveal())
    }

    /// What is kept of webhooks.
    pub fn receipts(&self) -> &MemoryReceipts {
        &self.receiver.receipts
    }

    /// Gives Twikit the shop's addresses, with this endpoint's for the payment verification.
    pub fn hooks(&self, verification: &str) {
        let address = |endpoint: &str| Some(self.address(endpoint));
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address(verification),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
    }

    /// Two pieces of a configuration, saved as this product of Twikit's.
    pub async fn jewel(&self, product_key: &str) -> CartLine {
        let saved = self.twikit.save_configuration(product_key, "JEWEL-A", 49.0);
        self.jewel_of(saved.configuration_id).await
    }

    pub async fn jewel_of(&self, configuration: u64) -> CartLine {
        let envelope = json!({
            "configurationId": configuration,
            "previewUrl": null,
            "variation": { "id": "variation-jewel-a", "sku": "JEWEL-A", "price": 49.0 },
        });
        let add = AddToCart {
            product: "jewel".to_owned(),
            configuration: Some(envelope.to_string().into_bytes()),
            quantity: 2,
            ..AddToCart::default()
        };
        let change = self.host.add_to_cart(&self.shop, add).await.expect("a line");
        added(&change).remove(0)
    }

    /// An order of one new jewel, which the platform knows.
    pub async fn order(&self, id: &str) -> Order {
        let order = order(&self.host, &self.shop, id, &[self.jewel("diamond-letter-jewel").await]);
        self.orders.put(&self.shop, &self.account, order.clone());
        order
    }

    pub async fn handle(&self, event: &Event, state: Option<&str>) -> Result<Handled, SetupError> {
        let clock = Arc::new(SimulatedClock::default());
        self.host.handle_order(&self.shop, &self.account, event, state, clock).await
    }

    pub async fn release(&self, order: &Order) -> Result<Handled, SetupError> {
        self.handle(&event(EventKind::Released, order), None).await
    }

    /// An order that Twikit has and is paid for.
    pub async fn created(&self, id: &str) -> Order {
        let order = self.order(id).await;
        self.release(&order).await.expect("handled");
        assert_eq!(self.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
        self.heard.lock().expect("the list").clear();
        order
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("the list").clone()
    }

    /// What the webhooks so far said about orders.
    pub fn outcomes(&self) -> Vec<(Option<String>, Outcome)> {
        self.heard().into_iter().flat_map(|heard| heard.outcomes).collect()
    }

    pub fn sent(&self) -> Vec<Received> {
        self.twikit.record().all()
    }

    /// The shop's last answer to a webhook.
    pub fn replied(&self) -> Value {
        self.twikit.sent_webhooks().last().expect("a webhook").answer.clone()
    }
}
