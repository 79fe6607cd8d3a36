//! Observability of a node: metrics, calls of plugins, the plugin log, log lines with request ids.

use std::time::Duration;

use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Folder, Node, Server};
use crate::shop::{Shop, paid};

/// Returns the sum of the metric's samples with all of these labels.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let of = |line: &&str| line.split(['{', ' ']).next() == Some(name);
    let samples = metrics.lines().filter(of).filter(|line| labels.iter().all(|label| line.contains(label)));
    samples.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}

#[tokio::test]
async fn metrics_are_served_at_an_address_of_their_own_and_nowhere_else() {
    let mut server = Server::new(&["--metrics-listen", "127.0.0.1:0"]);
    let line = server.node.says();
    let url = line.strip_prefix("metrics at ").and_then(|url| url.strip_suffix("/metrics")).expect("an address");
    let scraper = Client { base: url.to_owned(), key: None };
    let shop = Shop::on(std::sync::Arc::new(server)).await;
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &crate::shop::links()).await.ok();
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    let order = shop.handled("1").await;
    shop.storefront.post(&shop.path("/cart/add"), &json!({ "product": "no", "quantity": 1 })).await;
    shop.admin.get("/metrics").await.problem(404, "not-found");
    let scraped = scraper.get("/metrics").await;
    assert_eq!(scraped.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let metrics = String::from_utf8(scraped.body.to_vec()).expect("UTF-8");
    let sum = |name: &str, labels: &[&str]| sum(&metrics, name, labels);
    let decoded = ["plugin=\"expivi\"", "hook=\"configuration.decode\""];
    assert_eq!(sum("cartwright_guest_calls_total", &[&decoded[..], &["outcome=\"answered\""]].concat()), 3.0);
    assert_eq!(sum("cartwright_guest_call_duration_seconds_count", &decoded), 3.0);
    let added = ["method=\"POST\"", "route=\"/v1/shops/{shop}/cart/add\""];
    assert_eq!(sum("cartwright_http_requests_total", &[&added[..], &["status=\"200\""]].concat()), 3.0);
    assert_eq!(sum("cartwright_http_request_duration_seconds_count", &added), 4.0);
    assert_eq!(sum("cartwright_http_requests_total", &["route=\"none\"", "status=\"404\""]), 1.0);
    let done = order["jobs"].as_array().expect("a list").len();
    assert_eq!(sum("cartwright_job_runs_total", &["plugin=\"expivi\"", "end=\"done\""]), done as f64);
    assert!(sum("cartwright_vendor_requests_total", &["plugin=\"expivi\"", "outcome=\"2xx\""]) >= 3.0, "{metrics}");
    assert_eq!(sum("cartwright_jobs", &["state=\"stopped\""]), 0.0);
    assert_eq!(sum("cartwright_database_up", &[]), 1.0);
    assert_eq!(sum("cartwright_http_connections_limit", &[]), 768.0);
    assert!(
        sum("cartwright_http_connections", &[]) <= 768.0 && sum("cartwright_http_request_bodies_bytes", &[]) >= 0.0
    );
    assert_eq!(sum("cartwright_build_info", &[env!("CARGO_PKG_VERSION")]), 1.0);
    assert!(!metrics.contains(&shop.id), "no label grows with the shops: {metrics}");
}

#[tokio::test]
async fn an_admin_reads_call_statistics_of_all_shops_and_an_integrator_of_its_own() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (other, _other) = Shop::with_expivi().await;
    for shop in [&shop, &other] {
        let body = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1 });
        shop.storefront.post(&shop.path("/cart/add"), &body).await.ok();
    }
    let shops = |page: &Value| {
        let page = page.as_array().expect("a list").iter();
        page.map(|series| series["shop"].as_str().expect("a shop").to_owned()).collect::<Vec<_>>()
    };
    let all = shop.admin.get("/v1/plugin-calls?plugin=expivi").await.ok();
    assert!(shops(&all).contains(&shop.id) && shops(&all).contains(&other.id), "{all:#}");
    assert!(shops(&shop.admin.get("/v1/plugin-calls?plugin=nobody").await.ok()).is_empty());
    let own = shop.integrator.get("/v1/plugin-calls").await.ok();
    assert_eq!(shops(&own), [shop.id.as_str()]);
    let series = &own[0];
    assert_eq!((&series["plugin"], &series["last_hour"]["errors"]), (&json!("expivi"), &json!(0)), "{own:#}");
    let calls = |count: &Value| count["calls"].as_u64().expect("a number");
    let minutes: u64 = series["minutes"].as_array().expect("a list").iter().map(calls).sum();
    assert!(minutes >= 3 && calls(&series["last_hour"]) == minutes, "{own:#}");
    assert!(series["last_hour"]["p50_ms"].as_u64() <= series["last_hour"]["p95_ms"].as_u64(), "{own:#}");
    shop.integrator.get(&format!("/v1/plugin-calls?shop={}", other.id)).await.problem(404, "not-found");
    for client in [&shop.backend, &shop.storefront] {
        client.get("/v1/plugin-calls").await.problem(403, "role");
    }
}

#[tokio::test]
async fn guests_logs_are_their_shops() {
    let (shop, _fake) = Shop::with_expivi().await;
    let (other, _others) = Shop::with_expivi().await;
    let wasm = [("content-type", "application/wasm")];
    let sent = shop.admin.ask("POST", "/v1/plugins", &wasm, cartwright_test_guests::HOSTILE).await.with(201);
    for shop in [&shop, &other] {
        let account = json!({ "component": sent["digest"] });
        shop.integrator.put(&shop.path("/accounts/hostile"), &account).await.ok();
    }
    // The plugin logs that a product is sold out, and rejects it.
    let loud = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1,
        "strategy": { "account": "hostile", "name": "loud-refusal" } });
    shop.backend.post(&shop.path("/cart/add"), &loud).await.problem(422, "rejected");
    let lines = async |shop: &Shop, which: &str| {
        let page = shop.integrator.get(&shop.path(&format!("/plugin-logs{which}"))).await.ok();
        page.as_array().expect("a list").clone()
    };
    for which in ["", "?plugin=hostile", "?level=warn", "?plugin=hostile&level=debug"] {
        let page = lines(&shop, which).await;
        assert_eq!(page.len(), 1, "{which}: {page:#?}");
        assert_eq!((&page[0]["text"], &page[0]["plugin"]), (&json!("it is sold out"), &json!("hostile")), "{page:#?}");
    }
    for which in ["?plugin=expivi", "?level=error"] {
        assert_eq!(lines(&shop, which).await, Vec::<Value>::new(), "{which}");
    }
    assert_eq!(lines(&other, "").await, Vec::<Value>::new(), "it is another shop's");
    shop.integrator.get(&other.path("/plugin-logs")).await.problem(404, "not-found");
    other.integrator.get(&shop.path("/plugin-logs")).await.problem(404, "not-found");
    shop.backend.get(&shop.path("/plugin-logs")).await.problem(403, "role");
    shop.admin.get("/v1/shops/nowhere/plugin-logs").await.problem(404, "not-found");
    shop.integrator.get(&shop.path("/plugin-logs?level=loud")).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_line_that_is_logged_has_the_id_of_its_request() {
    let folder = Folder::new();
    let variables = [("CARTWRIGHT_LOG", "cartwright=info"), ("CARTWRIGHT_LOG_FORMAT", "json")];
    let node = Node::start_with(&folder, &[], &variables);
    let wrong = node.client(&format!("cw_admin_{}_{}", "0".repeat(16), "0".repeat(48)));
    let refused = wrong.get("/v1/shops/rings/customers/ada@example.com/export").await;
    assert_eq!(refused.status, 401);
    let id = refused.header("x-request-id").expect("an id").to_owned();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let log = folder.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = lines.iter().find(|line| line["fields"]["message"] == "request refused");
    let line = line.unwrap_or_else(|| panic!("{log}"));
    let request = &line["spans"][0];
    assert_eq!((&request["name"], &request["id"]), (&json!("request"), &json!(id)), "{line:#}");
    assert!(!log.contains("ada@example.com"), "{log}");
}
