//! Tests of a claimed job's journal, and of the outcomes that it applies.

use std::time::SystemTime;

use cartwright::durable::{Call, Entry, Journal, JournalError, MAX_JOURNAL_ENTRIES, Record, RunStart};
use cartwright::types::{
    Audience, BytesSource, Context, Currency, Document, Memo, Message, NamedJson, OrderEventKind, Outcome, RetrySafety,
    Rounding, Shipment, Shop, VendorReference,
};
use cartwright::{Blobs, Digest, OrderBook};
use cartwright_store::{AccountOutcomeState, Store};

use crate::database::{Database, account, at, claimed, line_status, on_each_database, record, shop};

on_each_database!(
    a_journal_gives_back_what_was_appended,
    of_two_writers_at_one_position_one_goes_on,
    a_journal_holds_no_more_than_it_may,
    an_outcome_is_applied_once_for_each_key,
    a_reference_is_seen_at_once_and_by_its_own_account_alone,
    the_latest_of_one_subject_counts,
    a_document_stands_among_the_blobs,
    bytes_of_a_run_are_encrypted_with_its_orders_key,
    what_is_handed_on_becomes_an_event,
    what_needs_a_person_waits_until_it_is_resolved,
    attempts_are_counted_over_all_journals_of_a_job,
    an_entry_that_was_moved_or_changed_is_not_read,
);

pub fn began(at: SystemTime) -> Record {
    let context = Context {
        shop: Shop {
            id: "shop".into(),
            currencies: vec![Currency { code: "EUR".into(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "expivi".into(),
        visitor: None,
        locale: "en".into(),
        now: "2026-01-01T12:00:00Z".into(),
        settings: vec![],
        grants: Vec::new(),
        extra: vec![],
    };
    Record { at, entry: Entry::RunStart(RunStart { context, personal_data: false }) }
}

pub fn record_of(key: &str, at: SystemTime) -> Record {
    let message = Message { key: key.into(), parameters: vec![], text: String::new() };
    outcome_record(key, Outcome::Note(message), at)
}

pub fn outcome_record(key: &str, outcome: Outcome, at: SystemTime) -> Record {
    Record { at, entry: Entry::Emitted { key: key.into(), outcome } }
}

fn named(line: Option<&str>, reference: &str) -> Outcome {
    Outcome::VendorReference(VendorReference { line: line.map(Into::into), reference: reference.into() })
}

/// Reports outcomes in a job of the order "1".
async fn say(store: &Store, outcomes: impl IntoIterator<Item = Outcome>) -> cartwright_store::Claim {
    record(store, "e1", "1", 0).await;
    let run = claimed(store, 0).await;
    run.journal.append(0, &began(at(0))).await.unwrap();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        run.journal.append(number + 1, &outcome_record(&number.to_string(), outcome, at(1))).await.unwrap();
    }
    run
}

async fn a_journal_gives_back_what_was_appended(database: Database) {
    let store = database.open().await;
    let run = say(&store, [named(None, "V-1")]).await;
    let loaded = run.journal.load().await.unwrap();
    assert_eq!(loaded.records, [began(at(0)), outcome_record("0", named(None, "V-1"), at(1))]);
    assert!(loaded.earlier_attempts.is_empty());
}

async fn of_two_writers_at_one_position_one_goes_on(database: Database) {
    let store = database.open().await;
    let run = say(&store, []).await;
    let writers = (0..6).map(|number| {
        let journal = run.journal.clone();
        tokio::spawn(async move { journal.append(1, &record_of(&number.to_string(), at(1))).await })
    });
    let mut wrote = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(()) => wrote += 1,
            Err(error) => assert_eq!(error, JournalError::Superseded),
        }
    }
    assert_eq!(wrote, 1);
    assert_eq!(run.journal.append(7, &record_of("gap", at(1))).await, Err(JournalError::Superseded));
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 1);
}

async fn a_journal_holds_no_more_than_it_may(database: Database) {
    let store = database.open().await;
    let run = say(&store, []).await;
    assert_eq!(run.journal.append(MAX_JOURNAL_ENTRIES, &record_of("more", at(1))).await, Err(JournalError::Full));
}

async fn an_outcome_is_applied_once_for_each_key(database: Database) {
    let store = database.open().await;
    let run = say(&store, []).await;
    run.journal.append(1, &outcome_record("0:a:0", named(None, "V-1"), at(1))).await.unwrap();
    run.journal.append(2, &outcome_record("0:a:0", named(None, "V-1"), at(2))).await.unwrap();
    run.journal.append(3, &outcome_record("0:a:1", named(None, "V-1"), at(3))).await.unwrap();
    let outcomes = store.outcomes().list(&shop(), "1").await.unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.at).collect::<Vec<_>>(), [at(1), at(3)]);
    assert_eq!(run.journal.load().await.unwrap().records.len(), 4);
}

async fn a_reference_is_seen_at_once_and_by_its_own_account_alone(database: Database) {
    let store = database.open().await;
    say(&store, [named(None, "V-1"), named(Some("1"), "V-1-1")]).await;
    let found_order = store.find(&shop(), &account("expivi"), "test:shop:1").await.unwrap().unwrap();
    assert_eq!(found_order.vendor_reference.as_deref(), Some("V-1"));
    let lines: Vec<_> =
        found_order.lines.iter().map(|line| (line.id.as_str(), line.vendor_reference.as_deref())).collect();
    assert_eq!(lines, [("1", Some("V-1-1"))]);
    assert_eq!(store.find(&shop(), &account("expivi"), "test:shop:1:1").await.unwrap(), Some(found_order));
    let other = store.find(&shop(), &account("twikit"), "test:shop:1").await.unwrap().unwrap();
    assert_eq!((other.vendor_reference, other.lines.len()), (None, 1));
    assert_eq!(store.find(&shop(), &account("stranger"), "test:shop:1").await.unwrap(), None);
    assert_eq!(store.find(&"other".parse().unwrap(), &account("expivi"), "test:shop:1").await.unwrap(), None);
}

async fn the_latest_of_one_subject_counts(database: Database) {
    let store = database.open().await;
    let remember = |name: &str, value: &str| Outcome::SetMemo(Memo { name: name.into(), value: value.into() });
    let status = |status: &str| line_status("1", status);
    let shipment = |id: Option<&str>, carrier: &str| {
        let carrier = Some(carrier.to_owned());
        let id = id.map(str::to_owned);
        Outcome::Shipment(Shipment {
            id,
            lines: vec![],
            carrier,
            at: None,
            tracking_url: None,
            tracking_id: None,
            extra: vec![],
        })
    };
    let run = say(
        &store,
        [
            remember("a", "1"),
            status("in-production"),
            shipment(Some("s"), "slow"),
            shipment(None, "one"),
            remember("b", "2"),
            remember("a", "3"),
            status("ready"),
            shipment(Some("s"), "quick"),
            shipment(None, "two"),
        ],
    )
    .await;
    let is_current: Vec<_> =
        store.outcomes().present(&shop(), "1").await.unwrap().into_iter().map(|stored| stored.outcome).collect();
    let counts = [
        shipment(None, "one"),
        remember("b", "2"),
        remember("a", "3"),
        status("ready"),
        shipment(Some("s"), "quick"),
        shipment(None, "two"),
    ];
    assert_eq!(is_current, counts);
    assert_eq!(store.outcomes().list(&shop(), "1").await.unwrap().len(), 9);
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap().unwrap().lines[0].status, "ready");
    // The next event is handled.
    store.jobs().finish(&run.lease, Ok(&cartwright::durable::RunEnd::Done), at(2)).await.unwrap();
    record(&store, "e2", "1", 3).await;
    let event = claimed(&store, 3).await.job.event;
    let memos: Vec<_> = event.memos.iter().map(|text| (text.name.as_str(), text.value.as_str())).collect();
    assert_eq!(memos, [("a", "3"), ("b", "2")]);
    assert_eq!(event.previous_outcomes.len(), 9);
    assert_eq!(event.order.lines[0].status, "ready");
}

async fn a_document_stands_among_the_blobs(database: Database) {
    let store = database.open().await;
    let document = Outcome::Document(Document {
        line: None,
        kind: "drawing".into(),
        name: "ring.svg".into(),
        media_type: "image/svg+xml".into(),
        content: BytesSource::Bytes(b"<svg/>".to_vec()),
        audience: Audience::Shopper,
        extra: vec![],
    });
    let run = say(&store, [document.clone()]).await;
    let digest = Digest::of(b"<svg/>");
    assert_eq!(store.get(&shop(), &digest).await.unwrap().unwrap(), b"<svg/>");
    assert_eq!(store.blobs().blob_info(&shop(), &digest).await.unwrap().unwrap().media_type, "image/svg+xml");
    let Outcome::Document(kept) = store.outcomes().list(&shop(), "1").await.unwrap().remove(0).outcome else {
        panic!()
    };
    assert_eq!(kept.content, BytesSource::Stored(digest.to_string()));
    // A replay receives the plugin's outcomes.
    assert_eq!(run.journal.load().await.unwrap().records[1], outcome_record("0", document, at(1)));
}

async fn bytes_of_a_run_are_encrypted_with_its_orders_key(database: Database) {
    let store = database.open().await;
    let run = say(&store, []).await;
    let digest = run.journal.blobs().unwrap().put(&shop(), b"a long answer".to_vec(), "text/plain").await.unwrap();
    assert_eq!(store.get(&shop(), &digest).await.unwrap().unwrap(), b"a long answer");
    database.tamper("update orders set order_key = null").await;
    assert!(store.get(&shop(), &digest).await.is_err());
    // Nothing can be added to an erased order.
    assert!(run.journal.blobs().unwrap().put(&shop(), b"more".to_vec(), "text/plain").await.is_err());
}

async fn what_is_handed_on_becomes_an_event(database: Database) {
    let store = database.open().await;
    let message = NamedJson { name: "expivi.ready".into(), json: "{}".into() };
    let run = say(&store, [Outcome::Forward(message.clone())]).await;
    store.jobs().finish(&run.lease, Ok(&cartwright::durable::RunEnd::Done), at(2)).await.unwrap();
    let next = claimed(&store, 2).await;
    assert_eq!(next.job.event.kind, OrderEventKind::Forwarded(message));
    assert_eq!((next.job.account, next.job.plugin), (run.job.account, run.job.plugin));
}

async fn what_needs_a_person_waits_until_it_is_resolved(database: Database) {
    let store = database.open().await;
    let message = Message { key: "look".into(), parameters: vec![], text: "Look.".into() };
    say(&store, [Outcome::NeedsMerchant(message.clone()), Outcome::PushSettings(vec![]), Outcome::Note(message)]).await;
    assert_eq!(store.orders().needing_attention(&shop()).await.unwrap(), ["1"]);
    let outcomes = store.outcomes().list(&shop(), "1").await.unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.needs_attention).collect::<Vec<_>>(), [true, false, false]);
    store.outcomes().resolve(&shop(), outcomes[0].id, "ann", at(2)).await.unwrap();
    assert!(store.outcomes().resolve(&shop(), outcomes[0].id, "ann", at(2)).await.is_err());
    assert!(store.orders().needing_attention(&shop()).await.unwrap().is_empty());
    // Settings wait in the account that they concern.
    let pushed = store.webhooks().account_outcomes(&shop(), Some(AccountOutcomeState::New), None, 10).await.unwrap();
    assert_eq!(pushed.iter().map(|outcome| &outcome.outcome).collect::<Vec<_>>(), [&Outcome::PushSettings(vec![])]);
}

async fn attempts_are_counted_over_all_journals_of_a_job(database: Database) {
    let store = database.open().await;
    let run = say(&store, []).await;
    let call = Call { import: "http.send".into(), label: "POST".into(), digest: Digest::of(b"call") };
    let intent = Entry::Intent { call: call.clone(), retry_safety: RetrySafety::Idempotent, attempt: 1 };
    run.journal.append(1, &Record { at: at(1), entry: intent }).await.unwrap();
    let again = cartwright::durable::RunEnd::ContinueLater { seconds: 0, state: String::new() };
    store.jobs().finish(&run.lease, Ok(&again), at(2)).await.unwrap();
    let next = claimed(&store, 2).await;
    assert_eq!(next.journal.load().await.unwrap().earlier_attempts.get(&call.digest), Some(&1));
}

async fn an_entry_that_was_moved_or_changed_is_not_read(database: Database) {
    let store = database.open().await;
    let run = say(&store, [named(None, "V-1"), named(None, "V-2")]).await;
    database
        .tamper("update journal_entries set record = (select record from journal_entries where position = 1) where position = 2")
        .await;
    assert!(matches!(run.journal.load().await, Err(JournalError::Store(text)) if text.contains("damaged")));
}
