//! Extractors for requests. Each mistake results in a problem that names its place.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use cartwright_service::input::contains_nul;
use cartwright_store::{Expected, Versions};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tower_http::timeout::TimeoutError;

use super::body::{BodyError, no_room, read};
use super::compute::compute;
use super::idempotency::Once;
use super::problem::Problem;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), "application/json")?;
        let Raw(bytes) = Raw::from_request(request, state).await?;
        compute(bytes.len(), move || parse(&bytes)).await.map(Self)
    }
}

/// Parses a value from JSON.
fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let (size, max) = (parsed_bytes(json), MAX_PARSED_BYTES + MAX_PARSED_GROWTH * json.len());
    if size > max {
        let detail = format!(
            "the values in the body take about {size} bytes of memory; a body of {} bytes may take {max}: send shorter lists",
            json.len()
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        // serde reports some values that do not fit their type as syntax errors.
        let is_malformed = !inner.is_data() && serde_json::from_slice::<IgnoredAny>(json).is_err();
        match is_malformed {
            false => Problem::unprocessable("body", format!("{path}: {inner}")),
            true => Problem::bad_request(format!("the body is not valid JSON: {inner}")),
        }
    })?;
    reader.end().map_err(|error| Problem::bad_request(format!("the body is not valid JSON: {error}")))?;
    match contains_nul(json) {
        true => Err(Problem::unprocessable("body", "a text contains a NUL (\\u0000)")),
        false => Ok(read),
    }
}

/// Maximum memory of the values of a JSON body, in bytes, in addition to [`MAX_PARSED_GROWTH`] times the body's size.
const MAX_PARSED_BYTES: usize = 4 << 20;
const MAX_PARSED_GROWTH: usize = 4;
/// Approximate size of a struct with a dozen optional members, which two letters of JSON can represent.
const OBJECT_BYTES: usize = 200;
/// Approximate size of a string, a number or a list, without its content.
const VALUE_BYTES: usize = 32;

/// Returns approximately how many bytes the values of this JSON take in memory, without the letters of its strings. It
/// is computed before parsing: a list of empty strings takes ten times as much as its JSON, one of empty objects sixty
/// times.
fn parsed_bytes(json: &[u8]) -> usize {
    let (mut objects, mut values, mut in_text) = (0, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'{' if !in_text => objects += 1,
            b'[' | b',' if !in_text => values += 1,
            _ => {}
        }
    }
    objects * OBJECT_BYTES + values * VALUE_BYTES
}

/// Checks that the body has this media type. Browsers send other media types to a foreign server without a preflight
/// request.
pub fn require_media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().map(str::trim) {
        Some(kind) if kind.eq_ignore_ascii_case(wanted) => Ok(()),
        _ => {
            let detail = format!("send the body as content-type: {wanted}");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail))
        }
    }
}

/// Returns the problem of a body that cannot be read.
pub(crate) fn body_problem(error: &(dyn std::error::Error + 'static)) -> Problem {
    // The connection was closed, or the chunks are malformed.
    read_problem(error).unwrap_or_else(|| Problem::bad_request("the body is incomplete"))
}

/// Returns the problem of a body that the server stopped reading, because it stalled, is too large, or exceeds the
/// budget.
pub fn read_problem(error: &(dyn std::error::Error + 'static)) -> Option<Problem> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|cause| {
        if cause.is::<TimeoutError>() {
            let detail = "the body stalled; send it without pauses";
            return Some(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", detail));
        }
        let error = cause.downcast_ref::<BodyError>()?;
        Some(match error {
            BodyError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
            BodyError::NoRoom { .. } => no_room(error),
        })
    })
}

/// A body, unchanged.
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await.map_err(|error| body_problem(&error))?;
        if let Some(once) = parts.extensions.get::<Once>() {
            once.begin(&bytes).await?;
        }
        Ok(Self(bytes))
    }
}

/// The parameters of the path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // An invalid name matches nothing, and PostgreSQL rejects NUL.
        if parts.uri.path().contains("%00") {
            return Err(Problem::not_found("a name in the path contains a NUL"));
        }
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|rejection| Problem::not_found(rejection.body_text()))
    }
}

/// The parameters of the query.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::bad_request("the query contains a NUL"));
        }
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// The preconditions of a write: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
///
/// An ETag of this host identifies a resource's content, and not the bytes of a response. So a tag that a compressing
/// proxy changed still matches: nginx makes it weak (`W/"…"`), and others append the coding (`"…-gzip"`).
pub(crate) struct Precondition {
    matching: Option<Versions>,
    not_matching: Option<Versions>,
}

impl Precondition {
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected::Preconditions { matching: self.matching.as_ref(), not_matching: self.not_matching.as_ref() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let matching = versions(&parts.headers, &IF_MATCH)?;
        if let Some(Versions::Listed(versions)) = &matching
            && !versions.iter().any(|version| is_version(version))
        {
            let detail = "If-Match names no ETag of this host, so nothing was changed: send the ETag of the last read. If you did, a \
                proxy on the way rewrites ETags; have it pass them on unchanged";
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed", detail));
        }
        Ok(Self { matching, not_matching: versions(&parts.headers, &IF_NONE_MATCH)? })
    }
}

/// Returns whether a text could be a version that this host issued: the digits of a digest or a number.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Content codings as proxies append them to an ETag.
const CODINGS: [&str; 7] = ["gzip", "gz", "br", "brotli", "zstd", "deflate", "df"];

/// Parses the entity tags of a header, which may be repeated.
fn versions(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Versions>, Problem> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let text = lines.join(&b',');
    if text.trim_ascii() == b"*" {
        return Ok(Some(Versions::All));
    }
    let listed = entity_tags(&text).filter(|tags| !tags.is_empty()).ok_or_else(|| {
        Problem::bad_request(format!(
            "{name} must be *, or ETags as the host sent them, in their quotes and separated by commas"
        ))
    })?;
    Ok(Some(Versions::Listed(listed.into_iter().map(version_of).collect())))
}

/// Splits a list of entity tags; weak ones count as strong ones. Returns `None` if it is malformed.
fn entity_tags(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        // A list may contain empty elements.
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Some(tags);
        }
        let opaque = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let mut parts = opaque.splitn(2, |byte| *byte == b'"');
        let (tag, after) = (parts.next()?, parts.next()?);
        if tag.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f)) {
            return None;
        }
        tags.push(tag);
        rest = after.trim_ascii_start();
        if rest.first().is_some_and(|byte| *byte != b',') {
            return None;
        }
    }
}

/// Returns the version that an entity tag identifies, without the coding that a proxy appended to it.
fn version_of(tag: &[u8]) -> String {
    let tag = String::from_utf8_lossy(tag);
    let coded = CODINGS.iter().find_map(|coding| tag.strip_suffix(coding)?.strip_suffix(['-', ';', ':', '+']));
    coded.map_or(&*tag, |version| version.trim_end_matches('-')).to_owned()
}

/// A response body with the version that becomes its ETag.
pub(crate) struct Tagged<T>(pub(crate) String, pub(crate) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.1).into_response();
        tag(&mut response, &self.0);
        response
    }
}

/// The response to a successful write, with the new version as its ETag.
pub(crate) struct Written(pub(crate) String);

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        tag(&mut response, &self.0);
        response
    }
}

fn tag(response: &mut Response, version: &str) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Option<Versions>, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_bytes(line).expect("a header"));
        }
        versions(&headers, &IF_MATCH)
    }

    #[test]
    fn an_etag_is_read_as_proxies_hand_it_back() {
        let listed = |versions: &[&str]| Some(Versions::Listed(versions.iter().map(ToString::to_string).collect()));
        for (sent, expected) in [
            ("\"0a1f\"", listed(&["0a1f"])),
            ("W/\"0a1f\"", listed(&["0a1f"])),
            ("\"0a1f-gzip\"", listed(&["0a1f"])),
            ("\"0a1f--gzip\"", listed(&["0a1f"])),
            ("W/\"0a1f-br\"", listed(&["0a1f"])),
            ("\"0a1f;gz\"", listed(&["0a1f"])),
            ("\"0a1f-zstd\"", listed(&["0a1f"])),
            (" \"0a1f\" ,\t\"another,with-a-comma\",, W/\"2\",", listed(&["0a1f", "another,with-a-comma", "2"])),
            ("\"0a1f-other\"", listed(&["0a1f-other"])),
            ("\"\"", listed(&[""])),
            (" * ", Some(Versions::All)),
        ] {
            assert_eq!(read(&[sent.as_bytes()]).ok(), Some(expected), "{sent}");
        }
        assert_eq!(read(&[b"\"1\"", b"\"2\""]).ok(), Some(listed(&["1", "2"])));
        assert_eq!(read(&[b"\"\xe9\""]).ok(), Some(listed(&["\u{fffd}"])));
        assert_eq!(read(&[]).ok(), Some(None));
    }

    #[test]
    fn what_is_no_list_of_etags_is_a_bad_request() {
        for sent in
            ["", ",", "0a1f", "\"0a1f", "0a1f\"", "w/\"0a1f\"", "W/0a1f", "\"a\" \"b\"", "*, \"a\"", "\"a b\"", "**"]
        {
            let problem = read(&[sent.as_bytes()]).expect_err(sent);
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{sent}");
        }
    }

    /// Returns a JSON list with `length` copies of an item.
    fn list(item: &str, length: usize) -> String {
        format!("[{}]", vec![item; length].join(","))
    }

    #[test]
    fn a_list_that_would_take_many_times_the_bodys_size_is_refused_before_it_is_read() {
        for (item, length) in [("\"\"", 2_600_000), ("{}", 500_000), ("[]", 2_000_000), ("1", 4_000_000)] {
            let problem = parse::<IgnoredAny>(list(item, length).as_bytes()).expect_err("too large");
            assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE, "{item}");
            assert!(problem.detail().contains("send shorter lists"), "{}", problem.detail());
        }
        // Typical bodies: keys of a catalog, long texts with any characters, and short lists of short values.
        for text in [
            list(r#"{"product":"a","id":"10000"}"#, 10_001),
            format!("[\"{}\"]", "{[,\\\"\\\\".repeat(1_000_000)),
            list("1", 100_000),
        ] {
            assert!(parse::<IgnoredAny>(text.as_bytes()).is_ok(), "{}", &text[..40]);
        }
    }

    /// Returns the shortest time of three runs.
    fn best(mut work: impl FnMut()) -> Duration {
        let once = |_| {
            let started_at = Instant::now();
            work();
            started_at.elapsed()
        };
        (0..3).map(once).min().unwrap_or_default()
    }

    #[test]
    fn reading_takes_as_many_times_as_long_as_the_body_is_longer() {
        let members = |length: usize| {
            let members: Vec<String> = (0..length).map(|at| format!("\"member-{at}\":null")).collect();
            format!("{{{}}}", members.join(","))
        };
        let shapes: [(&str, &dyn Fn(usize) -> String); 6] = [
            ("lists", &|length| list("\"a text\"", length)),
            ("objects", &|length| {
                list(r#"{"shop_product":"ring","account":"expivi","vendor_product":"1001"}"#, length / 4)
            }),
            ("members", &members),
            ("texts", &|length| format!("\"{}\"", "x".repeat(length * 10))),
            ("escapes", &|length| format!("\"{}\"", "\\u00e9\\n\\\\".repeat(length))),
            ("depth", &|length| list(&format!("{}1{}", "[".repeat(100), "]".repeat(100)), length / 400)),
        ];
        for (name, shape) in shapes {
            let (small, large) = (shape(40_000), shape(160_000));
            let time = |text: &str| best(|| drop(parse::<Value>(text.as_bytes())));
            let (small, large) = (time(&small), time(&large));
            assert!(large < small * 10 + Duration::from_millis(20), "{name}: {small:?}, four times as much {large:?}");
        }
    }
}
