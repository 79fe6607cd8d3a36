//! Requests that are never sent by mistake: all are rejected, and the node keeps running.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Server};
use crate::shop::Shop;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn alive(client: &Client) {
    assert_eq!(client.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_body_that_nests_too_deep_is_refused() {
    let shop = Shop::new().await;
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let whole = format!("{{\"product\":\"ring\",\"quantity\":1,\"lines\":{deep}}}");
        for body in [deep.clone(), whole] {
            let reply = shop.storefront.ask("POST", &shop.path("/cart/add"), &JSON, body).await;
            assert!(matches!(reply.status, 400 | 413 | 422), "{reply:?}");
        }
        // In a free-form value, and in a configuration, which a plugin parses.
        let settings = format!("{{\"component\":\"{}\",\"settings\":{{\"x\":{deep}}}}}", "0".repeat(64));
        let reply = shop.integrator.ask("PUT", &shop.path("/accounts/expivi"), &JSON, settings).await;
        assert!(matches!(reply.status, 400 | 413 | 422), "{reply:?}");
    }
    alive(&shop.admin).await;
}

#[tokio::test]
async fn a_configuration_that_nests_too_deep_is_the_plugins_to_refuse() {
    let (shop, _fake) = Shop::with_expivi().await;
    for saved in
        ["[".repeat(100_000), format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "{".repeat(1_000_000)]
    {
        let body = json!({ "product": "ring", "configuration": saved, "quantity": 1 });
        let reply = shop.storefront.post(&shop.path("/cart/add"), &body).await;
        assert!(matches!(reply.status, 422 | 502), "{reply:?}");
    }
    alive(&shop.admin).await;
}

#[tokio::test]
async fn a_duplicate_member_is_refused() {
    let shop = Shop::new().await;
    let twice = r#"{"currencies":[{"code":"EUR","scale":2}],"currencies":[{"code":"USD","scale":2}]}"#;
    shop.admin.ask("PUT", &shop.path(""), &JSON, twice).await.problem(422, "body");
    let unknown = json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "seal_key": "mine" });
    shop.admin.put(&shop.path(""), &unknown).await.problem(422, "body");
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let shop = Shop::new().await;
    for number in ["NaN", "Infinity", "-Infinity", "0x10", "1_000", "+1", "01"] {
        let body = format!("{{\"product\":\"ring\",\"quantity\":{number}}}");
        shop.backend.ask("POST", &shop.path("/cart/add"), &JSON, body).await.problem(400, "bad-request");
    }
    for number in ["-1", "1.5", "1e3", "1e400", "4294967296", "99999999999999999999999999", "\"1\"", "null", "true"] {
        let body = format!("{{\"product\":\"ring\",\"quantity\":{number}}}");
        shop.backend.ask("POST", &shop.path("/cart/add"), &JSON, body).await.problem(422, "body");
    }
    let price = |minor: &str, scale: &str| {
        format!(
            "{{\"variants\":[{{\"product\":\"a\",\"id\":\"b\",\"title\":\"c\",\"purchasable\":true,\"prices\":\
             [{{\"minor\":{minor},\"scale\":{scale},\"currency\":\"EUR\"}}]}}]}}"
        )
    };
    for (minor, scale) in [("9223372036854775808", "2"), ("1", "10"), ("1", "255"), ("-1", "2"), ("1.0", "2")] {
        let reply = shop.backend.ask("PUT", &shop.path("/catalog"), &JSON, price(minor, scale)).await;
        assert_eq!(reply.status, 422, "{minor} {scale}: {reply:?}");
    }
    assert_eq!(shop.backend.get(&shop.path("/catalog")).await.ok()["variants"], json!([]));
}

#[tokio::test]
async fn sums_beyond_every_number_are_refused() {
    let (shop, _fake) = Shop::with_expivi().await;
    let dear = json!({ "variants": [{
        "id": "variant-shirt-r-l", "product": "shirt", "sku": "SHIRT-R-L", "title": "Shirt", "purchasable": true,
        "prices": [{ "minor": i64::MAX / 2, "scale": 2, "currency": "EUR" }],
    }] });
    shop.backend.put(&shop.path("/catalog"), &dear).await.ok();
    let saved = cartwright_fake_vendors::samples::EXPIVI_VARIATION;
    for quantity in [3, u32::MAX] {
        let body = json!({ "product": "shirt", "configuration": saved, "quantity": quantity });
        let reply = shop.backend.post(&shop.path("/cart/add"), &body).await;
        assert_eq!(reply.status, 422, "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let shop = Shop::new().await;
    let body = json!({ "currencies": [{ "code": "EUR", "scale": 2 }] }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""] {
        let headers = [("content-type", kind)];
        shop.admin.ask("PUT", &shop.path(""), &headers, body.clone()).await.problem(415, "media-type");
    }
    shop.admin.ask("PUT", &shop.path(""), &[], body.clone()).await.problem(415, "media-type");
    let exact = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(shop.admin.ask("PUT", &shop.path(""), &exact, body.clone()).await.status, 200);
    let headers = [("content-type", "application/json")];
    let table = "shop_product,account,vendor_product\nring,expivi,1001\n";
    shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, table).await.problem(415, "media-type");
    for broken in ["", "{", "\u{feff}{}", "'"] {
        shop.admin.ask("PUT", &shop.path(""), &exact, broken).await.problem(400, "bad-request");
    }
    shop.admin.ask("PUT", &shop.path(""), &exact, [0xff, 0xfe, b'{']).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let shop = Shop::new().await;
    let large = format!("{{\"product\":\"{}\"", "x".repeat((16 << 20) + 1));
    shop.backend.ask("POST", &shop.path("/cart/add"), &JSON, large.clone()).await.problem(413, "too-large");
    let keyed = [JSON[0], ("idempotency-key", shop.id.as_str())];
    shop.backend.ask("POST", &shop.path("/cart/add"), &keyed, large).await.problem(413, "too-large");
    let many: Vec<Value> = (0..10_001).map(|at| json!({ "product": "a", "id": format!("{at}") })).collect();
    let reply = shop.backend.post(&shop.path("/catalog/remove"), &json!(many)).await;
    reply.problem(422, "invalid");
    alive(&shop.admin).await;
}

#[tokio::test]
async fn a_request_that_does_not_go_on_is_ended() {
    let server = Server::shared();
    let key = server.admin.key.as_deref().expect("a key").to_owned();
    let address = server.node.address().to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = format!(
            "POST /v1/access-keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).expect("written");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let began = Instant::now();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).expect("an answer");
        (String::from_utf8_lossy(&buffer[..length]).into_owned(), began.elapsed())
    });
    let (buffer, after) = asking.await.expect("an answer");
    assert!(buffer.starts_with("HTTP/1.1 408") && buffer.contains("problem+json"), "{buffer}");
    assert!(after < Duration::from_secs(20), "{after:?}");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_names_nothing() {
    let shop = Shop::new().await;
    let long = "x".repeat(300);
    let names = [
        "..",
        "%2e%2e",
        "%2E%2e%2Fkeys",
        "a%2Fb",
        "..%2f..%2fkeys",
        "%00",
        "a%00b",
        "%0a",
        "%C3%A9",
        "%ff",
        "%",
        "%2",
        "%25%32%66",
        "%20",
        ".",
        "'",
        "%22",
        ";",
        "a%5Cb",
        "%F0%9F%A6%80",
        &long,
    ];
    for name in names {
        for path in [
            format!("/v1/shops/{name}"),
            format!("/v1/shops/{name}/orders/1"),
            shop.path(&format!("/accounts/{name}")),
            shop.path(&format!("/orders/{name}")),
            shop.path(&format!("/product-links/{name}")),
            shop.path(&format!("/jobs/{name}")),
            shop.path(&format!("/customers/{name}/export")),
            format!("/v1/plugins/{name}"),
            format!("/webhooks/{name}"),
            format!("/documents/{name}/1"),
            format!("/pictures/{name}/{}", "0".repeat(64)),
            format!("/pictures/{}/{name}", shop.id),
        ] {
            let reply = shop.admin.get(&path).await;
            let empty = path.ends_with("/export") && reply.status == 200;
            assert!(empty || matches!(reply.status, 400 | 401 | 403 | 404), "{path}: {reply:?}");
        }
        for path in [
            format!("/v1/plugins/{name}/switch-version"),
            format!("/v1/plugins/{name}/revoke"),
            shop.path(&format!("/accounts/{name}/switch-version")),
        ] {
            let reply = shop.admin.post(&path, &json!({ "component": "0".repeat(64), "shops": [] })).await;
            // No plugin runs under such a name, even one that would be valid.
            let none = reply.status == 200 && reply.json() == json!([]);
            assert!(none || matches!(reply.status, 400 | 404 | 405 | 422), "{path}: {reply:?}");
            let could_be = ["%2e%2e", "..", "."].contains(&name) || name.contains("x");
            assert!(!none || could_be, "{path}: {reply:?}");
        }
        // Nothing is created under such a name either.
        let made = shop
            .admin
            .put(&format!("/v1/shops/{name}"), &json!({ "currencies": [{ "code": "EUR", "scale": 2 }] }))
            .await;
        assert!(matches!(made.status, 400 | 404 | 405), "{name}: {made:?}");
    }
    let shops = shop.admin.get("/v1/shops?limit=500").await.ok();
    let mut ids = shops["shops"].as_array().expect("shops").iter().filter_map(|shop| shop["id"].as_str());
    assert!(ids.all(|id| id.starts_with("shop-")), "{shops:#}");
}

#[tokio::test]
async fn a_name_with_anything_in_it_is_only_a_name() {
    let (shop, _fake) = Shop::with_expivi().await;
    let link = json!({ "account": "expivi", "vendor_product": "1001" });
    for (written, read) in [("..%2Fkeys", "../keys"), ("a%2Fb", "a/b"), ("%F0%9F%A6%80", "🦀"), ("a%20b", "a b")] {
        let path = shop.path(&format!("/product-links/{written}"));
        shop.integrator.put(&path, &link).await.with(200);
        assert_eq!(shop.integrator.get(&path).await.ok()["shop_product"], read);
        shop.integrator.delete(&path).await.with(204);
    }
}

#[tokio::test]
async fn a_table_that_swells_is_refused() {
    let (shop, _fake) = Shop::with_expivi().await;
    let before = shop.integrator.get(&shop.path("/product-links")).await.ok();
    let headers = [("content-type", "text/csv")];
    let line = "ring,expivi,1001\n";
    let tables = [
        format!("shop_product,account,vendor_product\n{}", line.repeat(10_001)),
        format!("shop_product,account,vendor_product\n\"{}", "x".repeat(1 << 20)),
        format!("{}\n{line}", "a,".repeat(200_000)),
        format!("shop_product,account,vendor_product,settings\nring,expivi,1001,{}\n", "[".repeat(100_000)),
        "shop_product,account,vendor_product,shop_product\nring,expivi,1001,bed\n".to_owned(),
        "shop_product,account\nring,expivi\n".to_owned(),
        "shop_product,account,vendor_product,formula\nring,expivi,1001,=1\n".to_owned(),
        String::new(),
    ];
    for table in tables {
        let reply = shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, table.clone()).await;
        assert_eq!(reply.status, 422, "{}…: {reply:?}", &table[..table.len().min(60)]);
    }
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
}

#[tokio::test]
async fn a_table_runs_nothing_in_a_spreadsheet_and_comes_back_as_it_was() {
    let (shop, _fake) = Shop::with_expivi().await;
    let products = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", " x", "'quoted", "a,\"b\" c"];
    let links: Vec<Value> = products
        .iter()
        .map(|product| json!({ "shop_product": product, "account": "expivi", "vendor_product": "1001" }))
        .collect();
    shop.integrator.put(&shop.path("/product-links"), &json!(links)).await.ok();
    let before = shop.integrator.get(&shop.path("/product-links")).await.ok();
    let table = shop.integrator.get(&shop.path("/product-links.csv")).await;
    let text = String::from_utf8(table.body.to_vec()).expect("UTF-8");
    for line in text.lines() {
        let first = line.trim_start_matches('"').chars().next();
        assert!(!first.is_some_and(|first| "=+-@\t\r".contains(first)), "{line}");
    }
    let headers = [("content-type", "text/csv")];
    assert_eq!(
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, text).await.ok()["links"],
        before["links"].as_array().map(Vec::len).expect("links")
    );
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
}

#[tokio::test]
async fn markup_comes_back_as_text_that_no_browser_reads_as_a_page() {
    let (shop, _fake) = Shop::with_expivi().await;
    let markup = "<script>alert(1)</script>";
    let variant = json!({ "product": markup, "id": markup, "sku": "X", "title": markup, "purchasable": true });
    shop.backend.put(&shop.path("/catalog"), &json!({ "variants": [variant] })).await.ok();
    let link = json!({ "account": "expivi", "vendor_product": "1001" });
    shop.integrator.put(&shop.path("/product-links/%3Cscript%3Ealert(1)%3C%2Fscript%3E"), &link).await.ok();
    let key = json!({ "role": { "role": "admin" }, "label": markup });
    shop.admin.post("/v1/access-keys", &key).await.with(201);
    let escaped = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        shop.path("/catalog"),
        shop.path("/product-links"),
        shop.path("/product-links.csv"),
        shop.path("/audit-log"),
        "/v1/access-keys".to_owned(),
        "/v1/audit-log".to_owned(),
        format!("/v1/shops/{escaped}"),
        format!("/{escaped}"),
        shop.path(&format!("/orders/{escaped}")),
        shop.path(&format!("/jobs/{escaped}?x={escaped}")),
        shop.path(&format!("/jobs?state={escaped}")),
        format!("/webhooks/{escaped}"),
        format!("/documents/{escaped}/{escaped}"),
        format!("/pictures/{escaped}/{escaped}"),
    ] {
        for client in [&shop.admin, &shop.server.node.anonymous()] {
            let reply = client.get(&path).await;
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}: {reply:?}");
            let kind = reply.header("content-type").unwrap_or_default();
            assert!(
                !kind.contains("html") && !kind.contains("xml") && !kind.contains("javascript"),
                "{path}: {reply:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_component_is_not_installed() {
    let server = Server::shared();
    let wasm = [("content-type", "application/wasm")];
    let half = &cartwright_bundled::EXPIVI[..cartwright_bundled::EXPIVI.len() / 2];
    for bytes in [&b""[..], b"x", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0", half] {
        server.admin.ask("POST", "/v1/plugins", &wasm, bytes).await.problem(422, "install");
    }
    let pinned = format!("/v1/plugins?digest={}", "0".repeat(64));
    server.admin.ask("POST", &pinned, &wasm, cartwright_bundled::EXPIVI).await.problem(422, "install");
    server.admin.ask("POST", "/v1/plugins?digest=x", &wasm, half).await.problem(400, "bad-request");
    alive(&server.admin).await;
}

#[tokio::test]
async fn a_form_for_anonymous_callers_is_limited_in_size() {
    let server = Server::new(&[]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let before = server.node.peak_memory();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let anonymous = server.node.anonymous();
        asking.spawn(async move { anonymous.try_ask("POST", "/admin/sign-in", &form, "a&".repeat(7 << 20)).await });
    }
    for reply in asking.join_all().await {
        // The server may close the connection while the rest is still being sent.
        assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status == 413));
    }
    assert_eq!(server.node.anonymous().ask("POST", "/admin/sign-in", &form, "a&".repeat(5_000)).await.status, 413);
    assert_eq!(server.node.anonymous().ask("POST", "/admin/sign-in", &form, "a&".repeat(4_000)).await.status, 403);
    if let (Some(before), Some(after)) = (before, server.node.peak_memory()) {
        assert!(after - before < 32 << 20, "it took {} MB more", (after - before) >> 20);
    }
}

/// Sends a request's head without a body, and returns the response within a second.
fn head_only(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("written");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).unwrap_or_default();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_for_an_unknown_webhook_url_is_not_read() {
    let (shop, _fake) = Shop::with_twikit().await;
    let body = json!({ "account": "twikit", "endpoint": "order-completion" });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let url = made["url"].as_str().expect("a URL");
    let path = url.strip_prefix(&shop.server.node.base).expect("an address of this server").to_owned();
    let mut wrong = path.clone();
    let last = wrong.pop().expect("a letter");
    wrong.push(if last == 'A' { 'B' } else { 'A' });
    let address = shop.server.node.address().to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        [path, wrong, "/webhooks/x".to_owned()].map(|path| head_only(&address, &path))
    });
    let [right, wrong, none] = asking.await.expect("their ends");
    assert_eq!(right, "", "its body is waited for");
    for response in [wrong, none] {
        assert!(response.starts_with("HTTP/1.1 40"), "{response:?}");
    }
}

#[tokio::test]
async fn a_component_with_a_path_as_its_id_is_not_installed() {
    let server = Server::shared();
    let wasm = [("content-type", "application/wasm")];
    for id in ["../abc", "a/b/cd", "a b c ", "a\0b\0c\0", "a\\b\\c\\", "%2e%2f"] {
        let mut bytes = cartwright_bundled::EXPIVI.to_vec();
        let places: Vec<usize> = (0..bytes.len() - 6)
            .filter(|at| bytes[*at..].starts_with(b"expivi") && !bytes[..*at].ends_with(b"cartwright-"))
            .collect();
        for at in places {
            bytes[at..at + 6].copy_from_slice(id.as_bytes());
        }
        let problem = server.admin.ask("POST", "/v1/plugins", &wasm, bytes).await.problem(422, "install");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("plugin id")), "{id:?}: {problem:#}");
    }
    let plugins = server.admin.get("/v1/plugins").await.ok();
    let ids = plugins.as_array().expect("a list").iter().map(|plugin| plugin["about"]["id"].as_str());
    assert!(ids.flatten().all(|id| ["expivi", "twikit", "hostile"].contains(&id)), "{plugins:#}");
}
