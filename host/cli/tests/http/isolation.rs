//! Isolation of shops: another shop's resources do not exist for a caller, even under the caller's own shop.

use cartwright_fake_vendors::samples;
use cartwright_fake_vendors::twikit::Webhooks;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::ReplyAssertions as _;
use crate::audit::{give_up, until};
use crate::server::Server;
use crate::shop::{Shop, links, local, paid};

/// Returns a shop with a resource of each kind, on its own server.
async fn full(server: &Arc<Server>) -> (Shop, Vec<Box<dyn std::any::Any>>) {
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let (expivi, twikit) = (shop.expivi().await, shop.twikit().await);
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    // A URL without a listener.
    let unreachable_url = json!({ "url": "http://127.0.0.1:9/", "grants": local("http://127.0.0.1:9") });
    shop.admin.put(&shop.path("/notification-endpoint"), &unreachable_url).await.ok();
    let made = async |endpoint: &str| {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
        made["url"].as_str().map(str::to_owned)
    };
    twikit.set_webhooks(Webhooks {
        payment_verification: made("payment-verification").await,
        production_completed: made("production-completion").await,
        website_published: made("website-publication").await,
        ..Webhooks::default()
    });
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    shop.handled("1").await;
    let mut cart = Vec::new();
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 2, "lines": [] });
    shop.change(&mut cart, "add", body).await;
    shop.backend.post(&shop.path("/events"), &paid("2", &cart)).await.ok();
    let order = shop.handled("2").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    twikit.production_completed(&reference, "", false, "T-1").await.expect("an order");
    twikit.website_published("https://elsewhere.example/1.js", &["diamond-letter-jewel"]).await;
    let quote_request = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 5 });
    let quote_request = shop.backend.post(&shop.path("/cart/quote"), &quote_request).await.ok();
    let quote = json!({ "id": "q1", "lines": quote_request["operations"][0]["lines"] });
    shop.backend.post(&shop.path("/quotes"), &quote).await.with(201);
    shop.handled("~quotation-q1").await;
    (shop, vec![Box::new(expivi), Box::new(twikit)])
}

/// Returns the first matching element of a list.
async fn first(shop: &Shop, path: &str, list: &str, matches: impl Fn(&Value) -> bool) -> Value {
    until(async || {
        let found = shop.admin.get(&shop.path(path)).await.ok();
        found[list].as_array().expect("a list").iter().find(|one| matches(one)).cloned()
    })
    .await
}

#[tokio::test]
async fn resources_of_another_shop_are_not_found_under_this_shops_path() {
    let server = Arc::new(Server::new(&[]));
    let (shop, _fakes) = full(&server).await;
    let other = Shop::on(server).await;
    other.sell().await;
    let _fakes = (other.expivi().await, other.twikit().await);
    give_up(&shop).await;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let open_outcome = first(&shop, "/orders/2", "outcomes", |outcome| outcome["needs_attention"] == true).await;
    let document = |outcome: &Value| outcome["outcome"].to_string().contains("\"document\"");
    let document = text(&first(&shop, "/orders/1", "outcomes", document).await["id"]);
    let dead = text(&first(&shop, "/notifications", "notifications", |one| one["is_retrying"] == false).await["id"]);
    let pushed = text(&first(&shop, "/pushed-settings", "pushed", |_| true).await["id"]);
    let address = text(&first(&shop, "/webhook-urls", "addresses", |one| one["expires_at"].is_null()).await["id"]);
    let job = text(&first(&shop, "/jobs", "jobs", |_| true).await["id"]);
    let key = shop.backend.key.as_deref().and_then(|key| key.split('_').nth(2)).expect("an id").to_owned();
    let open_outcome = text(&open_outcome["id"]);
    let state = async || {
        let mut state = Vec::new();
        for path in ["/orders/1", "/orders/2", "/quotes/q1", "/pushed-settings", "/webhook-urls", "/notifications"] {
            state.push(shop.admin.get(&shop.path(path)).await.ok());
        }
        state
    };
    let before = state().await;
    let offer = json!({ "prices": [], "valid_until": (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string() });
    let lines = json!({ "lines": [] });
    let from = json!({ "from": "start" });
    let nothing = Value::Null;
    let backends: [(&str, String, &Value); 17] = [
        ("POST", format!("/outcomes/{open_outcome}/resolve"), &nothing),
        ("POST", format!("/outcomes/{document}/document-url"), &nothing),
        ("GET", "/orders/1".to_owned(), &nothing),
        ("GET", "/orders/1/export".to_owned(), &nothing),
        ("GET", "/orders/1/bill-of-materials".to_owned(), &nothing),
        ("GET", "/orders/1/bill-of-materials.csv".to_owned(), &nothing),
        ("POST", "/orders/1/close".to_owned(), &nothing),
        ("DELETE", "/orders/1?drop_jobs=true".to_owned(), &nothing),
        ("GET", "/orders/~quotation-q1".to_owned(), &nothing),
        ("GET", "/quotes/q1".to_owned(), &nothing),
        ("POST", "/quotes/q1/offer".to_owned(), &offer),
        ("POST", "/quotes/q1/withdraw".to_owned(), &nothing),
        ("POST", "/quotes/q1/accept".to_owned(), &lines),
        ("POST", format!("/notifications/{dead}/retry"), &nothing),
        ("GET", format!("/jobs/{job}"), &nothing),
        ("POST", format!("/jobs/{job}/retry"), &from),
        ("POST", format!("/jobs/{job}/cancel"), &nothing),
    ];
    let integrators = [
        ("DELETE", format!("/webhook-urls/{address}"), &nothing),
        ("POST", format!("/pushed-settings/{pushed}/approve"), &nothing),
        ("POST", format!("/pushed-settings/{pushed}/reject"), &nothing),
    ];
    for (somebody, asked) in [(&other.backend, &backends[..]), (&other.integrator, &integrators)] {
        for (method, path, body) in asked {
            for client in [somebody, &other.admin] {
                client.send(method, &other.path(path), &[], body).await.problem(404, "not-found");
            }
        }
    }
    // A customer belongs to the shop of the orders: without orders there, nothing is exported or erased.
    let exported = other.backend.get(&other.path("/customers/ada@example.com/export")).await.ok();
    assert!(!exported.to_string().contains("Sample Street"), "{exported:#}");
    assert_eq!(other.backend.delete(&other.path("/customers/ada@example.com")).await.ok(), json!({ "orders": 0 }));
    // A document URL belongs to its shop.
    let link = shop.backend.ask("POST", &shop.path(&format!("/outcomes/{document}/document-url")), &[], "").await.ok();
    let path =
        link["url"].as_str().and_then(|url| url.strip_prefix(&shop.server.node.base)).expect("a path").to_owned();
    let anonymous = shop.server.node.anonymous();
    anonymous
        .get(&path.replacen(&format!("/{}/", shop.id), &format!("/{}/", other.id), 1))
        .await
        .problem(403, "document-url");
    assert_eq!(anonymous.get(&path).await.status, 200);
    // Access keys are for admins.
    for client in [&other.backend, &other.integrator, &other.storefront, &shop.backend, &shop.integrator] {
        client.delete(&format!("/v1/access-keys/{key}")).await.problem(403, "role");
        client.post(&format!("/v1/access-keys/{key}/rotate"), &json!({})).await.problem(403, "role");
    }
    assert_eq!(state().await, before);
}
