//! `cartwright handle`: tries an order hook on an order without a shop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::languages::built;
use crate::{CommandResult, cartwright};

/// Starts an ERP system that has made an order at the second query, and returns its URL.
async fn erp(accepts: StatusCode) -> String {
    let queries = Arc::new(AtomicUsize::new(0));
    let tell = move || {
        let state = if queries.fetch_add(1, Ordering::SeqCst) == 0 { "queued" } else { "done" };
        async move { json!({ "state": state }).to_string() }
    };
    let accept = move || async move { (accepts, json!({ "reference": "ERP-7" }).to_string()) };
    let router = Router::new().route("/orders", post(accept)).route("/orders/{reference}", get(tell));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/orders")
}

fn sample() -> Value {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/order-hook/order.json");
    serde_json::from_slice(&std::fs::read(sample).expect("the sample")).expect("JSON")
}

/// Sends the sample's order to the sample's hook, which is set up for this URL.
async fn order(url: &str, further: &[&str]) -> CommandResult {
    hand(&sample(), url, further).await
}

/// Sends another order.
async fn hand(order: &Value, url: &str, further: &[&str]) -> CommandResult {
    let folder = TempDir::new().expect("a folder");
    let sample = folder.path().join("order.json");
    std::fs::write(&sample, order.to_string()).expect("a file");
    let settings = folder.path().join("settings.json");
    std::fs::write(&settings, json!({ "url": url, "token": "t0ken" }).to_string()).expect("a file");
    let mut arguments: Vec<String> =
        vec!["handle".to_owned(), "--plugin".to_owned(), built("order-hook").expect("a guest")];
    for (flag, file) in [("--settings", &settings), ("--order", &sample)] {
        arguments.extend([flag.to_owned(), file.to_str().expect("UTF-8").to_owned()]);
    }
    arguments.extend(further.iter().map(|&argument| argument.to_owned()));
    tokio::task::spawn_blocking(move || {
        let _until_it_has_run = folder;
        cartwright(arguments)
    })
    .await
    .expect("it ran")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_handed_over_and_waited_for_on_a_simulated_clock() {
    let url = erp(StatusCode::OK).await;
    let text = order("https://erp.example/orders", &["--vendor-url", &url, "--explain"]).await.succeeded();
    for line in [
        "       0 s  order-book.bill-of-materials made-up:shop:1001:1: ".to_owned(),
        format!("       0 s  http.send POST {url}\n"),
        "       0 s    answered 200 ".to_owned(),
        "       0 s  says vendor-reference ".to_owned(),
        format!("      60 s  http.send GET {url}/ERP-7\n"),
        "     120 s  says production ".to_owned(),
        "\n\nvendor-reference {\"line\":null,\"reference\":\"ERP-7\"}\n".to_owned(),
        "skipped 2 waits of 120 s in total on a simulated clock\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(!text.contains("t0ken"), "a secret is shown: {text}");
    let url = erp(StatusCode::OK).await;
    let whole = order(&url, &["--vendor-url", &url, "--json"]).await.json();
    assert_eq!(whole["outcomes"][0]["vendor-reference"]["reference"], "ERP-7", "{whole:#}");
    assert_eq!(whole["skipped_seconds"], json!([60, 60]), "{whole:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reached_that_was_not_granted_and_the_flag_is_named() {
    let url = erp(StatusCode::OK).await;
    let host = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/orders")).expect("a host");
    let mut granted: Vec<String> = Vec::new();
    for missing in [host.to_owned(), format!("http://{host}"), "127.0.0.1/32".to_owned()] {
        let flags: Vec<&str> = granted.iter().flat_map(|grant| ["--grant", grant]).collect();
        let error = order(&url, &flags).await.typed_error();
        assert_eq!(error["detail"]["hook"], "orders.handle", "{error:#}");
        assert_eq!(error["help"], format!("to allow it here, add: --grant {missing}"), "{error:#}");
        granted.push(missing);
    }
    let flags: Vec<&str> = granted.iter().flat_map(|grant| ["--grant", grant]).collect();
    order(&url, &flags).await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_shows_its_journal_and_its_error() {
    let url = erp(StatusCode::SERVICE_UNAVAILABLE).await;
    let (out, err) = order(&url, &["--vendor-url", &url, "--explain"]).await.failed_after();
    assert!(out.contains("http.send POST") && out.contains("answered 503"), "{out}");
    let error: Value = serde_json::from_str(&err).expect("a typed error");
    assert_eq!(error["error"], "hook", "{error:#}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("unavailable")), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_hook_ignores_comes_to_nothing_and_an_unknown_one_is_refused() {
    let text = order("https://erp.example/orders", &["--event", "paid"]).await.succeeded();
    assert_eq!(text, "no outcomes\n");
    let run = order("https://erp.example/orders", &["--event", "payed"]).await;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("partly-paid") && run.err.contains("released"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_says_more_is_refused_alone_with_an_example_that_is_taken() {
    for kind in ["refunded", "fulfilled", "forwarded", "other"] {
        let run = order("https://erp.example/orders", &["--event", kind]).await;
        assert_eq!(run.code, Some(2), "{run:?}");
        let example = run.err.split("for example: --event '").nth(1).and_then(|rest| rest.split_once("'\n"));
        let (example, _) = example.unwrap_or_else(|| panic!("{kind}: no example: {run:?}"));
        let run = order("https://erp.example/orders", &["--event", example]).await;
        assert_ne!(run.code, Some(2), "{example}: {run:?}");
    }
    let misspelt = r#"forwarded={"name":"erp.made","json":"{}","jason":"{}"}"#;
    let run = order("https://erp.example/orders", &["--event", misspelt]).await;
    assert!(run.code == Some(2) && run.err.contains("unknown member forwarded.jason"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_no_order_has_are_refused_by_their_path() {
    let mut misspelt = sample();
    misspelt["vendor-reference"] = json!("V-1");
    misspelt["lines"][0]["cart_line"]["quantitty"] = json!(3);
    let run = hand(&misspelt, "https://erp.example/orders", &["--event", "paid"]).await;
    let error = run.typed_error();
    let text = error.to_string();
    assert!(text.contains("unknown member lines[0].cart_line.quantitty, vendor-reference"), "{error:#}");
}
