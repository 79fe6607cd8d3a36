//! Tests of PgBouncer in front of PostgreSQL.

use cartwright_store::{Keyring, Store, StoreError};
use cartwright_test_postgres::Server;

use crate::database::{Database, KEY, claimed, record};

/// Returns the URL of an empty database behind PgBouncer, or `None` if that or PostgreSQL is not installed.
async fn pooled(mode: &'static str, ignored: &'static str) -> Option<String> {
    let server = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.unwrap()?;
    tokio::task::spawn_blocking(move || Server::pool(server, &server.create_database(), mode, ignored)).await.unwrap()
}

async fn refused(mode: &'static str, ignored: &'static str) -> Option<String> {
    let url = pooled(mode, ignored).await?;
    let error = Store::open(&url, Keyring::new(KEY)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)) && !error.is_retryable(), "{mode}: {error:?}");
    Some(error.to_string())
}

#[tokio::test]
async fn a_pooler_that_gives_sessions_away_is_refused_before_anything_is_written() {
    for mode in ["transaction", "statement"] {
        let Some(said) = refused(mode, "extra_float_digits").await else { return };
        assert!(said.contains("pool_mode = session"), "{mode}: {said}");
    }
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_beside_others_that_use_it() {
    let Some(url) = pooled("transaction", "extra_float_digits").await else { return };
    // Others begin and end transactions in the meantime, so that sessions move from one connection to another.
    let others: Vec<_> = (0..3)
        .map(|_| {
            let database = Database::at(url.clone());
            tokio::spawn(async move {
                loop {
                    drop(database.try_tamper("select pg_sleep(0.001)").await);
                }
            })
        })
        .collect();
    for _ in 0..10 {
        let error = Store::open(&url, Keyring::new(KEY)).await.unwrap_err();
        assert!(error.to_string().contains("pool_mode = session"), "{error}");
    }
    for other in others {
        other.abort();
    }
}

#[tokio::test]
async fn a_pooler_that_refuses_a_parameter_is_told_how_to_let_it_pass() {
    let Some(said) = refused("session", "").await else { return };
    assert!(said.contains("ignore_startup_parameters = extra_float_digits"), "{said}");
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_worked_with() {
    let Some(url) = pooled("session", "extra_float_digits").await else { return };
    let database = Database::at(url);
    let (one, two) = (database.open().await, database.open().await);
    let writers: Vec<_> = (0..40)
        .map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move { record(&store, &format!("e{number}"), &number.to_string(), 0).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let claim = claimed(&one, 0).await;
    one.jobs().finish(&claim.lease, Ok(&cartwright::durable::RunEnd::Done), crate::database::at(1)).await.unwrap();
    one.check().await.unwrap();
    two.check().await.unwrap();
}
