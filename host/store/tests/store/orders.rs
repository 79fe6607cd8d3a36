//! Tests of orders as the host knows them.

use cartwright::OrderBook;
use cartwright::durable::Journal;
use cartwright::types::{Address, Order, OrderEvent, OrderEventKind};
use cartwright_store::{Claim, Lines, NewJob, RecordOutcome, Store, StoreError};
use serde_json::json;

use crate::database::{
    Database, account, at, claimed, event_of, job, line_status, on_each_database, order, record, shop,
};
use crate::journals::{began, outcome_record};

on_each_database!(
    the_newest_version_of_an_order_is_known,
    other_content_under_a_known_version_is_refused,
    of_two_contents_of_one_version_one_is_taken,
    an_event_id_names_one_event,
    what_is_paid_back_or_cancelled_is_no_longer_released,
    a_job_is_told_the_same_event_in_every_run,
    an_order_hook_sees_all_lines,
    a_reference_belongs_to_one_order,
    a_reference_that_cannot_stand_is_nobodys,
    an_order_is_closed_when_the_platform_says_that_it_is_over,
    an_order_is_closed_when_its_last_line_is_shipped,
    an_order_is_closed_whoever_ships_its_last_line,
    what_nobody_can_read_is_not_closed,
);

async fn the_newest_version_of_an_order_is_known(database: Database) {
    let store = database.open().await;
    for (id, version) in [("e2", 2), ("e1", 1)] {
        let event = event_of(id, OrderEventKind::Paid, order("1", version));
        store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap();
    }
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap().unwrap().version, 2);
    assert_eq!(store.orders().get(&shop(), "2").await.unwrap(), None);
}

fn address(line1: &str) -> Address {
    let address = json!({
        "name": "Noor Voorbeeld", "first_name": null, "last_name": null, "email": "noor@example.test", "line1": line1, "line2": null,
        "zip": "1000", "city": "Brussel", "region": null, "country": "BE", "company": null, "vat": null, "phone": null,
        "extra": [],
    });
    serde_json::from_value(address).unwrap()
}

async fn other_content_under_a_known_version_is_refused(database: Database) {
    let store = database.open().await;
    let mut first = order("1", 5);
    first.delivery = Some(address("Oude Straat 1"));
    store
        .orders()
        .record_event(&shop(), &event_of("e0", OrderEventKind::Placed, first.clone()), &[], at(0))
        .await
        .unwrap();
    let changes: [fn(&mut Order); 9] = [
        |order| order.paid.minor = 100,
        |order| order.cancelled = true,
        |order| order.delivery = Some(address("Nieuwe Straat 2")),
        |order| order.billing = Some(address("Oude Straat 1")),
        |order| order.total.minor += 1,
        |order| order.lines[0].released = false,
        |order| order.lines[1].status = "shipped".into(),
        |order| order.lines[0].cart_line.quantity = 0,
        |order| drop(order.lines.pop()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = first.clone();
        change(&mut other);
        let event = event_of(&format!("other {number}"), OrderEventKind::Changed, other.clone());
        let error = store.orders().record_event(&shop(), &event, &[job("expivi")], at(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::SameVersion { version: 5, .. }), "{number}: {error}");
        assert!(error.to_string().contains("report it with a higher version"), "{error}");
    }
    assert_eq!(store.orders().events(&shop(), "1").await.unwrap().len(), 1, "nothing of it stands");
    // Several events may have the same content.
    store
        .orders()
        .record_event(&shop(), &event_of("e1", OrderEventKind::Paid, first.clone()), &[], at(1))
        .await
        .unwrap();
    first.version = 6;
    first.delivery = Some(address("Nieuwe Straat 2"));
    store.orders().record_event(&shop(), &event_of("e2", OrderEventKind::Changed, first), &[], at(2)).await.unwrap();
    let known = store.orders().get(&shop(), "1").await.unwrap().unwrap();
    assert_eq!(known.delivery.unwrap().line1, "Nieuwe Straat 2");
}

async fn of_two_contents_of_one_version_one_is_taken(database: Database) {
    let store = database.open().await;
    for version in [1, 2] {
        // The second pair concerns a known order.
        let event = |id: &str, minor| {
            let mut order = order("1", version);
            order.total.minor = minor;
            event_of(&format!("{id}{version}"), OrderEventKind::Changed, order)
        };
        let (one, two, shop) = (event("a", 100), event("b", 200), shop());
        let (one, two) = tokio::join!(
            store.orders().record_event(&shop, &one, &[], at(0)),
            store.orders().record_event(&shop, &two, &[], at(0))
        );
        let refused = one.as_ref().err().or(two.as_ref().err()).expect("a refusal");
        assert!(matches!(refused, StoreError::SameVersion { .. }), "{refused}");
        assert!(one.is_ok() != two.is_ok());
    }
}

async fn an_event_id_names_one_event(database: Database) {
    let store = database.open().await;
    let first = event_of("e1", OrderEventKind::Placed, order("1", 1));
    let recorded =
        async |event: &OrderEvent| store.orders().record_event(&shop(), event, &[job("expivi")], at(0)).await;
    assert!(matches!(recorded(&first).await.unwrap(), RecordOutcome::New { .. }));
    let others = [
        event_of("e1", OrderEventKind::Placed, order("2", 1)),
        event_of("e1", OrderEventKind::Placed, order("1", 2)),
        event_of("e1", OrderEventKind::Paid, order("1", 1)),
        OrderEvent { at: "2026-01-02T12:00:00Z".into(), ..first.clone() },
    ];
    for other in others {
        let error = recorded(&other).await.unwrap_err();
        assert!(matches!(&error, StoreError::EventIdTaken { order, .. } if order == "1"), "{error}");
    }
    assert_eq!(store.orders().get(&shop(), "2").await.unwrap(), None);
    // This also holds after the order has a newer version.
    store
        .orders()
        .record_event(&shop(), &event_of("e2", OrderEventKind::Changed, order("1", 2)), &[], at(1))
        .await
        .unwrap();
    assert_eq!(recorded(&first).await.unwrap(), RecordOutcome::AlreadyRecorded);
}

async fn what_is_paid_back_or_cancelled_is_no_longer_released(database: Database) {
    let store = database.open().await;
    let ways: [fn(&mut Order); 2] = [|order| order.refunded = order.paid.clone(), |order| order.cancelled = true];
    for (number, end) in ways.into_iter().enumerate() {
        let id = number.to_string();
        record(&store, &format!("{id} is paid"), &id, 0).await;
        let find = async || {
            let found = store.find(&shop(), &account("expivi"), &format!("test:shop:{id}")).await.unwrap().unwrap();
            (found.released, found.lines[0].released)
        };
        assert_eq!(find().await, (true, true));
        let mut over = order(&id, 2);
        end(&mut over);
        report(&store, &format!("{id} is over"), over).await;
        assert_eq!(find().await, (false, false));
        // An earlier payment changes nothing.
        report(&store, &format!("{id} was paid"), order(&id, 1)).await;
        assert_eq!(find().await, (false, false));
        report(&store, &format!("{id} is paid again"), order(&id, 3)).await;
        assert_eq!(find().await, (true, true));
    }
}

async fn a_job_is_told_the_same_event_in_every_run(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let first = claimed(&store, 0).await;
    let mut cancelled = order("1", 2);
    cancelled.cancelled = true;
    store
        .orders()
        .record_event(&shop(), &event_of("e2", OrderEventKind::Cancelled, cancelled), &[job("expivi")], at(1))
        .await
        .unwrap();
    let second = claimed(&store, 100).await;
    assert_eq!(second.job.event, first.job.event);
    store.jobs().finish(&second.lease, Ok(&cartwright::durable::RunEnd::Done), at(101)).await.unwrap();
    assert!(claimed(&store, 101).await.job.event.order.cancelled);
}

async fn an_order_hook_sees_all_lines(database: Database) {
    let store = database.open().await;
    let hook = NewJob { lines: Lines::All, ..job("erp") };
    store
        .orders()
        .record_event(&shop(), &event_of("e1", OrderEventKind::Paid, order("1", 1)), &[hook], at(0))
        .await
        .unwrap();
    assert_eq!(claimed(&store, 0).await.job.event.order.lines.len(), 2);
    assert_eq!(store.find(&shop(), &account("erp"), "test:shop:1").await.unwrap().unwrap().lines.len(), 2);
}

async fn a_reference_belongs_to_one_order(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let mut other = order("2", 1);
    other.reference = "test:shop:1".into();
    let event = event_of("e2", OrderEventKind::Paid, other);
    let error = store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    // Nothing of it is stored.
    assert_eq!(store.orders().get(&shop(), "2").await.unwrap(), None);
}

/// Returns the audit entries of orders, latest last.
async fn logged(store: &Store) -> Vec<String> {
    let mut entries = store.audit().entries(Some(&shop()), None, 100).await.unwrap();
    entries.reverse();
    entries.into_iter().map(|entry| format!("{} {} {}", entry.actor, entry.action, entry.subject)).collect()
}

async fn report(store: &Store, event: &str, order: Order) {
    store.orders().record_event(&shop(), &event_of(event, OrderEventKind::Changed, order), &[], at(1)).await.unwrap();
}

async fn set_status(run: &Claim, position: usize, line: &str, status: &str) {
    let record = outcome_record(&position.to_string(), line_status(line, status), at(1));
    run.journal.append(position, &record).await.unwrap();
}

async fn an_order_is_closed_when_the_platform_says_that_it_is_over(database: Database) {
    let ways: [fn(&mut Order); 3] = [
        |order| order.cancelled = true,
        |order| order.refunded = order.paid.clone(),
        |order| {
            order.lines[0].status = "shipped".into();
            order.lines[1].status = "cancelled".into();
        },
    ];
    let store = database.open().await;
    for (number, end) in ways.into_iter().enumerate() {
        let id = number.to_string();
        record(&store, &format!("{id} is placed"), &id, 0).await;
        let before = logged(&store).await.len();
        for version in [2, 3] {
            let mut over = order(&id, version);
            end(&mut over);
            report(&store, &format!("{id} is over in {version}"), over).await;
        }
        // An old version changes nothing.
        report(&store, &format!("{id} was placed"), order(&id, 1)).await;
        report(&store, &format!("{id} goes on"), order(&id, 4)).await;
        let expected = [format!("host close-order {id}"), format!("host open-order {id}")];
        assert_eq!(logged(&store).await[before..], expected);
    }
}

async fn an_order_is_closed_when_its_last_line_is_shipped(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    set_status(&run, 1, "1", "shipped").await;
    set_status(&run, 2, "2", "ready").await;
    assert!(logged(&store).await.is_empty());
    set_status(&run, 3, "2", "shipped").await;
    assert_eq!(logged(&store).await, ["host close-order 1"]);
    // A platform without statuses reports nothing new about them.
    report(&store, "e2", order("1", 2)).await;
    assert_eq!(logged(&store).await.len(), 1);
    let mut returned = order("1", 3);
    returned.lines[0].status = "in-production".into();
    report(&store, "e3", returned).await;
    assert_eq!(logged(&store).await, ["host close-order 1", "host open-order 1"]);
    // It is shipped again.
    set_status(&run, 4, "1", "shipped").await;
    assert_eq!(logged(&store).await.last().unwrap(), "host close-order 1");
}

async fn an_order_is_closed_whoever_ships_its_last_line(database: Database) {
    let store = database.open().await;
    for number in 0..10 {
        let id = number.to_string();
        let event = event_of(&id, OrderEventKind::Released, order(&id, 1));
        store.orders().record_event(&shop(), &event, &[job("expivi"), job("twikit")], at(0)).await.unwrap();
        let runs = [claimed(&store, 0).await, claimed(&store, 0).await];
        for run in &runs {
            run.journal.append(0, &began(at(0))).await.unwrap();
        }
        tokio::join!(set_status(&runs[0], 1, "1", "shipped"), set_status(&runs[1], 1, "2", "shipped"));
        assert_eq!(logged(&store).await.last(), Some(&format!("host close-order {id}")));
    }
}

async fn what_nobody_can_read_is_not_closed(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let run = claimed(&store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    set_status(&run, 1, "1", "shipped").await;
    database.tamper("update order_outcomes set outcome = order_key from orders").await;
    report(&store, "e2", order("1", 2)).await;
    assert!(logged(&store).await.is_empty());
    assert_eq!(
        store.orders().get(&shop(), "1").await.unwrap_err().to_string().split(';').next(),
        Some("the database is damaged")
    );
}

async fn a_reference_that_cannot_stand_is_nobodys(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    for reference in ["\0", "test:shop:1\0", "test:shop\0:1", ""] {
        assert_eq!(store.find(&shop(), &account("expivi"), reference).await.unwrap(), None, "{reference:?}");
    }
}
