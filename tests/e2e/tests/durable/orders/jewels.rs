//! Twikit: a shop that sells jewels, and its webhook URLs.

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
use cartwright::types::{Order, OrderEvent, OrderEventKind, Outcome};
use cartwright::webhook::{
    Destination, IncomingRequest, MemoryWebhookDeliveryStore, Refusal, Selector, StoredWebhookToken, WebhookError,
    WebhookToken, WebhookUrlUse,
};
use cartwright::{
    AccountId, AccountSetup, AddToCart, CartLine, Cartwright, Digest, Grants, HandleResult, Limits, MemoryBlobs,
    MemoryCatalog, MemoryOrderBook, ProductLink, Secret, SetupError, ShopId, SimulatedClock,
};
use cartwright_e2e::{added_lines, catalog, local_with_personal_data, members, shop, variant};
use cartwright_fake_vendors::twikit::{OrderState, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, Received, TwikitConfig};
use serde_json::{Value, json};

use super::common::{event, listen, order};

/// A webhook with the shop's response.
#[derive(Debug, Clone)]
pub struct RecordedWebhook {
    pub endpoint: String,
    /// The state of the named order at Twikit when the webhook arrived.
    pub order_state: Option<OrderState>,
    pub outcomes: Vec<(Option<String>, Outcome)>,
}

#[derive(Clone)]
struct Receiver {
    host: Arc<Cartwright>,
    twikit: Arc<FakeTwikit>,
    addresses: Arc<Mutex<BTreeMap<Selector, StoredWebhookToken>>>,
    receipts: Arc<MemoryWebhookDeliveryStore>,
    webhooks: Arc<Mutex<Vec<RecordedWebhook>>>,
}

impl Receiver {
    /// Returns the destination of a webhook URL.
    fn find(&self, address: &str, at: SystemTime) -> Result<Destination, Refusal> {
        let address: WebhookToken = address.parse()?;
        let stored = self.addresses.lock().expect("the addresses").get(&address.selector()).cloned();
        let held = WebhookUrlUse { has_account: true, has_open_order: false };
        address.resolve(stored.as_ref().map(|stored| (stored, held)), at)
    }
}

async fn receive(State(receiver): State<Receiver>, Path(address): Path<String>, body: Bytes) -> impl IntoResponse {
    let named: Value = serde_json::from_slice(&body).unwrap_or_default();
    let order_state =
        named["identifier"].as_str().and_then(|named| receiver.twikit.order(named)).map(|order| order.state);
    let incoming = post_of(&body);
    let known = receiver.receipts.effects().outcomes.len();
    let answer = match receiver.find(&address, incoming.at) {
        Ok(to) => {
            let answer = receiver.host.receive_webhook(&to, &incoming, &*receiver.receipts).await;
            if answer.is_ok() {
                let outcomes = receiver.receipts.effects().outcomes.split_off(known);
                receiver.webhooks.lock().expect("the list").push(RecordedWebhook {
                    endpoint: to.endpoint,
                    order_state,
                    outcomes,
                });
            }
            answer
        }
        Err(refusal) => Err(refusal.into()),
    };
    let response = answer.unwrap_or_else(|error: WebhookError| error.response());
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(response.status).expect("a status"), json, response.body)
}

pub fn post_of(body: &[u8]) -> IncomingRequest {
    IncomingRequest {
        method: Method::POST,
        url: Secret::new("http://127.0.0.1/webhooks/token"),
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
    /// The base URL of the shop.
    pub base: String,
    pub webhooks: Arc<Mutex<Vec<RecordedWebhook>>>,
    receiver: Receiver,
}

impl Jewels {
    pub async fn new() -> Self {
        Self::with(TwikitConfig::default(), Limits::default()).await
    }

    pub async fn with(config: TwikitConfig, limits: Limits) -> Self {
        let twikit = Arc::new(FakeTwikit::start(config).await.expect("a fake Twikit"));
        let mut variants = catalog();
        variants.push(variant("JEWEL-A", "jewel", 4_900));
        let (orders, blobs) = (Arc::new(MemoryOrderBook::default()), Arc::new(MemoryBlobs::default()));
        let builder = Cartwright::builder()
            .catalog(Arc::new(MemoryCatalog::new(variants)))
            .order_book(orders.clone())
            .blobs(blobs.clone())
            .limits(limits)
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
        host.add_shop(shop("gems")).expect("a shop");
        let (shop, account): (ShopId, AccountId) = ("gems".parse().expect("an id"), "twikit".parse().expect("an id"));
        let webhooks = Arc::new(Mutex::new(Vec::new()));
        let receiver = Receiver {
            host: host.clone(),
            twikit: twikit.clone(),
            addresses: Arc::default(),
            receipts: Arc::default(),
            webhooks: webhooks.clone(),
        };
        let router = Router::new().route("/webhooks/{address}", post(receive)).with_state(receiver.clone());
        let base = listen(router).await;
        let jewels = Self { host, orders, blobs, shop, account, plugin, twikit, base, webhooks, receiver };
        jewels.set(json!({}), |_| {}).await;
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
            "allowed_skus": ["JEWEL-A"],
        }))
        .expect("a link");
        jewels.host.link(&jewels.shop, &[link]).await.expect("linked");
        jewels.set_webhooks("payment-verification");
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
        let mut grants = local_with_personal_data(all["api-url"].as_str().expect("an address"));
        grants.hosts.insert("scripts.twikit.example".to_owned());
        change(&mut grants);
        let setup = AccountSetup { id: self.account.clone(), settings: all, grants };
        self.host.set_account(&self.shop, self.plugin, setup).await.expect("an account");
    }

    /// Creates a webhook URL of this endpoint.
    pub fn address(&self, endpoint: &str) -> String {
        let address = WebhookToken::generate().expect("random numbers");
        let endpoint = endpoint.to_owned();
        let to = Destination { shop: self.shop.clone(), account: self.account.clone(), endpoint };
        let mut known = self.receiver.addresses.lock().expect("the addresses");
        known.insert(address.selector(), address.stored(to));
        format!("{}/webhooks/{}", self.base, *address.reveal())
    }

    /// Returns the stored webhook deliveries.
    pub fn receipts(&self) -> &MemoryWebhookDeliveryStore {
        &self.receiver.receipts
    }

    /// Sets Twikit's webhook URLs, with this endpoint's for the payment verification.
    pub fn set_webhooks(&self, verification: &str) {
        let address = |endpoint: &str| Some(self.address(endpoint));
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address(verification),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
    }

    /// Returns two pieces of a configuration that was saved as this Twikit product.
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
        added_lines(&change).remove(0)
    }

    /// Returns an order of one new jewel, which the platform knows.
    pub async fn order(&self, id: &str) -> Order {
        let order = order(&self.host, &self.shop, id, &[self.jewel("diamond-letter-jewel").await]);
        self.orders.put(&self.shop, &self.account, order.clone());
        order
    }

    pub async fn handle(&self, event: &OrderEvent, state: Option<&str>) -> Result<HandleResult, SetupError> {
        let clock = Arc::new(SimulatedClock::default());
        self.host.handle_order(&self.shop, &self.account, event, state, clock).await
    }

    pub async fn release(&self, order: &Order) -> Result<HandleResult, SetupError> {
        self.handle(&event(OrderEventKind::Released, order), None).await
    }

    /// Returns a paid order that Twikit has.
    pub async fn created(&self, id: &str) -> Order {
        let order = self.order(id).await;
        self.release(&order).await.expect("handled");
        assert_eq!(self.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
        self.webhooks.lock().expect("the list").clear();
        order
    }

    pub fn webhooks(&self) -> Vec<RecordedWebhook> {
        self.webhooks.lock().expect("the list").clone()
    }

    /// Returns the outcomes of all webhooks so far.
    pub fn outcomes(&self) -> Vec<(Option<String>, Outcome)> {
        self.webhooks().into_iter().flat_map(|webhooks| webhooks.outcomes).collect()
    }

    pub fn requests(&self) -> Vec<Received> {
        self.twikit.record().all()
    }

    /// Returns the shop's last response to a webhook.
    pub fn last_response(&self) -> Value {
        self.twikit.sent_webhooks().last().expect("a webhook").answer.clone()
    }
}
