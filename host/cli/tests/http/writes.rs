//! Concurrent writes over unreliable connections: versions, repeated requests, and lists in pages.

use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Server};
use crate::shop::{Shop, links, local, paid};

async fn version(client: &Client, path: &str) -> String {
    let read = client.get(path).await;
    read.header("etag").unwrap_or_else(|| panic!("{read:?}")).to_owned()
}

#[tokio::test]
async fn a_shop_that_was_read_can_be_sent_back() {
    let shop = Shop::new().await;
    let mut read = shop.admin.get(&shop.path("")).await.ok();
    read["seal_seconds"] = json!(600);
    assert_eq!(shop.admin.put(&shop.path(""), &read).await.ok(), read);
    read["id"] = json!("another");
    let problem = shop.admin.put(&shop.path(""), &read).await.problem(422, "body");
    assert!(problem["detail"].as_str().is_some_and(|text| text.starts_with("id: ")), "{problem:#}");
}

#[tokio::test]
async fn a_concurrent_change_is_not_overwritten() {
    let (shop, _fake) = Shop::with_expivi().await;
    let account = shop.admin.get(&shop.path("/accounts/expivi")).await.ok();
    let account =
        json!({ "component": account["component"], "settings": account["settings"], "grants": account["grants"] });
    let link = json!({ "account": "expivi", "vendor_product": "1001" });
    let other = json!({ "account": "expivi", "vendor_product": "1001", "strategy": { "name": "simple" } });
    let mut changed = account.clone();
    changed["settings"]["media-id"] = json!(502);
    let euro = json!({ "currencies": [{ "code": "EUR", "scale": 2 }] });
    let dollar = json!({ "currencies": [{ "code": "USD", "scale": 2 }] });
    for (path, one, two) in [
        (shop.path(""), euro, dollar),
        (shop.path("/accounts/expivi"), account, changed),
        (shop.path("/product-links/ring"), link, other),
    ] {
        let tag = version(&shop.admin, &path).await;
        let first = shop.admin.send("PUT", &path, &[("if-match", &tag)], &one).await;
        let next = first.header("etag").expect("an ETag").to_owned();
        first.with(200);
        assert_eq!(version(&shop.admin, &path).await, next, "a write names what it made");
        assert_ne!(tag, next, "{path}");
        shop.admin.send("PUT", &path, &[("if-match", &tag)], &two).await.problem(412, "changed");
        shop.admin.send("PUT", &path, &[("if-none-match", "*")], &two).await.problem(412, "exists");
        shop.admin.send("PUT", &path, &[("if-match", &next)], &two).await.with(200);
        shop.admin.send("PUT", &path, &[("if-match", "*")], &two).await.with(200);
    }
    let stale = [("if-match", "\"stale\"")];
    // A response without a body names the created resource too.
    let rate = |rate: &str| json!({ "from": "USD", "to": "EUR", "rate": rate });
    let endpoint = |url: &str| json!({ "url": url });
    shop.admin.put(&shop.path("/notification-endpoint"), &endpoint("https://shop.example/0")).await.ok();
    for (path, one, two) in [
        (shop.path("/origins"), json!(["https://one.example"]), json!(["https://two.example"])),
        (shop.path("/exchange-rates"), rate("0.9"), rate("0.8")),
        (shop.path("/notification-endpoint"), endpoint("https://shop.example/1"), endpoint("https://shop.example/2")),
    ] {
        let tag = version(&shop.admin, &path).await;
        let first = shop.admin.send("PUT", &path, &[("if-match", &tag)], &one).await;
        let next = first.header("etag").expect("an ETag").to_owned();
        first.ok();
        assert_eq!(version(&shop.admin, &path).await, next, "a write names what it made");
        assert_ne!(tag, next, "{path}");
        shop.admin.send("PUT", &path, &[("if-match", &tag)], &two).await.problem(412, "changed");
        shop.admin.send("PUT", &path, &[("if-none-match", "*")], &two).await.problem(412, "exists");
        shop.admin.send("PUT", &path, &[("if-match", &next)], &two).await.ok();
        let last = version(&shop.admin, &path).await;
        shop.admin.send("PUT", &path, &stale, &one).await.problem(412, "changed");
        assert_eq!(version(&shop.admin, &path).await, last);
    }
    shop.admin.ask("DELETE", &shop.path("/notification-endpoint"), &stale, "").await.problem(412, "changed");
    assert_eq!(shop.admin.get(&shop.path("/notification-endpoint")).await.status, 200);
    shop.admin.ask("DELETE", &shop.path("/product-links/ring"), &stale, "").await.problem(412, "changed");
    assert_eq!(shop.admin.get(&shop.path("/product-links/ring")).await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_sent_twice_is_done_once() {
    let shop = Shop::new().await;
    shop.sell().await;
    let twice = [("idempotency-key", shop.id.as_str())];
    let (path, body) = (shop.path("/catalog/remove"), json!([{ "product": "ring", "id": "variant-ring" }]));
    let first = shop.backend.send("POST", &path, &twice, &body).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = shop.backend.send("POST", &path, &twice, &body).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.json(), json!({ "removed": 1 }), "done again it would be none");
    // Another body, path or precondition is another request.
    shop.backend.send("POST", &path, &twice, &json!([])).await.problem(422, "idempotency-key");
    shop.backend.send("PUT", &shop.path("/catalog"), &twice, &body).await.problem(422, "idempotency-key");
    // A caller's permissions are independent of its earlier requests.
    shop.backend.send("PUT", &shop.path(""), &twice, &body).await.problem(403, "role");
    let conditional = [twice[0], ("if-match", "\"1\"")];
    shop.backend.send("POST", &path, &conditional, &body).await.problem(422, "idempotency-key");
    // Another caller's requests are separate.
    assert_eq!(shop.admin.send("POST", &path, &twice, &body).await.ok(), json!({ "removed": 0 }));
    for wrong in ["", &"x".repeat(256)] {
        let headers = [("idempotency-key", wrong)];
        shop.backend.send("POST", &path, &headers, &body).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_not_stored_for_a_repeated_request() {
    let (shop, _fake) = Shop::with_twikit().await;
    let key = json!({ "role": { "role": "backend" }, "label": shop.id });
    let made = shop.admin.post("/v1/access-keys", &key).await.with(201);
    let rotate = format!("/v1/access-keys/{}/rotate", made["id"].as_str().expect("an id"));
    let endpoint = json!({ "url": "https://shop.example/told" });
    let address = json!({ "account": "twikit", "endpoint": "order-completion" });
    for (number, (method, path, body, shown)) in [
        ("POST", "/v1/access-keys".to_owned(), key, "key"),
        ("POST", rotate, json!({}), "key"),
        ("PUT", shop.path("/notification-endpoint"), endpoint, "secret"),
        ("POST", shop.path("/notification-endpoint/rotate"), json!({}), "secret"),
        ("POST", shop.path("/webhook-urls"), address, "url"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{} once {number}", shop.id);
        let twice = [("idempotency-key", name.as_str())];
        let first = shop.admin.send(method, &path, &twice, &body).await;
        let secret = first.json()[shown].as_str().unwrap_or_else(|| panic!("{first:?}")).to_owned();
        for _ in 0..2 {
            let again = shop.admin.send(method, &path, &twice, &body).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            let problem = again.problem(409, "shown-once");
            assert!(!problem.to_string().contains(&secret), "{path}: {problem:#}");
            assert!(
                problem["detail"].as_str().is_some_and(|text| text.contains("shown once; if the response was lost,"))
            );
        }
    }
    // A response without a secret is stored like any other.
    let moved = json!({ "url": "https://shop.example/moved" });
    let name = format!("{} moved", shop.id);
    for _ in 0..2 {
        let path = shop.path("/notification-endpoint");
        let set = shop.admin.send("PUT", &path, &[("idempotency-key", &name)], &moved).await;
        assert_eq!(set.ok(), json!({ "secret": null }));
    }
}

#[tokio::test]
async fn the_document_says_which_operations_take_an_idempotency_key() {
    let shop = Shop::new().await;
    let document = shop.server.node.anonymous().get("/openapi.json").await.with(200);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let takes = parameters.iter().any(|it| it["name"] == "Idempotency-Key" && it["in"] == "header");
            let writes = method != "get" && operation["tags"][0] != "cart";
            assert_eq!(takes, writes, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn many_at_once_with_one_idempotency_key_are_done_once() {
    let shop = Shop::new().await;
    let body = json!({ "role": { "role": "admin" }, "label": format!("at once in {}", shop.id) });
    let asking = (0..8).map(|_| {
        let (admin, body, key) = (shop.admin.clone(), body.clone(), format!("{} at once", shop.id));
        tokio::spawn(async move { admin.send("POST", "/v1/access-keys", &[("idempotency-key", &key)], &body).await })
    });
    let asking: Vec<_> = asking.collect();
    let mut made = Vec::new();
    for request in asking {
        let reply = request.await.expect("an answer");
        match reply.status {
            201 => made.push(reply.with(201)["id"].clone()),
            _ => assert!(
                matches!(reply.with(409)["type"].as_str(), Some(kind) if kind.ends_with("running") || kind.ends_with("shown-once"))
            ),
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    let keys = shop.admin.get("/v1/access-keys?limit=500").await.ok();
    let found = keys["keys"].as_array().expect("keys").iter().filter(|key| key["label"] == body["label"]).count();
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_failed_write_is_executed_again() {
    let shop = Shop::new().await;
    let later = format!("{}-later", shop.id);
    let twice = [("idempotency-key", later.as_str())];
    let body = json!({ "role": { "role": "storefront", "shop": later }, "label": later });
    shop.admin.send("POST", "/v1/access-keys", &twice, &body).await.problem(404, "not-found");
    shop.admin.put(&format!("/v1/shops/{later}"), &json!({ "currencies": [{ "code": "EUR", "scale": 2 }] })).await.ok();
    let made = shop.admin.send("POST", "/v1/access-keys", &twice, &body).await;
    assert_eq!(made.header("idempotency-replayed"), None);
    made.with(201);
}

#[tokio::test]
async fn a_shoppers_data_is_not_stored_for_repeated_requests() {
    let (shop, _fake) = Shop::with_expivi().await;
    let twice = [("idempotency-key", shop.id.as_str())];
    let saved = cartwright_fake_vendors::samples::EXPIVI_SIMPLE;
    let body = json!({ "product": "ring", "configuration": saved, "quantity": 1 });
    for _ in 0..2 {
        let added = shop.backend.send("POST", &shop.path("/cart/add"), &twice, &body).await;
        assert_eq!(added.header("idempotency-replayed"), None);
        assert_eq!(added.ok()["operations"][0]["operation"], "add");
    }
}

/// Returns all elements of a list, two at a time.
async fn gathered(client: &Client, path: &str, list: &str) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), format!("{path}?limit=2"));
    loop {
        let page = client.get(&next).await.ok();
        let some = page[list].as_array().unwrap_or_else(|| panic!("{page:#}"));
        assert!(some.len() <= 2, "{page:#}");
        found.extend(some.iter().cloned());
        let Some(after) = page["after"].as_str() else { return found };
        let after: String = url::form_urlencoded::byte_serialize(after.as_bytes()).collect();
        next = format!("{path}?limit=2&after={after}");
    }
}

#[tokio::test]
async fn every_list_that_grows_is_paged() {
    let shop = Shop::on(std::sync::Arc::new(Server::new(&[]))).await;
    shop.sell().await;
    let _fake = (shop.expivi().await, shop.twikit().await);
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    for endpoint in ["order-completion", "payment-verification", "order-completion"] {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    }
    for id in ["b", "a"] {
        shop.admin
            .put(&format!("/v1/shops/{id}"), &json!({ "currencies": [{ "code": "EUR", "scale": 2 }] }))
            .await
            .ok();
    }
    // A URL without a listener.
    let unreachable_url = json!({ "url": "http://127.0.0.1:9/", "grants": local("http://127.0.0.1:9") });
    shop.admin.put(&shop.path("/notification-endpoint"), &unreachable_url).await.ok();
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    shop.handled("1").await;
    let shop_path = |path: &str| shop.path(path);
    for (path, list, id, most) in [
        (shop_path("/product-links"), "links", "shop_product", 4),
        (shop_path("/webhook-urls"), "addresses", "id", 3),
        (shop_path("/notifications"), "notifications", "id", usize::MAX),
        ("/v1/access-keys".to_owned(), "keys", "id", 4),
        ("/v1/shops".to_owned(), "shops", "id", 3),
    ] {
        let whole = shop.admin.get(&format!("{path}?limit=500")).await.ok();
        let whole = whole[list].as_array().expect("a list").clone();
        assert!(whole.len() > 2 && whole.len() <= most, "{path}: {whole:#?}");
        let ids = |all: &[Value]| all.iter().map(|one| one[id].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&gathered(&shop.admin, &path, list).await), ids(&whole), "{path}");
    }
    for path in ["/product-links", "/webhook-urls", "/notifications", "/failed-webhooks", "/pushed-settings"] {
        shop.admin.get(&shop_path(&format!("{path}?limit=501"))).await.problem(422, "limit");
        shop.admin.get(&shop_path(&format!("{path}?unknown=1"))).await.problem(400, "bad-request");
    }
    for path in ["/webhook-urls", "/notifications", "/failed-webhooks"] {
        shop.admin.get(&shop_path(&format!("{path}?after=no"))).await.problem(422, "after");
    }
    for path in ["/failed-webhooks", "/pushed-settings"] {
        assert_eq!(shop.admin.get(&shop_path(path)).await.ok()["after"], Value::Null);
    }
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let shop = Shop::new().await;
    let variant = |at: usize| json!({ "product": format!("product-{}", at % 3), "id": format!("{at}"), "title": "A thing", "purchasable": true });
    let variants: Vec<Value> = (0..10).map(variant).collect();
    shop.backend.put(&shop.path("/catalog"), &json!({ "variants": variants })).await.ok();
    let mut found = Vec::new();
    let mut path = shop.path("/catalog?limit=4");
    loop {
        let page = shop.backend.get(&path).await.ok();
        found.extend(page["variants"].as_array().expect("variants").clone());
        let Some(after) = page["after"].as_object() else { break };
        let text = |name: &str| after[name].as_str().expect("a text").to_owned();
        path = shop.path(&format!("/catalog?limit=4&after_product={}&after_id={}", text("product"), text("id")));
    }
    let mut keys: Vec<_> = found.iter().map(|found| (found["product"].to_string(), found["id"].to_string())).collect();
    assert_eq!(keys.len(), 10);
    keys.dedup();
    assert_eq!(keys.len(), 10);
    let whole = shop.backend.get(&shop.path("/audit-log")).await.ok();
    let whole: Vec<Value> = whole["entries"].as_array().expect("entries").clone();
    let first = shop.backend.get(&shop.path("/audit-log?limit=1")).await.ok();
    assert_eq!(first["entries"][0], whole[0]);
    let next = shop.backend.get(&shop.path(&format!("/audit-log?limit=1&before={}", first["before"]))).await.ok();
    assert_eq!(next["entries"][0], whole[1]);
    for path in
        ["/catalog?limit=0", "/catalog?limit=1001", "/audit-log?limit=0", "/audit-log?limit=501", "/jobs?limit=501"]
    {
        shop.backend.get(&shop.path(path)).await.problem(422, "limit");
    }
    for path in
        ["/audit-log?limit=-1", "/audit-log?limit=x", "/audit-log?before=99999999999999999999", "/jobs?unknown=1"]
    {
        shop.backend.get(&shop.path(path)).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn two_variants_with_one_sku_are_refused_in_one_list_and_one_by_one() {
    let shop = Shop::new().await;
    let variant =
        |id: &str| json!({ "product": "shirt", "id": id, "sku": "SHIRT-M", "title": id, "purchasable": true });
    let put = async |variants: Value, whole: bool| {
        shop.backend.put(&shop.path("/catalog"), &json!({ "variants": variants, "replace_all": whole })).await
    };
    put(json!([variant("blue")]), false).await.ok();
    for (variants, whole) in [
        (json!([variant("red")]), false),
        (json!([variant("red"), variant("blue")]), false),
        (json!([variant("blue"), variant("red")]), true),
    ] {
        let problem = put(variants, whole).await.problem(409, "sku-conflict");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(["\"blue\"", "\"red\"", "\"SHIRT-M\""].iter().all(|name| detail.contains(name)), "{detail}");
    }
    let listed = shop.backend.get(&shop.path("/catalog")).await.ok();
    assert_eq!(listed["variants"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn an_address_of_blanks_is_no_customers() {
    let shop = Shop::new().await;
    for blank in ["%20", "%09", "%E3%80%80", "%C2%A0", "%E2%80%8B", "%0A"] {
        shop.backend.get(&shop.path(&format!("/customers/{blank}/export"))).await.problem(400, "bad-request");
        shop.backend
            .delete(&shop.path(&format!("/customers/{blank}?drop_jobs=true")))
            .await
            .problem(400, "bad-request");
    }
    shop.backend.get(&shop.path("/customers/unknown/export")).await.problem(400, "bad-request");
    let export = shop.backend.get(&shop.path("/customers/unknown@example.com/export")).await.ok();
    assert_eq!(export["document"]["orders"], json!([]));
}
