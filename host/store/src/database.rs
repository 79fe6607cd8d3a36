//! The database itself: opening it, its tables, its transactions.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cartwright::{Secret, ShopId};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, SqlSafeStr, Transaction};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::quota::{DEFAULT_CART_QUOTA_BYTES, Quota};
use crate::vault::Keyring;
use crate::webhook::ReceiptQuota;
use crate::{file, server};

/// How long a writer waits for another before it gives up with [`StoreError::Unavailable`].
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection to SQLite: longer than a writer waits, so that the reason is named rightly.
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for a connection to PostgreSQL. New ones are tried for until then, so that a short restart of the server
/// is waited out.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first connection may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection to PostgreSQL is used: whatever a connection holds that is not so any more, such as the plan of a statement
/// whose tables were changed, or the way to a server that another has replaced, ends with it.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long [`Store::check`] waits for the pool, and then for a connection of its own.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a piece of background work may wait for the database. A server whose machine is gone ends no connection, and the system
/// would wait for a quarter of an hour. PostgreSQL itself ends each statement of this node after so long, whoever waits for it.
pub(crate) const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a new connection waits before it looks again.
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(20);
/// SQLite has one writer; more connections only serve readers.
pub(crate) const SQLITE_CONNECTIONS: u32 = 8;

/// SQLite has no lock of its own for making tables: of nodes that start together, one makes each step, and the others find it there and
/// look again, a step further.
const MAX_MIGRATION_ATTEMPTS: u32 = 20;
/// How long to wait before looking again.
const MIGRATION_RETRY_DELAY: Duration = Duration::from_millis(50);

const SQLITE: &[(i64, &str, &str)] = &[(1, "first", include_str!("../migrations/sqlite/0001_first.sql"))];
const POSTGRES: &[(i64, &str, &str)] = &[(1, "first", include_str!("../migrations/postgres/0001_first.sql"))];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// Everything that the host keeps. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: AnyPool,
    dialect: Dialect,
    /// May hold a password.
    address: Secret,
    keys: Keyring,
    cart_quota: Quota<ShopId>,
    receipt_quota: ReceiptQuota,
    /// Told when something may have become due, so that this process's workers need not poll for it.
    nudges: watch::Sender<()>,
    /// See [`Store::on_commit`].
    commit_hook: OnceLock<fn()>,
}

/// A transaction that writes. Rolled back unless it is committed.
pub(crate) struct WriteTransaction {
    transaction: Transaction<'static, Any>,
    commit_hook: Option<fn()>,
}

impl WriteTransaction {
    /// Everything in it stands when this returns.
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
    /// Opens a database, brings its tables to this release's form, and checks the keys against it.
    ///
    /// `url` is `sqlite:path/to/file`, which is made when it does not exist, or `postgres://…`. There `?sslmode=` is honoured as
    /// `psql` does: without it TLS is used where the server has it, and nobody's certificate is checked; over a network
    /// `verify-full` is the right one, with `&sslrootcert=` for an authority that browsers do not know.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::WrongKey`], [`StoreError::Unusable`] for an address or rights that do not
    /// fit and for a pooler that does not give each connection a session of its own, [`StoreError::Unavailable`] also for a server
    /// that takes no writes, [`StoreError::Corrupt`] when it is no database.
    pub async fn open(url: &str, keys: Keyring) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let (dialect, url) = address(url)?;
        if dialect == Dialect::Sqlite {
            file::make(&url)?;
        }
        // The pool tries again and again, and would only say that it waited too long.
        let opening = |error| StoreError::opening(&error);
        let mut first = match tokio::time::timeout(OPEN_TIMEOUT, AnyConnection::connect(&url)).await {
            Ok(connected) => connected.map_err(opening)?,
            Err(_) => return Err(StoreError::Unavailable("its server does not answer".to_owned())),
        };
        match dialect {
            Dialect::Sqlite => prepare(&mut first).await.map_err(opening)?,
            Dialect::Postgres => server::check(&url, &mut first).await?,
        }
        // Not on a connection of the pool: PostgreSQL's lock is the session's, and goes with it when this fails.
        migrate(dialect, &mut first).await?;
        first.close().await?;
        let pool = match dialect {
            Dialect::Sqlite => AnyPoolOptions::new()
                .acquire_timeout(SQLITE_ACQUIRE_TIMEOUT)
                // On a full disk SQLite ends a transaction by itself, and `sqlx` goes on counting it.
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
                .after_connect(|connection, _| Box::pin(prepare(connection))),
            // A connection is used only while its server takes writes and its answers are in order. Any other is closed, and the
            // next one looks the server's name up anew.
            Dialect::Postgres => AnyPoolOptions::new()
                .acquire_timeout(POSTGRES_ACQUIRE_TIMEOUT)
                .max_lifetime(CONNECTION_LIFETIME)
                .test_before_acquire(false)
                .before_acquire(|connection, _| Box::pin(server::takes_writes(connection)))
                .after_connect(|connection, _| Box::pin(server::prepare(connection))),
        };
        let pool = pool.max_connections(SQLITE_CONNECTIONS).connect(&url).await?;
        let address = Secret::new(url);
        let store = Self {
            inner: Arc::new(Inner {
                pool,
                dialect,
                address,
                keys,
                cart_quota: Quota::new(DEFAULT_CART_QUOTA_BYTES),
                receipt_quota: ReceiptQuota::default(),
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

    /// Checks that the database can be read, and on PostgreSQL that its server takes writes. Answers within about two seconds.
    ///
    /// # Errors
    /// Why not, as whoever runs the host must know it.
    pub async fn check(&self) -> Result<(), StoreError> {
        let read = sqlx::query("select number from change_counter").fetch_one(self.pool());
        match tokio::time::timeout(CHECK_TIMEOUT, read).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => {}
            Ok(Err(error)) => return Err(error.into()),
        }
        // The pool does not say why it has no connection. When another can be had, all of its own are at work.
        if self.inner.dialect == Dialect::Sqlite {
            return Err(StoreError::Unavailable("it is locked, or all of its connections are at work".to_owned()));
        }
        let url = String::from_utf8_lossy(self.inner.address.expose()).into_owned();
        let another = async {
            let mut connection = AnyConnection::connect(&url).await?;
            server::require_writes(&mut connection).await?;
            connection.close().await
        };
        match tokio::time::timeout(CHECK_TIMEOUT, another).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(StoreError::Unavailable("its server does not answer".to_owned())),
        }
    }

    /// Calls `hook` before and after each commit, so that a test can end the process there. Only the first hook that is set is called.
    #[doc(hidden)]
    pub fn on_commit(&self, hook: fn()) {
        let _ = self.inner.commit_hook.set(hook);
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.inner.pool
    }

    /// Empties SQLite's write-ahead log, which holds what was deleted. Readers that do not end hold it up: then the next time.
    pub(crate) async fn empty_log(&self) -> Result<(), StoreError> {
        if self.inner.dialect == Dialect::Sqlite {
            sqlx::query("pragma wal_checkpoint(truncate)").execute(self.pool()).await?;
        }
        Ok(())
    }

    pub(crate) fn cart_quota(&self) -> &Quota<ShopId> {
        &self.inner.cart_quota
    }

    pub(crate) fn receipt_quota(&self) -> &ReceiptQuota {
        &self.inner.receipt_quota
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.inner.keys
    }

    /// Wakes this process's workers: call it when a transaction has committed that may have made a job or a notification due, or
    /// brought settings that a vendor pushed.
    pub(crate) fn nudge(&self) {
        self.inner.nudges.send_replace(());
    }

    pub(crate) fn nudged(&self) -> watch::Receiver<()> {
        self.inner.nudges.subscribe()
    }

    /// A transaction that reads, and sees one moment.
    pub(crate) async fn begin_reading(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self
            .pool()
            .begin_with(match self.inner.dialect {
                Dialect::Sqlite => "begin deferred",
                Dialect::Postgres => "begin isolation level repeatable read read only",
            })
            .await?)
    }

    /// Keeps other transactions that lock this name waiting until this one ends. In SQLite transactions that write wait for each other
    /// anyway.
    pub(crate) async fn lock_name(&self, work: &mut WriteTransaction, name: &str) -> Result<(), StoreError> {
        if self.inner.dialect == Dialect::Postgres {
            // What the function itself gives, no `Any` can hold.
            let lock = "select 1 from pg_advisory_xact_lock(hashtextextended($1, 0))";
            sqlx::query(lock).bind(name).execute(&mut **work).await?;
        }
        Ok(())
    }

    /// A transaction that writes. SQLite takes its one writer's place at once: a transaction that began by reading could not
    /// wait for it later.
    pub(crate) async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let transaction = match self.inner.dialect {
            Dialect::Sqlite => self.pool().begin_with("begin immediate").await?,
            Dialect::Postgres => self.pool().begin().await?,
        };
        Ok(WriteTransaction { transaction, commit_hook: self.inner.commit_hook.get().copied() })
    }
}

/// Brings the tables to this release's form.
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
        // `run` takes whatever a connection can be had of, which the compiler cannot follow into a task.
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

/// Awaits background work of which nobody waits for the end, for so long as the database can be expected to answer.
///
/// # Errors
/// As the work says, and [`StoreError::Unavailable`] when it takes too long. It may have been done all the same, as when a connection
/// breaks off.
pub(crate) async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(WORK_TIMEOUT, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} seconds", WORK_TIMEOUT.as_secs()))),
    }
}

/// Sets a connection to SQLite up. While another makes a log or takes it away, SQLite waits for nobody, so that it is waited for here.
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
    // What `append` wrote must stand after a power cut.
    connection.execute("pragma synchronous = full").await?;
    connection.execute("pragma foreign_keys = on").await?;
    // What was erased must not stand in a free page.
    connection.execute("pragma secure_delete = on").await?;
    Ok(())
}

fn address(url: &str) -> Result<(Dialect, String), StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok((Dialect::Postgres, url.to_owned())),
        // Each connection would have a memory of its own.
        Some("sqlite") if url.contains(":memory:") || url.contains("mode=memory") => {
            Err(StoreError::Unusable("a database in memory keeps nothing; name a file".to_owned()))
        }
        Some("sqlite") if url.contains("mode=") => Ok((Dialect::Sqlite, url.to_owned())),
        Some("sqlite") => {
            let sign = if url.contains('?') { '&' } else { '?' };
            Ok((Dialect::Sqlite, format!("{url}{sign}mode=rwc")))
        }
        // Not the address itself: it may hold a password.
        _ => Err(StoreError::Unusable("its address begins neither with sqlite: nor with postgres:".to_owned())),
    }
}

/// A moment as the tables hold it.
pub(crate) fn milliseconds(at: SystemTime) -> i64 {
    i64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// A moment from the tables.
pub(crate) fn moment(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
