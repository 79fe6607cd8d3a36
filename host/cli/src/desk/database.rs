//! Which database, and the key that opens it.

use std::path::PathBuf;

use cartwright_service::database;
use cartwright_store::Store;

#[derive(clap::Args)]
pub(crate) struct Database {
    /// The host's database: `sqlite:path/to/file` or `postgres://user@machine/name`.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_DATABASE", hide_env_values = true)]
    database: String,
    /// The file of the key that opens it; `CARTWRIGHT_KEY` unless given.
    ///
    /// A key is 64 hexadecimal digits; `openssl rand -hex 32` makes one. While keys are exchanged the older one follows the new one,
    /// on a line of its own.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_KEY_FILE")]
    key_file: Option<PathBuf>,
}

impl Database {
    /// Opens it, or makes it: for who begins an installation.
    pub(crate) async fn open_or_create(&self) -> anyhow::Result<Store> {
        database::open_or_create(&self.database, self.key_file.as_deref()).await
    }

    /// Opens it. A file that is not there is not made: it would be an empty database, and look like one without jobs.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        database::open(&self.database, self.key_file.as_deref()).await
    }
}
