//! A shop whose vendor has only webhooks, and whose order book can be unavailable, in doubt, or slow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, Method};
use cartwright::observe::GuestLine;
use cartwright::types::{Article, Order, OrderEvent, WebhookResponse};
use cartwright::webhook::{
    Destination, IncomingRequest, MemoryWebhookDeliveryStore, WebhookDeliveryStore, WebhookError,
};
use cartwright::{
    AccountId, AccountSetup, Cartwright, Digest, Grants, HandleResult, HookError, MemoryBlobs, MemoryOrderBook,
    Observer, OrderBook, PlatformError, Secret, SetupError, ShopId, SimulatedClock,
};
use cartwright_e2e::orders::order;
use cartwright_e2e::{WEBHOOKS, members, shop};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The time of all requests.
pub const NOW: u64 = 1_614_265_330;

/// The behavior of the order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderBookBehavior {
    #[default]
    Responds,
    /// It does not respond.
    Unavailable,
    /// An unknown order may exist.
    Uncertain,
    /// It does not respond to the question whether an unknown order may exist either.
    UncertainAndUnavailable,
}

pub struct FakeOrderBook {
    pub known: MemoryOrderBook,
    pub behavior: Mutex<OrderBookBehavior>,
    /// The gate that a lookup of "slow" waits for.
    pub gate: Semaphore,
    waiting: AtomicUsize,
}

impl FakeOrderBook {
    fn away() -> PlatformError {
        PlatformError("unavailable".to_owned())
    }

    fn behavior(&self) -> OrderBookBehavior {
        *self.behavior.lock().expect("the mood")
    }

    /// Waits until this number of lookups wait for the gate.
    pub async fn wait_for_waiting(&self, number: usize) {
        while self.waiting.load(Ordering::Relaxed) < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl OrderBook for FakeOrderBook {
    async fn find(&self, shop: &ShopId, account: &AccountId, reference: &str) -> Result<Option<Order>, PlatformError> {
        if reference == "slow" {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.expect("an open gate").forget();
        }
        match self.behavior() {
            OrderBookBehavior::Unavailable => Err(Self::away()),
            _ => self.known.find(shop, account, reference).await,
        }
    }

    async fn bill_of_materials(
        &self,
        shop: &ShopId,
        account: &AccountId,
        line_reference: &str,
    ) -> Result<Option<Vec<Article>>, PlatformError> {
        match self.behavior() {
            OrderBookBehavior::Unavailable => Err(Self::away()),
            _ => self.known.bill_of_materials(shop, account, line_reference).await,
        }
    }

    async fn find_by_vendor_reference(
        &self,
        shop: &ShopId,
        account: &AccountId,
        vendor_reference: &str,
    ) -> Result<Vec<String>, PlatformError> {
        match self.behavior() {
            OrderBookBehavior::Unavailable => Err(Self::away()),
            _ => self.known.find_by_vendor_reference(shop, account, vendor_reference).await,
        }
    }

    async fn may_exist(&self, _: &ShopId, _: &AccountId, _: &str) -> Result<bool, PlatformError> {
        match self.behavior() {
            OrderBookBehavior::Responds => Ok(false),
            OrderBookBehavior::Uncertain => Ok(true),
            OrderBookBehavior::Unavailable | OrderBookBehavior::UncertainAndUnavailable => Err(Self::away()),
        }
    }
}

/// The log lines of all plugins.
#[derive(Default)]
pub struct PluginLog(Mutex<Vec<String>>);

impl PluginLog {
    /// Returns all lines, each with its level and hook.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("the log").clone()
    }
}

impl Observer for PluginLog {
    fn line_logged(&self, line: &GuestLine<'_>) {
        self.0.lock().expect("the log").push(format!("{} {}: {}", line.level, line.call.hook, line.text));
    }
}

pub struct WebhookShop {
    pub host: Arc<Cartwright>,
    pub book: Arc<FakeOrderBook>,
    pub blobs: Arc<MemoryBlobs>,
    pub receipts: Arc<MemoryWebhookDeliveryStore>,
    pub shop: ShopId,
    pub account: AccountId,
    plugin: Digest,
}

impl WebhookShop {
    /// Returns a shop with the order "test:desk:1".
    pub async fn new() -> Self {
        Self::observed(Arc::default()).await
    }

    /// Returns such a shop whose plugins' log lines go to this log.
    pub async fn observed(log: Arc<PluginLog>) -> Self {
        let book = Arc::new(FakeOrderBook {
            known: MemoryOrderBook::default(),
            behavior: Mutex::default(),
            gate: Semaphore::new(0),
            waiting: AtomicUsize::new(0),
        });
        let blobs = Arc::new(MemoryBlobs::default());
        let builder = Cartwright::builder()
            .order_book(book.clone())
            .blobs(blobs.clone())
            .observer(log)
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(WEBHOOKS, None).await.expect("the plugin").digest();
        host.add_shop(shop("desk")).expect("a shop");
        let (shop, account): (ShopId, AccountId) = ("desk".parse().expect("an id"), "hooks".parse().expect("an id"));
        book.known.put(&shop, &account, order(&host, &shop, "1", &[]));
        let desk = Self { host, book, blobs, receipts: Arc::default(), shop, account, plugin };
        desk.set("", Grants::default()).await;
        desk
    }

    /// Sets the signing secret and the grants.
    pub async fn set(&self, secret: &str, grants: Grants) {
        self.change(json!({ "signing-secret": secret }), grants).await.expect("an account");
    }

    /// Changes the settings and the grants.
    pub async fn change(&self, settings: Value, grants: Grants) -> Result<(), SetupError> {
        let setup = AccountSetup { id: self.account.clone(), settings: members(settings), grants };
        self.host.set_account(&self.shop, self.plugin, setup).await
    }

    pub fn behavior(&self, behavior: OrderBookBehavior) {
        *self.book.behavior.lock().expect("the mood") = behavior;
    }

    pub fn to(&self, endpoint: &str) -> Destination {
        Destination { shop: self.shop.clone(), account: self.account.clone(), endpoint: endpoint.to_owned() }
    }

    pub async fn post(&self, endpoint: &str, body: &str) -> Result<WebhookResponse, WebhookError> {
        self.send(endpoint, &post(&[], body)).await
    }

    pub async fn send(&self, endpoint: &str, incoming: &IncomingRequest) -> Result<WebhookResponse, WebhookError> {
        self.send_to(endpoint, incoming, &*self.receipts).await
    }

    /// Sends an event to the plugin's order hook.
    pub async fn handle(&self, event: OrderEvent) -> Result<HandleResult, HookError> {
        let clock = Arc::new(SimulatedClock::default());
        match self.host.handle_order(&self.shop, &self.account, &event, None, clock).await {
            Ok(handled) => Ok(handled),
            Err(SetupError::Hook(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send_to(
        &self,
        endpoint: &str,
        incoming: &IncomingRequest,
        receipts: &dyn WebhookDeliveryStore,
    ) -> Result<WebhookResponse, WebhookError> {
        self.host.receive_webhook(&self.to(endpoint), incoming, receipts).await
    }
}

/// Returns an order with two lines.
pub fn order_with_lines(desk: &WebhookShop, id: &str) -> Order {
    let line = |number: u32| {
        json!({
            "id": number.to_string(), "reference": format!("test:desk:{id}:{number}"), "account": "hooks",
            "cart_line": {
                "key": format!("key-{number}"), "product": "ring", "variant_id": null, "sku": "RING", "quantity": 1,
                "parent_key": null, "unit_price": null, "configuration": null, "item": null, "extra": [],
            },
            "quantities": { "ordered": 1, "cancelled": 0, "refunded": 0, "shipped": 0 }, "title": "A ring",
            "display_fields": [], "configuration": null, "status": "ordered", "vendor_reference": null, "released": true,
            "total": null, "tax": "as-shop", "tax_amount": null, "extra": [],
        })
    };
    let lines = serde_json::from_value(json!([line(1), line(2)])).expect("lines");
    Order { lines, ..order(&desk.host, &desk.shop, id, &[]) }
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub fn post(headers: &[(&str, &str)], body: &str) -> IncomingRequest {
    let pair = |(name, value): &(&str, &str)| {
        let name: HeaderName = name.parse().expect("a header name");
        (name, value.parse().expect("a header's value"))
    };
    IncomingRequest {
        method: Method::POST,
        url: Secret::new("http://127.0.0.1/webhooks/token"),
        headers: headers.iter().map(pair).collect::<HeaderMap>(),
        query: String::new(),
        body: body.to_owned().into(),
        from: None,
        at: at(NOW),
    }
}

pub fn text(response: &WebhookResponse) -> String {
    String::from_utf8(response.body.clone()).expect("text")
}
