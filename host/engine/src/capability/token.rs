//! Access tokens of OAuth's client credentials grant (RFC 6749, section 4.4). They are fetched with a secret that the
//! guest never sees, and cached until they expire.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright_contract::address::host_of;
use cartwright_contract::clock::Clock;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{CallError, ClientCredentials, FieldIssue, Message, Outage, SecretPlace};
use cartwright_contract::settings::{MAX_SECRET_BYTES, Secret, SecretUse};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{self, byte_serialize};

use crate::capability::http::{SendOptions, invalid, set_header};
use crate::capability::token_cache::TokenKey;
use crate::egress::{OutboundRequest, retry_after};

/// A token is refreshed this long before it expires.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Maximum time for which a token is cached, whatever its endpoint says.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Lifetime of a token whose endpoint does not say it.
const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// Maximum size of a token endpoint's response, in bytes.
const MAX_TOKEN_RESPONSE_BYTES: u64 = 64 * 1024;
/// Maximum size of a token request's form and URL together, in bytes, because the cache keeps both for as long as a token.
const MAX_TOKEN_REQUEST_BYTES: usize = 16 * 1024;
/// Maximum number of cached tokens. What is not cached is requested again.
const MAX_CACHED_TOKENS: usize = 10_000;
/// Maximum length of an error code that is shown, in bytes.
const MAX_ERROR_CODE_BYTES: usize = 64;
/// Parameters of a token request that only the host sets.
const RESERVED_PARAMETERS: [&str; 3] = ["grant_type", "client_id", "client_secret"];

impl SendOptions {
    /// Returns the token from the cache, or requests it from the token endpoint (RFC 6749, section 4.4).
    pub(super) async fn token(&self, credentials: &ClientCredentials, clock: &dyn Clock) -> Result<Secret, CallError> {
        let url = self.check(&credentials.token_url)?;
        let host = host_of(&url).unwrap_or_default();
        let secret = self.secret_for(&credentials.secret, SecretUse::ClientCredentials, &host)?;
        let (headers, body) = token_request(credentials, secret)?;
        if body.len() + credentials.token_url.len() + credentials.client_id.len() > MAX_TOKEN_REQUEST_BYTES {
            let text = format!("A token request has at most {MAX_TOKEN_REQUEST_BYTES} bytes.");
            return Err(invalid("auth", text));
        }
        let key = TokenKey {
            shop: self.scope.shop.clone(),
            account: self.scope.account.clone(),
            secret: credentials.secret.clone(),
            value: Digest::of(secret.as_bytes()),
            token_url: credentials.token_url.clone(),
            client_id: credentials.client_id.clone(),
            is_in_form: credentials.secret_in == SecretPlace::Form,
            parameters: credentials.parameters.clone(),
        };
        let tokens = &self.scope.platform.tokens.cached;
        if let Some((token, ends)) = tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Instant::now() + TOKEN_MARGIN < *ends
        {
            return Ok(token.clone());
        }
        let outgoing = OutboundRequest { method: Method::POST, headers, body, timeout: self.timeout };
        let admission = self.admit(&credentials.token_url, clock).await?;
        let answer = admission.send(outgoing).await.map_err(|error| error.error)?;
        let status = answer.status;
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(CallError::Unavailable(Outage {
                retry_after_seconds: retry_after(&answer.headers),
                detail: format!("the token endpoint at {host} responded {status}"),
            }));
        }
        let text = answer.body(("token_bytes", MAX_TOKEN_RESPONSE_BYTES)).await.map_err(|error| error.error)?;
        let granted = read_token(status, &text).map_err(|reason| {
            CallError::NotConfigured(FieldIssue {
                field: credentials.secret.clone(),
                message: Message {
                    key: "token-refused".into(),
                    parameters: vec![("status".into(), status.as_u16().to_string())],
                    text: format!("The token endpoint at {host} responded {status} {reason}."),
                },
                blocking: true,
            })
        })?;
        let now = Instant::now();
        let ends = now + granted.lifetime.min(MAX_TOKEN_LIFETIME);
        let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, ends)| *ends > now);
        if tokens.len() < MAX_CACHED_TOKENS || tokens.contains_key(&key) {
            tokens.insert(key, (granted.token.clone(), ends));
        }
        Ok(granted.token)
    }
}

/// Returns the headers and the body of a token request.
fn token_request(credentials: &ClientCredentials, secret: &str) -> Result<(HeaderMap, Vec<u8>), CallError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in &credentials.parameters {
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            return Err(invalid("auth", format!("The parameter {name:?} of a token request is set by the host.")));
        }
        form.append_pair(name, value);
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match credentials.secret_in {
        SecretPlace::Form => {
            form.append_pair("client_id", &credentials.client_id).append_pair("client_secret", secret);
        }
        SecretPlace::Basic => {
            // Id and secret are encoded as in a form (RFC 6749, section 2.3.1), so that the id may contain a colon.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let login = STANDARD.encode(format!("{}:{}", encoded(&credentials.client_id), encoded(secret)));
            set_header(&mut headers, AUTHORIZATION, &format!("Basic {login}"))?;
        }
    }
    Ok((headers, form.finish().into_bytes()))
}

/// A token that was issued.
#[derive(Debug)]
struct GrantedToken {
    token: Secret,
    lifetime: Duration,
}

/// Reads the response of a token endpoint. The error says what is wrong with it, without repeating what may be secret.
fn read_token(status: StatusCode, text: &[u8]) -> Result<GrantedToken, String> {
    #[derive(Deserialize)]
    struct TokenResponse {
        access_token: Option<String>,
        token_type: Option<String>,
        /// A number, or a text with a number.
        #[serde(default)]
        expires_in: Value,
        /// The code of RFC 6749, section 5.2.
        #[serde(default)]
        error: Value,
    }
    let response: TokenResponse =
        serde_json::from_slice(text).map_err(|_| "without JSON that can be read".to_owned())?;
    let token = response.access_token.filter(|token| !token.is_empty() && status.is_success());
    let Some(token) = token else {
        let code = response.error.as_str().filter(|code| is_error_code(code));
        return Err(code.map_or_else(|| "without a token".to_owned(), |code| format!("without a token: {code}")));
    };
    if token.len() > MAX_SECRET_BYTES {
        return Err(format!("with a token of more than {MAX_SECRET_BYTES} bytes"));
    }
    let token_type = response.token_type.unwrap_or_default();
    if !token_type.is_empty() && !token_type.eq_ignore_ascii_case("bearer") {
        return Err("with a token of another type than \"Bearer\"".to_owned());
    }
    Ok(GrantedToken { token: Secret::new(token), lifetime: lifetime(&response.expires_in) })
}

/// Returns whether a text has the form of an error code, such as `invalid_scope`.
fn is_error_code(code: &str) -> bool {
    code.len() <= MAX_ERROR_CODE_BYTES && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Reads the lifetime of a token in seconds. Some servers send a text.
fn lifetime(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let whole_seconds = seconds.split('.').next().unwrap_or_default();
    whole_seconds.parse().map_or(DEFAULT_TOKEN_LIFETIME, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(secret_in: SecretPlace) -> ClientCredentials {
        ClientCredentials {
            token_url: "https://login.example/token".to_owned(),
            client_id: "shop:7".to_owned(),
            secret: "client-secret".to_owned(),
            secret_in,
            parameters: vec![("scope".to_owned(), "Elfskot.Api orders".to_owned())],
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_secret_in_the_form_stands_beside_the_parameters_and_in_no_header() {
        let (headers, body) = token_request(&credentials(SecretPlace::Form), "a&b=c").unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "grant_type=client_credentials&scope=Elfskot.Api+orders&client_id=shop%3A7&client_secret=a%26b%3Dc"
        );
        assert!(!headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_secret_in_basic_is_encoded_as_in_a_form_and_stands_in_no_form() {
        let (headers, body) = token_request(&credentials(SecretPlace::Basic), "a&b=c").unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), "grant_type=client_credentials&scope=Elfskot.Api+orders");
        let login = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(login).unwrap(), b"shop%3A7:a%26b%3Dc");
    }

    #[test]
    fn a_parameter_that_is_the_hosts_is_refused() {
        for name in RESERVED_PARAMETERS {
            let parameters = vec![(name.to_owned(), "x".to_owned())];
            let refused = token_request(&ClientCredentials { parameters, ..credentials(SecretPlace::Form) }, "secret");
            assert!(matches!(&refused, Err(CallError::InvalidInput(issue)) if issue.message.text.contains(name)));
        }
    }

    #[test]
    fn a_token_is_read_in_every_spelling_of_its_type_and_lifetime() {
        let read = |text: &str| {
            let granted = read_token(StatusCode::OK, text.as_bytes()).unwrap();
            (String::from_utf8(granted.token.expose().to_vec()).unwrap(), granted.lifetime.as_secs())
        };
        for text in [
            r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#,
            r#"{"access_token":"t","token_type":"bearer","expires_in":"3600"}"#,
            r#"{"access_token":"t","token_type":"BEARER","expires_in":3600.0,"scope":"orders"}"#,
            r#"{"access_token":"t","token_type":null,"expires_in":" 3600 "}"#,
        ] {
            assert_eq!(read(text), ("t".to_owned(), 3600), "{text}");
        }
        for text in [
            r#"{"access_token":"t"}"#,
            r#"{"access_token":"t","expires_in":null}"#,
            r#"{"access_token":"t","expires_in":"soon"}"#,
            r#"{"access_token":"t","expires_in":-1}"#,
        ] {
            assert_eq!(read(text), ("t".to_owned(), DEFAULT_TOKEN_LIFETIME.as_secs()), "{text}");
        }
    }

    #[test]
    fn a_response_without_a_bearer_token_is_explained_and_not_repeated() {
        let refusal = |status, text: &str| read_token(status, text.as_bytes()).unwrap_err();
        let code = r#"{"error":"invalid_scope","error_description":"no"}"#;
        assert_eq!(refusal(StatusCode::BAD_REQUEST, code), "without a token: invalid_scope");
        for text in [r#"{"error":"The secret s3cr3t is wrong"}"#, r#"{"error":{"code":7}}"#, r#"{"access_token":""}"#] {
            assert_eq!(refusal(StatusCode::OK, text), "without a token", "{text}");
        }
        assert_eq!(refusal(StatusCode::UNAUTHORIZED, r#"{"access_token":"t"}"#), "without a token");
        assert_eq!(refusal(StatusCode::OK, "<html>"), "without JSON that can be read");
        let other = r#"{"access_token":"t","token_type":"mac"}"#;
        assert_eq!(refusal(StatusCode::OK, other), "with a token of another type than \"Bearer\"");
    }
}
