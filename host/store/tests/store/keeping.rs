//! Blobs and the event log.

use cartwright::{Blobs, Digest, ShopId};
use cartwright_store::NewLogEntry;
use serde_json::json;

use crate::database::{Database, at, on_each_database, shop};

on_each_database!(
    a_blob_is_its_own_shops_and_kept_once,
    a_blob_that_was_changed_is_not_given_out,
    the_log_is_read_in_pages_with_secrets_masked,
    the_log_is_never_changed,
);

async fn a_blob_is_its_own_shops_and_kept_once(database: Database) {
    let store = database.open().await;
    let bytes = vec![0, 255, 7];
    let digest = store.put(&shop(), bytes.clone(), "image/png").await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    let first = store.blob_info(&shop(), &digest).await.unwrap().unwrap();
    assert_eq!((first.media_type.as_str(), first.size), ("image/png", 3));
    assert_eq!(store.put(&shop(), bytes.clone(), "text/plain").await.unwrap(), digest);
    assert_eq!(store.blob_info(&shop(), &digest).await.unwrap(), Some(first));
    assert_eq!(store.get(&shop(), &digest).await.unwrap(), Some(bytes));
    let other: ShopId = "other".parse().unwrap();
    assert_eq!(store.get(&other, &digest).await.unwrap(), None);
    assert_eq!(store.put(&shop(), Vec::new(), "text/plain").await.unwrap(), Digest::of(b""));
}

async fn a_blob_that_was_changed_is_not_given_out(database: Database) {
    let store = database.open().await;
    let digest = store.put(&shop(), b"one".to_vec(), "text/plain").await.unwrap();
    store.put(&"other".parse().unwrap(), b"two".to_vec(), "text/plain").await.unwrap();
    database.tamper("update blobs set bytes = (select b.bytes from blobs b where b.shop = 'other')").await;
    assert!(store.get(&shop(), &digest).await.is_err());
}

async fn the_log_is_read_in_pages_with_secrets_masked(database: Database) {
    let store = database.open().await;
    let before = json!({ "server-token": "old-s3cret", "timeout": 5 });
    let after = json!({ "accounts": [{ "server-token": "new-s3cret", "timeout": 7 }], "server-token": null });
    let shop = shop();
    for number in 0..5 {
        let subject = number.to_string();
        let entry = NewLogEntry {
            who: "ann",
            what: "set-account",
            shop: (number != 2).then_some(&shop),
            subject: &subject,
            before: Some(&before),
            after: Some(&after),
            secrets: &["server-token"],
        };
        store.log(&entry, at(number)).await.unwrap();
    }
    let page = store.log_entries(Some(&shop), None, 3).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["4", "3", "1"]);
    let next = store.log_entries(Some(&shop), page.last().map(|entry| entry.id), 3).await.unwrap();
    assert_eq!(next.iter().map(|entry| (entry.subject.as_str(), entry.at)).collect::<Vec<_>>(), [("0", at(0))]);
    assert_eq!(store.log_entries(None, None, 10).await.unwrap().len(), 5);
    assert_eq!(page[0].before, Some(json!({ "server-token": "(secret)", "timeout": 5 })));
    let masked = json!({ "accounts": [{ "server-token": "(secret)", "timeout": 7 }], "server-token": null });
    assert_eq!(page[0].after, Some(masked));
}

async fn the_log_is_never_changed(database: Database) {
    let store = database.open().await;
    let entry = NewLogEntry { who: "ann", what: "set-account", subject: "expivi", ..NewLogEntry::default() };
    store.log(&entry, at(0)).await.unwrap();
    let error = database.try_tamper("update event_log set who = 'nobody'").await.unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
}
