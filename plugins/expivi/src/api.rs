//! Expivi's REST API: a bearer token, JSON, and what each refusal means for the merchant.

use cartwright_plugin::http::{Auth, Body, Repeat, Request, Response, StoredBody};
use cartwright_plugin::types::{BytesSource, Context};
use cartwright_plugin::{ContextExt, Error, internal, json, message, not_configured, outage, rejected, truncate};

use crate::host::Host;
use crate::settings::{self, API_URL, SERVER_TOKEN, VIEWER_TOKEN};

/// Whose word a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The public token of the viewer.
    Viewer,
    /// The secret token with write access.
    Server,
}

/// Reading goes by the server token where there is one: the viewer's may be limited to the viewer.
pub(crate) fn reading_token(context: &Context) -> Token {
    if context.secret_is_set(SERVER_TOKEN) { Token::Server } else { Token::Viewer }
}

/// The JSON of an answer.
pub(crate) fn parse_response<'a, T: serde::Deserialize<'a>>(reply: &'a [u8]) -> Result<T, String> {
    json::read(reply).map_err(|problem| problem.to_string())
}

/// The API of one account.
pub(crate) struct Api<'a, H> {
    pub(crate) host: &'a mut H,
    pub(crate) context: &'a Context,
}

/// What a call needs beyond its path.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: String,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) token: Token,
}

impl<'a> Call<'a> {
    /// A call that reads.
    pub(crate) fn get(path: impl Into<String>, token: Token) -> Self {
        Self { method: "GET", path: path.into(), body: None, headers: Vec::new(), token }
    }

    /// A call that sends JSON.
    pub(crate) fn post(path: impl Into<String>, body: String, token: Token) -> Self {
        Self { method: "POST", path: path.into(), body: Some(body.into_bytes()), headers: Vec::new(), token }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }
}

impl<H: Host> Api<'_, H> {
    /// Sends a call and gives the body of a successful answer.
    ///
    /// Every call that this plugin makes may be sent twice: reading and pricing change nothing; an upload or a conversion that
    /// arrives twice leaves a record at Expivi that nobody refers to, whereas never repeating it would stop the order of a
    /// shopper who has paid over a lost answer.
    pub(crate) fn call(&mut self, call: Call<'_>) -> Result<Vec<u8>, Error> {
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
            // A public setting is no secret that the host could put in.
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
        let response = self.host.send(Request {
            method: call.method.to_owned(),
            url,
            headers,
            body: BytesSource::Inline(call.body.unwrap_or_default()),
            auth,
            timeout_ms: None,
            repeat: Repeat::Safe,
            store_body: false,
        })?;
        if !(200..300).contains(&response.status) {
            return Err(refusal(&response, call.method, &call.path, call.token));
        }
        match response.body {
            Body::Inline(bytes) => Ok(bytes),
            Body::Stored(_) => Err(internal("the host stored a body that was not to be stored")),
        }
    }

    /// Fetches a finished file into the document store. Files are served without a token.
    pub(crate) fn fetch(&mut self, url: &str) -> Result<StoredBody, Error> {
        let response = self.host.send(Request::get(url).store_body())?;
        match response.body {
            Body::Stored(stored) if (200..300).contains(&response.status) => Ok(stored),
            _ => match refusal(&response, "GET", url, Token::Viewer) {
                // No token was sent, so none is to blame.
                Error::NotConfigured(issue) => Err(rejected(issue.message)),
                error => Err(error),
            },
        }
    }
}

/// What an answer other than success means, and for whom.
fn refusal(response: &Response, method: &str, path: &str, token: Token) -> Error {
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
                message("token-refused", format!("{text}. The token is wrong or may not do this."), &words),
            )
        }
        300..=399 => {
            not_configured(API_URL, message("api-moved", format!("{text}. The API is at another address."), &words))
        }
        404 => rejected(message("vendor-not-found", format!("{text}. Expivi does not have it."), &words)),
        408 | 425 | 429 | 500.. => outage(text, retry_after(response)),
        _ => rejected(message("vendor-refused", text, &words)),
    }
}

/// Maximum number of characters of an answer that are repeated to people.
pub(crate) const MAX_EXCERPT_CHARS: usize = 300;
/// The longest word of an answer that is repeated to people. Tokens of Expivi's are far longer.
const MAX_WORD_CHARS: usize = 40;

/// The beginning of what was said, as plain text on one line. A server that repeats the request's token must not bring it
/// before people: the word after "Bearer" and words as long as a token are left out.
fn response_excerpt(response: &Response) -> String {
    let Body::Inline(bytes) = &response.body else { return String::new() };
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

/// The seconds of `Retry-After`. A date there is left to the host's own schedule.
fn retry_after(response: &Response) -> Option<u32> {
    let (_, value) = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    value.trim().parse().ok()
}
