//! Opens the database with its key.

use std::path::Path;

use anyhow::{Context as _, bail};
use cartwright_store::{Keyring, Store};

/// Environment variable that contains the key if no key file is named.
pub const KEY_VARIABLE: &str = "CARTWRIGHT_KEY";
const KEY_HELP: &str = "the database's secrets and orders are encrypted with a key of 32 random bytes, which is stored outside it; create one with \
                   `(umask 077; openssl rand -hex 32 > cartwright.key)` and name it with --key-file, or set CARTWRIGHT_KEY";

/// Opens a database, or creates it for a new installation.
///
/// # Errors
/// Returns an error if there is no key, or the database cannot be opened.
pub async fn open_or_create(url: &str, key_file: Option<&Path>) -> anyhow::Result<Store> {
    Store::open(url, keys(key_file)?).await.context("cannot open the database")
}

/// Opens an existing database. A missing file is not created: it would be an empty database, and look like one without
/// jobs.
///
/// # Errors
/// Returns an error if there is no key, or the database cannot be opened.
pub async fn open(url: &str, key_file: Option<&Path>) -> anyhow::Result<Store> {
    let keys = keys(key_file)?;
    let mut url = url.to_owned();
    if url.starts_with("sqlite:") && !url.contains("mode=") {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str("mode=rw");
    }
    Store::open(&url, keys).await.context("cannot open the database")
}

fn keys(file: Option<&Path>) -> anyhow::Result<Keyring> {
    let text = match file {
        Some(file) => {
            warn_if_readable_by_others(file);
            std::fs::read_to_string(file).with_context(|| format!("cannot read the key file {}", file.display()))?
        }
        None => std::env::var(KEY_VARIABLE).ok().with_context(|| format!("there is no key: {KEY_HELP}"))?,
    };
    let mut keys = text.split_whitespace().map(key);
    let Some(current) = keys.next() else { bail!("the key is empty: {KEY_HELP}") };
    keys.try_fold(Keyring::new(current?), |ring, older| Ok(ring.with_previous(older?)))
}

/// Warns if other users can read the key file. It is not refused: where secrets are mounted into containers, the
/// operator cannot choose their permissions.
#[cfg(unix)]
fn warn_if_readable_by_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        tracing::error!(
            "the key file {} can be read or written by other users of this machine (mode {mode:04o}); run `chmod 600 {0}`",
            file.display()
        );
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}

/// Parses a key. The error does not contain the text, which may be a key with a typing error.
fn key(digits: &str) -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(digits, &mut key)
        .ok()
        .with_context(|| format!("a key is not 64 hexadecimal digits: {KEY_HELP}"))?;
    Ok(key)
}
