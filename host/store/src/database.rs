//! The database: opening it, its schema, its transactions.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cartwright::{Secret, ShopId};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, SqlSafeStr, Transaction};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::limits::{MAX_CONNECTIONS, WORK_TIMEOUT};
use crate::quota::{DEFAULT_CART_QUOTA_BYTES, Quota};
use crate::vault::Keyring;
use crate::webhook::WebhookQuota;
use crate::{file, server};

/// Time for which a writer waits for another before it fails with [`StoreError::Unavailable`].
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which a caller waits for a connection to SQLite: longer than a writer waits, so that the error names the
/// right cause.
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a caller waits for a connection to PostgreSQL. New connections are attempted until then, so that a
/// short restart of the server causes no error.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the first connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum age of a connection to PostgreSQL. State of a connection that has become outdated, such as the plan of a
/// statement whose tables were changed, or the route to a server that was replaced, ends with it.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Time for which [`Store::check`] waits for the pool, and then for a connection of its own.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which a new connection looks again.
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Maximum number of attempts to migrate SQLite, which has no lock of its own for that: of nodes that start together,
/// one performs each step, and the others find it done and continue with the next one.
const MAX_MIGRATION_ATTEMPTS: u32 = 20;
/// Time to wait before the next attempt.
const MIGRATION_RETRY_DELAY: Duration = Duration::from_millis(50);

const SQLITE: &[(i64, &str, &str)] = &[(1, "first", include_str!("../migrations/sqlite/0001_first.sql"))];
const POSTGRES: &[(i64, &str, &str)] = &[(1, "first", include_str!("../migrations/postgres/0001_first.sql"))];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// Everything that the host stores. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: AnyPool,
    dialect: Dialect,
    /// URL, which may contain a password.
    address: Secret,
    keys: Keyring,
    cart_quota: Quota<ShopId>,
    webhook_quota: WebhookQuota,
    /// Notified when something may have become due, so that this process's workers need not poll for it.
    nudges: watch::Sender<()>,
    /// See [`Store::on_commit`].
    commit_hook: OnceLock<fn()>,
}

/// A write transaction. It is rolled back unless it is committed.
pub(crate) struct WriteTransaction {
    transaction: Transaction<'static, Any>,
    commit_hook: Option<fn()>,
}

impl WriteTransaction {
    /// Commits the transaction. Everything in it is durable when this returns.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { transaction, commit_hook } = self;
        if let Some(hook) = commit_hook {
            hook();
        }
        transaction.commit().await?;
        if let Some(hook) = commit_hook {
            hook();
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }
}

impl Deref for WriteTransaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

impl Store {
    /// Opens a database, migrates its schema to this release, and checks the keys against it.
    ///
    /// `url` is `sqlite:path/to/file`, which is created if it does not exist, or `postgres://…`. For the latter,
    /// `?sslmode=` has the same meaning as for `psql`: without it, TLS is used if the server supports it, and no
    /// certificate is checked; over a network, use `verify-full`, with `&sslrootcert=` for an authority that browsers
    /// do not know.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::WrongKey`], [`StoreError::Unusable`] for an invalid URL, for missing
    /// rights and for a pooler that does not give each connection a session of its own, [`StoreError::Unavailable`]
    /// also for a read-only server, [`StoreError::Corrupt`] if the file is not a database.
    pub async fn open(url: &str, keys: Keyring) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let (dialect, url) = address(url)?;
        if dialect == Dialect::Sqlite {
            file::make(&url)?;
        }
        // The pool would retry, and finally report only that it waited too long.
        let opening = |error| StoreError::opening(&error);
        let mut first = match tokio::time::timeout(OPEN_TIMEOUT, AnyConnection::connect(&url)).await {
            Ok(connected) => connected.map_err(opening)?,
            Err(_) => return Err(StoreError::Unavailable("the server does not respond".to_owned())),
        };
        match dialect {
            Dialect::Sqlite => prepare(&mut first).await.map_err(opening)?,
            Dialect::Postgres => server::check(&url, &mut first).await?,
        }
        // Not on a connection of the pool: PostgreSQL's lock belongs to the session, and is released with it if this
        // fails.
        migrate(dialect, &mut first).await?;
        first.close().await?;
        let pool = match dialect {
            Dialect::Sqlite => AnyPoolOptions::new()
                .acquire_timeout(SQLITE_ACQUIRE_TIMEOUT)
                // On a full disk SQLite ends a transaction by itself, but `sqlx` continues to count it.
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
                .after_connect(|connection, _| Box::pin(prepare(connection))),
            // A connection is used only while its server accepts writes and responds in order. Any other is closed, and
            // the next one resolves the server's name anew.
            Dialect::Postgres => AnyPoolOptions::new()
                .acquire_timeout(POSTGRES_ACQUIRE_TIMEOUT)
                .max_lifetime(CONNECTION_LIFETIME)
                .test_before_acquire(false)
                .before_acquire(|connection, _| Box::pin(server::takes_writes(connection)))
                .after_connect(|connection, _| Box::pin(server::prepare(connection))),
        };
        let pool = pool.max_connections(MAX_CONNECTIONS).connect(&url).await?;
        let address = Secret::new(url);
        let store = Self {
            inner: Arc::new(Inner {
                pool,
                dialect,
                address,
                keys,
                cart_quota: Quota::new(DEFAULT_CART_QUOTA_BYTES),
                webhook_quota: WebhookQuota::default(),
                nudges: watch::Sender::default(),
                commit_hook: OnceLock::new(),
            }),
        };
        store.check_keys().await?;
        Ok(store)
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }

    /// Checks that the database can be read, and on PostgreSQL that its server accepts writes. Returns within about two
    /// seconds.
    ///
    /// # Errors
    /// Why the database cannot be used, for the operator.
    pub async fn check(&self) -> Result<(), StoreError> {
        let read = sqlx::query("select number from change_counter").fetch_one(self.pool());
        match tokio::time::timeout(CHECK_TIMEOUT, read).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => {}
            Ok(Err(error)) => return Err(error.into()),
        }
        // The pool does not say why it has no connection. If another one can be opened, all of its own are in use.
        if self.inner.dialect == Dialect::Sqlite {
            return Err(StoreError::Unavailable("it is locked, or all of its connections are in use".to_owned()));
        }
        let url = String::from_utf8_lossy(self.inner.address.expose()).into_owned();
        let another = async {
            let mut connection = AnyConnection::connect(&url).await?;
            server::require_writes(&mut connection).await?;
            connection.close().await
        };
        match tokio::time::timeout(CHECK_TIMEOUT, another).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(StoreError::Unavailable("the server does not respond".to_owned())),
        }
    }

    /// Calls `hook` before and after each commit, so that a test can end the process there. Only the first hook that is
    /// set is called.
    #[doc(hidden)]
    pub fn on_commit(&self, hook: fn()) {
        let _ = self.inner.commit_hook.set(hook);
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.inner.pool
    }

    /// Empties SQLite's write-ahead log, which contains deleted data. Long readers prevent it; then the next call does
    /// it.
    pub(crate) async fn empty_log(&self) -> Result<(), StoreError> {
        if self.inner.dialect == Dialect::Sqlite {
            sqlx::query("pragma wal_checkpoint(truncate)").execute(self.pool()).await?;
        }
        Ok(())
    }

    pub(crate) fn cart_quota(&self) -> &Quota<ShopId> {
        &self.inner.cart_quota
    }

    pub(crate) fn webhook_quota(&self) -> &WebhookQuota {
        &self.inner.webhook_quota
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.inner.keys
    }

    /// Wakes this process's workers. Call it after the commit of a transaction that may have made a job or a
    /// notification due, or stored settings that a vendor pushed.
    pub(crate) fn nudge(&self) {
        self.inner.nudges.send_replace(());
    }

    pub(crate) fn nudged(&self) -> watch::Receiver<()> {
        self.inner.nudges.subscribe()
    }

    /// Begins a read transaction, which sees a consistent snapshot.
    pub(crate) async fn begin_reading(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self
            .pool()
            .begin_with(match self.inner.dialect {
                Dialect::Sqlite => "begin deferred",
                Dialect::Postgres => "begin isolation level repeatable read read only",
            })
            .await?)
    }

    /// Acquires a lock by name until the transaction ends. In SQLite, write transactions wait for each other anyway.
    pub(crate) async fn lock_name(&self, work: &mut WriteTransaction, name: &str) -> Result<(), StoreError> {
        if self.inner.dialect == Dialect::Postgres {
            // `Any` cannot represent the result of the function itself.
            let lock = "select 1 from pg_advisory_xact_lock(hashtextextended($1, 0))";
            sqlx::query(lock).bind(name).execute(&mut **work).await?;
        }
        Ok(())
    }

    /// Begins a write transaction. SQLite locks at once, because a transaction that began by reading could not wait for
    /// the lock later.
    pub(crate) async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let transaction = match self.inner.dialect {
            Dialect::Sqlite => self.pool().begin_with("begin immediate").await?,
            Dialect::Postgres => self.pool().begin().await?,
        };
        Ok(WriteTransaction { transaction, commit_hook: self.inner.commit_hook.get().copied() })
    }
}

/// Migrates the schema to this release.
async fn migrate(dialect: Dialect, connection: &mut AnyConnection) -> Result<(), StoreError> {
    let steps = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let known = steps.last().map_or(0, |(version, _, _)| *version);
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    let mut tries = MAX_MIGRATION_ATTEMPTS;
    loop {
        tries -= 1;
        // `run` accepts anything that provides a connection, which the compiler cannot prove to be `Send` in a task.
        match migrator.run_direct(None, connection, false).await {
            Ok(()) => return Ok(()),
            Err(MigrateError::VersionMissing(_)) => {
                let (found,) = sqlx::query_as::<_, (i64,)>("select max(version) from _sqlx_migrations")
                    .fetch_one(connection)
                    .await?;
                return Err(StoreError::NewerSchema { found, known });
            }
            Err(_) if tries > 0 => tokio::time::sleep(MIGRATION_RETRY_DELAY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Awaits background work with a time limit, because no caller notices when it hangs.
///
/// # Errors
/// The error of the work, or [`StoreError::Unavailable`] if it takes too long. The work may have been done all the
/// same, as after a broken connection.
pub(crate) async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(WORK_TIMEOUT, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable(format!("no response within {} seconds", WORK_TIMEOUT.as_secs()))),
    }
}

/// Configures a connection to SQLite. While another connection creates or removes the write-ahead log, SQLite does not
/// wait, so that this function does.
async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let began = Instant::now();
    loop {
        let Err(error) = set_up(connection).await else { return Ok(()) };
        if began.elapsed() > SQLITE_BUSY_TIMEOUT || !StoreError::of(&error).is_retryable() {
            return Err(error);
        }
        tokio::time::sleep(CONNECT_RETRY_DELAY).await;
    }
}

async fn set_up(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let busy = format!("pragma busy_timeout = {}", SQLITE_BUSY_TIMEOUT.as_millis());
    connection.execute(sqlx::AssertSqlSafe(busy)).await?;
    connection.execute("pragma journal_mode = wal").await?;
    // What `append` wrote must survive a power failure.
    connection.execute("pragma synchronous = full").await?;
    connection.execute("pragma foreign_keys = on").await?;
    // Erased data must not remain in a free page.
    connection.execute("pragma secure_delete = on").await?;
    Ok(())
}

fn address(url: &str) -> Result<(Dialect, String), StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok((Dialect::Postgres, url.to_owned())),
        // Each connection would have a separate database.
        Some("sqlite") if url.contains(":memory:") || url.contains("mode=memory") => {
            Err(StoreError::Unusable("a database in memory is lost when the host stops; name a file".to_owned()))
        }
        Some("sqlite") if url.contains("mode=") => Ok((Dialect::Sqlite, url.to_owned())),
        Some("sqlite") => {
            let sign = if url.contains('?') { '&' } else { '?' };
            Ok((Dialect::Sqlite, format!("{url}{sign}mode=rwc")))
        }
        // The URL is omitted: it may contain a password.
        _ => Err(StoreError::Unusable("the URL must begin with sqlite: or postgres:".to_owned())),
    }
}

/// Converts a time to the tables' milliseconds.
pub(crate) fn milliseconds(at: SystemTime) -> i64 {
    i64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// Converts the tables' milliseconds to a time.
pub(crate) fn system_time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::Store;
    use crate::vault::Keyring;

    #[tokio::test]
    async fn every_statement_of_the_pool_has_a_limit() {
        let shared = tokio::task::spawn_blocking(cartwright_test_postgres::shared).await.expect("an answer");
        // Without PostgreSQL there is nothing to test.
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
