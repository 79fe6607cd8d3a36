//! Tests of notifications to platforms.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;
use cartwright::durable::{Journal, RETRY_BACKOFF, RunEnd};
use cartwright::types::{Audience, Authentication, BytesSource, Document, NamedJson, Outcome};
use cartwright::webhook::{Destination, Effects, IncomingRequest, Refusal, Verifier, WebhookDeliveryStore};
use cartwright::{AccountSecret, Clock, Grants, Secret, Secrets, Shop, ShopId};
use cartwright_store::{
    ChangeError, EndpointError, Expected, Keyring, NotificationEndpoint, NotificationState, Notifier, Store, StoreError,
};
use serde_json::{Value, json};

use crate::database::{
    Database, KEY, MINUTE, account, at, claimed, event, job, line_status, on_each_database, record, report_by_webhook,
    shop,
};
use crate::journals::{began, outcome_record};
use crate::setup::{open_with_shop, rings, set_endpoint};

on_each_database!(
    a_platform_is_told_what_happened_signed_and_by_ids_alone,
    a_platform_is_told_whom_a_document_is_for,
    what_did_not_happen_or_nobody_asked_for_is_not_told,
    a_platform_that_was_away_is_told_everything_in_order_when_it_is_back,
    one_shops_platform_that_hangs_holds_up_no_other,
    what_is_never_taken_is_given_up_shown_and_sent_again_when_somebody_wants_it,
    what_a_lost_sender_had_is_sent_again_under_the_same_id,
    many_senders_tell_each_once_and_in_order,
    while_secrets_are_exchanged_both_sign,
    an_address_inside_is_refused_and_the_grant_is_named,
    the_grants_of_an_endpoint_are_decided_on_the_stored_ones,
    a_removed_endpoint_is_told_nothing,
);

/// A clock that the test sets.
pub struct TestClock(Mutex<SystemTime>);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, seconds: u32) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds.into());
    }
}

/// A platform that records its notifications.
pub struct Platform {
    url: String,
    answer: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

/// The status of a platform that hangs.
pub const HANGS: u16 = 0;

type Shared = (Arc<AtomicU16>, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

async fn hear(State((answer, received)): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    received.lock().unwrap().push((headers, body));
    let answer = answer.load(Ordering::Relaxed);
    if answer == HANGS {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    StatusCode::from_u16(answer).unwrap()
}

impl Platform {
    async fn start() -> Self {
        let (answer, received) = Shared::default();
        answer.store(204, Ordering::Relaxed);
        let router = Router::new().route("/told", post(hear)).with_state((answer.clone(), received.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://{address}/told"), answer, received }
    }

    fn endpoint(&self) -> NotificationEndpoint {
        let host = self.url.split('/').nth(2).unwrap().to_owned();
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let grants = Grants { plain_http: [host].into(), networks, ..Grants::default() };
        NotificationEndpoint { url: self.url.clone(), grants }
    }

    pub fn answers(&self, status: u16) {
        self.answer.store(status, Ordering::Relaxed);
    }

    pub fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().unwrap().clone()
    }

    fn bodies(&self) -> Vec<Value> {
        self.received().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// Returns the orders and outcomes that it was notified of, in sequence.
    fn outcomes(&self) -> Vec<(String, i64)> {
        let data = self.bodies().into_iter().map(|body| body["data"].clone());
        data.map(|data| (data["order"].as_str().unwrap().to_owned(), data["outcome"].as_i64().unwrap())).collect()
    }
}

pub struct WorkerState {
    pub store: Store,
    pub clock: Arc<TestClock>,
    notifier: Notifier,
    pub platform: Platform,
    secret: Secret,
}

impl WorkerState {
    /// Opens a shop with a notification endpoint, and an order.
    pub async fn open(database: &Database) -> Self {
        let store = open_with_shop(database).await;
        let platform = Platform::start().await;
        let secret = set_endpoint(&store, &shop(), &platform.endpoint()).await.unwrap();
        let clock = Arc::new(TestClock(Mutex::new(at(1000))));
        let notifier = Notifier::new(store.clone(), clock.clone());
        record(&store, "e1", "1", 0).await;
        Self { store, clock, notifier, platform, secret: secret.unwrap() }
    }

    pub async fn say(&self, order: &str, status: &str) {
        say(&self.store, &shop(), order, status).await;
    }

    async fn send(&self) -> usize {
        self.notifier.send_due().await.unwrap()
    }

    async fn dead(&self) -> Vec<cartwright_store::StoredNotification> {
        self.store.notifications().list(&shop(), true, None, 100).await.unwrap()
    }

    pub async fn waiting(&self) -> usize {
        self.store.notifications().list(&shop(), false, None, 1000).await.unwrap().len()
    }
}

/// Reports a line status of an order by a webhook.
async fn say(store: &Store, of: &ShopId, order: &str, status: &str) {
    report_by_webhook(store, of, order, vec![line_status("1", status)], 500).await;
}

fn is_signed_with(secret: &Secret, (headers, body): &(HeaderMap, Bytes), at: SystemTime) -> Result<(), Refusal> {
    let entered = AccountSecret { value: secret.clone(), authorized_hosts: BTreeSet::new() };
    let secrets = Secrets::from([("secret".to_owned(), entered)]);
    let authentication = Authentication::StandardWebhooks("secret".to_owned());
    let verifier = Verifier {
        authentication: &authentication,
        secrets: &secrets,
        networks: &[],
        vendor_networks: &[],
        max_body_bytes: 4096,
    };
    let url = Secret::new("https://platform.example/");
    let (method, headers, body) = (Method::POST, headers.clone(), body.clone());
    verifier.admit(&IncomingRequest { method, url, headers, query: String::new(), body, from: None, at })
}

async fn a_platform_is_told_what_happened_signed_and_by_ids_alone(database: Database) {
    let state = WorkerState::open(&database).await;
    let run = claimed(&state.store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    let status = line_status("1", "for Zoë");
    run.journal.append(1, &outcome_record("0", status.clone(), at(1))).await.unwrap();
    // Reported before: nothing new.
    run.journal.append(2, &outcome_record("0", status, at(1))).await.unwrap();
    let to_itself = Outcome::Forward(NamedJson { name: "later".into(), json: "{}".into() });
    run.journal.append(3, &outcome_record("1", to_itself, at(1))).await.unwrap();
    state.store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(2)).await.unwrap();
    let outcome = state.store.outcomes().list(&shop(), "1").await.unwrap()[0].id;
    assert_eq!(state.send().await, 2);
    let data = json!({ "shop": "shop", "order": "1", "account": "expivi", "job": "shop:expivi:e1" });
    let with = |name: &str, value: Value| {
        let mut data = data.clone();
        data[name] = value;
        data
    };
    assert_eq!(
        state.platform.bodies(),
        [
            json!({ "type": "outcome.line-status", "timestamp": "2026-01-01T12:00:01Z", "data": with("outcome", json!(outcome)) }),
            json!({ "type": "job.done", "timestamp": "2026-01-01T12:00:02Z", "data": with("event", json!("e1")) }),
        ]
    );
    for received in state.platform.received() {
        assert_eq!(is_signed_with(&state.secret, &received, state.clock.now()), Ok(()));
        let other = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(matches!(is_signed_with(&other, &received, state.clock.now()), Err(Refusal::WrongSignature { .. })));
    }
    assert_eq!((state.send().await, state.waiting().await), (0, 0));
}

async fn a_platform_is_told_whom_a_document_is_for(database: Database) {
    let state = WorkerState::open(&database).await;
    let document = |name: &str, audience: Audience| {
        Outcome::Document(Document {
            line: None,
            kind: "drawing".into(),
            name: name.into(),
            media_type: "application/pdf".into(),
            content: BytesSource::Bytes(b"%PDF".to_vec()),
            audience,
            extra: vec![],
        })
    };
    let outcomes = vec![document("a.pdf", Audience::Merchant), document("b.pdf", Audience::Shopper)];
    report_by_webhook(&state.store, &shop(), "1", outcomes, 500).await;
    while state.send().await > 0 {}
    let audiences: Vec<Value> =
        state.platform.bodies().into_iter().map(|body| body["data"]["audience"].clone()).collect();
    assert_eq!(audiences, [json!("merchant"), json!("shopper")]);
}

async fn what_did_not_happen_or_nobody_asked_for_is_not_told(database: Database) {
    let state = WorkerState::open(&database).await;
    let note = line_status("1", "ready");
    let outcomes = vec![(Some("test:shop:1".into()), note.clone()), (Some("test:shop:nobodys".into()), note)];
    let to = Destination { shop: shop(), account: account("expivi"), endpoint: "ask".into() };
    state.store.apply(&to, at(1), Effects { outcomes, messages: Vec::new() }).await.unwrap_err();
    let other: ShopId = "other".parse().unwrap();
    state.store.orders().record_event(&other, &event("e1", "1"), &[job("expivi")], at(0)).await.unwrap();
    say(&state.store, &other, "1", "ready").await;
    assert_eq!(state.waiting().await, 0);
    assert!(state.store.notifications().list(&other, false, None, 10).await.unwrap().is_empty());
    assert_eq!(state.send().await, 0);
}

async fn a_platform_that_was_away_is_told_everything_in_order_when_it_is_back(database: Database) {
    let state = WorkerState::open(&database).await;
    record(&state.store, "e2", "2", 0).await;
    for number in 0..3 {
        state.say("1", &number.to_string()).await;
        state.say("2", &number.to_string()).await;
    }
    state.platform.answers(503);
    for asked in 1..4 {
        assert_eq!(state.send().await, 0);
        // One request a minute, however many are pending.
        assert_eq!(state.platform.received().len(), asked);
        state.clock.sleep(59).await;
        assert_eq!(state.send().await, 0);
        assert_eq!(state.platform.received().len(), asked);
        state.clock.sleep(1).await;
    }
    let pending = state.store.notifications().list(&shop(), false, None, 10).await.unwrap();
    assert!(pending[0].reason.as_ref().is_some_and(|reason| reason.contains("503")), "{:?}", pending[0]);
    assert!(pending[0].attempt > 0 && matches!(pending[0].state, NotificationState::Waiting { .. }));
    state.platform.answers(200);
    state.platform.received.lock().unwrap().clear();
    // The last requested delay may be longer than a minute; once one is delivered, all are.
    state.clock.sleep(300).await;
    assert_eq!(state.send().await, 6);
    let notified = state.platform.outcomes();
    for order in ["1", "2"] {
        let of: Vec<i64> =
            notified.iter().filter(|(notified, _)| notified == order).map(|(_, outcome)| *outcome).collect();
        assert!(of.len() == 3 && of.is_sorted(), "{notified:?}");
    }
}

async fn one_shops_platform_that_hangs_holds_up_no_other(database: Database) {
    let state = WorkerState::open(&database).await;
    let other: ShopId = "other".parse().unwrap();
    state.store.shops().save_shop(&Shop { id: other.clone(), ..rings() }, at(0)).await.unwrap();
    let beside = Platform::start().await;
    set_endpoint(&state.store, &other, &beside.endpoint()).await.unwrap();
    state.store.orders().record_event(&other, &event("e1", "1"), &[job("expivi")], at(0)).await.unwrap();
    state.platform.answers(HANGS);
    for number in 0..5 {
        state.say("1", &number.to_string()).await;
        say(&state.store, &other, "1", &number.to_string()).await;
    }
    let notifier = state.notifier.clone();
    let sending = tokio::spawn(async move { notifier.send_due().await });
    tokio::time::timeout(Duration::from_secs(5), async {
        while beside.received().len() < 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(!sending.is_finished() && state.platform.received().len() == 1);
    sending.abort();
}

async fn what_is_never_taken_is_given_up_shown_and_sent_again_when_somebody_wants_it(database: Database) {
    let state = WorkerState::open(&database).await;
    state.say("1", "first").await;
    state.say("1", "second").await;
    state.platform.answers(400);
    // As often as an order hook is retried, with delays of at most a day and a tenth.
    for _ in 0..RETRY_BACKOFF.len() {
        state.send().await;
        assert!(state.dead().await.is_empty());
        state.clock.sleep(27 * 3600).await;
    }
    assert_eq!(state.platform.received().len(), RETRY_BACKOFF.len());
    state.send().await;
    let dead = state.dead().await;
    let [given_up] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((&given_up.state, given_up.attempt), (&NotificationState::Failed, 12));
    assert!(given_up.reason.as_ref().is_some_and(|reason| reason.contains("responded 400")), "{given_up:?}");
    // The next one of its order can then be sent.
    state.platform.answers(204);
    state.platform.received.lock().unwrap().clear();
    state.clock.sleep(27 * 3600).await;
    assert_eq!(state.send().await, 1);
    let other = "other".parse().unwrap();
    state.store.notifications().retry(&other, &given_up.id, "eve", state.clock.now()).await.unwrap_err();
    state.store.notifications().retry(&shop(), &given_up.id, "ann", state.clock.now()).await.unwrap();
    assert_eq!((state.send().await, state.waiting().await), (1, 0));
    assert_eq!(state.platform.received()[1].0["webhook-id"], given_up.id.as_str());
    let error = state.store.notifications().retry(&shop(), &given_up.id, "ann", state.clock.now()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
}

async fn what_a_lost_sender_had_is_sent_again_under_the_same_id(database: Database) {
    let state = WorkerState::open(&database).await;
    state.say("1", "ready").await;
    state.platform.answers(HANGS);
    let aborted = tokio::time::timeout(Duration::from_millis(500), state.notifier.send_due()).await;
    assert!(aborted.is_err() && state.platform.received().len() == 1);
    state.platform.answers(204);
    state.clock.sleep(59).await;
    assert_eq!(state.send().await, 0);
    state.clock.sleep(1).await;
    assert_eq!(state.send().await, 1);
    let ids: Vec<_> = state.platform.received().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

async fn many_senders_tell_each_once_and_in_order(database: Database) {
    let state = WorkerState::open(&database).await;
    record(&state.store, "e2", "2", 0).await;
    for number in 0..15 {
        state.say("1", &number.to_string()).await;
        state.say("2", &number.to_string()).await;
    }
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let notifier = Notifier::new(database.open().await, state.clock.clone());
        senders.spawn(async move { notifier.send_due().await.unwrap() });
    }
    let delivered: usize = senders.join_all().await.into_iter().sum();
    // A sender ends when others have all notifications that are due.
    assert_eq!(delivered + state.send().await, 30);
    let outcomes = state.platform.outcomes();
    assert_eq!(outcomes.len(), 30);
    for order in ["1", "2"] {
        let of: Vec<i64> =
            outcomes.iter().filter(|(delivered, _)| delivered == order).map(|(_, outcome)| *outcome).collect();
        assert!(of.len() == 15 && of.is_sorted(), "{of:?}");
    }
}

async fn while_secrets_are_exchanged_both_sign(database: Database) {
    let state = WorkerState::open(&database).await;
    // An endpoint whose URL changes keeps its secret.
    let moved_secret = set_endpoint(&state.store, &shop(), &state.platform.endpoint()).await.unwrap();
    assert_eq!(moved_secret, None);
    let now = state.clock.now();
    let new = state.store.notifications().rotate_secret(&shop(), MINUTE, "ann", now).await.unwrap();
    state.say("1", "one").await;
    state.send().await;
    state.clock.sleep(60).await;
    state.say("1", "two").await;
    state.send().await;
    let received = state.platform.received();
    assert_eq!(is_signed_with(&state.secret, &received[0], now), Ok(()));
    assert_eq!(is_signed_with(&new, &received[0], now), Ok(()));
    assert_eq!(is_signed_with(&new, &received[1], state.clock.now()), Ok(()));
    assert!(is_signed_with(&state.secret, &received[1], state.clock.now()).is_err());
    state.store.close().await;
    let ring = Keyring::new([9; 32]).with_previous(KEY);
    let store = Store::open(&database.url, ring).await.unwrap();
    store.rotate_keys().await.unwrap();
    store.close().await;
    let store = Store::open(&database.url, Keyring::new([9; 32])).await.unwrap();
    assert_eq!(store.notifications().endpoint(&shop()).await.unwrap(), Some(state.platform.endpoint()));
    // The log contains neither secret, nor what may be a password.
    let url = format!("{}?token=s3cret", state.platform.url);
    let secret = NotificationEndpoint { url, ..state.platform.endpoint() };
    set_endpoint(&store, &shop(), &secret).await.unwrap();
    let log = format!("{:?}", store.audit().entries(Some(&shop()), None, 10).await.unwrap());
    assert!(log.contains("rotate-notification-secret") && !log.contains("whsec") && !log.contains("s3cret"), "{log}");
}

async fn the_grants_of_an_endpoint_are_decided_on_the_stored_ones(database: Database) {
    let state = WorkerState::open(&database).await;
    let (notifications, old) = (state.store.notifications(), state.platform.endpoint());
    let refuse = |granted: &Grants| {
        assert_eq!(*granted, old.grants);
        Err(EndpointError::Change(ChangeError::Changed("the grants".into())))
    };
    let url = || format!("{}?moved", old.url);
    let refused = notifications.set_endpoint(&shop(), url(), refuse, Expected::Any, "ann", at(1)).await;
    assert!(matches!(refused, Err(EndpointError::Change(_))), "{refused:?}");
    assert_eq!(notifications.endpoint(&shop()).await.unwrap().as_ref(), Some(&old));
    let keep = |granted: &Grants| Ok::<_, EndpointError>(granted.clone());
    let (moved, _) = notifications.set_endpoint(&shop(), url(), keep, Expected::Any, "ann", at(1)).await.unwrap();
    assert_eq!(moved, NotificationEndpoint { url: url(), grants: old.grants.clone() });
}

async fn an_address_inside_is_refused_and_the_grant_is_named(database: Database) {
    let store = open_with_shop(&database).await;
    for (url, grant) in [
        ("http://platform.example/told", "grants.plain_http += \"platform.example\""),
        ("https://169.254.169.254/latest", "grants.networks += \"169.254.169.254/32\""),
        ("https://[::1]/", "grants.networks += \"::1/128\""),
        ("https://user:password@platform.example/", "user name"),
        ("ftp://platform.example/", "not an absolute"),
        ("told", "not an absolute"),
    ] {
        let endpoint = NotificationEndpoint { url: url.to_owned(), grants: Grants::default() };
        let refused = set_endpoint(&store, &shop(), &endpoint).await;
        let Err(EndpointError::Address(reason)) = refused else { panic!("{url}: {refused:?}") };
        assert!(reason.to_string().contains(grant), "{url}: {reason}");
    }
    // A name that resolves to a private address is refused at the lookup.
    let url = "https://localhost/told".to_owned();
    let endpoint = NotificationEndpoint { url, grants: Grants::default() };
    set_endpoint(&store, &shop(), &endpoint).await.unwrap();
    record(&store, "e1", "1", 0).await;
    say(&store, &shop(), "1", "ready").await;
    let notifier = Notifier::new(store.clone(), Arc::new(TestClock(Mutex::new(at(1000)))));
    assert_eq!(notifier.send_due().await.unwrap(), 0);
    let reason = store.notifications().list(&shop(), false, None, 1).await.unwrap().remove(0).reason.unwrap();
    assert!(reason.contains("grants.networks +="), "{reason}");
}

async fn a_removed_endpoint_is_told_nothing(database: Database) {
    let state = WorkerState::open(&database).await;
    state.say("1", "ready").await;
    state.store.notifications().remove_endpoint(&shop(), Expected::Any, "ann", at(1)).await.unwrap();
    state.store.notifications().remove_endpoint(&shop(), Expected::Any, "ann", at(1)).await.unwrap_err();
    state.say("1", "shipped").await;
    assert_eq!((state.send().await, state.waiting().await), (0, 0));
    assert!(state.platform.received().is_empty());
}
