//! Orders and webhooks, with the vendors' plugins and strict fakes: what a vendor is sent, what each answer comes to, and what
//! never leaves the host.
//!
//! Runs are not journalled yet, so that what a run said before it failed is lost, and each request counts as the first.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use cartwright::types::{
    Address, BytesSource, Document, Error, Event, EventKind, LineStatus, Money, Next, Order, Outcome, Production,
    RememberedText, Setting, SettingValue, Shipment, WebhookRequest,
};
use cartwright::{
    AccountId, AccountSetup, AddToCart, Blobs, CartLine, Cartwright, Digest, Failure, Grants, Handled, Limits, Link,
    MemoryBlobs, MemoryCatalogue, MemoryOrderBook, SetupError, ShopId, SimulatedClock, Visitor,
};
use cartwright_e2e::{World, added, catalogue, local, members, shop, variant};
use cartwright_fake_vendors::expivi::{ConversionOutcome, FilesShape};
use cartwright_fake_vendors::twikit::{Call, ForcedResult, OrderState, Webhook, Webhooks};
use cartwright_fake_vendors::{
    ExpiviConfig, FakeExpivi, FakeTwikit, Malformed, Outage, Received, TwikitConfig, client, payload_hash, samples,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

// ---- What both vendors share

fn address(name: &str, city: &str) -> Address {
    Address {
        first_name: name.to_owned(),
        last_name: "Sample \\ \u{1F48D}/".to_owned(),
        email: format!("{}@example.com", city.to_lowercase()),
        line1: "Sample Street 1".to_owned(),
        line2: None,
        zip: "1000".to_owned(),
        city: city.to_owned(),
        country: "BE".to_owned(),
        company: None,
        vat: None,
        phone: None,
    }
}

/// An order of these lines, paid in full and approved: the shopper is in Ghent, the shop in Bruges.
fn order(host: &Cartwright, shop: &ShopId, id: &str, lines: &[CartLine]) -> Order {
    let lines = lines.iter().filter(|line| line.parent.is_none()).enumerate();
    let lines: Vec<_> =
        lines.map(|(index, line)| host.order_line(shop, id, &format!("{}", index + 1), line, true, true)).collect();
    Order {
        id: id.to_owned(),
        reference: host.reference(shop, id, None),
        version: 1,
        placed_at: "2026-01-01T12:00:00Z".to_owned(),
        payment: "full".to_owned(),
        released: true,
        cancelled: false,
        total: Money { minor: 9_800, scale: 2, currency: "EUR".to_owned() },
        billing: Some(address("Zoë \"Z\"", "Ghent")),
        delivery: Some(address("Zoë \"Z\"", "Ghent")),
        shop_address: Some(address("Shop", "Bruges")),
        lines,
        extra: Vec::new(),
    }
}

fn event(kind: EventKind, order: &Order) -> Event {
    Event {
        id: format!("{}-{kind:?}", order.id),
        at: "2026-01-01T12:00:00Z".to_owned(),
        kind,
        order: order.clone(),
        earlier: Vec::new(),
        remembered: Vec::new(),
        extra: Vec::new(),
    }
}

/// The contract's error that a plugin answered with.
fn answered(error: &SetupError) -> &Error {
    let SetupError::Hook(hook) = error else { panic!("{error}") };
    let Failure::Answered(answered) = &hook.failure else { panic!("{error}") };
    answered
}

fn is_unavailable(error: &SetupError) -> bool {
    matches!(answered(error), Error::Unavailable(_))
}

/// What a person at the shop is asked about, by key.
fn asked(outcomes: &[Outcome]) -> Vec<&str> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::NeedsMerchant(message) => Some(message.key.as_str()),
        _ => None,
    });
    found.collect()
}

fn noted(outcomes: &[Outcome]) -> Vec<&str> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Note(message) => Some(message.key.as_str()),
        _ => None,
    });
    found.collect()
}

fn documents(outcomes: &[Outcome]) -> Vec<&Document> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Document(document) => Some(document),
        _ => None,
    });
    found.collect()
}

/// Ids of lines, with the vendor's ids for them.
fn references(outcomes: &[Outcome]) -> Vec<(Option<&str>, &str)> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::VendorReference(named) => Some((named.line.as_deref(), named.reference.as_str())),
        _ => None,
    });
    found.collect()
}

fn remembered<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<RememberedText> {
    let memory = |outcome: &Outcome| match outcome {
        Outcome::Remember(memory) => Some(memory.clone()),
        _ => None,
    };
    outcomes.into_iter().filter_map(memory).collect()
}

fn made(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome, Outcome::Production(_) | Outcome::LineStatus(_)))
}

/// Everything that a run says, as it would be stored or printed.
fn told(result: &Result<Handled, SetupError>) -> String {
    match result {
        Ok(handled) => {
            let outcomes = serde_json::to_string(&handled.outcomes).expect("JSON");
            let log = serde_json::to_string(&handled.log).expect("JSON");
            format!("{outcomes} {log} {handled:?}")
        }
        Err(error) => format!("{error} {error:?}"),
    }
}

async fn blob(blobs: &MemoryBlobs, shop: &ShopId, document: &Document) -> Vec<u8> {
    let BytesSource::Stored(digest) = &document.content else { panic!("{document:?}") };
    let digest: Digest = digest.parse().expect("a digest");
    blobs.get(shop, &digest).await.expect("a store").expect("the blob")
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}/", listener.local_addr().expect("an address"))
}

// ---- Twikit: a shop that sells jewels, and its webhooks' addresses

/// A webhook as the shop answered it.
#[derive(Debug, Clone)]
struct Heard {
    endpoint: String,
    /// Where the order that it names stood at Twikit's when it came.
    stood: Option<OrderState>,
    outcomes: Vec<(Option<String>, Outcome)>,
}

struct Receiver {
    host: Arc<Cartwright>,
    shop: ShopId,
    account: AccountId,
    twikit: Arc<FakeTwikit>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path(endpoint): Path<String>,
    body: Bytes,
) -> impl IntoResponse {
    let named: Value = serde_json::from_slice(&body).unwrap_or_default();
    let stood = named["identifier"].as_str().and_then(|named| receiver.twikit.order(named)).map(|order| order.state);
    let request = post_of(&body);
    let answer = receiver.host.receive_webhook(&receiver.shop, &receiver.account, &endpoint, &request).await;
    let json = [(CONTENT_TYPE, "application/json")];
    let Ok(received) = answer else { return (StatusCode::INTERNAL_SERVER_ERROR, json, Vec::new()) };
    receiver.heard.lock().expect("the list").push(Heard { endpoint, stood, outcomes: received.outcomes });
    (StatusCode::from_u16(received.response.status).expect("a status"), json, received.response.body)
}

fn post_of(body: &[u8]) -> WebhookRequest {
    WebhookRequest { method: "POST".to_owned(), headers: Vec::new(), query: String::new(), body: body.to_vec() }
}

struct Jewels {
    host: Arc<Cartwright>,
    orders: Arc<MemoryOrderBook>,
    blobs: Arc<MemoryBlobs>,
    shop: ShopId,
    account: AccountId,
    plugin: Digest,
    twikit: Arc<FakeTwikit>,
    /// Where the shop listens.
    base: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Jewels {
    async fn new() -> Self {
        Self::with(TwikitConfig::default(), Limits::default()).await
    }

    async fn with(config: TwikitConfig, limits: Limits) -> Self {
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
            shop: shop.clone(),
            account: account.clone(),
            twikit: twikit.clone(),
            heard: heard.clone(),
        };
        let router = Router::new().route("/webhooks/{endpoint}", post(receive)).with_state(Arc::new(receiver));
        let base = listen(router).await;
        let jewels = Self { host, orders, blobs, shop, account, plugin, twikit, base, heard };
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
    async fn set(&self, settings: Value, change: impl FnOnce(&mut Grants)) {
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

    /// Gives Twikit the shop's addresses, with this path for the payment verification.
    fn hooks(&self, verification: &str) {
        let address = |endpoint: &str| Some(format!("{}/webhooks/{endpoint}", self.base));
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address(verification),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
    }

    /// Two pieces of a configuration, saved as this product of Twikit's.
    async fn jewel(&self, product_key: &str) -> CartLine {
        let saved = self.twikit.save_configuration(product_key, "JEWEL-A", 49.0);
        self.jewel_of(saved.configuration_id).await
    }

    async fn jewel_of(&self, configuration: u64) -> CartLine {
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
    async fn order(&self, id: &str) -> Order {
        let order = order(&self.host, &self.shop, id, &[self.jewel("diamond-letter-jewel").await]);
        self.orders.put(&self.shop, &self.account, order.clone());
        order
    }

    async fn handle(&self, event: &Event, state: Option<&str>) -> Result<Handled, SetupError> {
        let clock = Arc::new(SimulatedClock::default());
        self.host.handle_order(&self.shop, &self.account, event, state, clock).await
    }

    async fn release(&self, order: &Order) -> Result<Handled, SetupError> {
        self.handle(&event(EventKind::Released, order), None).await
    }

    /// An order that Twikit has and is paid for.
    async fn created(&self, id: &str) -> Order {
        let order = self.order(id).await;
        self.release(&order).await.expect("handled");
        assert_eq!(self.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
        self.heard.lock().expect("the list").clear();
        order
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("the list").clone()
    }

    /// What the webhooks so far said about orders.
    fn outcomes(&self) -> Vec<(Option<String>, Outcome)> {
        self.heard().into_iter().flat_map(|heard| heard.outcomes).collect()
    }

    fn sent(&self) -> Vec<Received> {
        self.twikit.record().all()
    }

    /// The shop's last answer to a webhook.
    fn replied(&self) -> Value {
        self.twikit.sent_webhooks().last().expect("a webhook").answer.clone()
    }
}

#[tokio::test]
async fn an_order_is_hashed_over_its_exact_bytes_and_verified_while_it_is_out() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let sent = jewels.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].path, "/api/v1/orders/integration-1");
    let body = sent[0].json();
    let payload = body["orderPayload"].as_str().expect("a text");
    assert_eq!(body, json!({ "orderPayload": payload, "hash": payload_hash(payload, "payload-secret") }));
    let payload: Value = serde_json::from_str(payload).expect("JSON");
    let configuration = payload["items"][0]["configurationId"].clone();
    assert_eq!(
        payload["items"],
        json!([{ "configurationId": configuration, "amount": 2, "identifier": "test:gems:1:1" }])
    );
    assert_eq!(
        configuration.to_string(),
        order.lines[0].line.item.as_ref().expect("an item").reference.clone().expect("an id")
    );
    assert_eq!(payload["identifier"], "test:gems:1");
    assert_eq!(payload["deliveryAddress"]["firstName"], "Zoë \"Z\"");
    assert_eq!(payload["deliveryAddress"]["city"], "Ghent");
    assert_eq!(payload["billingAddress"]["city"], "Bruges");
    assert_eq!(jewels.twikit.order("test:gems:1").expect("the order").state, OrderState::Paid);

    let heard = jewels.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].endpoint, "payment-verification");
    assert_eq!(heard[0].stood, Some(OrderState::Verifying), "the question came before or after the order");
    assert_eq!(jewels.replied(), json!({ "error": "", "success": true }));

    let (line, whole) = ((Some("1"), "test:gems:1"), (None, "test:gems:1"));
    assert_eq!(references(&handled.outcomes), [line, whole]);
    let queued = Production { line: None, state: "queued".to_owned(), detail: None, expected: None };
    assert!(handled.outcomes.contains(&Outcome::Production(queued)), "{:?}", handled.outcomes);
    let status = LineStatus { line: "1".to_owned(), status: "in-production".to_owned() };
    assert!(handled.outcomes.contains(&Outcome::LineStatus(status)), "{:?}", handled.outcomes);
    assert_eq!(asked(&handled.outcomes), [""; 0]);
}

#[tokio::test]
async fn a_twikit_that_did_not_ask_is_noted_by_a_later_run() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let Next::Again(later) = &handled.next else { panic!("{:?}", handled.next) };
    assert_eq!((later.seconds, later.state.as_str()), (2, "confirm test:gems:1"));
    let mut again = event(EventKind::Released, &order);
    again.remembered = remembered(&handled.outcomes);
    let unasked = jewels.handle(&again, Some(&later.state)).await.expect("handled");
    assert_eq!((noted(&unasked.outcomes), unasked.next), (vec!["no-verification"], Next::Done));
    let heard = jewels.outcomes();
    again.remembered.extend(remembered(heard.iter().map(|(_, outcome)| outcome)));
    let fine = jewels.handle(&again, Some(&later.state)).await.expect("handled");
    assert_eq!((fine.outcomes, fine.next), (vec![], Next::Done));
    assert_eq!(jewels.sent().len(), 1);
}

#[tokio::test]
async fn an_order_that_the_shop_does_not_know_is_declared_invalid() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel("diamond-letter-jewel").await]);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.replied(), json!({ "error": "", "success": false }));
    assert_eq!(jewels.twikit.ignored_orders(), ["test:gems:1"]);
    assert_eq!(asked(&handled.outcomes), ["verification-failed"]);
    assert!(!made(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn an_order_that_is_not_released_any_more_is_declared_invalid() {
    type Change = fn(&mut Order);
    let changes: [Change; 4] = [
        |order| order.released = false,
        |order| order.cancelled = true,
        |order| order.lines[0].released = false,
        |order| order.lines[0].status = "cancelled".to_owned(),
    ];
    let jewels = Jewels::new().await;
    for (number, change) in changes.into_iter().enumerate() {
        let order = jewels.order(&format!("{number}")).await;
        let mut now = order.clone();
        change(&mut now);
        jewels.orders.put(&jewels.shop, &jewels.account, now);
        let handled = jewels.release(&order).await.expect("handled");
        assert_eq!(jewels.replied(), json!({ "error": "", "success": false }), "{number}");
        assert_eq!(jewels.twikit.order(&order.reference), None);
        assert_eq!(asked(&handled.outcomes), ["verification-failed"], "{number}");
        assert!(!made(&handled.outcomes), "{:?}", handled.outcomes);
    }
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(remembered(&outcomes), [], "an order that was declined is remembered as verified");
}

#[tokio::test]
async fn a_verification_address_that_does_not_work_makes_an_order_unhealthy() {
    let jewels = Jewels::new().await;
    for (id, broken) in [("1", None), ("2", Some("no-such-endpoint")), ("3", Some("production-completion"))] {
        let order = jewels.order(id).await;
        match broken {
            Some(path) => jewels.hooks(path),
            None => {
                let payment_verification = Some(nowhere().await);
                jewels.twikit.set_webhooks(Webhooks { payment_verification, ..Webhooks::default() });
            }
        }
        let handled = jewels.release(&order).await.expect("handled");
        let state = jewels.twikit.order(&order.reference).expect("the order").state;
        assert!(matches!(state, OrderState::Unhealthy(_)), "{id} {state:?}");
        assert_eq!(asked(&handled.outcomes), ["order-unhealthy"], "{id}");
        assert_eq!(handled.next, Next::Done);
        assert!(!made(&handled.outcomes), "{:?}", handled.outcomes);
        // Twikit has it all the same: another event must not send it once more.
        let mut again = event(EventKind::Released, &order);
        again.remembered = remembered(&handled.outcomes);
        let before = jewels.sent().len();
        let quiet = jewels.handle(&again, None).await.expect("handled");
        assert_eq!((quiet.outcomes, jewels.sent().len()), (vec![], before));
    }
}

#[tokio::test]
async fn an_identifier_that_somebody_else_used_is_never_taken_for_ours() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let theirs = jewels.twikit.save_configuration("pendant", "PENDANT", 1.0);
    let person = json!({
        "firstName": "An", "lastName": "Other", "email": "an@other.example", "addressLine1": "Elsewhere 1",
        "zip": "1", "city": "Mons", "countryIso": "BE",
    });
    let payload = json!({
        "items": [{ "configurationId": theirs.configuration_id, "amount": 9, "identifier": "theirs" }],
        "identifier": order.reference, "billingAddress": person, "deliveryAddress": person, "data": null,
    })
    .to_string();
    jewels.twikit.set_webhooks(Webhooks::default());
    let hash = payload_hash(&payload, jewels.twikit.payload_secret());
    let body = json!({ "orderPayload": payload, "hash": hash });
    let reply = client::post_json(&jewels.twikit.orders_url(), &[], &body).await.expect("a reply");
    assert_eq!(reply.json()["resultCode"], 1);
    jewels.hooks("payment-verification");
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["identifier-exists"]);
    assert!(!made(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(handled.next, Next::Done);
    assert_eq!(jewels.heard().len(), 0);
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn a_configuration_that_twikit_does_not_know_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel_of(4_711).await]);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["configuration-not-found"]);
    assert!(told(&Ok(handled)).contains("4711"), "the merchant is not told which");
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn a_wrong_payload_secret_names_its_setting() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "payload-secret": "another secret" }), |_| {}).await;
    let order = jewels.order("1").await;
    let error = jewels.release(&order).await.expect_err("refused");
    assert!(matches!(answered(&error), Error::NotConfigured(issue) if issue.field == "payload-secret"), "{error}");
    assert_eq!(jewels.twikit.orders(), []);
    // The right one mends it.
    jewels.set(json!({}), |_| {}).await;
    jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn an_integration_that_twikit_does_not_have_needs_the_merchant() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "integration-id": "another" }), |_| {}).await;
    let order = jewels.order("1").await;
    // The fake answers 404 with the catch-all code, so that the code is what counts.
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["unexpected-error"]);
    assert!(!made(&handled.outcomes));
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn a_twikit_that_is_away_is_asked_again_when_it_says_so() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().outage(Outage::Unavailable { retry_after: Some("7".to_owned()) });
    let error = jewels.release(&order).await.expect_err("away");
    assert!(matches!(answered(&error), Error::Unavailable(outage) if outage.retry_after_seconds == Some(7)), "{error}");
    jewels.twikit.faults().outage(Outage::Dropped);
    let error = jewels.release(&order).await.expect_err("away");
    assert!(matches!(answered(&error), Error::Unavailable(outage) if outage.retry_after_seconds.is_none()), "{error}");
    jewels.twikit.faults().recover();
    jewels.twikit.faults().limit(1, Some("3"));
    let error = jewels.release(&order).await.expect_err("limited");
    assert!(matches!(answered(&error), Error::Unavailable(outage) if outage.retry_after_seconds == Some(3)), "{error}");
    jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
}

#[tokio::test]
async fn a_garbled_answer_is_never_taken_for_a_created_order() {
    let jewels = Jewels::new().await;
    for (id, how) in [("1", Malformed::Truncated), ("2", Malformed::Html), ("3", Malformed::WrongTypes)] {
        let order = jewels.order(id).await;
        jewels.twikit.faults().malform(how, 1);
        let error = jewels.release(&order).await.expect_err("garbled");
        assert!(is_unavailable(&error), "{how:?}: {error}");
    }
}

#[tokio::test]
async fn a_result_that_is_not_documented_is_told_with_its_number() {
    let jewels = Jewels::new().await;
    let force = |status, code| {
        let (name, message) = ("Newer".to_owned(), "Something new.".to_owned());
        jewels.twikit.force_result(Call::Order, ForcedResult { status, code, name, message });
    };
    let order = jewels.order("1").await;
    force(400, 42);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["unknown-result"]);
    assert!(told(&Ok(handled)).contains("42 Newer Something new."));
    force(500, 0);
    assert!(is_unavailable(&jewels.release(&order).await.expect_err("code 0")));
    for code in [4, 7, 8] {
        force(400, code);
        let error = jewels.release(&order).await.expect_err("refused");
        assert!(matches!(answered(&error), Error::Rejected(_)), "{code}: {error}");
    }
    assert_eq!(jewels.twikit.orders(), []);
}

#[tokio::test]
async fn after_a_lost_reply_a_run_without_a_journal_asks_the_merchant_and_makes_no_second_order() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().lose_replies(1);
    let error = jewels.release(&order).await.expect_err("no reply");
    assert!(is_unavailable(&error), "{error}");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").state, OrderState::Paid);
    // Only a journal knows that the first request may have arrived. Until there is one, a person looks.
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["identifier-exists"]);
    assert!(!made(&handled.outcomes), "{:?}", handled.outcomes);
    assert_eq!(jewels.twikit.orders().len(), 1);
}

#[tokio::test]
async fn lines_without_a_configuration_id_are_not_sent() {
    let jewels = Jewels::new().await;
    let mut order = jewels.order("1").await;
    let mut bare = order.lines[0].clone();
    bare.id = "2".to_owned();
    bare.reference = "test:gems:1:2".to_owned();
    bare.line.item.as_mut().expect("an item").reference = None;
    let mut itemless = bare.clone();
    (itemless.id, itemless.line.item) = ("3".to_owned(), None);
    let configured = std::mem::replace(&mut order.lines, vec![bare, itemless]);
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!((handled.outcomes, handled.next, jewels.sent().len()), (vec![], Next::Done, 0));
    // Beside one that has an id they are left out, and only that one is said to be made.
    order.lines.extend(configured);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!(jewels.twikit.order(&order.reference).expect("the order").items.len(), 1);
    let queued = Production { line: Some("1".to_owned()), state: "queued".to_owned(), detail: None, expected: None };
    assert!(handled.outcomes.contains(&Outcome::Production(queued)), "{:?}", handled.outcomes);
}

#[tokio::test]
async fn held_lines_are_noted_and_not_sent() {
    let jewels = Jewels::new().await;
    let mut order = jewels.order("1").await;
    order.lines[0].released = false;
    let handled = jewels.release(&order).await.expect("handled");
    assert_eq!((noted(&handled.outcomes), jewels.sent().len()), (vec!["lines-held"], 0));
}

#[tokio::test]
async fn a_shoppers_address_is_only_given_to_a_plugin_with_the_grant() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    jewels.set(json!({}), |grants| grants.personal_data = false).await;
    let refused = jewels.release(&order).await;
    let error = refused.as_ref().expect_err("no address");
    assert!(matches!(answered(error), Error::NotConfigured(issue) if issue.field == "delivery"), "{error}");
    assert!(!told(&refused).to_lowercase().contains("ghent"));
    assert_eq!(jewels.sent().len(), 0);
    jewels.set(json!({ "delivery": "shop" }), |grants| grants.personal_data = false).await;
    let handled = jewels.release(&order).await;
    let text = String::from_utf8(jewels.sent()[0].body.clone()).expect("text").to_lowercase();
    assert!(text.contains("bruges") && !text.contains("ghent") && !text.contains("zoë"), "{text}");
    assert!(!told(&handled).to_lowercase().contains("ghent"));
}

#[tokio::test]
async fn an_export_becomes_a_stored_document_of_exactly_the_vendors_bytes() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let order = jewels.order("1").await;
    let handled = jewels.release(&order).await.expect("handled");
    let documents = documents(&handled.outcomes);
    let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
    assert_eq!(document.line.as_deref(), Some("1"));
    assert_eq!((document.kind.as_str(), document.media_type.as_str()), ("production-file", "application/zip"));
    let stored = blob(&jewels.blobs, &jewels.shop, document).await;
    let internal = jewels.twikit.internal_orders();
    assert_eq!(internal.len(), 1);
    assert_eq!(internal[0].amount, 2);
    // The same export again differs only in the number of its order: every byte else is the fake's.
    let sent = jewels.sent()[0].json();
    let again = client::post_json(&jewels.twikit.export_url(), &[], &sent).await.expect("a reply");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(text(&stored).contains(&format!("order {}", internal[0].number)));
    assert_eq!(stored.len(), again.body.len());
    assert!(stored.starts_with(b"PK\x03\x04"));
    assert_eq!(document.content, BytesSource::Stored(Digest::of(&stored).to_string()));
    // Another event of the order does not fetch it again: that would be another order at Twikit's.
    let mut later = event(EventKind::Released, &order);
    later.remembered = remembered(&handled.outcomes);
    jewels.handle(&later, None).await.expect("handled");
    assert_eq!(jewels.twikit.internal_orders().len(), 2);
}

#[tokio::test]
async fn a_large_export_never_passes_through_the_guest() {
    // A guest is given at most 64 kB here, so that the file could not get through it.
    let limits = Limits { bytes_in: 64 << 10, ..Limits::default() };
    let jewels = Jewels::with(TwikitConfig::default(), limits).await;
    let order = jewels.order("1").await;
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend((0..300_000_u32).map(|number| (number % 251) as u8));
    let file = zip.clone();
    let export = move || async move { ([(CONTENT_TYPE, "application/zip")], file) };
    let base = listen(Router::new().route("/configuration/integration-1/export", post(export))).await;
    jewels.set(json!({ "fulfilment": "export", "api-url": base }), |_| {}).await;
    let handled = jewels.release(&order).await.expect("handled");
    let documents = documents(&handled.outcomes);
    let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
    assert_eq!(blob(&jewels.blobs, &jewels.shop, document).await, zip);
}

#[tokio::test]
async fn an_export_that_fails_is_not_a_document() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let unknown = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel_of(4_711).await]);
    let handled = jewels.release(&unknown).await.expect("handled");
    assert_eq!((asked(&handled.outcomes), documents(&handled.outcomes).len()), (vec!["export-refused"], 0));
    for (id, how) in [("2", Malformed::Html), ("3", Malformed::WrongTypes)] {
        let order = jewels.order(id).await;
        jewels.twikit.faults().malform(how, 1);
        let handled = jewels.release(&order).await.expect("handled");
        assert_eq!((asked(&handled.outcomes), documents(&handled.outcomes).len()), (vec!["export-unsure"], 0), "{id}");
    }
    jewels.set(json!({ "fulfilment": "export", "payload-secret": "another secret" }), |_| {}).await;
    let order = jewels.order("4").await;
    let error = jewels.release(&order).await.expect_err("refused");
    assert!(matches!(answered(&error), Error::NotConfigured(issue) if issue.field == "payload-secret"), "{error}");
}

#[tokio::test]
async fn a_line_that_is_released_later_is_an_order_of_its_own() {
    let jewels = Jewels::new().await;
    let cart = [jewels.jewel("diamond-letter-jewel").await, jewels.jewel("diamond-letter-jewel").await];
    let mut order = order(&jewels.host, &jewels.shop, "1", &cart);
    order.lines[1].released = false;
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let first = jewels.release(&order).await.expect("handled");
    assert_eq!(noted(&first.outcomes), ["lines-held"]);
    order.lines[0].vendor_reference = Some(order.reference.clone());
    order.lines[1].released = true;
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    let mut later = event(EventKind::Released, &order);
    later.remembered = remembered(&first.outcomes);
    let second = jewels.handle(&later, None).await.expect("handled");
    assert_eq!(asked(&second.outcomes), [""; 0]);
    let orders = jewels.twikit.orders();
    let parts: Vec<_> =
        orders.iter().map(|order| (order.identifier.as_str(), &order.items[..], &order.state)).collect();
    let [("test:gems:1", [first], OrderState::Paid), (named, [second], OrderState::Paid)] = parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!(named, "test:gems:1:2~order");
    assert_eq!((first.identifier.as_str(), second.identifier.as_str()), ("test:gems:1:1", "test:gems:1:2"));
    // What Twikit says about the later part is about its line only.
    jewels.heard.lock().expect("the list").clear();
    jewels.orders.put(&jewels.shop, &jewels.account, {
        order.lines[1].vendor_reference = Some(named.to_owned());
        order.clone()
    });
    jewels.twikit.production_completed(named, "", true, "").await.expect("an order");
    let done = Production { line: Some("2".to_owned()), state: "done".to_owned(), detail: None, expected: None };
    assert_eq!(jewels.outcomes(), [(Some(order.reference), Outcome::Production(done))]);
}

#[tokio::test]
async fn what_comes_too_late_for_twikit_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = jewels.order("1").await;
    let refunded = EventKind::Refunded(vec!["1".to_owned()]);
    let kinds = [EventKind::Cancelled, refunded, EventKind::Erase, EventKind::Changed];
    for kind in &kinds {
        let early = jewels.handle(&event(kind.clone(), &order), None).await.expect("handled");
        assert_eq!(early.outcomes, [], "{kind:?}");
    }
    let handled = jewels.release(&order).await.expect("handled");
    let mut now = order.clone();
    now.lines[0].line.quantity += 1;
    let keys = ["too-late", "too-late", "erase-at-vendor", "changed-too-late"];
    for (kind, key) in kinds.into_iter().zip(keys) {
        let mut late = event(kind, &now);
        late.remembered = remembered(&handled.outcomes);
        assert_eq!(asked(&jewels.handle(&late, None).await.expect("handled").outcomes), [key]);
    }
    assert_eq!(jewels.sent().len(), 1);
}

#[tokio::test]
async fn the_end_of_production_is_told() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let reference = order.reference.as_str();
    let delivery =
        jewels.twikit.production_completed(reference, "https://track.example/1", true, "").await.expect("an order");
    assert!(delivery.accepted());
    assert_eq!(jewels.replied(), json!({ "error": "" }));
    let production = |state: &str, detail: &str| {
        let (state, detail) = (state.to_owned(), Some(detail.to_owned()));
        Outcome::Production(Production { line: None, state, detail, expected: None })
    };
    let about = |outcome| (Some(reference.to_owned()), outcome);
    assert_eq!(jewels.outcomes(), [about(production("done", "https://track.example/1"))]);
    jewels.heard.lock().expect("the list").clear();
    jewels.twikit.production_completed(reference, "", false, "The gold ran out").await.expect("an order");
    assert_eq!(jewels.replied(), json!({ "error": "" }));
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes[0], production("failed", "The gold ran out"));
    assert_eq!(asked(&outcomes), ["production-failed"]);
}

#[tokio::test]
async fn a_completed_order_is_a_shipment_with_lines() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let delivery =
        jewels.twikit.order_completed(&order.reference, "https://track.example/1", "T-1").await.expect("an order");
    assert!(delivery.accepted());
    assert_eq!(jewels.replied(), json!({ "error": "" }));
    let about = |outcome| (Some(order.reference.clone()), outcome);
    let status =
        |status: &str| about(Outcome::LineStatus(LineStatus { line: "1".to_owned(), status: status.to_owned() }));
    let shipment = |url: Option<&str>, id: Option<&str>| {
        let (tracking_url, tracking_id) = (url.map(str::to_owned), id.map(str::to_owned));
        about(Outcome::Shipment(Shipment { lines: Vec::new(), tracking_url, tracking_id }))
    };
    assert_eq!(jewels.outcomes(), [shipment(Some("https://track.example/1"), Some("T-1")), status("shipped")]);
    // A link that a browser would run is not handed to a shopper.
    jewels.heard.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "javascript:alert(1)", "T-1").await.expect("an order");
    assert_eq!(jewels.outcomes(), [shipment(None, Some("T-1")), status("shipped")]);
    jewels.heard.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "").await.expect("an order");
    assert_eq!(jewels.outcomes(), [status("ready")]);
    // What goes to the shop first is not on its way to the shopper.
    jewels.set(json!({ "delivery": "shop" }), |_| {}).await;
    jewels.heard.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "T-1").await.expect("an order");
    assert_eq!(jewels.outcomes(), [shipment(None, Some("T-1")), status("ready")]);
}

#[tokio::test]
async fn a_configuration_of_another_product_than_was_sold_needs_the_merchant() {
    let jewels = Jewels::new().await;
    let order = order(&jewels.host, &jewels.shop, "1", &[jewels.jewel("pendant").await]);
    jewels.orders.put(&jewels.shop, &jewels.account, order.clone());
    jewels.release(&order).await.expect("handled");
    jewels.heard.lock().expect("the list").clear();
    jewels.twikit.order_completed(&order.reference, "", "").await.expect("an order");
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(asked(&outcomes), ["other-product"]);
}

#[tokio::test]
async fn a_published_script_is_pushed_as_settings_and_never_over_plain_http() {
    let jewels = Jewels::new().await;
    jewels.hooks("payment-verification");
    let delivery =
        jewels.twikit.website_published("https://scripts.twikit.example/2/plugin.js", &["a", "b", "a"]).await;
    assert!(delivery.accepted(), "{delivery:?}");
    assert_eq!(jewels.replied(), json!({ "error": "" }));
    let push = vec![
        Setting {
            name: "script-url".to_owned(),
            value: SettingValue::Text("https://scripts.twikit.example/2/plugin.js".to_owned()),
        },
        Setting { name: "product-keys".to_owned(), value: SettingValue::Texts(vec!["a".to_owned(), "b".to_owned()]) },
    ];
    assert_eq!(jewels.outcomes(), [(None, Outcome::PushSettings(push))]);
    jewels.heard.lock().expect("the list").clear();
    for bad in ["http://scripts.twikit.example/2/plugin.js", "javascript:alert(1)", "//scripts.example/a.js", ""] {
        let delivery = jewels.twikit.website_published(bad, &["a"]).await;
        assert!(!delivery.accepted(), "{bad}");
        let reply = jewels.replied();
        assert!(reply["error"].as_str().is_some_and(|error| error.contains("scriptUrl")), "{bad}: {reply}");
    }
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn webhooks_about_orders_that_are_not_this_accounts_are_refused() {
    let jewels = Jewels::new().await;
    let mine = jewels.created("1").await;
    // An order of the shop that another account makes.
    let other = order(&jewels.host, &jewels.shop, "2", &[jewels.jewel("diamond-letter-jewel").await]);
    jewels.orders.put(&jewels.shop, &"another".parse().expect("an id"), other.clone());
    for identifier in [other.reference.as_str(), "test:gems:9999", "test:other:1", "test:gems:1:1~order~order"] {
        let done = json!({ "identifier": identifier, "url": "", "success": true, "error": "" });
        let completed = json!({ "identifier": identifier, "trackingUrl": "", "trackingId": "", "lineItems": [] });
        for (webhook, body) in [(Webhook::ProductionCompleted, done), (Webhook::OrderCompleted, completed)] {
            let delivery = jewels.twikit.send(webhook, &body).await;
            assert!(!delivery.accepted(), "{body}");
            assert_eq!(jewels.replied(), json!({ "error": "This shop has no such order." }));
        }
        let question = json!({ "identifier": identifier, "configurationIds": [81_201] });
        jewels.twikit.send(Webhook::PaymentVerification, &question).await;
        assert_ne!(jewels.replied()["success"], true, "{identifier}");
    }
    let configuration = mine.lines[0].line.item.as_ref().expect("an item").reference.as_ref().expect("an id");
    let configuration: u64 = configuration.parse().expect("an id");
    for (line, named) in [("test:gems:1:9", configuration), ("test:gems:1:1", configuration + 1)] {
        let body = json!({
            "identifier": mine.reference, "trackingUrl": "https://track.example/1", "trackingId": "T",
            "lineItems": [{
                "identifier": line, "configurationId": named, "previewUrl": "", "productKey": "diamond-letter-jewel",
                "amount": 2,
            }],
        });
        let delivery = jewels.twikit.send(Webhook::OrderCompleted, &body).await;
        assert!(!delivery.accepted(), "{body}");
    }
    assert_eq!(jewels.outcomes(), []);
}

#[tokio::test]
async fn a_verification_that_names_other_configurations_is_told_no() {
    let jewels = Jewels::new().await;
    let order = jewels.created("1").await;
    let configuration: u64 =
        order.lines[0].line.item.as_ref().expect("an item").reference.as_ref().expect("an id").parse().expect("an id");
    for ids in [json!([]), json!([1]), json!([configuration, configuration]), json!([configuration, 1])] {
        let question = json!({ "identifier": order.reference, "configurationIds": ids });
        jewels.twikit.send(Webhook::PaymentVerification, &question).await;
        assert_eq!(jewels.replied(), json!({ "error": "", "success": false }), "{ids}");
    }
    let outcomes: Vec<Outcome> = jewels.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(noted(&outcomes), ["verification-refused"; 4]);
    let question = json!({ "identifier": order.reference, "configurationIds": [configuration] });
    jewels.twikit.send(Webhook::PaymentVerification, &question).await;
    assert_eq!(jewels.replied(), json!({ "error": "", "success": true }));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_read_is_answered_with_what_is_wrong() {
    let jewels = Jewels::new().await;
    let receive = async |endpoint: &str, request: WebhookRequest| {
        jewels.host.receive_webhook(&jewels.shop, &jewels.account, endpoint, &request).await
    };
    for endpoint in ["payment-verification", "production-completion", "order-completion", "website-publication"] {
        for body in [&b""[..], b"{", b"[]", b"{}", b"null", b"\xff", b"{\"identifier\":1}"] {
            let received = receive(endpoint, post_of(body)).await.expect("an answer");
            let reply: Value = serde_json::from_slice(&received.response.body).expect("JSON");
            assert_eq!((received.response.status, received.outcomes.len()), (400, 0), "{endpoint} {reply}");
            assert!(reply["error"].as_str().is_some_and(|error| !error.is_empty()), "{reply}");
        }
        let get = WebhookRequest { method: "GET".to_owned(), ..post_of(b"{}") };
        assert_eq!(receive(endpoint, get).await.expect("an answer").response.status, 405);
        let deep = "[".repeat(100_000);
        assert_eq!(receive(endpoint, post_of(deep.as_bytes())).await.expect("an answer").response.status, 400);
    }
    let error = receive("no-such-endpoint", post_of(b"{}")).await.expect_err("no endpoint");
    assert!(error.to_string().contains("no-such-endpoint"), "{error}");
}

#[tokio::test]
async fn the_payload_secret_is_in_nothing_that_the_plugin_says() {
    const SECRET: &str = "p4yl0ad-9b7e61";
    let config = TwikitConfig { payload_secret: SECRET.to_owned(), ..TwikitConfig::default() };
    let jewels = Jewels::with(config, Limits::default()).await;
    let mut said = String::new();
    let order = jewels.order("1").await;
    said += &told(&jewels.release(&order).await);
    said += &told(&jewels.release(&order).await);
    jewels.twikit.faults().outage(Outage::Dropped);
    said += &told(&jewels.release(&order).await);
    jewels.twikit.faults().clear();
    said += &format!("{:?}", jewels.host.test_connection(&jewels.shop, &jewels.account).await.expect("diagnoses"));
    let visitor = Visitor::default();
    said += &format!("{:?}", jewels.host.embed(&jewels.shop, "jewel", None, &visitor).await.expect("a page"));
    said += &format!("{:?} {:?}", jewels.heard(), jewels.twikit.sent_webhooks());
    jewels.set(json!({ "payload-secret": "p4yl0ad-wrong" }), |_| {}).await;
    said += &told(&jewels.release(&order).await);
    assert!(said.contains("payload-secret") && !said.contains("p4yl0ad"), "{said}");
    for sent in jewels.sent() {
        assert!(!format!("{sent:?}{}", String::from_utf8_lossy(&sent.body)).contains("p4yl0ad"), "it was sent");
    }
}

// ---- Expivi

async fn bought(world: &World, id: &str, products: &[(&str, &str)]) -> Order {
    let mut cart = Vec::new();
    for (product, configuration) in products {
        world.add(product, configuration, 1, &mut cart).await.expect("a line");
    }
    let order = order(&world.host, &world.shop, id, &cart);
    world.orders.put(&world.shop, &world.account, order.clone());
    order
}

async fn released(world: &World, order: &Order, clock: Arc<SimulatedClock>) -> Result<Handled, SetupError> {
    let event = event(EventKind::Released, order);
    world.host.handle_order(&world.shop, &world.account, &event, None, clock).await
}

async fn release(world: &World, order: &Order) -> Result<Handled, SetupError> {
    released(world, order, Arc::new(SimulatedClock::default())).await
}

const WARDROBE: (&str, &str) = ("wardrobe", samples::EXPIVI_BUNDLE);
const WARDROBE_UUID: &str = "8d6a2f5c-51b4-4c5e-8f7b-2c9d4e6f1003";

#[tokio::test]
async fn an_ordered_configuration_is_uploaded_and_its_materials_are_confirmed() {
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    let uploads = world.expivi.record().on_path("/api/configured_product/bundle");
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].header("authorization"), Some("Bearer server-token"));
    let products: Value = serde_json::from_str(samples::EXPIVI_BUNDLE).expect("a sample");
    assert_eq!(uploads[0].json(), json!({ "bundle_uuid": null, "configured_products": products }));
    let number = world.expivi.uploaded()[WARDROBE_UUID].to_string();
    assert_eq!(references(&handled.outcomes), [(Some("1"), number.as_str())]);
    let materials = handled.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::BillOfMaterials(materials) => Some(materials),
        _ => None,
    });
    let materials = materials.expect("a bill of materials");
    assert_eq!(materials.line, "1");
    let articles: Vec<_> =
        materials.articles.iter().map(|article| (article.price_sku.as_deref(), article.quantity.as_str())).collect();
    assert!(
        [("PANEL-60", "3"), ("HINGE", "4"), ("SCREW-4", "4")]
            .iter()
            .all(|(sku, quantity)| articles.contains(&(Some(*sku), *quantity))),
        "{articles:?}"
    );
    assert_eq!((asked(&handled.outcomes), handled.next), (vec![], Next::Done));
    // What was said before is neither uploaded nor said again.
    let mut again = event(EventKind::Released, &order);
    again.order.lines[0].vendor_reference = Some(number);
    again.earlier = handled.outcomes;
    let clock = Arc::new(SimulatedClock::default());
    let quiet = world.host.handle_order(&world.shop, &world.account, &again, None, clock).await.expect("handled");
    assert_eq!((quiet.outcomes, world.expivi.record().len()), (vec![], 1));
}

#[tokio::test]
async fn a_configuration_without_a_uuid_is_noted_and_does_not_stop_the_others() {
    let world = World::new().await;
    let order = bought(&world, "1", &[("ring", samples::EXPIVI_SIMPLE), WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(noted(&handled.outcomes), ["uuid-missing"]);
    assert_eq!(references(&handled.outcomes).len(), 1);
    assert_eq!(world.expivi.uploaded().len(), 1);
}

#[tokio::test]
async fn lines_that_are_held_are_not_uploaded() {
    let world = World::new().await;
    let mut order = bought(&world, "1", &[WARDROBE]).await;
    order.lines[0].released = false;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!((handled.outcomes, world.expivi.uploaded().len()), (vec![], 0));
}

fn printing() -> Value {
    json!({ "print-files": true, "media-id": 501 })
}

#[tokio::test]
async fn print_files_are_waited_for_and_stored() {
    for (shape, polls, slept) in [(FilesShape::Objects, 2, vec![5, 10, 20]), (FilesShape::Urls, 0, vec![5])] {
        let world = World::with(|builder| builder, printing()).await;
        world.expivi.set_files_shape(shape);
        world.expivi.set_polls(polls);
        let order = bought(&world, "1", &[WARDROBE]).await;
        let clock = Arc::new(SimulatedClock::default());
        let handled = released(&world, &order, clock.clone()).await.expect("handled");
        assert_eq!(clock.slept(), slept);
        assert_eq!(handled.next, Next::Done);
        let requests = world.expivi.record().on_path("/api/svg/conversion/request/");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].path, "/api/svg/conversion/request/pdf");
        assert_eq!(requests[0].header("authorization"), Some("Bearer server-token"));
        let number = world.expivi.uploaded()[WARDROBE_UUID];
        let expected = json!({
            "configured_product_id": number, "media_id": 501, "hide_print_marks": false, "hide_placeholders": false,
            "attribute_payload": "visible",
        });
        assert_eq!(requests[0].json(), expected);
        assert_eq!(world.expivi.record().on_path("/api/svg/conversion/check/").len(), slept.len());
        let files = world.expivi.record().on_path("/files/");
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].header("authorization"), None, "a token went to the address of a file");
        let documents = documents(&handled.outcomes);
        let [document] = documents[..] else { panic!("{:?}", handled.outcomes) };
        assert_eq!((document.kind.as_str(), document.line.as_deref()), ("print-file", Some("1")));
        assert_eq!((document.name.as_str(), document.media_type.as_str()), ("print.pdf", "application/pdf"));
        let url = format!("{}{}", world.expivi.base_url(), files[0].path);
        let served = client::get(&url, &[]).await.expect("the file").body;
        assert_eq!(blob(&world.blobs, &world.shop, document).await, served);
    }
}

#[tokio::test]
async fn print_files_that_fail_need_the_merchant() {
    let world = World::with(|builder| builder, printing()).await;
    for (id, outcome) in [("1", ConversionOutcome::Failed), ("2", ConversionOutcome::NotProcessing)] {
        world.expivi.set_conversion_outcome(outcome);
        let order = bought(&world, id, &[WARDROBE]).await;
        let handled = release(&world, &order).await.expect("handled");
        assert_eq!(asked(&handled.outcomes), ["print-file-failed"], "{outcome:?}");
        assert_eq!((documents(&handled.outcomes).len(), handled.next), (0, Next::Done));
    }
}

#[tokio::test]
async fn a_print_file_that_is_never_done_is_given_up_after_hours() {
    let world = World::with(|builder| builder, printing()).await;
    world.expivi.set_polls(u32::MAX);
    let order = bought(&world, "1", &[WARDROBE]).await;
    let clock = Arc::new(SimulatedClock::default());
    let mut handled = released(&world, &order, clock.clone()).await.expect("handled");
    let mut waited: u32 = clock.slept().iter().sum();
    let mut outcomes = handled.outcomes;
    for _ in 0..10 {
        let Next::Again(later) = handled.next.clone() else { break };
        waited += later.seconds;
        let (event, clock) = (event(EventKind::Released, &order), Arc::new(SimulatedClock::default()));
        let again = world.host.handle_order(&world.shop, &world.account, &event, Some(&later.state), clock.clone());
        handled = again.await.expect("handled");
        waited += clock.slept().iter().sum::<u32>();
        outcomes.append(&mut handled.outcomes);
    }
    assert_eq!(handled.next, Next::Done);
    assert_eq!(asked(&outcomes), ["print-file-failed"]);
    assert!((2 * 3600..4 * 3600).contains(&waited), "{waited} s");
    assert_eq!(world.expivi.record().on_path("/api/svg/conversion/request/").len(), 1);
}

#[tokio::test]
async fn print_files_that_can_never_come_are_refused_beside_their_settings() {
    let world = World::new().await;
    for (missing, settings) in [
        ("media-id", json!({ "server-token": "server-token", "print-files": true })),
        ("server-token", json!({ "server-token": null, "print-files": true, "media-id": 501 })),
    ] {
        let mut all = members(json!({ "viewer-token": "viewer-token", "api-url": world.expivi.api_url() }));
        all.extend(members(settings));
        let setup = AccountSetup { id: world.account.clone(), settings: all, grants: local(world.expivi.base_url()) };
        let refused = world.host.set_account(&world.shop, world.digest, setup).await;
        let Err(SetupError::Invalid(issues)) = refused else { panic!("{refused:?}") };
        let blocking: Vec<&str> =
            issues.iter().filter(|issue| issue.blocking).map(|issue| issue.field.as_str()).collect();
        assert_eq!(blocking, [missing]);
    }
}

#[tokio::test]
async fn a_product_without_a_media_id_needs_the_merchant() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-ids": [["1001", "501"]] })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["media-id-missing"]);
    assert_eq!(world.expivi.record().on_path("/api/svg/").len(), 0);
}

#[tokio::test]
async fn a_medium_that_expivi_refuses_needs_the_merchant() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-id": 999 })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), ["line-failed"]);
    assert_eq!(references(&handled.outcomes).len(), 1, "the upload is lost");
}

#[tokio::test]
async fn without_a_server_token_nothing_is_sent_and_a_note_says_so() {
    let world = World::with(|builder| builder, json!({ "server-token": null })).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(world.expivi.record().len(), 0);
    assert_eq!(noted(&handled.outcomes), ["upload-off"]);
    assert!(handled.outcomes.iter().any(|outcome| matches!(outcome, Outcome::BillOfMaterials(_))));
    assert_eq!((documents(&handled.outcomes).len(), handled.next), (0, Next::Done));
}

#[tokio::test]
async fn a_refused_server_token_names_its_setting() {
    for wrong in ["another", "viewer-token"] {
        let world = World::with(|builder| builder, json!({ "server-token": wrong })).await;
        let order = bought(&world, "1", &[WARDROBE]).await;
        let error = release(&world, &order).await.expect_err("refused");
        assert!(matches!(answered(&error), Error::NotConfigured(issue) if issue.field == "server-token"), "{error}");
        assert_eq!(world.expivi.uploaded().len(), 0);
    }
}

#[tokio::test]
async fn an_expivi_that_is_away_is_asked_again_and_garbage_is_told() {
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    world.expivi.faults().outage(Outage::Unavailable { retry_after: Some("9".to_owned()) });
    let error = release(&world, &order).await.expect_err("away");
    assert!(matches!(answered(&error), Error::Unavailable(outage) if outage.retry_after_seconds == Some(9)), "{error}");
    world.expivi.faults().outage(Outage::Dropped);
    assert!(is_unavailable(&release(&world, &order).await.expect_err("away")));
    world.expivi.faults().clear();
    for (how, key) in [
        (Malformed::Truncated, "line-failed"),
        (Malformed::Html, "line-failed"),
        (Malformed::WrongTypes, "upload-unanswered"),
    ] {
        world.expivi.faults().malform(how, 1);
        let handled = release(&world, &order).await.expect("handled");
        assert_eq!(asked(&handled.outcomes), [key], "{how:?}");
        assert_eq!(references(&handled.outcomes), []);
    }
    world.expivi.faults().lose_replies(1);
    assert!(is_unavailable(&release(&world, &order).await.expect_err("no reply")));
    // The second upload gives the same number: nothing is made twice.
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!((references(&handled.outcomes).len(), world.expivi.uploaded().len()), (1, 1));
}

#[tokio::test]
async fn the_server_token_is_in_nothing_that_the_plugin_says() {
    const TOKEN: &str = "s3rv3r-9b7e61";
    let config = ExpiviConfig { server_token: TOKEN.to_owned(), ..ExpiviConfig::default() };
    let other = FakeExpivi::start(config).await.expect("a fake Expivi");
    let world = World::new().await;
    let account: AccountId = "secretive".parse().expect("an id");
    let set = async |token: &str| {
        let settings = members(json!({
            "viewer-token": "viewer-token", "server-token": token, "api-url": other.api_url(),
            "print-files": true, "media-id": 501,
        }));
        let setup = AccountSetup { id: account.clone(), settings, grants: local(other.base_url()) };
        world.host.set_account(&world.shop, world.digest, setup).await.expect("an account");
    };
    set(TOKEN).await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let event = event(EventKind::Released, &order);
    let handle = async || {
        let clock = Arc::new(SimulatedClock::default());
        told(&world.host.handle_order(&world.shop, &account, &event, None, clock).await)
    };
    let mut said = handle().await;
    assert!(said.contains("print.pdf"), "{said}");
    for outage in [Outage::Dropped, Outage::Unavailable { retry_after: None }] {
        other.faults().outage(outage);
        said += &handle().await;
    }
    other.faults().clear();
    for how in [Malformed::Truncated, Malformed::Html, Malformed::WrongTypes] {
        other.faults().malform(how, 1);
        said += &handle().await;
    }
    said += &format!("{:?}", world.host.test_connection(&world.shop, &account).await.expect("diagnoses"));
    set("s3rv3r-wrong").await;
    said += &handle().await;
    said += &format!("{:?}", world.host.test_connection(&world.shop, &account).await);
    assert!(said.contains("token-refused") && !said.contains("s3rv3r"), "{said}");
    let (sent, right) = (other.record().all(), format!("Bearer {TOKEN}"));
    assert!(sent.iter().any(|sent| sent.header("authorization") == Some(&right)), "the token was never used");
    for sent in sent {
        assert!(!String::from_utf8_lossy(&sent.body).contains("s3rv3r") && !sent.path.contains("s3rv3r"));
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_does_not_bring_it_before_people() {
    const TOKEN: &str = "s3rv3r-9b7e61";
    let world = World::new().await;
    let order = bought(&world, "1", &[WARDROBE]).await;
    let account: AccountId = "echo".parse().expect("an id");
    for (status, text) in [
        (422, "Not with Bearer TOKEN, says it."),
        (422, "The token TOKEN may not."),
        (422, "{\"token\":\"TOKEN\"}"),
        (401, "TOKEN"),
        (503, "TOKEN"),
        (200, "No JSON: Bearer TOKEN"),
        (200, "{\"token\":\"TOKEN\"}"),
    ] {
        let answer = (StatusCode::from_u16(status).expect("a status"), text.replace("TOKEN", TOKEN));
        let base = listen(Router::new().fallback(async move || answer.clone())).await;
        let settings = members(json!({
            "viewer-token": "viewer-token", "server-token": TOKEN, "api-url": format!("{base}/api/"),
        }));
        let setup = AccountSetup { id: account.clone(), settings, grants: local(&base) };
        world.host.set_account(&world.shop, world.digest, setup).await.expect("an account");
        let (event, clock) = (event(EventKind::Released, &order), Arc::new(SimulatedClock::default()));
        let said = told(&world.host.handle_order(&world.shop, &account, &event, None, clock).await);
        assert!(said.contains("Expivi") && !said.contains(TOKEN), "{status} {text}: {said}");
    }
}

#[tokio::test]
async fn two_configured_products_of_one_configuration_are_both_uploaded() {
    let world = World::new().await;
    let mut two: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    two[0]["uuid"] = json!("11111111-0000-4000-8000-000000000001");
    let mut second = two[0].clone();
    second["uuid"] = json!("11111111-0000-4000-8000-000000000002");
    second["configuration"]["attributes"][0]["attribute_value_name"] = json!("Silver");
    two.as_array_mut().expect("a list").push(second);
    let order = bought(&world, "1", &[("ring", &two.to_string())]).await;
    assert_eq!(order.lines.len(), 2);
    let handled = release(&world, &order).await.expect("handled");
    assert_eq!(asked(&handled.outcomes), [""; 0]);
    assert_eq!(references(&handled.outcomes).len(), 2);
}

#[tokio::test]
async fn an_export_whose_reply_was_lost_is_not_asked_for_twice() {
    let jewels = Jewels::new().await;
    jewels.set(json!({ "fulfilment": "export" }), |_| {}).await;
    let order = jewels.order("1").await;
    jewels.twikit.faults().lose_replies(1);
    let first = jewels.release(&order).await;
    assert_eq!(jewels.twikit.internal_orders().len(), 1);
    let Err(SetupError::Hook(error)) = &first else { panic!("{}", told(&first)) };
    assert!(!error.is_retryable(), "the platform is told to try again, which orders twice: {error}");
    assert!(matches!(error.failure, Failure::Unanswered(_)), "{error}");
}
