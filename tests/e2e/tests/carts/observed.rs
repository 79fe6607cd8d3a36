//! An observer of a host gets each guest call, the lines that guests log, and each request to a vendor.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cartwright::observe::{GuestCall, GuestLine, VendorRequest};
use cartwright::{AccountId, Observer, StrategyChoice};
use cartwright_e2e::{HOSTILE, World};
use cartwright_fake_vendors::{Outage, samples};
use serde_json::json;

/// Records its calls.
#[derive(Default)]
struct RecordingObserver {
    calls: Mutex<Vec<String>>,
    lines: Mutex<Vec<String>>,
    requests: Mutex<Vec<String>>,
}

fn take(what: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut what.lock().expect("no panic"))
}

impl Observer for RecordingObserver {
    fn call_ended(&self, GuestCall { call, outcome, guest, total }: &GuestCall<'_>) {
        assert!(*guest <= *total + Duration::from_millis(2), "{guest:?} of {total:?}");
        let shop = call.shop.map_or("-", |shop| shop.as_str());
        let line = format!("{} {shop} {} {}", call.plugin, call.hook, outcome.name());
        self.calls.lock().expect("no panic").push(line);
    }

    fn line_logged(&self, GuestLine { call, level, text }: &GuestLine<'_>) {
        let shop = call.shop.map_or("-", |shop| shop.as_str());
        self.lines.lock().expect("no panic").push(format!("{} {shop} {level} {text}", call.plugin));
    }

    fn vendor_request_ended(&self, request: &VendorRequest<'_>) {
        let line = format!("{} {} {} {}", request.plugin, request.shop, request.host, request.outcome.name());
        self.requests.lock().expect("no panic").push(line);
    }
}

async fn observed_world() -> (World, Arc<RecordingObserver>, AccountId) {
    let heard = Arc::new(RecordingObserver::default());
    let world = World::with(|builder| builder.observer(heard.clone()), json!({})).await;
    let account = world.strategy(HOSTILE).await;
    (world, heard, account)
}

#[tokio::test]
async fn each_call_is_told_with_its_end() {
    let (world, heard, account) = observed_world().await;
    let installed = take(&heard.calls);
    assert!(installed.contains(&"unnamed - metadata.describe answered".to_owned()), "{installed:#?}");
    assert!(installed.contains(&"expivi shop settings.validate answered".to_owned()), "{installed:#?}");
    for (misdeed, end) in
        [("honest", "answered"), ("loud-refusal", "refused"), ("trap", "trap"), ("catalog-flood", "limit")]
    {
        let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
        request.strategy = Some(StrategyChoice { account: Some(account.clone()), name: Some(misdeed.to_owned()) });
        let _ = world.host.add_to_cart(&world.shop, request).await;
        let expected =
            ["expivi shop configuration.decode answered".to_owned(), format!("hostile shop cart.plan {end}")];
        assert_eq!(take(&heard.calls), expected);
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_told_as_abandoned() {
    let (world, heard, _) = observed_world().await;
    take(&heard.calls);
    world.expivi.faults().delay(Duration::from_secs(20));
    let testing = world.host.test_connection(&world.shop, &world.account);
    assert!(tokio::time::timeout(Duration::from_millis(300), testing).await.is_err());
    assert_eq!(take(&heard.calls), ["expivi shop account.test-connection abandoned"]);
}

#[tokio::test]
async fn what_a_guest_logs_is_told_line_by_line() {
    let (world, heard, account) = observed_world().await;
    take(&heard.lines);
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account), name: Some("long-trace".to_owned()) });
    assert!(world.host.add_to_cart(&world.shop, request).await.is_err());
    let lines = take(&heard.lines);
    let expected = [
        "hostile shop output planning",
        "hostile shop info planning",
        "hostile shop output Exception while calling plan: TypeError: item is undefined",
        "hostile shop output     at step 0 of a long way (strategy.js:0:1)",
    ];
    assert_eq!(lines.get(..4).expect("lines"), expected);
    assert_eq!(lines.len(), 43, "{lines:#?}");
}

#[tokio::test]
async fn each_request_to_a_vendor_is_told_by_its_host_and_its_answer() {
    let (world, heard, _) = observed_world().await;
    let host = world.expivi.base_url().trim_start_matches("http://").to_owned();
    let of = |end: &str| format!("expivi shop {host} {end}");
    world.host.test_connection(&world.shop, &world.account).await.expect("diagnoses");
    let requests = take(&heard.requests);
    assert!(!requests.is_empty() && requests.iter().all(|requests| *requests == of("2xx")), "{requests:#?}");
    for (outage, end) in [(Outage::Unavailable { retry_after: None }, "5xx"), (Outage::Dropped, "no-response")] {
        world.expivi.faults().outage(outage);
        let _ = world.host.test_connection(&world.shop, &world.account).await;
        let requests = take(&heard.requests);
        assert!(!requests.is_empty() && requests.iter().all(|requests| *requests == of(end)), "{requests:#?}");
    }
}
