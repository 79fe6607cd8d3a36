//! The arguments that name the database of a command, and its key.

use std::path::PathBuf;

use cartwright_service::database;
use cartwright_store::Store;

#[derive(clap::Args)]
pub(crate) struct Database {
    /// The host's database: `sqlite:path/to/file` or `postgres://user@machine/name`.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_DATABASE", hide_env_values = true)]
    database: String,
    /// The file with the key of the database. Default: the variable `CARTWRIGHT_KEY`.
    ///
    /// A key has 64 hexadecimal digits; `openssl rand -hex 32` creates one. During a key rotation the old key follows
    /// the new one on its own line.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_KEY_FILE")]
    key_file: Option<PathBuf>,
}

impl Database {
    /// Opens the database, or creates it for a new installation.
    pub(crate) async fn open_or_create(&self) -> anyhow::Result<Store> {
        database::open_or_create(&self.database, self.key_file.as_deref()).await
    }

    /// Opens the database. Does not create a missing file, because an empty database would look like one without jobs.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        database::open(&self.database, self.key_file.as_deref()).await
    }
}
