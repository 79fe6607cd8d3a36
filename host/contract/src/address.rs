//! How hosts are written in grants, settings and identities of plugins.

use url::Url;

/// `host` at the scheme's usual port, else `host:port`.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.to_ascii_lowercase();
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}
