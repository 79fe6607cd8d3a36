//! Tests that nothing of an erased order is found: not in any table, file or log.
//!
//! Every text that can contain something about a person contains [`MARK`], which is then searched for: as it is, in
//! hexadecimal, and in base64 at each of its three offsets.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright::durable::{
    Answer, Call, Entry, Journal, JournaledBody, JournaledBytes, JournaledResponse, Record, RunEnd,
};
use cartwright::types::{
    Audience, BytesSource, Document, Memo, Message, NamedJson, OrderEvent, OrderEventKind, Outage, Outcome,
    RetrySafety, Shipment, WebhookRequest, WebhookResponse,
};
use cartwright::webhook::{Destination, Effects, WebhookDelivery, WebhookDeliveryId, WebhookDeliveryStore};
use cartwright::{Blobs, Digest, Grants};
use cartwright_store::{
    BeginOutcome, Export, Lines, NewJob, NotificationEndpoint, SoldLine, SoldLines, Store, StoreError, StoredResponse,
    UnfinishedJobs,
};
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use crate::database::{Database, MINUTE, account, at, claimed, configured, event_of, order, shop};
use crate::journals::began;
use crate::setup::{rings, set_endpoint};

/// In lower case, because e-mail addresses may be folded.
const MARK: &str = "vorlon7431";
/// Mark of another person.
const OTHER: &str = "bystander";
const ORDER: &str = "order-of-somebody";

/// Returns every spelling in which a text may be stored.
fn spellings(text: &str) -> Vec<String> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let in_base64 = (0..3).map(|aad| {
        let before = [vec![b'-'; aad], text.as_bytes().to_vec(), vec![b'-'; 3]].concat();
        let encoded = STANDARD.encode(before);
        // Only the characters that the text alone determines.
        encoded[(aad * 8).div_ceil(6)..(aad + text.len()) * 8 / 6].to_owned()
    });
    [text.to_owned(), hex.to_uppercase(), hex].into_iter().chain(in_base64).collect()
}

fn is_in(bytes: &[u8], text: &str) -> bool {
    let bytes = String::from_utf8_lossy(bytes);
    spellings(text).iter().any(|spelling| bytes.contains(spelling))
}

/// Collects everything that is logged from here on while the tests run.
fn log() -> Arc<Mutex<Vec<u8>>> {
    struct Into(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let into = log.clone();
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || Into(into.clone())).init();
        tracing::trace!("the log is read");
        log
    });
    log.clone()
}

/// Returns an event whose every text names the person.
fn event_about(person: &str, id: &str, order_id: &str, kind: OrderEventKind, configuration: &Digest) -> OrderEvent {
    let text_about = |what: &str| format!("{what} of {person}");
    let address = json!({
        "name": text_about("name"), "first_name": text_about("first"), "last_name": text_about("last"), "email": format!("{person}@example.com"),
        "line1": text_about("street"), "line2": text_about("floor"), "zip": text_about("zip"), "city": text_about("city"),
        "region": text_about("region"), "country": "CH", "company": text_about("company"), "vat": text_about("vat"),
        "phone": text_about("phone"), "extra": [{ "name": text_about("address"), "json": format!("\"{person}\"") }],
    });
    let extra = json!([{ "name": text_about("extra"), "json": format!("\"{person}\"") }]);
    let mut order = serde_json::to_value(order(order_id, 1)).unwrap();
    order["billing"] = address.clone();
    order["delivery"] = address.clone();
    order["shop_address"] = address;
    order["extra"] = extra.clone();
    order["number"] = text_about("number").into();
    order["customer"] = text_about("customer").into();
    order["shipping"] = json!({ "title": text_about("shipping"), "amount": order["total"], "tax": "gross" });
    let line = &mut order["lines"][0];
    line["title"] = text_about("title").into();
    line["display_fields"] = json!([{ "name": "Engraving", "value": text_about("engraving") }]);
    line["configuration"] = configuration.to_string().into();
    line["extra"] = extra;
    let mut event = event_of(id, kind, serde_json::from_value(order).unwrap());
    event.extra = vec![NamedJson { name: text_about("event"), json: format!("\"{person}\"") }];
    event
}

fn message(person: &str) -> Message {
    let parameters = vec![("who".into(), person.to_owned())];
    Message { key: "note".into(), parameters, text: format!("A note about {person}.") }
}

/// Sends webhooks about an order: one that its plugin understood, and one that it did not.
async fn webhooks_of(store: &Store, person: &str, order_id: &str) {
    let reference = format!("test:shop:{order_id}");
    let notice = |endpoint: &str| WebhookDelivery {
        destination: Destination { shop: shop(), account: account("expivi"), endpoint: endpoint.into() },
        id: WebhookDeliveryId::Event(Digest::of(order_id.as_bytes())),
        at: at(1),
        duplicate_since: None,
        request: WebhookRequest {
            id: "request-1".into(),
            received_at: "2026-01-01T12:00:01Z".into(),
            method: "POST".into(),
            headers: vec![("x-for".into(), format!("header of {person}"))],
            query: format!("for=query of {person}"),
            body: format!("{{\"identifier\":\"{reference}\",\"to\":\"body of {person}\"}}").into_bytes(),
            extra: Vec::new(),
        },
    };
    let body = format!("reply to {person}").into_bytes();
    let response = WebhookResponse { status: 200, headers: vec![("x-for".into(), person.to_owned())], body };
    let outcomes = vec![(Some(reference.clone()), Outcome::Note(message(person)))];
    store.begin(&notice("done")).await.unwrap();
    store.complete(&notice("done"), Effects { outcomes, messages: Vec::new() }, &response).await.unwrap();
    store.begin(&notice("failed")).await.unwrap();
    store.fail(&notice("failed"), &format!("no such order of {person}")).await.unwrap();
    let text = format!("{reference} came for {person}");
    let outcomes = vec![(None, Outcome::NeedsMerchant(Message { text, ..message(person) }))];
    let to = notice("ask").destination;
    store.apply(&to, at(1), Effects { outcomes, messages: Vec::new() }).await.unwrap();
}

/// Stores a response about an order for an HTTP request of the platform.
async fn answer_of(store: &Store, person: &str, order_id: &str) {
    let (key, request_digest) = (format!("place the order of {person}"), Digest::of(person.as_bytes()));
    let BeginOutcome::New(token) =
        store.idempotency().begin_request("backend", &key, &request_digest, at(1)).await.unwrap()
    else {
        panic!("it was asked before")
    };
    let answer = StoredResponse {
        status: 200,
        headers: vec![("x-for".into(), format!("answered header of {person}"))],
        body: format!("answered body of {person}").into_bytes(),
    };
    assert!(
        store.idempotency().answer_request(&token, &answer, &[(shop(), order_id.to_owned())], at(1)).await.unwrap()
    );
}

/// Creates an order with all data that can belong to it.
async fn order_of(store: &Store, person: &str, order_id: &str) {
    store.shops().save_shop(&rings(), at(0)).await.unwrap();
    // The platform does not respond, so that notifications stay stored.
    let platform = NotificationEndpoint { url: "https://platform.example/told".into(), grants: Grants::default() };
    set_endpoint(store, &shop(), &platform).await.unwrap();
    let configuration = format!("{{\"engraving\":\"for {person}\"}}").into_bytes();
    let picture = format!("a picture of {person}").into_bytes();
    let client = format!("the session of {person}");
    let configuration = configured(store, Some(&client), &configuration, &[picture.as_slice()]).await;
    let jobs = [NewJob { account: account("erp"), plugin: Digest::of(b"erp"), lines: Lines::All }];
    let first = event_about(person, &format!("{order_id}-1"), order_id, OrderEventKind::Paid, &configuration);
    let articles = json!([{
        "sku": format!("sku of {person}"), "quantity": "1", "price_sku": null, "price": null, "material_sku": null,
    }]);
    let bill_of_materials = serde_json::from_value(articles).unwrap();
    let sold = SoldLine { pin: Digest::of(b"erp"), bill_of_materials };
    let sold = SoldLines::from([("1".to_owned(), sold)]);
    store.orders().record_sold_event(&shop(), &first, &sold, &jobs, at(0)).await.unwrap();
    let run = claimed(store, 0).await;
    let call =
        |import: &str| Call { import: import.into(), label: format!("about {person}"), digest: Digest::of(b"1") };
    let body = run.journal.blobs().unwrap();
    let body = body.put(&shop(), format!("a long answer about {person}").into_bytes(), "text/plain").await.unwrap();
    let response = |journaled_body: JournaledBytes| JournaledResponse {
        status: 200,
        headers: vec![("x-for".into(), person.to_owned())],
        body: JournaledBody::Inline(journaled_body),
        attempts: 1,
    };
    let outcomes = [
        Outcome::Note(message(person)),
        Outcome::NeedsMerchant(message(person)),
        Outcome::SetMemo(Memo { name: "who".into(), value: person.to_owned() }),
        Outcome::Document(Document {
            line: None,
            kind: "invoice".into(),
            name: format!("invoice-{person}.pdf"),
            media_type: "application/pdf".into(),
            content: BytesSource::Bytes(format!("an invoice for {person}").into_bytes()),
            audience: Audience::Shopper,
            extra: vec![],
        }),
        Outcome::Shipment(Shipment {
            id: None,
            lines: vec![],
            carrier: Some(person.to_owned()),
            at: None,
            tracking_url: Some(format!("https://carrier.example/{person}")),
            tracking_id: Some(person.to_owned()),
            extra: vec![],
        }),
        Outcome::Forward(NamedJson { name: "webhook".into(), json: json!({ "buyer": person }).to_string() }),
    ];
    let entries = [
        Entry::Intent { call: call("http.send"), retry_safety: RetrySafety::Idempotent, attempt: 1 },
        Entry::Responded { answer: Answer::Returned(response(JournaledBytes::Blob(body))), may_have_arrived: true },
        Entry::Returned {
            call: call("order-book.find"),
            answer: Answer::Returned(JournaledBytes::Text(format!("{person} lives"))),
        },
        Entry::Returned {
            call: call("blobs.read"),
            answer: Answer::Returned(JournaledBytes::Bytes([person.as_bytes(), &[255]].concat())),
        },
    ];
    let outcomes =
        outcomes.into_iter().enumerate().map(|(number, outcome)| Entry::Emitted { key: number.to_string(), outcome });
    run.journal.append(0, &began(at(0))).await.unwrap();
    for (number, entry) in entries.into_iter().chain(outcomes).enumerate() {
        run.journal.append(number + 1, &Record { at: at(1), entry }).await.unwrap();
    }
    // The forwarded text is handled first; then the vendor is unavailable, and stays so.
    store
        .jobs()
        .finish(&run.lease, Ok(&RunEnd::ContinueLater { seconds: 0, state: format!("state of {person}") }), at(2))
        .await
        .unwrap();
    let next_claim = store.jobs().claim("worker", at(2), MINUTE).await.unwrap().unwrap();
    assert!(matches!(next_claim.job.event.kind, OrderEventKind::Forwarded(_)));
    let outage = Outage { retry_after_seconds: Some(1), detail: format!("the vendor is away for {person}") };
    webhooks_of(store, person, order_id).await;
    answer_of(store, person, order_id).await;
    store.jobs().finish(&next_claim.lease, Ok(&RunEnd::Retry { outage }), at(3)).await.unwrap();
    let later = store.jobs().claim("worker", at(10), MINUTE).await.unwrap().unwrap();
    store.jobs().release(&later.lease, at(10)).await.unwrap();
    let cancelled = store.jobs().list(&cartwright_store::JobFilter::default(), 100).await.unwrap();
    store.jobs().cancel(&cancelled[0].id, "ann", at(11)).await.unwrap();
    let pending = store
        .outcomes()
        .list(&shop(), order_id)
        .await
        .unwrap()
        .into_iter()
        .find(|outcomes| outcomes.needs_attention)
        .unwrap();
    store.outcomes().resolve(&shop(), pending.id, "ann", at(12)).await.unwrap();
}

/// Returns every row of every table as text, bytes in hexadecimal, with the table's name.
async fn dump(database: &Database) -> Vec<(String, String)> {
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let is_sqlite = database.url.starts_with("sqlite:");
    let tables = if is_sqlite {
        "select name from sqlite_master where type = 'table'"
    } else {
        "select table_name::text from information_schema.tables where table_schema = 'public'"
    };
    let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut connection).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut rows = Vec::new();
    for (table,) in tables {
        let row = if is_sqlite {
            let columns =
                format!("select group_concat('quote(\"' || name || '\")', '||') from pragma_table_info('{table}')");
            let (columns,): (String,) =
                sqlx::query_as(sqlx::AssertSqlSafe(columns)).fetch_one(&mut connection).await.unwrap();
            format!("select {columns} from \"{table}\"")
        } else {
            format!("select t::text from \"{table}\" t")
        };
        let found: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(row)).fetch_all(&mut connection).await.unwrap();
        rows.extend(found.into_iter().map(|(row,)| (table.clone(), row)));
    }
    rows
}

/// Returns the files under a folder that contain a text.
fn files_with(folder: &Path, text: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(&path, text, found);
        // A server's files come and go.
        } else if let Ok(bytes) = std::fs::read(&path)
            && match std::str::from_utf8(text) {
                Ok(text) => is_in(&bytes, text),
                Err(_) => bytes.windows(text.len()).any(|window| window == text),
            }
        {
            found.push(path.display().to_string());
        }
    }
}

/// Returns an export as one text, including its files.
async fn text_of(store: &Store, export: &Export) -> String {
    let mut text = serde_json::to_string_pretty(&export.document).unwrap();
    for file in &export.files {
        let bytes = store.get(&shop(), &file.digest).await.unwrap().expect("a file");
        text += &format!("\n{} {}", file.name, String::from_utf8_lossy(&bytes));
    }
    text
}

async fn nothing_is_left(database: &Database, folder: &Path) {
    let log = log();
    let store = database.open().await;
    order_of(&store, MARK, ORDER).await;
    order_of(&store, OTHER, "another-order").await;
    let exported = text_of(&store, &store.personal_data().export_order(&shop(), ORDER).await.unwrap()).await;
    for told_of in [
        "first of",
        "last of",
        "street of",
        "floor of",
        "zip of",
        "city of",
        "region of",
        "company of",
        "vat of",
        "phone of",
        "extra of",
        "number of",
        "title of",
        "engraving of",
        "sku of",
        "event of",
        "A note about",
        "invoice-",
        "an invoice for",
        "https://carrier.example/",
        "a long answer about",
        "about",
        "a picture of",
        "for",
        "state of",
        "header of",
        "query of",
        "body of",
        "reply to",
        "answered header of",
        "answered body of",
    ] {
        assert!(
            exported.contains(&format!("{told_of} {MARK}")) || exported.contains(&format!("{told_of}{MARK}")),
            "{told_of}: {exported}"
        );
    }
    assert!(exported.contains(&format!("{MARK}@example.com")) && exported.contains(&format!("{MARK} lives")));
    assert!(!exported.contains(OTHER));
    let of_customer =
        store.personal_data().export_customer(&shop(), &format!("{MARK}@example.com").parse().unwrap()).await.unwrap();
    assert_eq!(text_of(&store, &of_customer).await, exported);
    let other = text_of(&store, &store.personal_data().export_order(&shop(), "another-order").await.unwrap()).await;
    let tables_before = dump(database).await;
    assert!(tables_before.iter().filter(|(_, row)| row.contains(ORDER)).count() > 20);
    assert!(!tables_before.iter().any(|(_, row)| is_in(row.as_bytes(), MARK)), "it is encrypted all the time");

    assert!(store.personal_data().erase_order(&shop(), ORDER, UnfinishedJobs::Cancel, "ann", at(100)).await.unwrap());

    for (table, row) in dump(database).await {
        assert!(!is_in(row.as_bytes(), MARK), "{table}: {row}");
        // Only that the order existed, and the actors of its changes.
        assert!(!row.contains(ORDER) || ["orders", "audit_log"].contains(&table.as_str()), "{table}: {row}");
    }
    let mut found = Vec::new();
    files_with(folder, MARK.as_bytes(), &mut found);
    assert!(found.is_empty(), "{found:?}");
    let log_bytes = log.lock().unwrap().clone();
    assert!(
        String::from_utf8_lossy(&log_bytes).contains("the log is read") && log_bytes.len() > 10_000,
        "nothing was logged"
    );
    assert!(!is_in(&log_bytes, MARK), "the log names the person");
    assert!(matches!(store.personal_data().export_order(&shop(), ORDER).await, Err(StoreError::Erased(_))));
    assert_eq!(
        text_of(&store, &store.personal_data().export_order(&shop(), "another-order").await.unwrap()).await,
        other
    );
    let open = store.webhooks().failed_webhook_deliveries(&shop(), None, 10).await.unwrap();
    assert!(open.len() == 1 && is_in(&open[0].request.body, OTHER), "{open:?}");
    assert_eq!(store.webhooks().account_outcomes(&shop(), None, None, 10).await.unwrap().len(), 1);
    assert!(!store.notifications().list(&shop(), false, None, 100).await.unwrap().is_empty());
    assert!(claimed(&store, 1000).await.job.id.contains("another-order"));
}

/// Returns the order's key as it is stored in the database.
async fn encrypted_order_key(database: &Database) -> Vec<u8> {
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let (key,): (Vec<u8>,) = sqlx::query_as("select order_key from orders where id = $1")
        .bind(ORDER)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    key
}

#[tokio::test]
async fn nothing_of_an_erased_order_is_found_with_sqlite() {
    let database = Database::sqlite().await.unwrap();
    let folder = Path::new(database.url.trim_start_matches("sqlite:")).parent().unwrap().to_owned();
    nothing_is_left(&database, &folder).await;
}

#[tokio::test]
async fn the_key_of_an_erased_order_is_overwritten_in_sqlites_files() {
    let database = Database::sqlite().await.unwrap();
    let folder = Path::new(database.url.trim_start_matches("sqlite:")).parent().unwrap().to_owned();
    let store = database.open().await;
    order_of(&store, MARK, ORDER).await;
    let key = encrypted_order_key(&database).await;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    files_with(&folder, &key, &mut before);
    assert!(!before.is_empty());
    store.personal_data().erase_order(&shop(), ORDER, UnfinishedJobs::Cancel, "ann", at(100)).await.unwrap();
    files_with(&folder, &key, &mut after);
    assert!(after.is_empty(), "{after:?}");
}

#[tokio::test]
async fn nothing_of_an_erased_order_is_found_with_postgres() {
    // A separate server, because all its files are searched.
    let server = tokio::task::spawn_blocking(|| cartwright_test_postgres::Server::start("")).await.unwrap().unwrap();
    let Some(server) = server else { return drop(Database::postgres().await) };
    let database = Database::at(server.create_database());
    nothing_is_left(&database, server.folder()).await;
}

#[test]
fn a_text_is_found_however_it_is_spelled() {
    for aad in 0..3 {
        let text = [vec![b'x'; aad], format!("{MARK} tail").into_bytes()].concat();
        assert!(is_in(STANDARD.encode(&text).as_bytes(), MARK), "base64 at {aad}");
    }
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02X}")).collect();
    assert!(is_in(hex.as_bytes(), MARK) && is_in(format!("a {MARK} b").as_bytes(), MARK) && !is_in(b"else", MARK));
}
