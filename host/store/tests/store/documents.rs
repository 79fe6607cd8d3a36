//! Tests of document URLs, and of bills of materials.

use std::time::Duration;

use cartwright::types::{
    Article, Audience, BytesSource, Document, LineBillOfMaterials, LineQuantity, Message, Money, OrderEventKind,
    Outcome, Shipment,
};
use cartwright::{Digest, OrderBook, Secret, Shop, ShopId};
use cartwright_store::{DocumentUrl, DocumentUrlError, Lines, NewJob, SoldLine, SoldLines, Store, StoreError};
use serde_json::json;

use crate::database::{
    Database, account, at, claimed, event, event_of, job, line_status, on_each_database, order, record,
    report_by_webhook, shop,
};
use crate::setup::{rings, with_account};

on_each_database!(
    a_document_is_fetched_through_its_link_until_that_ends,
    a_link_that_was_changed_gives_nothing,
    a_link_of_another_shop_gives_nothing,
    a_document_of_an_erased_order_is_gone,
    a_bill_of_materials_stands_beside_its_order_and_is_read_by_whom_its_line_concerns,
    a_line_that_becomes_another_has_another_bill_of_materials,
    a_confirmed_bill_of_materials_comes_back_empty,
    materials_are_exported_as_the_vendor_confirmed_them_last,
    equal_files_of_two_lines_are_two_documents,
    parcels_are_told_apart_by_their_ids_and_keep_what_was_sent_last,
    what_is_told_late_stays_in_the_timeline_and_changes_nothing,
    a_damaged_entry_hides_no_other_of_an_orders_timeline,
);

const HOUR: Duration = Duration::from_secs(3600);

async fn say(store: &Store, outcomes: Vec<Outcome>, seconds: u64) {
    report_by_webhook(store, &shop(), "1", outcomes, seconds).await;
}

/// Stores an order with a document, and returns the document's outcome.
async fn with_document(store: &Store) -> i64 {
    with_account(store).await;
    record(store, "e1", "1", 0).await;
    let document = Document {
        line: None,
        kind: "drawing".into(),
        name: "../ring.svg".into(),
        media_type: "image/svg+xml; charset=utf-8".into(),
        content: BytesSource::Bytes(b"<svg/>".to_vec()),
        audience: Audience::Shopper,
        extra: vec![],
    };
    let note = Outcome::Note(Message { key: "made".into(), parameters: vec![], text: "Made.".into() });
    say(store, vec![note, Outcome::Document(document)], 1).await;
    store.outcomes().list(&shop(), "1").await.unwrap()[1].id
}

async fn link(store: &Store, outcome: i64) -> DocumentUrl {
    store.documents().document_url(&shop(), outcome, HOUR, at(0)).await.unwrap()
}

async fn a_document_is_fetched_through_its_link_until_that_ends(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let link = link(&store, outcome).await.to_string();
    assert!(link.starts_with(&format!("documents/shop/{outcome}?expires=")), "{link}");
    let link: DocumentUrl = format!("/{link}").parse().unwrap();
    let file = store.documents().document(&link, at(3599)).await.unwrap();
    assert_eq!(file.bytes, b"<svg/>");
    assert_eq!((file.media_type.as_str(), file.file_name.as_str()), ("image/svg+xml", "ring.svg"));
    assert!(matches!(store.documents().document(&link, at(3600)).await, Err(DocumentUrlError::Expired)));
    // Only documents have URLs.
    let other = store.documents().document_url(&shop(), outcome - 1, HOUR, at(0)).await;
    assert!(matches!(other, Err(StoreError::NotFound { what: "document", .. })), "{other:?}");
}

async fn a_link_that_was_changed_gives_nothing(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let link = link(&store, outcome).await.to_string();
    let (path, query) = link.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let longer = expires.replace("expires=", "expires=9");
    let zeroes = "0".repeat(64);
    let other = outcome + 1;
    for changed in [
        format!("{path}?{longer}&{signature}"),
        format!("documents/shop/{other}?{query}"),
        format!("documents/elsewhere/{outcome}?{query}"),
        format!("{path}?{expires}&signature={zeroes}"),
    ] {
        let refused = store.documents().document(&changed.parse().unwrap(), at(1)).await;
        assert!(matches!(refused, Err(DocumentUrlError::WrongSignature)), "{changed}: {refused:?}");
    }
    let uppercase = format!("{path}?{expires}&signature={}", signature["signature=".len()..].to_uppercase());
    for none in
        ["", "documents/shop", path, &link[..link.len() - 1], &format!("{link}&x=1"), &format!("/{link}#a"), &uppercase]
    {
        assert!(matches!(none.parse::<DocumentUrl>(), Err(DocumentUrlError::Malformed)), "{none}");
    }
}

async fn a_link_of_another_shop_gives_nothing(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let key = Secret::new("another key of the tests, 32 bytes long");
    let other: ShopId = "other".parse().unwrap();
    store.shops().save_shop(&Shop { id: other.clone(), seal_key: key, ..rings() }, at(0)).await.unwrap();
    // The URLs of the other shop name no document of this one.
    let foreign = store.documents().document_url(&other, outcome, HOUR, at(0)).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
    let link = link(&store, outcome).await.to_string().replace("documents/shop/", "documents/other/");
    let refused = store.documents().document(&link.parse().unwrap(), at(1)).await;
    assert!(matches!(refused, Err(DocumentUrlError::WrongSignature)), "{refused:?}");
}

async fn a_document_of_an_erased_order_is_gone(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let link = link(&store, outcome).await;
    database.tamper("update orders set order_key = null").await;
    let erased = store.documents().document(&link, at(1)).await;
    assert!(matches!(erased, Err(DocumentUrlError::Store(StoreError::Erased(_)))), "{erased:?}");
}

fn article(sku: &str, quantity: &str) -> Article {
    Article {
        sku: sku.into(),
        title: None,
        quantity: quantity.into(),
        unit: None,
        price_sku: None,
        price: None,
        material_sku: None,
        parent: None,
        extra: vec![],
    }
}

/// Returns how the order's first line was sold.
fn sold(articles: Vec<Article>) -> SoldLines {
    let line = SoldLine { pin: Digest::of(b"expivi"), bill_of_materials: articles };
    SoldLines::from([("1".to_owned(), line)])
}

async fn a_bill_of_materials_stands_beside_its_order_and_is_read_by_whom_its_line_concerns(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let articles: Vec<Article> = (0..1000).map(|number| article(&format!("PART-{number}"), "1")).collect();
    let jobs = [job("expivi"), NewJob { lines: Lines::All, ..job("erp") }];
    store.orders().record_sold_event(&shop(), &event("e1", "1"), &sold(articles.clone()), &jobs, at(0)).await.unwrap();
    let ask = async |of: &str, reference: &str| {
        OrderBook::bill_of_materials(&store, &shop(), &account(of), reference).await.unwrap()
    };
    assert_eq!(ask("expivi", "test:shop:1:1").await, Some(articles.clone()));
    // An order hook sees every line.
    assert_eq!(ask("erp", "test:shop:1:1").await, Some(articles));
    assert_eq!(ask("erp", "test:shop:1:2").await, Some(Vec::new()));
    assert_eq!(ask("twikit", "test:shop:1:2").await, Some(Vec::new()));
    for (of, reference) in [
        ("expivi", "test:shop:1:2"),
        ("twikit", "test:shop:1:1"),
        ("expivi", "test:shop:1"),
        ("expivi", "test:shop:9:1"),
        ("expivi", "test:shop:1:1\0"),
    ] {
        assert_eq!(ask(of, reference).await, None, "{of} {reference}");
    }
    // Neither the event nor the order carries it.
    let event = serde_json::to_string(&claimed(&store, 0).await.job.event).unwrap();
    assert!(!event.contains("PART-"), "{event}");
    let exported = store.personal_data().export_order(&shop(), "1").await.unwrap().document;
    assert_eq!(exported["orders"][0]["bills_of_materials"]["1"].as_array().map(Vec::len), Some(1000));
    assert!(!exported["orders"][0]["order"].to_string().contains("PART-"));
}

async fn a_line_that_becomes_another_has_another_bill_of_materials(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let record = async |version: u64, key: &str, sold: &SoldLines| {
        let mut order = order("1", version);
        order.lines[0].cart_line.key = key.to_owned();
        let event = event_of(&format!("e{version}"), OrderEventKind::Changed, order);
        store.orders().record_sold_event(&shop(), &event, sold, &[], at(version)).await.unwrap();
    };
    let ask = async || {
        let found = OrderBook::bill_of_materials(&store, &shop(), &account("expivi"), "test:shop:1:1").await.unwrap();
        found.unwrap().into_iter().map(|article| article.sku).collect::<Vec<_>>()
    };
    record(1, "oak", &sold(vec![article("OAK", "1")])).await;
    record(2, "oak", &SoldLines::new()).await;
    assert_eq!(ask().await, ["OAK"]);
    record(3, "ash", &sold(vec![article("ASH", "1")])).await;
    assert_eq!(ask().await, ["ASH"]);
    record(4, "bare", &sold(Vec::new())).await;
    assert_eq!(ask().await, [""; 0]);
}

async fn a_confirmed_bill_of_materials_comes_back_empty(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    record(&store, "e1", "1", 0).await;
    let articles = vec![article("OAK", "1")];
    say(&store, vec![Outcome::BillOfMaterials(LineBillOfMaterials { line: "1".into(), articles })], 1).await;
    let previous = claimed(&store, 2).await.job.event.previous_outcomes;
    assert!(
        matches!(&previous[..], [Outcome::BillOfMaterials(bill)] if bill.line == "1" && bill.articles.is_empty()),
        "{previous:?}"
    );
}

async fn materials_are_exported_as_the_vendor_confirmed_them_last(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let mut placed = event("e1", "1");
    placed.order.lines[0].cart_line.quantity = 3;
    placed.order.lines[0].title = "A \"ring\",\nfor Zoë".into();
    store.orders().record_event(&shop(), &placed, &[job("expivi")], at(0)).await.unwrap();
    let price = Money { minor: 1250, scale: 2, currency: "EUR".into() };
    let sheet = Article {
        title: Some("Sheet".into()),
        unit: Some("MTK".into()),
        price: Some(price),
        material_sku: Some("@oak".into()),
        ..article("=HYPERLINK(\"x\")", "0.25")
    };
    let nut = Article { parent: Some(1), ..article("NUT", "2") };
    let confirmed = |articles| Outcome::BillOfMaterials(LineBillOfMaterials { line: "1".into(), articles });
    say(&store, vec![confirmed(vec![article("OLD", "1")])], 1).await;
    say(&store, vec![confirmed(vec![sheet, article("SCREW", "4"), nut])], 2).await;
    let materials = store.orders().order_bill_of_materials(&shop(), "1").await.unwrap();
    let table = "order,line,title,line_sku,pieces,article_sku,article_title,part_of,quantity_per_piece,quantity,unit,price_sku,price,\
                 currency,material_sku\r\n\
                 test:shop:1,test:shop:1:1,\"A \"\"ring\"\",\nfor Zoë\",RING,3,\"'=HYPERLINK(\"\"x\"\")\",Sheet,,0.25,0.75,MTK,,12.50,\
                 EUR,'@oak\r\n\
                 test:shop:1,test:shop:1:1,\"A \"\"ring\"\",\nfor Zoë\",RING,3,SCREW,,,4,12,,,,,\r\n\
                 test:shop:1,test:shop:1:1,\"A \"\"ring\"\",\nfor Zoë\",RING,3,NUT,,SCREW,8,24,,,,,\r\n";
    assert_eq!(materials.csv().unwrap(), table);
    let exported = serde_json::to_value(&materials).unwrap();
    assert_eq!((&exported["order"], &exported["number"]), (&json!("test:shop:1"), &json!("#1")));
    let line = &exported["lines"][0];
    assert_eq!((&line["pieces"], &line["account"]), (&json!(3), &json!("expivi")));
    assert_eq!(line["articles"][0]["sku"], "=HYPERLINK(\"x\")");
    assert_eq!(line["articles"][0]["price"], json!({ "minor": 1250, "scale": 2, "currency": "EUR" }));
    assert_eq!(exported["lines"].as_array().map(Vec::len), Some(1));
    assert!(matches!(store.orders().order_bill_of_materials(&shop(), "2").await, Err(StoreError::NotFound { .. })));
}

async fn equal_files_of_two_lines_are_two_documents(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    record(&store, "e1", "1", 0).await;
    let file = |line: &str, name: &str, bytes: &str| {
        Outcome::Document(Document {
            line: Some(line.into()),
            kind: "production-file".into(),
            name: name.into(),
            media_type: "application/zip".into(),
            content: BytesSource::Bytes(bytes.as_bytes().to_vec()),
            audience: Audience::Shopper,
            extra: vec![],
        })
    };
    // A file of a line that is sent twice is the same document; under another name, or with other bytes, it is another.
    let documents = [file("1", "ring.zip", "same"), file("2", "ring.zip", "same"), file("1", "ring.zip", "same")];
    say(&store, documents.into_iter().chain([file("1", "b.zip", "same"), file("1", "ring.zip", "new")]).collect(), 1)
        .await;
    let is_current = store.outcomes().present(&shop(), "1").await.unwrap();
    let names: Vec<_> = is_current
        .iter()
        .map(|outcome| match &outcome.outcome {
            Outcome::Document(document) => (document.line.as_deref().unwrap(), document.name.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [("2", "ring.zip"), ("1", "ring.zip"), ("1", "b.zip"), ("1", "ring.zip")]);
    for (outcome, bytes) in is_current.iter().zip(["same", "same", "same", "new"]) {
        let link = link(&store, outcome.id).await;
        assert_eq!(store.documents().document(&link, at(1)).await.unwrap().bytes, bytes.as_bytes());
    }
    // An export lists the bytes under each of their names.
    let files = store.personal_data().export_order(&shop(), "1").await.unwrap().files;
    let mut ends: Vec<_> = files.iter().map(|file| file.name.rsplit_once('-').unwrap().1).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["b.zip", "ring.zip", "ring.zip"]);
}

fn parcel(id: Option<&str>, at: Option<&str>, tracking: &str) -> Outcome {
    Outcome::Shipment(Shipment {
        id: id.map(str::to_owned),
        lines: vec![LineQuantity { line: "1".into(), quantity: 1 }],
        carrier: None,
        at: at.map(str::to_owned),
        tracking_url: None,
        tracking_id: Some(tracking.into()),
        extra: vec![],
    })
}

async fn parcels_are_told_apart_by_their_ids_and_keep_what_was_sent_last(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    record(&store, "e1", "1", 0).await;
    let reported = [
        parcel(Some("a"), Some("2026-02-02T10:00:00Z"), "A2"),
        parcel(Some("b"), None, "A2"),
        // A late report: the parcel as it was before, in another time zone.
        parcel(Some("a"), Some("2026-02-02T10:00:00+01:00"), "A1"),
        parcel(None, None, "C"),
        parcel(None, None, "C"),
        parcel(Some("b"), None, "B2"),
    ];
    say(&store, reported.into_iter().collect(), 1).await;
    let tracking = |outcomes: Vec<cartwright_store::StoredOutcome>| -> Vec<(String, bool)> {
        let of = |outcome: cartwright_store::StoredOutcome| match outcome.outcome {
            Outcome::Shipment(shipment) => (shipment.tracking_id.unwrap(), outcome.is_late),
            other => panic!("{other:?}"),
        };
        outcomes.into_iter().map(of).collect()
    };
    let is_current = tracking(store.outcomes().present(&shop(), "1").await.unwrap());
    assert_eq!(is_current, ["A2", "C", "C", "B2"].map(|id| (id.to_owned(), false)));
    let all = tracking(store.outcomes().list(&shop(), "1").await.unwrap());
    let late: Vec<_> = all.iter().filter(|(_, late)| *late).collect();
    assert_eq!((all.len(), late), (6, vec![&("A1".to_owned(), true)]));
}

async fn what_is_told_late_stays_in_the_timeline_and_changes_nothing(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    record(&store, "e1", "1", 0).await;
    let status = |status: &str| line_status("1", status);
    say(&store, ["ready", "shipped", "ready", "engraving", "shipped"].map(status).to_vec(), 1).await;
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap().unwrap().lines[0].status, "shipped");
    let timeline = store.outcomes().list(&shop(), "1").await.unwrap();
    assert_eq!(timeline.iter().map(|outcome| outcome.is_late).collect::<Vec<_>>(), [false, false, true, true, false]);
    let is_current = store.outcomes().present(&shop(), "1").await.unwrap();
    assert_eq!(is_current.iter().map(|outcome| &outcome.outcome).collect::<Vec<_>>(), [&status("shipped")]);
}

async fn a_damaged_entry_hides_no_other_of_an_orders_timeline(database: Database) {
    let store = database.open().await;
    let document = with_document(&store).await;
    database.tamper("update order_outcomes set outcome = (select order_key from orders) where kind = 'note'").await;
    let timeline = store.outcomes().list(&shop(), "1").await.unwrap();
    let Outcome::Note(damaged) = &timeline[0].outcome else { panic!("{timeline:?}") };
    assert_eq!((damaged.key.as_str(), timeline.len()), ("damaged", 2));
    assert_eq!(store.orders().get(&shop(), "1").await.unwrap().unwrap().lines[0].status, "ordered");
    let link = link(&store, document).await;
    assert_eq!(store.documents().document(&link, at(1)).await.unwrap().bytes, b"<svg/>");
}
