//! Tests of TLS towards PostgreSQL.

use cartwright_store::{Keyring, Store, StoreError};
use cartwright_test_postgres::Server;

use crate::database::{KEY, record};

async fn open(url: Option<String>) -> Result<Store, StoreError> {
    Store::open(&url.unwrap(), Keyring::new(KEY)).await
}

#[tokio::test]
async fn a_server_is_reached_over_tls_and_its_certificate_is_checked_as_asked() {
    let started = tokio::task::spawn_blocking(Server::start_with_tls).await.unwrap().expect("PostgreSQL starts");
    let Some(server) = started else {
        cartwright_test_postgres::shared();
        return;
    };
    let address = server.create_database();
    let known = format!("sslmode=verify-full&sslrootcert={}", server.authority().display());
    let store = open(server.over_network(&address, "localhost", &known)).await.expect("a store");
    record(&store, "e1", "1", 0).await;
    store.close().await;
    // Without any option it is encrypted too: this server accepts nothing else.
    open(server.over_network(&address, "localhost", "sslmode=require")).await.expect("a store");
    let right_name_asked = known.replace("verify-full", "verify-ca");
    open(server.over_network(&address, "127.0.0.1", &right_name_asked)).await.expect("a store");
    for (host, parameters, wrong) in [
        ("localhost", "sslmode=verify-full", "an unknown authority"),
        ("127.0.0.1", known.as_str(), "another name"),
        ("localhost", "sslmode=disable", "no TLS"),
    ] {
        let error = open(server.over_network(&address, host, parameters)).await.expect_err(wrong);
        assert!(matches!(error, StoreError::Unusable(_)) && !error.is_retryable(), "{wrong}: {error:?}");
    }
}
