//! What the outside calls this host, and every address that is made from it.

use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use serde::Deserialize;
use url::{Origin, Url};

/// First segments of the host's own paths. A prefix that began with one could not be told from the host's own.
const RESERVED_SEGMENTS: [&str; 8] =
    ["admin", "cartwright.js", "documents", "health", "openapi.json", "pictures", "v1", "webhooks"];

/// The address that the outside reaches this host by. Its path is the prefix that everything is served below.
///
/// A proxy may strip the prefix from requests or pass it on: both work, see [`strip_prefix`](Self::strip_prefix).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl {
    url: Url,
    /// The path without the "/" at its end; empty without a prefix.
    prefix: String,
}

/// Why a text cannot be the address of this host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It cannot be read.
    #[error("it is not a URL ({0}); enter one such as https://host.example or https://shop.example/configurator")]
    NotUrl(#[from] url::ParseError),
    /// Browsers do not speak it.
    #[error("the scheme must be http or https")]
    Scheme,
    /// It says more than where the host is.
    #[error("it has a user, a query or a fragment; leave out what stands before \"@\" and after \"?\" or \"#\"")]
    ExtraParts,
    /// Two "/" stand together.
    #[error("its path has an empty segment; write each \"/\" once")]
    EmptySegment,
    /// Everything below the prefix would be the host's own path.
    #[error("its path begins with /{0}, which is a path of the host's own; serve the host below another path")]
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
    /// Returns the whole address of one of the host's own paths, for vendors and platforms.
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

    /// Returns the origin that browsers know the host by.
    pub fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// Takes the prefix from the path of a request that has it. A proxy that strips the prefix sends requests without.
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
