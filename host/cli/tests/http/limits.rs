//! Limits on requests, on guesses and on sizes; and that clients that exceed them do not slow others down.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cartwright_fake_vendors::samples;
use cartwright_test_guests::WEBHOOKS;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ReplyAssertions as _;
use crate::server::{Client, Folder, Node, Server};
use crate::shop::{Shop, links};

const PLUGINS: &str = "/v1/plugins";

#[tokio::test]
async fn a_client_that_guesses_keys_is_refused_and_others_are_served() {
    let server = Server::new(&["--failed-keys-per-minute", "5", "--proxies", "127.0.0.0/8"]);
    let fresh =
        server.admin.post("/v1/access-keys", &json!({ "role": { "role": "backend" }, "label": "x" })).await.with(201);
    let fresh = server.node.client(fresh["key"].as_str().expect("a key"));
    let wrong = server.node.client(&format!("cw_admin_{}_{}", "0".repeat(16), "0".repeat(64)));
    for _ in 0..5 {
        wrong.get(PLUGINS).await.problem(401, "access");
    }
    let refused = wrong.get(PLUGINS).await;
    let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a time to wait");
    assert!((1..=60).contains(&wait), "{refused:?}");
    refused.problem(429, "too-many");
    // Now a correct guess gets the same response as a wrong one; keys that were used before stay valid.
    fresh.get(PLUGINS).await.problem(429, "too-many");
    assert_eq!(server.admin.get(PLUGINS).await.status, 200);
    assert_eq!(server.node.anonymous().get("/health/live").await.status, 200);
    // Another address is not limited. The proxy's entry counts, and the entries before it do not.
    let elsewhere = [("x-forwarded-for", "198.51.100.7")];
    assert_eq!(fresh.ask("GET", PLUGINS, &elsewhere, "").await.status, 200);
    for name in 0..8 {
        let pretends = format!("203.0.113.{name}, 192.0.2.1");
        let reply = wrong.ask("GET", PLUGINS, &[("x-forwarded-for", &pretends)], "").await;
        assert_eq!(reply.status, if name < 5 { 401 } else { 429 }, "{pretends}");
    }
}

#[tokio::test]
async fn a_client_that_guesses_keys_at_the_log_in_waits_even_with_a_right_guess() {
    let server = Server::new(&["--failed-keys-per-minute", "5", "--proxies", "127.0.0.0/8"]);
    let integrator = json!({ "role": "integrator", "shop": "rings" });
    server.admin.put("/v1/shops/rings", &json!({ "currencies": [{ "code": "EUR", "scale": 2 }] })).await.ok();
    let fresh = server.somebody(integrator).await.key.expect("a key");
    let anonymous = server.node.anonymous();
    let sign_in = async |key: &str, from: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", from)];
        anonymous.ask("POST", "/admin/sign-in", &headers, format!("key={key}")).await
    };
    let wrong = format!("cw_admin_{}_{}", "0".repeat(16), "0".repeat(64));
    for _ in 0..5 {
        assert_eq!(sign_in(&wrong, "192.0.2.1").await.status, 403);
    }
    for key in [&wrong, &fresh] {
        let refused = sign_in(key, "192.0.2.1").await;
        assert_eq!((refused.status, refused.header("set-cookie")), (429, None), "{refused:?}");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        let page = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(page.contains("too many requests; try again in"), "{page}");
    }
    // Guesses here and over HTTP count together, because the same keys open both.
    let bearer = server.node.client(&fresh);
    bearer.ask("GET", PLUGINS, &[("x-forwarded-for", "192.0.2.1")], "").await.problem(429, "too-many");
    // Another address is not limited; and an address that has signed in before can sign in here too.
    assert_eq!(sign_in(&fresh, "198.51.100.7").await.status, 303);
    assert_eq!(sign_in(&fresh, "192.0.2.1").await.status, 303);
}

#[tokio::test]
async fn requests_per_key_are_limited_without_delaying_others() {
    let folder = Folder::new();
    let (admin, other) = (folder.admin_key(), folder.admin_key());
    let node = Node::start(&folder, &["--requests-per-second", "5"]);
    let (admin, other) = (node.client(&admin), node.client(&other));
    let began = Instant::now();
    let mut refused = None;
    while refused.is_none() && began.elapsed() < Duration::from_secs(10) {
        refused = Some(admin.get(PLUGINS).await).filter(|reply| reply.status != 200);
    }
    let refused = refused.expect("one request is rejected");
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.problem(429, "too-many");
    assert_eq!(other.get(PLUGINS).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(admin.get(PLUGINS).await.status, 200);
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Starts a server that identifies clients by the header of a proxy on this machine.
fn behind_a_proxy(further: &[&str]) -> Arc<Server> {
    Arc::new(Server::new(&[&["--proxies", "127.0.0.0/8"], further].concat()))
}

#[tokio::test]
async fn one_client_of_a_storefront_does_not_use_up_its_keys_requests() {
    let shop = Shop::on(behind_a_proxy(&["--requests-per-second", "40"])).await;
    let ask = async |client: &Client, from: &str| {
        let headers = [JSON[0], ("x-forwarded-for", from)];
        client.ask("POST", &shop.path("/cart/remove"), &headers, "{}").await
    };
    let mut flood = JoinSet::new();
    for _ in 0..4 {
        let (client, path) = (shop.storefront.clone(), shop.path("/cart/remove"));
        flood.spawn(async move {
            let headers = [JSON[0], ("x-forwarded-for", "198.51.100.1")];
            let mut refused = 0;
            for _ in 0..150 {
                refused += u32::from(client.ask("POST", &path, &headers, "{}").await.status == 429);
            }
            refused
        });
    }
    for host in 1..=10 {
        let reply = ask(&shop.storefront, &format!("203.0.113.{host}")).await;
        assert_eq!(reply.status, 422, "{reply:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused: u32 = flood.join_all().await.into_iter().sum();
    assert!(refused > 300, "{refused} of 600 requests of one client were refused");
    let refused = loop {
        let reply = ask(&shop.storefront, "198.51.100.1").await;
        if reply.status == 429 {
            break reply;
        }
    };
    assert_eq!(refused.header("retry-after"), Some("1"));
    let problem = refused.problem(429, "too-many");
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("10 per second from this address")),
        "{problem}"
    );
    // The limit of client addresses does not apply to a backend key.
    for _ in 0..30 {
        assert_eq!(ask(&shop.backend, "198.51.100.1").await.status, 422);
    }
}

#[tokio::test]
async fn requests_through_an_untrusted_proxy_are_logged_once() {
    let forwarded = [("x-forwarded-for", "198.51.100.7")];
    let folder = Folder::new();
    let key = folder.admin_key();
    let node = Node::start_with(&folder, &[], &[("CARTWRIGHT_LOG", "warn")]);
    for _ in 0..3 {
        node.client(&key).ask("GET", PLUGINS, &forwarded, "").await.with(200);
    }
    assert_eq!(folder.log().matches("add --proxies 127.0.0.1").count(), 1, "{}", folder.log());
}

#[tokio::test]
async fn a_storefronts_body_is_smaller_than_a_servers_and_the_refusal_says_how_small() {
    let shop = Shop::new().await;
    let body = |bytes: usize| format!("{{\"product\":\"{}\",\"quantity\":1}}", "x".repeat(bytes));
    let add = shop.path("/cart/add");
    let problem = shop.storefront.ask("POST", &add, &JSON, body(2 << 20)).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("2097152 bytes")), "{problem}");
    assert_ne!(shop.storefront.ask("POST", &add, &JSON, body(2_000_000)).await.status, 413);
    assert_ne!(shop.backend.ask("POST", &add, &JSON, body(2 << 20)).await.status, 413);
    let settings =
        |max: u32| json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "max_storefront_body_bytes": max });
    shop.admin.put(&shop.path(""), &settings(3 << 20)).await.ok();
    assert_ne!(shop.storefront.ask("POST", &add, &JSON, body(2 << 20)).await.status, 413);
    let problem = shop.storefront.ask("POST", &add, &JSON, body(3 << 20)).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("3145728 bytes")), "{problem}");
    for max in [0, (16 << 20) + 1] {
        let problem = shop.admin.put(&shop.path(""), &settings(max)).await.problem(422, "invalid");
        assert_eq!(problem["issues"][0]["field"], "max_storefront_body_bytes", "{problem}");
    }
    // The operator's limit applies, and the API's document states it.
    let server = Arc::new(Server::new(&["--max-storefront-body-bytes", "30000"]));
    let shop = Shop::on(server.clone()).await;
    let problem =
        shop.storefront.ask("POST", &shop.path("/cart/add"), &JSON, body(30_000)).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("30000 bytes")), "{problem}");
    let document = server.node.anonymous().get("/openapi.json").await.with(200);
    let about = document["info"]["description"].as_str().expect("a text");
    assert!(about.contains("30000 bytes with a storefront's key"), "{about}");
}

#[tokio::test]
async fn a_component_may_be_as_large_with_a_name_of_its_request_as_without() {
    let server = Server::shared();
    let component = [b"\0asm\x0d\0\x01\0".to_vec(), vec![7; 17 << 20]].concat();
    let plain = [("content-type", "application/wasm")];
    let named = [plain[0], ("idempotency-key", "a large component")];
    for headers in [&plain[..], &named] {
        server.admin.ask("POST", PLUGINS, headers, component.clone()).await.problem(422, "install");
    }
}

/// Sends the head of a request to add to a cart, and a part of its body.
fn begin_body(shop: &Shop, declared: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(shop.server.node.address()).expect("a connection");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {declared}\r\n\r\n",
        shop.path("/cart/add"),
        shop.storefront.key.as_deref().expect("a key")
    );
    stream.write_all(head.as_bytes()).expect("written");
    stream.write_all(&vec![b' '; sent]).expect("written");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

#[tokio::test]
async fn bodies_for_which_there_is_no_room_are_refused_until_there_is() {
    let shop = Shop::on(Arc::new(Server::new(&["--max-body-bytes-in-flight", "800000"]))).await;
    let asking = tokio::task::spawn_blocking(move || {
        // One address may use an eighth.
        let mut waiting = begin_body(&shop, 90_000, 80_000);
        let mut response = String::new();
        for _ in 0..200 {
            // The first of the two bodies gets the memory.
            std::thread::sleep(Duration::from_millis(20));
            let mut over = begin_body(&shop, 90_000, 89_999);
            over.write_all(b" ").expect("written");
            let mut some = [0; 4096];
            let length = over.read(&mut some).expect("an answer");
            response = String::from_utf8_lossy(&some[..length]).into_owned();
            if response.starts_with("HTTP/1.1 503") {
                break;
            }
            waiting = begin_body(&shop, 90_000, 80_000);
        }
        assert!(response.starts_with("HTTP/1.1 503") && response.contains("retry-after: 1"), "{response}");
        assert!(response.contains("one client address use all 100000 bytes"), "{response}");
        drop(waiting);
        shop
    });
    let shop = asking.await.expect("an answer");
    let began = Instant::now();
    // The server soon notices the closed connection.
    while shop.storefront.ask("POST", &shop.path("/cart/add"), &JSON, " ".repeat(90_000)).await.status == 503 {
        assert!(began.elapsed() < Duration::from_secs(10), "nothing is given back");
    }
}

#[tokio::test]
async fn a_list_of_empty_texts_takes_no_more_memory_than_six_times_its_size() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    let before = shop.server.node.peak_memory();
    let children = vec!["\"\""; 2_600_000].join(",");
    let body = format!("{{\"key\":\"x\",\"lines\":[{{\"children\":[{children}]}}]}}");
    let allowed_bytes = 6 * body.len() as u64 + (8 << 20);
    shop.backend.ask("POST", &shop.path("/cart/remove"), &JSON, body).await.problem(413, "too-large");
    let Some((before, after)) = before.zip(shop.server.node.peak_memory()) else { return };
    assert!(after - before < allowed_bytes, "it took {} MB more", (after - before) >> 20);
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_that_wherever_a_body_is_read() {
    let (shop, _fake) = Shop::with_twikit().await;
    let address = json!({ "account": "twikit", "endpoint": "order-completion" });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &address).await.with(201);
    let url = made["url"].as_str().expect("a URL");
    let webhook = url.strip_prefix(&shop.server.node.base).expect("an address of this server").to_owned();
    for (client, method, path, kind) in [
        (&shop.backend, "PUT", shop.path("/catalog"), "application/json"),
        (&shop.storefront, "POST", shop.path("/cart/add"), "application/json"),
        (&shop.integrator, "PUT", shop.path("/product-links.csv"), "text/csv"),
        (&shop.admin, "POST", PLUGINS.to_owned(), "application/wasm"),
        (&shop.server.node.anonymous(), "POST", webhook, "application/json"),
        (&shop.server.node.anonymous(), "POST", "/admin/sign-in".to_owned(), "application/x-www-form-urlencoded"),
    ] {
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let reply = client.ask(method, &path, &headers, [0x1f, 0x8b, 8, 0]).await;
        assert_eq!(reply.header("accept-encoding"), Some("identity"), "{path}: {reply:?}");
        let problem = reply.problem(415, "content-encoding");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("uncompressed")), "{problem}");
        let as_it_is = [("content-type", kind), ("content-encoding", "identity")];
        assert_ne!(client.ask(method, &path, &as_it_is, "{}").await.status, 415, "{path}");
    }
}

/// Returns a shop with a vendor that has only webhooks, as the account `account`.
async fn with_webhooks(server: Arc<Server>, account: &str) -> Shop {
    let shop = Shop::on(server).await;
    let headers = [("content-type", "application/wasm")];
    let installed = shop.admin.ask("POST", PLUGINS, &headers, WEBHOOKS).await;
    assert!(matches!(installed.status, 200 | 201), "{installed:?}");
    let body = json!({ "component": installed.json()["digest"], "settings": { "signing-secret": "abc" } });
    shop.admin.put(&shop.path(&format!("/accounts/{account}")), &body).await.ok();
    shop
}

/// Creates a webhook URL of the account, and returns its path.
async fn address(shop: &Shop, account: &str, endpoint: &str) -> String {
    let body = json!({ "account": account, "endpoint": endpoint });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let url = made["url"].as_str().expect("a URL");
    url.strip_prefix(&shop.server.node.base).expect("an address of this server").to_owned()
}

const TEXT: [(&str, &str); 1] = [("content-type", "text/plain")];

#[tokio::test]
async fn requests_per_webhook_url_are_limited_without_delaying_others() {
    let shop = with_webhooks(Arc::new(Server::new(&["--webhook-requests-per-second", "1"])), "vendor").await;
    let anonymous = shop.server.node.anonymous();
    for (endpoint, other) in [("ask", "tell"), ("tell-by-id", "timed")] {
        let (flooded, other) = (address(&shop, "vendor", endpoint).await, address(&shop, "vendor", other).await);
        let mut refused = None;
        for _ in 0..20 {
            refused = Some(anonymous.ask("POST", &flooded, &TEXT, "note -").await).filter(|reply| reply.status == 429);
            if refused.is_some() {
                break;
            }
        }
        let refused = refused.expect("one of 20 at once is refused");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let problem = refused.problem(429, "too-many");
        assert!(
            problem["detail"].as_str().is_some_and(|text| text.contains("1 per second to this webhook")),
            "{problem}"
        );
        // Another URL of the same webhook shares its limit.
        let second = address(&shop, "vendor", endpoint).await;
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(anonymous.ask("POST", &second, &TEXT, "note -").await.status);
        }
        assert!(statuses.contains(&429), "{statuses:?}");
        assert_ne!(anonymous.ask("POST", &other, &TEXT, "note -").await.status, 429);
    }
    let document = anonymous.get("/openapi.json").await.with(200);
    let about = document["info"]["description"].as_str().expect("a text");
    assert!(about.contains("1 per second to one webhook of an account"), "{about}");
}

#[tokio::test]
async fn failed_deliveries_fill_their_accounts_quota_and_refused_requests_store_nothing() {
    let shop = with_webhooks(Arc::new(Server::new(&["--webhook-quota-mib", "16"])), "vendor").await;
    let anonymous = shop.server.node.anonymous();
    let failed = async || {
        let list = shop.admin.get(&shop.path("/failed-webhooks")).await.ok();
        list["notices"].as_array().expect("a list").len()
    };
    let large = |number: u32| format!("status 409 {}{number}", " ".repeat(3 << 20));
    for endpoint in ["base64", "timed", "standard"] {
        let signed = address(&shop, "vendor", endpoint).await;
        assert_eq!(anonymous.ask("POST", &signed, &TEXT, large(0)).await.status, 401, "{endpoint}");
    }
    assert_eq!(failed().await, 0, "what is not signed is not kept");
    let tell = address(&shop, "vendor", "tell").await;
    for number in 0..5 {
        assert_eq!(anonymous.ask("POST", &tell, &TEXT, large(number)).await.status, 409);
    }
    let refused = anonymous.ask("POST", &tell, &TEXT, large(5)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("60")), "{refused:?}");
    assert_eq!(failed().await, 5);
    let log = shop.server.folder.log();
    assert!(log.contains("the quota of webhooks is full") && log.contains("--webhook-quota-mib"), "{log}");
    // Known deliveries are run again, and queries are answered.
    assert_eq!(anonymous.ask("POST", &tell, &TEXT, large(2)).await.status, 409);
    let ask = address(&shop, "vendor", "ask").await;
    assert_eq!(anonymous.ask("POST", &ask, &TEXT, "hello").await.status, 200);
}

#[tokio::test]
async fn the_description_of_the_api_is_sent_compressed_and_only_when_it_changed() {
    let server = Server::shared();
    let anonymous = server.node.anonymous();
    for path in ["/openapi.json", "/cartwright.js"] {
        let whole = anonymous.get(path).await;
        let packed = anonymous.ask("GET", path, &[("accept-encoding", "br, gzip")], "").await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{packed:?}");
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < whole.body.len() / 2);
        let tag = packed.header("etag").expect("an ETag").to_owned();
        let again = anonymous.ask("GET", path, &[("if-none-match", &format!("W/{tag}"))], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{again:?}");
        assert!(again.header("cache-control").is_some_and(|text| text.contains("public")), "{again:?}");
    }
}

/// Returns bodies of 1.5 MB that are expensive for the host.
fn hostile_bodies() -> Vec<String> {
    let state = |state: String| {
        let mut saved: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
        saved[0]["configuration"] = Value::Null;
        let saved = saved.to_string().replacen("\"configuration\":null", &format!("\"configuration\":{state}"), 1);
        json!({ "product": "ring", "configuration": saved, "quantity": 1 }).to_string()
    };
    let nulls: Vec<String> = (0..60_000).map(|at| format!("\"member-{at}\":null")).collect();
    let lines = |item: &str, length: usize| {
        format!("{{\"product\":\"ring\",\"quantity\":1,\"lines\":[{}]}}", vec![item; length].join(","))
    };
    vec![
        state(format!("{{{}}}", nulls.join(","))),
        state(format!("[{}]", vec!["1"; 500_000].join(","))),
        lines("\"\"", 500_000),
        lines("{}", 500_000),
        format!("{{\"product\":\"{}\",\"quantity\":1}}", "\\u00e9".repeat(250_000)),
        format!("{}{}", "[".repeat(750_000), "]".repeat(750_000)),
    ]
}

/// Returns the durations of this number of requests, the shortest first.
async fn times(count: usize, ask: impl AsyncFn() -> u16) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        assert_eq!(ask().await, 200);
        times.push(began.elapsed());
    }
    times.sort();
    times
}

/// Sends hostile requests with one shop's key from as many addresses as a botnet has, beside a shopper of another shop.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_on_every_core_hold_up_neither_health_nor_another_shop() {
    let server = behind_a_proxy(&[]);
    let (hostile, honest) = (Shop::on(server.clone()).await, Shop::on(server.clone()).await);
    let mut fakes = Vec::new();
    for shop in [&hostile, &honest] {
        shop.sell().await;
        fakes.push(shop.expivi().await);
        shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    }
    let anonymous = server.node.anonymous();
    let body = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 1 });
    let add = async || honest.storefront.post(&honest.path("/cart/add"), &body).await.status;
    times(3, add).await;
    let calm = times(9, add).await[4];

    let (is_over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let bodies = Arc::new(hostile_bodies());
    let mut attack = JoinSet::new();
    for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).max(2) {
        let (is_over, next, bodies) = (is_over.clone(), next.clone(), bodies.clone());
        let (client, path) = (hostile.storefront.clone(), hostile.path("/cart/add"));
        attack.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let [.., third, fourth] = number.to_be_bytes();
                let headers = [JSON[0], ("x-forwarded-for", &*format!("10.1.{third}.{fourth}"))];
                let body = bodies[number as usize % bodies.len()].clone();
                // The request may be rejected in any way, or its connection closed.
                drop(client.try_ask("POST", &path, &headers, body).await);
            }
        });
    }
    let mut live = Vec::new();
    let mut adds = Vec::new();
    for _ in 0..8 {
        live.extend(times(3, async || anonymous.get("/health/live").await.status).await);
        adds.extend(times(2, add).await);
    }
    is_over.store(true, Ordering::Relaxed);
    attack.join_all().await;
    let sent = next.load(Ordering::Relaxed);
    live.sort();
    adds.sort();
    let (live, add) = (live[live.len() / 2], adds[adds.len() / 4]);
    println!("{sent} hostile requests; health {live:?}; an add {add:?}, calm {calm:?}");
    assert!(sent > 4, "{sent} hostile requests are no attack");
    assert!(live < Duration::from_millis(250), "half of the answers of /health/live took longer than {live:?}");
    assert!(add < calm * 3 + Duration::from_millis(100), "an add took {add:?}, before the attack {calm:?}");
}
