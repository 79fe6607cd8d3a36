//! A platform's whole path: from an empty shop to produced orders.

use std::time::{Duration, Instant};

use cartwright::{CartLine, CartOperation};
use cartwright_fake_vendors::twikit::{Webhook, Webhooks};
use cartwright_fake_vendors::{Outage, samples};
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, local, paid};

/// Returns the amounts of the top-level lines.
fn amounts(cart: &[CartLine]) -> Vec<i64> {
    cart.iter().filter(|line| line.parent.is_none()).map(|line| line.price.total.minor).collect()
}

#[tokio::test]
async fn a_shop_is_set_up_from_nothing() {
    let shop = Shop::new().await;
    let read = shop.backend.get(&shop.path("")).await.ok();
    assert_eq!(read["id"], shop.id);
    assert_eq!((&read["release"], &read["seal_seconds"]), (&json!("paid"), &json!(86_400)), "{read:#}");
    let _fake = shop.expivi().await;
    let account = shop.integrator.get(&shop.path("/accounts/expivi")).await.ok();
    assert_eq!(account["secrets"], json!(["server-token"]), "{account:#}");
    assert_eq!(account["settings"]["viewer-token"], "viewer-token");
    assert!(!account.to_string().contains("\"server-token\":"), "secrets are never shown: {account:#}");
    let form = shop.integrator.get(&shop.path("/accounts/expivi/form")).await.ok();
    assert!(form.to_string().contains("viewer-token"), "{form:#}");
    let tested = shop.integrator.ask("POST", &shop.path("/accounts/expivi/test-connection"), &[], "").await.ok();
    assert!(
        tested.as_array().is_some_and(|tested| tested.iter().all(|check| check["verdict"] == "passed")),
        "{tested:#}"
    );
    let found = shop.integrator.get(&shop.path("/accounts/expivi/products?search=ring")).await.ok();
    assert_eq!(found["products"][0]["id"], "1001", "{found:#}");
    let choices = shop.integrator.get(&shop.path("/accounts/expivi/choices/media-id")).await;
    assert!(matches!(choices.status, 200 | 422), "{choices:?}");
}

#[tokio::test]
async fn a_wrong_setting_is_refused_beside_its_field() {
    let shop = Shop::new().await;
    let component = shop.component("expivi").await;
    let body = json!({ "component": component, "settings": { "viewer-tokn": "x" } });
    let problem = shop.integrator.put(&shop.path("/accounts/expivi"), &body).await.problem(422, "invalid");
    let fields: Vec<&str> =
        problem["issues"].as_array().expect("issues").iter().filter_map(|issue| issue["field"].as_str()).collect();
    assert!(fields.contains(&"viewer-tokn") && fields.contains(&"viewer-token"), "{fields:?}");
    shop.integrator.get(&shop.path("/accounts/expivi")).await.problem(404, "not-found");
}

#[tokio::test]
async fn links_go_out_and_in_as_json_and_as_a_table() {
    let (shop, _fake) = Shop::with_expivi().await;
    let before = shop.integrator.get(&shop.path("/product-links")).await.ok();
    assert_eq!(before["links"].as_array().map(Vec::len), Some(3), "{before:#}");
    shop.integrator.put(&shop.path("/product-links"), &before["links"]).await.ok();
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
    let table = shop.integrator.get(&shop.path("/product-links.csv")).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    for product in ["ring", "shirt", "wardrobe"] {
        shop.integrator.delete(&shop.path(&format!("/product-links/{product}"))).await.with(204);
    }
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok()["links"], json!([]));
    let put =
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &[("content-type", "text/csv")], table.body).await;
    assert_eq!(put.ok()["links"], 3);
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
    // A SKU may contain spaces, and the separators of columns and lists.
    let link = json!({ "account": "expivi", "vendor_product": "1002", "strategy": { "name": "variation" },
        "settings": { "sku-prefix": "SHIRT-" }, "allowed_skus": ["RING L", "RING XL", "a,b;c", "=1", " x "] });
    shop.integrator.put(&shop.path("/product-links/shirt"), &link).await.ok();
    let before = shop.integrator.get(&shop.path("/product-links")).await.ok();
    let table = shop.integrator.get(&shop.path("/product-links.csv")).await;
    shop.integrator
        .ask("PUT", &shop.path("/product-links.csv"), &[("content-type", "text/csv")], table.body)
        .await
        .ok();
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
}

#[tokio::test]
async fn a_table_with_a_mistake_changes_nothing_and_says_where_it_is() {
    let (shop, _fake) = Shop::with_expivi().await;
    let before = shop.integrator.get(&shop.path("/product-links")).await.ok();
    let table = "shop_product,account,vendor_product\nring,expivi,1002\nbed,nobody,1002\n";
    let headers = [("content-type", "text/csv")];
    let problem =
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, table).await.problem(422, "invalid");
    assert_eq!(problem["issues"][0]["field"], "bed.account", "{problem:#}");
    let table = "shop_product,account,vendor_product,settings\nring,expivi,1002,{}\nbed,expivi,1002,{no\n";
    let problem =
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, table).await.problem(422, "csv");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("line 3")), "{problem:#}");
    let table = "shop_product,account,vendor_product\nring,expivi,1002\nring,expivi,1003\n";
    let problem =
        shop.integrator.ask("PUT", &shop.path("/product-links.csv"), &headers, table).await.problem(422, "csv");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("lines 2 and 3")), "{problem:#}");
    let link =
        |vendor_product| json!({ "shop_product": "ring", "account": "expivi", "vendor_product": vendor_product });
    let problem = shop
        .integrator
        .put(&shop.path("/product-links"), &json!([link("1002"), link("1003")]))
        .await
        .problem(422, "links");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("links 1 and 2") && detail.contains("\"ring\""), "{problem:#}");
    assert_eq!(shop.integrator.get(&shop.path("/product-links")).await.ok(), before);
}

#[tokio::test]
async fn a_page_gets_its_embed_data_and_continues_from_a_line() {
    let (shop, _fake) = Shop::with_expivi().await;
    let page = shop.storefront.post(&shop.path("/products/ring/embed-data"), &json!({})).await.ok();
    assert!(page["scripts"].as_array().is_some_and(|scripts| !scripts.is_empty()), "{page:#}");
    let line = shop.cart().await.swap_remove(0);
    let again = shop.storefront.post(&shop.path("/products/ring/embed-data"), &json!({ "reopen": line })).await.ok();
    assert_ne!(page["start"], again["start"], "{again:#}");
    shop.storefront.post(&shop.path("/products/bed/embed-data"), &json!({})).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_vendor_that_cannot_reopen_says_so_and_starts_anew() {
    let (shop, fake) = Shop::with_twikit().await;
    let mut settings = shop.admin.get(&shop.path("/accounts/twikit")).await.ok()["settings"].clone();
    settings["script-url"] = json!(fake.script_url(1));
    shop.set_account("twikit", settings, local(fake.base_url())).await;
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 1, "lines": [] });
    let change = shop.storefront.post(&shop.path("/cart/add"), &body).await.ok();
    let line = &change["operations"][0]["lines"][0];
    let at = shop.path("/products/jewel/embed-data");
    shop.storefront.post(&at, &json!({ "reopen": line })).await.problem(422, "unsupported");
    let page = shop.storefront.post(&at, &json!({})).await.ok();
    assert_eq!(page["allowed_origins"][0]["uses"][0], "scripts", "{page:#}");
}

#[tokio::test]
async fn a_page_whose_origin_is_not_granted_names_the_grant() {
    let (shop, _fake) = Shop::with_twikit().await;
    let at = shop.path("/products/jewel/embed-data");
    let problem = shop.admin.post(&at, &json!({})).await.problem(422, "denied");
    assert_eq!(problem["help"], "grant it to the account: --grant scripts.twikit.example", "{problem:#}");
    // A shopper does not learn how the shop is set up.
    let problem = shop.storefront.post(&at, &json!({})).await.problem(422, "denied");
    assert!(!problem.to_string().contains("scripts.twikit.example"), "{problem:#}");
}

#[tokio::test]
async fn a_cart_is_filled_edited_checked_and_emptied() {
    let (shop, fake) = Shop::with_expivi().await;
    let mut cart = shop.cart().await;
    let ring: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let ring = fake.expected_price(&ring[0], None).expect("a price");
    let wardrobe = 3 * 2_450 + 4 * 320 + 4 * 15;
    assert_eq!(amounts(&cart), [ring, 2_495, wardrobe]);
    // The same product again.
    let body = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1, "lines": cart });
    let change = shop.change(&mut cart, "add", body).await;
    assert!(matches!(change.operations[..], [CartOperation::Update { .. }]), "{change:?}");
    assert!(!change.stages.is_empty(), "the platform's server sees how it came about");
    assert_eq!((cart[0].quantity, amounts(&cart)[0]), (2, 2 * ring));
    // An edit keeps quantity and position.
    let key = cart[0].key.clone();
    let other = samples::EXPIVI_SIMPLE.replace("Bob", "Alice");
    let body = json!({ "key": key, "product": "ring", "configuration": other, "lines": cart });
    shop.change(&mut cart, "edit", body).await;
    assert_ne!(cart[0].key, key);
    assert_eq!(cart[0].quantity, 2);
    let body = json!({ "key": key, "product": "ring", "configuration": other, "lines": cart });
    shop.backend.post(&shop.path("/cart/edit"), &body).await.problem(422, "no-line");
    // Another quantity.
    let body = json!({ "key": cart[1].key, "quantity": 3, "lines": cart });
    shop.change(&mut cart, "quantity", body).await;
    assert_eq!(amounts(&cart), [2 * ring, 3 * 2_495, wardrobe]);
    let body = json!({ "key": cart[1].key, "quantity": 0, "lines": cart });
    shop.backend.post(&shop.path("/cart/quantity"), &body).await.problem(422, "quantity");
    // Nothing changed.
    let body = json!({ "key": cart[2].key, "lines": cart });
    assert_eq!(shop.change(&mut cart, "refresh", body).await.operations, []);
    // A quote request leaves the cart unchanged.
    let body = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 50, "lines": cart });
    let change = shop.change(&mut cart, "quote", body).await;
    assert!(matches!(change.operations[..], [CartOperation::RequestQuote { .. }]), "{change:?}");
    let checks = shop.backend.post(&shop.path("/cart/check"), &json!({ "lines": cart })).await.ok();
    assert!(checks.as_array().is_some_and(|checks| checks.len() == 3), "{checks:#}");
    assert!(checks.as_array().expect("a list").iter().all(|check| check["state"]["state"] == "ok"), "{checks:#}");
    // The catalog changes while the cart is open.
    let dearer = json!({ "variants": [{
        "id": "variant-shirt-r-l", "product": "shirt", "sku": "SHIRT-R-L", "title": "Shirt", "purchasable": true,
        "prices": [{ "minor": 3_000, "scale": 2, "currency": "EUR" }],
    }] });
    shop.backend.put(&shop.path("/catalog"), &dearer).await.ok();
    let body = json!({ "key": cart[1].key, "lines": cart });
    shop.change(&mut cart, "refresh", body).await;
    assert_eq!(amounts(&cart)[1], 9_000);
    // Buying again uses the current price.
    let past = cart[1].clone();
    let mut empty = Vec::new();
    shop.change(&mut empty, "reorder", json!({ "ordered_line": past })).await;
    assert_eq!(amounts(&empty), [9_000]);
    // An anonymous cart is merged into a customer's.
    let body = json!({ "anonymous": cart, "customer": empty });
    let change = shop.change(&mut empty, "merge", body).await;
    assert!(change.warnings.is_empty(), "{change:?}");
    assert_eq!(amounts(&empty), [18_000, 2 * ring, wardrobe]);
    for at in (0..3).rev() {
        let top: Vec<&CartLine> = cart.iter().filter(|line| line.parent.is_none()).collect();
        let body = json!({ "key": top[at].key, "lines": cart });
        shop.change(&mut cart, "remove", body).await;
    }
    assert_eq!(cart, []);
}

#[tokio::test]
async fn a_paid_order_comes_to_expivi_and_its_print_file_back() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    let event = paid("1001", &cart);
    let reported = shop.backend.post(&shop.path("/events"), &event).await.ok();
    assert_eq!((&reported["new"], reported["jobs"].as_array().map(Vec::len)), (&json!(true), Some(2)), "{reported:#}");
    let again = shop.backend.post(&shop.path("/events"), &event).await.ok();
    assert_eq!(again, json!({ "new": false, "jobs": [] }));
    let order = shop.handled("1001").await;
    assert_eq!(order["order"]["released"], true);
    let page = shop.backend.get(&shop.path("/orders?search=100&limit=1")).await.ok();
    assert_eq!((&page["orders"][0]["id"], &page["after"]), (&json!("1001"), &json!("1001")), "{page:#}");
    assert_eq!(page["orders"][0]["known"]["lines"], 6, "{page:#}");
    assert!(!page.to_string().contains("Sample"), "a list contains a name or an address: {page:#}");
    let page = shop.backend.get(&shop.path("/orders?after=1001")).await.ok();
    assert_eq!(page, json!({ "orders": [], "after": null }));
    assert!(!fake.uploaded().is_empty(), "Expivi has its configurations");
    let outcomes = order["outcomes"].as_array().expect("outcomes");
    let document = outcomes.iter().find(|outcome| outcome["outcome"].to_string().contains("document"));
    let document = document.unwrap_or_else(|| panic!("{order:#}"));
    // A document URL needs no key, and a changed one is rejected.
    let link =
        shop.backend.ask("POST", &shop.path(&format!("/outcomes/{}/document-url", document["id"])), &[], "").await.ok();
    let url = link["url"].as_str().expect("a link").to_owned();
    let path = url.strip_prefix(&shop.server.node.base).expect("an address of this server");
    let anonymous = shop.server.node.anonymous();
    let file = anonymous.get(path).await;
    assert_eq!(file.status, 200, "{file:?}");
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(file.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    assert!(file.header("content-disposition").is_some_and(|text| text.starts_with("attachment")), "{file:?}");
    assert!(file.body.starts_with(b"%PDF"), "{file:?}");
    anonymous.get(&path.replacen("expires=", "expires=9", 1)).await.problem(403, "document-url");
    anonymous.get(&path.replacen(&shop.id, "another", 1)).await.problem(403, "document-url");
    let materials = shop.backend.get(&shop.path("/orders/1001/bill-of-materials")).await.ok();
    assert!(materials.to_string().contains("RING-GOLD-17"), "{materials:#}");
    let table = shop.backend.get(&shop.path("/orders/1001/bill-of-materials.csv")).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    let exported = shop.backend.get(&shop.path("/customers/ada@example.com/export")).await.ok();
    assert!(exported.to_string().contains("Sample Street 1"), "{exported:#}");
    let erased = shop.backend.delete(&shop.path("/customers/ada@example.com")).await.ok();
    assert_eq!(erased, json!({ "orders": 1 }));
    shop.backend.get(&shop.path("/orders/1001/export")).await.problem(410, "erased");
}

#[tokio::test]
async fn a_time_is_given_on_in_utc_however_it_was_sent() {
    let (shop, _fake) = Shop::with_expivi().await;
    let mut event = paid("1", &shop.cart().await.split_off(2));
    for (member, place) in [("at", &["at"][..]), ("placed_at", &["order", "placed_at"])] {
        for wrong in ["2024-06-19T15:22:45-04[America/New_York]", "2024-06-19T15:22:45Z[UTC]", "2024-06-19", "soon"] {
            let mut event = event.clone();
            place.iter().fold(&mut event, |value, name| &mut value[name]).clone_from(&json!(wrong));
            let problem = shop.backend.post(&shop.path("/events"), &event).await.problem(422, "body");
            assert!(problem["detail"].as_str().is_some_and(|text| text.contains(member)), "{problem:#}");
        }
    }
    event["at"] = json!("2024-06-19T15:22:45-04:00");
    event["order"]["placed_at"] = json!("2024-06-19T21:20:00+02:00");
    shop.backend.post(&shop.path("/events"), &event).await.ok();
    assert_eq!(shop.handled("1").await["order"]["placed_at"], "2024-06-19T19:20:00Z");
    let listed = shop.backend.get(&shop.path("/orders")).await.ok();
    assert_eq!(listed["orders"][0]["known"]["placed_at"], "2024-06-19T19:20:00Z");
    let exported = shop.backend.get(&shop.path("/orders/1/export")).await.ok().to_string();
    assert!(exported.contains("2024-06-19T19:22:45Z") && !exported.contains("-04:00"), "{exported}");
}

#[tokio::test]
async fn a_line_that_no_server_confirmed_waits_for_the_merchant() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await.split_off(2);
    let mut event = paid("1", &cart);
    event["order"]["lines"][0]["approved"] = json!(false);
    shop.backend.post(&shop.path("/events"), &event).await.ok();
    assert_eq!(shop.handled("1").await["order"]["lines"][0]["released"], false);
    assert!(fake.uploaded().is_empty());
    event["id"] = json!("1-approved");
    event["kind"] = json!("released");
    event["order"]["version"] = json!(2);
    event["order"]["lines"][0]["approved"] = json!(true);
    shop.backend.post(&shop.path("/events"), &event).await.ok();
    shop.handled("1").await;
    assert!(!fake.uploaded().is_empty());
}

#[tokio::test]
async fn jobs_are_listed_shown_cancelled_and_replayed() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await.split_off(2);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    let began = Instant::now();
    let job = loop {
        let page = shop.backend.get(&shop.path("/jobs?order=1&state=retrying")).await.ok();
        if let Some(job) = page["jobs"].as_array().expect("jobs").first() {
            break job.clone();
        }
        let all = shop.backend.get(&shop.path("/orders/1")).await.ok();
        assert!(began.elapsed() < Duration::from_secs(10), "{all:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(job["due_at"].is_string(), "{job:#}");
    let id = job["id"].as_str().expect("an id").to_owned();
    let at = shop.path(&format!("/jobs/{id}"));
    let shown = shop.backend.get(&at).await.ok();
    assert!(shown["reason"]["text"].as_str().is_some_and(|text| text.contains("503")), "{shown:#}");
    assert!(!shown.to_string().contains("Sample Street"), "a journal is shown without bodies: {shown:#}");
    // Another shop does not have the job.
    let other = Shop::new().await;
    other.backend.get(&other.path(&format!("/jobs/{id}"))).await.problem(404, "not-found");
    let stolen = other.backend.ask("POST", &other.path(&format!("/jobs/{id}/cancel")), &[], "").await;
    stolen.problem(404, "not-found");
    shop.backend.ask("POST", &format!("{at}/cancel"), &[], "").await.with(204);
    // Its next run is notified, and may clean up.
    while shop.backend.get(&at).await.ok()["state"] != "cancelled" {
        assert!(began.elapsed() < Duration::from_secs(30), "{:#}", shop.backend.get(&at).await.ok());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fake.faults().clear();
    shop.backend.post(&format!("{at}/retry"), &json!({ "from": "start" })).await.with(204);
    shop.handled("1").await;
    assert_eq!(fake.uploaded().len(), 1);
    shop.backend.get(&shop.path("/jobs?state=lost")).await.problem(422, "state");
}

#[tokio::test]
async fn twikit_sends_its_queries_and_deliveries_to_its_webhook_urls() {
    let (shop, fake) = Shop::with_twikit().await;
    let made = async |endpoint: &str| {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
        made["url"].as_str().map(str::to_owned)
    };
    fake.set_webhooks(Webhooks {
        payment_verification: made("payment-verification").await,
        production_completed: made("production-completion").await,
        order_completed: made("order-completion").await,
        website_published: made("website-publication").await,
    });
    let body = json!({ "account": "twikit", "endpoint": "no-such" });
    shop.integrator.post(&shop.path("/webhook-urls"), &body).await.problem(422, "endpoint");
    let mut cart = Vec::new();
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 2, "lines": [] });
    shop.change(&mut cart, "add", body).await;
    assert_eq!(amounts(&cart), [9_800]);
    shop.backend.post(&shop.path("/events"), &paid("2001", &cart)).await.ok();
    let order = shop.handled("2001").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    let webhooks = fake.sent_webhooks();
    assert_eq!(webhooks.len(), 1, "{webhooks:?}");
    assert_eq!((webhooks[0].webhook, &webhooks[0].answer["success"]), (Webhook::PaymentVerification, &json!(true)));
    let shipped = fake.order_completed(&reference, "https://track.example/1", "T-1").await.expect("an order");
    assert!(shipped.accepted(), "{shipped:?}");
    let order = shop.backend.get(&shop.path("/orders/2001")).await.ok();
    assert!(order["outcomes"].to_string().contains("https://track.example/1"), "{order:#}");
    // A deactivated URL accepts no webhooks, and a forged one never did.
    let addresses = shop.integrator.get(&shop.path("/webhook-urls")).await.ok();
    assert!(!addresses.to_string().contains("/webhooks/"), "an address is shown once: {addresses:#}");
    for address in addresses["addresses"].as_array().expect("a list") {
        let id = address["id"].as_str().expect("an id");
        shop.integrator.delete(&shop.path(&format!("/webhook-urls/{id}"))).await.with(204);
    }
    let late = fake.order_completed(&reference, "https://track.example/2", "T-2").await.expect("an order");
    assert!(!late.accepted(), "{late:?}");
    let forged = shop.server.node.anonymous().post("/webhooks/00000000000000000000000000000000", &json!({})).await;
    assert!(matches!(forged.status, 401 | 403 | 404), "{forged:?}");
}

#[tokio::test]
async fn the_audit_log_names_actors_and_changes_with_secrets_masked() {
    let (shop, _fake) = Shop::with_expivi().await;
    let log = shop.integrator.get(&shop.path("/audit-log")).await.ok();
    let entries = log["entries"].as_array().expect("entries");
    let account = entries.iter().find(|entry| entry["action"] == "add-account").expect("an entry");
    assert_eq!((&account["subject"], &account["shop"]), (&json!("expivi"), &json!(shop.id)));
    assert!(account["actor"].as_str().is_some_and(|actor| actor.starts_with("test (")), "{account:#}");
    assert_eq!(account["after"]["settings"]["viewer-token"], "viewer-token", "{account:#}");
    assert!(!log.to_string().contains("\"server-token\":\"server-token\""), "{log:#}");
    shop.integrator.get("/v1/audit-log").await.problem(403, "role");
    assert!(shop.admin.get("/v1/audit-log?limit=1").await.ok()["before"].is_i64());
}

#[tokio::test]
async fn the_script_of_a_page_is_a_few_kilobytes() {
    let server = Server::shared();
    let anonymous = server.node.anonymous();
    let sent = anonymous.ask("GET", "/cartwright.js", &[("accept-encoding", "gzip")], "").await;
    assert_eq!((sent.status, sent.header("content-encoding")), (200, Some("gzip")));
    assert!((1..7 * 1024).contains(&sent.body.len()), "{} bytes", sent.body.len());
    let plain = anonymous.get("/cartwright.js").await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
}
