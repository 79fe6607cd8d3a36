//! Expivi's REST API: bearer tokens, JSON, and the meaning of each error for the merchant.

use cartwright_plugin::http::{Auth, Body, HttpRequest, HttpResponse, RetrySafety, StoredBody};
use cartwright_plugin::types::{BytesSource, Context};
use cartwright_plugin::{CallError, ContextExt, internal, json, message, not_configured, outage, rejected, truncate};

use crate::host::Host;
use crate::settings::{self, API_URL, SERVER_TOKEN, VIEWER_TOKEN};

/// The token that authorizes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The public token of the viewer.
    Viewer,
    /// The secret token with write access.
    Server,
}

/// Returns the token for reading: the server token if it is set, because the viewer's may be limited to the viewer.
pub(crate) fn reading_token(context: &Context) -> Token {
    if context.secret_is_set(SERVER_TOKEN) { Token::Server } else { Token::Viewer }
}

/// Parses the JSON of a response.
pub(crate) fn parse_response<'a, T: serde::Deserialize<'a>>(reply: &'a [u8]) -> Result<T, String> {
    json::read(reply).map_err(|problem| problem.to_string())
}

/// The API of one account.
pub(crate) struct Api<'a, H> {
    pub(crate) host: &'a mut H,
    pub(crate) context: &'a Context,
}

/// A call of the API.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: String,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) token: Token,
}

impl<'a> Call<'a> {
    /// Creates a call that reads.
    pub(crate) fn get(path: impl Into<String>, token: Token) -> Self {
        Self { method: "GET", path: path.into(), body: None, headers: Vec::new(), token }
    }

    /// Creates a call that sends JSON.
    pub(crate) fn post(path: impl Into<String>, body: String, token: Token) -> Self {
        Self { method: "POST", path: path.into(), body: Some(body.into_bytes()), headers: Vec::new(), token }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }
}

impl<H: Host> Api<'_, H> {
    /// Sends a call, and returns the body of a successful response.
    ///
    /// Every call of this plugin may be repeated. Reading and pricing change nothing. A repeated upload or conversion
    /// leaves an unreferenced record at Expivi; without repeating, one lost response would stop the order of a shopper
    /// who has paid.
    pub(crate) fn call(&mut self, call: Call<'_>) -> Result<Vec<u8>, CallError> {
        let mut headers = vec![
            ("Accept".to_owned(), "application/json".to_owned()),
            ("Accept-Language".to_owned(), "en-US".to_owned()),
        ];
        if call.body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        headers.extend(call.headers);
        let auth = match call.token {
            Token::Server => vec![Auth::Bearer(SERVER_TOKEN.to_owned())],
            // The host inserts secrets only, and this setting is public.
            Token::Viewer => {
                let token = self.context.text(VIEWER_TOKEN);
                let token = token.ok_or_else(|| {
                    not_configured(VIEWER_TOKEN, message("setting-missing", "Enter the viewer API token.", &[]))
                })?;
                headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
                Vec::new()
            }
        };
        let url = format!("{}{}", settings::api_url(self.context), call.path);
        let response = self.host.send(HttpRequest {
            method: call.method.to_owned(),
            url,
            headers,
            body: call.body.map(BytesSource::Bytes).into_iter().collect(),
            auth,
            timeout_ms: None,
            retry_safety: RetrySafety::Safe,
            store_body: false,
            extra: Vec::new(),
        })?;
        if !(200..300).contains(&response.status) {
            return Err(refusal(&response, call.method, &call.path, call.token));
        }
        match response.body {
            Body::Bytes(bytes) => Ok(bytes),
            Body::Stored(_) => Err(internal("the host stored a body against the request")),
        }
    }

    /// Stores a finished file as a blob. Expivi serves files without a token.
    pub(crate) fn fetch(&mut self, url: &str) -> Result<StoredBody, CallError> {
        let response = self.host.send(HttpRequest::get(url).store_body())?;
        match response.body {
            Body::Stored(stored) if (200..300).contains(&response.status) => Ok(stored),
            _ => match refusal(&response, "GET", url, Token::Viewer) {
                // The request has no token, so its status cannot mean that a token is wrong.
                CallError::NotConfigured(issue) => Err(rejected(issue.message)),
                error => Err(error),
            },
        }
    }
}

/// Translates a response other than success into an error for the person who can fix it.
fn refusal(response: &HttpResponse, method: &str, path: &str, token: Token) -> CallError {
    let status = response.status;
    let response_excerpt = response_excerpt(response);
    let text = format!("Expivi answered {status} to {method} {path}{response_excerpt}");
    let status_text = status.to_string();
    let words = [("status", status_text.as_str()), ("call", path)];
    match status {
        401 | 403 => {
            let field = match token {
                Token::Viewer => VIEWER_TOKEN,
                Token::Server => SERVER_TOKEN,
            };
            not_configured(
                field,
                message("token-refused", format!("{text}. The token is invalid or lacks this permission."), &words),
            )
        }
        300..=399 => not_configured(API_URL, message("api-moved", format!("{text}. The API has another URL."), &words)),
        404 => rejected(message("vendor-not-found", format!("{text}. It does not exist at Expivi."), &words)),
        408 | 425 | 429 | 500.. => outage(text, retry_after(response)),
        _ => rejected(message("vendor-refused", text, &words)),
    }
}

/// Maximum number of characters of a response that messages quote.
pub(crate) const MAX_EXCERPT_CHARS: usize = 300;
/// Maximum number of characters of a quoted word. Expivi's tokens are far longer.
const MAX_WORD_CHARS: usize = 40;

/// Returns the beginning of a response as plain text on one line. Omits the word after "Bearer" and words as long as a
/// token, because a server may repeat the request's token.
fn response_excerpt(response: &HttpResponse) -> String {
    let Body::Bytes(bytes) = &response.body else { return String::new() };
    let text = String::from_utf8_lossy(bytes.get(..2000).unwrap_or(bytes));
    let mut words = Vec::new();
    let mut after_bearer = false;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let secret = after_bearer || word.len() > MAX_WORD_CHARS;
        after_bearer = word.len() >= 6 && word.to_ascii_lowercase().ends_with("bearer");
        words.push(if secret { "…" } else { word });
    }
    let text = truncate(&words.join(" "), MAX_EXCERPT_CHARS);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Returns the seconds of `Retry-After`. For a date there the host's own schedule applies.
fn retry_after(response: &HttpResponse) -> Option<u32> {
    let (_, value) = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    value.trim().parse().ok()
}
