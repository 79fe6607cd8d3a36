//! Replay: the same result again, or a fault that names the difference.

use std::sync::{Arc, Mutex};

use cartwright::durable::{
    Answer, Call, DeterminismFault, Entry, Journal, JournalError, JournaledBody, JournaledBytes, MemoryJournal, Record,
    RunEnd, RunError, StopReason, Wake,
};
use cartwright::types::{Article, CallError, OrderEventKind, OrderLine, Outcome};
use cartwright::{Failure, MemoryOrderBook, NewHostPolicy, SetupError};
use cartwright_e2e::ORDER_HOOK;
use cartwright_e2e::orders::forwarded;

use crate::erp::{Erp, TOKEN};

async fn fault(erp: &Erp, event: cartwright::types::OrderEvent, journal: &Arc<MemoryJournal>) -> DeterminismFault {
    let end = erp.run(&erp.job_of(event), journal).await;
    let RunEnd::Stopped { reason: StopReason::DeterminismFault(fault) } = end else { panic!("{end:?}") };
    fault
}

fn import(call: &Option<Call>) -> Option<&str> {
    call.as_ref().map(|call| call.import.as_str())
}

#[tokio::test]
async fn a_plugin_that_does_not_repeat_itself_is_stopped_and_told_which_call_differed() {
    let erp = Erp::new().await;
    let journal = Arc::new(MemoryJournal::default());
    erp.run_to_first_wait(&erp.job("1"), &journal).await;
    let before = journal.records();

    let other = erp.event("2", OrderEventKind::Released);
    let differs = fault(&erp, other, &journal).await;
    assert_eq!(
        (differs.number, import(&differs.journal), import(&differs.actual)),
        (1, Some("http.send"), Some("http.send"))
    );

    let mut started = erp.job("1");
    started.state = Some("ERP-1".to_owned());
    let end = erp.run(&started, &journal).await;
    let RunEnd::Stopped { reason } = end else { panic!("{end:?}") };
    let url = &erp.url;
    let text = format!("call number 1 was http.send POST {url}, now it is timer.sleep 60 s");
    assert!(reason.to_string().contains(&text), "{reason}");

    let nothing = erp.event("1", OrderEventKind::Placed);
    let returned = fault(&erp, nothing, &journal).await;
    assert_eq!((import(&returned.journal), returned.actual), (Some("http.send"), None));

    assert_eq!(journal.records(), before, "the journal of a job that stopped was changed");
    // With the right event the job continues.
    erp.run_to_first_wait(&erp.job("1"), &journal).await;
    assert_eq!(erp.state().posted.len(), 1);
}

#[tokio::test]
async fn settings_that_change_do_not_reach_a_job_that_has_begun() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    erp.set("https://elsewhere.example/orders").await;
    erp.advance(60).await;
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().status_requests, 1);
    // A new job has the new grants.
    let end = erp.run(&erp.job("2"), &Arc::new(MemoryJournal::default())).await;
    let RunEnd::Stopped { reason } = end else { panic!("{end:?}") };
    assert!(reason.to_string().contains("elsewhere.example"), "{reason}");
}

#[tokio::test]
async fn a_job_sends_no_secret_that_was_entered_for_another_address() {
    let erp = Erp::new().await;
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hearing = heard.clone();
    let router = axum::Router::new().fallback(async move |headers: axum::http::HeaderMap| {
        hearing.lock().expect("what it heard").push(format!("{:?}", headers.get("authorization")));
        r#"{"reference":"1","state":"queued"}"#
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let elsewhere = format!("http://{}/orders", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    erp.set_with(&elsewhere, "guessed", &elsewhere).await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    // The merchant corrects the setting, and the other server stays granted.
    erp.set_with(&erp.url, TOKEN, &elsewhere).await;
    erp.advance(60).await;
    let end = erp.run(&job, &journal).await;
    assert!(matches!(end, RunEnd::Stopped { .. }), "{end:?}");
    let heard = heard.lock().expect("what it heard").clone();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("guessed"), "{heard:?}");
    erp.run_to_first_wait(&erp.job("2"), &Arc::new(MemoryJournal::default())).await;
    assert_eq!(erp.state().posted.len(), 1);
}

#[tokio::test]
async fn a_job_stays_on_the_component_that_it_began_with() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let mut bytes = ORDER_HOOK.to_vec();
    bytes.extend([0, 2, 1, b'2']);
    let second = erp.host.install(&bytes, None).await.expect("another version").digest();
    erp.host.switch_version(&erp.shop, &erp.account, second, NewHostPolicy::Reject).await.expect("swapped");
    erp.advance(60).await;
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().status_requests, 1);
    // Unless its version is revoked: then the replacement continues with the journal, or the job stops.
    erp.host.revoke(erp.plugin, Some(second)).expect("revoked");
    erp.advance(60).await;
    erp.run_to_first_wait(&job, &journal).await;
    assert_eq!(erp.state().status_requests, 2);
    let unknown = cartwright::Digest::of(b"never installed");
    let mut moved = job.clone();
    moved.plugin = unknown;
    let refused = erp.try_run(&moved, &journal, Wake::Due).await;
    assert!(matches!(refused, Err(RunError::Setup(SetupError::UnknownPlugin(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_replay_reads_the_same_clock_and_random_numbers_and_logs_nothing_twice() {
    let erp = Erp::new().await;
    let job = erp.job_of(erp.event("1", forwarded("now", "{}")));
    let whole = Arc::new(MemoryJournal::default());
    let first = erp.try_run(&job, &whole, Wake::Due).await.expect("a run");
    assert!(matches!(first.end, RunEnd::Done));
    let logged =
        |run: &cartwright::durable::RunReport| run.log.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(logged(&first), ["before the first", "before the second", "after both"]);
    let sent = erp.state().bodies.clone();
    assert!(sent[0].starts_with("{\"at\":17672688000"), "{sent:?}");
    // The guest's own wait of an hour ends at once, and its clock shows the hour.
    assert!(sent[1].starts_with("{\"at\":17672724") && sent[1].contains("\"waited\":36000"), "{sent:?}");
    let keys: Vec<String> = erp.state().posted.keys().cloned().collect();
    assert_eq!(keys.len(), 2);

    // Whatever part of the journal is left, the rest is the same, on another day too.
    let records = whole.records();
    for kept in 1..=records.len() {
        let journal = Arc::new(MemoryJournal::of(records[..kept].to_vec()));
        erp.advance(86_400).await;
        let run = erp.try_run(&job, &journal, Wake::Due).await.expect("a run");
        assert!(matches!(run.end, RunEnd::Done), "{kept}: {:?}", run.end);
        assert_eq!(journal.records()[..kept], records[..kept]);
        assert_eq!(journal.outcomes(), whole.outcomes());
        assert!(logged(&run).len() <= 3 && logged(&run).last().is_some_and(|line| line == "after both"), "{kept}");
    }
    assert_eq!(erp.state().posted.keys().cloned().collect::<Vec<_>>(), keys, "a replay drew other random numbers");

    // Another job and another round draw other random numbers.
    let mut next = job.clone();
    next.round = 1;
    assert!(matches!(erp.run(&next, &Arc::new(MemoryJournal::default())).await, RunEnd::Done));
    assert_eq!(erp.state().posted.len(), 4);
}

#[tokio::test]
async fn a_body_of_several_sources_is_sent_byte_for_byte_and_is_one_request_in_every_cut() {
    let erp = Erp::new().await;
    // A file that is fetched again is the same.
    erp.state().queued = 1_000;
    let (job, whole) = (erp.job_of(erp.event("1", forwarded("files", "{}"))), Arc::new(MemoryJournal::default()));
    let end = erp.run(&job, &whole).await;
    assert!(matches!(end, RunEnd::Done), "{end:?}");
    let sent = erp.state().bodies.clone();
    let boundary = sent[0].lines().next().expect("a boundary");
    let disposition = format!("{boundary}\r\nContent-Disposition: form-data");
    let reference = erp.host.reference(&erp.shop, "1", None);
    let mut expected = format!("{disposition}; name=\"order\"\r\n\r\n{reference}\r\n");
    for name in ["drawing", "copy"] {
        expected +=
            &format!("{disposition}; name=\"{name}\"; filename=\"{name}.json\"\r\nContent-Type: application/json");
        expected += "\r\n\r\n{\"state\":\"queued\"}\r\n";
    }
    expected += &format!("{boundary}--\r\n");
    assert_eq!(sent, [expected.clone(), expected.clone()]);
    let outcomes = whole.outcomes();
    let [Outcome::Note(note)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(note.parameters, [("attempts".to_owned(), "2".to_owned())]);

    // Whatever part of the journal is left, the rest is sent as before.
    let records = whole.records();
    for kept in 1..=records.len() {
        let journal = Arc::new(MemoryJournal::of(records[..kept].to_vec()));
        let end = erp.run(&job, &journal).await;
        assert!(matches!(end, RunEnd::Done), "{kept}: {end:?}");
        assert_eq!(journal.records()[..kept], records[..kept]);
    }
    assert!(erp.state().bodies.iter().all(|body| *body == expected));
}

#[tokio::test]
async fn of_two_runs_of_one_job_only_one_goes_on() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let position = journal.records().len() - 1;
    let record = journal.records().remove(position);
    assert_eq!(journal.append(position, &record).await, Err(JournalError::Superseded));
}

#[tokio::test]
async fn no_secret_stands_in_a_journal() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let json = serde_json::to_string(&journal.records()).expect("JSON");
    assert!(json.contains("secret-is-set") && !json.contains(TOKEN), "{json}");
    let read: Vec<Record> = serde_json::from_str(&json).expect("a journal");
    assert_eq!(read, journal.records());
    // A journal from a database is equivalent.
    erp.run_to_first_wait(&job, &Arc::new(MemoryJournal::of(read))).await;
    assert_eq!(erp.state().posted.values().sum::<u32>(), 1);
}

#[tokio::test]
async fn an_answer_whose_bytes_are_gone_ends_the_run_and_nothing_else() {
    let erp = Erp::new().await;
    let (job, journal) = (erp.job("1"), Arc::new(MemoryJournal::default()));
    erp.run_to_first_wait(&job, &journal).await;
    let mut records = journal.records();
    for record in &mut records {
        if let Entry::Responded { answer: Answer::Returned(response), .. } = &mut record.entry {
            response.body = JournaledBody::Inline(JournaledBytes::Blob(cartwright::Digest::of(b"gone")));
        }
    }
    let spoilt = Arc::new(MemoryJournal::of(records.clone()));
    let lost = erp.try_run(&job, &spoilt, Wake::Due).await;
    assert!(
        matches!(&lost, Err(RunError::Journal(JournalError::Store(reason))) if reason.contains("no longer exists")),
        "{lost:?}"
    );
    assert_eq!(spoilt.records(), records);
}

#[tokio::test]
async fn a_large_bill_of_materials_is_journaled_by_its_digest_and_replayed() {
    const REFERENCE: &str = "test:shop:1:1";
    let book = Arc::new(MemoryOrderBook::default());
    let shared = book.clone();
    let erp = Erp::with(move |builder| builder.order_book(shared)).await;
    let sample: serde_json::Value =
        serde_json::from_str(include_str!("../../../guests/order-hook/order.json")).expect("the guest's order");
    let line: OrderLine = serde_json::from_value(sample["lines"][0].clone()).expect("its line");
    let article: Article =
        serde_json::from_value(sample["lines"][0]["bill_of_materials"][0].clone()).expect("its article");
    let mut event = erp.event("1", forwarded("bill-of-materials", &format!("{REFERENCE:?}")));
    event.order.lines = vec![OrderLine { reference: REFERENCE.to_owned(), ..line }];
    book.put(&erp.shop, &erp.account, event.order.clone());
    book.put_bill_of_materials(&erp.shop, REFERENCE, vec![article; 1_000]);
    let (job, journal) = (erp.job_of(event), Arc::new(MemoryJournal::default()));
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    let is_blob = |record: &Record| {
        matches!(&record.entry, Entry::Returned { answer: Answer::Returned(JournaledBytes::Blob(_)), .. })
    };
    assert!(journal.records().iter().any(is_blob));
    // A replay gets the same, whatever the order book says since.
    book.put_bill_of_materials(&erp.shop, REFERENCE, Vec::new());
    assert!(matches!(erp.run(&job, &journal).await, RunEnd::Done));
    let outcomes = journal.outcomes();
    assert!(matches!(&outcomes[..], [Outcome::Note(note)] if note.text == "1000"), "{outcomes:?}");
}

#[tokio::test]
async fn a_bill_of_materials_of_another_accounts_line_is_refused() {
    let erp = Erp::new().await;
    let job = erp.job_of(erp.event("1", forwarded("bill-of-materials", "\"test:shop:9:1\"")));
    let end = erp.run(&job, &Arc::new(MemoryJournal::default())).await;
    let RunEnd::Stopped { reason: StopReason::Failed(Failure::PluginError(CallError::InvalidInput(issue))) } = end
    else {
        panic!("{end:?}")
    };
    assert_eq!((issue.field.as_str(), issue.message.key.as_str()), ("line-reference", "line-unknown"));
}
