//! A secret is sent where it was entered for, whatever becomes of the address: it is changed by another version, or pushed.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::types::SettingValue;
use cartwright::{AccountSetup, Digest, Grants, NewHosts, SetupError};
use cartwright_e2e::{WEBHOOKS, local, members};
use serde_json::{Value, json};

use super::desk::Desk;
use crate::orders::common::listen;

const TOKEN: &str = "Bearer t0ken-77aa";

/// A server that writes down what it is sent, and gives everybody a token.
struct Ear {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    async fn new() -> Self {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hearing = heard.clone();
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            let said = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
            hearing.lock().expect("what it heard").push(said.unwrap_or_default());
            // As a token endpoint answers, with a token for ever.
            r#"{"access_token":"granted","token_type":"Bearer","expires_in":18446744073709551615}"#
        });
        Self { url: listen(router).await, heard }
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().expect("what it heard"))
    }
}

/// A shop with a vendor, and whoever may change the vendor's address and does not know the token.
struct Scene {
    desk: Desk,
    vendor: Ear,
    thief: Ear,
    running: Digest,
}

impl Scene {
    async fn new() -> Self {
        let (desk, vendor, thief) = (Desk::new().await, Ear::new().await, Ear::new().await);
        let running = desk.host.running(&desk.shop, &desk.account).expect("the account").digest();
        let scene = Self { desk, vendor, thief, running };
        let token = TOKEN.strip_prefix("Bearer ").expect("a token");
        scene.set(json!({ "api-url": scene.vendor.url, "token": token })).await.expect("an account");
        scene.asked().await.expect("an answer");
        assert_eq!(scene.vendor.heard(), [TOKEN]);
        scene
    }

    /// Both servers are granted: an operator who grants too much gives no secret away by it.
    fn grants(&self) -> Grants {
        let (mut grants, other) = (local(&self.vendor.url), local(&self.thief.url));
        grants.hosts.extend(other.hosts);
        grants.plain_http.extend(other.plain_http);
        grants
    }

    async fn set(&self, settings: Value) -> Result<(), SetupError> {
        let desk = &self.desk;
        let setup = AccountSetup { id: desk.account.clone(), settings: members(settings), grants: self.grants() };
        desk.host.set_account(&desk.shop, self.running, setup).await
    }

    /// Goes to the version of the plugin that has this form.
    async fn swap(&mut self, form: u8) -> Result<(), SetupError> {
        self.swap_with(form, NewHosts::Refused).await
    }

    async fn swap_with(&mut self, form: u8, hosts: NewHosts) -> Result<(), SetupError> {
        let mut bytes = WEBHOOKS.to_vec();
        let marks: Vec<usize> =
            bytes.windows(12).enumerate().filter(|(_, bytes)| *bytes == b"token's form").map(|(at, _)| at).collect();
        let [mark] = marks[..] else { panic!("it stands in {} places", marks.len()) };
        bytes[mark + 12] = form;
        let desk = &self.desk;
        let to = desk.host.install(&bytes, None).await.expect("another version").digest();
        desk.host.swap_version(&desk.shop, &desk.account, to, hosts).await?;
        self.running = to;
        Ok(())
    }

    async fn asked(&self) -> Result<(), SetupError> {
        self.desk.host.test_connection(&self.desk.shop, &self.desk.account).await.map(drop)
    }
}

/// Which secret must be entered again.
fn refused(result: Result<(), SetupError>) -> String {
    let Err(SetupError::Invalid(issues)) = result else { panic!("{result:?}") };
    let [issue] = &issues[..] else { panic!("{issues:?}") };
    assert_eq!(issue.message.key, "secret-redirected");
    issue.field.clone()
}

#[tokio::test]
async fn a_version_without_the_secret_is_no_way_to_another_address_for_it() {
    let mut scene = Scene::new().await;
    scene.swap(b'2').await.expect("swapped");
    scene.set(json!({ "api-url": scene.thief.url, "key": "guessed" })).await.expect("its own key");
    scene.asked().await.expect("an answer");
    assert_eq!(scene.thief.heard(), ["Bearer guessed"]);
    assert_eq!(refused(scene.swap(b'1').await), "token");
    scene.asked().await.expect("the version before serves");
    assert_eq!(scene.thief.heard(), ["Bearer guessed"]);
    // With the address that the token was entered for there is a way back.
    scene.set(json!({ "api-url": scene.vendor.url, "key": "" })).await.expect("the address");
    scene.swap(b'1').await.expect("swapped back");
    scene.asked().await.expect("an answer");
    assert_eq!((scene.vendor.heard(), scene.thief.heard()), (vec![TOKEN.to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_version_that_sends_the_secret_elsewhere_needs_somebody_who_vouches_for_it() {
    let mut scene = Scene::new().await;
    assert_eq!(refused(scene.swap(b'4').await), "token");
    scene.swap_with(b'4', NewHosts::Vouched).await.expect("swapped");
    scene.asked().await.expect("an answer");
    assert_eq!(scene.vendor.heard(), [TOKEN]);
    // Nobody vouched for an address.
    assert_eq!(refused(scene.set(json!({ "api-url": scene.thief.url })).await), "token");
}

#[tokio::test]
async fn a_secret_under_another_name_goes_where_it_went_before() {
    let mut scene = Scene::new().await;
    scene.swap(b'3').await.expect("swapped");
    assert_eq!(refused(scene.set(json!({ "api-url": scene.thief.url })).await), "renamed-token");
    scene.asked().await.expect("an answer");
    assert_eq!((scene.vendor.heard(), scene.thief.heard()), (vec![TOKEN.to_owned()], Vec::new()));
}

#[tokio::test]
async fn who_knows_the_secret_takes_it_along_and_may_come_back() {
    let scene = Scene::new().await;
    let token = TOKEN.strip_prefix("Bearer ").expect("a token");
    scene.set(json!({ "api-url": scene.thief.url, "token": token })).await.expect("entered again");
    scene.asked().await.expect("an answer");
    assert_eq!(scene.thief.heard(), [TOKEN]);
    scene.set(json!({ "api-url": scene.vendor.url })).await.expect("it was entered for this one, too");
    // Another secret was entered for no other address.
    scene.set(json!({ "api-url": scene.vendor.url, "token": "another" })).await.expect("a new secret");
    assert_eq!(refused(scene.set(json!({ "api-url": scene.thief.url })).await), "token");
}

#[tokio::test]
async fn an_address_that_is_pushed_or_kept_wrongly_gets_no_secret() {
    let scene = Scene::new().await;
    let Desk { host, shop, .. } = &scene.desk;
    let mut kept = host.snapshot(shop).expect("the shop").accounts.remove(0);
    let address = SettingValue::Text(scene.thief.url.clone());
    kept.versions.entry(kept.current).or_default().insert("api-url".to_owned(), address);
    kept.revision += 1;
    // A store asks this of what a vendor pushed, and holds it.
    assert_eq!(refused(host.check_account(shop, kept.clone()).await), "token");
    // And were it kept: no call gives the secret.
    host.restore_account(shop, kept).await.expect("restored");
    let denied = scene.asked().await.expect_err("a refusal").to_string();
    assert!(denied.contains("entered for"), "{denied}");
    assert_eq!((scene.vendor.heard(), scene.thief.heard()), (Vec::new(), Vec::new()));
    assert_eq!(refused(scene.set(json!({ "api-url": scene.thief.url })).await), "token");
    scene.set(json!({ "api-url": scene.vendor.url })).await.expect("mended");
    scene.asked().await.expect("an answer");
    assert_eq!(scene.vendor.heard(), [TOKEN]);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_goes_where_its_secret_may_go() {
    let scene = Scene::new().await;
    let login = &scene.thief;
    let token = TOKEN.strip_prefix("Bearer ").expect("a token");
    let mut settings = json!({ "api-url": scene.vendor.url, "token-url": format!("{}/token", login.url) });
    assert_eq!(refused(scene.set(settings.clone()).await), "token");
    settings["token"] = json!(token);
    scene.set(settings.clone()).await.expect("entered for both");
    for _ in 0..2 {
        scene.asked().await.expect("an answer");
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("shop:{token}")));
    assert_eq!((login.heard(), scene.vendor.heard()), (vec![basic], vec!["Bearer granted".to_owned(); 2]));
    // Another secret gets another token.
    settings["token"] = json!("another");
    scene.set(settings.clone()).await.expect("another secret");
    scene.asked().await.expect("an answer");
    let basic = format!("Basic {}", STANDARD.encode("shop:another"));
    assert_eq!((login.heard(), scene.vendor.heard().len()), (vec![basic], 1));
    // This secret is for the token endpoint alone: neither it nor what it is worth goes to the vendor.
    settings["narrow-secret"] = json!("narrow");
    scene.set(settings).await.expect("another secret");
    let denied = scene.asked().await.expect_err("a refusal").to_string();
    assert!(denied.contains("narrow-secret"), "{denied}");
    assert_eq!(scene.vendor.heard(), [""; 0]);
}
