//! Settings that Twikit pushes: which take effect, which wait, and the merchant's decisions.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cartwright::types::{Outcome, Setting, SettingValue};
use cartwright::webhook::form_value;
use cartwright::webhook::{Destination, Effects, WebhookDeliveryStore};
use cartwright::{AccountId, SetupError, SystemClock};
use cartwright_store::{
    AccountOutcome, AccountOutcomeState, DrainReport, PushedError, StoreError, Worker, WorkerSettings,
};
use serde_json::{Value, json};

use super::stored::Stored;

const OLD: &str = "https://scripts.twikit.example/1/plugin.js";

impl Stored {
    async fn setting(&self, name: &str) -> Value {
        let account = self.store.shops().accounts(&self.shop).await.expect("a store").remove(0);
        form_value(&account.versions[&account.current][name]).expect("no secret")
    }

    async fn in_state(&self, state: AccountOutcomeState) -> Vec<AccountOutcome> {
        self.store.webhooks().account_outcomes(&self.shop, Some(state), None, 10).await.expect("a list")
    }

    async fn pending_settings(&self) -> Vec<AccountOutcome> {
        self.in_state(AccountOutcomeState::PendingApproval).await
    }

    async fn publish(&self, script: &str, keys: &[&str]) {
        let delivery = self.twikit.website_published(script, keys).await;
        assert!(delivery.accepted(), "{delivery:?}");
        self.process_pushes().await;
    }

    async fn push(&self, name: &str, value: SettingValue) {
        self.push_to(&self.account, name, value).await;
        self.process_pushes().await;
    }

    async fn push_to(&self, account: &AccountId, name: &str, value: SettingValue) {
        let push = Outcome::PushSettings(vec![Setting { name: name.to_owned(), value }]);
        let effects = Effects { outcomes: vec![(None, push)], messages: Vec::new() };
        let to = Destination { account: account.clone(), ..self.to("website-publication") };
        self.store.apply(&to, SystemTime::now(), effects).await.expect("kept");
    }

    async fn process_pushes(&self) {
        assert_eq!(
            self.store.webhooks().process_pushed_settings(&self.host, SystemTime::now()).await.expect("processed"),
            0
        );
        assert!(self.in_state(AccountOutcomeState::New).await.is_empty());
    }

    /// Returns whether the host runs with this script. A push of the current value has no effect.
    fn runs_with(&self, script: &str) -> bool {
        let same = Setting { name: "script-url".into(), value: SettingValue::Text(script.into()) };
        let sorted = self.host.sort_pushed(&self.shop, &self.account, vec![same]).expect("sorted");
        sorted.immediate.is_empty() && sorted.needs_approval.is_empty()
    }
}

#[tokio::test]
async fn product_keys_take_effect_at_once_and_a_script_when_it_is_approved() {
    let stored = Stored::new().await;
    let new = "https://scripts.twikit.example/2/plugin.js";
    stored.publish(new, &["diamond-letter-jewel", "pendant"]).await;
    assert_eq!(stored.setting("product-keys").await, json!(["diamond-letter-jewel", "pendant"]));
    assert_eq!(stored.setting("script-url").await, OLD);
    assert!(stored.runs_with(OLD));
    let pending_settings = stored.pending_settings().await;
    let [waiting] = &pending_settings[..] else { panic!("{pending_settings:?}") };
    let script = Setting { name: "script-url".into(), value: SettingValue::Text(new.into()) };
    assert_eq!(waiting.outcome, Outcome::PushSettings(vec![script]));
    assert!(waiting.reason.as_ref().is_some_and(|reason| reason.contains("script-url")), "{waiting:?}");
    let now = SystemTime::now();
    let other = "other".parse().expect("an id");
    let foreign = stored.store.webhooks().approve_pushed_settings(&stored.host, &other, &waiting.id, "eve", now).await;
    assert!(matches!(foreign, Err(PushedError::Store(StoreError::NotFound { .. }))), "{foreign:?}");
    stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", now)
        .await
        .expect("approved");
    assert_eq!(stored.setting("script-url").await, new);
    assert!(stored.runs_with(new) && stored.pending_settings().await.is_empty());
    stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", now)
        .await
        .expect_err("twice");
    // Secrets are unchanged, and the log contains the old value for a rollback.
    let account = stored.store.shops().accounts(&stored.shop).await.expect("a store").remove(0);
    assert!(account.secrets.contains_key("payload-secret") && account.revision == 3);
    let logged = stored.store.audit().entries(Some(&stored.shop), None, 2).await.expect("a log");
    let seen: Vec<_> = logged.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!(seen, [("ann", "approve-settings"), ("twikit", "push-settings")]);
    assert_eq!(
        (&logged[0].before, &logged[0].after),
        (&Some(json!({ "script-url": OLD })), &Some(json!({ "script-url": new })),)
    );
}

#[tokio::test]
async fn what_is_the_same_needs_nobody() {
    let stored = Stored::new().await;
    stored.publish(OLD, &["diamond-letter-jewel"]).await;
    assert!(stored.pending_settings().await.is_empty());
    assert_eq!(stored.store.shops().accounts(&stored.shop).await.expect("a store")[0].revision, 1);
}

#[tokio::test]
async fn a_later_script_takes_the_place_of_one_that_waits() {
    let stored = Stored::new().await;
    for number in 2..4 {
        stored.publish(&format!("https://evil.example/{number}.js"), &["diamond-letter-jewel"]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let pending_settings = stored.pending_settings().await;
    assert_eq!(pending_settings.len(), 1, "{pending_settings:?}");
    assert!(serde_json::to_string(&pending_settings[0].outcome).expect("JSON").contains("/3.js"));
    assert_eq!(stored.in_state(AccountOutcomeState::Superseded).await.len(), 1);
    stored
        .store
        .webhooks()
        .reject_pushed_settings(&stored.shop, &pending_settings[0].id, "ann", SystemTime::now())
        .await
        .expect("refused");
    assert!(stored.runs_with(OLD) && stored.pending_settings().await.is_empty());
    assert_eq!(stored.setting("script-url").await, OLD);
}

fn script(number: u32) -> String {
    format!("https://scripts.twikit.example/{number}/plugin.js")
}

#[tokio::test]
async fn of_three_publications_the_last_waits_although_it_says_what_the_first_said() {
    let stored = Stored::new().await;
    for number in [41, 42, 41] {
        stored.publish(&script(number), &["diamond-letter-jewel"]).await;
    }
    let pending_settings = stored.pending_settings().await;
    let [waiting] = &pending_settings[..] else { panic!("{pending_settings:?}") };
    assert!(serde_json::to_string(&waiting.outcome).expect("JSON").contains("/41/"), "{waiting:?}");
    stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", SystemTime::now())
        .await
        .expect("good");
    assert!(stored.runs_with(&script(41)));
    // A push of the current value leaves no change that an approval could restore.
    stored.publish(&script(42), &["diamond-letter-jewel"]).await;
    stored.publish(&script(41), &["diamond-letter-jewel"]).await;
    assert_eq!(stored.pending_settings().await, []);
    assert!(stored.runs_with(&script(41)));
}

#[tokio::test]
async fn what_waits_loses_the_settings_that_were_pushed_anew() {
    let stored = Stored::new().await;
    let setting = |name: &str, value: SettingValue| Setting { name: name.to_owned(), value };
    let script = setting("script-url", SettingValue::Text(script(2)));
    let keys = setting("product-keys", SettingValue::Texts(vec!["a/b".into()]));
    let push = Outcome::PushSettings(vec![script.clone(), keys]);
    let effects = Effects { outcomes: vec![(None, push)], messages: Vec::new() };
    stored.store.apply(&stored.to("website-publication"), SystemTime::now(), effects).await.expect("kept");
    stored.process_pushes().await;
    stored.push("product-keys", SettingValue::Texts(vec!["pendant".into()])).await;
    let pending_settings = stored.pending_settings().await;
    let [waiting] = &pending_settings[..] else { panic!("{pending_settings:?}") };
    assert_eq!(waiting.outcome, Outcome::PushSettings(vec![script]));
    stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", SystemTime::now())
        .await
        .expect("good");
    assert_eq!(stored.setting("product-keys").await, json!(["pendant"]));
}

#[tokio::test]
async fn what_the_form_or_the_plugin_does_not_take_is_held_with_the_reason_and_cannot_be_approved() {
    let stored = Stored::new().await;
    for (name, value, reason) in [
        ("integration-id", SettingValue::Text("another".into()), "does not let a vendor push"),
        ("payload-secret", SettingValue::Text("another".into()), "does not let a vendor push"),
        ("no-such-setting", SettingValue::Boolean(true), "does not let a vendor push"),
        ("product-keys", SettingValue::Boolean(true), "product-keys"),
    ] {
        stored.push(name, value).await;
        let pending_settings = stored.pending_settings().await;
        let [waiting] = &pending_settings[..] else { panic!("{name}: {pending_settings:?}") };
        assert!(waiting.reason.as_ref().is_some_and(|text| text.contains(reason)), "{name}: {waiting:?}");
        let now = SystemTime::now();
        let refused =
            stored.store.webhooks().approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", now).await;
        assert!(matches!(refused, Err(PushedError::Setup(_))), "{name}: {refused:?}");
        stored.store.webhooks().reject_pushed_settings(&stored.shop, &waiting.id, "ann", now).await.expect("refused");
    }
    // A script must be loaded by https, even after an approval.
    stored.push("script-url", SettingValue::Text("http://scripts.twikit.example/2.js".into())).await;
    let id = stored.pending_settings().await.remove(0).id;
    let refused = stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &id, "ann", SystemTime::now())
        .await;
    assert!(matches!(refused, Err(PushedError::Setup(_))), "{refused:?}");
    assert_eq!(stored.store.shops().accounts(&stored.shop).await.expect("a store")[0].revision, 1);
}

#[tokio::test]
async fn a_push_that_a_products_link_does_not_go_with_is_held_until_the_link_is_changed() {
    let stored = Stored::new().await;
    stored.change(json!({ "strict-check": true })).await;
    stored.publish(OLD, &["pendant"]).await;
    let pending_settings = stored.pending_settings().await;
    let [waiting] = &pending_settings[..] else { panic!("{pending_settings:?}") };
    assert!(waiting.reason.as_ref().is_some_and(|reason| reason.contains("the product \"jewel\"")), "{waiting:?}");
    assert_eq!(stored.setting("product-keys").await, json!(["diamond-letter-jewel"]));
    let approve = || {
        stored.store.webhooks().approve_pushed_settings(
            &stored.host,
            &stored.shop,
            &waiting.id,
            "ann",
            SystemTime::now(),
        )
    };
    let refused = approve().await;
    assert!(matches!(refused, Err(PushedError::Setup(SetupError::Links(_)))), "{refused:?}");
    stored.host.unlink(&stored.shop, "jewel").expect("unlinked");
    approve().await.expect("approved");
    assert_eq!(stored.setting("product-keys").await, json!(["pendant"]));
}

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !reached().await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Tests the path from Twikit's request to the settings of the running host, which only the worker applies.
async fn a_worker_processes_pushes(stored: Stored) {
    let (host, store, clock) = (stored.host.clone(), stored.store.clone(), Arc::new(SystemClock));
    let worker = Worker::start(host, store, clock, WorkerSettings::new("node"));
    let (new, keys) = ("https://scripts.twikit.example/2/plugin.js", json!(["diamond-letter-jewel", "pendant"]));
    let delivery = stored.twikit.website_published(new, &["diamond-letter-jewel", "pendant"]).await;
    assert!(delivery.accepted(), "{delivery:?}");
    until("the keys are the account's", async || stored.setting("product-keys").await == keys).await;
    let waiting = stored.pending_settings().await.remove(0);
    assert_eq!(stored.setting("script-url").await, OLD);
    assert!(stored.runs_with(OLD));
    stored
        .store
        .webhooks()
        .approve_pushed_settings(&stored.host, &stored.shop, &waiting.id, "ann", SystemTime::now())
        .await
        .expect("good");
    assert_eq!((stored.setting("script-url").await, stored.setting("product-keys").await), (json!(new), keys));
    assert!(stored.runs_with(new) && stored.in_state(AccountOutcomeState::New).await.is_empty());
    assert_eq!(worker.drain(Duration::from_secs(20)).await, DrainReport::default());
}

#[tokio::test]
async fn a_worker_processes_what_twikit_pushes_on_sqlite() {
    a_worker_processes_pushes(Stored::new().await).await;
}

#[tokio::test]
async fn a_worker_processes_what_twikit_pushes_on_postgres() {
    let server = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer");
    if let Some(server) = server {
        a_worker_processes_pushes(Stored::on(&server.create_database()).await).await;
    }
}

#[tokio::test]
async fn many_pushes_that_cannot_be_looked_at_hold_up_no_other() {
    let stored = Stored::new().await;
    let elsewhere: AccountId = "elsewhere".parse().expect("an id");
    for number in 0..101 {
        stored.push_to(&elsewhere, "script-url", SettingValue::Integer(number)).await;
    }
    let keys = SettingValue::Texts(vec!["pendant".into()]);
    stored.push_to(&stored.account, "product-keys", keys).await;
    assert_eq!(
        stored.store.webhooks().process_pushed_settings(&stored.host, SystemTime::now()).await.expect("processed"),
        101
    );
    assert_eq!(stored.setting("product-keys").await, json!(["pendant"]));
}
