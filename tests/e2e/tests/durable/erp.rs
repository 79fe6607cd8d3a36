//! An ERP system, and a shop whose order hook hands orders to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use cartwright::durable::{Cancel, Job, Journal, MemoryJournal, RunEnd, RunError, RunInput, RunReport, Wake};
use cartwright::types::{OrderEvent, OrderEventKind};
use cartwright::{
    AccountId, AccountSetup, Builder, Cartwright, Clock, Digest, MemoryBlobs, Secret, ShopId, SimulatedClock,
};
use cartwright_e2e::{ORDER_HOOK, local, local_with_personal_data, members, shop};
use serde_json::json;
use tokio::sync::Semaphore;

use cartwright_e2e::orders::{event, order};

/// The state and the behavior of the ERP system.
pub struct ErpState {
    /// The number of posts of each order, by its key.
    pub posted: BTreeMap<String, u32>,
    /// The posted bodies.
    pub bodies: Vec<String>,
    /// The number of status requests.
    pub status_requests: u32,
    /// The number of "queued" responses before "done".
    pub queued: u32,
    /// The statuses of the next responses to posts.
    pub refusals: VecDeque<StatusCode>,
    /// The number of additional bytes in a response to a post.
    pub padding: usize,
}

#[derive(Clone)]
struct Server {
    state: Arc<Mutex<ErpState>>,
    gate: Arc<Semaphore>,
}

pub const TOKEN: &str = "erp-t0ken-51c3";

/// A shop with an ERP system.
pub struct Erp {
    pub host: Arc<Cartwright>,
    pub blobs: Arc<MemoryBlobs>,
    pub shop: ShopId,
    pub account: AccountId,
    pub plugin: Digest,
    pub clock: Arc<SimulatedClock>,
    pub url: String,
    server: Server,
}

async fn accept(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(headers["content-length"], body.len().to_string());
    let key = headers["idempotency-key"].to_str().expect("a key").to_owned();
    let padding = {
        let mut state = server.state.lock().expect("the books");
        *state.posted.entry(key.clone()).or_default() += 1;
        state.bodies.push(String::from_utf8(body.to_vec()).expect("text"));
        if let Some(refusal) = state.refusals.pop_front() {
            return (refusal, String::new());
        }
        state.padding
    };
    // While the gate is closed, responses wait.
    drop(server.gate.acquire().await);
    (StatusCode::OK, json!({ "reference": format!("ERP-{key}"), "padding": "x".repeat(padding) }).to_string())
}

async fn status(State(server): State<Server>, Path(_): Path<String>) -> String {
    let mut state = server.state.lock().expect("the books");
    state.status_requests += 1;
    let state = if state.status_requests > state.queued { "done" } else { "queued" };
    json!({ "state": state }).to_string()
}

impl Erp {
    pub async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub async fn with(build: impl FnOnce(Builder) -> Builder) -> Self {
        let state = ErpState {
            posted: BTreeMap::new(),
            bodies: Vec::new(),
            status_requests: 0,
            queued: 2,
            refusals: VecDeque::new(),
            padding: 0,
        };
        let server = Server { state: Arc::new(Mutex::new(state)), gate: Arc::new(Semaphore::new(1000)) };
        let router = Router::new()
            .route("/orders", post(accept))
            .route("/orders/{reference}", get(status))
            .with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/orders", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let blobs = Arc::new(MemoryBlobs::default());
        let builder = Cartwright::builder()
            .blobs(blobs.clone())
            .installation("test")
            .secret(Secret::new("what random numbers follow from"))
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = Arc::new(build(builder).start().expect("a host"));
        let plugin = host.install(ORDER_HOOK, None).await.expect("the hook").digest();
        host.add_shop(shop("shop")).expect("a shop");
        let (shop, account) = ("shop".parse().expect("an id"), "erp".parse().expect("an id"));
        let clock = Arc::new(SimulatedClock::default());
        let erp = Self { host, blobs, shop, account, plugin, clock, url, server };
        erp.set(&erp.url).await;
        erp
    }

    /// Sets the account up with another URL.
    pub async fn set(&self, url: &str) {
        self.set_with(url, TOKEN, &self.url).await;
    }

    /// Sets the account up with another URL and token, and grants another server in addition to the ERP system.
    pub async fn set_with(&self, url: &str, token: &str, granted: &str) {
        let settings = members(json!({ "url": url, "token": token }));
        let (mut grants, other) = (local_with_personal_data(&self.url), local(granted));
        grants.hosts.extend(other.hosts);
        grants.plain_http.extend(other.plain_http);
        let setup = AccountSetup { id: self.account.clone(), settings, grants };
        self.host.set_account(&self.shop, self.plugin, setup).await.expect("an account");
    }

    pub fn state(&self) -> MutexGuard<'_, ErpState> {
        self.server.state.lock().expect("the books")
    }

    /// Delays the responses to posts until the gate is opened.
    pub fn close(&self) {
        self.server.gate.forget_permits(1000);
    }

    pub fn open(&self) {
        self.server.gate.add_permits(1000);
    }

    pub fn event(&self, id: &str, kind: OrderEventKind) -> OrderEvent {
        event(kind, &order(&self.host, &self.shop, id, &[]))
    }

    pub fn job_of(&self, event: OrderEvent) -> Job {
        Job {
            id: format!("job-{}", event.order.id),
            shop: self.shop.clone(),
            account: self.account.clone(),
            plugin: self.plugin,
            event,
            state: None,
            round: 0,
        }
    }

    pub fn job(&self, id: &str) -> Job {
        self.job_of(self.event(id, OrderEventKind::Released))
    }

    pub fn start(&self, journal: &Arc<impl Journal + 'static>, wake: Wake) -> RunInput {
        RunInput { journal: journal.clone(), clock: self.clock.clone(), wake, cancel: Cancel::default() }
    }

    pub async fn try_run(&self, job: &Job, journal: &Arc<MemoryJournal>, wake: Wake) -> Result<RunReport, RunError> {
        self.host.run_job(job, self.start(journal, wake)).await
    }

    /// Runs a job once.
    pub async fn run(&self, job: &Job, journal: &Arc<MemoryJournal>) -> RunEnd {
        self.try_run(job, journal, Wake::Due).await.expect("a run").end
    }

    /// Runs a job that the ERP system accepts at once, up to its first wait.
    pub async fn run_to_first_wait(&self, job: &Job, journal: &Arc<MemoryJournal>) {
        let end = self.run(job, journal).await;
        assert!(matches!(end, RunEnd::Sleep { .. }), "{end:?}");
    }

    pub async fn advance(&self, seconds: u32) {
        self.clock.sleep(seconds).await;
    }
}
