//! Two nodes on one PostgreSQL, over HTTP: a change on one node reaches the other, and a confirmed change survives the
//! loss of its node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cartwright_fake_vendors::client::Reply;
use cartwright_fake_vendors::samples;
use cartwright_test_postgres::Server as Postgres;
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Folder, Node, Server, command};
use crate::shop::{Shop, links, paid};

/// Number of concurrent reporters of orders.
const REPORTERS: usize = 8;
/// Number of responses before a node is killed, and in total.
const KILLED_AT: usize = 60;
const ORDERS: usize = 150;

/// Starts two nodes on their own database. Returns `None` if PostgreSQL is not installed.
async fn two() -> Option<(Arc<Server>, Node)> {
    let postgres = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer")?;
    let server = Server::on(Folder::of(postgres.create_database()), &["--node", "one"]);
    let other = Node::start(&server.folder, &["--node", "two", "--client-requests-per-second", "1000000"]);
    Some((Arc::new(server), other))
}

/// Returns a client with the same key for another node.
fn client_of(node: &Node, client: &Client) -> Client {
    node.client(client.key.as_deref().expect("a key"))
}

/// Waits until a node is ready, and so has seen all changes.
async fn caught_up(node: &Node) {
    assert_eq!(node.anonymous().get("/health/ready").await.status, 200);
}

/// Installs a second version of Expivi's plugin: the same with a custom section.
async fn another_version(shop: &Shop) -> Value {
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 6, 5, b's', b'w', b'a', b'p', b's']);
    let headers = [("content-type", "application/wasm")];
    shop.admin.ask("POST", "/v1/plugins", &headers, bytes).await.with(201)["digest"].clone()
}

#[tokio::test]
async fn no_request_fails_while_versions_are_swapped() {
    let shop = Arc::new(Shop::on(Arc::new(Server::new(&[]))).await);
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let versions = [another_version(&shop).await, shop.component("expivi").await];
    let stop = Arc::new(AtomicBool::new(false));
    let mut shoppers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (shop, stop) = (shop.clone(), stop.clone());
        shoppers.spawn(async move {
            let shirt = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 1 });
            let mut pins = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let added = shop.backend.post(&shop.path("/cart/add"), &shirt).await.ok();
                pins.insert(added["operations"][0]["lines"][0]["pin"]["digest"].as_str().expect("a digest").to_owned());
            }
            pins
        });
    }
    for version in versions.iter().cycle().take(10) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        shop.admin.post(&shop.path("/accounts/expivi/switch-version"), &json!({ "component": version })).await.ok();
    }
    stop.store(true, Ordering::Relaxed);
    for pins in shoppers.join_all().await {
        assert_eq!(pins.len(), 2, "both versions served: {pins:?}");
    }
}

/// Starts a PostgreSQL server for one test, and a node on it.
async fn one() -> Option<(Arc<Postgres>, Server)> {
    let started = tokio::task::spawn_blocking(|| Postgres::start("").expect("PostgreSQL starts")).await;
    let Some(postgres) = started.expect("an answer") else {
        cartwright_test_postgres::shared();
        return None;
    };
    let server = Server::on(Folder::of(postgres.create_database()), &[]);
    Some((Arc::new(postgres), server))
}

async fn run_on(postgres: &Arc<Postgres>, what: impl FnOnce(&Postgres) + Send + 'static) {
    let postgres = postgres.clone();
    tokio::task::spawn_blocking(move || what(&postgres)).await.expect("done");
}

/// Polls until the node is ready, or not ready.
async fn until_ready(server: &Server, ready: bool) -> Reply {
    let began = Instant::now();
    loop {
        let reply = server.node.anonymous().get("/health/ready").await;
        if (reply.status == 200) == ready {
            return reply;
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{reply:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_node_without_its_database_reports_it_and_recovers_by_itself() {
    let Some((postgres, server)) = one().await else { return };
    run_on(&postgres, Postgres::stop).await;
    let unready = until_ready(&server, false).await;
    assert_eq!(unready.header("retry-after"), Some("1"), "{unready:?}");
    unready.problem(503, "database");
    assert_eq!(server.node.anonymous().get("/health/live").await.status, 200);
    let shop = json!({ "currencies": [{ "code": "EUR", "scale": 2 }] });
    let refused = server.admin.put("/v1/shops/rings", &shop).await;
    assert_eq!(refused.header("retry-after"), Some("5"), "{refused:?}");
    refused.problem(503, "database");
    run_on(&postgres, Postgres::start_again).await;
    until_ready(&server, true).await;
    server.admin.put("/v1/shops/rings", &shop).await.ok();
}

#[tokio::test]
async fn a_node_whose_database_takes_no_writes_is_not_ready_and_writes_when_it_does() {
    let Some((postgres, server)) = one().await else { return };
    run_on(&postgres, |postgres| postgres.set_read_only(true)).await;
    let unready = until_ready(&server, false).await;
    assert!(unready.json()["detail"].as_str().is_some_and(|reason| reason.contains("is read-only")), "{unready:?}");
    unready.problem(503, "database");
    // A write now waits a little, as in a failover.
    let admin = server.admin.clone();
    let writing = tokio::spawn(async move {
        admin.put("/v1/shops/rings", &json!({ "currencies": [{ "code": "EUR", "scale": 2 }] })).await
    });
    run_on(&postgres, |postgres| postgres.set_read_only(false)).await;
    writing.await.expect("an answer").ok();
    until_ready(&server, true).await;
}

#[tokio::test]
async fn a_node_that_is_starting_says_so() {
    let folder = Folder::new();
    // A database that accepts connections and never responds.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let database = format!("postgres://cartwright@{}/host?sslmode=disable", silent.local_addr().expect("an address"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let mut node = command()
        .args(["serve", "--listen", &free.to_string(), "--database", &database, "--key-file"])
        .arg(folder.path().join("key"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    let anonymous = Client { base: format!("http://{free}"), key: None };
    let began = Instant::now();
    let starting = loop {
        match anonymous.try_ask("GET", "/health/ready", &[], "").await {
            Ok(reply) => break reply,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(5), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(starting.header("retry-after"), Some("1"), "{starting:?}");
    starting.problem(503, "starting");
    anonymous.get("/v1/shops").await.problem(503, "starting");
    assert_eq!(anonymous.get("/health/live").await.status, 200);
    // The node ends with the connection, and reports why.
    drop(silent.accept().expect("a connection"));
    drop(silent);
    let ended = tokio::task::spawn_blocking(move || {
        let status = node.wait().expect("its end");
        let mut log = String::new();
        std::io::Read::read_to_string(&mut node.stderr.take().expect("a pipe"), &mut log).expect("UTF-8");
        (status, log)
    });
    let (status, log) = ended.await.expect("its end");
    assert!(!status.success() && log.contains("cannot open the database"), "{log}");
}

#[tokio::test]
async fn a_swap_on_one_node_is_sold_by_the_other_within_a_second() {
    let Some((server, other)) = two().await else { return };
    let shop = Shop::on(server).await;
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let first = shop.component("expivi").await;
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 5, 4, b'n', b'o', b't', b'e']);
    let headers = [("content-type", "application/wasm")];
    let second = shop.admin.ask("POST", "/v1/plugins", &headers, bytes).await.with(201)["digest"].clone();
    let there = client_of(&other, &shop.storefront);
    caught_up(&other).await;
    let add = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 1 });
    let sold = async || {
        let change = there.post(&shop.path("/cart/add"), &add).await.ok();
        change["operations"][0]["lines"][0]["pin"]["digest"].clone()
    };
    let mut took = Vec::new();
    for number in 0..20 {
        let component = if number % 2 == 0 { &second } else { &first };
        shop.admin.post(&shop.path("/accounts/expivi/switch-version"), &json!({ "component": component })).await.ok();
        let began = Instant::now();
        while sold().await != *component {
            assert!(began.elapsed() < Duration::from_secs(1), "the other node goes on with the version before");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a swap on one node is sold by the other after {:?}, {:?} at most, of {}", took[10], took[19], took.len());
}

#[tokio::test]
async fn a_killed_node_loses_no_answered_request_and_no_job() {
    let Some((server, other)) = two().await else { return };
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let mut cart = Vec::new();
    let body = json!({ "product": "wardrobe", "configuration": samples::EXPIVI_BUNDLE, "quantity": 1 });
    shop.change(&mut cart, "add", body).await;
    // Jobs are slow, so that both nodes have some in progress.
    fake.faults().delay(Duration::from_millis(30));
    let (backend, events) = (client_of(&other, &shop.backend), shop.path("/events"));
    caught_up(&other).await;
    let path = shop.id.clone();
    let clients = [shop.backend.clone(), backend.clone()];
    drop(shop);
    let (next, answered, is_killed) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut reporters = tokio::task::JoinSet::new();
    for _ in 0..REPORTERS {
        let (next, answered, is_killed, cart, clients, events) =
            (next.clone(), answered.clone(), is_killed.clone(), cart.clone(), clients.clone(), events.clone());
        reporters.spawn(async move {
            let mut mine: Vec<String> = Vec::new();
            let mut lost = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ORDERS {
                    return (mine, lost);
                }
                let order = format!("o-{number}");
                let one = usize::from(is_killed.load(Ordering::Relaxed) || number % 2 == 1);
                let headers = [("content-type", "application/json")];
                let body = paid(&order, &cart).to_string();
                match clients[one].try_ask("POST", &events, &headers, body).await {
                    Ok(reply) => {
                        assert_eq!(reply.status, 200, "{reply:?}");
                        answered.fetch_add(1, Ordering::Relaxed);
                        mine.push(order);
                    }
                    // The request was not confirmed.
                    Err(_) if one == 0 => lost += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }
    while answered.load(Ordering::Relaxed) < KILLED_AT {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let Server { node, folder, .. } = Arc::into_inner(server).expect("the only handle");
    node.kill();
    is_killed.store(true, Ordering::Relaxed);
    let (mut orders, mut lost) = (BTreeSet::new(), 0);
    while let Some(reported) = reporters.join_next().await {
        let (mine, of_mine) = reported.expect("reported");
        orders.extend(mine);
        lost += of_mine;
    }
    fake.faults().clear();
    let held = backend.get(&format!("/v1/shops/{path}/jobs?state=running&limit=500")).await.ok();
    let held = held["jobs"].as_array().map_or(0, Vec::len);
    // The killed node's jobs continue when its lease has expired.
    let began = Instant::now();
    for order in &orders {
        loop {
            let found: Value = backend.get(&format!("/v1/shops/{path}/orders/{order}")).await.ok();
            let jobs = found["jobs"].as_array().expect("jobs");
            // One event for the payment, and one for the release.
            assert_eq!(jobs.len(), 2, "{found:#}");
            if jobs.iter().all(|job| job["state"] == "done") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(150), "{found:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    println!(
        "a node killed after {KILLED_AT} answers: {} orders answered and there, all jobs done; {lost} requests were not answered, \
         {held} jobs ran when the last was reported",
        orders.len()
    );
    assert_eq!(fake.uploaded().len(), 1, "one configuration");
    drop(folder);
}
