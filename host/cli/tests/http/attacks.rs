//! Attacks: making the host send its secrets elsewhere, reaching forbidden servers, impersonating a vendor, and slowing
//! the host down.

use std::io::{Cursor, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright_fake_vendors::twikit::Webhooks;
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, samples};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, links, paid};

/// Returns the account as it is stored, with some changed settings.
async fn changed(shop: &Shop, settings: Value, grants: Value) -> Value {
    let account = shop.integrator.get(&shop.path("/accounts/expivi")).await.ok();
    let mut body = json!({
        "component": account["component"], "settings": account["settings"], "grants": account["grants"],
    });
    for (name, value) in settings.as_object().expect("settings") {
        body["settings"][name] = value.clone();
    }
    for (name, value) in grants.as_object().expect("grants") {
        body["grants"][name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_stored_secret_is_not_sent_to_another_server() {
    let (shop, fake) = Shop::with_expivi().await;
    let thief = FakeExpivi::start(ExpiviConfig::default()).await.expect("a server of the integrator's");
    let account = shop.path("/accounts/expivi");
    let host = thief.base_url().trim_start_matches("http://").to_owned();
    // Even if an admin had granted everything possible.
    let grants = json!({ "hosts": [host], "plain_http": [host] });
    let elsewhere = changed(&shop, json!({ "api-url": thief.api_url() }), grants).await;
    for client in [&shop.integrator, &shop.admin] {
        let reply = client.put(&account, &elsewhere).await;
        if reply.status == 403 {
            continue;
        }
        let problem = reply.problem(422, "invalid");
        assert_eq!(problem["issues"][0]["field"], "server-token", "{problem:#}");
        assert_eq!(problem["issues"][0]["message"]["key"], "secret-redirected");
    }
    shop.integrator.ask("POST", &shop.path("/accounts/expivi/test-connection"), &[], "").await.ok();
    assert!(thief.record().all().is_empty(), "the thief got no request");
    assert!(!fake.record().all().is_empty());
    // Moving the URL is possible with the secret, or by removing it; another path of the same server is not another
    // server.
    let nearby = changed(&shop, json!({ "files-url": fake.base_url() }), json!({})).await;
    shop.integrator.put(&account, &nearby).await.ok();
    let mut moved = elsewhere.clone();
    moved["settings"]["server-token"] = json!("server-token");
    shop.admin.put(&account, &moved).await.ok();
    shop.integrator.ask("POST", &shop.path("/accounts/expivi/test-connection"), &[], "").await.ok();
    assert!(!thief.record().all().is_empty());
    let mut without = changed(&shop, json!({ "api-url": fake.api_url() }), json!({})).await;
    without["settings"]["server-token"] = json!("");
    without["settings"]["print-files"] = json!(false);
    let reply = shop.admin.put(&account, &without).await;
    assert!(!reply.json().to_string().contains("secret-redirected"), "{reply:?}");
}

#[tokio::test]
async fn an_order_with_a_digest_of_its_secret_is_sent_to_no_other_server() {
    let (shop, _fake) = Shop::with_twikit().await;
    let path = shop.path("/accounts/twikit");
    let account = shop.integrator.get(&path).await.ok();
    let mut body = json!({
        "component": account["component"], "settings": account["settings"], "grants": account["grants"],
    });
    // Not only the secret itself: an order with its digest would suffice for a thief.
    body["settings"]["api-url"] = json!("https://thief.example/api");
    let problem = shop.admin.put(&path, &body).await;
    let problem = problem.problem(422, "invalid");
    assert_eq!(problem["issues"][0]["field"], "payload-secret", "{problem:#}");
    assert_eq!(problem["issues"][0]["message"]["key"], "secret-redirected");
}

#[tokio::test]
async fn an_integrator_reaches_no_private_address_in_any_spelling() {
    let (shop, fake) = Shop::with_expivi().await;
    let port = fake.base_url().rsplit(':').next().expect("a port").to_owned();
    let component = shop.component("expivi").await;
    let request_count = fake.record().all().len();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "LOCALHOST.",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "１２７.0.0.1",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/api");
            // Also in the host's own spelling.
            let spelt = url::Url::parse(&url).expect("a URL").host_str().expect("a host").to_owned();
            let hosts = json!([format!("{host}:{port}"), format!("{spelt}:{port}"), host, spelt]);
            let body = json!({
                "component": component, "grants": { "hosts": hosts },
                "settings": { "viewer-token": "v", "server-token": "stolen", "api-url": url },
            });
            let set = shop.integrator.put(&shop.path("/accounts/probe"), &body).await;
            if set.status != 200 {
                assert_eq!(set.status, 422, "{url}: {set:?}");
                continue;
            }
            let tested = shop.integrator.ask("POST", &shop.path("/accounts/probe/test-connection"), &[], "").await;
            let passed = tested.status == 200
                && tested
                    .json()
                    .as_array()
                    .is_some_and(|checks| checks.iter().all(|check| check["verdict"] == "passed"));
            assert!(!passed, "{url}: {tested:?}");
        }
    }
    assert_eq!(fake.record().all().len(), request_count, "the server got no request");
}

#[tokio::test]
async fn a_vendor_that_sends_the_host_elsewhere_is_not_followed() {
    let (shop, fake) = Shop::with_expivi().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let target = fake.api_url();
    let router = Router::new().fallback(move || {
        let target = target.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]) }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let host = address.to_string();
    let settings = json!({ "api-url": format!("http://{host}/api"), "server-token": "server-token" });
    let grants = json!({ "hosts": [host, fake.base_url().trim_start_matches("http://")], "plain_http": [host] });
    let body = changed(&shop, settings, grants).await;
    shop.admin.put(&shop.path("/accounts/expivi"), &body).await.ok();
    let request_count = fake.record().all().len();
    let tested = shop.integrator.ask("POST", &shop.path("/accounts/expivi/test-connection"), &[], "").await;
    let passed = |checks: &Value| {
        checks.as_array().is_some_and(|checks| checks.iter().all(|check| check["verdict"] == "passed"))
    };
    assert!(tested.status != 200 || !passed(&tested.json()), "{tested:?}");
    assert_eq!(fake.record().all().len(), request_count, "it was followed");
}

#[tokio::test]
async fn forged_webhooks_are_refused_and_a_repeated_delivery_has_no_second_effect() {
    let (shop, fake) = Shop::with_twikit().await;
    let body = json!({ "account": "twikit", "endpoint": "order-completion" });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let url = made["url"].as_str().expect("a URL").to_owned();
    let mut cart = Vec::new();
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 2, "lines": [] });
    shop.change(&mut cart, "add", body).await;
    shop.backend.post(&shop.path("/events"), &paid("2001", &cart)).await.ok();
    let order = shop.handled("2001").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    fake.set_webhooks(Webhooks { order_completed: Some(url.clone()), ..Webhooks::default() });
    let shipped = fake.order_completed(&reference, "https://track.example/1", "T-1").await.expect("an order");
    assert!(shipped.accepted(), "{shipped:?}");
    let outcomes = async || shop.backend.get(&shop.path("/orders/2001")).await.ok()["outcomes"].clone();
    let before = outcomes().await;
    // A repeated request gets the first response, and has no effect.
    let again = fake.order_completed(&reference, "https://track.example/1", "T-1").await.expect("an order");
    assert!(again.accepted(), "{again:?}");
    assert_eq!(outcomes().await, before);
    // Without the URL's token a webhook is rejected.
    let anonymous = shop.server.node.anonymous();
    let path = url.strip_prefix(&shop.server.node.base).expect("an address of this server").to_owned();
    let (start, address) = path.rsplit_once('/').expect("a path");
    let mut other = address.to_owned();
    let last = other.pop().expect("a letter");
    other.push(if last == 'A' { 'B' } else { 'A' });
    let forged = json!({ "orderId": reference, "trackingUrl": "https://evil.example" });
    for address in [other, address[1..].to_owned(), format!("{address}A"), address.to_uppercase(), "x".repeat(20_000)] {
        let reply = anonymous.post(&format!("{start}/{address}"), &forged).await;
        assert!(matches!(reply.status, 401 | 403 | 404 | 414 | 431), "{address}: {reply:?}");
    }
    let large = vec![b' '; (4 << 20) + 1];
    assert_eq!(anonymous.ask("POST", &path, &[], large).await.status, 413);
    assert_eq!(outcomes().await, before);
}

/// Returns a ring with a picture of this size in a single color: a file of a few kilobytes.
fn swelling(edge: u32) -> Value {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbaImage::new(edge, edge).write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
    let mut saved: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    saved[0]["thumbnail"] = json!(format!("data:image/png;base64,{}", STANDARD.encode(bytes.into_inner())));
    json!({ "product": "ring", "configuration": saved.to_string(), "quantity": 1 })
}

#[tokio::test]
async fn a_decompression_bomb_is_left_out_and_many_at_once_use_little_memory() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let added = shop.storefront.post(&shop.path("/cart/add"), &swelling(3_000)).await.ok();
    assert_eq!(added["operations"][0]["lines"][0]["thumbnail"], Value::Null, "{added:#}");
    let Some(before) = shop.server.node.peak_memory() else { return };
    let large = swelling(2_048);
    let mut asking = JoinSet::new();
    for _ in 0..64 {
        let (client, path, large) = (shop.storefront.clone(), shop.path("/cart/add"), large.clone());
        asking.spawn(async move { client.post(&path, &large).await.status });
    }
    for status in asking.join_all().await {
        assert!(matches!(status, 200 | 503), "{status}");
    }
    let grown = shop.server.node.peak_memory().expect("as before") - before;
    assert!(grown < 256 << 20, "64 pictures at once took {} MB more", grown >> 20);
}

/// Sends a request slowly until the server closes it. Returns the duration and the response.
fn trickle(address: &str, head: &str, interval: Duration) -> (Duration, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let began = Instant::now();
    stream.write_all(head.as_bytes()).expect("written");
    stream.set_read_timeout(Some(interval)).expect("a timeout");
    let mut response = Vec::new();
    let mut some = [0; 4096];
    while began.elapsed() < Duration::from_secs(120) {
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(length) => response.extend_from_slice(&some[..length]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if stream.write_all(b"x").is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
        if !response.is_empty() {
            break;
        }
    }
    (began.elapsed(), String::from_utf8_lossy(&response).into_owned())
}

#[tokio::test]
async fn a_request_that_comes_letter_by_letter_is_ended_all_the_same() {
    let server = Server::shared();
    let key = server.admin.key.clone().expect("a key");
    let second = Duration::from_secs(1);
    let address = server.node.address().to_owned();
    let head = tokio::task::spawn_blocking(move || trickle(&address, "GET / HTTP/1.1\r\nhost: x\r\nx: ", second));
    let address = server.node.address().to_owned();
    let body = tokio::task::spawn_blocking(move || {
        let head = format!(
            "POST /v1/access-keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: 100000\r\n\r\n{{"
        );
        trickle(&address, &head, second)
    });
    let (after, response) = head.await.expect("its end");
    assert!(after < Duration::from_secs(45), "{after:?}: {response}");
    let (after, response) = body.await.expect("its end");
    assert!(after < Duration::from_secs(75) && response.starts_with("HTTP/1.1 503"), "{after:?}: {response}");
    assert_eq!(server.node.anonymous().get("/health/ready").await.status, 200);
}

/// Sends many requests at once and reads no response for a time. Returns the number of bytes that arrive until the
/// server closes the connection.
fn unread(address: &str, path: &str, times: usize, wait: Duration) -> usize {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let requests = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(times);
    // The server stops reading while responses are blocked.
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    drop(stream.write_all(requests.as_bytes()));
    std::thread::sleep(wait);
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let (mut received, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return received,
            Ok(length) => received += length,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return received,
            Err(error) => panic!("after {received} bytes the connection is still there: {error}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_no_response_loses_the_connection() {
    let server = Server::shared();
    let one = server.node.anonymous().get("/openapi.json").await.json().to_string().len();
    let (address, times) = (server.node.address().to_owned(), 400);
    let reader = tokio::task::spawn_blocking(move || unread(&address, "/openapi.json", times, Duration::from_secs(40)));
    let reader = reader.await.expect("its end");
    assert!(reader > 0 && reader < times * one / 2, "{reader} of {}", times * one);
}

#[tokio::test]
async fn a_nul_is_refused_wherever_it_is_sent() {
    let shop = Shop::new().await;
    for (client, method, path, body) in [
        (&shop.admin, "POST", "/v1/access-keys".to_owned(), r#"{"role":{"role":"admin"},"label":"a\u0000b"}"#),
        (
            &shop.integrator,
            "PUT",
            shop.path("/product-links"),
            r#"[{"shop_product":"\u0000","account":"x","vendor_product":"1"}]"#,
        ),
    ] {
        let reply = client.ask(method, &path, &[("content-type", "application/json")], body).await;
        let problem = reply.problem(422, "body");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("NUL")), "{problem}");
    }
    let table = "shop_product,account,vendor_product\na\0b,x,1\n";
    let reply =
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &[("content-type", "text/csv")], table).await;
    reply.problem(422, "csv");
    assert_eq!(shop.integrator.get(&shop.path("/product-links/a%00b")).await.status, 404);
}

/// Returns a gigabyte of zeros in a megabyte: a thousand members of gzip (RFC 1952), each a mebibyte.
fn bomb() -> Vec<u8> {
    let (head, tail) = (
        hex::decode("1f8b0800000000000203edc13101000000c2a0f54f6d085fa0").expect("hex"),
        hex::decode("3e031cea38a700001000").expect("hex"),
    );
    [head, vec![0; 1016], tail].concat().repeat(1000)
}

#[tokio::test]
async fn a_compressed_body_is_not_decompressed() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    shop.sell().await;
    let _fake = shop.expivi().await;
    let before = shop.server.node.peak_memory();
    for kind in ["application/json", "text/csv", "application/wasm"] {
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        for (client, method, path) in [
            (&shop.backend, "POST", shop.path("/cart/add")),
            (&shop.integrator, "PUT", shop.path("/product-links.csv")),
            (&shop.admin, "POST", "/v1/plugins".to_owned()),
        ] {
            let reply = client.ask(method, &path, &headers, bomb()).await;
            assert!((400..500).contains(&reply.status), "{method} {path} as {kind}: {reply:?}");
        }
    }
    // Nor is a vendor's response.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let router = Router::new().fallback(async || ([(axum::http::header::CONTENT_ENCODING, "gzip")], bomb()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = json!({ "api-url": format!("http://{host}/api"), "server-token": "server-token" });
    let body = changed(&shop, settings, json!({ "hosts": [host], "plain_http": [host] })).await;
    shop.admin.put(&shop.path("/accounts/expivi"), &body).await.ok();
    let tested = shop.integrator.ask("POST", &shop.path("/accounts/expivi/test-connection"), &[], "").await;
    let passed =
        |checks: &Value| checks.as_array().is_some_and(|all| all.iter().all(|check| check["verdict"] == "passed"));
    assert!(tested.status != 200 || !passed(&tested.json()), "{tested:?}");
    let Some((before, after)) = before.zip(shop.server.node.peak_memory()) else { return };
    assert!(after - before < 256 << 20, "it took {} MB more", (after - before) >> 20);
}
