//! Requests with secrets: how each is sent, what it is refused for, and that no response reveals it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::{AccountSetup, Blobs, Digest, SetupError};
use cartwright_e2e::{local, members};
use serde_json::json;
use url::form_urlencoded;

use super::shop::WebhookShop;
use crate::orders::common::listen;

const SECRET: &str = "s3cr3t/+=7-wide";
/// The secret in a form and in a URL.
const ENCODED_SECRET: &str = "s3cr3t%2F%2B%3D7-wide";
const TOKEN: &str = "granted-t0ken-91";
/// Each way to send a secret that the guest knows.
const WAYS: [&str; 6] = ["bearer", "basic", "header", "query", "client-credentials", "form"];

/// Issues a token by the letter of RFC 6749: one way of authentication, and each parameter once.
fn issue_token(headers: &HeaderMap, body: &str) -> Response {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let login = headers.get("authorization").map(|login| login.to_str().expect("text"));
    let expected = format!("Basic {}", STANDARD.encode(format!("shop:{ENCODED_SECRET}")));
    let is_authentic = match (login, value("client_id"), value("client_secret")) {
        (Some(login), None, None) => login == expected,
        (None, Some(id), Some(secret)) => id == "shop" && secret == SECRET,
        _ => false,
    };
    let fault = if headers["content-type"] != "application/x-www-form-urlencoded" || names.len() != pairs.len() {
        Some("invalid_request")
    } else if value("grant_type") != Some("client_credentials") {
        Some("unsupported_grant_type")
    } else if value("scope") != Some("orders") {
        Some("invalid_scope")
    } else {
        (!is_authentic).then_some("invalid_client")
    };
    match fault {
        Some(code) => (StatusCode::BAD_REQUEST, json!({ "error": code }).to_string()).into_response(),
        None => {
            json!({ "access_token": TOKEN, "token_type": "bearer", "expires_in": "3600" }).to_string().into_response()
        }
    }
}

/// Repeats a request's secrets in headers, an address and the body.
fn echo(uri: &Uri, headers: &HeaderMap) -> Response {
    let text = |name: &str| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    };
    let body = json!({ "authorization": text("authorization"), "session": text("x-session"), "query": uri.query() });
    Response::builder()
        .header("content-type", "application/json")
        .header("x-authorization", text("authorization"))
        .header("x-session", text("x-session"))
        .header("location", uri.to_string())
        .header("x-city", HeaderValue::from_bytes(b"M\xe2con").expect("a header's value"))
        .body(Body::from(body.to_string()))
        .expect("a response")
}

/// A shop whose guest uses secrets as a setting says, and a server that echoes its requests.
struct SecretTest {
    desk: WebhookShop,
    running: Digest,
    url: String,
    /// The requests: path, authorization and session.
    requests: Arc<Mutex<Vec<[String; 3]>>>,
}

impl SecretTest {
    async fn new() -> Self {
        let requests: Arc<Mutex<Vec<[String; 3]>>> = Arc::default();
        let hearing = requests.clone();
        let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: String| {
            let text = |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
            let [authorization, session] = ["authorization", "x-session"].map(|name| text(name).unwrap_or_default());
            hearing.lock().expect("what it heard").push([uri.to_string(), authorization, session]);
            if uri.path() == "/token" { issue_token(&headers, &body) } else { echo(&uri, &headers) }
        });
        let desk = WebhookShop::new().await;
        let running = desk.host.current_version(&desk.shop, &desk.account).expect("the account").digest();
        Self { desk, running, url: listen(router).await, requests }
    }

    /// Lets the guest use a secret, and returns what it sees.
    async fn attempt(&self, words: &str) -> Result<String, SetupError> {
        let settings = members(json!({
            "api-url": format!("{}/api", self.url), "token-url": format!("{}/token", self.url), "wide-secret": SECRET,
            "signing-secret": "whsec_c2lnbmluZw", "try": words,
        }));
        let WebhookShop { host, shop, account, .. } = &self.desk;
        let setup = AccountSetup { id: account.clone(), settings, grants: local(&self.url) };
        host.set_account(shop, self.running, setup).await.expect("an account");
        let diagnoses = host.test_connection(shop, account).await?;
        Ok(diagnoses[0].detail.as_ref().expect("what it saw").text.clone())
    }

    async fn refusal(&self, words: &str) -> String {
        self.attempt(words).await.expect_err("a refusal").to_string()
    }

    fn requests(&self) -> Vec<[String; 3]> {
        std::mem::take(&mut *self.requests.lock().expect("what it heard"))
    }
}

/// Asserts that a text contains a mark in place of each secret.
#[track_caller]
fn assert_redacted(text: &str, way: &str, marks: usize) {
    let login = STANDARD.encode(format!("shop:{SECRET}"));
    for secret in [SECRET, ENCODED_SECRET, TOKEN, &login] {
        assert!(!text.contains(secret), "{way}: {text}");
    }
    assert_eq!(text.matches("(secret)").count(), marks, "{way}: {text}");
}

#[tokio::test]
async fn a_secret_is_sent_in_each_way_that_its_field_declares() {
    let test = SecretTest::new().await;
    let login = format!("Basic {}", STANDARD.encode(format!("shop:{SECRET}")));
    for (way, query, authorization, session) in [
        ("bearer", String::new(), format!("Bearer {SECRET}"), String::new()),
        ("basic", String::new(), login, String::new()),
        ("header", String::new(), String::new(), format!("Session {SECRET}")),
        ("query", format!("?key={ENCODED_SECRET}"), String::new(), String::new()),
    ] {
        test.attempt(&format!("{way} wide-secret")).await.expect("a response");
        assert_eq!(test.requests(), [[format!("/api{query}"), authorization, session]], "{way}");
    }
    for algorithm in ["hmac-sha1", "hmac-sha256", "hmac-sha512", "md5-suffix"] {
        let digest = test.attempt(&format!("{algorithm} wide-secret")).await.expect("a digest");
        assert!(digest.starts_with('['), "{algorithm}: {digest}");
    }
}

#[tokio::test]
async fn a_secret_serves_no_use_that_its_field_does_not_declare() {
    let test = SecretTest::new().await;
    let algorithms = ["hmac-sha1", "hmac-sha256", "hmac-sha512", "md5-suffix"];
    for way in WAYS.into_iter().chain(algorithms) {
        let wanted = if way == "form" { "client-credentials" } else { way };
        let text = test.refusal(&format!("{way} signing-secret")).await;
        for word in ["\"signing-secret\"", &format!("\"{wanted}\""), "author"] {
            assert!(text.contains(word), "{way}: {text}");
        }
    }
    assert_eq!(test.requests(), [[""; 3]; 0]);
}

#[tokio::test]
async fn a_token_is_fetched_with_the_secret_in_the_form_or_in_basic_once_for_each() {
    let test = SecretTest::new().await;
    for way in ["client-credentials", "form"] {
        for is_first in [true, false] {
            test.attempt(&format!("{way} wide-secret")).await.expect("a response");
            let requests = test.requests();
            let paths: Vec<&str> = requests.iter().map(|[path, ..]| path.as_str()).collect();
            assert_eq!(paths, if is_first { &["/token", "/api"][..] } else { &["/api"][..] }, "{way}");
            assert_eq!(requests.last().expect("a request")[1], format!("Bearer {TOKEN}"));
        }
    }
}

#[tokio::test]
async fn a_secret_that_a_server_echoes_is_cut_from_headers_and_bodies_and_what_is_stored() {
    let test = SecretTest::new().await;
    for way in WAYS {
        let seen = test.attempt(&format!("{way} wide-secret")).await.expect("a response");
        assert_redacted(&seen, way, 2);
        let seen = test.attempt(&format!("{way} wide-secret stored")).await.expect("a response");
        assert_redacted(&seen, way, 1);
        let digest = seen.split("stored ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a digest");
        let digest: Digest = digest.parse().expect("a digest");
        let stored = test.desk.blobs.get(&test.desk.shop, &digest).await.expect("a store").expect("the body");
        assert_redacted(&String::from_utf8(stored).expect("text"), way, 1);
    }
}

#[tokio::test]
async fn a_header_that_is_not_utf_8_is_read_as_latin_1() {
    let seen = SecretTest::new().await.attempt("bearer wide-secret").await.expect("a response");
    assert!(seen.contains("(\"x-city\", \"Mâcon\")"), "{seen}");
}

#[tokio::test]
async fn a_digest_over_nothing_and_an_unknown_authentication_are_refused() {
    let test = SecretTest::new().await;
    let text = test.refusal("hmac-sha256-of-nothing wide-secret").await;
    assert!(text.contains("invalid input at message"), "{text}");
    let text = test.refusal("signed-jwt wide-secret").await;
    assert!(text.contains("\"signed-jwt\"") && text.contains("later host"), "{text}");
    assert_eq!(test.requests(), [[""; 3]; 0]);
}
