//! Spelling of network hosts in grants, settings and plugin metadata.

use url::Url;

/// Returns the host of a URL: `host` at the default port of the scheme, otherwise `host:port`.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.to_ascii_lowercase();
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}
