//! Vendors that are unavailable, lose their responses or garble them, while a worker lives through a day of its own
//! clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::types::Outcome;
use cartwright_e2e::stored::{WoundClock, work};
use cartwright_fake_vendors::{Malformed, Outage};
use cartwright_store::{JobState, Worker, WorkerSettings};
use serde_json::json;

use super::shops::{Database, Jewels, StoredShopTest, Wardrobes};

const HOUR: Duration = Duration::from_secs(3600);

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_268_800)
}

/// Works until no job can continue without a person. `at` gets each time to which the clock moves.
async fn a_day(kept: &StoredShopTest, at: impl FnMut(SystemTime)) {
    let clock = Arc::new(WoundClock::at(noon()));
    let settings = WorkerSettings { poll: Duration::from_millis(5), ..WorkerSettings::new("node") };
    let worker = Worker::start(kept.host.clone(), kept.store.clone(), clock.clone(), settings);
    work(&kept.store, &*clock, at).await.expect("a store");
    worker.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_outlast_a_vendor_that_is_away_for_two_hours() {
    let database = Database::sqlite();
    let jewels = Jewels::on(&database, json!({})).await;
    let mut orders = Vec::new();
    for number in 0..20 {
        orders.push(jewels.stored.released(&format!("o-{number}")).await);
    }
    jewels.twikit.faults().outage(Outage::Unavailable { retry_after: None });
    let mut asked_while_away = 0;
    a_day(&jewels.stored, |at| {
        if at >= noon() + 2 * HOUR && asked_while_away == 0 {
            asked_while_away = jewels.twikit.record().len();
            jewels.twikit.faults().recover();
        }
    })
    .await;
    for (order, job) in &orders {
        assert_eq!(jewels.stored.state(job).await, JobState::Done, "{}", order.id);
        assert!(jewels.is_paid(order).await, "{}", order.id);
    }
    assert_eq!(jewels.twikit.orders().len(), 20);
    println!(
        "Twikit, away for two hours: 20 orders asked it {asked_while_away} times meanwhile, then each was made once"
    );
    // By the schedule alone, seven times each.
    assert!((1..20 * 7).contains(&asked_while_away), "{asked_while_away}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_answer_was_lost_is_made_once() {
    let database = Database::sqlite();
    let jewels = Jewels::on(&database, json!({})).await;
    jewels.twikit.faults().lose_replies(1);
    let (order, job) = jewels.stored.released("lost").await;
    a_day(&jewels.stored, |_| {}).await;
    assert_eq!((jewels.stored.state(&job).await, jewels.twikit.orders().len()), (JobState::Done, 1));
    assert!(jewels.is_paid(&order).await);
    let earlier = |outcome: &Outcome| matches!(outcome, Outcome::Note(message) if message.key == "created-earlier");
    assert!(jewels.stored.outcomes("lost").await.iter().any(earlier));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_answer_was_garbled_is_made_once() {
    let database = Database::sqlite();
    let jewels = Jewels::on(&database, json!({})).await;
    for (made, how) in [Malformed::Truncated, Malformed::Html, Malformed::WrongTypes].into_iter().enumerate() {
        jewels.twikit.faults().malform(how, 1);
        let (order, job) = jewels.stored.released(&format!("{how:?}")).await;
        a_day(&jewels.stored, |_| {}).await;
        assert_eq!(jewels.stored.state(&job).await, JobState::Done, "{how:?}");
        assert!(jewels.is_paid(&order).await && jewels.twikit.orders().len() == made + 1, "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expivi_that_is_away_for_two_hours_gets_its_upload_and_gives_its_print_file() {
    let database = Database::sqlite();
    let wardrobes = Wardrobes::on(&database).await;
    let (_, job) = wardrobes.stored.released("away").await;
    wardrobes.world.expivi.faults().outage(Outage::Unavailable { retry_after: None });
    let mut back = false;
    a_day(&wardrobes.stored, |at| {
        if at >= noon() + 2 * HOUR && !back {
            back = true;
            wardrobes.world.expivi.faults().recover();
        }
    })
    .await;
    assert_eq!((wardrobes.stored.state(&job).await, back), (JobState::Done, true));
    let outcomes = wardrobes.stored.outcomes("away").await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Document(_))), "{outcomes:?}");
    assert_eq!(wardrobes.world.expivi.uploaded().len(), 1);
}
