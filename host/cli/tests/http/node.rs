//! A node as an operator runs it: its configuration, its shutdown, and two nodes on one database.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright_fake_vendors::samples;
use serde_json::json;

use crate::ReplyAssertions as _;
use crate::server::{Folder, Node, Server, command};
use crate::shop::{Shop, links, paid};

fn refused(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let run: Output = command()
        .arg("serve")
        .args(arguments)
        .env("CARTWRIGHT_KEY_FILE", folder.path().join("key"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    assert!(!run.status.success(), "{run:?}");
    assert!(run.stdout.is_empty(), "{run:?}");
    String::from_utf8(run.stderr).expect("UTF-8")
}

#[test]
fn an_unknown_setting_is_an_error_in_every_source() {
    let folder = Folder::new();
    let error = refused(&folder, &[], &[("CARTWRIGHT_DATABSE", "sqlite:x.db")]);
    assert!(error.contains("CARTWRIGHT_DATABSE") && error.contains("CARTWRIGHT_DATABASE"), "{error}");
    let file = folder.path().join("node.toml");
    std::fs::write(&file, format!("database = \"{}\"\nlissten = \"127.0.0.1:0\"\n", folder.database()))
        .expect("a file");
    let error = refused(&folder, &["--config", &file.display().to_string()], &[]);
    assert!(error.contains("lissten") && error.contains("listen"), "{error}");
    let error = refused(&folder, &["--lissten", "127.0.0.1:0"], &[]);
    assert!(error.contains("--lissten"), "{error}");
    let error = refused(&folder, &[], &[]);
    assert!(error.contains("--database") && error.contains("CARTWRIGHT_DATABASE"), "{error}");
    let error = refused(&folder, &["--database", "sqlite:x.db", "--public-url", "ftp://x"], &[]);
    assert!(error.contains("must be http or https"), "{error}");
    let error = refused(&folder, &["--database", "sqlite:x.db", "--otlp-endpoint", "grpc://x"], &[]);
    assert!(error.contains("OTLP endpoint") && error.contains("must be an http or https URL"), "{error}");
    let error = refused(&folder, &["--database", "sqlite:x.db"], &[("CARTWRIGHT_LOG_FORMAT", "xml")]);
    assert!(error.contains("text") && error.contains("json"), "{error}");
    assert!(!folder.path().join("host.db").exists(), "nothing was made");
}

#[tokio::test]
async fn a_flag_overrides_a_variable_and_a_variable_overrides_the_file() {
    let folder = Folder::new();
    let key = folder.admin_key();
    let file = folder.path().join("node.toml");
    std::fs::write(&file, "public-url = \"https://file.example/\"\ninstallation = \"from-file\"\n").expect("a file");
    let file = file.display().to_string();
    let node = Node::start(&folder, &["--config", &file, "--public-url", "https://flag.example/under"]);
    let server = Server { admin: node.client(&key), node, folder };
    let shop = Shop::on(Arc::new(server)).await;
    shop.sell().await;
    let settings = json!({ "integration-id": "x", "payload-secret": "y", "api-url": "https://x.example/api/v1",
        "script-url": "https://x.example/x.js", "product-keys": ["jewel"] });
    shop.set_account("twikit", settings, json!({})).await;
    let body = json!({ "account": "twikit", "endpoint": "order-completion" });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let url = made["url"].as_str().expect("a URL");
    assert!(url.starts_with("https://flag.example/under/webhooks/"), "{url}");
}

#[tokio::test]
async fn a_terminated_node_exits_with_success_and_releases_its_jobs() {
    let server = Arc::new(Server::new(&["--drain-timeout-seconds", "1"]));
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let mut cart = Vec::new();
    let body = json!({ "product": "wardrobe", "configuration": samples::EXPIVI_BUNDLE, "quantity": 1 });
    shop.change(&mut cart, "add", body).await;
    // Expivi is slow, so that a request is in progress when the node ends.
    fake.faults().delay(Duration::from_secs(20));
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    let began = Instant::now();
    while fake.record().on_path("/api/configured_product/bundle").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "the job does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let backend = shop.backend.clone();
    let at = shop.path("/orders/1");
    drop(shop);
    let Server { node, folder, .. } = Arc::into_inner(server).expect("the only handle");
    // A silent connection does not delay the shutdown, nor does a request that never ends.
    let _silent = TcpStream::connect(node.address()).expect("a connection");
    let mut half = TcpStream::connect(node.address()).expect("a connection");
    half.write_all(b"POST /v1/access-keys HTTP/1.1\r\nhost: x\r\n").expect("written");
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.terminate();
    let status = tokio::task::spawn_blocking(move || node.ended(Duration::from_secs(15))).await.expect("its end");
    assert_eq!(status.code(), Some(0), "{status}");
    // Another node continues, long before a lease would have expired.
    fake.faults().clear();
    let node = Node::start(&folder, &[]);
    let began = Instant::now();
    let backend = node.client(&backend.key.expect("a key"));
    loop {
        let order = backend.get(&at).await.ok();
        let jobs = order["jobs"].as_array().expect("jobs");
        if jobs.iter().all(|job| job["state"] == "done") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{order:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fake.uploaded().len(), 1);
}

#[tokio::test]
async fn a_terminated_node_is_not_ready_and_answers_the_requests_that_it_accepted() {
    let server = Arc::new(Server::new(&["--drain-delay-seconds", "3"]));
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    // Only Expivi has the price of a ring, and it is slow.
    fake.faults().delay(Duration::from_secs(8));
    let (backend, add) = (shop.backend.clone(), shop.path("/cart/add"));
    let adding = tokio::spawn(async move {
        let body = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1 });
        backend.post(&add, &body).await
    });
    let began = Instant::now();
    while fake.record().on_path("/api/price_manager").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(5), "nothing is asked for");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let admin = shop.admin.clone();
    drop(shop);
    let Server { node, folder: _folder, .. } = Arc::into_inner(server).expect("the only handle");
    let anonymous = node.anonymous();
    assert_eq!(anonymous.get("/health/ready").await.status, 200);
    node.terminate();
    let began = Instant::now();
    while anonymous.get("/health/ready").await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(1), "it says nothing of its end");
    }
    // During the drain delay it keeps accepting requests.
    anonymous.get("/health/ready").await.problem(503, "draining");
    assert_eq!(anonymous.get("/health/live").await.status, 200);
    admin.get("/v1/shops").await.with(200);
    while admin.try_ask("GET", "/v1/shops", &[], "").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(7), "it takes requests for ever");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "the node ended before load balancers could notice");
    // A request that was accepted before gets its response.
    assert!(!adding.is_finished(), "the request was to be out when nothing more was taken");
    let change = adding.await.expect("an answer").ok();
    assert!(change["operations"].as_array().is_some_and(|operations| !operations.is_empty()), "{change:#}");
    let status = tokio::task::spawn_blocking(move || node.ended(Duration::from_secs(15))).await.expect("its end");
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn a_change_on_one_node_is_served_by_another_within_a_second() {
    let server = Arc::new(Server::new(&[]));
    let shop = Shop::on(server.clone()).await;
    let other = Node::start(&server.folder, &[]);
    let _fake = shop.expivi().await;
    let neighbor = Shop::on(server.clone()).await;
    let _neighbors_fake = neighbor.expivi().await;
    let first = shop.component("expivi").await;
    // The same component with an added note: the same code with another digest.
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 5, 4, b'n', b'o', b't', b'e']);
    let headers = [("content-type", "application/wasm")];
    let second = shop.admin.ask("POST", "/v1/plugins", &headers, bytes).await.with(201)["digest"].clone();
    assert_ne!(first, second);
    let there = other.client(shop.admin.key.as_deref().expect("a key"));
    for component in [&second, &first] {
        let swapped = shop
            .admin
            .post(&shop.path("/accounts/expivi/switch-version"), &json!({ "component": component }))
            .await
            .ok();
        assert_eq!(swapped["component"], *component);
        let began = Instant::now();
        while there.get(&shop.path("/accounts/expivi")).await.json()["component"] != *component {
            assert!(began.elapsed() < Duration::from_secs(1), "it goes on with the version before");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // All of the plugin's accounts at once, and a shop that does not exist.
    let swapped = there.post("/v1/plugins/expivi/switch-version", &json!({ "component": second })).await.ok();
    assert_eq!(swapped[0]["from"], first, "{swapped:#}");
    assert_eq!(swapped[0]["problem"], json!(null));
    // Or those of the shops that are named.
    let named = json!({ "component": first, "shops": [neighbor.id] });
    let swapped = there.post("/v1/plugins/expivi/switch-version", &named).await.ok();
    assert_eq!((swapped.as_array().map(Vec::len), &swapped[0]["shop"]), (Some(1), &json!(neighbor.id)), "{swapped:#}");
    assert_eq!(there.get(&shop.path("/accounts/expivi")).await.json()["component"], second);
    let nowhere = json!({ "component": second, "shops": ["nowhere"] });
    there.post("/v1/plugins/expivi/switch-version", &nowhere).await.problem(404, "not-found");
    // Concurrent changes on two nodes are not lost.
    let stale = there.get(&shop.path("")).await.header("etag").expect("an ETag").to_owned();
    shop.admin
        .put(&shop.path(""), &json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "seal_seconds": 60 }))
        .await
        .ok();
    let late = json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "seal_seconds": 70 });
    there.send("PUT", &shop.path(""), &[("if-match", &stale)], &late).await.problem(412, "changed");
}

#[tokio::test]
async fn a_node_says_whether_it_lives_and_can_serve() {
    let server = Server::shared();
    let anonymous = server.node.anonymous();
    for path in ["/health/live", "/health/ready"] {
        let reply = anonymous.get(path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.header("x-request-id").is_some_and(|id| id.len() == 24), "{reply:?}");
    }
    let document = anonymous.get("/openapi.json").await.with(200);
    assert_eq!(document["openapi"], "3.1.0");
    anonymous.get("/v2/shops").await.problem(404, "not-found");
    anonymous.ask("PATCH", "/v1/shops", &[], "").await.problem(405, "method");
}
