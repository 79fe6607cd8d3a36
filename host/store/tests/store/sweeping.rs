//! Tests that a sweep deletes what has exceeded its retention, and nothing that is needed.

use std::time::{Duration, SystemTime};

use cartwright::durable::{Call, Entry, Journal, Record, RunEnd};
use cartwright::types::{
    Audience, BytesSource, Document, Message, Order, OrderEventKind, Outcome, RetrySafety, WebhookRequest,
    WebhookResponse,
};
use cartwright::webhook::{Destination, Effects, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore};
use cartwright::{Blobs, Digest, timestamp};
use cartwright_store::{Claim, JobFilter, NewAuditEntry, Retention, RetryMode, Store, StoreError, SweepReport};

use crate::database::{
    Database, account, at, claimed, configured, event_of, job, line_status, on_each_database, order, record, shop,
};
use crate::journals::{began, outcome_record};
use crate::setup::rings;

on_each_database!(
    what_carts_left_behind_goes_at_its_time_and_orders_keep_theirs,
    what_a_seal_holds_over_is_kept_as_long_as_the_seal,
    what_vendors_sent_goes_at_its_time_unless_it_waits_for_a_person,
    journals_go_when_their_job_has_long_been_over,
    an_answer_takes_no_configuration_with_the_same_bytes_with_it,
    a_job_that_is_not_over_keeps_its_journal_and_its_orders_answers,
    a_job_whose_journals_are_gone_still_counts_its_requests,
    documents_go_when_the_order_is_closed,
    an_order_that_nobody_speaks_of_any_more_is_not_open,
    the_log_goes_at_its_time,
    many_things_go_in_one_sweep,
    an_order_is_forgotten_when_the_vendors_were_told,
    an_order_is_forgotten_in_time_even_when_a_vendor_was_not_told,
);

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

async fn sweep(store: &Store, now: SystemTime) -> SweepReport {
    store.sweep(&Retention::default(), now).await.unwrap()
}

async fn ordered(store: &Store, order: Order) -> Claim {
    let id = format!("e{}", order.id);
    store
        .orders()
        .record_event(&shop(), &event_of(&id, OrderEventKind::Paid, order), &[job("expivi")], at(0))
        .await
        .unwrap();
    let run = claimed(store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    run
}

async fn say(run: &Claim, position: usize, outcome: Outcome) {
    run.journal.append(position, &outcome_record(&position.to_string(), outcome, at(0))).await.unwrap();
}

fn document(bytes: &[u8]) -> Outcome {
    Outcome::Document(Document {
        line: None,
        kind: "drawing".into(),
        name: "ring.svg".into(),
        media_type: "image/svg+xml".into(),
        content: BytesSource::Bytes(bytes.to_vec()),
        audience: Audience::Shopper,
        extra: vec![],
    })
}

async fn what_carts_left_behind_goes_at_its_time_and_orders_keep_theirs(database: Database) {
    let store = database.open().await;
    let left = configured(&store, None, b"left", &[b"a picture"]).await;
    let picture = Digest::of(b"a picture");
    let needed_again = configured(&store, None, b"needed again", &[b"another picture"]).await;
    assert_eq!(store.touch(&shop(), &[needed_again, Digest::of(b"unknown")]).await.unwrap(), [Digest::of(b"unknown")]);
    let bought = configured(&store, None, b"bought", &[]).await;
    let mut order = order("1", 1);
    order.lines[0].configuration = Some(bought.to_string());
    let now = SystemTime::now();
    store
        .orders()
        .record_event(&shop(), &event_of("e1", OrderEventKind::Paid, order), &[job("expivi")], now)
        .await
        .unwrap();
    assert_eq!(sweep(&store, SystemTime::now() + days(29)).await, SweepReport::default());
    // Configurations that no cart needed again are deleted first.
    let swept = sweep(&store, SystemTime::now() + days(31)).await;
    assert_eq!(swept, SweepReport { configurations: 2, pictures: 1, ..SweepReport::default() });
    assert_eq!(sweep(&store, SystemTime::now() + days(89)).await, SweepReport::default());
    assert!(store.get(&shop(), &needed_again).await.unwrap().is_some());
    let swept = sweep(&store, SystemTime::now() + days(91)).await;
    assert_eq!(swept, SweepReport { configurations: 1, pictures: 1, ..SweepReport::default() });
    assert_eq!(store.get(&shop(), &left).await.unwrap(), None);
    assert_eq!(store.get(&shop(), &picture).await.unwrap(), None);
    assert_eq!(store.get(&shop(), &bought).await.unwrap().unwrap(), b"bought");
}

async fn what_a_seal_holds_over_is_kept_as_long_as_the_seal(database: Database) {
    let store = database.open().await;
    let mut rings = rings();
    rings.seal_seconds = 60 * 24 * 3600;
    store.shops().save_shop(&rings, at(0)).await.unwrap();
    let left = configured(&store, None, b"left", &[]).await;
    assert_eq!(sweep(&store, SystemTime::now() + days(59)).await, SweepReport::default());
    assert!(store.get(&shop(), &left).await.unwrap().is_some());
    assert_eq!(sweep(&store, SystemTime::now() + days(61)).await.configurations, 1);
}

async fn what_vendors_sent_goes_at_its_time_unless_it_waits_for_a_person(database: Database) {
    let store = database.open().await;
    ordered(&store, order("1", 1)).await;
    let to = Destination { shop: shop(), account: account("expivi"), endpoint: "done".into() };
    let request = WebhookRequest {
        id: "request-1".to_owned(),
        received_at: timestamp(at(0)),
        method: "POST".to_owned(),
        headers: vec![],
        query: String::new(),
        body: b"{}".to_vec(),
        extra: vec![],
    };
    let notice = |id: &str| {
        let id = WebhookDeliveryId::Event(Digest::of(id.as_bytes()));
        WebhookDelivery { destination: to.clone(), id, at: at(0), duplicate_since: None, request: request.clone() }
    };
    let note = Message { key: "told".into(), parameters: vec![], text: "Told.".into() };
    let outcomes = vec![
        (Some("test:shop:1".to_owned()), Outcome::Note(note.clone())),
        (None, Outcome::Note(note.clone())),
        (None, Outcome::NeedsMerchant(note)),
    ];
    let response = WebhookResponse { status: 200, headers: vec![], body: vec![] };
    for id in ["answered", "failed"] {
        store.begin(&notice(id)).await.unwrap();
    }
    store.complete(&notice("answered"), Effects { outcomes, messages: vec![] }, &response).await.unwrap();
    store.fail(&notice("failed"), "no such order").await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(90)).await, SweepReport::default());
    assert_eq!(sweep(&store, at(1) + days(90)).await, SweepReport { webhooks: 3, ..SweepReport::default() });
    assert!(store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap().is_empty());
    assert_eq!(store.webhooks().account_outcomes(&shop(), None, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 1);
}

async fn journals_go_when_their_job_has_long_been_over(database: Database) {
    let store = database.open().await;
    let run = ordered(&store, order("1", 1)).await;
    let answer = run.journal.blobs().unwrap().put(&shop(), b"an answer".to_vec(), "text/plain").await.unwrap();
    database.tamper(&format!("update blobs set created_at = {}", 1_767_268_800_000_i64)).await;
    say(&run, 1, document(b"<svg/>")).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(90)).await, SweepReport::default());
    let swept = sweep(&store, at(2) + days(90)).await;
    assert_eq!(swept, SweepReport { journals: 1, answers: 1, ..SweepReport::default() });
    assert_eq!(store.get(&shop(), &answer).await.unwrap(), None);
    // The result of the job stays, and so does its completion.
    assert_eq!(store.get(&shop(), &Digest::of(b"<svg/>")).await.unwrap().unwrap(), b"<svg/>");
    let detail = store.jobs().get(&run.job.id).await.unwrap();
    assert_eq!((detail.outcomes.len(), detail.summary.state.name()), (1, "done"));
    assert!(detail.journals.iter().all(|(_, records)| records.is_empty()));
    assert_eq!(sweep(&store, at(3) + days(90)).await, SweepReport::default());
}

async fn an_answer_takes_no_configuration_with_the_same_bytes_with_it(database: Database) {
    let store = database.open().await;
    let run = ordered(&store, order("1", 1)).await;
    run.journal.blobs().unwrap().put(&shop(), b"the same".to_vec(), "text/plain").await.unwrap();
    let same = store.put(&shop(), b"the same".to_vec(), "application/json").await.unwrap();
    let mut changed = order("1", 2);
    changed.lines[0].configuration = Some(same.to_string());
    store.orders().record_event(&shop(), &event_of("e2", OrderEventKind::Changed, changed), &[], at(0)).await.unwrap();
    database.tamper(&format!("update blobs set created_at = {}", 1_767_268_800_000_i64)).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    assert_eq!(sweep(&store, at(2) + days(90)).await.answers, 0);
    assert_eq!(store.get(&shop(), &same).await.unwrap().unwrap(), b"the same");
}

async fn a_job_that_is_not_over_keeps_its_journal_and_its_orders_answers(database: Database) {
    let store = database.open().await;
    let run = ordered(&store, order("1", 1)).await;
    let answer = run.journal.blobs().unwrap().put(&shop(), b"an answer".to_vec(), "text/plain").await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Sleep { until: at(0) + days(4000) }), at(1)).await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(3999)).await, SweepReport { closed: 1, ..SweepReport::default() });
    assert_eq!(store.get(&shop(), &answer).await.unwrap().unwrap(), b"an answer");
    assert_eq!(store.jobs().get(&run.job.id).await.unwrap().journals[0].1.len(), 1);
}

async fn a_job_whose_journals_are_gone_still_counts_its_requests(database: Database) {
    let store = database.open().await;
    let run = ordered(&store, order("1", 1)).await;
    let call = Call { import: "http.send".into(), label: "POST".into(), digest: Digest::of(b"call") };
    let intent = Entry::Intent { call: call.clone(), retry_safety: RetrySafety::Idempotent, attempt: 1 };
    run.journal.append(1, &Record { at: at(1), entry: intent }).await.unwrap();
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    assert_eq!(sweep(&store, at(2) + days(90)).await.journals, 1);
    store.jobs().retry(&run.job.id, RetryMode::Restart, "ann", at(2) + days(90)).await.unwrap();
    let again = claimed(&store, 91 * 24 * 3600).await;
    assert_eq!(again.journal.load().await.unwrap().earlier_attempts.get(&call.digest), Some(&1));
    store.jobs().finish(&again.lease, Ok(&RunEnd::Done), at(0) + days(91)).await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(180)).await.journals, 0);
    assert_eq!(sweep(&store, at(0) + days(182)).await.journals, 1);
}

async fn documents_go_when_the_order_is_closed(database: Database) {
    let store = database.open().await;
    let kept_open = Retention { open: days(10_000), ..Retention::default() };
    let shipped = |line: &str| line_status(line, "shipped");
    for (id, lines) in [("1", &["1"][..]), ("2", &["1", "2"])] {
        let run = ordered(&store, order(id, 1)).await;
        say(&run, 1, document(format!("<svg>{id}</svg>").as_bytes())).await;
        for (number, line) in lines.iter().enumerate() {
            say(&run, number + 2, shipped(line)).await;
        }
        store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    }
    assert_eq!(store.sweep(&kept_open, at(0) + days(729)).await.unwrap().documents, 0);
    assert_eq!(store.sweep(&kept_open, at(0) + days(731)).await.unwrap().documents, 1);
    assert!(store.get(&shop(), &Digest::of(b"<svg>1</svg>")).await.unwrap().is_some());
    assert!(store.get(&shop(), &Digest::of(b"<svg>2</svg>")).await.unwrap().is_none());
    let mut cancelled = order("1", 2);
    cancelled.cancelled = true;
    let event = event_of("c1", OrderEventKind::Cancelled, cancelled);
    store.orders().record_event(&shop(), &event, &[], at(0) + days(731)).await.unwrap();
    assert_eq!(store.sweep(&kept_open, at(0) + days(732)).await.unwrap().documents, 1);
}

async fn an_order_that_nobody_speaks_of_any_more_is_not_open(database: Database) {
    let store = database.open().await;
    let run = ordered(&store, order("1", 1)).await;
    say(&run, 1, document(b"<svg/>")).await;
    store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(1)).await.unwrap();
    let event = event_of("e2", OrderEventKind::Changed, order("1", 2));
    store.orders().record_event(&shop(), &event, &[], at(0) + days(700)).await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(1064)).await.closed, 0);
    let swept = sweep(&store, at(0) + days(1066)).await;
    assert_eq!((swept.closed, swept.documents), (1, 1));
    let entry = store.audit().entries(Some(&shop()), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str()), ("host", "close-order", "1"));
    assert_eq!(sweep(&store, at(0) + days(1067)).await.closed, 0);
}

async fn the_log_goes_at_its_time(database: Database) {
    let store = database.open().await;
    for day in [0, 10] {
        let entry =
            NewAuditEntry { actor: "ann", action: "set-account", subject: "expivi", ..NewAuditEntry::default() };
        store.audit().log(&entry, at(0) + days(day)).await.unwrap();
    }
    assert_eq!(sweep(&store, at(0) + days(735)).await.log, 1);
    assert_eq!(store.audit().entries(None, None, 10).await.unwrap().len(), 1);
}

async fn many_things_go_in_one_sweep(database: Database) {
    let store = database.open().await;
    let entry = NewAuditEntry { actor: "ann", action: "set-account", subject: "expivi", ..NewAuditEntry::default() };
    store.audit().log(&entry, at(0)).await.unwrap();
    for _ in 0..9 {
        database
            .tamper(
                "insert into audit_log (at, actor, action, subject) select at, actor, action, subject from audit_log",
            )
            .await;
    }
    assert_eq!(sweep(&store, at(0) + days(735)).await.log, 512);
}

async fn an_order_is_forgotten_when_the_vendors_were_told(database: Database) {
    let store = database.open().await;
    record(&store, "e1", "2", 0).await;
    let jobs = [job("expivi"), job("twikit")];
    store
        .orders()
        .record_event(&shop(), &event_of("forget", OrderEventKind::Erase, order("1", 1)), &jobs, at(0))
        .await
        .unwrap();
    assert_eq!(sweep(&store, at(1)).await.erased, 0);
    for told in 0..3 {
        let run = claimed(&store, 1).await;
        // Vendors receive the addresses once more.
        assert!(run.job.event.order.id == "2" || run.job.event.kind == OrderEventKind::Erase);
        assert_eq!(sweep(&store, at(2)).await.erased, 0, "{told} are told");
        store.jobs().finish(&run.lease, Ok(&RunEnd::Done), at(2)).await.unwrap();
    }
    assert_eq!(sweep(&store, at(3)).await.erased, 1);
    assert!(matches!(store.orders().get(&shop(), "1").await, Err(StoreError::Erased(_))));
    assert!(store.orders().get(&shop(), "2").await.unwrap().is_some());
    assert_eq!(sweep(&store, at(4)).await, SweepReport::default());
}

async fn an_order_is_forgotten_in_time_even_when_a_vendor_was_not_told(database: Database) {
    let store = database.open().await;
    let event = event_of("forget", OrderEventKind::Erase, order("1", 1));
    store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap();
    assert_eq!(sweep(&store, at(0) + days(19)).await.erased, 0);
    assert_eq!(sweep(&store, at(0) + days(21)).await.erased, 1);
    assert!(store.jobs().list(&JobFilter::default(), 10).await.unwrap().is_empty());
    let entry = store.audit().entries(None, None, 1).await.unwrap().remove(0);
    assert_eq!(entry.before.unwrap()["unfinished jobs"], 1);
}
