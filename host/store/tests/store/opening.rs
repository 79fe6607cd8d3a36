//! Tests of opening a database.

use cartwright_store::{Keyring, Store, StoreError};

use crate::database::{Database, KEY, on_each_database, record};

on_each_database!(
    a_database_is_made_and_opened_again,
    a_newer_schema_is_refused_and_named,
    another_key_is_refused,
    two_stores_share_one_database,
    nodes_that_start_together_make_the_tables_once,
);

async fn a_database_is_made_and_opened_again(database: Database) {
    let store = database.open().await;
    let job = record(&store, "e1", "1", 0).await;
    store.close().await;
    assert_eq!(database.open().await.jobs().get(&job).await.unwrap().summary.event, "e1");
}

async fn a_newer_schema_is_refused_and_named(database: Database) {
    database.open().await.close().await;
    database
        .tamper(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (99, 'later', true, '', 0)",
        )
        .await;
    let error = Store::open(&database.url, Keyring::new(KEY)).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"), "{error}");
}

async fn another_key_is_refused(database: Database) {
    database.open().await.close().await;
    let error = Store::open(&database.url, Keyring::new([8; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error}");
    // The refused key left nothing behind.
    database.open().await;
}

async fn two_stores_share_one_database(database: Database) {
    let (one, two) = (database.open().await, database.open().await);
    let job = record(&one, "e1", "1", 0).await;
    assert_eq!(two.jobs().get(&job).await.unwrap().summary.id, job);
}

async fn nodes_that_start_together_make_the_tables_once(database: Database) {
    let nodes = (0..4).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { Store::open(&url, Keyring::new(KEY)).await })
    });
    for node in nodes.collect::<Vec<_>>() {
        let node = node.await.unwrap();
        assert!(node.is_ok(), "{node:?}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_no_retryable_error() {
    for url in ["mysql://localhost/x", "sqlite::memory:", "sqlite:/no/such/folder/at-all/x.db", "nonsense"] {
        let error = Store::open(url, Keyring::new(KEY)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{url}: {error:?}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "no database, but a text that is long enough to be taken for one ".repeat(40)).unwrap();
    let error = Store::open(&format!("sqlite:{}", path.display()), Keyring::new(KEY)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn sqlite_writes_ahead_and_waits_for_other_writers() {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    assert!(std::fs::exists(format!("{}-wal", database.url.trim_start_matches("sqlite:"))).unwrap());
    let events = (0..40).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { record(&store, &format!("e{number}"), &(number % 3).to_string(), 0).await })
    });
    for event in events.collect::<Vec<_>>() {
        event.await.unwrap();
    }
    assert_eq!(store.jobs().list(&cartwright_store::JobFilter::default(), 100).await.unwrap().len(), 40);
}
