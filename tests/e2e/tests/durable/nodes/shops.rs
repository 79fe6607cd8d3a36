//! A shop on each vendor, in a database of several nodes. The vendors outlive the nodes, and Twikit's webhooks arrive
//! here.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as At, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::types::{Order, OrderEventKind, Outcome};
use cartwright::webhook::{Destination, IncomingRequest};
use cartwright::{
    AccountId, AccountSetup, AddToCart, CartLine, Cartwright, Digest, MemoryCatalog, ProductLink, Secret, ShopId,
};
use cartwright_e2e::orders::{event, order};
use cartwright_e2e::stored::{KEY, host_secret, store_shop};
use cartwright_e2e::{World, added_lines, catalog, local_with_personal_data, members, shop, variant};
use cartwright_fake_vendors::twikit::{OrderState, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig, samples};
use cartwright_store::{
    JobFilter, JobState, JobSummary, Keyring, Lines, NewJob, RecordOutcome, SoldLine, SoldLines, Store,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A database that is deleted at the end of its test.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        Self { url, _folder: Some(folder) }
    }

    /// Returns `None` if PostgreSQL is not installed.
    pub async fn postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer")?;
        Some(Self { url: server.create_database(), _folder: None })
    }
}

/// How a node ended.
#[derive(Debug, PartialEq, Eq)]
pub enum NodeEnd {
    /// It was lost at the selected point.
    Crashed,
    /// No job could continue without a person. It passed this number of points.
    Idle(usize),
}

/// Runs a node whose clock begins this number of hours after the tests' noon.
pub async fn node(url: &str, hours: u64, lost_at: Option<usize>) -> NodeEnd {
    let noon = 1_767_268_800 + hours * 3600;
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command.args([url, "node", &noon.to_string()]).args(lost_at.map(|point| point.to_string())).stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("a node");
    if ended.status.success() {
        let passed = String::from_utf8_lossy(&ended.stdout).trim().parse().expect("a number of points");
        return NodeEnd::Idle(passed);
    }
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(lost_at.is_some() && ended.status.code().is_none(), "a node failed, {}: {stderr}", ended.status);
    NodeEnd::Crashed
}

/// Starts a node with this name, on this machine's clock.
pub fn start_node(url: &str, name: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command.args([url, name, "now"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a node")
}

/// A stored shop, with the cart that is ordered.
pub struct StoredShopTest {
    pub store: Store,
    pub url: String,
    pub host: Arc<Cartwright>,
    shop: ShopId,
    account: AccountId,
    plugin: Digest,
    cart: Vec<CartLine>,
}

impl StoredShopTest {
    /// Reports that an order of the cart is released. Returns the order and its job.
    pub async fn released(&self, id: &str) -> (Order, String) {
        let order = order(&self.host, &self.shop, id, &self.cart);
        let job = NewJob { account: self.account.clone(), plugin: self.plugin, lines: Lines::Own };
        let event = event(OrderEventKind::Released, &order);
        let lines = order.lines.iter().map(|line| line.id.clone());
        let sold: SoldLines = lines.zip(self.cart.iter().map(SoldLine::from)).collect();
        let orders = self.store.orders();
        let recorded = orders.record_sold_event(&self.shop, &event, &sold, &[job], SystemTime::UNIX_EPOCH).await;
        let Ok(RecordOutcome::New { mut jobs }) = recorded else { panic!("{recorded:?}") };
        (order, jobs.remove(0))
    }

    pub async fn state(&self, job: &str) -> JobState {
        self.store.jobs().get(job).await.expect("the job").summary.state
    }

    /// Returns all jobs.
    pub async fn jobs(&self) -> Vec<JobSummary> {
        self.store.jobs().list(&JobFilter::default(), u32::MAX).await.expect("a list")
    }

    pub async fn outcomes(&self, order: &str) -> Vec<Outcome> {
        let stored = self.store.outcomes().list(&self.shop, order).await.expect("outcomes");
        stored.into_iter().map(|stored| stored.outcome).collect()
    }
}

/// A shop whose wardrobes go to Expivi: bundle and print file.
pub struct Wardrobes {
    pub world: World,
    pub stored: StoredShopTest,
}

impl Wardrobes {
    pub async fn on(database: &Database) -> Self {
        let store = Store::open(&database.url, Keyring::new(KEY)).await.expect("a store");
        let (book, blobs) = (Arc::new(store.clone()), Arc::new(store.clone()));
        let build = |builder: cartwright::Builder| builder.order_book(book).blobs(blobs).secret(host_secret());
        let world = World::with(build, json!({ "print-files": true, "media-id": 501 })).await;
        world.expivi.set_polls(1);
        let mut cart = Vec::new();
        world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a line");
        store_shop(&store, &world.host, &world.shop, &[cartwright_bundled::EXPIVI]).await;
        let stored = StoredShopTest {
            store,
            url: database.url.clone(),
            host: world.host.clone(),
            shop: world.shop.clone(),
            account: world.account.clone(),
            plugin: world.digest,
            cart,
        };
        Self { world, stored }
    }
}

/// A shop whose jewels go to Twikit, which asks back whether they are paid.
pub struct Jewels {
    pub twikit: Arc<FakeTwikit>,
    pub stored: StoredShopTest,
}

#[derive(Clone)]
struct Receiver {
    host: Arc<Cartwright>,
    store: Store,
    shop: ShopId,
    account: AccountId,
}

async fn receive(State(to): State<Receiver>, At(endpoint): At<String>, body: Bytes) -> impl IntoResponse {
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
    let answer = to.host.receive_webhook(&destination, &incoming, &to.store).await;
    let response = answer.unwrap_or_else(|error| error.response());
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(response.status).expect("a status"), json, response.body)
}

impl Jewels {
    pub async fn on(database: &Database, settings: Value) -> Self {
        let store = Store::open(&database.url, Keyring::new(KEY)).await.expect("a store");
        let twikit = Arc::new(FakeTwikit::start(TwikitConfig::default()).await.expect("a fake Twikit"));
        let mut variants = catalog();
        variants.push(variant("JEWEL-A", "jewel", 4_900));
        let builder = Cartwright::builder()
            .catalog(Arc::new(MemoryCatalog::new(variants)))
            .order_book(Arc::new(store.clone()))
            .blobs(Arc::new(store.clone()))
            .secret(host_secret())
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
        let (id, account): (ShopId, AccountId) = ("gems".parse().expect("an id"), "twikit".parse().expect("an id"));
        host.add_shop(shop("gems")).expect("a shop");
        let mut all = members(json!({
            "integration-id": twikit.integration_id(), "payload-secret": twikit.payload_secret(),
            "api-url": twikit.api_url(), "script-url": "https://scripts.twikit.example/1/plugin.js",
            "product-keys": ["diamond-letter-jewel"],
        }));
        all.extend(members(settings));
        let setup =
            AccountSetup { id: account.clone(), settings: all, grants: local_with_personal_data(twikit.base_url()) };
        host.set_account(&id, plugin, setup).await.expect("an account");
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
            "allowed_skus": ["JEWEL-A"],
        }))
        .expect("a link");
        host.link(&id, &[link]).await.expect("linked");
        store_shop(&store, &host, &id, &[cartwright_bundled::TWIKIT]).await;
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
        let cart = added_lines(&host.add_to_cart(&id, add).await.expect("a line"));
        let receiver =
            Receiver { host: host.clone(), store: store.clone(), shop: id.clone(), account: account.clone() };
        let router = Router::new().route("/webhooks/{endpoint}", post(receive)).with_state(receiver);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let verification_url =
            format!("http://{}/webhooks/payment-verification", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        twikit.set_webhooks(Webhooks { payment_verification: Some(verification_url), ..Webhooks::default() });
        let stored = StoredShopTest { store, url: database.url.clone(), host, shop: id, account, plugin, cart };
        Self { twikit, stored }
    }

    /// Returns whether Twikit has exactly one paid order with this reference.
    pub async fn is_paid(&self, order: &Order) -> bool {
        for _ in 0..200 {
            match self.twikit.order(&order.reference).map(|order| order.state) {
                Some(OrderState::Verifying) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                state => return state == Some(OrderState::Paid),
            }
        }
        false
    }
}
