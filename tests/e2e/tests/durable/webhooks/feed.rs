//! A vendor that is polled: pages and cursors, two nodes, crashes, and failures.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use cartwright::types::{OrderEventKind, Outcome};
use cartwright::{
    AccountId, AccountSetup, Cartwright, Clock, Digest, Grants, SetupError, ShopId, SimulatedClock, SystemClock,
};
use cartwright_e2e::orders::{event, order};
use cartwright_e2e::{WEBHOOKS, local, members, shop};
use cartwright_store::{DrainReport, FeedPoller, FeedStatus, Keyring, Lines, NewJob, Store, Worker, WorkerSettings};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::orders::common::listen;

/// Number of events on a page.
const PAGE: usize = 2;
/// Longer than any lease of a poll.
const LEASE_EXPIRED: u32 = 600;

/// A strict vendor with a list of events. A cursor is "c" and the number of events before the next page.
#[derive(Clone, Default)]
struct FakeFeed(Arc<FeedState>);

#[derive(Default)]
struct FeedState {
    events: Mutex<Vec<String>>,
    /// The `after` of each request.
    requests: Mutex<Vec<String>>,
    /// The response to all requests, with a `retry-after`, instead of a page.
    failure: Mutex<Option<(StatusCode, &'static str)>>,
    /// Closed while responses are held back: each takes a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

impl FakeFeed {
    async fn start() -> (Self, String) {
        let feed = Self::default();
        let url = listen(Router::new().fallback(respond).with_state(feed.clone())).await;
        (feed, url)
    }

    fn add(&self, event: &str) {
        self.0.events.lock().expect("the events").push(event.to_owned());
    }

    fn fail(&self, failure: Option<(StatusCode, &'static str)>) {
        *self.0.failure.lock().expect("the failure") = failure;
    }

    /// Holds back the responses to all further requests until the gate gets permits.
    fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.0.gate.lock().expect("the gate") = Some(gate.clone());
        gate
    }

    fn hold_no_more(&self) {
        *self.0.gate.lock().expect("the gate") = None;
    }

    /// Returns the cursors that were asked for since the last call; empty for the first page.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.requests.lock().expect("the requests"))
    }

    async fn wait_for_request(&self) {
        while self.0.requests.lock().expect("the requests").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn page(&self, after: Option<&str>) -> Option<String> {
        let events = self.0.events.lock().expect("the events");
        let from = match after {
            Some(after) => after.strip_prefix('c')?.parse::<usize>().ok().filter(|from| *from <= events.len())?,
            None => 0,
        };
        let page: Vec<String> = events.iter().skip(from).take(PAGE).cloned().collect();
        let next = from + page.len();
        let end = if next < events.len() { "more" } else { "end" };
        Some(format!("c{next}\n{end}\n{}", page.join("\n")))
    }
}

async fn respond(
    State(feed): State<FakeFeed>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET || uri.path() != "/events" || query.keys().any(|name| name != "after") {
        return StatusCode::NOT_FOUND.into_response();
    }
    if headers.get("authorization").is_none_or(|value| value != "Bearer t0ken-77aa") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let after = query.get("after").map(String::as_str);
    feed.0.requests.lock().expect("the requests").push(after.unwrap_or_default().to_owned());
    let gate = feed.0.gate.lock().expect("the gate").clone();
    if let Some(gate) = gate {
        gate.acquire().await.expect("an open gate").forget();
    }
    let failure = *feed.0.failure.lock().expect("the failure");
    match (failure, feed.page(after)) {
        (Some((status, retry_after)), _) => (status, [("retry-after", retry_after)]).into_response(),
        (None, Some(page)) => page.into_response(),
        (None, None) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A node of an installation whose vendor is polled.
struct FeedNode {
    host: Arc<Cartwright>,
    store: Store,
    clock: Arc<SimulatedClock>,
    poller: FeedPoller,
    shop: ShopId,
    account: AccountId,
    plugin: Digest,
    feed_url: String,
}

impl FeedNode {
    /// Returns a node on a database, with the simulated clock of another.
    async fn on(database: &str, feed_url: &str, clock: Arc<SimulatedClock>) -> Self {
        let store = Store::open(database, Keyring::new([7; 32])).await.expect("a store");
        let builder = Cartwright::builder()
            .order_book(Arc::new(store.clone()))
            .blobs(Arc::new(store.clone()))
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(builder.start().expect("a host"));
        let plugin = host.install(WEBHOOKS, None).await.expect("the plugin").digest();
        host.add_shop(shop("desk")).expect("a shop");
        let poller = FeedPoller::new(store.clone(), host.clone(), clock.clone());
        let (shop, account) = ("desk".parse().expect("an id"), "hooks".parse().expect("an id"));
        let node = Self { host, store, clock, poller, shop, account, plugin, feed_url: feed_url.to_owned() };
        node.set_account(None).await;
        node
    }

    async fn set_account(&self, feed_interval_seconds: Option<u32>) {
        let settings = members(json!({ "api-url": self.feed_url, "token": "t0ken-77aa" }));
        let grants = Grants { feed_interval_seconds, ..local(&self.feed_url) };
        let setup = AccountSetup { id: self.account.clone(), settings, grants };
        self.host.set_account(&self.shop, self.plugin, setup).await.expect("an account");
    }

    /// Stores the shop and its account, and the order 1, all lines of which concern the account.
    async fn store_all(&self) {
        self.store.shops().save_shop(&shop("desk"), self.clock.now()).await.expect("kept");
        for account in self.host.snapshot(&self.shop).expect("the shop").accounts {
            self.store.shops().save_account(&self.shop, &account, self.clock.now()).await.expect("kept");
        }
        let order = order(&self.host, &self.shop, "1", &[]);
        let job = NewJob { account: self.account.clone(), plugin: self.plugin, lines: Lines::All };
        let event = event(OrderEventKind::Placed, &order);
        self.store.orders().record_event(&self.shop, &event, &[job], self.clock.now()).await.expect("recorded");
    }

    async fn poll(&self) -> usize {
        self.poller.poll_due().await.expect("a store")
    }

    async fn status(&self) -> FeedStatus {
        self.store.feeds().status(&self.shop, &self.account).await.expect("a store").expect("a status")
    }

    /// Returns the vendor references that were reported about the order, in sequence.
    async fn reported(&self) -> Vec<String> {
        let outcomes = self.store.outcomes().list(&self.shop, "1").await.expect("outcomes");
        let reference = |outcome| match outcome {
            Outcome::VendorReference(named) => Some(named.reference),
            _ => None,
        };
        outcomes.into_iter().filter_map(|stored| reference(stored.outcome)).collect()
    }

    /// Returns the seconds until the next poll.
    async fn seconds_to_next(&self) -> u64 {
        self.status().await.next_poll_at.duration_since(self.clock.now()).unwrap_or_default().as_secs()
    }
}

struct Scene {
    feed: FakeFeed,
    node: FeedNode,
    database: String,
    _folder: Option<TempDir>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = format!("sqlite:{}", folder.path().join("store.db").display());
        Self { _folder: Some(folder), ..Self::on(database).await }
    }

    /// Returns a scene on PostgreSQL, if it is installed.
    async fn on_postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer")?;
        Some(Self::on(server.create_database()).await)
    }

    /// Returns a scene on an empty database.
    async fn on(database: String) -> Self {
        let (feed, feed_url) = FakeFeed::start().await;
        let node = FeedNode::on(&database, &feed_url, Arc::default()).await;
        node.store_all().await;
        for number in 1..=3 {
            feed.add(&format!("named test:desk:1 V-{number}"));
        }
        Self { feed, node, database, _folder: None }
    }

    /// Returns another node of the installation.
    async fn other_node(&self) -> FeedNode {
        FeedNode::on(&self.database, &self.node.feed_url, self.node.clock.clone()).await
    }
}

async fn pages_are_applied_once(scene: Scene) {
    let Scene { feed, node, .. } = &scene;
    assert_eq!(node.poll().await, 2, "it is polled again at once while there is more");
    assert_eq!((feed.requests(), node.reported().await), (vec![String::new(), "c2".into()], names(1..=3)));
    let now = node.clock.now();
    let expected = FeedStatus {
        last_polled_at: Some(now),
        next_poll_at: now + Duration::from_secs(300),
        failures: 0,
        last_error: None,
    };
    assert_eq!(node.status().await, expected);
    node.clock.sleep(299).await;
    assert_eq!((node.poll().await, feed.requests().len()), (0, 0));
    feed.add("named test:desk:1 V-4");
    node.clock.sleep(1).await;
    assert_eq!((node.poll().await, feed.requests()), (1, vec!["c3".to_owned()]));
    assert_eq!(node.reported().await, names(1..=4));
}

#[tokio::test]
async fn pages_are_applied_once_and_the_next_poll_continues_behind_them_on_sqlite() {
    pages_are_applied_once(Scene::new().await).await;
}

#[tokio::test]
async fn pages_are_applied_once_and_the_next_poll_continues_behind_them_on_postgres() {
    if let Some(scene) = Scene::on_postgres().await {
        pages_are_applied_once(scene).await;
    }
}

fn names(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("V-{number}")).collect()
}

async fn one_node_polls(scene: Scene) {
    let other = scene.other_node().await;
    let gate = scene.feed.hold();
    let first = scene.node.poller.clone();
    let first = tokio::spawn(async move { first.poll_due().await.expect("a store") });
    scene.feed.wait_for_request().await;
    assert_eq!(other.poll().await, 0, "the first node polls");
    gate.add_permits(2);
    assert_eq!(first.await.expect("an end"), 2);
    assert_eq!((scene.feed.requests().len(), other.reported().await), (2, names(1..=3)));
}

#[tokio::test]
async fn one_node_polls_at_a_time_on_sqlite() {
    one_node_polls(Scene::new().await).await;
}

#[tokio::test]
async fn one_node_polls_at_a_time_on_postgres() {
    if let Some(scene) = Scene::on_postgres().await {
        one_node_polls(scene).await;
    }
}

/// Crashes at the third call: before the commit of the first page, after the two calls around the commit of its claim.
fn crash_before_the_page_is_stored() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    assert_ne!(CALLS.fetch_add(1, Ordering::Relaxed), 2, "a crash");
}

/// Crashes at the fourth call: after the commit of the first page.
fn crash_after_the_page_is_stored() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    assert_ne!(CALLS.fetch_add(1, Ordering::Relaxed), 3, "a crash");
}

#[tokio::test]
async fn a_page_is_asked_for_again_after_a_crash_between_its_response_and_its_commit() {
    let scene = Scene::new().await;
    let other = scene.other_node().await;
    scene.node.store.on_commit(crash_before_the_page_is_stored);
    assert_eq!((scene.node.poll().await, scene.node.reported().await), (0, vec![]));
    scene.node.clock.sleep(LEASE_EXPIRED).await;
    assert_eq!((other.poll().await, other.reported().await), (2, names(1..=3)));
    assert_eq!(scene.feed.requests(), ["", "", "c2"]);
}

#[tokio::test]
async fn a_page_is_not_asked_for_again_after_a_crash_behind_its_commit() {
    let scene = Scene::new().await;
    let other = scene.other_node().await;
    scene.node.store.on_commit(crash_after_the_page_is_stored);
    scene.node.poll().await;
    other.poll().await;
    assert_eq!((other.reported().await, scene.feed.requests()), (names(1..=3), vec![String::new(), "c2".to_owned()]));
}

#[tokio::test]
async fn a_page_of_a_node_that_is_lost_is_asked_for_again() {
    let scene = Scene::new().await;
    let other = scene.other_node().await;
    scene.feed.hold();
    let first = scene.node.poller.clone();
    let lost = tokio::spawn(async move { first.poll_due().await });
    scene.feed.wait_for_request().await;
    lost.abort();
    lost.await.expect_err("it was aborted");
    scene.feed.hold_no_more();
    assert_eq!((other.poll().await, other.reported().await), (0, vec![]), "the lease is held");
    scene.node.clock.sleep(LEASE_EXPIRED).await;
    assert_eq!((other.poll().await, other.reported().await), (2, names(1..=3)));
    assert_eq!(scene.feed.requests(), ["", "", "c2"], "the first page was asked for again");
}

#[tokio::test]
async fn a_page_of_a_node_that_lost_its_lease_is_not_applied() {
    let scene = Scene::new().await;
    let other = scene.other_node().await;
    let gate = scene.feed.hold();
    let first = scene.node.poller.clone();
    let slow = tokio::spawn(async move { first.poll_due().await.expect("a store") });
    scene.feed.wait_for_request().await;
    scene.feed.hold_no_more();
    scene.node.clock.sleep(LEASE_EXPIRED).await;
    assert_eq!(other.poll().await, 2);
    gate.add_permits(1);
    assert_eq!(slow.await.expect("an end"), 0, "its page was applied by the other node");
    assert_eq!((other.reported().await, other.status().await.failures), (names(1..=3), 0));
}

#[tokio::test]
async fn a_vendor_that_is_unavailable_is_polled_by_the_schedule_of_retries() {
    let Scene { feed, node, .. } = &Scene::new().await;
    feed.fail(Some((StatusCode::SERVICE_UNAVAILABLE, "")));
    for (failures, minutes) in [(1, 1), (2, 3), (3, 5)] {
        assert_eq!(node.poll().await, 0);
        let status = node.status().await;
        assert_eq!((status.failures, status.last_polled_at), (failures, None));
        assert!(status.last_error.is_some_and(|error| error.contains("answered 503")), "{failures}");
        let wait = node.seconds_to_next().await;
        assert!((minutes * 54..=minutes * 66).contains(&wait), "{failures}: {wait} s");
        node.clock.sleep(u32::try_from(minutes).expect("minutes") * 66 + 1).await;
    }
    feed.fail(None);
    assert_eq!((node.poll().await, node.reported().await), (2, names(1..=3)));
    let status = node.status().await;
    assert_eq!((status.failures, status.last_error), (0, None));
    // A vendor that asks for more time gets it.
    feed.fail(Some((StatusCode::TOO_MANY_REQUESTS, "900")));
    node.clock.sleep(300).await;
    assert_eq!(node.poll().await, 0);
    assert!((900..=991).contains(&node.seconds_to_next().await));
}

#[tokio::test]
async fn a_changed_account_is_polled_at_once_and_at_its_interval() {
    let Scene { feed, node, .. } = &Scene::new().await;
    feed.fail(Some((StatusCode::INTERNAL_SERVER_ERROR, "")));
    assert_eq!(node.poll().await, 0);
    feed.fail(None);
    assert_eq!(node.poll().await, 0, "it is not due");
    node.set_account(Some(30)).await;
    assert_eq!((node.poll().await, node.seconds_to_next().await), (2, 30));
}

#[tokio::test]
async fn an_interval_is_between_half_a_minute_and_a_day() {
    let node = Scene::new().await.node;
    for (seconds, is_allowed) in [(29, false), (30, true), (86_400, true), (86_401, false)] {
        let grants = Grants { feed_interval_seconds: Some(seconds), ..local(&node.feed_url) };
        let setup = AccountSetup { id: node.account.clone(), settings: members(json!({})), grants };
        match node.host.set_account(&node.shop, node.plugin, setup).await {
            Ok(()) => assert!(is_allowed, "{seconds}"),
            Err(SetupError::Invalid(issues)) => {
                assert!(!is_allowed && issues[0].field == "grants.feed_interval_seconds", "{seconds}: {issues:?}");
            }
            Err(error) => panic!("{seconds}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_page_with_a_report_that_may_not_be_is_not_applied_and_says_so() {
    let Scene { feed, node, .. } = &Scene::new().await;
    assert_eq!(node.poll().await, 2);
    feed.requests();
    feed.add("named test:desk:1 V-4");
    feed.add("forward -");
    node.clock.sleep(300).await;
    assert_eq!((node.poll().await, node.reported().await), (0, names(1..=3)), "all of a page or nothing");
    let status = node.status().await;
    assert!(status.last_error.is_some_and(|error| error.contains("needs an order")));
    node.clock.sleep(70).await;
    node.poll().await;
    assert_eq!(feed.requests(), ["c3", "c3"]);
}

#[tokio::test]
async fn a_report_about_an_unknown_order_is_dropped_and_what_is_handed_on_becomes_an_event() {
    let Scene { feed, node, .. } = &Scene::new().await;
    feed.add("note test:desk:9");
    feed.add("forward test:desk:1");
    feed.add("note vendor:V-3");
    assert_eq!(node.poll().await, 3);
    let events = node.store.orders().events(&node.shop, "1").await.expect("events");
    assert!(events.iter().any(|event| event.id.starts_with("~forwarded:feed:")), "{events:?}");
    let outcomes = node.store.outcomes().list(&node.shop, "1").await.expect("outcomes");
    assert!(outcomes.iter().any(|stored| matches!(stored.outcome, Outcome::Note(_))), "{outcomes:?}");
}

#[tokio::test]
async fn a_worker_polls() {
    let scene = Scene::new().await;
    let (host, store) = (scene.node.host.clone(), scene.node.store.clone());
    let worker = Worker::start(host, store, Arc::new(SystemClock), WorkerSettings::new("node"));
    let started = SystemTime::now();
    while scene.node.reported().await != names(1..=3) {
        assert!(started.elapsed().expect("a clock") < Duration::from_secs(20), "it never polls");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(worker.drain(Duration::from_secs(20)).await, DrainReport::default());
}
