//! The audit log: every change of stored data is logged with its actor, its old and its new state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use cartwright::Clock;
use cartwright_fake_vendors::client::Reply;
use cartwright_fake_vendors::twikit::Webhooks;
use cartwright_fake_vendors::{Outage, samples};
use cartwright_store::{Keyring, Notifier, Store};
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, links, local, paid};

/// Operations that store nothing: they read, test, or plan for a cart of the platform.
const NOTHING_KEPT: [&str; 13] = [
    "add_to_cart",
    "change_quantity",
    "check_cart",
    "edit_line",
    "read_embed_data",
    "create_document_url",
    "merge_carts",
    "read_readiness",
    "refresh_line",
    "remove_line",
    "reorder",
    "request_quote",
    "test_connection",
];

/// Whether an entry has an old and a new state.
const MADE: (bool, bool) = (false, true);
const CHANGED: (bool, bool) = (true, true);
const GONE: (bool, bool) = (true, false);

struct Audit {
    shop: Shop,
    done: BTreeSet<&'static str>,
    last: i64,
}

impl Audit {
    /// Checks that the log has a new entry about an operation.
    async fn did(&mut self, operation: &'static str, reply: Reply, what: &str, sides: (bool, bool)) -> Value {
        assert!((200..300).contains(&reply.status), "{operation}: {reply:?}");
        let log = self.shop.admin.get("/v1/audit-log?limit=100").await.ok();
        let entries = log["entries"].as_array().expect("entries").clone();
        let new = |entry: &&Value| entry["id"].as_i64().is_some_and(|id| id > self.last);
        let found = entries.iter().filter(new).find(|entry| {
            entry["action"] == what && entry["actor"].as_str().is_some_and(|actor| actor.starts_with("test ("))
        });
        let entry = found.unwrap_or_else(|| panic!("{operation} is not in the log as {what}: {log:#}")).clone();
        assert_eq!((!entry["before"].is_null(), !entry["after"].is_null()), sides, "{operation}: {entry:#}");
        assert_ne!(entry["before"], entry["after"], "{operation}");
        self.last = entries[0]["id"].as_i64().expect("a number");
        self.done.insert(operation);
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }
}

/// A clock with a fixed time.
struct Set(SystemTime);

#[async_trait]
impl Clock for Set {
    fn now(&self) -> SystemTime {
        self.0
    }

    async fn sleep(&self, _seconds: u32) {}
}

pub async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_write_is_in_the_audit_log_with_its_old_and_new_state() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    let mut audit = Audit { done: BTreeSet::new(), last: 0, shop };
    keys_and_catalog(&mut audit).await;
    let fake = audit.shop.expivi().await;
    setup(&mut audit).await;
    notifications(&mut audit).await;
    orders(&mut audit, &fake).await;
    quotes(&mut audit).await;
    webhooks(&mut audit).await;
    let document = audit.shop.server.node.anonymous().get("/openapi.json").await.with(200);
    let paths = document["paths"].as_object().expect("paths").values();
    let methods = paths.flat_map(|item| item.as_object().expect("methods"));
    let writes = methods.filter(|(method, _)| !matches!(method.as_str(), "get" | "parameters"));
    let writes: BTreeSet<&str> = writes.map(|(_, it)| it["operationId"].as_str().expect("an id")).collect();
    let known: BTreeSet<&str> = audit.done.iter().copied().chain(NOTHING_KEPT).collect();
    assert_eq!(known, writes, "a new operation is tried here, or keeps nothing");
    let log = audit.shop.admin.get("/v1/audit-log?limit=500").await.with(200).to_string();
    for secret in ["\"server-token\":\"server-token\"", "whsec_", "/webhooks/", "cw_backend_", "ada@example.com"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

async fn keys_and_catalog(audit: &mut Audit) {
    let (admin, backend) = (audit.shop.admin.clone(), audit.shop.backend.clone());
    let key = json!({ "role": { "role": "backend" }, "label": "another" });
    let made =
        audit.did("create_access_key", admin.post("/v1/access-keys", &key).await, "create-access-key", MADE).await;
    let key = format!("/v1/access-keys/{}", made["id"].as_str().expect("an id"));
    let rotated = admin.post(&format!("{key}/rotate"), &json!({ "overlap_seconds": 60 })).await;
    audit.did("rotate_access_key", rotated, "rotate-access-key", CHANGED).await;
    audit.did("revoke_access_key", admin.delete(&key).await, "revoke-access-key", CHANGED).await;
    let shop_path = |path: &str| audit.shop.path(path);
    let shop =
        json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "seal_seconds": 600, "prices_include_tax": true });
    let (own, origins, catalog, rates) =
        (shop_path(""), shop_path("/origins"), shop_path("/catalog"), shop_path("/exchange-rates"));
    audit.did("set_shop", admin.put(&own, &shop).await, "change-shop", CHANGED).await;
    let origin = json!(["https://shop.example"]);
    audit.did("set_origins", admin.put(&origins, &origin).await, "set-origins", CHANGED).await;
    audit.shop.sell().await;
    let price = json!({ "minor": 20_000, "scale": 2, "currency": "EUR" });
    let ring = json!({ "id": "variant-ring", "product": "ring", "sku": "RING", "title": "RING", "prices": [price],
        "purchasable": true });
    let put = backend.put(&catalog, &json!({ "variants": [ring] })).await;
    audit.did("put_variants", put, "put-variants", CHANGED).await;
    let screw = json!([{ "product": "jewel", "id": "variant-jewel-b" }]);
    let removed = backend.post(&format!("{catalog}/remove"), &screw).await;
    audit.did("remove_variants", removed, "remove-variants", CHANGED).await;
    let rate = json!({ "from": "USD", "to": "EUR", "rate": "0.9" });
    audit.did("set_exchange_rate", backend.put(&rates, &rate).await, "set-exchange-rate", MADE).await;
}

async fn setup(audit: &mut Audit) {
    let (admin, integrator) = (audit.shop.admin.clone(), audit.shop.integrator.clone());
    let shop_path = |path: &str| audit.shop.path(path);
    let (account, many, table) =
        (shop_path("/accounts/expivi"), shop_path("/product-links"), shop_path("/product-links.csv"));
    let (one, swap) = (shop_path("/product-links/ring"), shop_path("/accounts/expivi/switch-version"));
    let read = integrator.get(&account).await.ok();
    let mut body = json!({ "component": read["component"], "settings": read["settings"], "grants": read["grants"] });
    body["settings"]["media-id"] = json!(502);
    audit.did("set_account", integrator.put(&account, &body).await, "change-account", CHANGED).await;
    audit.did("set_product_links", integrator.put(&many, &links()).await, "link", CHANGED).await;
    let rows = "shop_product,account,vendor_product\nring,expivi,1001\n";
    let put = integrator.ask("PUT", &table, &[("content-type", "text/csv")], rows).await;
    audit.did("set_product_links_csv", put, "link", CHANGED).await;
    let link = json!({ "account": "expivi", "vendor_product": "1001", "strategy": { "name": "simple" } });
    audit.did("set_product_link", integrator.put(&one, &link).await, "link", CHANGED).await;
    audit.did("remove_product_link", integrator.delete(&one).await, "unlink", GONE).await;
    integrator.put(&many, &links()).await.ok();
    let first = read["component"].clone();
    // The same component with an added note: the same code with another digest.
    let mut bytes = cartwright_bundled::EXPIVI.to_vec();
    bytes.extend([0, 5, 4, b'n', b'o', b't', b'e']);
    let sent = admin.ask("POST", "/v1/plugins", &[("content-type", "application/wasm")], bytes).await;
    let second = audit.did("install_plugin", sent, "install", MADE).await["digest"].clone();
    let swapped = admin.post("/v1/plugins/expivi/switch-version", &json!({ "component": second })).await;
    audit.did("switch_plugin_version", swapped, "switch-version", CHANGED).await;
    let swapped = integrator.post(&swap, &json!({ "component": first })).await;
    audit.did("switch_account_version", swapped, "switch-version", CHANGED).await;
    let revoke = format!("/v1/plugins/{}/revoke", second.as_str().expect("a digest"));
    let revoked = admin.post(&revoke, &json!({ "replacement": first })).await;
    audit.did("revoke_plugin", revoked, "revoke", CHANGED).await;
}

async fn notifications(audit: &mut Audit) {
    let admin = audit.shop.admin.clone();
    let endpoint = audit.shop.path("/notification-endpoint");
    // A URL without a listener.
    let set = json!({ "url": "http://127.0.0.1:9/", "grants": local("http://127.0.0.1:9") });
    audit.did("set_notification_endpoint", admin.put(&endpoint, &set).await, "set-notification-endpoint", MADE).await;
    let moved = json!({ "url": "http://127.0.0.1:9/moved", "grants": set["grants"] });
    let moved = admin.put(&endpoint, &moved).await;
    audit.did("set_notification_endpoint", moved, "set-notification-endpoint", CHANGED).await;
    let rotated = admin.post(&format!("{endpoint}/rotate"), &json!({})).await;
    audit.did("rotate_notification_secret", rotated, "rotate-notification-secret", CHANGED).await;
}

/// Attempts the notifications for days, as often as the schedule allows, until one has failed for good.
pub async fn give_up(shop: &Shop) {
    let store = Store::open(&shop.server.folder.database(), Keyring::new([7; 32])).await.expect("a store");
    let of = shop.id.parse().expect("an id");
    let mut days = 0;
    while store.notifications().list(&of, true, None, 1).await.expect("a store").is_empty() {
        days += 2;
        assert!(days < 1_000, "nothing is given up");
        let clock = Set(SystemTime::now() + Duration::from_secs(days * 86_400));
        let notifier = Notifier::new(store.clone(), Arc::new(clock));
        assert_eq!(notifier.send_due().await.expect("a store"), 0);
    }
    store.close().await;
}

async fn orders(audit: &mut Audit, fake: &cartwright_fake_vendors::FakeExpivi) {
    let backend = audit.shop.backend.clone();
    let events = audit.shop.path("/events");
    let cart = audit.shop.cart().await;
    let reported = backend.post(&events, &paid("1", &cart)).await;
    audit.did("report_event", reported, "report-event", MADE).await;
    audit.shop.handled("1").await;
    let closed = backend.ask("POST", &audit.shop.path("/orders/1/close"), &[], "").await;
    audit.did("close_order", closed, "close-order", CHANGED).await;
    give_up(&audit.shop).await;
    let path = audit.shop.path("/notifications");
    let order = backend.get(&path).await.ok();
    let dead = order["notifications"].as_array().expect("a list").iter().find(|kept| kept["is_retrying"] == false);
    let id = dead.unwrap_or_else(|| panic!("{order:#}"))["id"].as_str().expect("an id").to_owned();
    let again = backend.ask("POST", &format!("{path}/{id}/retry"), &[], "").await;
    audit.did("retry_notification", again, "retry-notification", CHANGED).await;
    let endpoint = audit.shop.path("/notification-endpoint");
    let removed = backend.delete(&endpoint).await;
    audit.did("remove_notification_endpoint", removed, "remove-notification-endpoint", CHANGED).await;
    let erased = backend.delete(&audit.shop.path("/orders/1")).await;
    audit.did("erase_order", erased, "erase-order", CHANGED).await;
    // The configuration was erased with the order.
    let cart = audit.shop.cart().await.split_off(2);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    backend.post(&events, &paid("2", &cart)).await.ok();
    let retrying = audit.shop.path("/jobs?order=2&state=retrying");
    let found = async || backend.get(&retrying).await.ok()["jobs"].as_array().expect("jobs").first().cloned();
    let job = until(found).await["id"].as_str().expect("an id").to_owned();
    let job = audit.shop.path(&format!("/jobs/{job}"));
    let cancelled = backend.ask("POST", &format!("{job}/cancel"), &[], "").await;
    audit.did("cancel_job", cancelled, "cancel-job", CHANGED).await;
    until(async || (backend.get(&job).await.ok()["state"] == "cancelled").then_some(())).await;
    fake.faults().clear();
    let replayed = backend.post(&format!("{job}/retry"), &json!({ "from": "start" })).await;
    audit.did("retry_job", replayed, "restart-job", CHANGED).await;
    audit.shop.handled("2").await;
    let erased = backend.delete(&audit.shop.path("/customers/ada@example.com")).await;
    audit.did("erase_customer", erased, "erase-order", CHANGED).await;
}

async fn quotes(audit: &mut Audit) {
    let backend = audit.shop.backend.clone();
    let quotes = audit.shop.path("/quotes");
    let quote_request = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 5 });
    let quote_request = backend.post(&audit.shop.path("/cart/quote"), &quote_request).await.ok();
    let lines = quote_request["operations"][0]["lines"].clone();
    for id in ["q1", "q2"] {
        let kept = backend.post(&quotes, &json!({ "id": id, "lines": lines })).await;
        audit.did("create_quote", kept, "request-quote", MADE).await;
    }
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let unit = json!({ "minor": 1_000, "scale": 2, "currency": "EUR" });
    let offer = json!({ "prices": [{ "key": lines[0]["key"], "unit": unit }], "valid_until": until });
    let offered = backend.post(&format!("{quotes}/q1/offer"), &offer).await;
    audit.did("offer_quote", offered, "offer-quote", CHANGED).await;
    let accepted = backend.post(&format!("{quotes}/q1/accept"), &json!({ "lines": [] })).await;
    audit.did("accept_quote", accepted, "accept-quote", CHANGED).await;
    let withdrawn = backend.ask("POST", &format!("{quotes}/q2/withdraw"), &[], "").await;
    audit.did("withdraw_quote", withdrawn, "withdraw-quote", CHANGED).await;
}

async fn webhooks(audit: &mut Audit) {
    let fake = audit.shop.twikit().await;
    let (backend, integrator) = (audit.shop.backend.clone(), audit.shop.integrator.clone());
    let addresses = audit.shop.path("/webhook-urls");
    let mut urls = Vec::new();
    let mut last = String::new();
    for endpoint in ["payment-verification", "production-completion", "website-publication"] {
        let made = integrator.post(&addresses, &json!({ "account": "twikit", "endpoint": endpoint })).await;
        let made = audit.did("create_webhook_url", made, "create-webhook-url", MADE).await;
        urls.push(made["url"].as_str().map(str::to_owned));
        last = made["id"].as_str().expect("an id").to_owned();
    }
    let [payment_verification, production_completed, website_published] = urls.try_into().expect("three");
    fake.set_webhooks(Webhooks {
        payment_verification,
        production_completed,
        website_published,
        ..Webhooks::default()
    });
    let mut cart = Vec::new();
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 2, "lines": [] });
    audit.shop.change(&mut cart, "add", body).await;
    backend.post(&audit.shop.path("/events"), &paid("3", &cart)).await.ok();
    let order = audit.shop.handled("3").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    fake.production_completed(&reference, "", false, "T-1").await.expect("an order");
    let order = audit.shop.path("/orders/3");
    let held = until(async || {
        let order = backend.get(&order).await.ok();
        order["outcomes"].as_array().expect("a list").iter().find(|outcome| outcome["needs_attention"] == true).cloned()
    });
    let resolve = audit.shop.path(&format!("/outcomes/{}/resolve", held.await["id"]));
    let resolved = backend.ask("POST", &resolve, &[], "").await;
    audit.did("resolve_outcome", resolved, "resolve-outcome", CHANGED).await;
    let pushed = audit.shop.path("/pushed-settings");
    for (number, decision, operation, what) in [
        (1, "reject", "reject_pushed_settings", "reject-settings"),
        (2, "approve", "approve_pushed_settings", "approve-settings"),
    ] {
        let script = format!("https://elsewhere.example/{number}.js");
        fake.website_published(&script, &["diamond-letter-jewel"]).await;
        let waits = async || integrator.get(&pushed).await.ok()["pushed"].as_array().expect("a list").first().cloned();
        let id = until(waits).await["id"].as_str().expect("an id").to_owned();
        let decided = integrator.ask("POST", &format!("{pushed}/{id}/{decision}"), &[], "").await;
        audit.did(operation, decided, what, CHANGED).await;
    }
    let ended = integrator.delete(&format!("{addresses}/{last}")).await;
    audit.did("revoke_webhook_url", ended, "revoke-webhook-url", CHANGED).await;
}
