//! The file of an SQLite database. It contains customers' data, and must be accessible only to the user who runs the
//! host.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;

use crate::error::StoreError;

/// Creates the file if that is allowed, readable only by its owner whatever the umask is. SQLite gives the files that
/// it creates beside it the same permissions. Existing files that others can read are logged.
pub(crate) fn make(url: &str) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| StoreError::opening(&error))?;
    let path = options.get_filename();
    if url.contains("mode=rwc") {
        // If this fails, SQLite itself reports why.
        drop(create(path));
    }
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        if let Some(mode) = open_to_others(&path) {
            tracing::error!(
                "the database file {} can be read or written by other users of this machine (mode {mode:04o}); run `chmod 600 {0}`",
                path.display()
            );
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn create(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Returns the permissions of a file if they include other users. `None` also if there is no such file.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<u32> {
    None
}
