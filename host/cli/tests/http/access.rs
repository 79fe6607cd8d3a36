//! Access: each operation of the document is requested with each kind of key, and without a key.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Server};
use crate::shop::Shop;

/// The operations of storefront keys. All others reveal nothing to such a key.
const STOREFRONT: [&str; 7] =
    ["read_embed_data", "add_to_cart", "edit_line", "request_quote", "change_quantity", "refresh_line", "remove_line"];

/// An operation of the document, with a plausible path.
struct Operation {
    id: String,
    method: String,
    path: String,
    in_shop: bool,
    body: Option<String>,
}

async fn operations(server: &Server, shop: &str) -> Vec<Operation> {
    let document = server.node.anonymous().get("/openapi.json").await.with(200);
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let named = path
            .replace("{shop}", shop)
            .replace("{digest}", &"0".repeat(64))
            .replace("{outcome}", "1")
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for (method, operation) in item.as_object().expect("methods") {
            if method == "parameters" {
                continue;
            }
            let content = operation["requestBody"]["content"].as_object();
            found.push(Operation {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                method: method.to_uppercase(),
                path: named.clone(),
                in_shop: path.contains("{shop}"),
                body: content.and_then(|content| content.keys().next().cloned()),
            });
        }
    }
    assert!(found.len() > 70, "{}", found.len());
    found
}

impl Operation {
    async fn ask(&self, client: &Client) -> cartwright_fake_vendors::client::Reply {
        let headers: Vec<(&str, &str)> = self.body.iter().map(|kind| ("content-type", kind.as_str())).collect();
        client.ask(&self.method, &self.path, &headers, "{}").await
    }
}

#[tokio::test]
async fn without_a_key_no_operation_is_executed() {
    let server = Server::shared();
    let anonymous = server.node.anonymous();
    for operation in operations(&server, "lumen").await {
        let reply = operation.ask(&anonymous).await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", operation.id);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        reply.problem(401, "access");
    }
}

#[tokio::test]
async fn another_shop_is_not_there_for_a_key_of_a_shop() {
    let (shop, other) = (Shop::new().await, Shop::new().await);
    for operation in operations(&shop.server, &other.id).await {
        if !operation.in_shop {
            continue;
        }
        for client in [&shop.storefront, &shop.backend, &shop.integrator] {
            let problem = operation.ask(client).await.problem(404, "not-found");
            // As for a shop that does not exist.
            assert_eq!(problem["detail"], format!("shop {} not found", other.id), "{}", operation.id);
        }
    }
    for client in [&shop.backend, &shop.integrator] {
        client.get("/v1/shops").await.problem(403, "role");
    }
    let euro = json!({ "currencies": [{ "code": "EUR", "scale": 2 }] });
    for client in [&shop.storefront, &shop.backend, &shop.integrator] {
        client.put(&shop.path(""), &euro).await.problem(403, "role");
    }
}

#[tokio::test]
async fn a_write_is_refused_before_its_body_comes_whether_it_has_a_name_or_not() {
    let shop = Shop::new().await;
    let key = shop.storefront.key.clone().expect("a key");
    let address = shop.server.node.address().to_owned();
    let operations = operations(&shop.server, &shop.id).await;
    let asking = tokio::task::spawn_blocking(move || {
        let mut requests = 0;
        for operation in operations.iter().filter(|operation| operation.method != "GET") {
            if STOREFRONT.contains(&operation.id.as_str()) {
                continue;
            }
            for name in ["", "idempotency-key: once\r\n"] {
                let mut stream = TcpStream::connect(&address).expect("a connection");
                let kind = operation.body.as_deref().unwrap_or("application/json");
                let head = format!(
                    "{} {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n{name}\
                     content-length: 1000000\r\n\r\n",
                    operation.method, operation.path
                );
                stream.write_all(head.as_bytes()).expect("written");
                // The server waits ten seconds for a missing body.
                stream.set_read_timeout(Some(Duration::from_secs(8))).expect("a timeout");
                let mut buffer = [0; 1024];
                let length = stream.read(&mut buffer).expect("an answer");
                let buffer = String::from_utf8_lossy(&buffer[..length]);
                assert!(buffer.starts_with("HTTP/1.1 403"), "{}: {buffer}", operation.id);
                requests += 1;
            }
        }
        requests
    });
    let requests = asking.await.expect("their answers");
    assert!(requests > 60, "{requests}");
}

#[tokio::test]
async fn a_key_that_everybody_can_read_reaches_carts_and_pages_only() {
    let shop = Shop::new().await;
    let mut reached = Vec::new();
    for operation in operations(&shop.server, &shop.id).await {
        let reply = operation.ask(&shop.storefront).await;
        if STOREFRONT.contains(&operation.id.as_str()) {
            assert_ne!(reply.status, 403, "{}", operation.id);
            reached.push(operation.id);
        } else {
            let problem = reply.problem(403, "role");
            assert!(problem["detail"].as_str().is_some_and(|text| !text.contains("storefront")), "{problem:#}");
        }
    }
    reached.sort();
    let mut all = STOREFRONT;
    all.sort();
    assert_eq!(reached, all);
}

#[tokio::test]
async fn a_platforms_key_sets_nothing_up_and_an_integrators_sees_no_order() {
    let shop = Shop::new().await;
    for operation in operations(&shop.server, &shop.id).await {
        let (backend, integrator) = (operation.ask(&shop.backend).await, operation.ask(&shop.integrator).await);
        let reads = operation.method == "GET";
        match operation.id.as_str() {
            "list_access_keys"
            | "create_access_key"
            | "revoke_access_key"
            | "rotate_access_key"
            | "install_plugin"
            | "revoke_plugin"
            | "switch_plugin_version"
            | "list_shops"
            | "set_shop"
            | "read_audit_log" => {
                backend.problem(403, "role");
                integrator.problem(403, "role");
            }
            id if id.contains("order") || id.contains("customer") || id.contains("job") || id.contains("document") => {
                integrator.problem(403, "role");
                assert_ne!(backend.status, 403, "{id}");
            }
            id if !reads && (id.contains("account") || id.contains("link") || id.contains("webhook")) => {
                backend.problem(403, "role");
                assert_ne!(integrator.status, 403, "{id}");
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn only_an_admin_opens_private_networks_and_plain_http() {
    let (shop, fake) = Shop::with_expivi().await;
    let account = shop.integrator.get(&shop.path("/accounts/expivi")).await.ok();
    let set = async |client: &Client, id: &str, grants: &Value| {
        let (component, settings) = (&account["component"], &account["settings"]);
        let body = json!({ "component": component, "settings": settings, "grants": grants });
        client.put(&shop.path(&format!("/accounts/{id}")), &body).await
    };
    for (member, wanted) in [("networks", json!(["10.0.0.0/8"])), ("plain_http", json!(["metadata.example"]))] {
        let mut wider = account["grants"].clone();
        wider[member].as_array_mut().expect("a list").extend(wanted.as_array().expect("a list").clone());
        set(&shop.integrator, "expivi", &wider).await.problem(403, "grants");
        // Nor on a new account.
        let new = json!({ member: wanted });
        set(&shop.integrator, "second", &new).await.problem(403, "grants");
        shop.admin.get(&shop.path("/accounts/second")).await.problem(404, "not-found");
    }
    // A grant of the admin stays.
    let mut kept = account["grants"].clone();
    kept["personal_data"] = json!(false);
    let set = set(&shop.integrator, "expivi", &kept).await.ok();
    assert_eq!(
        (&set["grants"]["networks"], &set["grants"]["personal_data"]),
        (&json!(["127.0.0.1/32"]), &json!(false))
    );
    // The same applies to the notification endpoint.
    let inside = json!({ "url": fake.base_url(), "grants": account["grants"] });
    let endpoint = shop.path("/notification-endpoint");
    shop.backend.put(&endpoint, &inside).await.problem(403, "grants");
    shop.admin.put(&endpoint, &inside).await.with(200);
    shop.backend.put(&endpoint, &inside).await.with(200);
}

#[tokio::test]
async fn only_an_admin_lets_names_and_addresses_out_and_adds_hosts_where_they_go() {
    let (shop, _fake) = Shop::with_twikit().await;
    let account = shop.integrator.get(&shop.path("/accounts/twikit")).await.ok();
    let set = async |client: &Client, grants: &Value| {
        let body = json!({ "component": account["component"], "settings": account["settings"], "grants": grants });
        client.put(&shop.path("/accounts/twikit"), &body).await
    };
    let with = |personal: bool, host: Option<&str>| {
        let mut grants = account["grants"].clone();
        grants["personal_data"] = json!(personal);
        grants["hosts"].as_array_mut().expect("a list").extend(host.map(|host| json!(host)));
        grants
    };
    let mine = Some("mine.example");
    assert_eq!(account["grants"]["personal_data"], true);
    // While it is on, the integrator adds no host, and can keep or remove existing ones.
    set(&shop.integrator, &with(true, mine)).await.problem(403, "grants");
    set(&shop.integrator, &with(true, None)).await.with(200);
    set(&shop.integrator, &with(false, mine)).await.with(200);
    // While it is off, the integrator cannot turn it on again, whatever was added meanwhile.
    set(&shop.integrator, &with(true, mine)).await.problem(403, "grants");
    set(&shop.integrator, &with(true, None)).await.problem(403, "grants");
    let new = json!({ "component": account["component"], "settings": account["settings"],
        "grants": { "personal_data": true } });
    shop.integrator.put(&shop.path("/accounts/second"), &new).await.problem(403, "grants");
    set(&shop.admin, &with(true, mine)).await.with(200);
    let read = shop.integrator.get(&shop.path("/accounts/twikit")).await.ok();
    assert_eq!((&read["grants"]["personal_data"], &read["grants"]["hosts"][1]), (&json!(true), &json!("mine.example")));
}

#[tokio::test]
async fn nobody_grants_a_permission_that_the_plugin_does_not_ask_for() {
    let (shop, _fake) = Shop::with_expivi().await;
    let account = shop.admin.get(&shop.path("/accounts/expivi")).await.ok();
    for (member, grant) in [("personal_data", "personal-data"), ("adjust_prices", "adjust-prices")] {
        let mut grants = account["grants"].clone();
        grants[member] = json!(true);
        let body = json!({ "component": account["component"], "settings": account["settings"], "grants": grants });
        let refused = shop.admin.put(&shop.path("/accounts/expivi"), &body).await;
        let problem = refused.problem(422, "invalid");
        let says = problem.to_string();
        assert!(
            says.contains(&format!("does not ask for {grant}")) && says.contains(&format!("grants.{member}")),
            "{says}"
        );
    }
    let read = shop.admin.get(&shop.path("/accounts/expivi")).await.ok();
    assert_eq!(read["grants"], account["grants"]);
}

#[tokio::test]
async fn an_integrator_cannot_reach_an_internal_server() {
    let (shop, fake) = Shop::with_expivi().await;
    let before = fake.record().all().len();
    let component = shop.component("expivi").await;
    for url in [fake.api_url(), fake.api_url().replacen("http://", "https://", 1), "file:///etc/passwd".to_owned()] {
        let host = fake.base_url().trim_start_matches("http://").to_owned();
        let body = json!({
            "component": component, "settings": { "viewer-token": "viewer-token", "api-url": url },
            "grants": { "hosts": [host] },
        });
        let set = shop.integrator.put(&shop.path("/accounts/second"), &body).await;
        if set.status == 200 {
            let tested = shop.integrator.ask("POST", &shop.path("/accounts/second/test-connection"), &[], "").await;
            let passed = tested.status == 200
                && tested
                    .json()
                    .as_array()
                    .is_some_and(|checks| checks.iter().all(|check| check["verdict"] == "passed"));
            assert!(!passed, "{url}: {tested:?}");
        }
    }
    assert_eq!(fake.record().all().len(), before, "the server got no request");
}

#[tokio::test]
async fn every_wrong_key_gets_the_same_response() {
    let server = Server::shared();
    let made = server
        .admin
        .post("/v1/access-keys", &json!({ "role": { "role": "admin" }, "label": "victim" }))
        .await
        .with(201);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let (start, secret) = key.rsplit_once('_').expect("a key");
    let wrong = [
        format!("{start}_{}", "0".repeat(secret.len())),
        format!("{start}_{}", &secret[1..]),
        format!("{start}_{secret}0"),
        format!("{start}_{}", secret.to_uppercase()),
        key.replacen("admin", "backend", 1),
        format!("cw_admin_{}_{secret}", "0".repeat(id.len())),
        "' or 1=1 --".to_owned(),
        "x".repeat(10_000),
    ];
    let mut problems = Vec::new();
    for wrong in wrong {
        let reply = server.node.client(&wrong).get("/v1/shops").await;
        problems.push(reply.problem(401, "access").to_string());
    }
    problems.dedup();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for header in ["Basic YTpi", key, "Bearer", ""] {
        server.node.anonymous().ask("GET", "/v1/shops", &[("authorization", header)], "").await.problem(401, "access");
    }
    assert_eq!(server.node.client(key).get("/v1/shops").await.status, 200);
    // Rotated, and expired.
    let exchanged = server.admin.post(&format!("/v1/access-keys/{id}/rotate"), &json!({})).await.ok();
    server.node.client(key).get("/v1/shops").await.problem(401, "access");
    let key = exchanged["key"].as_str().expect("a key");
    assert_eq!(server.node.client(key).get("/v1/shops").await.status, 200);
    server.admin.delete(&format!("/v1/access-keys/{id}")).await.with(204);
    server.node.client(key).get("/v1/shops").await.problem(401, "access");
    let keys = server.admin.get("/v1/access-keys?limit=500").await.with(200).to_string();
    assert!(keys.contains(id) && !keys.contains(secret), "a key is shown once");
}

#[tokio::test]
async fn a_key_is_good_where_and_while_it_is_meant_to_be() {
    let server = Server::shared();
    let key = async |networks: Value, expires: Value| {
        let body = json!({ "role": { "role": "backend" }, "label": "x", "networks": networks, "expires": expires });
        let made = server.admin.post("/v1/access-keys", &body).await.with(201);
        server.node.client(made["key"].as_str().expect("a key"))
    };
    let plugins = "/v1/plugins";
    assert_eq!(key(json!(["127.0.0.0/8"]), json!(null)).await.get(plugins).await.status, 200);
    let elsewhere = key(json!(["192.0.2.0/24"]), json!(null)).await;
    elsewhere.get(plugins).await.problem(401, "access");
    // A header about the client's address counts from trusted proxies only.
    let headers = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1"), ("x-real-ip", "192.0.2.1")];
    elsewhere.ask("GET", plugins, &headers, "").await.problem(401, "access");
    key(json!([]), json!("2020-01-01T00:00:00Z")).await.get(plugins).await.problem(401, "access");
    for label in ["", "   ", &"x".repeat(101)] {
        let body = json!({ "role": { "role": "admin" }, "label": label });
        server.admin.post("/v1/access-keys", &body).await.problem(422, "label");
    }
    let nowhere = json!({ "role": { "role": "backend", "shop": "nowhere" }, "label": "x" });
    server.admin.post("/v1/access-keys", &nowhere).await.problem(404, "not-found");
    let smuggled = json!({ "role": { "role": "admin", "shop": "lumen" }, "label": "x" });
    server.admin.post("/v1/access-keys", &smuggled).await.problem(422, "body");
}

#[tokio::test]
async fn a_storefront_learns_nothing_of_the_merchants_affairs() {
    let (shop, fake) = Shop::with_expivi().await;
    let saved = cartwright_fake_vendors::samples::EXPIVI_SIMPLE;
    let add = json!({ "product": "ring", "configuration": saved, "quantity": 1 });
    let change = shop.storefront.post(&shop.path("/cart/add"), &add).await.ok();
    assert_eq!((&change["stages"], &change["warnings"]), (&json!([]), &json!([])));
    assert_eq!(change["operations"][0]["operation"], "add");
    let chosen = json!({ "product": "ring", "configuration": saved, "quantity": 1, "strategy": { "name": "simple" } });
    shop.storefront.post(&shop.path("/cart/add"), &chosen).await.problem(403, "role");
    // A page cannot be trusted: only the platform's server knows the customer group of its shopper.
    let mut trade = add.clone();
    trade["visitor"] = json!({ "customer_groups": ["trade"] });
    shop.storefront.post(&shop.path("/cart/add"), &trade).await.problem(403, "role");
    shop.backend.post(&shop.path("/cart/add"), &trade).await.ok();
    // Each failure, as reported to the platform's server and to a page.
    let of = |product: &str, saved: &str| json!({ "product": product, "configuration": saved, "quantity": 1 });
    let variation = cartwright_fake_vendors::samples::EXPIVI_VARIATION;
    let wrong = [
        of("ring", "no configuration"),
        of("ring", variation),
        of("bed", saved),
        of("shirt", &variation.replace("1002", "1009")),
    ];
    for body in &wrong {
        let whole = shop.backend.post(&shop.path("/cart/add"), body).await;
        let change = shop.storefront.post(&shop.path("/cart/add"), body).await;
        assert_eq!((whole.status, whole.json()["type"].clone()), (change.status, change.json()["type"].clone()));
        assert_reveals_nothing(&change.json());
    }
    fake.faults().outage(cartwright_fake_vendors::Outage::Unavailable { retry_after: None });
    // A new quantity, because the price of the other one is cached.
    let mut more = add.clone();
    more["quantity"] = json!(7);
    let away = shop.storefront.post(&shop.path("/cart/add"), &more).await;
    let away = away.problem(503, "vendor-unavailable");
    assert_reveals_nothing(&away);
    assert!(!away.to_string().contains(fake.base_url().trim_start_matches("http://")), "{away:#}");
}

#[track_caller]
fn assert_reveals_nothing(problem: &Value) {
    for member in ["error", "help", "issues"] {
        assert_eq!(problem[member], json!(null), "{problem:#}");
    }
    let detail = problem["detail"].as_str().expect("a detail");
    let shopper = problem["shopper"]["text"].as_str();
    assert!(
        shopper == Some(detail) || detail == "This is not possible at the moment. The shop can see why.",
        "{problem:#}"
    );
}

#[tokio::test]
async fn a_browser_may_send_requests_from_the_shops_origins_only() {
    let shop = Shop::new().await;
    shop.admin.put(&shop.path("/origins"), &json!(["https://shop.example"])).await.with(204);
    let preflight = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
    for (origin, allowed_origin) in
        [("https://shop.example", Some("https://shop.example")), ("https://other.example", None)]
    {
        let headers = [("origin", origin), preflight[0], preflight[1]];
        // A browser's preflight has no key, and uses a method that no operation has.
        let anonymous = shop.server.node.anonymous();
        let asks = anonymous.ask("OPTIONS", &shop.path("/products/ring/embed-data"), &headers, "").await;
        assert_eq!(asks.header("access-control-allow-origin"), allowed_origin);
        assert_eq!(asks.status, 200);
        // A page can read a rejection too.
        let refused = anonymous.send("POST", &shop.path("/cart/add"), &[("origin", origin)], &json!({})).await;
        assert_eq!(refused.header("access-control-allow-origin"), allowed_origin);
        refused.problem(401, "access");
    }
}
