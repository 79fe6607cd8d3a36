//! Links to documents, and exports of bills of materials.

use std::time::Duration;

use cartwright::types::{Article, BytesSource, Document, LineMaterials, Message, Money, Outcome};
use cartwright::webhook::{Destination, Effects, Receipts};
use cartwright::{Secret, Shop, ShopId};
use cartwright_store::{DocumentLink, LinkError, Store, StoreError};
use serde_json::json;

use crate::database::{Database, account, at, event, job, on_each_database, record, shop};
use crate::setup::{rings, with_account};

on_each_database!(
    a_document_is_fetched_through_its_link_until_that_ends,
    a_link_that_was_changed_gives_nothing,
    a_link_of_another_shop_gives_nothing,
    a_document_of_an_erased_order_is_gone,
    materials_are_exported_as_the_vendor_confirmed_them_last,
);

const HOUR: Duration = Duration::from_secs(3600);

async fn say(store: &Store, outcomes: Vec<Outcome>, seconds: u64) {
    let to = Destination { shop: shop(), account: account("expivi"), endpoint: "ask".into() };
    let outcomes = outcomes.into_iter().map(|said| (Some("test:shop:1".to_owned()), said)).collect();
    store.apply(&to, at(seconds), Effects { outcomes, messages: Vec::new() }).await.unwrap();
}

/// A shop with an order that has a document; gives the document's outcome.
async fn with_document(store: &Store) -> i64 {
    with_account(store).await;
    record(store, "e1", "1", 0).await;
    let document = Document {
        line: None,
        kind: "drawing".into(),
        name: "../ring.svg".into(),
        media_type: "image/svg+xml; charset=utf-8".into(),
        content: BytesSource::Inline(b"<svg/>".to_vec()),
    };
    let note = Outcome::Note(Message { key: "made".into(), parameters: vec![], text: "Made.".into() });
    say(store, vec![note, Outcome::Document(document)], 1).await;
    store.outcomes(&shop(), "1").await.unwrap()[1].id
}

async fn link(store: &Store, outcome: i64) -> DocumentLink {
    store.document_link(&shop(), outcome, HOUR, at(0)).await.unwrap()
}

async fn a_document_is_fetched_through_its_link_until_that_ends(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let link = link(&store, outcome).await.to_string();
    assert!(link.starts_with(&format!("documents/shop/{outcome}?expires=")), "{link}");
    let link: DocumentLink = format!("/{link}").parse().unwrap();
    let file = store.document(&link, at(3599)).await.unwrap();
    assert_eq!(file.bytes, b"<svg/>");
    assert_eq!((file.media_type.as_str(), file.file_name.as_str()), ("image/svg+xml", "ring.svg"));
    assert!(matches!(store.document(&link, at(3600)).await, Err(LinkError::Expired)));
    // Only documents are linked.
    let other = store.document_link(&shop(), outcome - 1, HOUR, at(0)).await;
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
        let refused = store.document(&changed.parse().unwrap(), at(1)).await;
        assert!(matches!(refused, Err(LinkError::WrongSignature)), "{changed}: {refused:?}");
    }
    let loud = format!("{path}?{expires}&signature={}", signature["signature=".len()..].to_uppercase());
    for none in
        ["", "documents/shop", path, &link[..link.len() - 1], &format!("{link}&x=1"), &format!("/{link}#a"), &loud]
    {
        assert!(matches!(none.parse::<DocumentLink>(), Err(LinkError::Malformed)), "{none}");
    }
}

async fn a_link_of_another_shop_gives_nothing(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let key = Secret::new("another key of the tests, 32 bytes long");
    let other: ShopId = "other".parse().unwrap();
    store.save_shop(&Shop { id: other.clone(), seal_key: key, ..rings() }, at(0)).await.unwrap();
    // The other shop's own links name no document of this one.
    let foreign = store.document_link(&other, outcome, HOUR, at(0)).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
    let link = link(&store, outcome).await.to_string().replace("documents/shop/", "documents/other/");
    let refused = store.document(&link.parse().unwrap(), at(1)).await;
    assert!(matches!(refused, Err(LinkError::WrongSignature)), "{refused:?}");
}

async fn a_document_of_an_erased_order_is_gone(database: Database) {
    let store = database.open().await;
    let outcome = with_document(&store).await;
    let link = link(&store, outcome).await;
    database.tamper("update orders set order_key = null").await;
    let gone = store.document(&link, at(1)).await;
    assert!(matches!(gone, Err(LinkError::Store(StoreError::Erased(_)))), "{gone:?}");
}

fn article(sku: &str, quantity: &str) -> Article {
    Article {
        sku: sku.into(),
        quantity: quantity.into(),
        price_sku: None,
        price: None,
        material_sku: None,
        extra: vec![],
    }
}

async fn materials_are_exported_as_the_vendor_confirmed_them_last(database: Database) {
    let store = database.open().await;
    with_account(&store).await;
    let mut placed = event("e1", "1");
    placed.order.lines[0].cart_line.quantity = 3;
    placed.order.lines[0].title = "A \"ring\",\nfor Zoë".into();
    store.record_event(&shop(), &placed, &[job("expivi")], at(0)).await.unwrap();
    let price = Money { minor: 1250, scale: 2, currency: "EUR".into() };
    let sheet =
        Article { price: Some(price), material_sku: Some("@oak".into()), ..article("=HYPERLINK(\"x\")", "0.25") };
    let confirmed = |articles| Outcome::BillOfMaterials(LineMaterials { line: "1".into(), articles });
    say(&store, vec![confirmed(vec![article("OLD", "1")])], 1).await;
    say(&store, vec![confirmed(vec![sheet, article("SCREW", "4")])], 2).await;
    let materials = store.order_materials(&shop(), "1").await.unwrap();
    let table = "order,line,title,line_sku,pieces,article_sku,quantity_per_piece,quantity,price_sku,price,currency,material_sku\r\n\
                 test:shop:1,test:shop:1:1,\"A \"\"ring\"\",\nfor Zoë\",RING,3,\"'=HYPERLINK(\"\"x\"\")\",0.25,0.75,,12.50,EUR,'@oak\r\n\
                 test:shop:1,test:shop:1:1,\"A \"\"ring\"\",\nfor Zoë\",RING,3,SCREW,4,12,,,,\r\n";
    assert_eq!(materials.csv().unwrap(), table);
    let exported = serde_json::to_value(&materials).unwrap();
    assert_eq!((&exported["order"], &exported["number"]), (&json!("test:shop:1"), &json!("#1")));
    let line = &exported["lines"][0];
    assert_eq!((&line["pieces"], &line["account"]), (&json!(3), &json!("expivi")));
    assert_eq!(line["articles"][0]["sku"], "=HYPERLINK(\"x\")");
    assert_eq!(line["articles"][0]["price"], json!({ "minor": 1250, "scale": 2, "currency": "EUR" }));
    assert_eq!(exported["lines"].as_array().map(Vec::len), Some(1));
    assert!(matches!(store.order_materials(&shop(), "2").await, Err(StoreError::NotFound { .. })));
}
