//! Twikit's webhooks with everything in a store: the queried order, the URLs, and the outcomes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::durable::{Cancel, RunEnd, RunInput};
use cartwright::types::{Order, OrderEventKind, Outcome};
use cartwright::webhook::{Destination, WebhookError, WebhookToken};
use cartwright::{
    AccountId, AccountSetup, AddToCart, Cartwright, Clock, Digest, MemoryCatalog, ProductLink, ShopId, SystemClock,
};
use cartwright_e2e::{added_lines, local_with_personal_data, members, shop, variant};
use cartwright_fake_vendors::twikit::{OrderState, Webhooks};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig};
use cartwright_store::{Keyring, Lines, NewJob, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::orders::common::{event, listen, order};
use crate::orders::jewels::post_of;

/// A shop that sells Twikit jewels.
pub struct Stored {
    pub host: Arc<Cartwright>,
    pub store: Store,
    pub twikit: Arc<FakeTwikit>,
    pub shop: ShopId,
    pub account: AccountId,
    plugin: Digest,
    /// The received queries, each with the order's state at Twikit at the time.
    verifications: Verifications,
    _folder: Option<TempDir>,
}

type Verifications = Arc<Mutex<Vec<(String, Option<OrderState>)>>>;

#[derive(Clone)]
struct Receiver {
    host: Arc<Cartwright>,
    store: Store,
    twikit: Arc<FakeTwikit>,
    verifications: Verifications,
}

async fn receive(State(receiver): State<Receiver>, Path(address): Path<String>, body: Bytes) -> impl IntoResponse {
    let named: Value = serde_json::from_slice(&body).unwrap_or_default();
    let order_state =
        named["identifier"].as_str().and_then(|named| receiver.twikit.order(named)).map(|order| order.state);
    let answered = async {
        let incoming = post_of(&body);
        let address: WebhookToken = address.parse()?;
        let known = receiver.store.webhooks().webhook_url(address.selector()).await.expect("a store");
        let to = address.resolve(known.as_ref().map(|(stored, held)| (stored, *held)), incoming.at)?;
        receiver.verifications.lock().expect("the list").push((to.endpoint.clone(), order_state));
        receiver.host.receive_webhook(&to, &incoming, &receiver.store).await
    };
    let response = answered.await.unwrap_or_else(|error: WebhookError| error.response());
    let json = [(CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(response.status).expect("a status"), json, response.body)
}

impl Stored {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        Self { _folder: Some(folder), ..Self::on(&url).await }
    }

    /// Returns such a shop on an empty database.
    pub async fn on(url: &str) -> Self {
        let store = Store::open(url, Keyring::new([7; 32])).await.expect("a store");
        let twikit = Arc::new(FakeTwikit::start(TwikitConfig::default()).await.expect("a fake Twikit"));
        let builder = Cartwright::builder()
            .catalog(Arc::new(MemoryCatalog::new(vec![variant("JEWEL-A", "jewel", 4_900)])))
            .order_book(Arc::new(store.clone()))
            .blobs(Arc::new(store.clone()))
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
        let (id, account): (ShopId, AccountId) = ("gems".parse().expect("an id"), "twikit".parse().expect("an id"));
        store.shops().save_shop(&shop("gems"), SystemTime::now()).await.expect("kept");
        host.add_shop(shop("gems")).expect("a shop");
        let verifications = Verifications::default();
        let stored = Self { host, store, twikit, shop: id, account, plugin, verifications, _folder: None };
        stored.change(json!({})).await;
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
            "allowed_skus": ["JEWEL-A"],
        }))
        .expect("a link");
        let links = [link];
        stored.store.shops().save_links(&stored.shop, &links, SystemTime::now()).await.expect("kept");
        stored.host.link(&stored.shop, &links).await.expect("linked");
        stored.listen().await;
        stored
    }

    /// Sets the account up with additional settings, and stores it.
    pub async fn change(&self, further: Value) {
        let mut settings = members(json!({
            "integration-id": self.twikit.integration_id(), "payload-secret": self.twikit.payload_secret(),
            "api-url": self.twikit.api_url(), "script-url": "https://scripts.twikit.example/1/plugin.js",
            "product-keys": ["diamond-letter-jewel"],
        }));
        settings.extend(members(further));
        let setup = AccountSetup {
            id: self.account.clone(),
            settings,
            grants: local_with_personal_data(&self.twikit.api_url()),
        };
        self.host.set_account(&self.shop, self.plugin, setup).await.expect("an account");
        for account in self.host.snapshot(&self.shop).expect("the shop").accounts {
            self.store.shops().save_account(&self.shop, &account, SystemTime::now()).await.expect("kept");
        }
    }

    async fn listen(&self) {
        let (host, store, twikit) = (self.host.clone(), self.store.clone(), self.twikit.clone());
        let receiver = Receiver { host, store, twikit, verifications: self.verifications.clone() };
        let base = listen(Router::new().route("/webhooks/{address}", post(receive)).with_state(receiver)).await;
        let address = async |endpoint: &str| {
            let made = self.store.webhooks().create_webhook_url(&self.to(endpoint), "ann", SystemTime::now()).await;
            Some(format!("{base}/webhooks/{}", *made.expect("an address").reveal()))
        };
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address("payment-verification").await,
            production_completed: address("production-completion").await,
            order_completed: address("order-completion").await,
            website_published: address("website-publication").await,
        });
    }

    pub fn to(&self, endpoint: &str) -> Destination {
        Destination { shop: self.shop.clone(), account: self.account.clone(), endpoint: endpoint.to_owned() }
    }

    /// Returns a released order with a job.
    async fn released(&self, id: &str) -> Order {
        let saved = self.twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
        let envelope = json!({
            "configurationId": saved.configuration_id, "previewUrl": null,
            "variation": { "id": "variation-jewel-a", "sku": "JEWEL-A", "price": 49.0 },
        });
        let add = AddToCart {
            product: "jewel".to_owned(),
            configuration: Some(envelope.to_string().into_bytes()),
            quantity: 1,
            ..AddToCart::default()
        };
        let line = added_lines(&self.host.add_to_cart(&self.shop, add).await.expect("a line")).remove(0);
        let order = order(&self.host, &self.shop, id, &[line]);
        let job = NewJob { account: self.account.clone(), plugin: self.plugin, lines: Lines::Own };
        let event = event(OrderEventKind::Released, &order);
        self.store.orders().record_event(&self.shop, &event, &[job], SystemTime::now()).await.expect("recorded");
        order
    }

    /// Runs the jobs that are due.
    async fn work(&self) {
        let lease = Duration::from_secs(60);
        while let Some(claim) = self.store.jobs().claim("one", SystemTime::now(), lease).await.expect("a store") {
            loop {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let journal = claim.journal.clone();
                let start = RunInput { journal, clock, wake: claim.wake, cancel: Cancel::default() };
                let run = self.host.run_job(&claim.job, start).await.expect("a run");
                self.store.jobs().finish(&claim.lease, Ok(&run.end), SystemTime::now()).await.expect("finished");
                let RunEnd::PendingRequest(waiting) = run.end else { break };
                waiting.wait().await.expect("an answer");
            }
        }
    }
}

#[tokio::test]
async fn a_verification_is_answered_from_the_stored_order_while_the_order_is_out() {
    let stored = Stored::new().await;
    let order = stored.released("1").await;
    stored.work().await;
    let verifications = stored.verifications.lock().expect("the list").clone();
    assert_eq!(verifications, [("payment-verification".to_owned(), Some(OrderState::Verifying))]);
    let reply = stored.twikit.sent_webhooks().last().expect("a webhook").answer.clone();
    assert_eq!(reply, json!({ "error": "", "success": true }));
    assert_eq!(stored.twikit.order(&order.reference).expect("an order").state, OrderState::Paid);
    let named = stored.store.outcomes().list(&stored.shop, "1").await.expect("outcomes");
    assert!(
        named.iter().any(|stored_outcome| matches!(stored_outcome.outcome, Outcome::VendorReference(_))),
        "{named:?}"
    );
}

#[tokio::test]
async fn a_status_that_is_told_again_is_answered_as_before_and_takes_effect_once() {
    let stored = Stored::new().await;
    let order = stored.released("1").await;
    stored.work().await;
    let before = stored.store.outcomes().list(&stored.shop, "1").await.expect("outcomes").len();
    for _ in 0..2 {
        let delivery = stored.twikit.production_completed(&order.reference, "", true, "").await.expect("an order");
        assert!(delivery.accepted(), "{delivery:?}");
        let reply = stored.twikit.sent_webhooks().last().expect("a webhook").answer.clone();
        assert_eq!(reply, json!({ "error": "" }));
    }
    let outcomes = stored.store.outcomes().list(&stored.shop, "1").await.expect("outcomes").split_off(before);
    assert!(matches!(&outcomes[..], [said] if matches!(said.outcome, Outcome::Production(_))), "{outcomes:?}");
    let shipped = stored.twikit.order_completed(&order.reference, "", "T-1").await.expect("an order");
    assert!(shipped.accepted(), "{shipped:?}");
    let known = stored.store.orders().get(&stored.shop, "1").await.expect("a store").expect("the order");
    assert_eq!(known.lines[0].status, "shipped");
    assert!(
        stored.store.webhooks().failed_webhook_deliveries(&stored.shop, None, 10).await.expect("a list").is_empty()
    );
}

#[tokio::test]
async fn a_notice_of_an_order_that_is_not_there_is_listed_with_its_bytes() {
    let stored = Stored::new().await;
    let body = json!({ "identifier": "test:gems:9", "url": "", "success": true, "error": "" });
    let delivery = stored.twikit.send(cartwright_fake_vendors::twikit::Webhook::ProductionCompleted, &body).await;
    assert!(!delivery.accepted(), "{delivery:?}");
    let open = stored.store.webhooks().failed_webhook_deliveries(&stored.shop, None, 10).await.expect("a list");
    let [notice, ..] = &open[..] else { panic!("nothing is listed") };
    assert_eq!(serde_json::from_slice::<Value>(&notice.request.body).expect("JSON"), body);
    assert!(notice.reason.as_ref().is_some_and(|reason| reason.contains("no such order")), "{notice:?}");
}
