//! Notifications to platforms: requests to a URL that the operator names, signed as Standard Webhooks
//! (<https://www.standardwebhooks.com>).
//!
//! The URL is checked like a vendor's: HTTPS unless allowed otherwise, and every IP address that its host resolves to
//! must be public unless the operator allows it. Redirects are not followed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright_contract::address::host_of;
use cartwright_contract::grants::Grants;
use cartwright_contract::records::{CallError, Outage};
use cartwright_contract::settings::Secret;
use cartwright_contract::text::{MAX_URL_BYTES, check_line};
use cartwright_engine::egress::{Egress, OutboundRequest, check_url, retry_after};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::webhook::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign_standard};

/// Maximum time for a platform's response. A platform should store the notification and respond, and do its work
/// afterwards.
pub const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The endpoint that receives notifications.
#[derive(Debug, Clone)]
pub struct NotificationTarget {
    /// The URL.
    pub url: String,
    /// Exceptions for this URL: `plain_http` and `networks` allow what is refused otherwise. The URL's own host needs
    /// no grant.
    pub grants: Grants,
    /// The signing secrets: the current one, and during a rotation the previous one.
    pub secrets: Vec<Secret>,
}

/// A notification to a platform.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// Id of the notification, the same for every attempt.
    pub id: &'a str,
    /// When the notification is sent.
    pub at: SystemTime,
    /// The body, in JSON.
    pub body: &'a str,
}

/// Why a notification was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// The URL or a secret cannot be used; nothing was sent. The text says what to change.
    #[error("{0}")]
    Refused(String),
    /// The platform did not respond, or is temporarily unavailable.
    #[error("{detail}")]
    Unavailable {
        /// Description of the failure.
        detail: String,
        /// The delay of its `Retry-After` header in seconds, if any.
        retry_after: Option<u32>,
    },
    /// The platform responded with another status than 2xx.
    #[error("{host} responded {status}; expected 2xx")]
    Rejected {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
}

/// Sends notifications. Create one per host, because it holds connections.
#[derive(Default)]
pub struct NotificationSender {
    egress: Egress,
}

impl NotificationSender {
    /// Checks whether notifications can be sent to this target. It does not check whether the platform responds.
    ///
    /// # Errors
    /// Returns [`NotificationError::Refused`].
    pub fn check(receiver: &NotificationTarget) -> Result<(), NotificationError> {
        allowed(receiver).map(drop)
    }

    /// Sends a notification once.
    ///
    /// # Errors
    /// Returns an error for every response other than 2xx, and if there is no response.
    pub async fn send(
        &self,
        receiver: &NotificationTarget,
        notification: Notification<'_>,
    ) -> Result<(), NotificationError> {
        let url = allowed(receiver)?;
        let host = host_of(&url).unwrap_or_default();
        // The caller pauses an unavailable platform on every node and sends one notification after the other, so no
        // queue is needed.
        let admission = self.egress.admit_unqueued(url, &receiver.grants).map_err(|error| refused(&error))?;
        let Notification { id, at, body } = notification;
        let since = at.duration_since(UNIX_EPOCH);
        let seconds = since.map_err(|_| NotificationError::Refused("the clock is before 1970".to_owned()))?.as_secs();
        let signature =
            sign_standard(&receiver.secrets, id, seconds, body.as_bytes()).map_err(|error| refused(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let named: [(&'static str, &str); 3] =
            [(WEBHOOK_ID, id), (WEBHOOK_TIMESTAMP, &seconds.to_string()), (WEBHOOK_SIGNATURE, &signature)];
        for (name, value) in named {
            let value = HeaderValue::from_str(value).map_err(|error| refused(&error))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let body = body.as_bytes().to_vec();
        let result = admission
            .send(OutboundRequest { method: Method::POST, headers, body, timeout: NOTIFICATION_TIMEOUT })
            .await;
        let answer = result.map_err(|result| match result.error {
            CallError::Unavailable(Outage { detail, retry_after_seconds }) => {
                NotificationError::Unavailable { detail, retry_after: retry_after_seconds }
            }
            CallError::Denied(refusal) => NotificationError::Refused(refusal.text),
            error => NotificationError::Refused(format!("{error:?}")),
        })?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        if status.is_server_error() || status.as_u16() == 429 {
            let retry_after = retry_after(&answer.headers);
            return Err(NotificationError::Unavailable { detail: format!("{host} responded {status}"), retry_after });
        }
        Err(NotificationError::Rejected { host, status: status.as_u16() })
    }
}

fn allowed(receiver: &NotificationTarget) -> Result<Url, NotificationError> {
    check_line(&receiver.url, MAX_URL_BYTES)
        .map_err(|fault| refused(&format_args!("its URL cannot be stored: {fault}")))?;
    let host = Url::parse(&receiver.url).ok().and_then(|url| host_of(&url));
    let mut grants = receiver.grants.clone();
    grants.hosts.extend(host.clone());
    check_url(&receiver.url, host.as_slice(), &grants).map_err(|refusal| refused(&refusal))
}

fn refused(error: &dyn std::fmt::Display) -> NotificationError {
    NotificationError::Refused(error.to_string())
}
