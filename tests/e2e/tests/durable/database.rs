//! The databases of a test with a store: SQLite always, PostgreSQL if `CARTWRIGHT_TEST_POSTGRES` names a server on
//! which databases may be created.

use std::sync::atomic::{AtomicUsize, Ordering};

use cartwright_store::{Keyring, Store};
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;

/// An empty database.
pub struct Database {
    url: String,
    folder: Option<TempDir>,
}

impl Database {
    pub async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        Some(Self { url, folder: Some(folder) })
    }

    pub async fn postgres() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let Ok(server) = std::env::var("CARTWRIGHT_TEST_POSTGRES") else {
            eprintln!("not run: CARTWRIGHT_TEST_POSTGRES names no server");
            return None;
        };
        let name = format!("durable_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&format!("{server}/postgres")).await.expect("the server");
        connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
        Some(Self { url: format!("{server}/{name}"), folder: None })
    }

    /// Returns a database on a server of this test alone.
    pub fn at(url: String) -> Self {
        Self { url, folder: None }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.url, Keyring::new([7; 32])).await.expect("a store")
    }

    /// Locks the database for all writers until the guard is dropped.
    pub async fn locked(&self) -> AnyConnection {
        let mut connection = AnyConnection::connect(&self.url).await.expect("a connection");
        let lock = match &self.folder {
            Some(_) => "begin exclusive",
            None => "begin; lock table jobs, journal_entries in access exclusive mode",
        };
        connection.execute(lock).await.expect("a lock");
        connection
    }

    /// Executes SQL without the store, like a person with the database's own shell.
    pub async fn tamper(&self, sql: &str) {
        let mut connection = AnyConnection::connect(&self.url).await.expect("a connection");
        connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.expect("done");
        connection.close().await.expect("closed");
    }
}

/// Runs tests, each on each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::database::Database::sqlite().await {
                    super::$test(database).await;
                }
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::database::Database::postgres().await {
                    super::$test(database).await;
                }
            })+
        }
    };
}
pub(crate) use on_each_database;
