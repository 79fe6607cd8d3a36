//! A crash at every entry of every kind of order, four ways each: the order reaches the vendor once in effect, and the
//! shop gets the same outcomes as without a crash; or the merchant is asked, once.

use std::sync::Arc;

use cartwright::SimulatedClock;
use cartwright::durable::{Cancel, Entry, MemoryJournal, RunEnd, RunInput, Wake};
use cartwright::types::Outcome;
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use cartwright_fake_vendors::twikit::OrderState;
use serde_json::{Value, json};

use crate::crash_run::{Crash, Crashes, course};
use crate::erp::Erp;
use crate::gems::{Gems, job};
use cartwright_e2e::orders::{order, put, timeline};

/// Returns all points of a job with this number of entries.
fn points(entries: usize) -> impl Iterator<Item = (usize, Crash)> {
    (0..entries).flat_map(|entry| Crash::ALL.map(|how| (entry, how)))
}

#[tokio::test]
async fn a_twikit_order_is_created_once_wherever_the_host_crashes() {
    let gems = Gems::new(json!({})).await;
    let never = Crashes::never();
    let (_, expected) = gems.course("calm", &never).await;
    let expected = timeline("calm", &expected.outcomes);
    let (mut tried, mut again) = (0, 0);
    for (entry, how) in points(never.entries()) {
        let (id, crashes) = (format!("o-{entry}-{how:?}"), Crashes::once(entry, how));
        let (order, course) = gems.course(&id, &crashes).await;
        let Some(crashed_entry) = crashes.crashed_entry() else { continue };
        let place = format!("{how:?} at entry {entry}, {crashed_entry:?}");
        assert!(course.crashed_as(how) && course.unanswered.is_none(), "{place}: {course:?}");
        assert_eq!(gems.settled(&order).await, OrderState::Paid, "{place}");
        assert_eq!(timeline(&id, &course.outcomes), expected, "{place}");
        let unverified = |outcome: &Outcome| matches!(outcome, Outcome::Note(note) if note.key == "no-verification");
        assert!(how == Crash::WhileOut || !course.outcomes.iter().any(unverified), "{place}");
        let intents = course.records.iter().filter(|record| matches!(record.entry, Entry::Intent { .. })).count();
        again += intents - 1;
        tried += 1;
    }
    assert_eq!(gems.twikit.orders().len(), gems.twikit.record().on_path("/api/v1/orders").len() - repeated(&gems));
    println!("Twikit, order: {tried} crash points, {again} requests sent again");
    assert!(tried >= 30 && again >= 3, "{tried} {again}");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_again_by_the_next_attempt() {
    let gems = Gems::new(json!({})).await;
    gems.twikit.faults().lose_replies(1);
    let (order, course) = gems.course("lost", &Crashes::never()).await;
    // Twikit reports that it has the order; the plugin learns that this was its second attempt, and concludes that the
    // first one created it.
    let earlier = |outcome: &Outcome| matches!(outcome, Outcome::Note(message) if message.key == "created-earlier");
    assert!(course.outcomes.iter().any(earlier), "{:?}", course.outcomes);
    assert_eq!((gems.twikit.orders().len(), gems.settled(&order).await), (1, OrderState::Paid));
    assert_eq!((course.slept, gems.twikit.record().len()), (vec![60, 2], 2));
}

#[tokio::test]
async fn a_host_that_crashes_again_and_again_makes_each_order_once() {
    let (orders, exports) = (Gems::new(json!({})).await, Gems::new(json!({ "fulfilment": "export" })).await);
    let (mut crashed, mut questions) = (0, 0);
    for seed in 0..40 {
        let (order, course) = orders.course(&format!("o-{seed}"), &Crashes::repeatedly(seed)).await;
        assert_eq!(course.unanswered, None, "{seed}");
        assert_eq!(orders.settled(&order).await, OrderState::Paid, "{seed}");
        let (_, export) = exports.course(&format!("e-{seed}"), &Crashes::repeatedly(seed)).await;
        let sent = exports.sent(&format!("e-{seed}"));
        let documents = export.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Document(_))).count();
        match export.unanswered {
            None => assert_eq!((sent, documents), (1, 1), "{seed}"),
            Some(_) => assert!(sent <= 1 && documents == 0, "{seed}: {sent}"),
        }
        questions += usize::from(export.unanswered.is_some());
        crashed += course.crashed + export.crashed;
    }
    assert_eq!(orders.twikit.orders().len(), 40);
    println!("Twikit, again and again: {crashed} crashes in 80 orders, the merchant asked at {questions}");
}

/// Returns the number of requests that Twikit rejected because it already had the order.
fn repeated(gems: &Gems) -> usize {
    let identifiers: Vec<String> = gems
        .twikit
        .record()
        .on_path("/api/v1/orders")
        .iter()
        .map(|sent| {
            let payload = sent.json()["orderPayload"].as_str().expect("a payload").to_owned();
            serde_json::from_str::<Value>(&payload).expect("JSON")["identifier"].to_string()
        })
        .collect();
    let distinct: std::collections::BTreeSet<&String> = identifiers.iter().collect();
    identifiers.len() - distinct.len()
}

#[tokio::test]
async fn a_twikit_export_is_asked_for_once_or_the_merchant_is_asked_once() {
    let gems = Gems::new(json!({ "fulfilment": "export" })).await;
    let never = Crashes::never();
    let (_, expected) = gems.course("calm", &never).await;
    let expected = timeline("calm", &expected.outcomes);
    let (mut tried, mut questions) = (0, 0);
    for (entry, how) in points(never.entries()) {
        let (id, crashes) = (format!("e-{entry}-{how:?}"), Crashes::once(entry, how));
        let (_, course) = gems.course(&id, &crashes).await;
        let Some(crashed_entry) = crashes.crashed_entry() else { continue };
        let place = format!("{how:?} at entry {entry}, {crashed_entry:?}");
        assert!(course.crashed_as(how), "{place}: {course:?}");
        let sent = gems.sent(&id);
        match &course.unanswered {
            None => assert_eq!((timeline(&id, &course.outcomes), sent), (expected.clone(), 1), "{place}"),
            Some(unanswered) => {
                assert!(sent <= 1 && unanswered.attempts == 1, "{place}: {sent}, {unanswered:?}");
                let open = matches!(crashed_entry, Entry::Intent { .. } | Entry::Responded { .. });
                assert!(
                    open && !course.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_))),
                    "{place}"
                );
                questions += 1;
            }
        }
        tried += 1;
    }
    println!("Twikit, export: {tried} crash points, the merchant asked at {questions}");
    assert!(tried >= 15 && (2..=5).contains(&questions), "{tried} {questions}");
}

#[tokio::test]
async fn an_expivi_order_is_uploaded_and_its_print_file_fetched_wherever_the_host_crashes() {
    let world = World::with(|builder| builder, json!({ "print-files": true, "media-id": 501 })).await;
    world.expivi.set_polls(1);
    let mut cart = Vec::new();
    world.add("wardrobe", samples::EXPIVI_BUNDLE, 1, &mut cart).await.expect("a line");
    let run = async |id: &str, crashes: &Arc<Crashes>| {
        let order = order(&world.host, &world.shop, id, &cart);
        put(&world.orders, &world.shop, &world.account, &order, &cart);
        let job = job(&world.shop, &world.account, world.digest, &order);
        course(&world.host, job, crashes, Vec::new).await
    };
    let never = Crashes::never();
    let calm = run("calm", &never).await;
    let (expected, requests) = (timeline("calm", &calm.outcomes), world.expivi.record().len());
    assert_eq!(calm.slept, [5, 10]);
    let mut tried = 0;
    for (entry, how) in points(never.entries()) {
        let (id, crashes) = (format!("x-{entry}-{how:?}"), Crashes::once(entry, how));
        let before = world.expivi.record().len();
        let course = run(&id, &crashes).await;
        let Some(crashed_entry) = crashes.crashed_entry() else { continue };
        let place = format!("{how:?} at entry {entry}, {crashed_entry:?}");
        assert!(course.crashed_as(how) && course.unanswered.is_none(), "{place}: {course:?}");
        assert_eq!(timeline(&id, &course.outcomes), expected, "{place}");
        let sent = world.expivi.record().len() - before;
        // One request may be repeated, which is safe for Expivi's uploads and conversions. The fake does not count
        // polls as conversions.
        assert!((requests..=requests + 2).contains(&sent), "{place}: {sent}");
        assert_eq!(world.expivi.uploaded().len(), 1, "{place}");
        tried += 1;
    }
    println!("Expivi, upload and print file: {tried} crash points");
    assert!(tried >= 50, "{tried}");
}

#[tokio::test]
async fn an_order_hook_hands_each_order_over_once_wherever_the_host_crashes() {
    let erp = Erp::new().await;
    let run = async |id: &str, crashes: &Arc<Crashes>| {
        erp.state().status_requests = 0;
        course(&erp.host, erp.job(id), crashes, Vec::new).await
    };
    let never = Crashes::never();
    let calm = run("calm", &never).await;
    let expected = timeline("calm", &calm.outcomes);
    assert_eq!(calm.slept, [60, 60, 60]);
    let mut tried = 0;
    for (entry, how) in points(never.entries()) {
        let (id, crashes) = (format!("h-{entry}-{how:?}"), Crashes::once(entry, how));
        let course = run(&id, &crashes).await;
        let Some(crashed_entry) = crashes.crashed_entry() else { continue };
        let place = format!("{how:?} at entry {entry}, {crashed_entry:?}");
        assert!(course.crashed_as(how) && course.unanswered.is_none(), "{place}: {course:?}");
        assert_eq!(timeline(&id, &course.outcomes), expected, "{place}");
        let posted = erp.state().posted[&format!("test:shop:{id}")];
        assert!(posted == 1 || (posted == 2 && course.crashed == 1), "{place}: {posted}");
        tried += 1;
    }
    println!("Order hook: {tried} crash points");
    assert!(tried >= 50, "{tried}");
}

#[tokio::test]
async fn what_the_merchant_has_looked_into_is_sent_again_only_when_they_say_so() {
    let gems = Gems::new(json!({ "fulfilment": "export" })).await;
    gems.twikit.faults().lose_replies(1);
    let (_, job) = gems.order("1");
    let (journal, clock) = (Arc::new(MemoryJournal::default()), Arc::new(SimulatedClock::default()));
    let run = async || {
        let (journal, clock) = (journal.clone(), clock.clone());
        let start = RunInput { journal, clock, wake: Wake::Due, cancel: Cancel::default() };
        gems.host.run_job(&job, start).await.expect("a run").end
    };
    for _ in 0..3 {
        let end = run().await;
        let RunEnd::NeedsMerchant { unanswered } = end else { panic!("{end:?}") };
        assert!(unanswered.request.ends_with("/export") && unanswered.attempts == 1, "{unanswered:?}");
    }
    assert_eq!(gems.sent("1"), 1);
    cartwright::durable::retry(&*journal, &*clock).await.expect("written");
    assert!(matches!(run().await, RunEnd::Done));
    assert_eq!((gems.sent("1"), gems.twikit.internal_orders().len()), (2, 2));
}
