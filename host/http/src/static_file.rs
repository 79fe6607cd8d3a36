//! Static files, which are read and compressed once, when the node starts.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use cartwright::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::body::UncountedBody;

/// A static file with its compressed form. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct StaticFile(Arc<File>);

struct File {
    media_type: &'static str,
    cache_control: &'static str,
    /// Digest of the content, whichever form is sent.
    digest: String,
    plain: Bytes,
    gzip: Bytes,
}

impl StaticFile {
    pub(super) fn new(media_type: &'static str, cache_control: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; an empty form would not be chosen.
        let gzip = encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or_default().into();
        let digest = Digest::of(&plain).to_string();
        Self(Arc::new(File { media_type, cache_control, digest, plain, gzip }))
    }

    /// Responds to a request with these headers: the file, compressed if the client accepts it, or 304 if the client
    /// has it.
    pub(super) fn response(&self, request: &HeaderMap) -> Response {
        let file = &*self.0;
        let is_gzip = accepts_gzip(request) && !file.gzip.is_empty();
        let tag = format!("\"{}{}\"", file.digest, if is_gzip { "-gzip" } else { "" });
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(file.media_type)),
            (CACHE_CONTROL, HeaderValue::from_static(file.cache_control)),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ]);
        headers.extend(HeaderValue::try_from(tag).map(|tag| (ETAG, tag)));
        if is_current(request, &file.digest) {
            headers.remove(CONTENT_TYPE);
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        if is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut response = (headers, if is_gzip { file.gzip.clone() } else { file.plain.clone() }).into_response();
        response.extensions_mut().insert(UncountedBody);
        response
    }
}

/// Returns the entries of a list header.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    entries(headers, &ACCEPT_ENCODING).any(|entry| {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        matches!(coding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip" | "*") && weight.is_none_or(|q| q > 0.0)
    })
}

/// Returns whether the client has this content. Proxies that compress make tags weak, or append a suffix to them.
fn is_current(headers: &HeaderMap, digest: &str) -> bool {
    entries(headers, &IF_NONE_MATCH).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || tag.strip_prefix(digest).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn a_file_is_sent_compressed_to_those_who_accept_that() {
        let file = StaticFile::new("text/plain", "no-cache", "x".repeat(10_000));
        for (accepted, is_gzip) in
            [("", false), ("br", false), ("gzip;q=0", false), ("br, gzip;q=0.5", true), ("GZIP", true), ("*", true)]
        {
            let response = file.response(&headers(&[(ACCEPT_ENCODING, accepted)]));
            assert_eq!(response.headers().get(CONTENT_ENCODING).is_some(), is_gzip, "{accepted}");
            assert_eq!(response.headers()[VARY], "accept-encoding");
        }
    }

    #[test]
    fn whoever_has_the_file_is_told_so_however_a_proxy_wrote_its_tag() {
        let file = StaticFile::new("text/plain", "no-cache", "text");
        let tag = file.response(&HeaderMap::new()).headers()[ETAG].to_str().expect("a tag").to_owned();
        let inner = tag.trim_matches('"');
        for known in [&tag, &format!("W/{tag}"), &format!("\"{inner}-gzip\""), &format!("\"x\", {tag}"), "*"] {
            let response = file.response(&headers(&[(IF_NONE_MATCH, known)]));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[ETAG].to_str().ok(), Some(&*tag));
        }
        let response = file.response(&headers(&[(IF_NONE_MATCH, "\"x\"")]));
        assert_eq!(response.status(), StatusCode::OK);
    }
}
