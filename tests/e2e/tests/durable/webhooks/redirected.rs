//! A secret is sent only where it was entered for, however the URL changes: by another version, or by a push.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::types::SettingValue;
use cartwright::{AccountSetup, Digest, Grants, NewHostPolicy, SetupError};
use cartwright_e2e::{WEBHOOKS, local, members, restore};
use serde_json::{Value, json};

use super::shop::WebhookShop;
use crate::orders::common::listen;

const TOKEN: &str = "Bearer t0ken-77aa";

/// A server that records its requests, and issues a token for each.
struct RecordingServer {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RecordingServer {
    async fn new() -> Self {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let hearing = requests.clone();
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            let authorization = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
            hearing.lock().expect("what it heard").push(authorization.unwrap_or_default());
            // The response of a token endpoint, with a token that does not expire.
            r#"{"access_token":"granted","token_type":"Bearer","expires_in":18446744073709551615}"#
        });
        Self { url: listen(router).await, requests }
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("what it heard"))
    }
}

/// A shop with a vendor, and an attacker who can change the vendor's URL and does not know the token.
struct RedirectTest {
    desk: WebhookShop,
    vendor: RecordingServer,
    attacker: RecordingServer,
    running: Digest,
}

impl RedirectTest {
    async fn new() -> Self {
        let (desk, vendor, attacker) =
            (WebhookShop::new().await, RecordingServer::new().await, RecordingServer::new().await);
        let running = desk.host.current_version(&desk.shop, &desk.account).expect("the account").digest();
        let scene = Self { desk, vendor, attacker, running };
        let token = TOKEN.strip_prefix("Bearer ").expect("a token");
        scene.set(json!({ "api-url": scene.vendor.url, "token": token })).await.expect("an account");
        scene.request_prices().await.expect("an answer");
        assert_eq!(scene.vendor.requests(), [TOKEN]);
        scene
    }

    /// Returns grants for both servers: excessive grants must not reveal a secret.
    fn grants(&self) -> Grants {
        let (mut grants, other) = (local(&self.vendor.url), local(&self.attacker.url));
        grants.hosts.extend(other.hosts);
        grants.plain_http.extend(other.plain_http);
        grants
    }

    async fn set(&self, settings: Value) -> Result<(), SetupError> {
        let desk = &self.desk;
        let setup = AccountSetup { id: desk.account.clone(), settings: members(settings), grants: self.grants() };
        desk.host.set_account(&desk.shop, self.running, setup).await
    }

    /// Switches to the version of the plugin that has this form.
    async fn swap(&mut self, form: u8) -> Result<(), SetupError> {
        self.swap_with(form, NewHostPolicy::Reject).await
    }

    async fn swap_with(&mut self, form: u8, hosts: NewHostPolicy) -> Result<(), SetupError> {
        let mut bytes = WEBHOOKS.to_vec();
        let marks: Vec<usize> =
            bytes.windows(12).enumerate().filter(|(_, bytes)| *bytes == b"token's form").map(|(at, _)| at).collect();
        let [mark] = marks[..] else { panic!("it stands in {} places", marks.len()) };
        bytes[mark + 12] = form;
        let desk = &self.desk;
        let to = desk.host.install(&bytes, None).await.expect("another version").digest();
        desk.host.switch_version(&desk.shop, &desk.account, to, hosts).await?;
        self.running = to;
        Ok(())
    }

    async fn request_prices(&self) -> Result<(), SetupError> {
        self.desk.host.test_connection(&self.desk.shop, &self.desk.account).await.map(drop)
    }
}

/// Returns the name of the secret that must be entered again.
fn refused(result: Result<(), SetupError>) -> String {
    let Err(SetupError::Invalid(issues)) = result else { panic!("{result:?}") };
    let [issue] = &issues[..] else { panic!("{issues:?}") };
    assert_eq!(issue.message.key, "secret-redirected");
    issue.field.clone()
}

#[tokio::test]
async fn a_version_without_the_secret_is_no_way_to_another_address_for_it() {
    let mut scene = RedirectTest::new().await;
    scene.swap(b'2').await.expect("swapped");
    scene.set(json!({ "api-url": scene.attacker.url, "key": "guessed" })).await.expect("its own key");
    scene.request_prices().await.expect("an answer");
    assert_eq!(scene.attacker.requests(), ["Bearer guessed"]);
    assert_eq!(refused(scene.swap(b'1').await), "token");
    scene.request_prices().await.expect("the version before serves");
    assert_eq!(scene.attacker.requests(), ["Bearer guessed"]);
    // With the URL that the token was entered for the change succeeds.
    scene.set(json!({ "api-url": scene.vendor.url, "key": "" })).await.expect("the address");
    scene.swap(b'1').await.expect("swapped back");
    scene.request_prices().await.expect("an answer");
    assert_eq!((scene.vendor.requests(), scene.attacker.requests()), (vec![TOKEN.to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_version_that_sends_the_secret_elsewhere_needs_somebody_who_vouches_for_it() {
    let mut scene = RedirectTest::new().await;
    assert_eq!(refused(scene.swap(b'4').await), "token");
    scene.swap_with(b'4', NewHostPolicy::Approved).await.expect("swapped");
    scene.request_prices().await.expect("an answer");
    assert_eq!(scene.vendor.requests(), [TOKEN]);
    // The token was not entered for this URL.
    assert_eq!(refused(scene.set(json!({ "api-url": scene.attacker.url })).await), "token");
}

#[tokio::test]
async fn a_secret_under_another_name_goes_where_it_went_before() {
    let mut scene = RedirectTest::new().await;
    scene.swap(b'3').await.expect("swapped");
    assert_eq!(refused(scene.set(json!({ "api-url": scene.attacker.url })).await), "renamed-token");
    scene.request_prices().await.expect("an answer");
    assert_eq!((scene.vendor.requests(), scene.attacker.requests()), (vec![TOKEN.to_owned()], Vec::new()));
}

#[tokio::test]
async fn who_knows_the_secret_takes_it_along_and_may_come_back() {
    let scene = RedirectTest::new().await;
    let token = TOKEN.strip_prefix("Bearer ").expect("a token");
    scene.set(json!({ "api-url": scene.attacker.url, "token": token })).await.expect("entered again");
    scene.request_prices().await.expect("an answer");
    assert_eq!(scene.attacker.requests(), [TOKEN]);
    scene.set(json!({ "api-url": scene.vendor.url })).await.expect("it was entered for this one, too");
    // Another secret was entered for no other URL.
    scene.set(json!({ "api-url": scene.vendor.url, "token": "another" })).await.expect("a new secret");
    assert_eq!(refused(scene.set(json!({ "api-url": scene.attacker.url })).await), "token");
}

#[tokio::test]
async fn an_address_that_is_pushed_or_kept_wrongly_gets_no_secret() {
    let scene = RedirectTest::new().await;
    let WebhookShop { host, shop, .. } = &scene.desk;
    let state = host.shop_state(shop).expect("the shop");
    let mut snapshot = state.snapshot();
    let kept = &mut snapshot.accounts[0];
    let address = SettingValue::Text(scene.attacker.url.clone());
    kept.versions.entry(kept.current).or_default().insert("api-url".to_owned(), address);
    kept.revision += 1;
    // A store checks pushed settings in this way, and rejects them.
    assert_eq!(refused(host.plan_account_snapshot(&state, kept.clone()).await.map(drop)), "token");
    // Even if they were stored, no call would send the secret.
    restore(host, snapshot).expect("restored");
    let denied = scene.request_prices().await.expect_err("a refusal").to_string();
    assert!(denied.contains("entered for"), "{denied}");
    assert_eq!((scene.vendor.requests(), scene.attacker.requests()), (Vec::new(), Vec::new()));
    assert_eq!(refused(scene.set(json!({ "api-url": scene.attacker.url })).await), "token");
    scene.set(json!({ "api-url": scene.vendor.url })).await.expect("mended");
    scene.request_prices().await.expect("an answer");
    assert_eq!(scene.vendor.requests(), [TOKEN]);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_goes_where_its_secret_may_go() {
    let scene = RedirectTest::new().await;
    let login = &scene.attacker;
    let token = TOKEN.strip_prefix("Bearer ").expect("a token");
    let mut settings = json!({ "api-url": scene.vendor.url, "token-url": format!("{}/token", login.url) });
    assert_eq!(refused(scene.set(settings.clone()).await), "token");
    settings["token"] = json!(token);
    scene.set(settings.clone()).await.expect("entered for both");
    for _ in 0..2 {
        scene.request_prices().await.expect("an answer");
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("shop:{token}")));
    assert_eq!((login.requests(), scene.vendor.requests()), (vec![basic], vec!["Bearer granted".to_owned(); 2]));
    // Another secret gets another token.
    settings["token"] = json!("another");
    scene.set(settings.clone()).await.expect("another secret");
    scene.request_prices().await.expect("an answer");
    let basic = format!("Basic {}", STANDARD.encode("shop:another"));
    assert_eq!((login.requests(), scene.vendor.requests().len()), (vec![basic], 1));
    // This secret is for the token endpoint alone: the vendor gets neither the secret nor its token.
    settings["narrow-secret"] = json!("narrow");
    scene.set(settings).await.expect("another secret");
    let denied = scene.request_prices().await.expect_err("a refusal").to_string();
    assert!(denied.contains("narrow-secret"), "{denied}");
    assert_eq!(scene.vendor.requests(), [""; 0]);
}
