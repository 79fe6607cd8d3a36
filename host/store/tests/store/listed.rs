//! Tests of the order list, and of the reports about one order.

use cartwright::durable::Journal;
use cartwright::types::{Message, Order, OrderEventKind, Outcome, WebhookRequest, WebhookResponse};
use cartwright::webhook::{Destination, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore};
use cartwright::{Digest, timestamp};
use cartwright_store::{JobFilter, OrderFilter, Store, StoreError, UnfinishedJobs};

use crate::database::{Database, account, at, claimed, event_of, job, on_each_database, order, record, shop};
use crate::journals::{began, outcome_record};
use crate::webhooks::ready;

on_each_database!(
    orders_are_listed_by_pages_the_newest_first,
    an_order_is_found_by_a_part_of_its_id_or_by_its_number,
    a_list_says_what_waits_and_what_was_erased,
    a_released_order_waits_while_a_line_is_held_back,
    what_an_order_was_told_is_listed_without_its_data,
    a_damaged_row_hides_no_other,
);

async fn listed(store: &Store, search: Option<&str>, after: Option<&str>, limit: u32) -> Vec<String> {
    let filter = OrderFilter { search: search.map(str::to_owned), after: after.map(str::to_owned) };
    store.orders().list(&shop(), &filter, limit).await.unwrap().into_iter().map(|listed| listed.id).collect()
}

async fn orders_are_listed_by_pages_the_newest_first(database: Database) {
    let store = database.open().await;
    // Two were reported at the same time.
    for (id, seconds) in [("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 3)] {
        record(&store, id, id, seconds).await;
    }
    // A later change keeps its position, so that pages neither repeat nor omit an order.
    let change = event_of("a2", OrderEventKind::Changed, order("a", 2));
    store.orders().record_event(&shop(), &change, &[job("expivi")], at(9)).await.unwrap();
    assert_eq!(listed(&store, None, None, 2).await, ["e", "d"]);
    assert_eq!(listed(&store, None, Some("d"), 2).await, ["c", "b"]);
    assert_eq!(listed(&store, None, Some("b"), 2).await, ["a"]);
    // The order under which a quote is stored is not listed.
    record(&store, "q", "~quotation-q", 9).await;
    assert_eq!(listed(&store, None, None, 1).await, ["e"]);
    assert!(store.orders().listed_order(&shop(), "~quotation-q").await.unwrap().is_some());
    let other = "other".parse().unwrap();
    assert_eq!(store.orders().list(&other, &OrderFilter::default(), 9).await.unwrap(), []);
}

async fn an_order_is_found_by_a_part_of_its_id_or_by_its_number(database: Database) {
    let store = database.open().await;
    for id in ["gid-1001", "gid-1002", "100%", "1_0"] {
        record(&store, id, id, 0).await;
    }
    let mut numbered = order("gid-1002", 2);
    numbered.number = "Web/77".into();
    store.orders().record_event(&shop(), &event_of("n", OrderEventKind::Changed, numbered), &[], at(1)).await.unwrap();
    assert_eq!(listed(&store, Some("1001"), None, 9).await, ["gid-1001"]);
    assert_eq!(listed(&store, Some("GID-"), None, 9).await, ["gid-1002", "gid-1001"]);
    for number in ["#web/77", " WEB/77 "] {
        assert_eq!(listed(&store, Some(number), None, 9).await, ["gid-1002"], "{number}");
    }
    // A former number, and a part of one.
    for nothing in ["#gid-1002", "Web/7"] {
        assert_eq!(listed(&store, Some(nothing), None, 9).await, [""; 0], "{nothing}");
    }
    // No character is a wildcard.
    assert_eq!(listed(&store, Some("0%"), None, 9).await, ["100%"]);
    assert_eq!(listed(&store, Some("1_"), None, 9).await, ["1_0"]);
    for invalid in ["!", "\0"] {
        assert_eq!(listed(&store, Some(invalid), None, 9).await, [""; 0]);
    }
}

async fn a_list_says_what_waits_and_what_was_erased(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    record(&store, "e2", "2", 1).await;
    let run = claimed(&store, 2).await;
    run.journal.append(0, &began(at(2))).await.unwrap();
    let ask = Message { key: "look".into(), parameters: vec![], text: "Look at it".into() };
    run.journal.append(1, &outcome_record("1", Outcome::NeedsMerchant(ask), at(2))).await.unwrap();
    store.personal_data().erase_order(&shop(), "2", UnfinishedJobs::Cancel, "ann", at(3)).await.unwrap();
    store.orders().close_order(&shop(), "1", "ann", at(4)).await.unwrap();
    let all = store.orders().list(&shop(), &OrderFilter::default(), 9).await.unwrap();
    let summaries: Vec<_> =
        all.iter().map(|listed| (listed.id.as_str(), listed.order.is_some(), listed.needs_attention)).collect();
    assert_eq!(summaries, [("2", false, false), ("1", true, true)]);
    assert_eq!((all[1].created, all[1].closed), (at(0), Some(at(4))));
    assert_eq!(store.orders().listed_order(&shop(), "1").await.unwrap().as_ref(), all.last());
    assert_eq!(store.orders().listed_order(&shop(), "3").await.unwrap(), None);
    // An erased order has no number any more.
    assert_eq!(listed(&store, Some("#2"), None, 9).await, [""; 0]);
    assert_eq!(listed(&store, Some("#1"), None, 9).await, ["1"]);
}

/// Records a version of the order "1" whose second line is on hold, unless `change` changes it.
async fn held_back(store: &Store, version: u64, change: fn(&mut Order)) {
    let mut order = order("1", version);
    order.lines[1].released = false;
    change(&mut order);
    let event = event_of(&format!("e{version}"), OrderEventKind::Changed, order);
    store.orders().record_event(&shop(), &event, &[], at(version)).await.unwrap();
}

async fn a_released_order_waits_while_a_line_is_held_back(database: Database) {
    let store = database.open().await;
    let needs_attention = async || {
        let listed = store.orders().list(&shop(), &OrderFilter::default(), 9).await.unwrap();
        let order_ids: Vec<String> =
            listed.into_iter().filter(|listed| listed.needs_attention).map(|listed| listed.id).collect();
        assert_eq!(store.orders().needing_attention(&shop()).await.unwrap(), order_ids);
        !order_ids.is_empty()
    };
    // An unpaid order waits for its payment.
    held_back(&store, 1, |order| order.released = false).await;
    assert!(!needs_attention().await);
    held_back(&store, 2, |_| {}).await;
    assert!(needs_attention().await);
    held_back(&store, 3, |order| order.lines[1].status = "cancelled".into()).await;
    assert!(!needs_attention().await);
    held_back(&store, 4, |_| {}).await;
    assert!(needs_attention().await);
    held_back(&store, 5, |order| order.lines[1].released = true).await;
    assert!(!needs_attention().await);
    held_back(&store, 6, |_| {}).await;
    store.orders().close_order(&shop(), "1", "ann", at(6)).await.unwrap();
    assert!(!needs_attention().await);
    held_back(&store, 7, |_| {}).await;
    assert!(needs_attention().await);
    store.personal_data().erase_order(&shop(), "1", UnfinishedJobs::Cancel, "ann", at(8)).await.unwrap();
    assert!(!needs_attention().await);
    let mut quote_order = order("~quotation-q", 1);
    quote_order.lines[0].released = false;
    store
        .orders()
        .record_event(&shop(), &event_of("q", OrderEventKind::QuoteRequested, quote_order), &[], at(9))
        .await
        .unwrap();
    assert!(!needs_attention().await);
}

async fn what_an_order_was_told_is_listed_without_its_data(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "1", 0).await;
    let cancelled = event_of("e2", OrderEventKind::Cancelled, order("1", 2));
    store.orders().record_event(&shop(), &cancelled, &[], at(5)).await.unwrap();
    record(&store, "other", "2", 6).await;
    let events = store.orders().events(&shop(), "1").await.unwrap();
    let summaries: Vec<_> = events.iter().map(|event| (event.id.as_str(), event.kind.as_str(), event.at)).collect();
    assert_eq!(summaries, [("e1", "released", at(0)), ("e2", "cancelled", at(5))]);
    let request = WebhookRequest {
        id: "request-1".to_owned(),
        received_at: timestamp(at(7)),
        method: "POST".to_owned(),
        headers: vec![],
        query: String::new(),
        body: vec![1],
        extra: vec![],
    };
    let destination = Destination { shop: shop(), account: account("expivi"), endpoint: "done".into() };
    let id = WebhookDeliveryId::Event(Digest::of(b"e-1"));
    let notice = WebhookDelivery { destination, id, at: at(7), duplicate_since: None, request };
    let response = WebhookResponse { status: 202, headers: vec![], body: vec![] };
    store.begin(&notice).await.unwrap();
    store.complete(&notice, ready("1"), &response).await.unwrap();
    let notices = store.orders().webhooks(&shop(), "1").await.unwrap();
    let summaries: Vec<_> = notices.iter().map(|notice| (notice.endpoint.as_str(), notice.at, notice.status)).collect();
    assert_eq!(summaries, [("done", at(7), Some(202))]);
    assert_eq!(store.orders().webhooks(&shop(), "2").await.unwrap(), []);
}

async fn a_damaged_row_hides_no_other(database: Database) {
    let store = database.open().await;
    for (id, seconds) in [("1", 0), ("2", 1), ("3", 2)] {
        record(&store, id, id, seconds).await;
        store.orders().close_order(&shop(), id, "ann", at(seconds)).await.unwrap();
    }
    database.tamper("update orders set content = (select content from orders where id = '1') where id = '2'").await;
    let all = store.orders().list(&shop(), &OrderFilter::default(), 9).await.unwrap();
    let summaries: Vec<_> =
        all.iter().map(|listed| (listed.id.as_str(), listed.order.is_some(), listed.damaged)).collect();
    assert_eq!(summaries, [("3", true, false), ("2", false, true), ("1", true, false)]);
    // A damaged row does not shorten a page.
    database.tamper("update jobs set plugin = 'none' where event = '2'").await;
    let jobs = store.jobs().list(&JobFilter::default(), 2).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.event.as_str()).collect::<Vec<_>>(), ["1", "3"]);
    let damaged = store.jobs().get("shop:expivi:2").await.unwrap_err();
    assert!(matches!(damaged, StoreError::Corrupt(_)), "{damaged}");
    let damaged = "insert into audit_log (at, actor, action, shop, subject, after) values (9, 'ann', 'close-order', 'shop', '4', '{')";
    database.tamper(damaged).await;
    let entries = store.audit().entries(Some(&shop()), None, 2).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["3", "2"]);
}
