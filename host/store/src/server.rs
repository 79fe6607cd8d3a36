//! PostgreSQL as it is run: servers that are replaced while connections to them stand, and poolers before them.

use std::io;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

use crate::database::{SQLITE_CONNECTIONS, WORK_TIMEOUT};
use crate::error::StoreError;

/// How long a connection may take to show that it is in order.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the second connection of [`check`] may take.
const SECOND_CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How often two connections are compared. While others use a pooler too, it may hand each the session that it had, by chance.
const COMPARISONS: usize = 8;

const SHARED_SESSIONS: &str = "a pooler gives one connection's transactions to several sessions, as PgBouncer does with `pool_mode = \
                               transaction` or `statement`; prepared statements and locks need a session for each connection: set \
                               `pool_mode = session` for this database, or name the server itself";

/// Does the server take writes, and does the connection answer in order?
///
/// A standby says no, and so does a server that another has replaced. Not one that answers out of order, garbled, or not at all: such a
/// connection is an error.
pub(crate) async fn takes_writes(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    // With no parameter, so that nothing is prepared: one way there and back, as a ping would be.
    let asked = sqlx::raw_sql("show transaction_read_only").fetch_all(connection);
    let rows = tokio::time::timeout(CHECK_TIMEOUT, asked)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))??;
    let answer = match rows.as_slice() {
        [row] => row.try_get::<String, _>(0)?,
        rows => return Err(sqlx::Error::Protocol(format!("{} rows came instead of one", rows.len()))),
    };
    match answer.as_str() {
        "off" => Ok(true),
        "on" => Ok(false),
        _ => Err(sqlx::Error::Protocol("the answer to another statement came".to_owned())),
    }
}

/// [`takes_writes`] for a new connection: a server that takes none is an error.
pub(crate) async fn require_writes(connection: &mut AnyConnection) -> sqlx::Result<()> {
    match takes_writes(connection).await? {
        true => Ok(()),
        false => Err(io::Error::other(
            "its server takes no writes: it is a standby or is being replaced; if this does not end, let the address lead to the \
             primary",
        )
        .into()),
    }
}

/// Sets a new connection up: it takes writes, and no statement runs or waits for a lock longer than background work waits for it.
pub(crate) async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    require_writes(connection).await?;
    let limit = format!("set statement_timeout = {}", WORK_TIMEOUT.as_millis());
    connection.execute(sqlx::AssertSqlSafe(limit)).await?;
    Ok(())
}

/// Checks that the address can be worked with: that the server takes writes, and that each connection is a session of its own.
pub(crate) async fn check(url: &str, first: &mut AnyConnection) -> Result<(), StoreError> {
    require_writes(first).await?;
    let second = async {
        let mut second = AnyConnection::connect(url).await.map_err(|error| StoreError::opening(&error))?;
        compare_sessions(first, &mut second).await?;
        Ok(second.close().await?)
    };
    match tokio::time::timeout(SECOND_CONNECTION_TIMEOUT, second).await {
        Ok(checked) => checked,
        Err(_) => Err(StoreError::Unavailable(format!(
            "its server, or the pooler before it, gives no second connection; {SQLITE_CONNECTIONS} are needed at the same time"
        ))),
    }
}

/// A session keeps what it was told. While the second connection holds a session with a transaction, the first must find its own.
async fn compare_sessions(first: &mut AnyConnection, second: &mut AnyConnection) -> Result<(), StoreError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::Unavailable(format!("the system's random numbers: {error}")))?;
    let header = hex::encode(random);
    first.execute(sqlx::AssertSqlSafe(format!("set cartwright.session = '{header}'"))).await?;
    for _ in 0..COMPARISONS {
        second.execute("begin").await.map_err(|error| match &error {
            sqlx::Error::Database(refused) if refused.code().as_deref() == Some("08P01") => {
                StoreError::Unusable(format!("{SHARED_SESSIONS} ({refused})"))
            }
            _ => error.into(),
        })?;
        if mark_of(second).await? == header || mark_of(first).await? != header {
            return Err(StoreError::Unusable(SHARED_SESSIONS.to_owned()));
        }
        second.execute("rollback").await?;
        // Whether a pooler hands out the session that was used last or the one that was used first: here it is the second's.
        if mark_of(first).await? != header || mark_of(first).await? != header {
            return Err(StoreError::Unusable(SHARED_SESSIONS.to_owned()));
        }
    }
    Ok(())
}

async fn mark_of(connection: &mut AnyConnection) -> sqlx::Result<String> {
    let row = sqlx::raw_sql("select coalesce(current_setting('cartwright.session', true), '')").fetch_one(connection);
    row.await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use crate::{Keyring, Store};

    #[tokio::test]
    async fn every_statement_of_the_pool_has_a_limit() {
        let shared = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer");
        // Where PostgreSQL is not installed, there is nothing to ask.
        let Some(server) = shared else { return };
        let store = Store::open(&server.create_database(), Keyring::new([7; 32])).await.expect("a store");
        let mut connections = Vec::new();
        for _ in 0..2 {
            let mut connection = store.pool().acquire().await.expect("a connection");
            let (limit,): (String,) = sqlx::query_as("select current_setting('statement_timeout')")
                .fetch_one(&mut *connection)
                .await
                .expect("a row");
            assert_eq!(limit, "30s");
            connections.push(connection);
        }
    }
}
