//! Several nodes on one PostgreSQL: one node at a time runs each job, and the jobs of a killed node continue on the
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cartwright_store::JobState;
use serde_json::json;

use super::shops::{Database, Jewels, start_node};

const ORDERS: usize = 60;

async fn share_the_work(nodes: usize) {
    let Some(database) = Database::postgres().await else { return };
    let jewels = Jewels::on(&database, json!({})).await;
    jewels.twikit.faults().delay(Duration::from_millis(300));
    let mut orders = Vec::new();
    for number in 0..ORDERS {
        orders.push(jewels.stored.released(&format!("o-{number}")).await.0);
    }
    let mut running: Vec<_> = (0..nodes).map(|number| start_node(&database.url, &format!("node-{number}"))).collect();
    // The first node is killed in the middle of its work.
    let mut held = 0;
    for _ in 0..3000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let at_work = |state: &JobState| matches!(state, JobState::Running | JobState::Waiting);
        let jobs = jewels.stored.jobs().await;
        let of_first = jobs.iter().filter(|job| job.worker.as_deref() == Some("node-0") && at_work(&job.state));
        held = of_first.count();
        if held > 0 && jewels.twikit.record().len() >= ORDERS / 10 {
            break;
        }
    }
    assert!(held > 0, "the first node never worked");
    let mut first = running.remove(0);
    first.kill().expect("killed");
    first.wait().expect("ended");
    let ended = tokio::task::spawn_blocking(move || {
        running.iter_mut().map(|node| node.wait().expect("ended").success()).collect::<Vec<_>>()
    });
    assert!(ended.await.expect("a thread").iter().all(|ended| *ended));
    let jobs = jewels.stored.jobs().await;
    assert!(jobs.len() == ORDERS && jobs.iter().all(|job| job.state == JobState::Done), "{jobs:?}");
    let by: BTreeSet<&str> = jobs.iter().filter_map(|job| job.worker.as_deref()).collect();
    assert!(by.len() >= nodes - 1, "{by:?}");
    for order in &orders {
        assert!(jewels.is_paid(order).await, "{}", order.id);
    }
    // Only requests in progress at the kill may have been repeated.
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for sent in jewels.twikit.record().on_path("/api/v1/orders") {
        let payload = sent.json()["orderPayload"].as_str().expect("a payload").to_owned();
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        *requests.entry(payload["identifier"].to_string()).or_default() += 1;
    }
    let again = requests.values().filter(|times| **times == 2).count();
    assert!(
        requests.len() == ORDERS && requests.values().all(|times| *times <= 2) && again <= held,
        "{again} of {held}"
    );
    assert_eq!(jewels.twikit.orders().len(), ORDERS);
    println!(
        "{nodes} nodes, {ORDERS} orders, one node killed with {held} jobs at work: all made once, {again} asked for again"
    );
}

#[tokio::test]
async fn two_nodes_share_the_work_and_one_goes_on_when_the_other_is_killed() {
    share_the_work(2).await;
}

#[tokio::test]
async fn four_nodes_share_the_work_and_three_go_on_when_one_is_killed() {
    share_the_work(4).await;
}
