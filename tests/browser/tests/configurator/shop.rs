//! A shop of static pages: each consists of embed data and cartwright.js alone, under a Content-Security-Policy that
//! allows this shop's own files and the origins in the embed data, and nothing inline.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cartwright_test_browser::Browser;
use serde_json::{Value, json};
use tokio::sync::Notify;

const CARTWRIGHT: &str = include_str!("../../../../host/http/assets/cartwright.js");

const UMD: &str = include_str!("../../assets/umd.js");

/// The shop.
pub struct Shop {
    base: String,
    state: Arc<ShopState>,
}

#[derive(Default)]
struct ShopState {
    pages: Mutex<BTreeMap<String, Value>>,
    saved: Mutex<Vec<Vec<u8>>>,
    release: Notify,
}

impl Shop {
    pub async fn open() -> Self {
        let state = Arc::new(ShopState::default());
        let file = |kind: &'static str, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text));
        let router = Router::new()
            .route("/cartwright.js", file("text/javascript", CARTWRIGHT))
            .route("/page.js", file("text/javascript", include_str!("../../assets/page.js")))
            .route("/page.css", file("text/css", include_str!("../../assets/page.css")))
            .route("/vendor.js", file("text/javascript", include_str!("../../assets/vendor.js")))
            .route("/loader.js", file("text/javascript", include_str!("../../assets/loader.js")))
            .route("/umd.js", file("text/javascript", UMD))
            .route("/held-umd.js", get(blocked_script))
            .route("/release", post(async |State(state): State<Arc<ShopState>>| state.release.notify_one()))
            .route("/module-of-page.js", file("text/javascript", include_str!("../../assets/module-of-page.js")))
            .route("/module.js", file("text/javascript", include_str!("../../assets/module.js")))
            .route("/frame.html", file("text/html", include_str!("../../assets/frame.html")))
            .route("/frame.js", file("text/javascript", include_str!("../../assets/frame.js")))
            .route("/favicon.ico", get(async || axum::http::StatusCode::NO_CONTENT))
            .route("/saved", post(save))
            .route("/{name}", get(page))
            .route("/{name}/embed", get(embed))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, state }
    }

    /// Returns its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Creates a page and opens it.
    pub async fn show(&self, browser: &Browser, name: &str, embed: Value) {
        self.show_within(browser, name, embed, 30_000).await;
    }

    /// Creates a page with this configurator timeout in milliseconds, and opens it.
    pub async fn show_within(&self, browser: &Browser, name: &str, embed: Value, limit: u32) {
        self.state.pages.lock().expect("the pages").insert(name.to_owned(), embed);
        browser.visit(&format!("{}/{name}?limit={limit}", self.base)).await;
    }

    /// Puts the configuration into the cart, and returns the bytes that the page sent.
    pub async fn buy(&self, browser: &Browser) -> Vec<u8> {
        browser.click("#add").await;
        browser.until("document.body.dataset.saved || document.body.dataset.fault").await;
        assert_eq!(browser.text("#message").await, "It is in your cart.");
        self.saved()
    }

    /// Returns the bytes that a page sent last.
    pub fn saved(&self) -> Vec<u8> {
        self.state.saved.lock().expect("what was saved").pop().expect("a payload")
    }

    /// Returns the number of requests without a purchase.
    pub fn unsaved(&self) -> usize {
        self.state.saved.lock().expect("what was saved").len()
    }
}

/// Serves a script whose response waits for a request of `/release`.
async fn blocked_script(State(state): State<Arc<ShopState>>) -> Response {
    state.release.notified().await;
    ([(CONTENT_TYPE, "text/javascript")], UMD).into_response()
}

async fn save(State(state): State<Arc<ShopState>>, body: Bytes) {
    state.saved.lock().expect("what was saved").push(body.to_vec());
}

async fn embed(State(state): State<Arc<ShopState>>, Path(name): Path<String>) -> Json<Value> {
    let pages = state.pages.lock().expect("the pages");
    let title = format!("{}{}", name[..1].to_uppercase(), name[1..].replace('-', " "));
    Json(json!({ "title": title, "embed": pages[&name] }))
}

async fn page(State(state): State<Arc<ShopState>>, Path(name): Path<String>) -> Response {
    let (origins, loader) = match state.pages.lock().expect("the pages").get(&name) {
        Some(embed) => (embed["allowed_origins"].as_array().expect("origins").clone(), embed["loader"] == true),
        None => return axum::http::StatusCode::NOT_FOUND.into_response(),
    };
    let with_use = |needed: &str| -> String {
        let allows = |origin: &&Value| origin["uses"].as_array().expect("uses").iter().any(|one| one == needed);
        origins.iter().filter(allows).map(|origin| format!(" {}", origin["origin"].as_str().expect("text"))).collect()
    };
    let directives = [
        ("script-src", "scripts"),
        ("style-src", "styles"),
        ("img-src", "images"),
        ("media-src", "images"),
        ("connect-src", "connections"),
        ("frame-src", "frames"),
        ("font-src", "fonts"),
    ];
    let rules: Vec<String> = directives.map(|(name, needed)| format!("{name} 'self'{}", with_use(needed))).into();
    let policy = format!("default-src 'none'; base-uri 'none'; {}", rules.join("; "));
    let headers = [(CONTENT_SECURITY_POLICY, policy), (CONTENT_TYPE, "text/html; charset=utf-8".to_owned())];
    let page = include_str!("../../assets/page.html");
    let before = "<script src=\"/cartwright.js\"";
    let page = page
        .replace(before, &format!("{}{before}", if loader { "<script src=\"/loader.js\"></script>\n" } else { "" }));
    (headers, page).into_response()
}
