//! How often somebody may ask, and guess.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Answer as _;
use crate::server::{Folder, Node, Server};

const PLUGINS: &str = "/v1/plugins";

#[tokio::test]
async fn who_guesses_keys_is_refused_unheard_and_nobody_else_is() {
    let server = Server::new(&["--wrong-keys-per-minute", "5", "--proxies", "127.0.0.0/8"]);
    let fresh = server.admin.post("/v1/keys", &json!({ "role": { "role": "backend" }, "label": "x" })).await.with(201);
    let fresh = server.node.client(fresh["key"].as_str().expect("a key"));
    let wrong = server.node.client(&format!("cw_admin_{}_{}", "0".repeat(16), "0".repeat(64)));
    for _ in 0..5 {
        wrong.get(PLUGINS).await.problem(401, "access");
    }
    let refused = wrong.get(PLUGINS).await;
    let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a time to wait");
    assert!((1..=60).contains(&wait), "{refused:?}");
    refused.problem(429, "too-many");
    // Even a right guess is not told from a wrong one now; whoever's key held here before goes on.
    fresh.get(PLUGINS).await.problem(429, "too-many");
    assert_eq!(server.admin.get(PLUGINS).await.status, 200);
    assert_eq!(server.node.nobody().get("/health/live").await.status, 200);
    // Elsewhere nobody guessed. The proxy's word counts, and what stands before it does not.
    let elsewhere = [("x-forwarded-for", "198.51.100.7")];
    assert_eq!(fresh.ask("GET", PLUGINS, &elsewhere, "").await.status, 200);
    for name in 0..8 {
        let pretends = format!("203.0.113.{name}, 192.0.2.1");
        let reply = wrong.ask("GET", PLUGINS, &[("x-forwarded-for", &pretends)], "").await;
        assert_eq!(reply.status, if name < 5 { 401 } else { 429 }, "{pretends}");
    }
}

#[tokio::test]
async fn who_guesses_keys_at_the_log_in_waits_whether_the_guess_is_right_or_not() {
    let server = Server::new(&["--wrong-keys-per-minute", "5", "--proxies", "127.0.0.0/8"]);
    let integrator = json!({ "role": "integrator", "shop": "rings" });
    server.admin.put("/v1/shops/rings", &json!({ "currency": "EUR", "scale": 2 })).await.ok();
    let fresh = server.somebody(integrator).await.key.expect("a key");
    let nobody = server.node.nobody();
    let sign_in = async |key: &str, from: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", from)];
        nobody.ask("POST", "/admin/sign-in", &headers, format!("key={key}")).await
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
    // What is guessed here and what is guessed over HTTP counts together, as the same key opens both.
    let bearer = server.node.client(&fresh);
    bearer.ask("GET", PLUGINS, &[("x-forwarded-for", "192.0.2.1")], "").await.problem(429, "too-many");
    // Elsewhere nobody guessed; and whoever has signed in there once is let in here, too.
    assert_eq!(sign_in(&fresh, "198.51.100.7").await.status, 303);
    assert_eq!(sign_in(&fresh, "192.0.2.1").await.status, 303);
}

#[tokio::test]
async fn a_key_asks_so_often_in_a_second_and_others_are_not_held_up() {
    let folder = Folder::new();
    let (admin, other) = (folder.admin_key(), folder.admin_key());
    let node = Node::start(&folder, &["--requests-per-second", "5"]);
    let (admin, other) = (node.client(&admin), node.client(&other));
    let began = Instant::now();
    let mut refused = None;
    while refused.is_none() && began.elapsed() < Duration::from_secs(10) {
        refused = Some(admin.get(PLUGINS).await).filter(|reply| reply.status != 200);
    }
    let refused = refused.expect("somebody is refused");
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.problem(429, "too-many");
    assert_eq!(other.get(PLUGINS).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(admin.get(PLUGINS).await.status, 200);
}
