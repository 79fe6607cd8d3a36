//! Orders as the host knows them.

use cartwright::OrderBook;
use cartwright::types::EventKind;
use cartwright_store::{Lines, NewJob, StoreError};

use crate::database::{Database, account, at, claimed, event_of, job, on_each_database, order, record, shop};

on_each_database!(
    the_newest_version_of_an_order_is_known,
    a_job_is_told_the_same_event_in_every_run,
    an_order_hook_sees_all_lines,
    a_reference_belongs_to_one_order,
);

async fn the_newest_version_of_an_order_is_known(database: Database) {
    let store = database.open().await;
    for (id, version) in [("e2", 2), ("e1", 1)] {
        let event = event_of(id, EventKind::Paid, order("1", version));
        store.record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap();
    }
    assert_eq!(store.order(&shop(), "1").await.unwrap().unwrap().version, 2);
    assert_eq!(store.order(&shop(), "2").await.unwrap(), None);
}

async fn a_job_is_told_the_same_event_in_every_run(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let first = claimed(&store, 0).await;
    let mut cancelled = order("1", 2);
    cancelled.cancelled = true;
    store
        .record_event(&shop(), &event_of("e2", EventKind::Cancelled, cancelled), &[job("expivi")], at(1))
        .await
        .unwrap();
    let second = claimed(&store, 100).await;
    assert_eq!(second.job.event, first.job.event);
    store.finish(&second.lease, Ok(&cartwright::durable::RunEnd::Done), at(101)).await.unwrap();
    assert!(claimed(&store, 101).await.job.event.order.cancelled);
}

async fn an_order_hook_sees_all_lines(database: Database) {
    let store = database.open().await;
    let hook = NewJob { lines: Lines::All, ..job("erp") };
    store.record_event(&shop(), &event_of("e1", EventKind::Paid, order("1", 1)), &[hook], at(0)).await.unwrap();
    assert_eq!(claimed(&store, 0).await.job.event.order.lines.len(), 2);
    assert_eq!(store.find(&shop(), &account("erp"), "test:shop:1").await.unwrap().unwrap().lines.len(), 2);
}

async fn a_reference_belongs_to_one_order(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let mut other = order("2", 1);
    other.reference = "test:shop:1".into();
    let event = event_of("e2", EventKind::Paid, other);
    let error = store.record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    // Nothing of it stands.
    assert_eq!(store.order(&shop(), "2").await.unwrap(), None);
}
