//! The source of a plugin: a file, or the name of a bundled one.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use cartwright::{Cartwright, PluginVersion};

/// Returns the bytes of a plugin.
pub fn bytes(source: &str) -> anyhow::Result<Vec<u8>> {
    match cartwright_bundled::by_id(source) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => std::fs::read(source)
            .with_context(|| format!("{source} is neither a bundled plugin (expivi, twikit) nor a readable file")),
    }
}

/// Installs a plugin.
pub async fn install(host: &Cartwright, source: &str) -> anyhow::Result<Arc<PluginVersion>> {
    host.install(&bytes(source)?, None).await.with_context(|| format!("cannot install {source}"))
}

/// Returns the folder of compiled components: `CARTWRIGHT_CACHE`, or else the user's cache folder. `None` if there is
/// neither.
pub fn cache() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CARTWRIGHT_CACHE") {
        return Some(folder.into());
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    Some(std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("cartwright"))
}
