//! Access tokens of OAuth's client credentials grant (RFC 6749, section 4.4). They are fetched with a secret that the
//! guest never sees, and cached until they expire.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright_contract::address::host_of;
use cartwright_contract::clock::Clock;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{CallError, ClientCredentials, FieldIssue, Message, Outage};
use cartwright_contract::settings::{MAX_SECRET_BYTES, Secret};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use crate::capability::http::{SendOptions, header_value};
use crate::egress::{OutboundRequest, retry_after};

/// A token is refreshed this long before it expires.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Maximum time for which a token is cached, whatever its endpoint says.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Maximum size of a token endpoint's response, in bytes.
const MAX_TOKEN_RESPONSE_BYTES: u64 = 64 * 1024;

impl SendOptions {
    /// Returns the token from the cache, or requests it from the token endpoint (RFC 6749, section 4.4).
    pub(super) async fn token(&self, credentials: &ClientCredentials, clock: &dyn Clock) -> Result<Secret, CallError> {
        #[derive(Deserialize)]
        struct TokenResponse {
            access_token: String,
            expires_in: Option<u64>,
        }
        let url = self.check(&credentials.token_url)?;
        let host = host_of(&url).unwrap_or_default();
        let secret = self.secret_for(&credentials.secret, &host)?;
        let key = (
            self.scope.shop.clone(),
            self.scope.account.clone(),
            credentials.secret.clone(),
            Digest::of(secret.as_bytes()),
            credentials.token_url.clone(),
            credentials.client_id.clone(),
            credentials.scope.clone(),
        );
        let tokens = &self.scope.platform.tokens.cached;
        if let Some((token, ends)) = tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Instant::now() + TOKEN_MARGIN < *ends
        {
            return Ok(token.clone());
        }
        let form = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "client_credentials");
            if let Some(scope) = &credentials.scope {
                form.append_pair("scope", scope);
            }
            form.finish()
        };
        let mut headers = HeaderMap::new();
        let login = STANDARD.encode(format!("{}:{secret}", credentials.client_id));
        let mut login = header_value(AUTHORIZATION.as_str(), &format!("Basic {login}"))?;
        login.set_sensitive(true);
        headers.insert(AUTHORIZATION, login);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let outgoing =
            OutboundRequest { method: Method::POST, headers, body: form.into_bytes(), timeout: self.timeout };
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
        let granted = serde_json::from_slice::<TokenResponse>(&text)
            .ok()
            .filter(|granted| status.is_success() && granted.access_token.len() <= MAX_SECRET_BYTES)
            .ok_or_else(|| {
                CallError::NotConfigured(FieldIssue {
                    field: credentials.secret.clone(),
                    message: Message {
                        key: "token-refused".into(),
                        parameters: vec![("status".into(), status.as_u16().to_string())],
                        text: format!("The token endpoint at {host} responded {status} without a token."),
                    },
                    blocking: true,
                })
            })?;
        let token = Secret::new(granted.access_token);
        let now = Instant::now();
        let ends = now + Duration::from_secs(granted.expires_in.unwrap_or(60)).min(MAX_TOKEN_LIFETIME);
        let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, ends)| *ends > now);
        tokens.insert(key, (token.clone(), ends));
        Ok(token)
    }
}
