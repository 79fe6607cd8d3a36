//! Access tokens by OAuth's client credentials (RFC 6749, 4.4): fetched with a secret that the guest never sees, and kept until they end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::capability::egress::host_of;
use crate::capability::http::{Sending, lost, retry_after};
use crate::contract::http::ClientCredentials;
use crate::contract::{Error, FieldIssue, Message, Outage};
use crate::ids::{AccountId, ShopId};
use crate::settings::Secret;

/// A token is fetched anew so long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Access tokens by account, token endpoint, client and scope.
#[derive(Default)]
pub(crate) struct Tokens {
    fetched: Mutex<HashMap<TokenKey, (Secret, Instant)>>,
}

type TokenKey = (ShopId, AccountId, String, String, Option<String>);

impl Sending {
    /// RFC 6749, 4.4: the token from memory, or from the token endpoint.
    pub(super) async fn token(&self, client: &Client, credentials: &ClientCredentials) -> Result<Secret, Error> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: Option<u64>,
        }
        let key = (
            self.scope.shop.clone(),
            self.scope.account.clone(),
            credentials.token_url.clone(),
            credentials.client_id.clone(),
            credentials.scope.clone(),
        );
        let tokens = &self.scope.platform.tokens.fetched;
        if let Some((token, ends)) = tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Instant::now() + TOKEN_MARGIN < *ends
        {
            return Ok(token.clone());
        }
        let url = self.check(&credentials.token_url)?;
        let host = host_of(&url).unwrap_or_default();
        let secret = self.secret_for(&credentials.secret, &host)?;
        let form = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "client_credentials");
            if let Some(scope) = &credentials.scope {
                form.append_pair("scope", scope);
            }
            form.finish()
        };
        let answer = client
            .post(url)
            .basic_auth(&credentials.client_id, Some(secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .timeout(self.timeout)
            .send()
            .await
            .map_err(|error| lost(&host, &error))?;
        let status = answer.status();
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(Error::Unavailable(Outage {
                retry_after_seconds: retry_after(answer.headers()),
                detail: format!("the token endpoint at {host} answered {status}"),
            }));
        }
        let text = answer.bytes().await.map_err(|error| lost(&host, &error))?;
        let granted =
            serde_json::from_slice::<Granted>(&text).ok().filter(|_| status.is_success()).ok_or_else(|| {
                Error::NotConfigured(FieldIssue {
                    field: credentials.secret.clone(),
                    message: Message {
                        key: "token-refused".into(),
                        parameters: vec![("status".into(), status.as_u16().to_string())],
                        text: format!("The token endpoint at {host} answered {status} and gave no token."),
                    },
                    blocking: true,
                })
            })?;
        let token = Secret::new(granted.access_token);
        let ends = Instant::now() + Duration::from_secs(granted.expires_in.unwrap_or(60));
        tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (token.clone(), ends));
        Ok(token)
    }
}
