//! Tests of blobs and of the audit log.

use cartwright::types::OrderEventKind;
use cartwright::{Blobs, Digest, ShopId};
use cartwright_store::{Keyring, NewAuditEntry, Store};
use serde_json::json;

use crate::database::{Database, KEY, at, configured, event_of, job, on_each_database, order, shop};

on_each_database!(
    a_blob_is_its_own_shops_and_kept_once,
    a_blob_that_was_changed_is_not_given_out,
    an_order_has_its_own_copy_of_its_configuration_and_pictures,
    bytes_that_two_orders_have_open_only_with_each_ones_own_key,
    a_new_key_opens_the_blobs_too,
    the_log_is_read_in_pages_with_secrets_masked,
    the_log_is_never_changed,
);

async fn a_blob_is_its_own_shops_and_kept_once(database: Database) {
    let store = database.open().await;
    let bytes = vec![0, 255, 7];
    let digest = store.put(&shop(), bytes.clone(), "image/png").await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    let first = store.blobs().blob_info(&shop(), &digest).await.unwrap().unwrap();
    assert_eq!((first.media_type.as_str(), first.size), ("image/png", 3));
    assert_eq!(store.put(&shop(), bytes.clone(), "text/plain").await.unwrap(), digest);
    let again = store.blobs().blob_info(&shop(), &digest).await.unwrap().unwrap();
    assert!(again.stored_at >= first.stored_at);
    assert_eq!((again.media_type.as_str(), again.size), ("image/png", 3));
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

/// Stores an order whose first line has this configuration.
async fn ordered(store: &Store, id: &str, configuration: &Digest) {
    let mut order = order(id, 1);
    order.lines[0].configuration = Some(configuration.to_string());
    let event = event_of(&format!("e{id}"), OrderEventKind::Paid, order);
    store.orders().record_event(&shop(), &event, &[job("expivi")], at(0)).await.unwrap();
}

async fn an_order_has_its_own_copy_of_its_configuration_and_pictures(database: Database) {
    let store = database.open().await;
    let configuration = configured(&store, None, b"a configuration", &[b"a picture"]).await;
    let picture = Digest::of(b"a picture");
    ordered(&store, "1", &configuration).await;
    // The cart's copies are deleted.
    database.tamper("delete from blobs where order_id = ''").await;
    assert_eq!(store.get(&shop(), &configuration).await.unwrap().unwrap(), b"a configuration");
    assert_eq!(store.get(&shop(), &picture).await.unwrap().unwrap(), b"a picture");
    assert_eq!(store.blobs().blob_info(&shop(), &picture).await.unwrap().unwrap().media_type, "image/png");
}

async fn bytes_that_two_orders_have_open_only_with_each_ones_own_key(database: Database) {
    let store = database.open().await;
    let configuration = store.put(&shop(), b"a configuration".to_vec(), "application/json").await.unwrap();
    ordered(&store, "1", &configuration).await;
    ordered(&store, "2", &configuration).await;
    database.tamper("delete from blobs where order_id = ''").await;
    database.tamper("update orders set order_key = null where id = '1'").await;
    assert!(store.get(&shop(), &configuration).await.is_err());
    database.tamper("delete from blobs where order_id = '1'").await;
    assert_eq!(store.get(&shop(), &configuration).await.unwrap().unwrap(), b"a configuration");
}

async fn a_new_key_opens_the_blobs_too(database: Database) {
    let store = database.open().await;
    let configuration = configured(&store, None, b"a configuration", &[b"a picture"]).await;
    let picture = Digest::of(b"a picture");
    store.close().await;
    let store = Store::open(&database.url, Keyring::new([9; 32]).with_previous(KEY)).await.unwrap();
    assert_eq!(store.rotate_keys().await.unwrap(), 2);
    store.close().await;
    let store = Store::open(&database.url, Keyring::new([9; 32])).await.unwrap();
    assert_eq!(store.get(&shop(), &configuration).await.unwrap().unwrap(), b"a configuration");
    assert_eq!(store.get(&shop(), &picture).await.unwrap().unwrap(), b"a picture");
}

async fn the_log_is_read_in_pages_with_secrets_masked(database: Database) {
    let store = database.open().await;
    let before = json!({ "server-token": "old-s3cret", "timeout": 5 });
    let after = json!({ "accounts": [{ "server-token": "new-s3cret", "timeout": 7 }], "server-token": null });
    let shop = shop();
    for number in 0..5 {
        let subject = number.to_string();
        let entry = NewAuditEntry {
            actor: "ann",
            action: "set-account",
            shop: (number != 2).then_some(&shop),
            subject: &subject,
            before: Some(&before),
            after: Some(&after),
            secrets: &["server-token"],
        };
        store.audit().log(&entry, at(number)).await.unwrap();
    }
    let page = store.audit().entries(Some(&shop), None, 3).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["4", "3", "1"]);
    let next = store.audit().entries(Some(&shop), page.last().map(|entry| entry.id), 3).await.unwrap();
    assert_eq!(next.iter().map(|entry| (entry.subject.as_str(), entry.at)).collect::<Vec<_>>(), [("0", at(0))]);
    assert_eq!(store.audit().entries(None, None, 10).await.unwrap().len(), 5);
    assert_eq!(page[0].before, Some(json!({ "server-token": "(secret)", "timeout": 5 })));
    let masked = json!({ "accounts": [{ "server-token": "(secret)", "timeout": 7 }], "server-token": null });
    assert_eq!(page[0].after, Some(masked));
}

async fn the_log_is_never_changed(database: Database) {
    let store = database.open().await;
    let entry = NewAuditEntry { actor: "ann", action: "set-account", subject: "expivi", ..NewAuditEntry::default() };
    store.audit().log(&entry, at(0)).await.unwrap();
    let error = database.try_tamper("update audit_log set actor = 'nobody'").await.unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
}
