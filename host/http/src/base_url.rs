//! The public URL of this host, and the absolute URLs that are built from it.

use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use serde::Deserialize;
use url::{Origin, Url};

/// First segments of the host's own paths. A prefix that began with one of them would be ambiguous.
const RESERVED_SEGMENTS: [&str; 8] =
    ["admin", "cartwright.js", "documents", "health", "openapi.json", "pictures", "v1", "webhooks"];

/// The public URL of the host. Its path is the prefix below which everything is served.
///
/// A proxy may strip the prefix from requests or pass it on; both work, see [`strip_prefix`](Self::strip_prefix).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl {
    url: Url,
    /// Path without its trailing "/"; empty without a prefix.
    prefix: String,
}

/// Why a text cannot be the public URL of this host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// The text is not a URL.
    #[error("not a URL ({0}); enter one such as https://host.example or https://shop.example/configurator")]
    NotUrl(#[from] url::ParseError),
    /// Browsers do not support the scheme.
    #[error("the scheme must be http or https")]
    Scheme,
    /// The URL contains more than a scheme, a host, a port and a path.
    #[error("the URL has a user, a query or a fragment; remove what precedes \"@\" and what follows \"?\" or \"#\"")]
    ExtraParts,
    /// The path contains two consecutive "/".
    #[error("the path has an empty segment; write each \"/\" once")]
    EmptySegment,
    /// The path begins with one of the host's own paths.
    #[error("the path begins with /{0}, which the host itself uses; serve the host below another path")]
    ReservedSegment(String),
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BaseUrlError::Scheme);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::ExtraParts);
        }
        let path = url.path();
        let prefix = path.strip_suffix('/').unwrap_or(path).to_owned();
        if let Some(segments) = prefix.strip_prefix('/') {
            if segments.split('/').any(str::is_empty) {
                return Err(BaseUrlError::EmptySegment);
            }
            let first = segments.split('/').next().unwrap_or_default();
            if RESERVED_SEGMENTS.contains(&first) {
                return Err(BaseUrlError::ReservedSegment(first.to_owned()));
            }
        }
        Ok(Self { url, prefix })
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

impl BaseUrl {
    /// Returns the absolute URL of one of the host's own paths, for vendors and platforms.
    pub fn absolute(&self, path: &str) -> String {
        let host = &self.url[..url::Position::BeforePath];
        format!("{host}{}/{}", self.prefix, path.trim_start_matches('/'))
    }

    /// Returns the prefix that browsers see before the host's own paths: empty, or such as `/configurator`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns whether browsers reach the host with TLS.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the origin under which browsers know the host.
    pub fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// Removes the prefix from a request's path, if it is there. A proxy that strips the prefix sends requests without
    /// it.
    pub fn strip_prefix(&self, uri: Uri) -> Uri {
        let below = match uri.path().strip_prefix(&self.prefix) {
            Some(below) if !self.prefix.is_empty() && (below.is_empty() || below.starts_with('/')) => below,
            _ => return uri,
        };
        let path = if below.is_empty() { "/" } else { below };
        let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let Ok(stripped) = text.parse::<PathAndQuery>() else { return uri };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(stripped);
        Uri::from_parts(parts).unwrap_or(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseUrl {
        text.parse().expect(text)
    }

    #[test]
    fn every_address_stays_below_the_prefix() {
        for (url, prefix, address) in [
            ("https://host.example", "", "https://host.example/webhooks/x"),
            ("https://host.example:8443/", "", "https://host.example:8443/webhooks/x"),
            ("https://shop.example/configurator", "/configurator", "https://shop.example/configurator/webhooks/x"),
            ("https://shop.example/a/b%20c/", "/a/b%20c", "https://shop.example/a/b%20c/webhooks/x"),
        ] {
            assert_eq!(base(url).prefix(), prefix);
            assert_eq!(base(url).absolute("webhooks/x"), address);
            assert_eq!(base(url).absolute("/webhooks/x"), address);
        }
    }

    #[test]
    fn a_request_is_the_same_with_and_without_the_prefix() {
        let base = base("https://shop.example/configurator/");
        for (sent, read) in [
            ("/configurator/admin/shops?after=1", "/admin/shops?after=1"),
            ("/configurator", "/"),
            ("/configurator/", "/"),
            ("/configurator?x", "/?x"),
            ("http://shop.example/configurator/v1/shops", "http://shop.example/v1/shops"),
            ("/admin/shops", "/admin/shops"),
            ("/configurators/admin", "/configurators/admin"),
            ("/configurator/configurator/admin", "/configurator/admin"),
            ("/", "/"),
        ] {
            assert_eq!(base.strip_prefix(sent.parse().expect(sent)).to_string(), read, "{sent}");
        }
        let without = self::base("https://host.example/");
        assert_eq!(without.strip_prefix("/admin?x=1".parse().expect("a URI")).to_string(), "/admin?x=1");
    }

    #[test]
    fn an_address_that_would_lead_elsewhere_is_refused() {
        for (url, error) in [
            ("ftp://host.example/", BaseUrlError::Scheme),
            ("https://ann@host.example/", BaseUrlError::ExtraParts),
            ("https://host.example/?x=1", BaseUrlError::ExtraParts),
            ("https://host.example/#x", BaseUrlError::ExtraParts),
            ("https://host.example//elsewhere.example/", BaseUrlError::EmptySegment),
            ("https://host.example/admin/", BaseUrlError::ReservedSegment("admin".to_owned())),
            ("https://host.example/v1", BaseUrlError::ReservedSegment("v1".to_owned())),
        ] {
            assert_eq!(url.parse::<BaseUrl>(), Err(error), "{url}");
        }
        assert!(matches!("host.example".parse::<BaseUrl>(), Err(BaseUrlError::NotUrl(_))));
    }
}
