//! Load test of adding to a cart over HTTP on loopback. The server runs as its own process and the shoppers in this
//! one; they share the cores.
//!
//! In a closed loop each shopper sends the next request after the response to the last. In an open loop requests start
//! at a fixed rate, and a latency counts from the scheduled start, so that a slow response cannot hide the requests
//! that wait behind it. The baseline is a server without host and guest: bare axum on the same database, which looks up
//! the access key, reads the request, stores configuration and thumbnail, runs the catalog queries of a plan, and sends
//! a stored response. It has none of the server's limits, request ids, traces and metrics, which are part of the
//! measurement, and it runs in the shoppers' process.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

// This benchmark uses only some of the tests' helpers.
#[allow(dead_code)]
#[path = "../tests/http/reply.rs"]
mod reply;
#[allow(dead_code)]
#[path = "../tests/http/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../tests/http/shop.rs"]
mod shop;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Request};
use axum::routing::post;
use axum::{Json, Router};
use cartwright::types::SkuQuery;
use cartwright::{Blobs as _, Catalog as _, Digest, NewConfiguration, ShopId, StoredThumbnail};
use cartwright_fake_vendors::samples;
use cartwright_store::{Keyring, Store};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use reply::ReplyAssertions;
use server::Server;
use shop::{Shop, links};

/// Duration of each closed loop.
const CLOSED: Duration = Duration::from_secs(4);
/// Duration of each open loop, and its number of connections: more than are ever busy, unless the server falls behind.
const OPEN: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;
/// Duration of the loop with version switches, and the interval between two switches.
const SWAPPED: Duration = Duration::from_secs(8);
const EVERY: Duration = Duration::from_secs(1);

/// The request that the loops send.
#[derive(Clone)]
struct BenchRequest {
    address: String,
    path: String,
    authorization: String,
    body: Bytes,
}

impl BenchRequest {
    fn new(shop: &Shop, address: &str, body: &Value) -> Arc<Self> {
        Arc::new(Self {
            address: address.to_owned(),
            path: shop.path("/cart/add"),
            authorization: format!("Bearer {}", shop.backend.key.as_deref().expect("a key")),
            body: body.to_string().into(),
        })
    }

    async fn connect(&self) -> SendRequest<Body> {
        let stream = TcpStream::connect(&self.address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        sender
    }

    /// Sends the request once and returns whether the response was a success.
    async fn ask(&self, sender: &mut SendRequest<Body>) -> bool {
        let request = Request::post(&self.path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(self.body.clone()))
            .expect("a request");
        sender.ready().await.expect("a connection");
        let response = sender.send_request(request).await.expect("an answer");
        let well = response.status() == 200;
        to_bytes(Body::new(response.into_body()), usize::MAX).await.expect("an answer");
        well
    }
}

/// The result of a loop.
#[derive(Default)]
struct Course {
    times: Vec<Duration>,
    failed: usize,
    took: Duration,
}

impl Course {
    fn percentile(&self, part: f64) -> f64 {
        let place = (self.times.len() as f64 * part) as usize;
        self.times[place.min(self.times.len() - 1)].as_secs_f64() * 1e3
    }

    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    fn row(&self) -> String {
        format!("{:.0} | {:.2} | {:.2}", self.rate(), self.percentile(0.5), self.percentile(0.99))
    }
}

async fn gathered(mut shoppers: JoinSet<(Vec<Duration>, usize)>, began: Instant) -> Course {
    let mut course = Course::default();
    while let Some(shopper) = shoppers.join_next().await {
        let (times, failed) = shopper.expect("a shopper");
        course.times.extend(times);
        course.failed += failed;
    }
    course.took = began.elapsed();
    course.times.sort_unstable();
    course
}

async fn closed(target: &Arc<BenchRequest>, shoppers: usize, lasts: Duration) -> Course {
    let began = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..shoppers {
        let target = target.clone();
        all.spawn(async move {
            let (mut sender, mut times, mut failed) = (target.connect().await, Vec::new(), 0);
            while began.elapsed() < lasts {
                let sent = Instant::now();
                failed += usize::from(!target.ask(&mut sender).await);
                times.push(sent.elapsed());
            }
            (times, failed)
        });
    }
    gathered(all, began).await
}

async fn open(target: &Arc<BenchRequest>, rate: f64) -> Course {
    let next = Arc::new(AtomicU32::new(0));
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(target.connect().await);
    }
    let began = Instant::now();
    let mut all = JoinSet::new();
    for mut sender in senders {
        let (target, next) = (target.clone(), next.clone());
        all.spawn(async move {
            let (mut times, mut failed) = (Vec::new(), 0);
            loop {
                let due = Duration::from_secs_f64(f64::from(next.fetch_add(1, Ordering::Relaxed)) / rate);
                if due >= OPEN {
                    return (times, failed);
                }
                tokio::time::sleep_until((began + due).into()).await;
                failed += usize::from(!target.ask(&mut sender).await);
                times.push(began.elapsed() - due);
            }
        });
    }
    gathered(all, began).await
}

/// Starts the baseline server and returns its address.
async fn floor(shop: &Shop, response: Value) -> String {
    let store = Store::open(&shop.server.folder.database(), Keyring::new([7; 32])).await.expect("the database");
    let id: ShopId = shop.id.parse().expect("an id");
    let picture = response["operations"][0]["lines"][0]["thumbnail"].as_str().expect("a picture");
    let picture = picture.parse().expect("a digest");
    let picture = store.get(&id, &picture).await.expect("the database").expect("a picture");
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let key = headers[AUTHORIZATION].to_str().expect("a key").trim_start_matches("Bearer ").to_owned();
        store.access().access_key(&key, None, SystemTime::now()).await.expect("a key");
        let request: Value = serde_json::from_slice(&body).expect("JSON");
        let configuration = request["configuration"].as_str().expect("a configuration");
        let digest = Digest::of(configuration.as_bytes());
        let pictures = [StoredThumbnail { digest: Digest::of(&picture), bytes: picture, media_type: "image/jpeg" }];
        let bytes = configuration.as_bytes();
        let new = NewConfiguration { digest, bytes, pictures: &pictures, client: None };
        store.put_configuration(&id, &new).await.expect("kept");
        store.variants(&id, "EUR", "shirt").await.expect("variants");
        let sku =
            SkuQuery { sku: "SHIRT-R-L".to_owned(), within_product: Some("shirt".to_owned()), ignore_case: false };
        store.resolve(&id, "EUR", &[sku]).await.expect("a variant");
        Json(response)
    };
    let router = Router::new().route("/v1/shops/{shop}/cart/add", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Runs a closed loop with a version switch each second, and returns its result with the number of switches.
async fn swapped(shop: &Arc<Shop>, target: &Arc<BenchRequest>, components: [Value; 2]) -> (Course, usize) {
    let swaps = Arc::new(AtomicUsize::new(0));
    let (shop, count) = (shop.clone(), swaps.clone());
    let swapping = tokio::spawn(async move {
        for component in components.iter().cycle() {
            tokio::time::sleep(EVERY).await;
            shop.admin
                .post(&shop.path("/accounts/expivi/switch-version"), &json!({ "component": component }))
                .await
                .ok();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let course = closed(target, 8, SWAPPED).await;
    assert!(!swapping.is_finished(), "a swap was refused");
    swapping.abort();
    let swaps = swaps.load(Ordering::Relaxed);
    assert!(swaps > 0, "nothing was swapped");
    (course, swaps)
}

#[tokio::main]
async fn main() {
    // Above the rate of every loop, so that the benchmark measures the server and not its rate limits.
    let server = Arc::new(Server::new(&["--requests-per-second", "1000000"]));
    let shop = Arc::new(Shop::on(server).await);
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let first = shop.component("expivi").await;
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 6, 5, b'b', b'e', b'n', b'c', b'h']);
    let headers = [("content-type", "application/wasm")];
    let second = shop.admin.ask("POST", "/v1/plugins", &headers, bytes).await.with(201)["digest"].clone();
    let add = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 1 });
    let response = shop.backend.post(&shop.path("/cart/add"), &add).await.ok();
    let floor = BenchRequest::new(&shop, &floor(&shop, response).await, &add);
    let add = BenchRequest::new(&shop, shop.server.node.address(), &add);
    for warm in [&add, &floor] {
        closed(warm, 8, Duration::from_secs(1)).await;
    }
    let mut failed = 0;
    println!(
        "| closed loop | a second | p50, ms | p99, ms | nothing in its place: a second | p50, ms | p99, ms | of it |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut most = 0.0_f64;
    for shoppers in [1, 8, 32] {
        let (with, without) = (closed(&add, shoppers, CLOSED).await, closed(&floor, shoppers, CLOSED).await);
        let part = with.rate() / without.rate();
        println!("| {shoppers} at once | {} | {} | {part:.2} |", with.row(), without.row());
        most = most.max(with.rate());
        failed += with.failed + without.failed;
    }
    println!(
        "\n| open loop | a second | p50, ms | p99, ms | nothing in its place: a second | p50, ms | p99, ms | p50 of it |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for part in [0.25, 0.5, 0.75] {
        let rate = (most * part).max(1.0);
        let (with, without) = (open(&add, rate).await, open(&floor, rate).await);
        let times = with.percentile(0.5) / without.percentile(0.5);
        println!("| {rate:.0} arrive in a second | {} | {} | {times:.2} |", with.row(), without.row());
        failed += with.failed + without.failed;
    }
    let calm = closed(&add, 8, SWAPPED).await;
    let (course, swaps) = swapped(&shop, &add, [second, first]).await;
    println!(
        "\n8 shoppers and a swap each second: {} of {} calls failed in {swaps} swaps; p99 {:.2} ms, {:.2} of calm ({} of {} failed)",
        course.failed,
        course.times.len(),
        course.percentile(0.99),
        course.percentile(0.99) / calm.percentile(0.99),
        calm.failed,
        calm.times.len()
    );
    failed += calm.failed + course.failed;
    assert_eq!(failed, 0, "calls failed");
}
