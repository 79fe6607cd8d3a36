//! PostgreSQL in operation: servers that are replaced while connections to them are open, and poolers in front of them.

use std::io;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

use crate::error::StoreError;
use crate::limits::{MAX_CONNECTIONS, WORK_TIMEOUT};
use crate::vault::random;

/// Time for a connection to show that it works.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the second connection of [`check`].
const SECOND_CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of times that two connections are compared. While others use a pooler too, it may by chance hand each the
/// session that it had before.
const COMPARISONS: usize = 8;

const SHARED_SESSIONS: &str = "a pooler distributes one connection's transactions to several sessions, as PgBouncer does with `pool_mode = \
                               transaction` or `statement`; prepared statements and locks need a session for each connection: set \
                               `pool_mode = session` for this database, or use the URL of the server itself";

/// Returns whether the server accepts writes, on a connection that responds in order.
///
/// A standby does not, and neither does a server that another has replaced. A connection that responds out of order,
/// garbled, or not at all is an error.
pub(crate) async fn takes_writes(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    // Without a parameter, so that nothing is prepared: one round trip, like a ping.
    let query = sqlx::raw_sql("show transaction_read_only").fetch_all(connection);
    let rows = tokio::time::timeout(CHECK_TIMEOUT, query)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server does not respond"))??;
    let answer = match rows.as_slice() {
        [row] => row.try_get::<String, _>(0)?,
        rows => return Err(sqlx::Error::Protocol(format!("received {} rows instead of one", rows.len()))),
    };
    match answer.as_str() {
        "off" => Ok(true),
        "on" => Ok(false),
        _ => Err(sqlx::Error::Protocol("received the response to another statement".to_owned())),
    }
}

/// Like [`takes_writes`] for a new connection, but a read-only server is an error.
pub(crate) async fn require_writes(connection: &mut AnyConnection) -> sqlx::Result<()> {
    match takes_writes(connection).await? {
        true => Ok(()),
        false => Err(io::Error::other(
            "its server is read-only: it is a standby or is being replaced; if this persists, change the URL to the primary",
        )
        .into()),
    }
}

/// Configures a new connection: it must accept writes, and no statement runs or waits for a lock longer than background
/// work waits for it.
pub(crate) async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    require_writes(connection).await?;
    let limit = format!("set statement_timeout = {}", WORK_TIMEOUT.as_millis());
    connection.execute(sqlx::AssertSqlSafe(limit)).await?;
    Ok(())
}

/// Checks that the database at this URL can be used: that the server accepts writes, and that each connection is a
/// session of its own.
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
            "its server, or the pooler in front of it, allows no second connection; {MAX_CONNECTIONS} are needed at the same time"
        ))),
    }
}

/// Checks that sessions are separate: while the second connection occupies a session with a transaction, the first must
/// find the variable that it set.
async fn compare_sessions(first: &mut AnyConnection, second: &mut AnyConnection) -> Result<(), StoreError> {
    let header = hex::encode(random::<8>()?);
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
        // Covers poolers that hand out the session that was used last, and those that hand out the one that was used
        // first: here it is the second's.
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
